//! A map as a vector. Meaning `ops/concat.rs` · shader `shaders/shape/flatten.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, lanes_for, params, quads, shader, word};
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/flatten",
    common: ["grid"],
    bindings: [read input, write output],
    overrides: [WORKGROUP]
};
params! { features: u32, plane: u32, input_quads: u32, quads: u32, count: u32 }

/// No step at all for a 1x1 map: its bytes are the vector's.
pub(crate) fn lower(low: &mut Lowering, id: NodeId) -> Result<()> {
    let (input, output) = (low.input_shape(id, 0), low.node(id).shape);
    if input.plane() == 1 {
        low.alias(id);
        return Ok(());
    }
    let count = low.quad_count(output);
    let (overrides, workgroups) = lanes_for(count);
    let params = Params {
        features: word(output.channels()),
        plane: word(input.plane()),
        input_quads: quads(input),
        quads: quads(output),
        count,
    };
    let bindings = vec![low.input(id, 0), low.define(id)?];
    low.step(
        id,
        StepSpec { part: "", shader: &SHADER, overrides, params: params.words(), workgroups, bindings, macs: 0 },
    )
}
