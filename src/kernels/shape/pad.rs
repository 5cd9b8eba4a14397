//! Zeros around a map, or less of it. Meaning `ops/pad.rs` · shader `shaders/shape/pad.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, invocations_for, params, shader, vec4s, word};
use crate::ops::Pad;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/pad",
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP]
};
params! { height: u32, width: u32, out_height: u32, out_width: u32, top: u32, left: u32, vec4s: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Pad) -> Result<()> {
    let (input, output) = (low.input_shape(id, 0), low.node(id).shape);
    let count = low.vec4_count(output);
    let (overrides, workgroups) = invocations_for(count);
    let params = Params {
        height: word(input.height()),
        width: word(input.width()),
        out_height: word(output.height()),
        out_width: word(output.width()),
        // The shader's arithmetic wraps, so that a negative number cuts off.
        top: op.top as u32,
        left: op.left as u32,
        vec4s: vec4s(output),
        count,
    };
    let bindings = vec![("input", low.input(id, 0)), ("output", low.define(id)?)];
    low.step(
        id,
        StepSpec { part: "", shader: &SHADER, overrides, params: params.words(), workgroups, bindings, macs: 0 },
    )
}
