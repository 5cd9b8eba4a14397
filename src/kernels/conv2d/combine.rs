//! Convolutions whose depth is split: parts of it by workgroups of their own, then the sum of the parts.
//! Shader `shaders/conv2d/combine.wgsl` · proof `tests/gpu/tuning.rs`

use super::epilogue;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, lanes_for, params, quads, shader, word};
use crate::ops::Conv2d;
use crate::plan::{Fused, Lowering, Side, StepSpec};
use crate::schedule::Place;

pub(crate) const SHADER: Shader = shader! {
    "conv2d/combine",
    common: ["storage", "loads", "grid", "activation", "epilogue", "unscaled"],
    bindings: [read sums, read bias, read residual, write output],
    halves: [residual, output],
    overrides: [WORKGROUP, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! { quads: u32, parts: u32, count: u32, output_stride: u32, output_offset: u32 }

/// Both steps: `product` is the first, as it is where nothing is split but for more workgroups.
pub(super) fn lower(
    low: &mut Lowering,
    id: NodeId,
    op: &Conv2d,
    parts: u32,
    mut product: StepSpec,
    fused: Fused,
) -> Result<()> {
    let shape = low.node(id).shape;
    let [_, weight, bias, residual, output, ..] = product.bindings[..] else { unreachable!("five of every kernel") };
    let sums = low.scratch(id, "sums", parts * quads(shape) * word(shape.plane()))?;
    // The residual is not for the parts: the slot holds the weight, as it does without one.
    (product.bindings[3], product.bindings[4]) = (weight, sums);
    product.part = "parts";
    let finish = epilogue(op);
    product.overrides.retain(|set| !finish.contains(set));
    low.step_with(id, product, Fused { side: Side::Parts, ..fused })?;
    let count = low.quad_count(shape);
    let (mut overrides, workgroups) = lanes_for(count);
    overrides.extend(finish);
    let Place { stride: output_stride, offset: output_offset, .. } = low.place(id);
    let params = Params { quads: quads(shape), parts, count, output_stride, output_offset }.words();
    let bindings = vec![sums, bias, residual, output];
    let spec = StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 };
    low.step_with(id, spec, Fused { choice: fused.choice, ..Fused::default() })
}
