//! Axes in another order.
//! How `kernels/tensor/copy.rs` · proof `tests/gpu/cases/tensor.rs`

use super::{Definition, expect_inputs, expect_tensor};
use crate::tensor::{Shape, Tensor, coordinates, flat_index};

/// Axis `i` of `y` is axis `order[i]` of `x`: `torch.permute` of each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Permute {
    /// Axes of one image, each once.
    pub order: Vec<usize>,
}

impl Definition for Permute {
    fn kind(&self) -> &'static str {
        "permute"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        let dims = expect_tensor(inputs[0])?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..dims.len()) {
            return Err(format!("order {:?} does not name each axis of {dims:?} once", self.order));
        }
        let dims: Vec<usize> = self.order.iter().map(|&axis| dims[axis]).collect();
        Ok(Shape::tensor(&dims))
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let from = &x.shape()[1..];
        let dims: Vec<usize> = self.order.iter().map(|&axis| from[axis]).collect();
        let shape: Vec<usize> = std::iter::once(x.batch()).chain(dims).collect();
        Tensor::from_fn(shape.clone(), |i| {
            let at = coordinates(i, &shape);
            let mut source = vec![0; from.len()];
            self.order.iter().zip(&at[1..]).for_each(|(&axis, &i)| source[axis] = i);
            x.image(at[0])[flat_index(&source, from)]
        })
    }

    fn attributes(&self) -> String {
        format!("{:?}", self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::from_fn([2, 2, 3], |i| i as f32);
        let y = Permute { order: vec![1, 0] }.reference(&[&x], &[]);
        assert_eq!(y.shape(), [2, 3, 2]);
        assert_eq!(y.data(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0]);
        assert!(Permute { order: vec![0, 0] }.shape(&[Shape::tensor(&[2, 3])]).is_err());
    }
}
