//! Other positions along one axis. Meaning `ops/resample.rs` · shader `shaders/tensor/resample.wgsl`

use super::image_stride;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::{Shader, invocations_for, params, shader, vec4s, word};
use crate::ops::Resample;
use crate::param::Param;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "tensor/resample",
    bindings: [read input, read position, read weight, read offset, write output],
    overrides: [WORKGROUP]
};
params! {
    inner: u32, size: u32, input_size: u32, taps: u32, elements: u32, vec4s: u32, input_stride: u32, count: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Resample) -> Result<()> {
    let (from, node) = (low.input_shape(id, 0), low.node(id));
    let dims = from.dims();
    let count = low.vec4_count(node.shape);
    let (overrides, workgroups) = invocations_for(count);
    let params = Params {
        inner: word(dims[op.axis + 1..].iter().product()),
        size: word(op.size),
        input_size: word(dims[op.axis]),
        taps: word(op.taps),
        elements: word(node.shape.len()),
        vec4s: vec4s(node.shape),
        input_stride: word(image_stride(from)),
        count,
    };
    let mut bindings = vec![("input", low.input(id, 0))];
    for (name, param) in ["position", "weight", "offset"].into_iter().zip(&node.params) {
        let elements = param.shape().iter().product();
        let line = Param::Reshaped { of: Box::new(param.clone()), shape: vec![elements] };
        bindings.push((name, low.weight(&[&line], Packing::Vector)?));
    }
    bindings.push(("output", low.define(id)?));
    let params = params.words();
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
