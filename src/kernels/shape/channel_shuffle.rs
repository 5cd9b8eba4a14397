//! Channel shuffle, a step of its own unless a depthwise convolution loads the channels in their new order.
//! Meaning `ops/shuffle.rs` · shader `shaders/shape/channel_shuffle.wgsl` · proof `tests/gpu/cases/shape.rs`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::conv2d::{self, Kind};
use crate::kernels::{Shader, lanes_for, params, quads, shader, word};
use crate::ops::{ChannelShuffle, Op};
use crate::passes::Fusion;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/channel_shuffle",
    common: ["storage", "grid"],
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP]
};
params! { channels: u32, groups: u32, quads: u32, count: u32 }

/// The shuffle that a node does while it loads: its input's, where nobody else reads it. Only depthwise convolutions do:
/// they load an element once a tap. Others load it for every column of their tiles as well, and four numbers from four
/// places are four loads.
pub(crate) fn in_front_of<'a>(low: &Lowering<'a>, id: NodeId) -> Option<&'a ChannelShuffle> {
    let Op::Conv2d(conv) = &low.node(id).op else { return None };
    let source = low.node(id).inputs[0];
    let Op::ChannelShuffle(shuffle) = &low.node(source).op else { return None };
    let depthwise = conv2d::kind(conv, low.node(source).shape) == Some(Kind::Depthwise);
    let alone = low.readers(source) == [id] && !low.graph.is_output(source);
    (depthwise && alone && low.options.fusion == Fusion::Full).then_some(shuffle)
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &ChannelShuffle) -> Result<()> {
    if low.readers(id).iter().any(|&reader| in_front_of(low, reader).is_some()) {
        low.alias(id);
        return Ok(());
    }
    let shape = low.node(id).shape;
    let count = low.quad_count(shape);
    let (overrides, workgroups) = lanes_for(count);
    let params = Params { channels: word(shape.channels()), groups: word(op.groups), quads: quads(shape), count };
    let bindings = vec![low.input(id, 0), low.define(id)?];
    low.step(
        id,
        StepSpec { part: "", shader: &SHADER, overrides, params: params.words(), workgroups, bindings, macs: 0 },
    )
}
