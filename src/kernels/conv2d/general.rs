//! Convolution with any attributes. Shaders `shaders/conv2d/{direct,tiled}.wgsl`

use super::choice::{self, Choice, Kind};
use super::{Tiles, bindings, epilogue, is_linear, macs, merged_groups, result_gate};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::shape::concat::{self, Place};
use crate::kernels::squeeze_excite::squeeze;
use crate::kernels::{Shader, flag, params, quads, shader, word};
use crate::ops::{Conv2d, Gating, Meaning, Op};
use crate::param::Param;
use crate::passes::Fusion;
use crate::plan::{Lowering, Slot, StepSpec};
use crate::tensor::Shape;

pub(crate) const DIRECT: Shader = shader! {
    "conv2d/direct",
    common: ["storage", "floats", "loads", "input", "grid", "activation", "epilogue", "direct", "weights", "squeeze"],
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [LANES_PIXEL, LANES_QUAD, TILE_QUADS, LANES, SUMS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D, SCALED]
};
pub(crate) const TILED: Shader = shader! {
    "conv2d/tiled",
    common: ["storage", "loads", "input", "grid", "activation", "epilogue", "chunks", "tiled", "squeeze"],
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [
        LANES_QUAD, LANES_ROW, QUADS, SLICES, TILE_QUADS, WIDTH, HEIGHT, SLAB, ROW_QUADS, INPUTS, WEIGHTS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D,
        SCALED
    ]
};
params! {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    rows: u32, planes: u32, groups: u32, in_quads: u32, out_quads: u32, pixel_blocks: u32, quad_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d, choice: Choice) -> Result<()> {
    let (maps, place) = ([low.input_shape(id, 0), low.node(id).shape], concat::place(low, id));
    let merged = merged_groups(op, maps[0].channels());
    let mut bindings = bindings(low, id, op, Packing::Conv { groups: merged.groups, merge: merged.merge })?;
    bindings.push(if op.gated() { result_gate(low, id)? } else { bindings[2] });
    let tiles = tiles(low, op, maps, choice, squeeze::wanted(low, id));
    let mut spec = step(low, op, maps, &tiles, place, bindings);
    spec.macs = macs(low, id, op);
    let also = tiles.sums(low, id)?;
    tiles.add(low, id, op, spec, also)
}

/// Filters of which one binding holds the weights, whole quads of them, where it doesn't hold all; `None` where it does, or where
/// what the convolution is fused with needs all channels in one dispatch.
pub(super) fn filters_a_binding(low: &Lowering, id: NodeId, op: &Conv2d) -> Option<usize> {
    let (input, limits) = (low.input_shape(id, 0), &low.target.limits);
    let room = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let weight = low.node(id).params[0].shape();
    let bytes = |filters: usize| low.options.precision.bytes() * Packing::ConvFilters(0..filters).len(weight) as u64;
    if op.groups > 1 || bytes(op.out_channels) <= room {
        return None;
    }
    let quads = usize::try_from(room / bytes(4)).unwrap_or(usize::MAX);
    // Tiles of the direct family have 4, 2 or 1 quads, and come out even.
    let quads = if quads >= 4 { quads / 4 * 4 } else { quads.min(2) };
    let alone = !op.residual && !op.gated() && !squeeze::wanted(low, id) && !is_linear(op, input);
    (alone && quads > 0).then_some(4 * quads)
}

/// A dispatch for every so many filters, each with the weights of these.
pub(crate) fn lower_filters(low: &mut Lowering, id: NodeId, op: &Conv2d, choice: Choice, filters: usize) -> Result<()> {
    let (input, output, place) = (low.input_shape(id, 0), low.node(id).shape, concat::place(low, id));
    let (node, map) = (low.node(id), low.input(id, 0));
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_channels] };
    let bias = node.params.get(1).unwrap_or(&no_bias);
    let value = low.define(id)?;
    for first in (0..op.out_channels).step_by(filters) {
        let own = first..op.out_channels.min(first + filters);
        let weight = low.stored_weight(&node.params[0], Packing::ConvFilters(own.clone()))?;
        let bias = low.weight(&[bias], Packing::Slice(own.clone()))?;
        let part = Shape::map(own.len(), output.height(), output.width());
        let op = Conv2d { out_channels: own.len(), ..op.clone() };
        let tiles = tiles(low, &op, [input, part], choice, false);
        let place = Place { offset: place.offset + word(first / 4), ..place };
        // Neither a residual nor a gate is read.
        let mut spec = step(low, &op, [input, part], &tiles, place, vec![map, weight, bias, weight, value, bias]);
        spec.macs = low.batch as u64 * op.macs(&[input], part);
        let bytes = low.map_bytes(part);
        low.step_of_part(id, spec, bytes, tiles.shared)?;
    }
    Ok(())
}

/// How a choice shares out the result of a convolution between such maps.
pub(super) fn tiles(low: &Lowering, op: &Conv2d, [input, output]: [Shape; 2], choice: Choice, sums: bool) -> Tiles {
    let groups = word(merged_groups(op, input.channels()).groups);
    Tiles::new(low, choice, output, quads(output) / groups, sums)
}

/// The step of a convolution between such maps.
pub(super) fn step(
    low: &Lowering,
    op: &Conv2d,
    [input, output]: [Shape; 2],
    tiles: &Tiles,
    place: Place,
    bindings: Vec<Slot>,
) -> StepSpec {
    let groups = word(merged_groups(op, input.channels()).groups);
    let count = tiles.count() * groups;
    let mut overrides = epilogue(op);
    overrides.push(flag("SCALED", op.gate == Gating::Output));
    overrides.extend(tiles.overrides());
    let params = Params {
        height: word(input.height()),
        width: word(input.width()),
        out_height: word(output.height()),
        out_width: word(output.width()),
        kernel_height: word(op.kernel[0]),
        kernel_width: word(op.kernel[1]),
        stride_height: word(op.stride[0]),
        stride_width: word(op.stride[1]),
        dilation_height: word(op.dilation[0]),
        dilation_width: word(op.dilation[1]),
        top: word(op.padding.top),
        left: word(op.padding.left),
        rows: tiles.rows,
        planes: if bindings[0] == low.plan_input() { word(input.channels()) } else { 0 },
        groups,
        in_quads: quads(input) / groups,
        out_quads: quads(output) / groups,
        pixel_blocks: tiles.pixel_blocks,
        quad_blocks: tiles.quad_blocks,
        count,
        output_stride: place.stride,
        output_offset: place.offset,
    }
    .words();
    let shader = tiles.of(&DIRECT, &TILED);
    StepSpec { part: "", shader, overrides, params, workgroups: count, bindings, macs: 0 }
}

/// Whether the network's first convolution can read the images as they come: dense planes, at most a quad of them.
pub(crate) fn reads_planes(low: &Lowering, input: NodeId) -> bool {
    let [reader] = *low.readers(input) else { return false };
    let Op::Conv2d(op) = &low.node(reader).op else { return false };
    let shape = low.node(input).shape;
    let general = choice::kind(op, shape) == Some(Kind::General) && op.groups == 1 && !op.residual;
    let kept = low.graph.outputs().iter().any(|&(_, id)| id == input);
    general && !kept && shape.channels() <= 4 && low.options.fusion == Fusion::Full
}
