//! Sums and products of two values. Meaning `ops/binary.rs` · shader `shaders/elementwise/binary.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, act_overrides, flag, invocations_for, params, shader};
use crate::ops::Act;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "elementwise/binary",
    bindings: [read a, read b, write output],
    halves: [a, b, output],
    overrides: [WORKGROUP, PRODUCT, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! { count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, product: bool, act: Act) -> Result<()> {
    let count = low.vec4_count(low.node(id).shape);
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.push(flag("PRODUCT", product));
    overrides.extend(act_overrides(act));
    let bindings = vec![("a", low.input(id, 0)), ("b", low.input(id, 1)), ("output", low.define(id)?)];
    let params = Params { count }.words();
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
