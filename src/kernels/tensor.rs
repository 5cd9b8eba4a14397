//! Tensors of any rank: kernels that walk along strides. Per image a tensor lies as a vector does, row-major and padded
//! to a multiple of 4; the padding that they write holds zeros.

pub(crate) mod arithmetic;
pub(crate) mod copy;
pub(crate) mod matmul;
pub(crate) mod reduce;
pub(crate) mod resample;

use super::word;
use crate::tensor::{Dims, Shape};
use std::iter::repeat_n;

/// An axis of a walk: its size, then its strides in up to three tensors.
type Axis = [usize; 4];

/// Axes as shaders have them, those in use first. See `shaders/lib/strided_index.wgsl`.
type Axes = [[u32; 4]; Dims::MAX];

/// Elements from one element to the next along every axis.
fn strides(dims: &[usize]) -> Vec<usize> {
    (0..dims.len()).map(|i| dims[i + 1..].iter().product()).collect()
}

/// Strides of a tensor that broadcasts to `rank` dimensions: 0 where it is repeated.
fn broadcast_strides(dims: &[usize], rank: usize) -> Vec<usize> {
    let own = dims.iter().zip(strides(dims)).map(|(&dim, stride)| if dim == 1 { 0 } else { stride });
    repeat_n(0, rank - dims.len()).chain(own).collect()
}

/// The axes with as few divisions as it takes: without those of size 1, and neighbours made one where no tensor tells
/// them apart.
fn merged(axes: impl IntoIterator<Item = Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for axis in axes.into_iter().filter(|axis| axis[0] != 1) {
        let [size, strides @ ..] = axis;
        match merged.last_mut() {
            Some(last) if last[1..].iter().zip(strides).all(|(&outer, inner)| outer == size * inner) => {
                *last = [last[0] * size, strides[0], strides[1], strides[2]];
            }
            _ => merged.push(axis),
        }
    }
    merged
}

fn words(axes: &[Axis]) -> Axes {
    let mut words = Axes::default();
    for (words, axis) in words.iter_mut().zip(axes) {
        *words = axis.map(word);
    }
    words
}

/// Elements from one image to the next.
fn image_stride(shape: Shape) -> usize {
    shape.len().next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_merge_where_every_tensor_is_dense() {
        let axes = |a: &[usize], b: &[usize]| -> Vec<Axis> {
            let dims = [2, 1, 3, 4];
            let strides = broadcast_strides(a, 4).into_iter().zip(broadcast_strides(b, 4));
            merged(dims.into_iter().zip(strides).map(|(size, (a, b))| [size, a, b, 0]))
        };
        assert_eq!(axes(&[2, 1, 3, 4], &[2, 1, 3, 4]), [[24, 1, 1, 0]]);
        assert_eq!(axes(&[2, 1, 3, 4], &[1]), [[24, 1, 0, 0]]);
        assert_eq!(axes(&[2, 1, 3, 4], &[3, 4]), [[2, 12, 0, 0], [12, 1, 1, 0]]);
        assert_eq!(axes(&[2, 1, 1, 4], &[3, 1]), [[2, 4, 0, 0], [3, 0, 1, 0], [4, 1, 0, 0]]);
    }
}
