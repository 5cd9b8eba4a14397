//! Fully connected layers.
//! How `kernels/linear.rs`, `shaders/linear.wgsl` · proof `tests/gpu/cases/linear.rs`

use super::{Act, Definition, ParamSpec, expect_channels, expect_inputs, unless};
use crate::tensor::{Shape, Tensor};

/// `y[n,o] = act(sum over i of weight[o,i] * x[n,i] + bias[o])`. As `torch.nn.Linear`; the input is a vector or a 1x1
/// map. Parameters: `weight [out, in]`, and `bias [out]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Length of the result.
    pub out_features: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied last.
    pub act: Act,
}

impl Linear {
    /// With bias, without activation.
    pub fn new(out_features: usize) -> Self {
        Self { out_features, bias: true, act: Act::Identity }
    }
}

impl Definition for Linear {
    fn kind(&self) -> &'static str {
        "linear"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        expect_channels(inputs[0])?;
        if inputs[0].plane() != 1 {
            return Err(format!("expects a vector or a 1x1 map, input is {}", inputs[0]));
        }
        if self.out_features == 0 {
            return Err("out_features must be at least 1, is 0".into());
        }
        Ok(Shape::vector(self.out_features))
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let mut params = vec![ParamSpec::new("weight", [self.out_features, inputs[0].channels()])];
        if self.bias {
            params.push(ParamSpec::new("bias", [self.out_features]));
        }
        params
    }

    fn macs(&self, inputs: &[Shape], _output: Shape) -> u64 {
        (self.out_features * inputs[0].channels()) as u64
    }

    fn reference(&self, inputs: &[&Tensor], params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        Tensor::from_nchw(Shape::vector(self.out_features), x.batch(), |[n, o, _, _]| {
            self.act.apply(dot(params[0].image(o), x.image(n)) + params.get(1).map_or(0.0, |b| f64::from(b.data()[o])))
                as f32
        })
    }

    fn attributes(&self) -> String {
        format!("{}{}", if self.bias { "bias" } else { "" }, unless("act", self.act, Act::Identity)).trim().into()
    }
}

/// `sum over i of a[i] * b[i]`
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::new([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let params =
            [Tensor::new([2, 2], vec![1.0, 10.0, -1.0, 0.0]).unwrap(), Tensor::new([2], vec![0.5, 0.0]).unwrap()];
        assert_eq!(Linear::new(2).reference(&[&x], &params).data(), [21.5, -1.0, 43.5, -3.0]);
        assert!(Linear::new(2).shape(&[Shape::map(2, 2, 1)]).unwrap_err().contains("2x2x1"));
    }
}
