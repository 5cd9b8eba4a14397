//! Functions of one number. Meaning `ops/unary.rs` · shader `shaders/elementwise/unary.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, lanes_for, params, quads, shader, word};
use crate::ops::Unary;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "elementwise/unary",
    common: ["storage", "grid", "activation"],
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP, FUNCTION, EXPONENT]
};
params! { channels: u32, quads: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: Unary) -> Result<()> {
    let shape = low.node(id).shape;
    let count = low.quad_count(shape);
    let (mut overrides, workgroups) = lanes_for(count);
    overrides.push(("FUNCTION", op.code()));
    if let Unary::Power(exponent) = op {
        overrides.push(("EXPONENT", exponent.into()));
    }
    let bindings = vec![("input", low.input(id, 0)), ("output", low.define(id)?)];
    let params = Params { channels: word(shape.channels()), quads: quads(shape), count }.words();
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
