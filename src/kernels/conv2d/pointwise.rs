//! 1x1 convolution of stride 1: a matrix product. Shaders `shaders/conv2d/pointwise_{direct,tiled}.wgsl`

use super::{bindings, macs, side, tiles};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::shape::flatten;
use crate::kernels::squeeze_excite::scale;
use crate::kernels::{Shader, act_overrides_as, flag, params, shader, vec4s, word};
use crate::ops::{Act, Conv2d, Op};
use crate::plan::{Fused, Lowering, Side, Slot, StepSpec};
use crate::schedule::convolution::Tiles;
use crate::schedule::{Convolution, Gate, Load};

pub(crate) const DIRECT: Shader = shader! {
    "conv2d/pointwise_direct",
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [INVOCATIONS_PIXEL, INVOCATIONS_VEC4, TILE_VEC4S, INVOCATIONS, SUMS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D, GATED, GATED_WEIGHTS, SCALED]
};
pub(crate) const TILED: Shader = shader! {
    "conv2d/pointwise_tiled",
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [
        INVOCATIONS_VEC4, INVOCATIONS_ROW, VEC4S, SPLITS, TILE_VEC4S, WIDTH, HEIGHT, K_TILE, ROW_VEC4S, INPUTS, WEIGHTS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D,
        GATED, SCALED, BLOCK_ACT, BLOCK_ACT_A, BLOCK_ACT_B, BLOCK_ACT_C, BLOCK_ACT_D
    ]
};
params! {
    plane: u32, rows: u32, in_vec4s: u32, out_vec4s: u32, pixel_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d, conv: &Convolution, tiles: &Tiles) -> Result<()> {
    let (output, place) = (low.node(id).shape, low.place(id));
    let end = match conv.load {
        Load::ResidualEnd { scale } => Some(ResidualEnd::define(low, scale)?),
        _ => None,
    };
    let input = match (&end, conv.gate) {
        (Some(end), _) => end.input,
        (None, Gate::PassBefore) => scale::lower_input(low, id)?,
        _ => low.input(id, 0),
    };
    let mut overrides = tiles::epilogue(tiles, op);
    if end.is_none() {
        overrides.push(flag("GATED", conv.gate == Gate::OnLoad));
    }
    overrides.push(flag("SCALED", conv.gate == Gate::Result));
    if conv.gate == Gate::InWeights {
        overrides.push(flag("GATED_WEIGHTS", true));
    }
    overrides.extend(tiles::overrides(tiles));
    let params = Params {
        plane: word(output.plane()),
        rows: tiles.rows,
        in_vec4s: vec4s(low.input_shape(id, 0)),
        out_vec4s: vec4s(output),
        pixel_blocks: tiles.pixel_blocks,
        count: tiles.count(),
        output_stride: place.stride,
        output_offset: place.offset,
    }
    .words();
    let mut bindings = bindings(low, id, op, input, Packing::Conv { groups: 1, merge: 1 })?;
    if matches!(conv.gate, Gate::OnLoad | Gate::InWeights | Gate::Result) {
        bindings.push(("gate", flatten::unless_f32(low, id, 1)?));
    }
    let side = match end {
        Some(end) => {
            bindings.extend([("residual", end.residual), ("gate", end.gate)]);
            overrides.push(flag("GATED", true));
            let names = ["BLOCK_ACT", "BLOCK_ACT_A", "BLOCK_ACT_B", "BLOCK_ACT_C", "BLOCK_ACT_D"];
            overrides.extend(act_overrides_as(names, end.act));
            Side::Block(end.value)
        }
        None => side(low, id, conv)?,
    };
    let (shader, macs) = (tiles::shader_of(tiles, &DIRECT, &TILED), macs(low, id, op));
    let workgroups = tiles.count();
    let spec = StepSpec { part: "", shader, overrides, params, workgroups, bindings, macs };
    tiles::add(low, id, op, tiles, spec, Fused { side, ..Fused::with(conv) })
}

/// The end of the residual block that a convolution computes on load: `value = act(input * gate + residual)`.
struct ResidualEnd {
    input: Slot,
    gate: Slot,
    residual: Slot,
    value: Slot,
    act: Act,
}

impl ResidualEnd {
    /// Makes the value of the scale that is the end.
    fn define(low: &mut Lowering, scale: NodeId) -> Result<Self> {
        let Op::Scale(op) = &low.node(scale).op else { unreachable!("a residual block ends in a scale") };
        let gate = flatten::unless_f32(low, scale, 1)?;
        let value = low.define(scale)?;
        let [input, residual] = [0, 2].map(|index| low.input(scale, index));
        Ok(Self { input, gate, residual, value, act: op.act })
    }
}
