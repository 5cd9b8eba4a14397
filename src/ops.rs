//! What every op means: attributes, shape rule, parameters, and a reference that is slow and obvious.
//!
//! One file per op. A new op is its file here, one variant of [`Op`], its kernel in `src/kernels/` and its WGSL in
//! `shaders/`; the compiler and `tests/host/shaders.rs` say what is missing.

mod activation;
mod arithmetic;
mod batch_norm;
mod binary;
mod concat;
mod conv2d;
mod linear;
mod matmul;
mod pad;
mod permute;
mod pool;
mod reduce;
mod resample;
mod reshape;
mod shuffle;
mod softmax;
mod squeeze_excite;
mod unary;

pub use activation::Act;
pub use arithmetic::Arithmetic;
pub use batch_norm::BatchNorm;
pub use binary::{Add, Mul, Scale};
pub use concat::Concat;
pub use conv2d::{Conv2d, Gating, Padding};
pub use linear::Linear;
pub use matmul::MatMul;
pub use pad::Pad;
pub use permute::Permute;
pub use pool::{GlobalPool, Pool, PoolKind};
pub use reduce::{Reduce, Reduction};
pub use resample::Resample;
pub use reshape::{Constant, Reshape};
pub use shuffle::ChannelShuffle;
pub use softmax::Softmax;
pub use squeeze_excite::SqueezeExcite;
pub use unary::Unary;

pub(crate) use arithmetic::{broadcast, broadcast_index};

use crate::tensor::{Shape, Tensor};
use std::fmt;

/// One operation of a graph. A closed set: everything downstream matches on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The image batch that a run is given.
    Input(Shape),
    /// Convolution with optional bias, residual and activation.
    Conv2d(Conv2d),
    /// Fully connected layer.
    Linear(Linear),
    /// Batch normalisation as inference computes it.
    BatchNorm(BatchNorm),
    /// Pooling over windows.
    Pool(Pool),
    /// Pooling over whole planes.
    GlobalPool(GlobalPool),
    /// An activation function on its own.
    Activation(Act),
    /// Another function of one number.
    Unary(Unary),
    /// Sum of two values.
    Add(Add),
    /// Product of two values.
    Mul(Mul),
    /// Per-channel product with a gate, optional residual and activation.
    Scale(Scale),
    /// Channels of several values one after the other.
    Concat(Concat),
    /// Channels of the groups interleaved.
    ChannelShuffle(ChannelShuffle),
    /// The same elements under another shape.
    Reshape(Reshape),
    /// Numbers that are the same for every image.
    Constant(Constant),
    /// Two tensors, element by element.
    Arithmetic(Arithmetic),
    /// All elements along some axes made one.
    Reduce(Reduce),
    /// Axes in another order.
    Permute(Permute),
    /// Other positions along one axis.
    Resample(Resample),
    /// Product of matrices.
    MatMul(MatMul),
    /// Zeros around a map.
    Pad(Pad),
    /// Softmax over the features.
    Softmax(Softmax),
    /// Squeeze and excitation: from a map to its gate.
    SqueezeExcite(SqueezeExcite),
}

/// A parameter an op needs: its part of the tensor name, and its shape. Trailing dimensions of 1 don't matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    /// Last part of the tensor's name, e.g. `weight` or `fc1.bias`.
    pub role: &'static str,
    /// Shape as PyTorch has it.
    pub shape: Vec<usize>,
}

impl ParamSpec {
    pub(crate) fn new(role: &'static str, shape: impl Into<Vec<usize>>) -> Self {
        Self { role, shape: shape.into() }
    }
}

/// What each op's file provides. Inputs of `macs` and `reference` have passed `shape`.
pub(crate) trait Definition {
    /// Kind of the op in plans and messages.
    fn kind(&self) -> &'static str;
    /// Shape of the result, or what does not fit.
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String>;
    /// Parameters, in the order that `reference` takes them.
    fn params(&self, _inputs: &[Shape]) -> Vec<ParamSpec> {
        Vec::new()
    }
    /// Multiply-adds per image, as the field counts them: convolutions and fully connected layers.
    fn macs(&self, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }
    /// The formula, summing in `f64`.
    fn reference(&self, inputs: &[&Tensor], params: &[Tensor]) -> Tensor;
    /// Attributes for the text form, e.g. `3x3 stride 2`.
    fn attributes(&self) -> String {
        String::new()
    }
}

impl Op {
    pub(crate) fn definition(&self) -> &dyn Definition {
        match self {
            Self::Input(input) => input,
            Self::Conv2d(op) => op,
            Self::Linear(op) => op,
            Self::BatchNorm(op) => op,
            Self::Pool(op) => op,
            Self::GlobalPool(op) => op,
            Self::Activation(op) => op,
            Self::Unary(op) => op,
            Self::Add(op) => op,
            Self::Mul(op) => op,
            Self::Scale(op) => op,
            Self::Concat(op) => op,
            Self::ChannelShuffle(op) => op,
            Self::Reshape(op) => op,
            Self::Constant(op) => op,
            Self::Arithmetic(op) => op,
            Self::Reduce(op) => op,
            Self::Permute(op) => op,
            Self::Resample(op) => op,
            Self::MatMul(op) => op,
            Self::Pad(op) => op,
            Self::Softmax(op) => op,
            Self::SqueezeExcite(op) => op,
        }
    }

