//! A batch norm that no layer took in, as scale and shift. Meaning `ops/batch_norm.rs` · shader
//! `shaders/elementwise/batch_norm.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::{Shader, act_overrides, invocations_for, params, shader, vec4s};
use crate::ops::BatchNorm;
use crate::param::{Norm, Param};
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "elementwise/batch_norm",
    bindings: [read input, read scale, read shift, write output],
    halves: [input, output],
    overrides: [WORKGROUP, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! { vec4s: u32, count: u32 }

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &BatchNorm) -> Result<()> {
    let node = low.node(id);
    let params = node.params.clone().try_into().expect("a batch norm has four parameters");
    let norm = Norm { params: Box::new(params), eps: op.eps };
    let ones = Box::new(Param::Fill { value: 1.0, shape: vec![node.shape.channels()] });
    let scale = low.weight(&[&Param::FoldedWeight { weight: ones, norm: norm.clone() }], Packing::Vector)?;
    let shift = low.weight(&[&Param::FoldedBias { bias: None, norm }], Packing::Vector)?;
    let count = low.vec4_count(node.shape);
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.extend(act_overrides(op.act));
    let bindings = vec![("input", low.input(id, 0)), ("scale", scale), ("shift", shift), ("output", low.define(id)?)];
    let params = Params { vec4s: vec4s(node.shape), count }.words();
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 })
}
