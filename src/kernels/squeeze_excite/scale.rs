//! Scale by the gates, with residual and activation. Shader `shaders/squeeze_excite/scale.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::shape::flatten;
use crate::kernels::{INVOCATIONS, Shader, act_overrides, flag, invocations_for, params, shader, vec4s, word};
use crate::ops::{Act, Scale};
use crate::plan::{Bindings, Family, Lowering, Slot, StepSpec};
use crate::tensor::Shape;

pub(crate) const SHADER: Shader = shader! {
    "squeeze_excite/scale",
    bindings: [read input, read gate, read residual, write output],
    halves: [input, residual, output],
    overrides: [WORKGROUP, PIXELS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! { plane: u32, vec4s: u32, strips: u32, count: u32 }

/// The scale in a dispatch of its own.
pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Scale) -> Result<()> {
    let gate = flatten::unless_f32(low, id, 1)?;
    let mut bindings = vec![("input", low.input(id, 0)), ("gate", gate), ("output", low.define(id)?)];
    bindings.extend(op.residual.then(|| ("residual", low.input(id, 2))));
    step(low, id, "", op.act, bindings, op.residual)
}

/// The gated input of a convolution as a map of its own, for one that would scale it again and again.
pub(crate) fn lower_input(low: &mut Lowering, id: NodeId) -> Result<Slot> {
    let gate = flatten::unless_f32(low, id, 1)?;
    let output = low.scratch_map(id, "scaled", low.input_shape(id, 0))?;
    let bindings = vec![("input", low.input(id, 0)), ("gate", gate), ("output", output)];
    step(low, id, "scale", Act::Identity, bindings, false)?;
    Ok(output)
}

/// The dispatch of a scale.
fn step(
    low: &mut Lowering,
    id: NodeId,
    part: &'static str,
    act: Act,
    bindings: Bindings,
    residual: bool,
) -> Result<()> {
    let shape = low.input_shape(id, 0);
    let (plane, vec4s) = (word(shape.plane()), vec4s(shape));
    let strips = plane.div_ceil(pixels(low, shape));
    let count = low.images() * strips * vec4s;
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.push(("PIXELS", f64::from(pixels(low, shape))));
    overrides.push(flag("RESIDUAL", residual));
    overrides.extend(act_overrides(act));
    let params = Params { plane, vec4s, strips, count }.words();
    low.step(id, StepSpec { part, shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}

/// Pixels an invocation takes: as many as leave the adapter enough workgroups.
fn pixels(low: &Lowering, shape: Shape) -> u32 {
    let most = if low.family() == Family::Direct { 16 } else { 4 };
    let workgroups = |pixels: u32| (low.vec4_count(shape) / pixels).div_ceil(INVOCATIONS);
    [16, 8, 4, 2].into_iter().find(|&p| p <= most && workgroups(p) >= low.target.fill).unwrap_or(1)
}