    /// Kind of the op: `conv2d`, `squeeze_excite`, …
    pub fn kind(&self) -> &'static str {
        self.definition().kind()
    }

    /// The op's activation in the same pass, where it has one.
    pub(crate) fn act(&self) -> Option<Act> {
        match self {
            Self::Conv2d(op) => Some(op.act),
            Self::Linear(op) => Some(op.act),
            Self::Add(op) => Some(op.act),
            Self::Scale(op) => Some(op.act),
            Self::BatchNorm(op) => Some(op.act),
            _ => None,
        }
    }

    /// All activations of the op.
    pub(crate) fn acts(&self) -> Vec<Act> {
        match self {
            Self::Activation(act) => vec![*act],
            Self::SqueezeExcite(op) => vec![op.hidden, op.gate],
            op => op.act().into_iter().collect(),
        }
    }

    /// The same op with `act` in the same pass, or `None` where the op has no room for one.
    pub(crate) fn with_act(&self, act: Act) -> Option<Self> {
        let mut op = self.clone();
        match &mut op {
            Self::Conv2d(op) => op.act = act,
            Self::Linear(op) => op.act = act,
            Self::Add(op) => op.act = act,
            Self::Scale(op) => op.act = act,
            Self::BatchNorm(op) => op.act = act,
            _ => return None,
        }
        Some(op)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = self.definition().attributes();
        f.write_str(self.kind())?;
        if attributes.is_empty() { Ok(()) } else { write!(f, " {attributes}") }
    }
}

/// A graph's input: its shape is the value's shape.
impl Definition for Shape {
    fn kind(&self) -> &'static str {
        "input"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 0)?;
        Ok(*self)
    }

    fn reference(&self, _inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        unreachable!("an input's value is given, not computed")
    }
}

/// Refuses any number of inputs but `count`.
fn expect_inputs(inputs: &[Shape], count: usize) -> Result<(), String> {
    if inputs.len() == count {
        return Ok(());
    }
    Err(format!("expects {count} input{}, has {}", if count == 1 { "" } else { "s" }, inputs.len()))
}

/// Refuses a gate that is not one number per channel of `x`.
fn expect_gate(x: Shape, gate: Shape) -> Result<(), String> {
    expect_channels(x)?;
    expect_channels(gate)?;
    if gate.channels() == x.channels() && gate.plane() == 1 {
        return Ok(());
    }
    Err(format!("expects a gate of {} channels for input {x}, gate is {gate}", x.channels()))
}

/// The one input, which must be a map.
fn expect_map(inputs: &[Shape]) -> Result<(usize, usize, usize), String> {
    expect_inputs(inputs, 1)?;
    map_dims(inputs[0])
}

fn map_dims(shape: Shape) -> Result<(usize, usize, usize), String> {
    match shape {
        Shape::Map { channels, height, width } => Ok((channels, height, width)),
        Shape::Vector { features } => Err(format!("expects a map [C,H,W], input is a vector of {features}")),
        Shape::Tensor(dims) => Err(format!("expects a map [C,H,W], input is a tensor {dims:?}")),
    }
}

/// Refuses a tensor where channels are wanted: only a single axis can be them.
fn expect_channels(shape: Shape) -> Result<(), String> {
    match shape {
        Shape::Tensor(dims) if dims.len() != 1 => {
            Err(format!("expects a map or a vector, input is a tensor {dims:?}: reshape it first"))
        }
        _ => Ok(()),
    }
}

/// Dimensions of a tensor or vector; a map must be reshaped first.
fn expect_tensor(shape: Shape) -> Result<Vec<usize>, String> {
    match shape {
        Shape::Map { .. } => Err(format!("expects a tensor, input is a map {shape}: reshape it first")),
        Shape::Vector { .. } | Shape::Tensor(_) => Ok(shape.dims()),
    }
}

/// Text of an attribute that is left out when it has its usual value.
fn unless<T: PartialEq + fmt::Display>(label: &str, value: T, usual: T) -> String {
    if value == usual { String::new() } else { format!(" {label} {value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_over_channels_refuse_tensors() {
        let (tensor, line) = (Shape::tensor(&[2, 3]), Shape::tensor(&[6]));
        let ops = [
            Op::BatchNorm(BatchNorm::default()),
            Op::GlobalPool(GlobalPool { kind: PoolKind::Max }),
            Op::Linear(Linear::new(4)),
            Op::SqueezeExcite(SqueezeExcite::new(2)),
        ];
        for op in ops {
            let message = op.definition().shape(&[tensor]).unwrap_err();
            assert_eq!(message, "expects a map or a vector, input is a tensor [2, 3]: reshape it first", "{op}");
            assert!(op.definition().shape(&[line]).is_ok(), "{op}");
        }
        let scale = Op::Scale(Scale::default());
        assert!(scale.definition().shape(&[tensor, Shape::vector(6)]).is_err());
        assert!(scale.definition().shape(&[Shape::map(6, 2, 2), tensor]).is_err());
        assert!(scale.definition().shape(&[Shape::map(6, 2, 2), line]).is_ok());
    }
}
