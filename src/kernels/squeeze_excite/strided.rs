//! Squeeze and scale of maps in layouts that networks don't have inside: `[N,C,H,W]`, and `[N,H,W,C]` where C is no
//! multiple of 4; element by element where `dense.rs` can't by quads. Only the stand-alone block uses them. Shaders `shaders/squeeze_excite/{squeeze,scale}_strided.wgsl`

use super::dense;
use super::excite::{lower_excite, lower_spread};
use super::squeeze::Squeezed;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, act_overrides, flag, lanes_for, quads, word};
use crate::ops::{Op, PoolKind};
use crate::plan::{Lowering, SeForm, SeLayout, StepSpec};
use crate::schedule::Gates;

pub(crate) const SQUEEZE: Shader = squeeze::SHADER;
pub(crate) const SCALE: Shader = scale::SHADER;

/// Steps of an SE stage and its scale on dense maps.
pub(crate) fn lower(low: &mut Lowering, stage: NodeId, scale: NodeId, layout: SeLayout, gates: &Gates) -> Result<()> {
    let (Op::SqueezeExcite(se), Op::Scale(op)) = (&low.node(stage).op, &low.node(scale).op) else {
        unreachable!("the block's graph has a stage and its scale")
    };
    let shape = low.input_shape(stage, 0);
    let (channels, plane) = (word(shape.channels()), word(shape.plane()));
    let (channel_stride, pixel_stride) = match layout {
        SeLayout::Nchw => (plane, 1),
        SeLayout::Nhwc => (1, channels),
    };
    let max = se.squeeze == PoolKind::Max;
    let by_quads = dense::suits(layout, shape);
    let value = low.scratch(stage, "squeezed", quads(shape))?;
    if by_quads {
        dense::squeeze(low, stage, se.squeeze, value)?;
    } else {
        let spec = StepSpec {
            part: "squeeze",
            shader: &SQUEEZE,
            overrides: vec![("WORKGROUP", 64.0), ("KIND", se.squeeze.code())],
            params: squeeze::params(channels, plane, channel_stride, pixel_stride, low.images()),
            workgroups: 4 * quads(shape) * low.images(),
            bindings: vec![("input", low.input(stage, 0)), ("output", value)],
            macs: 0,
        };
        low.step(stage, spec)?;
    }
    let squeezed = Squeezed { value, parts: 1, factor: 1.0, max };
    match gates.form {
        SeForm::Spread => lower_spread(low, stage, se, &squeezed)?,
        // One dispatch for all needs channels-last vectors of four.
        SeForm::Excite | SeForm::Block => lower_excite(low, stage, se, &squeezed, gates.shares)?,
    }
    let output = low.define_dense(scale)?;
    if by_quads {
        return dense::scale(low, scale, op, output);
    }
    let count = word(low.batch * shape.len());
    let (mut overrides, workgroups) = lanes_for(count);
    overrides.push(flag("RESIDUAL", op.residual));
    overrides.extend(act_overrides(op.act));
    let spec = StepSpec {
        part: "",
        shader: &SCALE,
        overrides,
        params: scale::params(channels, plane, channel_stride, count),
        workgroups,
        bindings: dense::scale_bindings(low, scale, op, output),
        macs: 0,
    };
    low.step(scale, spec)
}

mod squeeze {
    use crate::kernels::{Shader, params, shader};
    pub(super) const SHADER: Shader = shader! {
        "squeeze_excite/squeeze_strided",
        common: ["grid", "reduce"],
        bindings: [read input, write output],
        overrides: [WORKGROUP, KIND]
    };
    params! { channels: u32, padded: u32, plane: u32, channel_stride: u32, pixel_stride: u32, count: u32 }
    pub(super) fn params(channels: u32, plane: u32, channel_stride: u32, pixel_stride: u32, images: u32) -> Vec<u32> {
        let padded = channels.next_multiple_of(4);
        Params { channels, padded, plane, channel_stride, pixel_stride, count: padded * images }.words()
    }
}

mod scale {
    use crate::kernels::{Shader, params, shader};
    pub(super) const SHADER: Shader = shader! {
        "squeeze_excite/scale_strided",
        common: ["grid", "activation"],
        bindings: [read input, read gate, read residual, write output],
        overrides: [WORKGROUP, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
    };
    params! { channels: u32, padded: u32, plane: u32, channel_stride: u32, count: u32 }
    pub(super) fn params(channels: u32, plane: u32, channel_stride: u32, count: u32) -> Vec<u32> {
        Params { channels, padded: channels.next_multiple_of(4), plane, channel_stride, count }.words()
    }
}
