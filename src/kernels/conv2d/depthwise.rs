//! Depthwise convolution. Shader `shaders/conv2d/depthwise.wgsl`

use super::choice::depthwise_quads;
use super::{Choice, bindings, epilogue, macs};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::shape::{channel_shuffle, concat, flatten};
use crate::kernels::squeeze_excite::squeeze;
use crate::kernels::{Shader, VECTOR, flag, params, quads, shader, word};
use crate::ops::Conv2d;
use crate::plan::{Also, Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "conv2d/depthwise",
    common: ["storage", "floats", "loads", "shuffle", "grid", "activation", "epilogue", "unscaled", "squeeze"],
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [LANES_QUAD, LANES_STRIP, LANES, SLIDE, GATED, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    quads: u32, row_strips: u32, quad_blocks: u32, strip_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32, channels: u32, groups: u32, run: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d, choice: Choice) -> Result<()> {
    let (input, output, place) = (low.input_shape(id, 0), low.node(id).shape, concat::place(low, id));
    let row_strips = word(output.width().div_ceil(4));
    let strips = word(output.height()) * row_strips;
    let Choice::Depthwise { lanes } = choice else { unreachable!("no candidate here") };
    let wide = depthwise_quads(output, lanes);
    let quad_blocks = quads(output).div_ceil(wide);
    let deep = (lanes / wide).min(strips.next_power_of_two());
    let run = if lanes == VECTOR { run(strips.div_ceil(deep), quad_blocks * low.images(), low.target.fill) } else { 1 };
    let strip_blocks = strips.div_ceil(deep * run);
    let count = low.images() * strip_blocks * quad_blocks;
    let mut overrides = vec![("LANES_QUAD", f64::from(wide)), ("LANES_STRIP", f64::from(deep))];
    let [stride, dilation] = [op.stride[1], op.dilation[1]];
    let slide = [1, 2].into_iter().find(|taps| taps * dilation == stride).unwrap_or(0);
    overrides.extend([("SLIDE", slide as f64), flag("GATED", op.gated())]);
    overrides.extend(epilogue(op));
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
        left: word(op.padding.left),
        quads: quads(output),
        row_strips,
        quad_blocks,
        strip_blocks,
        count,
        output_stride: place.stride,
        output_offset: place.offset,
        channels: word(input.channels()),
        groups: channel_shuffle::in_front_of(low, id).map_or(1, |shuffle| word(shuffle.groups)),
        run,
    }
    .words();
    let mut bindings = bindings(low, id, op, Packing::Depthwise)?;
    bindings.push(if op.gated() {
        low.note_scale(low.node(id).inputs[1], format!("on load of {}", low.node(id).name));
        flatten::unless_f32(low, id, 1)?
    } else {
        bindings[2]
    });
    let also = Also::sums(squeeze::in_parts(low, id, strip_blocks)?);
    let macs = macs(low, id, op);
    low.step_and(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs }, also)
}

/// Strips, or tiles, that a lane of a single vector computes, of so many: its sums, kept in registers, are then of as many pixels and as few
/// as leave the adapter `fill` workgroups, where there are `columns` for each run.
pub(super) fn run(strips: u32, columns: u32, fill: u32) -> u32 {
    let blocks = fill.div_ceil(columns).min(strips);
    strips.div_ceil(blocks)
}
