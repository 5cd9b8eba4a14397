//! Weights in the order that kernels read them. Pure functions from PyTorch's order; padding is zeros.

use crate::tensor::Tensor;
use std::ops::Range;

/// How a weight lies in its buffer. All rows are padded to a multiple of 4 elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Packing {
    /// Biases and scales: one row.
    Vector,
    /// A part of a bias: one row.
    Slice(Range<usize>),
    /// `[out, in]` row by row, these rows only; their number padded to a multiple of 4.
    Rows(Range<usize>),
    /// `[out][tap][in]` of a convolution whose window is the whole map, these filters only; their number padded to a
    /// multiple of 4.
    Filters(Range<usize>),
    /// `[group][tap][in][out]` of a convolution with `groups` groups, each made of `merge` of PyTorch's.
    Conv { groups: usize, merge: usize },
    /// `[tap][in][out]` of a convolution without groups, these filters only.
    ConvFilters(Range<usize>),
    /// `[tap][channel]` of a depthwise convolution.
    Depthwise,
    /// `[product][in][out]`: filters of 3x3 transformed for Winograd's F(2x2, 3x3), `G g Gt`.
    Winograd,
}

/// Filters whose elements are written together: a cache line of them.
const SIDE_BY_SIDE: usize = 16;

fn padded(size: usize) -> usize {
    size.next_multiple_of(4)
}

/// Rows and columns of a weight as a matrix: everything behind the first dimension is a column.
fn matrix(shape: &[usize]) -> (usize, usize) {
    (shape[0], shape[1..].iter().product())
}

impl Packing {
    /// `[in][out]` of a matrix `[out, in]`.
    pub(crate) const TRANSPOSED: Self = Self::Conv { groups: 1, merge: 1 };

    /// Elements in the buffer for a weight of this shape.
    pub(crate) fn len(&self, shape: &[usize]) -> usize {
        match self {
            Self::Vector => padded(shape[0]),
            Self::Slice(part) => padded(part.len()),
            Self::Rows(rows) => padded(rows.len()) * padded(matrix(shape).1),
            Self::Filters(rows) => {
                let taps: usize = shape[2..].iter().product();
                padded(rows.len()) * taps * padded(shape[1])
            }
            Self::Conv { groups, merge } => {
                let taps: usize = shape[2..].iter().product();
                groups * taps * padded(shape[1] * merge) * padded(shape[0] / groups)
            }
            Self::ConvFilters(filters) => {
                Self::Conv { groups: 1, merge: 1 }.len(&[&[filters.len()], &shape[1..]].concat())
            }
            Self::Depthwise => padded(shape[0]) * shape[2..].iter().product::<usize>(),
            Self::Winograd => 16 * padded(shape[1]) * padded(shape[0]),
        }
    }

    /// The numbers in the buffer's order.
    pub(crate) fn pack(&self, weight: &Tensor) -> Vec<f32> {
        self.pack_data(weight.shape(), weight.data())
    }

    fn pack_data(&self, shape: &[usize], data: &[f32]) -> Vec<f32> {
        let mut packed = vec![0.0; self.len(shape)];
        match self {
            Self::ConvFilters(filters) => {
                let (each, shape) = (matrix(shape).1, [&[filters.len()], &shape[1..]].concat());
                let own = &data[filters.start * each..filters.end * each];
                return Self::Conv { groups: 1, merge: 1 }.pack_data(&shape, own);
            }
            Self::Vector => packed[..data.len()].copy_from_slice(data),
            Self::Slice(part) => packed[..part.len()].copy_from_slice(&data[part.clone()]),
            Self::Rows(rows) => {
                let columns = matrix(shape).1;
                for (to, row) in packed.chunks_exact_mut(padded(columns)).zip(rows.clone()) {
                    to[..columns].copy_from_slice(&data[row * columns..][..columns]);
                }
            }
            Self::Filters(rows) => {
                let taps: usize = shape[2..].iter().product();
                let filters = data.chunks_exact(shape[1] * taps).skip(rows.start).take(rows.len());
                for (to, filter) in packed.chunks_exact_mut(taps * padded(shape[1])).zip(filters) {
                    for (i, &x) in filter.iter().enumerate() {
                        to[i % taps * padded(shape[1]) + i / taps] = x;
                    }
                }
            }
            Self::Conv { groups, merge } => {
                let taps: usize = shape[2..].iter().product();
                let (out_own, in_own) = (shape[0] / groups / merge, shape[1]);
                let (ins, outs) = (padded(in_own * merge), padded(out_own * merge));
                for (own, filters) in data.chunks_exact(out_own * in_own * taps).enumerate() {
                    let (group, part) = (own / merge, own % merge);
                    // Some filters side by side: few lines of memory are read from and written to at a time.
                    for (block, filters) in filters.chunks(SIDE_BY_SIDE * in_own * taps).enumerate() {
                        let first_out = part * out_own + block * SIDE_BY_SIDE;
                        for c in 0..in_own {
                            for tap in 0..taps {
                                let row = (group * taps + tap) * ins + part * in_own + c;
                                let column = filters[c * taps + tap..].iter().step_by(in_own * taps);
                                let to = &mut packed[row * outs + first_out..][..column.len()];
                                to.iter_mut().zip(column).for_each(|(to, &from)| *to = from);
                            }
                        }
                    }
                }
            }
            Self::Depthwise => {
                let taps: usize = shape[2..].iter().product();
                for channel in 0..shape[0] {
                    for tap in 0..taps {
                        packed[tap * padded(shape[0]) + channel] = data[channel * taps + tap];
                    }
                }
            }
            Self::Winograd => {
                for (at, filter) in data.chunks_exact(9).enumerate() {
                    let (out, input) = (at / shape[1], at % shape[1]);
                    for (product, value) in winograd(filter).into_iter().enumerate() {
                        packed[(product * padded(shape[1]) + input) * padded(shape[0]) + out] = value;
                    }
                }
            }
        }
        packed
    }
}

