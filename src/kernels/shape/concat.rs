//! Concatenation: convolutions and pools write where their part belongs, other parts take a dispatch each.
//! Meaning `ops/concat.rs` · shader `shaders/shape/concat.wgsl` · proof `tests/gpu/cases/shape.rs`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, invocations_for, params, shader, vec4s, word};
use crate::plan::{Fused, Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/concat",
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP]
};
params! { channels: u32, width: u32, input_stride: u32, output_stride: u32, offset: u32, count: u32 }

/// Copies the parts of these indices, in order.
pub(crate) fn lower(low: &mut Lowering, id: NodeId, copied: &[usize]) -> Result<()> {
    let (shape, place) = (low.node(id).shape, low.place(id));
    let output = low.define(id)?;
    let parts = low.node(id).inputs.len();
    let mut offset = 0;
    for part in 0..parts {
        let input = low.input_shape(id, part);
        let channels = word(input.channels());
        if copied.contains(&part) {
            // The last part's rows reach to the end of the padding.
            let width = if part + 1 == parts { 4 * vec4s(shape) - offset } else { channels };
            let count = word(low.batch * shape.plane() * width as usize);
            let (overrides, workgroups) = invocations_for(count);
            let params = Params {
                channels,
                width,
                input_stride: 4 * vec4s(input),
                output_stride: 4 * place.stride,
                offset: 4 * place.offset + offset,
                count,
            }
            .words();
            let bindings = vec![("input", low.input(id, part)), ("output", output)];
            let bytes = low.stored(output).bytes() * u64::from(count);
            let spec = StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 };
            low.step_of_part(id, spec, bytes, Fused::default())?;
        }
        offset += channels;
    }
    Ok(())
}
