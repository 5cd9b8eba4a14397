//! Pooling over windows. Meaning `ops/pool.rs` · shader `shaders/pool/window.wgsl` · proof `tests/gpu/cases/pool.rs`

use super::{Shader, flag, invocations_for, params, shader, vec4s, word};
use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::{Pool, PoolKind};
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "pool/window",
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP, MAX, COUNT_PAD]
};
params! {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, bottom: u32, left: u32,
    right: u32, vec4s: u32, count: u32, output_stride: u32, output_offset: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Pool) -> Result<()> {
    let (input, output, place) = (low.input_shape(id, 0), low.node(id).shape, low.place(id));
    let count = low.vec4_count(output);
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.push(flag("MAX", op.kind == PoolKind::Max));
    overrides.push(flag("COUNT_PAD", op.count_include_pad));
    let params = Params {
        height: word(input.height()),
        width: word(input.width()),
        out_height: word(output.height()),
        out_width: word(output.width()),
        kernel_height: word(op.kernel[0]),
        kernel_width: word(op.kernel[1]),
        stride_height: word(op.stride[0]),
        stride_width: word(op.stride[1]),
        dilation_height: word(op.dilation[0]),
        dilation_width: word(op.dilation[1]),
        top: word(op.padding.top),
        bottom: word(op.padding.bottom),
        left: word(op.padding.left),
        right: word(op.padding.right),
        vec4s: vec4s(output),
        count,
        output_stride: place.stride,
        output_offset: place.offset,
    };
    let bindings = vec![("input", low.input(id, 0)), ("output", low.define(id)?)];
    low.step(
        id,
        StepSpec { part: "", shader: &SHADER, overrides, params: params.words(), workgroups, bindings, macs: 0 },
    )
}
