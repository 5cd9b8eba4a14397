//! The end of a network's last SE stage, in the global pool behind it. Shader `shaders/squeeze_excite/scaled_pool.wgsl`

use super::excite::{self, Layers};
use super::squeeze::{self, Cut};
use super::{Widths, form_in_graph, only_scale};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::{Shader, act_overrides, act_overrides_as, flag, params, quads, shader, word};
use crate::ops::{GlobalPool, Op, PoolKind, Scale};
use crate::passes::Fusion;
use crate::plan::{Lowering, SeForm, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "squeeze_excite/scaled_pool",
    common: ["storage", "grid", "activation", "rows"],
    bindings: [read input, read residual, read hidden, read weight, read bias, write output],
    halves: [input, residual],
    overrides: [
        QUADS, ROWS, WORKGROUP, MAX, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D, GATE, GATE_A, GATE_B, GATE_C, GATE_D
    ]
};
params! {
    plane: u32, quads: u32, quad_blocks: u32, reduced: u32, reduced_stride: u32, factor: f32, count: u32,
}

/// A stage whose gates and scaled map only a pool needs.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    scale: NodeId,
    pool: NodeId,
}

/// How the stage ends in a pool.
pub(super) fn ending(low: &Lowering, stage: NodeId) -> Option<Ending> {
    let Op::SqueezeExcite(op) = &low.node(stage).op else { return None };
    may_end(low, stage).filter(|_| form_in_graph(low, stage, op) != SeForm::Block)
}

/// How it could: nothing else reads the gate or what it scales, and neither is an output.
pub(super) fn may_end(low: &Lowering, stage: NodeId) -> Option<Ending> {
    let scale = only_scale(low, stage)?;
    let [pool] = *low.readers(scale) else { return None };
    let pools = matches!(&low.node(pool).op, Op::GlobalPool(op) if op.kind != PoolKind::AvgMax);
    let hidden = low.graph.outputs().iter().all(|&(_, id)| id != stage && id != scale);
    // A form that is asked for by name is had.
    let free = !matches!(low.options.se, Some(SeForm::Excite | SeForm::Block)) && low.options.fusion == Fusion::Full;
    (pools && hidden && free).then_some(Ending { scale, pool })
}

/// The stage that a pool ends.
pub(super) fn stage_of(low: &Lowering, pool: NodeId) -> Option<NodeId> {
    let scale = low.node(low.node(pool).inputs[0]);
    let stage = if matches!(scale.op, Op::Scale(_)) { scale.inputs[1] } else { return None };
    ending(low, stage).filter(|ending| ending.pool == pool).map(|_| stage)
}

/// The steps of the stage, its scale and the pool.
pub(super) fn lower(low: &mut Lowering, id: NodeId, op: &GlobalPool, stage: NodeId) -> Result<()> {
    let Some(Ending { scale, .. }) = ending(low, stage) else { unreachable!("the pool ends the stage") };
    let (Op::SqueezeExcite(se), Op::Scale(Scale { residual, act })) = (&low.node(stage).op, &low.node(scale).op) else {
        unreachable!("an ending is of a stage and its scale")
    };
    let squeezed = squeeze::lower(low, stage, se.squeeze)?;
    let hidden = excite::lower_reduce(low, stage, se, &squeezed)?;
    let name = &low.node(id).name;
    if let Some(record) = low.stage(stage) {
        record.excitation = format!("the first layer a dispatch, the second in {name}: each workgroup needs few gates");
        record.scale = format!("in {name}, which alone reads the map: it is never written");
    }
    let layers = Layers::of(low, stage, se);
    let weight = low.weight(&[&layers.weight2], Packing::TRANSPOSED)?;
    let bias = low.weight(&[&layers.bias2], Packing::Vector)?;
    let shape = low.node(scale).shape;
    let cut = Cut::whole(low, shape);
    let mut overrides = cut.overrides();
    overrides.extend([flag("MAX", op.kind == PoolKind::Max), flag("RESIDUAL", *residual)]);
    overrides.extend(act_overrides(*act));
    overrides.extend(act_overrides_as(["GATE", "GATE_A", "GATE_B", "GATE_C", "GATE_D"], se.gate));
    let quad_blocks = quads(shape).div_ceil(cut.quads);
    let count = quad_blocks * low.images();
    let params = Params {
        plane: word(shape.plane()),
        quads: quads(shape),
        quad_blocks,
        reduced: word(se.reduced),
        reduced_stride: word(se.reduced.next_multiple_of(4)),
        factor: squeeze::factor(op.kind, shape.plane()),
        count,
    }
    .words();
    // Without a residual the slot holds the input, which the shader then does not read again.
    let (input, residual) = (low.input(scale, 0), low.input(scale, if *residual { 2 } else { 0 }));
    let bindings = vec![input, residual, hidden, weight, bias, low.define(id)?];
    let [_, macs] = Widths::of(low, stage, se).macs(low);
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs })
}
