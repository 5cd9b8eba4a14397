//! Two tensors, element by element. Meaning `ops/arithmetic.rs` · shader `shaders/tensor/arithmetic.wgsl`

use super::{broadcast_strides, image_stride, merged, words};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, invocations_for, params, shader, vec4s, word};
use crate::ops::Arithmetic;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "tensor/arithmetic",
    bindings: [read a, read b, write output],
    overrides: [WORKGROUP, FUNCTION]
};
params! { axes: [[u32; 4]; 6], rank: u32, elements: u32, vec4s: u32, a_stride: u32, b_stride: u32, count: u32 }

/// Number of the function in the shader.
fn code(op: Arithmetic) -> f64 {
    match op {
        Arithmetic::Add => 0.0,
        Arithmetic::Sub => 1.0,
        Arithmetic::Mul => 2.0,
        Arithmetic::Div => 3.0,
        Arithmetic::Pow => 4.0,
        Arithmetic::Min => 5.0,
        Arithmetic::Max => 6.0,
        Arithmetic::Equal => 7.0,
        Arithmetic::Less => 8.0,
        Arithmetic::Mask => 9.0,
    }
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: Arithmetic) -> Result<()> {
    let shape = low.node(id).shape;
    let [a, b] = [0, 1].map(|index| low.input_shape(id, index));
    let dims = shape.dims();
    let strides = [a, b].map(|shape| broadcast_strides(&shape.dims(), dims.len()));
    let axes = merged((0..dims.len()).map(|i| [dims[i], strides[0][i], strides[1][i], 0]));
    let count = low.vec4_count(shape);
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.push(("FUNCTION", code(op)));
    let params = Params {
        axes: words(&axes),
        rank: word(axes.len()),
        elements: word(shape.len()),
        vec4s: vec4s(shape),
        a_stride: word(image_stride(a)),
        b_stride: word(image_stride(b)),
        count,
    };
    let bindings = vec![("a", low.input(id, 0)), ("b", low.input(id, 1)), ("output", low.define(id)?)];
    let params = params.words();
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