/// `G g Gt` of a filter of 3x3, row by row.
fn winograd(filter: &[f32]) -> [f32; 16] {
    let transformed = |[a, b, c]: [f64; 3]| [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c];
    let g = |row: usize, column: usize| f64::from(filter[3 * row + column]);
    let columns = [0, 1, 2].map(|column| transformed([g(0, column), g(1, column), g(2, column)]));
    std::array::from_fn(|i| transformed(columns.map(|column| column[i / 4]))[i % 4] as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: &[usize]) -> Tensor {
        Tensor::from_fn(shape, |i| (i + 1) as f32)
    }

    #[test]
    fn by_hand() {
        let rows = Packing::Rows(1..2).pack(&counting(&[3, 2]));
        assert_eq!(rows, [[3.0, 4.0, 0.0, 0.0], [0.0; 4], [0.0; 4], [0.0; 4]].concat());
        let filters = Packing::Filters(1..2).pack(&counting(&[2, 3, 1, 2]));
        assert_eq!(filters, [&[7.0, 9.0, 11.0, 0.0, 8.0, 10.0, 12.0, 0.0], &[0.0; 24][..]].concat());
        let columns = Packing::TRANSPOSED.pack(&counting(&[3, 2]));
        assert_eq!(columns, [[1.0, 3.0, 5.0, 0.0], [2.0, 4.0, 6.0, 0.0], [0.0; 4], [0.0; 4]].concat());
        let whole = Packing::TRANSPOSED.pack(&counting(&[8, 3, 1, 2]));
        let part = Packing::ConvFilters(4..8).pack(&counting(&[8, 3, 1, 2]));
        assert_eq!(part, whole.chunks_exact(8).flat_map(|row| row[4..].to_vec()).collect::<Vec<_>>());
        let depthwise = Packing::Depthwise.pack(&counting(&[2, 1, 1, 2]));
        assert_eq!(depthwise, [1.0, 3.0, 0.0, 0.0, 2.0, 4.0, 0.0, 0.0]);
        // A filter of ones: 1, 1.5, 0.5 and 1 in each direction; the second channel of 4 in, the first of 4 out.
        let winograd = Packing::Winograd.pack(&Tensor::from_fn([1, 2, 3, 3], |i| (i / 9) as f32));
        let nonzero: Vec<f32> = winograd.iter().skip(4).step_by(16).copied().collect();
        let row = [1.0, 1.5, 0.5, 1.0];
        assert_eq!(nonzero, row.map(|y| row.map(|x| y * x)).concat());
        assert_eq!(winograd.iter().filter(|x| **x != 0.0).count(), 16);
    }

    #[test]
    fn merged_groups_are_block_diagonal() {
        // Four groups of 2 in, 1 out; merged by 4 into one group of 8 in, 4 out.
        let packed = Packing::Conv { groups: 1, merge: 4 }.pack(&counting(&[4, 2, 1, 1]));
        for (input, row) in packed.chunks_exact(4).enumerate() {
            for (output, &value) in row.iter().enumerate() {
                let expected = if input / 2 == output { (input + 1) as f32 } else { 0.0 };
                assert_eq!(value, expected, "in {input} out {output}");
            }
        }
    }
}
