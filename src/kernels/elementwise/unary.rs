//! Functions of one number. Meaning `ops/unary.rs` · shader `shaders/elementwise/unary.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, invocations_for, params, shader, vec4s, word};
use crate::ops::Unary;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "elementwise/unary",
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP, FUNCTION, EXPONENT]
};
params! { channels: u32, vec4s: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: Unary) -> Result<()> {
    let shape = low.node(id).shape;
    let count = low.vec4_count(shape);
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.push(("FUNCTION", op.code()));
    if let Unary::Power(exponent) = op {
        overrides.push(("EXPONENT", exponent.into()));
    }
    let bindings = vec![("input", low.input(id, 0)), ("output", low.define(id)?)];
    let params = Params { channels: word(shape.channels()), vec4s: vec4s(shape), count }.words();
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
