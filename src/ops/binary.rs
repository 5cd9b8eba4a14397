//! Sums and products of two values.
//! How `kernels/elementwise/binary.rs`, `kernels/squeeze_excite/scale.rs` · proof `tests/gpu/cases/elementwise.rs`

use super::{Act, Definition, expect_gate, expect_inputs, unless};
use crate::tensor::{Shape, Tensor};

/// `y = act(a + b)`, both of one shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Add {
    /// Applied last.
    pub act: Act,
}

/// `y = a * b`, both of one shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mul {}

/// `y[n,c,h,w] = act(x[n,c,h,w] * gate[n,c] + residual[n,c,h,w])`: inputs `x`, `gate`, and the residual if there is one.
/// Section 3.2 of the SENet paper (Hu et al. 2018); with residual and ReLU it ends an SE-ResNet block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scale {
    /// Whether a third input is added.
    pub residual: bool,
    /// Applied last.
    pub act: Act,
}

fn same_shape(inputs: &[Shape]) -> Result<Shape, String> {
    expect_inputs(inputs, 2)?;
    if inputs[0] != inputs[1] {
        return Err(format!("expects two inputs of one shape, has {} and {}", inputs[0], inputs[1]));
    }
    Ok(inputs[0])
}

fn zip(inputs: &[&Tensor], f: impl Fn(f64, f64) -> f64) -> Tensor {
    let (a, b) = (inputs[0], inputs[1]);
    Tensor::from_fn(a.shape(), |i| f(f64::from(a.data()[i]), f64::from(b.data()[i])) as f32)
}

impl Definition for Add {
    fn kind(&self) -> &'static str {
        "add"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        same_shape(inputs)
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        zip(inputs, |a, b| self.act.apply(a + b))
    }

    fn attributes(&self) -> String {
        unless("act", self.act, Act::Identity).trim_start().into()
    }
}

impl Definition for Mul {
    fn kind(&self) -> &'static str {
        "mul"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        same_shape(inputs)
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        zip(inputs, |a, b| a * b)
    }
}

impl Definition for Scale {
    fn kind(&self) -> &'static str {
        "scale"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, if self.residual { 3 } else { 2 })?;
        let (x, gate) = (inputs[0], inputs[1]);
        expect_gate(x, gate)?;
        if self.residual && inputs[2] != x {
            return Err(format!("expects a residual of the input's shape {x}, residual is {}", inputs[2]));
        }
        Ok(x)
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let (x, gate) = (inputs[0], inputs[1]);
        let [_, _, height, width] = x.nchw();
        Tensor::from_fn(x.shape(), |i| {
            let scaled = f64::from(x.data()[i]) * f64::from(gate.data()[i / (height * width)]);
            let residual = inputs.get(2).map_or(0.0, |r| f64::from(r.data()[i]));
            self.act.apply(scaled + residual) as f32
        })
    }

    fn attributes(&self) -> String {
        let residual = if self.residual { "residual" } else { "" };
        format!("{residual}{}", unless("act", self.act, Act::Identity)).trim_start().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_by_hand() {
        let x = Tensor::new([1, 2, 1, 2], vec![1.0, 2.0, 3.0, -4.0]).unwrap();
        let gate = Tensor::new([1, 2], vec![0.5, 2.0]).unwrap();
        let residual = Tensor::new([1, 2, 1, 2], vec![0.25, -3.0, 1.0, 7.0]).unwrap();
        let plain = Scale::default().reference(&[&x, &gate], &[]);
        assert_eq!(plain.data(), [0.5, 1.0, 6.0, -8.0]);
        let fused = Scale { residual: true, act: Act::Relu }.reference(&[&x, &gate, &residual], &[]);
        assert_eq!(fused.data(), [0.75, 0.0, 7.0, 0.0]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let (x, other) = (Shape::map(4, 2, 2), Shape::map(4, 2, 3));
        let message = Add::default().shape(&[x, other]).unwrap_err();
        assert_eq!(message, "expects two inputs of one shape, has 4x2x2 and 4x2x3");
        assert!(Scale::default().shape(&[x, Shape::vector(5)]).is_err());
        assert!(Scale { residual: true, act: Act::Relu }.shape(&[x, Shape::vector(4), other]).is_err());
    }
}
