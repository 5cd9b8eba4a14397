//! Convolutions: which kernel, and what all of them share.
//! Meaning `ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`

mod choice;
pub(crate) mod combine;
pub(crate) mod depthwise;
pub(crate) mod general;
pub(crate) mod pointwise;

pub use choice::Choice;
pub(crate) use choice::{Kind, Problem};

use super::pack::Packing;
use super::{act_overrides, flag, linear, word};
use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::{Conv2d, Meaning, Padding};
use crate::param::Param;
use crate::plan::{Lowering, Slot};
use crate::tensor::Shape;

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d) -> Result<()> {
    let Some(problem) = choice::problem(low, id, op) else {
        return linear::lower_filters(low, id, op.act);
    };
    let choice = choice::choose(low, &problem)?;
    match problem.kind {
        Kind::Depthwise => depthwise::lower(low, id, op, choice)?,
        Kind::Pointwise => pointwise::lower(low, id, op, choice)?,
        Kind::General => general::lower(low, id, op, choice)?,
    }
    low.chose(problem, choice);
    Ok(())
}

/// Whether the only window is the whole map: a fully connected layer on a map, as VGG's first one.
fn is_linear(op: &Conv2d, input: Shape) -> bool {
    let whole =
        op.kernel == [input.height(), input.width()] && op.dilation == [1, 1] && op.padding == Padding::default();
    whole && input.plane() > 1 && op.groups == 1 && !op.residual && !op.gate
}

/// Overrides of `shaders/common/epilogue.wgsl`.
fn epilogue(op: &Conv2d) -> Vec<(&'static str, f64)> {
    let mut overrides = vec![flag("RESIDUAL", op.residual)];
    overrides.extend(act_overrides(op.act));
    overrides
}

/// The five bindings of every convolution kernel.
fn bindings(low: &mut Lowering, id: NodeId, op: &Conv2d, packing: Packing) -> Result<Vec<Slot>> {
    let node = low.node(id);
    let weight = low.stored_weight(&node.params[0], packing)?;
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_channels] };
    let bias = low.weight(&[node.params.get(1).unwrap_or(&no_bias)], Packing::Vector)?;
    // Without a residual the slot holds the weight, which the shader then does not read through it.
    let residual = if op.residual { low.input(id, low.node(id).inputs.len() - 1) } else { weight };
    Ok(vec![low.input(id, 0), weight, bias, residual, low.define(id)?])
}

fn macs(low: &Lowering, id: NodeId, op: &Conv2d) -> u64 {
    low.batch as u64 * op.macs(&[low.input_shape(id, 0)], low.node(id).shape)
}

/// A tile of pixels and channel quads that one workgroup computes, and how many there are.
struct Tiles {
    lanes: [u32; 2],
    pixel_blocks: u32,
    quad_blocks: u32,
}

/// Four pixels of an image side by side, over the whole batch: the rows of the direct family.
fn direct_rows(low: &Lowering, shape: Shape) -> u32 {
    word(low.batch * shape.plane().div_ceil(4))
}

/// Lanes of the direct family: 64, over pixels as far as there are enough (then a subgroup's weights have one
/// address), the rest over channels. In powers of four, so that there are few pipelines.
fn direct_tiles(rows: u32, out_quads: u32, tile_quads: u32) -> Tiles {
    let columns = out_quads.div_ceil(tile_quads);
    let wide = 4u32.pow(rows.min(64).ilog2() / 2);
    let high = 64 / wide;
    Tiles { lanes: [wide, high], pixel_blocks: rows.div_ceil(wide), quad_blocks: columns.div_ceil(high) }
}

/// Sums that a squeezing convolution of the tiled family keeps of an image: of the chunks that
/// `shaders/common/tiled.wgsl` cuts it into.
fn tiled_parts(lanes: u32, plane: u32, images: u32) -> u32 {
    let tile = 8 * lanes;
    if images == 1 { plane.div_ceil(tile) } else { plane / tile + (plane % tile).count_ones() }
}

/// Quads an invocation of the direct family computes.
fn direct_quads(out_quads: u32) -> u32 {
    if out_quads.is_multiple_of(2) { 2 } else { 1 }
}

/// Tiles of the tiled family.
fn tiled_tiles(pixels: u32, out_quads: u32, lanes: u32) -> Tiles {
    Tiles { lanes: [lanes; 2], pixel_blocks: pixels.div_ceil(8 * lanes), quad_blocks: out_quads.div_ceil(lanes) }
}

/// Overrides of the tile in `shaders/common/direct.wgsl`.
fn direct_overrides(tiles: &Tiles, tile_quads: u32) -> [(&'static str, f64); 3] {
    let [pixel, quad] = tiles.lanes.map(f64::from);
    [("LANES_PIXEL", pixel), ("LANES_QUAD", quad), ("TILE_QUADS", f64::from(tile_quads))]
}

/// Overrides of the tile in `shaders/common/tiled.wgsl`.
fn tiled_overrides(tiles: &Tiles) -> [(&'static str, f64); 2] {
    let [quad, row] = tiles.lanes.map(f64::from);
    [("LANES_QUAD", quad), ("LANES_ROW", row)]
}

/// Pixels of a value over the whole batch.
fn pixel_count(low: &Lowering, shape: Shape) -> u32 {
    word(low.batch * shape.plane())
}

/// Groups as the kernels take them: PyTorch's, merged until channels of a group are whole quads.
struct Groups {
    groups: usize,
    merge: usize,
}

/// Up to four neighbouring groups become one, with zeros in the weights between them; where that does not come out
/// even, all do.
fn merged_groups(op: &Conv2d, in_channels: usize) -> Groups {
    let whole = |merge: &usize| {
        op.groups.is_multiple_of(*merge)
            && (op.groups == *merge
                || (in_channels / op.groups * merge).is_multiple_of(4)
                    && (op.out_channels / op.groups * merge).is_multiple_of(4))
    };
    let merge = [1, 2, 4].into_iter().find(whole).unwrap_or(op.groups);
    Groups { groups: op.groups / merge, merge }
}
