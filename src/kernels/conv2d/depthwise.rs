//! Depthwise convolution. Shader `shaders/conv2d/depthwise.wgsl`

use super::{bindings, epilogue, macs, side};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::shape::flatten;
use crate::kernels::{Shader, flag, params, shader, vec4s, word};
use crate::ops::Conv2d;
use crate::plan::{Fused, Lowering, StepSpec};
use crate::schedule::convolution::DepthwiseTiles;
use crate::schedule::{Convolution, Load};

pub(crate) const SHADER: Shader = shader! {
    "conv2d/depthwise",
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [INVOCATIONS_VEC4, INVOCATIONS_STRIP, INVOCATIONS, SLIDE, GATED, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    vec4s: u32, row_strips: u32, vec4_blocks: u32, strip_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32, channels: u32, groups: u32, run: u32,
}

pub(crate) fn lower(
    low: &mut Lowering,
    id: NodeId,
    op: &Conv2d,
    conv: &Convolution,
    tiles: &DepthwiseTiles,
) -> Result<()> {
    let (input, output, place) = (low.input_shape(id, 0), low.node(id).shape, low.place(id));
    let DepthwiseTiles { invocations: [wide, deep], run, vec4_blocks, strip_blocks } = *tiles;
    let count = low.images() * strip_blocks * vec4_blocks;
    let (source, groups) = match conv.load {
        Load::Shuffled { shuffle, groups } => (low.input(shuffle, 0), word(groups)),
        _ => (low.input(id, 0), 1),
    };
    let mut overrides = vec![("INVOCATIONS_VEC4", f64::from(wide)), ("INVOCATIONS_STRIP", f64::from(deep))];
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
        vec4s: vec4s(output),
        row_strips: word(output.width().div_ceil(4)),
        vec4_blocks,
        strip_blocks,
        count,
        output_stride: place.stride,
        output_offset: place.offset,
        channels: word(input.channels()),
        groups,
        run,
    }
    .words();
    let mut bindings = bindings(low, id, op, source, Packing::Depthwise)?;
    if op.gated() {
        bindings.push(("gate", flatten::unless_f32(low, id, 1)?));
    }
    let fused = Fused { side: side(low, id, conv)?, ..Fused::with(conv) };
    let macs = macs(low, id, op);
    let spec = StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs };
    low.step_with(id, spec, fused)
}
