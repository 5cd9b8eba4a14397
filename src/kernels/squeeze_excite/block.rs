//! A whole SE stage in one dispatch. Shader `shaders/squeeze_excite/block.wgsl`

use super::excite::{Layers, both_layers};
use super::widths;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, act_overrides, flag, params, quads, shader, word};
use crate::ops::{Op, Scale};
use crate::plan::{Lowering, StepSpec};
use crate::schedule::{Workgroup, mean_factor};

pub(crate) const SHADER: Shader = shader! {
    "squeeze_excite/block",
    common: ["storage", "floats", "grid", "activation", "excite"],
    bindings: [read input, read weight1, read weight2, read bias, read residual, write gate, write output],
    halves: [input, residual, output],
    overrides: [
        LANES, ROWS, MAX, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D, REDUCED_QUADS, C_QUADS,
        HIDDEN, HIDDEN_A, HIDDEN_B, HIDDEN_C, HIDDEN_D, GATE, GATE_A, GATE_B, GATE_C, GATE_D
    ]
};
params! { quads: u32, reduced_quads: u32, gate_quads: u32, plane: u32, factor: f32, split: u32, count: u32 }

/// The step of scale `id`, which also writes the gate of `stage`.
pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Scale, stage: NodeId) -> Result<()> {
    let Op::SqueezeExcite(se) = &low.node(stage).op else { unreachable!("the gate is of an SE block") };
    low.define(stage)?;
    let shape = low.node(id).shape;
    let workgroup = Workgroup::new(se.reduced, low.family());
    let mut overrides = both_layers(low, stage, se, &workgroup)?;
    overrides.push(("ROWS", f64::from(workgroup.rows(quads(shape), word(shape.plane())))));
    overrides.push(flag("RESIDUAL", op.residual));
    overrides.extend(act_overrides(op.act));
    let mut bindings = Layers::of(low, stage, se).bind(low, se.reduced)?;
    bindings.extend([("input", low.input(id, 0)), ("gate", low.value_of(stage)), ("output", low.define(id)?)]);
    bindings.extend(op.residual.then(|| ("residual", low.input(id, 2))));
    let count = low.images();
    let factor = mean_factor(se.squeeze, shape.plane());
    let reduced_quads = word(se.reduced.div_ceil(4));
    let (quads, plane, split) = (quads(shape), word(shape.plane()), workgroup.split);
    let params = Params { quads, reduced_quads, gate_quads: quads, plane, factor, split, count }.words();
    let macs = widths(low, stage, se).macs(low.batch).iter().sum();
    low.step(id, StepSpec { part: "block", shader: &SHADER, overrides, params, workgroups: count, bindings, macs })
}
