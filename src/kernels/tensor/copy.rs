//! Elements from one place to another: other orders of axes, parts of a concatenation, constants.
//! Meaning `ops/{permute,concat,reshape}.rs` · shader `shaders/tensor/copy.wgsl`

use super::{Axis, image_stride, merged, strides, words};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::{Shader, invocations_for, params, shader, word};
use crate::ops::{Concat, Permute};
use crate::param::Param;
use crate::plan::{Lowering, Slot, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "tensor/copy",
    bindings: [read input, write output],
    overrides: [WORKGROUP]
};
params! {
    axes: [[u32; 4]; 6],
    rank: u32, elements: u32, padding: u32, input_stride: u32, output_stride: u32, offset: u32, count: u32,
}

/// What one step copies.
struct Part {
    input: Slot,
    /// Elements from one image of the input to the next; 0 where all images read the same.
    input_stride: usize,
    /// Strides in the input, then in the output.
    axes: Vec<Axis>,
    /// Where the part begins in an image of the output.
    offset: usize,
    /// Whether the output is whole now, but for the zeros behind its images.
    last: bool,
}

fn step(low: &mut Lowering, id: NodeId, output: Slot, part: Part) -> Result<()> {
    let shape = low.node(id).shape;
    let elements: usize = part.axes.iter().map(|axis| axis[0]).product();
    let padding = if part.last { image_stride(shape) - shape.len() } else { 0 };
    let count = word(low.batch * (elements + padding));
    let (overrides, workgroups) = invocations_for(count);
    let axes = merged(part.axes);
    let params = Params {
        axes: words(&axes),
        rank: word(axes.len()),
        elements: word(elements),
        padding: word(padding),
        input_stride: word(part.input_stride),
        output_stride: word(image_stride(shape)),
        offset: word(part.offset),
        count,
    };
    let (params, bindings) = (params.words(), vec![("input", part.input), ("output", output)]);
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}

/// No step at all where only axes of size 1 change their places.
pub(crate) fn lower_permute(low: &mut Lowering, id: NodeId, op: &Permute) -> Result<()> {
    let from = low.input_shape(id, 0);
    let dims = from.dims();
    if op.order.iter().filter(|&&axis| dims[axis] != 1).is_sorted() {
        low.alias(id);
        return Ok(());
    }
    let to = strides(&low.node(id).shape.dims());
    let from_strides = strides(&dims);
    let axes = op.order.iter().zip(to).map(|(&axis, to)| [dims[axis], from_strides[axis], to, 0]).collect();
    let (input, output) = (low.input(id, 0), low.define(id)?);
    step(low, id, output, Part { input, input_stride: image_stride(from), axes, offset: 0, last: true })
}

/// One step a part.
pub(crate) fn lower_concat(low: &mut Lowering, id: NodeId, op: &Concat) -> Result<()> {
    let to = strides(&low.node(id).shape.dims());
    let output = low.define(id)?;
    let parts = low.node(id).inputs.len();
    let mut first = 0;
    for part in 0..parts {
        let from = low.input_shape(id, part);
        let dims = from.dims();
        let axes = (0..dims.len()).map(|i| [dims[i], strides(&dims)[i], to[i], 0]).collect();
        let (offset, last) = (first * to[op.axis], part + 1 == parts);
        let input = low.input(id, part);
        step(low, id, output, Part { input, input_stride: image_stride(from), axes, offset, last })?;
        first += dims[op.axis];
    }
    Ok(())
}

/// The same for every image.
pub(crate) fn lower_constant(low: &mut Lowering, id: NodeId) -> Result<()> {
    let node = low.node(id);
    let elements = node.shape.len();
    let value = Param::Reshaped { of: Box::new(node.params[0].clone()), shape: vec![elements] };
    let input = low.weight(&[&value], Packing::Vector)?;
    let output = low.define(id)?;
    step(low, id, output, Part { input, input_stride: 0, axes: vec![[elements, 1, 1, 0]], offset: 0, last: true })
}
