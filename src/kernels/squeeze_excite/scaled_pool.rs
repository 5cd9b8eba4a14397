//! The end of a network's last SE block, in the global pool behind it. Shader `shaders/squeeze_excite/scaled_pool.wgsl`

use super::excite::{self, Layers};
use super::{squeeze, widths};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::{Shader, act_overrides, act_overrides_as, flag, params, shader, vec4s, word};
use crate::ops::{GlobalPool, Op, PoolKind, Scale};
use crate::plan::{Lowering, StepSpec};
use crate::schedule::{Cut, Squeeze, mean_factor};

pub(crate) const SHADER: Shader = shader! {
    "squeeze_excite/scaled_pool",
    bindings: [read input, read residual, read hidden, read weight, read bias, write output],
    halves: [input, residual],
    overrides: [
        VEC4S, ROWS, WORKGROUP, MAX, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D, GATE, GATE_A, GATE_B, GATE_C, GATE_D
    ]
};
params! {
    plane: u32, vec4s: u32, vec4_blocks: u32, reduced: u32, reduced_stride: u32, factor: f32, count: u32,
}

/// The steps of an SE block, its scale and the pool.
pub(crate) fn lower(
    low: &mut Lowering,
    id: NodeId,
    op: &GlobalPool,
    [se_block, scale]: [NodeId; 2],
    squeeze: &Squeeze,
) -> Result<()> {
    let (Op::SqueezeExcite(se), Op::Scale(Scale { residual, act })) = (&low.node(se_block).op, &low.node(scale).op)
    else {
        unreachable!("what a pool ends is an SE block and its scale")
    };
    let squeezed = squeeze::lower(low, se_block, se.squeeze, squeeze)?;
    let hidden = excite::lower_reduce(low, se_block, se, &squeezed)?;
    let layers = Layers::of(low, se_block, se);
    let weight = low.weight(&[&layers.weight2], Packing::TRANSPOSED)?;
    let bias = low.weight(&[&layers.bias2], Packing::Vector)?;
    let shape = low.node(scale).shape;
    let cut = Cut::whole(low, shape);
    let mut overrides = squeeze::rows(&cut);
    overrides.extend([flag("MAX", op.kind == PoolKind::Max), flag("RESIDUAL", *residual)]);
    overrides.extend(act_overrides(*act));
    overrides.extend(act_overrides_as(["GATE", "GATE_A", "GATE_B", "GATE_C", "GATE_D"], se.gate));
    let vec4_blocks = vec4s(shape).div_ceil(cut.vec4s);
    let count = vec4_blocks * low.images();
    let params = Params {
        plane: word(shape.plane()),
        vec4s: vec4s(shape),
        vec4_blocks,
        reduced: word(se.reduced),
        reduced_stride: word(se.reduced.next_multiple_of(4)),
        factor: mean_factor(op.kind, shape.plane()),
        count,
    }
    .words();
    let mut bindings = vec![("input", low.input(scale, 0)), ("hidden", hidden), ("weight", weight), ("bias", bias)];
    bindings.push(("output", low.define(id)?));
    bindings.extend(residual.then(|| ("residual", low.input(scale, 2))));
    let [_, macs] = widths(low, se_block, se).macs(low.batch);
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs })
}
