//! Fully connected layers. Meaning `ops/linear.rs` · shader `shaders/linear.wgsl` · proof `tests/gpu/cases/linear.rs`

use super::layout;
use super::pack::Packing;
use super::shape::flatten;
use super::{INVOCATIONS, Shader, VECTOR, act_overrides, params, shader, vec4s, word};
use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::{Act, Linear};
use crate::param::Param;
use crate::plan::{Family, Lowering, Precision, Slot, StepSpec};
use std::ops::Range;

pub(crate) const SHADER: Shader = shader! {
    "linear",
    bindings: [read input, read weight, read bias, write output],
    overrides: [WORKGROUP, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! { in_vec4s: u32, out_vec4s: u32, first_vec4: u32, block_vec4s: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Linear) -> Result<()> {
    let input = flatten::unless_f32(low, id, 0)?;
    let output = low.define(id)?;
    lower_rows(low, id, [input, output], op.act, Packing::Rows)
}

/// A convolution whose window is the whole map. In half precision the map is made a vector first, and a map of the
/// result.
pub(super) fn lower_filters(low: &mut Lowering, id: NodeId, act: Act) -> Result<()> {
    let map = low.input(id, 0);
    if low.stored(map) == Precision::F32 {
        let output = low.define(id)?;
        return lower_rows(low, id, [map, output], act, Packing::Filters);
    }
    let features = low.node(id).shape.channels();
    let vector = flatten::to_scratch(low, id, 0)?;
    let output = low.scratch(id, "features", vec4s(low.node(id).shape))?;
    lower_rows(low, id, [vector, output], act, Packing::Rows)?;
    layout::pack(low, id, "unflatten", output, features.next_multiple_of(4))
}

/// One step, or several where the weight passes the binding limit: blocks of rows, each in a buffer of its own. The
/// input is one line of vec4s, whatever its shape.
fn lower_rows(
    low: &mut Lowering,
    id: NodeId,
    [input, output]: [Slot; 2],
    act: Act,
    packing: impl Fn(Range<usize>) -> Packing,
) -> Result<()> {
    let (node, input_shape) = (low.node(id), low.input_shape(id, 0));
    let features = node.shape.channels();
    let in_vec4s = word(packing(0..features).len(node.params[0].shape()) / features.next_multiple_of(4) / 4);
    let out_vec4s = vec4s(node.shape);
    let no_bias = Param::Fill { value: 0.0, shape: vec![features] };
    let bias = node.params.get(1).unwrap_or(&no_bias);
    // One vector of a software adapter, for its barriers cost by the vector.
    let invocations = if low.family() == Family::Direct { VECTOR } else { INVOCATIONS };
    let limits = &low.target.limits;
    let room = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    // A vec4 of rows; where not even that fits, the weight's own check says so.
    let block = usize::try_from(room / (64 * u64::from(in_vec4s))).unwrap_or(usize::MAX).max(1) * 4;
    for first in (0..features).step_by(block) {
        let rows = first..features.min(first + block);
        let block_vec4s = word(rows.len().div_ceil(4));
        let weight = low.weight(&[&node.params[0]], packing(rows.clone()))?;
        let bias = low.weight(&[bias], Packing::Slice(rows.clone()))?;
        let count = low.images() * block_vec4s;
        let first_vec4 = word(first / 4);
        let params = Params { in_vec4s, out_vec4s, first_vec4, block_vec4s, count }.words();
        let mut overrides = vec![("WORKGROUP", f64::from(invocations))];
        overrides.extend(act_overrides(act));
        let bindings = vec![("input", input), ("weight", weight), ("bias", bias), ("output", output)];
        let macs = (low.batch * rows.len() * input_shape.len()) as u64;
        low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs })?;
    }
    Ok(())
}
