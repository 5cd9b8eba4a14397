//! Batch normalisation with its running statistics.
//! How `kernels/elementwise/batch_norm.rs`, `shaders/elementwise/batch_norm.wgsl` · proof
//! `tests/gpu/cases/elementwise.rs`

use super::{Act, Definition, ParamSpec, expect_channels, expect_inputs, unless};
use crate::tensor::{Shape, Tensor};

/// `y[n,c] = act((x[n,c] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c])`, per element of the plane.
/// Ioffe & Szegedy 2015, as `torch.nn.BatchNorm2d` in evaluation mode.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f64,
    /// Applied last.
    pub act: Act,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self { eps: 1e-5, act: Act::Identity }
    }
}

impl BatchNorm {
    /// With another `eps`: TensorFlow's networks have 1e-3.
    pub fn eps(eps: f64) -> Self {
        Self { eps, ..Self::default() }
    }
}

impl Definition for BatchNorm {
    fn kind(&self) -> &'static str {
        "batch_norm"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        expect_channels(inputs[0])?;
        if !(self.eps >= 0.0 && self.eps.is_finite()) {
            return Err(format!("eps must be finite and not negative, is {}", self.eps));
        }
        Ok(inputs[0])
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let c = inputs[0].channels();
        ["weight", "bias", "running_mean", "running_var"].map(|role| ParamSpec::new(role, [c])).to_vec()
    }

    fn reference(&self, inputs: &[&Tensor], params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let [_, channels, height, width] = x.nchw();
        let [weight, bias, mean, var] = params else { unreachable!("params() lists four") };
        Tensor::from_fn(x.shape(), |i| {
            let c = i / (height * width) % channels;
            let at = |t: &Tensor| f64::from(t.data()[c]);
            let y = (f64::from(x.data()[i]) - at(mean)) / (at(var) + self.eps).sqrt() * at(weight) + at(bias);
            self.act.apply(y) as f32
        })
    }

    fn attributes(&self) -> String {
        format!("eps {:e}{}", self.eps, unless("act", self.act, Act::Identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::new([1, 2, 1, 1], vec![3.0, 5.0]).unwrap();
        let params = [[2.0, 1.0], [0.5, 0.0], [1.0, 4.0], [4.0, 0.25]].map(|p| Tensor::new([2], p.to_vec()).unwrap());
        let y = BatchNorm::eps(0.0).reference(&[&x], &params);
        assert_eq!(y.data(), [2.5, 2.0]);
    }
}
