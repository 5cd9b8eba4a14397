//! Channel shuffle, a step of its own unless a depthwise convolution loads the channels in their new order.
//! Meaning `ops/shuffle.rs` · shader `shaders/shape/channel_shuffle.wgsl` · proof `tests/gpu/cases/shape.rs`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, invocations_for, params, shader, vec4s, word};
use crate::ops::ChannelShuffle;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/channel_shuffle",
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP]
};
params! { channels: u32, groups: u32, vec4s: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &ChannelShuffle) -> Result<()> {
    let shape = low.node(id).shape;
    let count = low.vec4_count(shape);
    let (overrides, workgroups) = invocations_for(count);
    let params = Params { channels: word(shape.channels()), groups: word(op.groups), vec4s: vec4s(shape), count };
    let bindings = vec![("input", low.input(id, 0)), ("output", low.define(id)?)];
    low.step(
        id,
        StepSpec { part: "", shader: &SHADER, overrides, params: params.words(), workgroups, bindings, macs: 0 },
    )
}
