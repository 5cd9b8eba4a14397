//! Scale by the gates, with residual and activation. Shader `shaders/squeeze_excite/scale.wgsl`

use super::choice::Decision;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::conv2d::pointwise;
use crate::kernels::shape::flatten;
use crate::kernels::{LANES, Shader, act_overrides, flag, lanes_for, params, quads, shader, word};
use crate::ops::{Act, Conv2d, Op, Scale};
use crate::passes::Fusion;
use crate::plan::{Deferred, Family, Lowering, Slot, StepSpec};
use crate::tensor::Shape;

pub(crate) const SHADER: Shader = shader! {
    "squeeze_excite/scale",
    common: ["storage", "grid", "activation"],
    bindings: [read input, read gate, read residual, write output],
    halves: [input, residual, output],
    overrides: [WORKGROUP, PIXELS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! { plane: u32, quads: u32, strips: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Scale) -> Result<()> {
    let Decision { taken: left, why } = leave(low, id, op)?;
    low.note_scale(low.node(id).inputs[1], why);
    if left {
        let gate = flatten::unless_f32(low, id, 1)?;
        low.define(id)?;
        let [input, residual] = [0, 2].map(|index| low.input(id, index));
        low.defer(id, Deferred { input, gate, residual, act: op.act });
        return Ok(());
    }
    let gate = flatten::unless_f32(low, id, 1)?;
    let (input, residual) = (low.input(id, 0), op.residual.then(|| low.input(id, 2)));
    let output = low.define(id)?;
    step(low, id, "", op.act, [input, gate, residual.unwrap_or(input), output], op.residual)
}

/// The gated input of a convolution as a map of its own, for one that would scale it again and again.
pub(crate) fn lower_input(low: &mut Lowering, id: NodeId) -> Result<Slot> {
    let gate = flatten::unless_f32(low, id, 1)?;
    let output = low.scratch_map(id, "scaled", low.input_shape(id, 0))?;
    let input = low.input(id, 0);
    step(low, id, "scale", Act::Identity, [input, gate, input, output], false)?;
    Ok(output)
}

/// Binds input, gate, residual and output. Without a residual the slot holds the input, which the shader then does not
/// read again.
fn step(
    low: &mut Lowering,
    id: NodeId,
    part: &'static str,
    act: Act,
    bindings: [Slot; 4],
    residual: bool,
) -> Result<()> {
    let shape = low.input_shape(id, 0);
    let (plane, quads) = (word(shape.plane()), quads(shape));
    let strips = plane.div_ceil(pixels(low, shape));
    let count = low.images() * strips * quads;
    let (mut overrides, workgroups) = lanes_for(count);
    overrides.push(("PIXELS", f64::from(pixels(low, shape))));
    overrides.push(flag("RESIDUAL", residual));
    overrides.extend(act_overrides(act));
    let params = Params { plane, quads, strips, count }.words();
    let bindings = bindings.to_vec();
    low.step(id, StepSpec { part, shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}

/// Whether the scale is left to the convolution that reads it first, which computes and keeps it for all others.
fn leave(low: &Lowering, id: NodeId, op: &Scale) -> Result<Decision<bool>> {
    let what = match (op.residual, op.act) {
        (false, Act::Identity) => String::new(),
        (false, act) => format!(" with {act}"),
        (true, Act::Identity) => " with the residual".into(),
        (true, act) => format!(" with the residual and {act}"),
    };
    let pass = |why: &str| Decision { taken: false, why: format!("a pass of its own{what}: {why}") };
    let readers = low.readers(id);
    let Some(&first) = readers.iter().min() else { return Ok(pass("it is an output")) };
    let name = &low.node(first).name;
    if low.options.fusion != Fusion::Full {
        return Ok(pass(&format!("fusion is {}", low.options.fusion)));
    }
    let Some(conv) = reads_as_product(low, first) else {
        return Ok(pass(&format!("{name} reads it first and is no 1x1 convolution")));
    };
    if !op.residual {
        // Else the convolution has the gate: `passes/fuse_gate.rs`.
        return Ok(pass(if readers.len() > 1 { "several read it" } else { "an activation follows" }));
    }
    let Decision { taken, why } = pointwise::ends_block(low, first, conv)?;
    Ok(if taken { Decision { taken, why: format!("left to {name}: {why}") } } else { pass(&format!("{name}: {why}")) })
}

/// Whether it may be, as far as it doesn't depend on how the convolution is computed.
pub(super) fn may_be_left(low: &Lowering, id: NodeId) -> bool {
    let residual = matches!(&low.node(id).op, Op::Scale(op) if op.residual);
    let first = low.readers(id).iter().min().filter(|_| residual && low.family() == Family::Tiled);
    let conv = first.and_then(|&first| reads_as_product(low, first).map(|conv| (first, conv)));
    low.options.fusion == Fusion::Full && conv.is_some_and(|(first, conv)| pointwise::has_room(low, first, conv))
}

/// The 1x1 convolution that a node is.
fn reads_as_product<'a>(low: &Lowering<'a>, id: NodeId) -> Option<&'a Conv2d> {
    if let Op::Conv2d(conv) = &low.node(id).op { Some(conv).filter(|conv| conv.is_pointwise()) } else { None }
}

/// Pixels an invocation takes: as many as leave the adapter enough workgroups.
fn pixels(low: &Lowering, shape: Shape) -> u32 {
    let most = if low.family() == Family::Direct { 16 } else { 4 };
    let workgroups = |pixels: u32| (low.quad_count(shape) / pixels).div_ceil(LANES);
    [16, 8, 4, 2].into_iter().find(|&p| p <= most && workgroups(p) >= low.target.fill).unwrap_or(1)
}
