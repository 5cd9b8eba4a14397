//! Products of matrices that are both values.
//! How `kernels/tensor/matmul.rs` · proof `tests/gpu/cases/tensor.rs`

use super::arithmetic::{broadcast, broadcast_index};
use super::{Definition, expect_inputs, expect_tensor};
use crate::tensor::{Shape, Tensor, coordinates};

/// `y[…,i,j] = sum over k of a[…,i,k] * b[…,k,j]`: `torch.matmul` of each image, both of rank 2 or more; the dimensions
/// before the last two broadcast. A layer with weights is [`super::Linear`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatMul {}

fn result(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (a_outer, &[rows, inner]) = a.split_last_chunk::<2>()?;
    let (b_outer, &[inner_too, columns]) = b.split_last_chunk::<2>()?;
    let mut dims = broadcast(a_outer, b_outer)?;
    dims.extend([rows, columns]);
    (inner == inner_too).then_some(dims)
}

impl Definition for MatMul {
    fn kind(&self) -> &'static str {
        "matmul"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 2)?;
        let (a, b) = (expect_tensor(inputs[0])?, expect_tensor(inputs[1])?);
        let dims = result(&a, &b).ok_or_else(|| format!("matrices {a:?} and {b:?} don't multiply"))?;
        Ok(Shape::tensor(&dims))
    }

    fn macs(&self, inputs: &[Shape], output: Shape) -> u64 {
        output.len() as u64 * inputs[0].dims().last().map_or(0, |&inner| inner as u64)
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let (a, b) = (inputs[0], inputs[1]);
        let (a_dims, b_dims) = (&a.shape()[1..], &b.shape()[1..]);
        let dims = result(a_dims, b_dims).expect("the graph has checked the shapes");
        let (inner, columns) = (a_dims[a_dims.len() - 1], b_dims[b_dims.len() - 1]);
        let shape: Vec<usize> = std::iter::once(a.batch()).chain(dims).collect();
        Tensor::from_fn(shape.clone(), |at| {
            let at = coordinates(at, &shape);
            let (outer, row, column) = (&at[1..at.len() - 2], at[at.len() - 2], at[at.len() - 1]);
            let a_first = broadcast_index(&a_dims[..a_dims.len() - 2], outer) * a_dims[a_dims.len() - 2] + row;
            let b_first = broadcast_index(&b_dims[..b_dims.len() - 2], outer) * inner;
            let (a, b) = (&a.image(at[0])[a_first * inner..], &b.image(at[0])[b_first * columns + column..]);
            (0..inner).map(|k| f64::from(a[k]) * f64::from(b[k * columns])).sum::<f64>() as f32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let a = Tensor::new([1, 2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let b = Tensor::new([1, 2, 3], vec![1.0, 2.0, 3.0, 10.0, 20.0, 30.0]).unwrap();
        let y = MatMul {}.reference(&[&a, &b], &[]);
        assert_eq!(y.shape(), [1, 2, 1, 3]);
        assert_eq!(y.data(), [21.0, 42.0, 63.0, 43.0, 86.0, 129.0]);
        let misfit = MatMul {}.shape(&[Shape::tensor(&[2, 3]), Shape::tensor(&[2, 3])]).unwrap_err();
        assert_eq!(misfit, "matrices [2, 3] and [2, 3] don't multiply");
    }
}
