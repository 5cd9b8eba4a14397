//! Functions of one number that are no activations.
//! How `kernels/elementwise/unary.rs`, `shaders/elementwise/unary.wgsl` · proof `tests/gpu/cases/elementwise.rs`

use super::{Definition, expect_inputs};
use crate::tensor::{Shape, Tensor};
use std::fmt;

/// An elementwise function, as in C's `math.h`. Where it has no finite value (`log(-1)`, `1 / 0`, `exp(100)`), a device
/// may give any number, infinity or NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Unary {
    /// `|x|`
    Abs,
    /// The least integer not below `x`
    Ceil,
    /// Cosine of radians; on devices for `|x|` up to some thousands, as the other two of angles
    Cos,
    /// The error function
    Erf,
    /// `e^x`
    Exp,
    /// The greatest integer not above `x`
    Floor,
    /// The natural logarithm
    Log,
    /// `-x`
    Neg,
    /// `1 / x`
    Reciprocal,
    /// The nearest integer, the even one of two
    Round,
    /// -1, 0 or 1
    Sign,
    /// Sine
    Sin,
    /// The square root
    Sqrt,
    /// Tangent
    Tan,
    /// `x^p`, of negative `x` where `p` is an integer
    Power(f32),
}

impl Unary {
    /// All functions, with one of the powers: for tables and tests.
    pub const ALL: [Self; 15] = [
        Self::Abs,
        Self::Ceil,
        Self::Cos,
        Self::Erf,
        Self::Exp,
        Self::Floor,
        Self::Log,
        Self::Neg,
        Self::Reciprocal,
        Self::Round,
        Self::Sign,
        Self::Sin,
        Self::Sqrt,
        Self::Tan,
        Self::Power(3.0),
    ];

    /// The function at `x`.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Abs => x.abs(),
            Self::Ceil => x.ceil(),
            Self::Cos => x.cos(),
            Self::Erf => libm::erf(x),
            Self::Exp => x.exp(),
            Self::Floor => x.floor(),
            Self::Log => x.ln(),
            Self::Neg => -x,
            Self::Reciprocal => 1.0 / x,
            Self::Round => x.round_ties_even(),
            Self::Sign => {
                if x == 0.0 {
                    0.0
                } else {
                    x.signum()
                }
            }
            Self::Sin => x.sin(),
            Self::Sqrt => x.sqrt(),
            Self::Tan => x.tan(),
            Self::Power(exponent) => x.powf(exponent.into()),
        }
    }

    /// Number of the function in the shader.
    pub(crate) fn code(self) -> f64 {
        match self {
            Self::Abs => 0.0,
            Self::Ceil => 1.0,
            Self::Cos => 2.0,
            Self::Erf => 3.0,
            Self::Exp => 4.0,
            Self::Floor => 5.0,
            Self::Log => 6.0,
            Self::Neg => 7.0,
            Self::Reciprocal => 8.0,
            Self::Round => 9.0,
            Self::Sign => 10.0,
            Self::Sin => 11.0,
            Self::Sqrt => 12.0,
            Self::Tan => 13.0,
            Self::Power(_) => 14.0,
        }
    }
}

impl fmt::Display for Unary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Abs => "abs",
            Self::Ceil => "ceil",
            Self::Cos => "cos",
            Self::Erf => "erf",
            Self::Exp => "exp",
            Self::Floor => "floor",
            Self::Log => "log",
            Self::Neg => "neg",
            Self::Reciprocal => "reciprocal",
            Self::Round => "round",
            Self::Sign => "sign",
            Self::Sin => "sin",
            Self::Sqrt => "sqrt",
            Self::Tan => "tan",
            Self::Power(exponent) => return write!(f, "power({exponent})"),
        })
    }
}

impl Definition for Unary {
    fn kind(&self) -> &'static str {
        "unary"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        match *self {
            Self::Power(exponent) if !exponent.is_finite() => Err(format!("exponent must be finite, is {exponent}")),
            _ => Ok(inputs[0]),
        }
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
        for (op, x, y) in [
            (Unary::Ceil, -1.5, -1.0),
            (Unary::Floor, -1.5, -2.0),
            (Unary::Round, 2.5, 2.0),
            (Unary::Round, -1.5, -2.0),
            (Unary::Sign, 0.0, 0.0),
            (Unary::Sign, -3.0, -1.0),
            (Unary::Erf, 1.0, 0.842_700_792_949_714_9),
            (Unary::Log, std::f64::consts::E, 1.0),
            (Unary::Tan, std::f64::consts::FRAC_PI_4, 1.0),
            (Unary::Reciprocal, -4.0, -0.25),
            (Unary::Power(3.0), -2.0, -8.0),
            (Unary::Power(-2.0), -2.0, 0.25),
            (Unary::Power(0.5), 4.0, 2.0),
            (Unary::Power(0.0), 0.0, 1.0),
        ] {
            assert!((op.apply(x) - y).abs() < 1e-12, "{op} at {x}: {} for {y}", op.apply(x));
        }
        assert!(Unary::Power(0.5).apply(-4.0).is_nan());
    }

    #[test]
    fn an_exponent_is_finite() {
        let x = [Shape::vector(3)];
        assert_eq!(Unary::Power(-0.5).shape(&x), Ok(x[0]));
        let refusal = Unary::Power(f32::NAN).shape(&x).unwrap_err();
        assert_eq!(refusal, "exponent must be finite, is NaN");
    }
}
