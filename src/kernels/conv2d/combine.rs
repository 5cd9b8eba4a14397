//! Convolutions whose depth is split: parts of it by workgroups of their own, then the sum of the parts.
//! Shader `shaders/conv2d/combine.wgsl` · proof `tests/gpu/tuning.rs`

use super::epilogue;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, invocations_for, params, shader, vec4s, word};
use crate::ops::Conv2d;
use crate::plan::{Fused, Lowering, Side, Slot, StepSpec};
use crate::schedule::Place;
use std::collections::HashMap;

pub(crate) const SHADER: Shader = shader! {
    "conv2d/combine",
    bindings: [read sums, read bias, read residual, write output],
    halves: [residual, output],
    overrides: [WORKGROUP, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
params! { vec4s: u32, splits: u32, count: u32, output_stride: u32, output_offset: u32 }

/// Both steps: `product` is the first, as it is where nothing is split but for more workgroups.
pub(super) fn lower(
    low: &mut Lowering,
    id: NodeId,
    op: &Conv2d,
    splits: u32,
    mut product: StepSpec,
    fused: Fused,
) -> Result<()> {
    let shape = low.node(id).shape;
    let bound: HashMap<&str, Slot> = product.bindings.iter().copied().collect();
    let sums = low.scratch(id, "sums", splits * vec4s(shape) * word(shape.plane()))?;
    product.part = "splits";
    product.bindings.retain(|(name, _)| !["residual", "output"].contains(name));
    product.bindings.push(("output", sums));
    low.step_with(id, product, Fused { side: Side::Parts, ..fused })?;
    let count = low.vec4_count(shape);
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.extend(epilogue(op));
    let Place { stride: output_stride, offset: output_offset, .. } = low.place(id);
    let params = Params { vec4s: vec4s(shape), splits, count, output_stride, output_offset }.words();
    // Without a residual its binding holds the weight, which the shader then does not read through it.
    let residual = *bound.get("residual").unwrap_or(&bound["weight"]);
    let bindings = vec![("sums", sums), ("bias", bound["bias"]), ("residual", residual), ("output", bound["output"])];
    let spec = StepSpec { part: "", shader: &SHADER, overrides, params, workgroups, bindings, macs: 0 };
    low.step_with(id, spec, Fused { choice: fused.choice, ..Fused::default() })
}
