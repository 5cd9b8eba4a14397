//! Fewer elements: over axes of a tensor.
//! How `kernels/tensor/reduce.rs` · proof `tests/gpu/cases/tensor.rs`

use super::{Definition, expect_inputs, expect_tensor};
use crate::tensor::{Shape, Tensor, coordinates, flat_index};
use std::fmt;

/// What is made of the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean
    Mean,
    /// Their sum
    Sum,
    /// Their product
    Prod,
    /// The largest
    Max,
    /// The smallest
    Min,
}

impl Reduction {
    /// All of them: for tables and tests.
    pub const ALL: [Self; 5] = [Self::Mean, Self::Sum, Self::Prod, Self::Max, Self::Min];
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Sum => "sum",
            Self::Prod => "prod",
            Self::Max => "max",
            Self::Min => "min",
        })
    }
}

/// `y` is `x` with all elements along `axes` made one; those axes stay, with size 1. As `torch.mean(x, axes,
/// keepdim=True)` of each image. Means over whole planes of a map are [`super::GlobalPool`].
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// What is made of the elements.
    pub reduction: Reduction,
    /// Axes of one image, from 0 for the outermost, each once.
    pub axes: Vec<usize>,
}

impl Definition for Reduce {
    fn kind(&self) -> &'static str {
        "reduce"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        let mut dims = expect_tensor(inputs[0])?;
        for (i, &axis) in self.axes.iter().enumerate() {
            if axis >= dims.len() || self.axes[..i].contains(&axis) {
                return Err(format!("axes {:?} are not axes of {dims:?}, each once", self.axes));
            }
        }
        self.axes.iter().for_each(|&axis| dims[axis] = 1);
        Ok(Shape::tensor(&dims))
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let mut shape = x.shape().to_vec();
        self.axes.iter().for_each(|&axis| shape[axis + 1] = 1);
        let mut found: Vec<Vec<f64>> = vec![Vec::new(); shape.iter().product()];
        for (i, &value) in x.data().iter().enumerate() {
            let mut at = coordinates(i, x.shape());
            self.axes.iter().for_each(|&axis| at[axis + 1] = 0);
            found[flat_index(&at, &shape)].push(f64::from(value));
        }
        Tensor::from_fn(shape, |i| {
            let elements = found[i].iter().copied();
            (match self.reduction {
                Reduction::Mean => elements.sum::<f64>() / found[i].len() as f64,
                Reduction::Sum => elements.sum(),
                Reduction::Prod => elements.product(),
                Reduction::Max => elements.fold(f64::NEG_INFINITY, f64::max),
                Reduction::Min => elements.fold(f64::INFINITY, f64::min),
            }) as f32
        })
    }

    fn attributes(&self) -> String {
        format!("{} {:?}", self.reduction, self.axes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::from_fn([2, 2, 3], |i| i as f32);
        let rows = Reduce { reduction: Reduction::Mean, axes: vec![1] }.reference(&[&x], &[]);
        assert_eq!((rows.shape(), rows.data()), ([2, 2, 1].as_slice(), [1.0, 4.0, 7.0, 10.0].as_slice()));
        let all = Reduce { reduction: Reduction::Max, axes: vec![1, 0] }.reference(&[&x], &[]);
        assert_eq!(all.data(), [5.0, 11.0]);
        assert!(Reduce { reduction: Reduction::Sum, axes: vec![2] }.shape(&[Shape::tensor(&[2, 3])]).is_err());
    }
}
