//! A map as a vector. Meaning `ops/reshape.rs` · shader `shaders/shape/flatten.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, invocations_for, params, shader, vec4s, word};
use crate::plan::{Lowering, Precision, Slot, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "shape/flatten",
    bindings: [read input, write output],
    halves: [input],
    overrides: [WORKGROUP]
};
params! { features: u32, plane: u32, input_vec4s: u32, vec4s: u32, count: u32 }

/// A node's input, a 1x1 map or a vector, as kernels of vectors read it: where it is stored in half precision, a copy.
pub(crate) fn unless_f32(low: &mut Lowering, id: NodeId, index: usize) -> Result<Slot> {
    match low.stored(low.input(id, index)) {
        Precision::F32 => Ok(low.input(id, index)),
        Precision::F16 => to_scratch(low, id, index),
    }
}

/// A node's input, a map, as a vector that only the node's steps see.
pub(crate) fn to_scratch(low: &mut Lowering, id: NodeId, index: usize) -> Result<Slot> {
    let vector = low.scratch(id, "vector", word(low.input_shape(id, index).len().div_ceil(4)))?;
    lower(low, id, index, vector)?;
    Ok(vector)
}

/// Writes a node's input, a map, into `output` as a vector.
pub(super) fn lower(low: &mut Lowering, id: NodeId, index: usize, output: Slot) -> Result<()> {
    let input = low.input_shape(id, index);
    let vec4s_of_vector = word(input.len().div_ceil(4));
    let count = low.images() * vec4s_of_vector;
    let (overrides, workgroups) = invocations_for(count);
    let params = Params {
        features: word(input.len()),
        plane: word(input.plane()),
        input_vec4s: vec4s(input),
        vec4s: vec4s_of_vector,
        count,
    };
    let bindings = vec![("input", low.input(id, index)), ("output", output)];
    let params = params.words();
    low.step(id, StepSpec { part: "flatten", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
