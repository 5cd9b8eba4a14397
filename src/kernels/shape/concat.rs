//! Concatenation: convolutions and pools write where their part belongs, other parts take a dispatch each.
//! Meaning `ops/concat.rs` · shader `shaders/shape/concat.wgsl` · proof `tests/gpu/cases/shape.rs`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, conv2d, lanes_for, params, quads, shader, word};
use crate::ops::Op;
use crate::passes::Fusion;
use crate::plan::{Lowering, StepSpec};
use crate::tensor::Shape;

pub(crate) const SHADER: Shader = shader! {
    "shape/concat",
    common: ["storage", "grid"],
    bindings: [read input, write output],
    halves: [input, output],
    overrides: [WORKGROUP]
};
params! { channels: u32, width: u32, input_stride: u32, output_stride: u32, offset: u32, count: u32 }

/// Where in a map the kernel of a node writes: `stride` quads a pixel, its own from `offset` on.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The node whose map it is.
    pub whole: NodeId,
    pub stride: u32,
    pub offset: u32,
}

/// Where a node's value lies: in that of the concatenation that reads it, or by itself.
pub(crate) fn place(low: &Lowering, id: NodeId) -> Place {
    let Some((whole, channel)) = low.concat_part(id) else {
        return Place { whole: id, stride: quads(low.node(id).shape), offset: 0 };
    };
    let place = place(low, whole);
    Place { offset: place.offset + channel / 4, ..place }
}

/// Of every node, the concatenation of which its value is a part, and the first channel there: where its kernel can write there,
/// whole quads are in front of it, and nobody else wants the value. What its last quad has beyond the part, the next part
/// writes over: it begins inside a quad, so it is copied, and that is after all kernels that write where they belong.
pub(crate) fn parts(low: &Lowering) -> Vec<Option<(NodeId, u32)>> {
    let mut parts = vec![None; low.graph.nodes().len()];
    for whole in low.graph.ids() {
        let node = low.node(whole);
        if !matches!((&node.op, node.shape), (Op::Concat(_), Shape::Map { .. })) || low.options.fusion != Fusion::Full {
            continue;
        }
        let mut channel = 0;
        for &input in &node.inputs {
            let written = match &low.node(input).op {
                Op::Conv2d(op) => !conv2d::is_linear(op, low.input_shape(input, 0)),
                Op::Pool(_) | Op::Concat(_) => true,
                _ => false,
            };
            let alone = low.readers(input).len() == 1 && !low.graph.is_output(input);
            if written && alone && channel % 4 == 0 {
                parts[input.index()] = Some((whole, word(channel)));
            }
            channel += low.node(input).shape.channels();
        }
    }
    parts
}

/// Copies the parts that don't lie where they belong.
pub(crate) fn lower(low: &mut Lowering, id: NodeId) -> Result<()> {
    let (shape, place) = (low.node(id).shape, place(low, id));
    let output = low.define(id)?;
    let parts = low.node(id).inputs.len();
    let mut offset = 0;
    for part in 0..parts {
        let input = low.input_shape(id, part);
        let channels = word(input.channels());
        if low.concat_part(low.node(id).inputs[part]).is_none() {
            // The last part's rows reach to the end of the padding.
            let width = if part + 1 == parts { 4 * quads(shape) - offset } else { channels };
            let count = word(low.batch * shape.plane() * width as usize);
            let (overrides, workgroups) = lanes_for(count);
            let params = Params {
                channels,
                width,
                input_stride: 4 * quads(input),
                output_stride: 4 * place.stride,
                offset: 4 * place.offset + offset,
                count,
            }
            .words();
            let bindings = vec![low.input(id, part), output];
            let bytes = low.stored(output).bytes() * u64::from(count);
            let spec = StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 };
            low.step_of_part(id, spec, bytes, false)?;
        }
        offset += channels;
    }
    Ok(())
}
