//! 1x1 convolution of stride 1: a matrix product. Shaders `shaders/conv2d/pointwise_{direct,tiled}.wgsl`

use super::choice::{self, Choice};
use super::{Tiles, bindings, epilogue, macs, result_gate};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::shape::{concat, flatten};
use crate::kernels::squeeze_excite::choice::{Decision, leave_end, scale_on_load};
use crate::kernels::squeeze_excite::{scale, squeeze};
use crate::kernels::{Shader, act_overrides_as, flag, params, quads, shader, word};
use crate::ops::{Conv2d, Gating};
use crate::plan::{Also, Lowering, StepSpec};

pub(crate) const DIRECT: Shader = shader! {
    "conv2d/pointwise_direct",
    common: ["storage", "floats", "loads", "grid", "activation", "epilogue", "direct", "weights", "squeeze"],
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [LANES_PIXEL, LANES_QUAD, TILE_QUADS, LANES, SUMS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D, GATED, GATED_WEIGHTS, SCALED]
};
pub(crate) const TILED: Shader = shader! {
    "conv2d/pointwise_tiled",
    common: ["storage", "loads", "grid", "activation", "epilogue", "chunks", "tiled", "squeeze", "block"],
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [
        LANES_QUAD, LANES_ROW, QUADS, SLICES, TILE_QUADS, WIDTH, HEIGHT, SLAB, ROW_QUADS, INPUTS, WEIGHTS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D,
        GATED, SCALED, BLOCK_ACT, BLOCK_ACT_A, BLOCK_ACT_B, BLOCK_ACT_C, BLOCK_ACT_D
    ]
};
params! {
    plane: u32, rows: u32, in_quads: u32, out_quads: u32, pixel_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d, choice: Choice) -> Result<()> {
    let output = low.node(id).shape;
    let (in_quads, out_quads) = (quads(low.input_shape(id, 0)), quads(output));
    let on_load = op.gate == Gating::Input;
    let tiles = Tiles::new(low, choice, output, out_quads, squeeze::wanted(low, id));
    let in_weights = on_load && tiles.shares_gates;
    let before = on_load && scales_before(low, id, choice, in_weights);
    let before = before.then(|| scale::lower_input(low, id)).transpose()?;
    let gated = on_load && before.is_none();
    let scaled = op.gate == Gating::Output;
    let mut overrides = epilogue(op);
    overrides.extend([flag("GATED", gated && !in_weights), flag("SCALED", scaled)]);
    if in_weights {
        overrides.push(flag("GATED_WEIGHTS", true));
    }
    overrides.extend(tiles.overrides());
    let (count, place) = (tiles.count(), concat::place(low, id));
    let params = Params {
        plane: word(output.plane()),
        rows: tiles.rows,
        in_quads,
        out_quads,
        pixel_blocks: tiles.pixel_blocks,
        count,
        output_stride: place.stride,
        output_offset: place.offset,
    }
    .words();
    let mut bindings = bindings(low, id, op, Packing::Conv { groups: 1, merge: 1 })?;
    // Without a gate the slot holds the bias, which the shader then does not read through it.
    bindings.push(match op.gate {
        Gating::Input if gated => flatten::unless_f32(low, id, 1)?,
        Gating::Output => result_gate(low, id)?,
        _ => bindings[2],
    });
    bindings[0] = before.unwrap_or(bindings[0]);
    let source = low.node(id).inputs[0];
    let also = if let Some(block) = low.take_deferred(source) {
        (bindings[0], bindings[3], bindings[5]) = (block.input, block.residual, block.gate);
        overrides.retain(|(name, _)| *name != "GATED");
        overrides.push(flag("GATED", true));
        let names = ["BLOCK_ACT", "BLOCK_ACT_A", "BLOCK_ACT_B", "BLOCK_ACT_C", "BLOCK_ACT_D"];
        overrides.extend(act_overrides_as(names, block.act));
        Also::Block(low.value_of(source))
    } else {
        tiles.sums(low, id)?
    };
    let (shader, macs) = (tiles.of(&DIRECT, &TILED), macs(low, id, op));
    tiles.add(low, id, op, StepSpec { part: "", shader, overrides, params, workgroups: count, bindings, macs }, also)
}

/// Whether the gated map is better made before: in the direct family every column of tiles scales it anew. Says so in the
/// record of the stage.
fn scales_before(low: &mut Lowering, id: NodeId, choice: Choice, in_weights: bool) -> bool {
    let node = low.node(id);
    let (taken, why) = match choice {
        _ if in_weights => (true, ", by the weights that lanes share".into()),
        Choice::Direct { quads: tile } => {
            let map = low.map_bytes(low.input_shape(id, 0));
            let Decision { taken, why } = scale_on_load(&low.target.costs, map, quads(node.shape).div_ceil(tile));
            (taken, format!(": {why}"))
        }
        _ => (true, String::new()),
    };
    let words = if taken { "on load of" } else { "a pass of its own before" };
    low.note_scale(node.inputs[1], format!("{words} {}{why}", node.name));
    !taken
}

/// Whether this convolution ends the residual block that it reads, while it loads: in the tiled family, which loads every
/// element once for a column of tiles, and where neither its residual nor sums need the bindings.
pub(crate) fn ends_block(low: &Lowering, id: NodeId, op: &Conv2d) -> Result<Decision<bool>> {
    let no = |why| Ok(Decision { taken: false, why });
    let Some(problem) = choice::problem(low, id, op).filter(|problem| problem.block) else {
        return no("it has no binding left for it".into());
    };
    let choice = choice::choose(low, &problem)?;
    match choice.tile() {
        Some(tile) if choice.parts() == 1 => {
            let map = low.map_bytes(problem.input);
            Ok(leave_end(&low.target.costs, map, quads(problem.output).div_ceil(tile.quads())))
        }
        _ => no(format!("by {choice} it would be computed for every few channels")),
    }
}

/// Whether it could, as far as its own op says.
pub(crate) fn has_room(low: &Lowering, id: NodeId, op: &Conv2d) -> bool {
    choice::may_end_block(op, low.node(id).inputs.len(), false)
}
