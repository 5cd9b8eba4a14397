//! Softmax. Meaning `ops/softmax.rs` · shader `shaders/softmax.wgsl` · proof `tests/gpu/cases/linear.rs`

use super::{Shader, params, quads, shader, word};
use crate::error::Result;
use crate::graph::NodeId;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "softmax",
    common: ["grid", "reduce"],
    bindings: [read input, write output],
    overrides: [WORKGROUP]
};
params! { features: u32, quads: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId) -> Result<()> {
    let shape = low.node(id).shape;
    let count = low.images();
    let params = Params { features: word(shape.channels()), quads: quads(shape), count }.words();
    let overrides = vec![("WORKGROUP", 64.0)];
    let bindings = vec![("input", low.input(id, 0)), ("output", low.define(id)?)];
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs: 0 })
}
