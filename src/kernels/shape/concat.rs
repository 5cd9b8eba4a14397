//! Concatenation: one dispatch a part. Meaning `ops/concat.rs` · shader `shaders/shape/concat.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, lanes_for, params, quads, shader, word};
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/concat",
    common: ["storage", "grid"],
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP]
};
params! { channels: u32, width: u32, input_stride: u32, output_stride: u32, offset: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId) -> Result<()> {
    let shape = low.node(id).shape;
    let output_stride = 4 * quads(shape);
    let output = low.define(id)?;
    let parts = low.node(id).inputs.len();
    let mut offset = 0;
    for part in 0..parts {
        let input = low.input_shape(id, part);
        let channels = word(input.channels());
        // The last part's rows reach to the end of the padding.
        let width = if part + 1 == parts { output_stride - offset } else { channels };
        let count = word(low.batch * shape.plane() * width as usize);
        let (overrides, workgroups) = lanes_for(count);
        let params = Params { channels, width, input_stride: 4 * quads(input), output_stride, offset, count }.words();
        let bindings = vec![low.input(id, part), output];
        low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })?;
        offset += channels;
    }
    Ok(())
}
