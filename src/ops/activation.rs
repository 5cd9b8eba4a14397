//! Activation functions, as an op of their own or in the pass of another.
//! How `kernels/elementwise/activation.rs`, `shaders/lib/act.wgsl` · proof `tests/gpu/cases/elementwise.rs`

use super::{Definition, expect_inputs};
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
    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2`, GELU's approximation
    GeluTanh,
    /// `min(max(scale * x + shift, min), max)`, see [`Act::affine`] and [`Act::clip`]
    Clamp {
        /// Factor of `x`.
        scale: f32,
        /// What is added to the product.
        shift: f32,
        /// Lower bound, [`f32::MIN`] for none.
        min: f32,
        /// Upper bound, [`f32::MAX`] for none. It wins over a lower bound above it.
        max: f32,
    },
    /// `x` where `x > 0`, `alpha * (exp(x) - 1)` elsewhere
    Elu(f32),
    /// `log(1 + exp(x))`
    Softplus,
    /// `x * tanh(softplus(x))`
    Mish,
}

impl Act {
    /// All functions, those that take numbers with some of them: for tables and tests.
    pub const ALL: [Self; 15] = [
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
        Self::GeluTanh,
        Self::Clamp { scale: 0.5, shift: 0.25, min: f32::MIN, max: 1.0 },
        Self::Elu(1.0),
        Self::Softplus,
        Self::Mish,
    ];

    /// `scale * x + shift`
    pub fn affine(scale: f32, shift: f32) -> Self {
        Self::Clamp { scale, shift, min: f32::MIN, max: f32::MAX }
    }

    /// `min(max(x, min), max)`; infinite bounds are none.
    pub fn clip(min: f32, max: f32) -> Self {
        let finite = |bound: f32| bound.clamp(f32::MIN, f32::MAX);
        Self::Clamp { scale: 1.0, shift: 0.0, min: finite(min), max: finite(max) }
    }

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
            Self::GeluTanh => {
                let inner = (2.0 * std::f64::consts::FRAC_1_PI).sqrt() * (x + 0.044715 * x.powi(3));
                x * 0.5 * (1.0 + inner.tanh())
            }
            Self::Clamp { scale, shift, min, max } => {
                (f64::from(scale) * x + f64::from(shift)).max(min.into()).min(max.into())
            }
            Self::Elu(alpha) => {
                if x > 0.0 {
                    x
                } else {
                    f64::from(alpha) * x.exp_m1()
                }
            }
            // Without a large exponential.
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Mish => x * Self::Softplus.apply(x).tanh(),
        }
    }

    /// Number of the function in `shaders/lib/act.wgsl`.
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
            Self::Clamp { .. } => 10.0,
            Self::Elu(_) => 11.0,
            Self::Softplus => 12.0,
            Self::Mish => 13.0,
            Self::GeluTanh => 14.0,
        }
    }

    /// Numbers that the function takes, at most four, in the shader's order.
    pub(crate) fn numbers(self) -> Vec<f32> {
        match self {
            Self::LeakyRelu(slope) => vec![slope],
            Self::Clamp { scale, shift, min, max } => vec![scale, shift, min, max],
            Self::Elu(alpha) => vec![alpha],
            _ => Vec::new(),
        }
    }

    /// Refuses numbers that no shader can be given.
    pub(crate) fn check(self) -> Result<(), String> {
        if self.numbers().iter().all(|number| number.is_finite()) {
            return Ok(());
        }
        Err(format!("the numbers of an activation must be finite, it is {self}"))
    }

    /// A bias at which the function is 1 in `f32` and `f64` alike, or `None` where it never is: what an
    /// identity-initialised gate needs.
    pub(crate) fn one_at(self) -> Option<f32> {
        match self {
            Self::Identity | Self::Relu | Self::Relu6 | Self::LeakyRelu(_) | Self::Elu(_) => Some(1.0),
            Self::Sigmoid | Self::HardSigmoid | Self::Tanh => Some(40.0),
            Self::Clamp { scale, shift, max, .. } => {
                // 2 is beyond a bound of 1, however it rounds.
                let target = if max == 1.0 { 2.0 } else { 1.0 };
                let at = (target - shift) / scale;
                let in_f32 = (scale * at + shift).min(max);
                (in_f32 == 1.0 && self.apply(f64::from(at)) == 1.0).then_some(at)
            }
            Self::Silu | Self::HardSwish | Self::Gelu | Self::GeluTanh | Self::Softplus | Self::Mish => None,
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
            Self::GeluTanh => f.write_str("gelu_tanh"),
            // `{:?}` is short for the largest numbers, too.
            Self::Clamp { scale, shift, min, max } => write!(f, "clamp({scale:?}, {shift:?}, {min:?}, {max:?})"),
            Self::Elu(alpha) => write!(f, "elu({alpha})"),
            Self::Softplus => f.write_str("softplus"),
            Self::Mish => f.write_str("mish"),
        }
    }
}

impl Definition for Act {
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
            (Act::GeluTanh, 1.0, 0.841_191_990_608_302_3),
            (Act::clip(-1.0, 0.5), -3.0, -1.0),
            (Act::clip(-1.0, 0.5), 0.75, 0.5),
            (Act::clip(f32::NEG_INFINITY, 0.5), -3e38, -3e38),
            (Act::clip(2.0, 1.0), 0.0, 1.0),
            (Act::affine(2.0, -3.0), 0.5, -2.0),
            (Act::Clamp { scale: 0.25, shift: 0.5, min: 0.0, max: 1.0 }, 1.0, 0.75),
            (Act::Elu(2.0), 3.0, 3.0),
            (Act::Elu(2.0), -1.0, -1.264_241_117_657_115_4),
            (Act::Softplus, 0.0, std::f64::consts::LN_2),
            (Act::Softplus, 1000.0, 1000.0),
            (Act::Mish, 1.0, 0.865_098_388_267_310_3),
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
        let clamp = |scale, shift, max| Act::Clamp { scale, shift, min: 0.0, max }.one_at();
        assert_eq!(clamp(0.2, 0.5, 1.0), Some(7.5));
        assert_eq!(clamp(1.0, 0.0, 6.0), Some(1.0));
        assert_eq!(clamp(-0.5, 0.0, f32::MAX), Some(-2.0));
        assert_eq!(clamp(1.0, 0.0, 0.5), None);
        assert_eq!(clamp(0.0, 0.0, 6.0), None);
    }

    #[test]
    fn text() {
        assert_eq!(Act::clip(f32::NEG_INFINITY, 6.0).to_string(), "clamp(1.0, 0.0, -3.4028235e38, 6.0)");
        assert_eq!(Act::LeakyRelu(0.1).to_string(), "leaky_relu(0.1)");
    }

    #[test]
    fn numbers_have_room_in_the_shaders() {
        assert!(Act::ALL.iter().all(|act| act.numbers().len() <= 4));
    }
}
