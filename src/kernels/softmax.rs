//! Softmax. Meaning `ops/softmax.rs` · shader `shaders/softmax.wgsl` · proof `tests/gpu/cases/linear.rs`

use super::{Shader, params, shader, vec4s, word};
use crate::error::Result;
use crate::graph::NodeId;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "softmax",
    bindings: [read input, write output],
    overrides: [WORKGROUP]
};
params! { features: u32, vec4s: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId) -> Result<()> {
    let shape = low.node(id).shape;
    let count = low.images();
    let params = Params { features: word(shape.channels()), vec4s: vec4s(shape), count }.words();
    let overrides = vec![("WORKGROUP", 64.0)];
    let bindings = vec![("input", low.input(id, 0)), ("output", low.define(id)?)];
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs: 0 })
}
