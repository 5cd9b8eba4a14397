//! Excitation: both layers in one dispatch, by one workgroup an image or a few, or each spread over workgroups.
//! Shaders `shaders/squeeze_excite/{excite,reduce,expand}.wgsl` · proof `tests/gpu/cases/squeeze_excite.rs`

use super::squeeze::Squeezed;
use super::widths;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::{INVOCATIONS, Shader, VECTOR, act_overrides, act_overrides_as, flag, invocations_for, word};
use crate::ops::{PoolKind, SqueezeExcite};
use crate::param::Param;
use crate::plan::{Bindings, Family, Lowering, Slot, StepSpec};
use crate::schedule::{Widths, Workgroup};

pub(crate) const EXCITE: Shader = both::SHADER;
pub(crate) const REDUCE: Shader = reduce::SHADER;
pub(crate) const EXPAND: Shader = expand::SHADER;

mod both {
    use super::{Squeezed, Workgroup};
    use crate::kernels::{Shader, params, shader};
    pub(super) const SHADER: Shader = shader! {
        "squeeze_excite/excite",
        bindings: [read squeezed, read weight1, read weight2, read bias, write gate],
        overrides: [
            INVOCATIONS, MAX, REDUCED_VEC4S, C_VEC4S,
            HIDDEN, HIDDEN_A, HIDDEN_B, HIDDEN_C, HIDDEN_D, GATE, GATE_A, GATE_B, GATE_C, GATE_D
        ]
    };
    params! {
        vec4s: u32, reduced_vec4s: u32, gate_vec4s: u32, parts: u32, factor: f32, split: u32, rows: u32, shares: u32,
        count: u32,
    }
    pub(super) fn params(
        [vec4s, reduced_vec4s, gate_vec4s]: [u32; 3],
        squeezed: &Squeezed,
        workgroup: &Workgroup,
        shares: u32,
        count: u32,
    ) -> Vec<u32> {
        let Squeezed { parts, factor, .. } = *squeezed;
        let (split, rows) = (workgroup.split, workgroup.rows(vec4s, parts));
        Params { vec4s, reduced_vec4s, gate_vec4s, parts, factor, split, rows, shares, count }.words()
    }
}

mod reduce {
    use super::Squeezed;
    use crate::kernels::{Shader, params, shader};
    pub(super) const SHADER: Shader = shader! {
        "squeeze_excite/reduce",
        bindings: [read squeezed, read weight, read bias, write hidden],
        overrides: [WORKGROUP, MAX, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
    };
    params! { vec4s: u32, reduced_vec4s: u32, parts: u32, factor: f32, count: u32 }
    pub(super) fn params(vec4s: u32, reduced_vec4s: u32, squeezed: &Squeezed, count: u32) -> Vec<u32> {
        let Squeezed { parts, factor, .. } = *squeezed;
        Params { vec4s, reduced_vec4s, parts, factor, count }.words()
    }
}

mod expand {
    use crate::kernels::{Shader, params, shader};
    pub(super) const SHADER: Shader = shader! {
        "squeeze_excite/expand",
        bindings: [read hidden, read weight, read bias, write gate],
        overrides: [WORKGROUP, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
    };
    params! { vec4s: u32, reduced_vec4s: u32, count: u32 }
    pub(super) fn params(vec4s: u32, reduced_vec4s: u32, count: u32) -> Vec<u32> {
        Params { vec4s, reduced_vec4s, count }.words()
    }
}

/// An SE block's parameters by what they are; missing biases are zeros.
pub(super) struct Layers {
    pub weight1: Param,
    pub bias1: Param,
    pub weight2: Param,
    pub bias2: Param,
}

impl Layers {
    pub(super) fn of(low: &Lowering, se_block: NodeId, op: &SqueezeExcite) -> Self {
        let node = low.node(se_block);
        let [(weight1, bias1), (weight2, bias2)] = SqueezeExcite::layers(&node.params);
        let or_zeros =
            |bias: Option<&Param>, len| bias.cloned().unwrap_or(Param::Fill { value: 0.0, shape: vec![len] });
        Self {
            weight1: weight1.clone(),
            bias1: or_zeros(bias1, op.reduced),
            weight2: weight2.clone(),
            bias2: or_zeros(bias2, node.shape.channels()),
        }
    }

