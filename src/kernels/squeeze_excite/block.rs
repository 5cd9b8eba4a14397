//! A whole SE block in one dispatch. Shader `shaders/squeeze_excite/block.wgsl`

use super::excite::{Layers, both_layers};
use super::widths;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, act_overrides, flag, params, shader, vec4s, word};
use crate::ops::{Op, Scale};
use crate::plan::{Lowering, StepSpec};
use crate::schedule::{Workgroup, mean_factor};

pub(crate) const SHADER: Shader = shader! {
    "squeeze_excite/block",
    bindings: [read input, read weight1, read weight2, read bias, read residual, write gate, write output],
    halves: [input, residual, output],
    overrides: [
        INVOCATIONS, ROWS, MAX, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D, REDUCED_VEC4S, C_VEC4S,
        HIDDEN, HIDDEN_A, HIDDEN_B, HIDDEN_C, HIDDEN_D, GATE, GATE_A, GATE_B, GATE_C, GATE_D
    ]
};
params! { vec4s: u32, reduced_vec4s: u32, gate_vec4s: u32, plane: u32, factor: f32, split: u32, count: u32 }

/// The step of scale `id`, which also writes the gate of `se_block`.
pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Scale, se_block: NodeId) -> Result<()> {
    let Op::SqueezeExcite(se) = &low.node(se_block).op else { unreachable!("the gate is of an SE block") };
    low.define(se_block)?;
    let shape = low.node(id).shape;
    let workgroup = Workgroup::new(se.reduced, low.family());
    let mut overrides = both_layers(low, se_block, se, &workgroup)?;
    overrides.push(("ROWS", f64::from(workgroup.rows(vec4s(shape), word(shape.plane())))));
    overrides.push(flag("RESIDUAL", op.residual));
    overrides.extend(act_overrides(op.act));
    let mut bindings = Layers::of(low, se_block, se).bind(low, se.reduced)?;
    bindings.extend([("input", low.input(id, 0)), ("gate", low.value_of(se_block)), ("output", low.define(id)?)]);
    bindings.extend(op.residual.then(|| ("residual", low.input(id, 2))));
    let count = low.images();
    let factor = mean_factor(se.squeeze, shape.plane());
    let reduced_vec4s = word(se.reduced.div_ceil(4));
    let (vec4s, plane, split) = (vec4s(shape), word(shape.plane()), workgroup.split);
    let params = Params { vec4s, reduced_vec4s, gate_vec4s: vec4s, plane, factor, split, count }.words();
    let macs = widths(low, se_block, se).macs(low.batch).iter().sum();
    low.step(id, StepSpec { part: "block", shader: &SHADER, overrides, params, workgroups: count, bindings, macs })
}
