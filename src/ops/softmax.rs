//! Softmax over the features of a vector.
//! How `kernels/softmax.rs`, `shaders/softmax.wgsl` · proof `tests/gpu/cases/linear.rs`

use super::{Definition, expect_inputs};
use crate::tensor::{Shape, Tensor};

/// `y[n,f] = exp(x[n,f] - max) / sum over k of exp(x[n,k] - max)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Softmax {}

impl Definition for Softmax {
    fn kind(&self) -> &'static str {
        "softmax"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        match inputs[0] {
            Shape::Vector { .. } => Ok(inputs[0]),
            Shape::Map { .. } | Shape::Tensor(_) => Err(format!("expects a vector, input is {}", inputs[0])),
        }
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let rows = (0..x.batch()).flat_map(|n| softmax(x.image(n)));
        Tensor::new(x.shape(), rows.collect()).expect("softmax keeps the shape")
    }
}

/// Probabilities of one row of logits.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|&x| (f64::from(x) - f64::from(max)).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|e| (e / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(softmax(&[0.0, 0.0]), [0.5, 0.5]);
        assert_eq!(softmax(&[1000.0, 0.0]), [1.0, 0.0]);
    }
}
