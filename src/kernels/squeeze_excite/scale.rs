//! Scale by the gates, with residual and activation. Shader `shaders/squeeze_excite/scale.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, act_overrides, flag, lanes_for, params, quads, shader, word};
use crate::ops::Scale;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! { "squeeze_excite/scale", common: ["grid", "activation"],
    bindings: [read input, read gate, read residual, write output], overrides: [WORKGROUP, RESIDUAL, ACT, SLOPE] };
params! { plane: u32, quads: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Scale) -> Result<()> {
    let shape = low.node(id).shape;
    let count = low.quad_count(shape);
    let (mut overrides, workgroups) = lanes_for(count);
    overrides.push(flag("RESIDUAL", op.residual));
    overrides.extend(act_overrides(op.act));
    // Without a residual the slot holds the input, which the shader then does not read again.
    let residual = low.input(id, if op.residual { 2 } else { 0 });
    let bindings = vec![low.input(id, 0), low.input(id, 1), residual, low.define(id)?];
    let params = Params { plane: word(shape.plane()), quads: quads(shape), count }.words();
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
