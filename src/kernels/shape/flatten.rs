//! A map as a vector. Meaning `ops/reshape.rs` · shader `shaders/shape/flatten.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, lanes_for, params, quads, shader, word};
use crate::plan::{Lowering, Slot, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/flatten",
    common: ["storage", "grid"],
    bindings: [read input, write output],
    overrides: [WORKGROUP]
};
params! { features: u32, plane: u32, input_quads: u32, quads: u32, count: u32 }

/// Writes the node's input, a map, into `output` as a vector.
pub(super) fn lower(low: &mut Lowering, id: NodeId, output: Slot) -> Result<()> {
    let input = low.input_shape(id, 0);
    let quads_of_vector = word(input.len().div_ceil(4));
    let count = low.images() * quads_of_vector;
    let (overrides, workgroups) = lanes_for(count);
    let params = Params {
        features: word(input.len()),
        plane: word(input.plane()),
        input_quads: quads(input),
        quads: quads_of_vector,
        count,
    };
    let bindings = vec![low.input(id, 0), output];
    let params = params.words();
    low.step(id, StepSpec { part: "flatten", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
