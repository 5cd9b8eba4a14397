//! Squeeze and scale of maps in layouts that networks don't have inside: `[N,C,H,W]`, and `[N,H,W,C]` where C is no
//! multiple of 4; element by element where `dense.rs` can't by vec4s. Only the stand-alone block uses them. Shaders
//! `shaders/squeeze_excite/{squeeze,scale}_strided.wgsl`

use super::dense;
use super::excite::{lower_excite, lower_spread};
use super::squeeze::Squeezed;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, act_overrides, flag, invocations_for, vec4s, word};
use crate::ops::{Op, PoolKind};
use crate::plan::{Lowering, SeLayout, SeVariant, StepSpec};
use crate::schedule::Gates;

pub(crate) const SQUEEZE: Shader = squeeze::SHADER;
pub(crate) const SCALE: Shader = scale::SHADER;

/// Steps of an SE block and its scale on dense maps.
pub(crate) fn lower(
    low: &mut Lowering,
    se_block: NodeId,
    scale: NodeId,
    layout: SeLayout,
    gates: &Gates,
) -> Result<()> {
    let (Op::SqueezeExcite(se), Op::Scale(op)) = (&low.node(se_block).op, &low.node(scale).op) else {
        unreachable!("the block's graph has an SE block and its scale")
    };
    let shape = low.input_shape(se_block, 0);
    let (channels, plane) = (word(shape.channels()), word(shape.plane()));
    let (channel_stride, pixel_stride) = match layout {
        SeLayout::Nchw => (plane, 1),
        SeLayout::Nhwc => (1, channels),
    };
    let max = se.squeeze == PoolKind::Max;
    let by_vec4s = dense::suits(layout, shape);
    let value = low.scratch(se_block, "squeezed", vec4s(shape))?;
    if by_vec4s {
        dense::squeeze(low, se_block, se.squeeze, value)?;
    } else {
        let spec = StepSpec {
            part: "squeeze",
            shader: &SQUEEZE,
            overrides: vec![("WORKGROUP", 64.0), ("KIND", se.squeeze.code())],
            params: squeeze::params(channels, plane, channel_stride, pixel_stride, low.images()),
            workgroups: 4 * vec4s(shape) * low.images(),
            bindings: vec![("input", low.input(se_block, 0)), ("output", value)],
            macs: 0,
        };
        low.step(se_block, spec)?;
    }
    let squeezed = Squeezed { value, parts: 1, factor: 1.0, max };
    match gates.variant {
        SeVariant::Spread => lower_spread(low, se_block, se, &squeezed)?,
        // One dispatch for all needs channels-last vectors of four.
        SeVariant::Excite | SeVariant::Block => lower_excite(low, se_block, se, &squeezed, gates.shares)?,
    }
    let output = low.define_dense(scale)?;
    if by_vec4s {
        return dense::scale(low, scale, op, output);
    }
    let count = word(low.batch * shape.len());
    let (mut overrides, workgroups) = invocations_for(count);
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
        bindings: [read input, read gate, read residual, write output],
        overrides: [WORKGROUP, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
    };
    params! { channels: u32, padded: u32, plane: u32, channel_stride: u32, count: u32 }
    pub(super) fn params(channels: u32, plane: u32, channel_stride: u32, count: u32) -> Vec<u32> {
        Params { channels, padded: channels.next_multiple_of(4), plane, channel_stride, count }.words()
    }
}