    /// The bindings of the kernels that run both layers: weights in rows of channels, biases one after the other.
    pub(super) fn bind(&self, low: &mut Lowering, reduced: usize) -> Result<Bindings> {
        Ok(vec![
            ("weight1", low.weight(&[&self.weight1], Packing::Rows(0..reduced))?),
            ("weight2", low.weight(&[&self.weight2], Packing::TRANSPOSED)?),
            ("bias", low.weight(&[&self.bias1, &self.bias2], Packing::Vector)?),
        ])
    }
}

/// Overrides of the kernels that run both layers, in a workgroup that holds what they need.
pub(super) fn both_layers(
    low: &Lowering,
    se_block: NodeId,
    op: &SqueezeExcite,
    workgroup: &Workgroup,
) -> Result<Vec<(&'static str, f64)>> {
    let Widths { squeezed, reduced, .. } = widths(low, se_block, op);
    let memory = workgroup.memory(squeezed, reduced);
    let limits = &low.target.limits;
    limits.check(&low.node(se_block).name, "max_compute_workgroup_storage_size", memory, Some("the spread variant"))?;
    // More room than needed where there is that much, of two sizes: most SE blocks of a network share a pipeline.
    let rooms = [[512, 128], [2048, 512]].into_iter().find(|&[c, r]| squeezed <= c && reduced <= r);
    let fits = |&[c, r]: &[usize; 2]| workgroup.memory(c, r) <= limits.max_compute_workgroup_storage_size.into();
    let [c_vec4s, reduced_vec4s] = rooms.filter(fits).unwrap_or([squeezed, reduced]).map(|size| word(size.div_ceil(4)));
    let mut overrides = vec![
        ("INVOCATIONS", f64::from(workgroup.invocations)),
        flag("MAX", op.squeeze == PoolKind::Max),
        ("REDUCED_VEC4S", f64::from(reduced_vec4s)),
        ("C_VEC4S", f64::from(c_vec4s)),
    ];
    overrides.extend(act_overrides_as(["HIDDEN", "HIDDEN_A", "HIDDEN_B", "HIDDEN_C", "HIDDEN_D"], op.hidden));
    overrides.extend(act_overrides_as(["GATE", "GATE_A", "GATE_B", "GATE_C", "GATE_D"], op.gate));
    Ok(overrides)
}

/// One dispatch, one workgroup an image or a few.
pub(super) fn lower_excite(
    low: &mut Lowering,
    id: NodeId,
    op: &SqueezeExcite,
    squeezed: &Squeezed,
    shares: u32,
) -> Result<()> {
    let widths = widths(low, id, op);
    let layers = Layers::of(low, id, op).bind(low, op.reduced)?;
    let gate = low.define(id)?;
    let count = low.images() * shares;
    let workgroup = Workgroup::new(op.reduced, low.family());
    let spec = StepSpec {
        part: "excite",
        shader: &EXCITE,
        overrides: both_layers(low, id, op, &workgroup)?,
        params: both::params(widths.vec4s(), squeezed, &workgroup, shares, count),
        workgroups: count,
        bindings: [&[("squeezed", squeezed.value), ("gate", gate)], &layers[..]].concat(),
        macs: widths.macs(low.batch).iter().sum(),
    };
    low.step(id, spec)
}

/// The first layer, over many workgroups. Returns the hidden values.
pub(super) fn lower_reduce(low: &mut Lowering, id: NodeId, op: &SqueezeExcite, squeezed: &Squeezed) -> Result<Slot> {
    let widths = widths(low, id, op);
    let layers = Layers::of(low, id, op);
    let ([squeezed_vec4s, reduced_vec4s, _], [macs, _]) = (widths.vec4s(), widths.macs(low.batch));
    let weight = low.weight(&[&layers.weight1], Packing::Rows(0..op.reduced))?;
    let bias = low.weight(&[&layers.bias1], Packing::Vector)?;
    let hidden = low.scratch(id, "hidden", reduced_vec4s)?;
    let count = reduced_vec4s * low.images();
    let invocations = if low.family() == Family::Direct { VECTOR } else { INVOCATIONS };
    let mut overrides = vec![("WORKGROUP", f64::from(invocations)), flag("MAX", squeezed.max)];
    overrides.extend(act_overrides(op.hidden));
    let spec = StepSpec {
        part: "reduce",
        shader: &REDUCE,
        overrides,
        params: reduce::params(squeezed_vec4s, reduced_vec4s, squeezed, count),
        workgroups: count,
        bindings: vec![("squeezed", squeezed.value), ("weight", weight), ("bias", bias), ("hidden", hidden)],
        macs,
    };
    low.step(id, spec)?;
    Ok(hidden)
}

/// Two dispatches, each over many workgroups.
pub(super) fn lower_spread(low: &mut Lowering, id: NodeId, op: &SqueezeExcite, squeezed: &Squeezed) -> Result<()> {
    let hidden = lower_reduce(low, id, op, squeezed)?;
    let widths = widths(low, id, op);
    let layers = Layers::of(low, id, op);
    let ([_, reduced_vec4s, gate_vec4s], [_, macs]) = (widths.vec4s(), widths.macs(low.batch));
    let weight = low.weight(&[&layers.weight2], Packing::TRANSPOSED)?;
    let bias = low.weight(&[&layers.bias2], Packing::Vector)?;
    let gate = low.define(id)?;
    let count = low.images() * gate_vec4s;
    let (mut overrides, workgroups) = invocations_for(count);
    overrides.extend(act_overrides(op.gate));
    let spec = StepSpec {
        part: "expand",
        shader: &EXPAND,
        overrides,
        params: expand::params(gate_vec4s, reduced_vec4s, count),
        workgroups,
        bindings: vec![("hidden", hidden), ("weight", weight), ("bias", bias), ("gate", gate)],
        macs,
    };
    low.step(id, spec)
}
