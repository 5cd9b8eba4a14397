//! Fully connected layers. Meaning `ops/linear.rs` · shader `shaders/linear.wgsl` · proof `tests/gpu/cases/linear.rs`

use super::pack::Packing;
use super::{Shader, act_overrides, params, quads, shader, word};
use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::Linear;
use crate::param::Param;
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "linear",
    common: ["grid", "activation", "reduce"],
    bindings: [read input, read weight, read bias, write output],
    overrides: [WORKGROUP, ACT, SLOPE]
};
params! { in_quads: u32, out_quads: u32, first_quad: u32, block_quads: u32, count: u32 }

/// One step, or several where the weight passes the binding limit: blocks of rows, each in a buffer of its own.
pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Linear) -> Result<()> {
    let node = low.node(id);
    let (in_quads, out_quads) = (quads(low.input_shape(id, 0)), quads(node.shape));
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_features] };
    let bias = node.params.get(1).unwrap_or(&no_bias);
    let limits = &low.target.limits;
    let room = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    // A quad of rows; where not even that fits, the weight's own check says so.
    let block = usize::try_from(room / (64 * u64::from(in_quads))).unwrap_or(usize::MAX).max(1) * 4;
    let input = low.input(id, 0);
    let output = low.define(id)?;
    for first in (0..op.out_features).step_by(block) {
        let rows = first..op.out_features.min(first + block);
        let block_quads = word(rows.len().div_ceil(4));
        let weight = low.weight(&[&node.params[0]], Packing::Rows(rows.clone()))?;
        let bias = low.weight(&[bias], Packing::Slice(rows.clone()))?;
        let count = low.images() * block_quads;
        let first_quad = word(first / 4);
        let params = Params { in_quads, out_quads, first_quad, block_quads, count }.words();
        let mut overrides = vec![("WORKGROUP", 64.0)];
        overrides.extend(act_overrides(op.act));
        let bindings = vec![input, weight, bias, output];
        let macs = (low.batch * rows.len() * low.input_shape(id, 0).channels()) as u64;
        low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs })?;
    }
    Ok(())
}
