//! Depthwise convolution. Shader `shaders/conv2d/depthwise.wgsl`

use super::{bindings, epilogue, macs};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::{Shader, lanes_for, params, quads, shader, word};
use crate::ops::Conv2d;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "conv2d/depthwise",
    common: ["grid", "activation", "epilogue"],
    bindings: [read input, read weight, read bias, read residual, write output],
    overrides: [WORKGROUP, RESIDUAL, ACT, SLOPE]
};
params! {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    quads: u32, strips: u32, count: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d) -> Result<()> {
    let (input, output) = (low.input_shape(id, 0), low.node(id).shape);
    let strips = word(output.width().div_ceil(4));
    let count = low.images() * word(output.height()) * strips * quads(output);
    let (mut overrides, workgroups) = lanes_for(count);
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
        strips,
        count,
    }
    .words();
    let bindings = bindings(low, id, op, Packing::Depthwise)?;
    let macs = macs(low, id, op);
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs })
}
