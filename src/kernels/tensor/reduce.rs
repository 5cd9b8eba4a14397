//! Fewer elements: over axes. Meaning `ops/reduce.rs` · shader `shaders/tensor/reduce.wgsl`

use super::{Axis, image_stride, merged, strides, words};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{INVOCATIONS, Shader, params, shader, word};
use crate::ops::{Reduce, Reduction};
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "tensor/reduce",
    bindings: [read input, write output],
    overrides: [WORKGROUP, INVOCATIONS, REDUCTION]
};
params! {
    axes: [[u32; 4]; 6],
    kept: u32, rank: u32, elements: u32, results: u32, input_stride: u32, output_stride: u32, count: u32,
}

/// Number of the reduction in the shader.
fn code(reduction: Reduction) -> f64 {
    match reduction {
        Reduction::Mean => 0.0,
        Reduction::Sum => 1.0,
        Reduction::Prod => 2.0,
        Reduction::Max => 3.0,
        Reduction::Min => 4.0,
    }
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Reduce) -> Result<()> {
    let (from, shape) = (low.input_shape(id, 0), low.node(id).shape);
    let dims = from.dims();
    let axes_of = |reduced: bool| -> Vec<Axis> {
        let axes = dims.iter().zip(strides(&dims)).enumerate();
        let chosen = axes.filter(|(axis, _)| op.axes.contains(axis) == reduced);
        merged(chosen.map(|(_, (&size, stride))| [size, stride, 0, 0]))
    };
    let (kept, reduced) = (axes_of(false), axes_of(true));
    let elements = from.len() / shape.len();
    let count = word(low.batch * image_stride(shape));
    // One invocation a result, unless they are too few to fill the adapter and each has something for every invocation
    // to do.
    let invocations =
        if count / INVOCATIONS < low.target.fill && elements >= INVOCATIONS as usize { INVOCATIONS } else { 1 };
    let overrides = vec![
        ("WORKGROUP", f64::from(INVOCATIONS)),
        ("INVOCATIONS", f64::from(invocations)),
        ("REDUCTION", code(op.reduction)),
    ];
    let params = Params {
        axes: words(&[kept.as_slice(), &reduced].concat()),
        kept: word(kept.len()),
        rank: word(kept.len() + reduced.len()),
        elements: word(elements),
        results: word(shape.len()),
        input_stride: word(image_stride(from)),
        output_stride: word(image_stride(shape)),
        count,
    };
    let (params, bindings) = (params.words(), vec![("input", low.input(id, 0)), ("output", low.define(id)?)]);
    let workgroups = count.div_ceil(INVOCATIONS / invocations);
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
