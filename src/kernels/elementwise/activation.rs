//! An activation on its own. Meaning `ops/activation.rs` · shader `shaders/elementwise/activation.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, act_overrides, invocations_for, params, shader};
use crate::ops::Act;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "elementwise/activation",
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! { count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, act: Act) -> Result<()> {
    let count = low.vec4_count(low.node(id).shape);
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.extend(act_overrides(act));
    let bindings = vec![("input", low.input(id, 0)), ("output", low.define(id)?)];
    let params = Params { count }.words();
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
