//! How every op runs: shader declarations, their `Params`, and the choice of variant and workgroups.
//!
//! `emit` turns one region of the schedule into steps of a plan. A kernel's Rust file, its WGSL and its label share one
//! name.

pub(crate) mod conv2d;
mod elementwise;
mod layout;
mod linear;
pub(crate) mod pack;
mod pool;
mod shader;
pub(crate) mod shape;
mod softmax;
pub(crate) mod squeeze_excite;
mod tensor;
mod variant;

pub use shader::{Access, Shader};
pub use variant::{AXES, Axis, LIB, Load, MatrixSize, Output, Reduce, Storage, Variant, Width};

pub(crate) use layout::unpack_output;
pub(crate) use shader::{BLOCK, PARTIALS, params, shader};

use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::{Act, Op};
use crate::plan::Lowering;
use crate::schedule::{Region, Work};
use crate::tensor::Shape;

/// Every shader of the crate: what `tests/host/shaders.rs` checks against the files.
pub const SHADERS: &[&Shader] = &[
    &conv2d::combine::SHADER,
    &conv2d::depthwise::SHADER,
    &conv2d::general::DIRECT,
    &conv2d::general::TILED,
    &conv2d::pointwise::DIRECT,
    &conv2d::pointwise::TILED,
    &conv2d::winograd::INPUT,
    &conv2d::winograd::OUTPUT,
    &elementwise::activation::SHADER,
    &elementwise::batch_norm::SHADER,
    &elementwise::binary::SHADER,
    &elementwise::unary::SHADER,
    &layout::PACK,
    &layout::pixels::PACK,
    &layout::UNPACK,
    &linear::SHADER,
    &pool::SHADER,
    &shape::channel_shuffle::SHADER,
    &shape::concat::SHADER,
    &shape::flatten::SHADER,
    &shape::pad::SHADER,
    &softmax::SHADER,
    &squeeze_excite::block::SHADER,
    &squeeze_excite::dense::SCALE,
    &squeeze_excite::dense::SQUEEZE,
    &squeeze_excite::excite::EXCITE,
    &squeeze_excite::excite::EXPAND,
    &squeeze_excite::excite::REDUCE,
    &squeeze_excite::scale::SHADER,
    &squeeze_excite::scaled_pool::SHADER,
    &squeeze_excite::squeeze::SHADER,
    &squeeze_excite::strided::SCALE,
    &squeeze_excite::strided::SQUEEZE,
    &tensor::arithmetic::SHADER,
    &tensor::copy::SHADER,
    &tensor::matmul::SHADER,
    &tensor::reduce::SHADER,
    &tensor::resample::SHADER,
];

/// Adds the steps of a region.
pub(crate) fn emit(low: &mut Lowering, region: &Region) -> Result<()> {
    let id = region.anchor;
    match (&region.work, &low.node(id).op) {
        (Work::Input, _) => layout::pack_input(low, id),
        (Work::Plain, op) => emit_plain(low, id, op),
        (Work::Convolution(conv), Op::Conv2d(op)) => conv2d::lower(low, id, op, conv),
        (Work::Filters, Op::Conv2d(op)) => linear::lower_filters(low, id, op.act),
        (Work::Concat { copied }, _) => shape::concat::lower(low, id, copied),
        (Work::Excitation { squeeze, variant, shares }, Op::SqueezeExcite(op)) => {
            squeeze_excite::lower(low, id, op, squeeze, *variant, *shares)
        }
        (Work::Pool { squeeze }, Op::GlobalPool(op)) => {
            squeeze_excite::squeeze::lower_global_pool(low, id, op, squeeze)
        }
        (Work::SeBlock { se }, Op::Scale(op)) => squeeze_excite::block::lower(low, id, op, *se),
        (Work::PoolEnd { se, scale, squeeze }, Op::GlobalPool(op)) => {
            squeeze_excite::scaled_pool::lower(low, id, op, [*se, *scale], squeeze)
        }
        (work, op) => unreachable!("no rule makes {work:?} of {}", op.kind()),
    }
}

/// Adds the steps of an op that nothing is fused with.
fn emit_plain(low: &mut Lowering, id: NodeId, op: &Op) -> Result<()> {
    match op {
        Op::Input(_) | Op::Conv2d(_) | Op::SqueezeExcite(_) | Op::GlobalPool(_) => {
            unreachable!("{} has work of its own", op.kind())
        }
        Op::Linear(op) => linear::lower(low, id, op),
        Op::BatchNorm(op) => elementwise::batch_norm::lower(low, id, op),
        Op::Pool(op) => pool::lower(low, id, op),
        Op::Activation(op) => elementwise::activation::lower(low, id, *op),
        Op::Unary(op) => elementwise::unary::lower(low, id, *op),
        Op::Add(op) => elementwise::binary::lower(low, id, false, op.act),
        Op::Mul(_) => elementwise::binary::lower(low, id, true, Act::Identity),
        Op::Scale(op) => squeeze_excite::scale::lower(low, id, op),
        Op::Concat(op) => tensor::copy::lower_concat(low, id, op),
        Op::ChannelShuffle(op) => shape::channel_shuffle::lower(low, id, op),
        Op::Reshape(_) => shape::lower_reshape(low, id),
        Op::Constant(_) => tensor::copy::lower_constant(low, id),
        Op::Arithmetic(op) => tensor::arithmetic::lower(low, id, *op),
        Op::Reduce(op) => tensor::reduce::lower(low, id, op),
        Op::Permute(op) => tensor::copy::lower_permute(low, id, op),
        Op::Resample(op) => tensor::resample::lower(low, id, op),
        Op::MatMul(_) => tensor::matmul::lower(low, id),
        Op::Pad(op) => shape::pad::lower(low, id, op),
        Op::Softmax(_) => softmax::lower(low, id),
    }
}

/// Channel vec4s of a value: channels rounded up to 4, by 4.
pub(crate) fn vec4s(shape: Shape) -> u32 {
    word(shape.channels().div_ceil(4))
}

/// A size as the shaders have it. Values stay below the adapter's binding size, far below 2^32 elements.
pub(crate) fn word(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Invocations of the kernels that give each invocation one vec4.
pub(crate) const INVOCATIONS: u32 = 64;

/// Invocations of a software adapter's vectors. Where a workgroup has a barrier, each vector of it is a coroutine there.
pub(crate) const VECTOR: u32 = 8;

/// Override of an invocation count, and workgroups for `count` invocations.
fn invocations_for(count: u32) -> (Vec<(&'static str, f64)>, u32) {
    (vec![("WORKGROUP", f64::from(INVOCATIONS))], count.div_ceil(INVOCATIONS))
}

/// Overrides of an activation under the usual names.
fn act_overrides(act: Act) -> impl Iterator<Item = (&'static str, f64)> {
    act_overrides_as(["ACT", "ACT_A", "ACT_B", "ACT_C", "ACT_D"], act)
}

/// Overrides of an activation: its code, and only the numbers that it takes, so that equal functions share a pipeline.
fn act_overrides_as(names: [&'static str; 5], act: Act) -> impl Iterator<Item = (&'static str, f64)> {
    let numbers = act.numbers().into_iter().map(f64::from);
    names.into_iter().zip(std::iter::once(act.code()).chain(numbers))
}

/// Override of a switch.
fn flag(name: &'static str, on: bool) -> (&'static str, f64) {
    (name, f64::from(u8::from(on)))
}
