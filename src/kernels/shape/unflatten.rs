//! A vector as a map. Meaning `ops/reshape.rs` · shader `shaders/shape/unflatten.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, lanes_for, params, quads, shader, word};
use crate::plan::{Lowering, Slot, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/unflatten",
    common: ["grid"],
    bindings: [read input, write output],
    overrides: [WORKGROUP]
};
params! { channels: u32, plane: u32, input_stride: u32, quads: u32, count: u32 }

/// Makes the node's map of a vector of as many elements.
pub(super) fn lower(low: &mut Lowering, id: NodeId, input: Slot) -> Result<()> {
    let shape = low.node(id).shape;
    let count = low.quad_count(shape);
    let (overrides, workgroups) = lanes_for(count);
    let params = Params {
        channels: word(shape.channels()),
        plane: word(shape.plane()),
        input_stride: word(shape.len().next_multiple_of(4)),
        quads: quads(shape),
        count,
    };
    let bindings = vec![input, low.define(id)?];
    let params = params.words();
    low.step(id, StepSpec { part: "unflatten", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
