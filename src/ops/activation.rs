//! Activation functions, as an op of their own or in the pass of another.
//! How `kernels/elementwise/activation.rs`, `shaders/common/activation.wgsl` · proof `tests/gpu/cases/elementwise.rs`

use super::{Meaning, expect_inputs};
use crate::tensor::{Shape, Tensor};
use std::fmt;

/// An elementwise activation function. Definitions as in PyTorch's `torch.nn.functional`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Act {
    /// `x`
    #[default]
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` where `x > 0`, `slope * x` elsewhere
    LeakyRelu(f32),
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `min(max(x / 6 + 1/2, 0), 1)`
    HardSigmoid,
    /// `x * sigmoid(x)`, also called swish
    Silu,
    /// `x * hard_sigmoid(x)`
    HardSwish,
    /// Hyperbolic tangent
    Tanh,
    /// `x * (1 + erf(x / sqrt 2)) / 2`, the exact form
    Gelu,
}

impl Act {
    /// All functions, a leaky slope of 0.01 included: for tables and tests.
    pub const ALL: [Self; 10] = [
        Self::Identity,
        Self::Relu,
        Self::Relu6,
        Self::LeakyRelu(0.01),
        Self::Sigmoid,
        Self::HardSigmoid,
        Self::Silu,
        Self::HardSwish,
        Self::Tanh,
        Self::Gelu,
    ];

    /// The function at `x`.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Relu => x.max(0.0),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(slope) * x
                }
            }
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Silu => x * Self::Sigmoid.apply(x),
            Self::HardSwish => x * Self::HardSigmoid.apply(x),
            Self::Tanh => x.tanh(),
            Self::Gelu => x * 0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        }
    }

    /// Number of the function in `shaders/common/activation.wgsl`.
    pub(crate) fn code(self) -> f64 {
        match self {
            Self::Identity => 0.0,
            Self::Relu => 1.0,
            Self::Relu6 => 2.0,
            Self::LeakyRelu(_) => 3.0,
            Self::Sigmoid => 4.0,
            Self::HardSigmoid => 5.0,
            Self::Silu => 6.0,
            Self::HardSwish => 7.0,
            Self::Tanh => 8.0,
            Self::Gelu => 9.0,
        }
    }

    /// Slope of a leaky ReLU, 0 for the others.
    pub(crate) fn slope(self) -> f64 {
        if let Self::LeakyRelu(slope) = self { f64::from(slope) } else { 0.0 }
    }

    /// A bias at which the function is 1 in `f32` and `f64` alike, or `None` where it never is: what an
    /// identity-initialised gate needs.
    pub(crate) fn one_at(self) -> Option<f32> {
        match self {
            Self::Identity | Self::Relu | Self::Relu6 | Self::LeakyRelu(_) => Some(1.0),
            Self::Sigmoid | Self::HardSigmoid | Self::Tanh => Some(40.0),
            Self::Silu | Self::HardSwish | Self::Gelu => None,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Relu => f.write_str("relu"),
            Self::Relu6 => f.write_str("relu6"),
            Self::LeakyRelu(slope) => write!(f, "leaky_relu({slope})"),
            Self::Sigmoid => f.write_str("sigmoid"),
            Self::HardSigmoid => f.write_str("hard_sigmoid"),
            Self::Silu => f.write_str("silu"),
            Self::HardSwish => f.write_str("hard_swish"),
            Self::Tanh => f.write_str("tanh"),
            Self::Gelu => f.write_str("gelu"),
        }
    }
}

impl Meaning for Act {
    fn kind(&self) -> &'static str {
        "activation"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        Ok(inputs[0])
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        Tensor::from_fn(x.shape(), |i| self.apply(f64::from(x.data()[i])) as f32)
    }

    fn attributes(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_hand() {
        for (act, x, y) in [
            (Act::Relu6, 7.0, 6.0),
            (Act::LeakyRelu(0.1), -2.0, -0.2),
            (Act::Sigmoid, 0.0, 0.5),
            (Act::HardSigmoid, 1.5, 0.75),
            (Act::HardSwish, -3.0, 0.0),
            (Act::Silu, 1.0, 0.731_058_578_630_004_9),
            (Act::Gelu, 1.0, 0.841_344_746_068_542_9),
        ] {
            assert!((act.apply(x) - y).abs() < 1e-8, "{act} at {x}: {} for {y}", act.apply(x));
        }
    }

    #[test]
    fn one_at_is_exactly_one() {
        for act in Act::ALL {
            if let Some(bias) = act.one_at() {
                assert_eq!(act.apply(f64::from(bias)), 1.0, "{act}");
            }
        }
    }
}
