//! Convolution with any attributes. Shaders `shaders/conv2d/{direct,tiled}.wgsl`

use super::{bindings, macs, side, tiles};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::shape::flatten;
use crate::kernels::{Shader, flag, params, shader, vec4s, word};
use crate::ops::{Conv2d, Definition, Gating};
use crate::param::Param;
use crate::plan::{Bindings, Fused, Lowering, StepSpec};
use crate::schedule::convolution::{FilterBlock, Tiles, merged_groups};
use crate::schedule::{Convolution, Load, Place};
use crate::tensor::Shape;

pub(crate) const DIRECT: Shader = shader! {
    "conv2d/direct",
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [INVOCATIONS_PIXEL, INVOCATIONS_VEC4, TILE_VEC4S, INVOCATIONS, SUMS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D, SCALED]
};
pub(crate) const TILED: Shader = shader! {
    "conv2d/tiled",
    bindings: [read input, read weight, read bias, read residual, write output, read gate],
    halves: [input, weight, residual, output],
    overrides: [
        INVOCATIONS_VEC4, INVOCATIONS_ROW, VEC4S, SPLITS, TILE_VEC4S, WIDTH, HEIGHT, K_TILE, ROW_VEC4S, INPUTS, WEIGHTS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D,
        SCALED
    ]
};
params! {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    rows: u32, image_channels: u32, groups: u32, in_vec4s: u32, out_vec4s: u32, pixel_blocks: u32, vec4_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d, conv: &Convolution, tiles: &Tiles) -> Result<()> {
    let (maps, place) = ([low.input_shape(id, 0), low.node(id).shape], low.place(id));
    let merged = merged_groups(op, maps[0].channels());
    let packing = Packing::Conv { groups: merged.groups, merge: merged.merge };
    let input = if conv.load == Load::Nchw { low.plan_input() } else { low.input(id, 0) };
    let mut bindings = bindings(low, id, op, input, packing)?;
    if op.gated() {
        bindings.push(("gate", flatten::unless_f32(low, id, 1)?));
    }
    let image_channels = if conv.load == Load::Nchw { word(maps[0].channels()) } else { 0 };
    let mut spec = step(op, maps, tiles, place, image_channels, bindings);
    spec.macs = macs(low, id, op);
    let fused = Fused { side: side(low, id, conv)?, ..Fused::with(conv) };
    tiles::add(low, id, op, tiles, spec, fused)
}

/// A dispatch for each block of filters, with the weights of these.
pub(crate) fn lower_blocks(
    low: &mut Lowering,
    id: NodeId,
    op: &Conv2d,
    conv: &Convolution,
    blocks: &[FilterBlock],
) -> Result<()> {
    let (input, output, place) = (low.input_shape(id, 0), low.node(id).shape, low.place(id));
    let node = low.node(id);
    let map = if conv.load == Load::Nchw { low.plan_input() } else { low.input(id, 0) };
    let image_channels = if conv.load == Load::Nchw { word(input.channels()) } else { 0 };
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_channels] };
    let bias = node.params.get(1).unwrap_or(&no_bias);
    let value = low.define(id)?;
    for FilterBlock { filters, tiles } in blocks {
        let weight = low.stored_weight(&node.params[0], Packing::ConvFilters(filters.clone()))?;
        let bias = low.weight(&[bias], Packing::Slice(filters.clone()))?;
        let part = Shape::map(filters.len(), output.height(), output.width());
        let op = Conv2d { out_channels: filters.len(), ..op.clone() };
        let place = Place { offset: place.offset + word(filters.start / 4), ..place };
        let bindings = vec![("input", map), ("weight", weight), ("bias", bias), ("output", value)];
        let mut spec = step(&op, [input, part], tiles, place, image_channels, bindings);
        spec.macs = low.batch as u64 * op.macs(&[input], part);
        let bytes = low.map_bytes(part);
        low.step_of_part(id, spec, bytes, Fused { shares_weights: tiles.shared, ..Fused::with(conv) })?;
    }
    Ok(())
}

/// The step of a convolution between such maps, which reads so many dense planes.
pub(super) fn step(
    op: &Conv2d,
    [input, output]: [Shape; 2],
    tiles: &Tiles,
    place: Place,
    image_channels: u32,
    bindings: Bindings,
) -> StepSpec {
    let groups = word(merged_groups(op, input.channels()).groups);
    let count = tiles.count() * groups;
    let mut overrides = tiles::epilogue(tiles, op);
    overrides.push(flag("SCALED", op.gate == Gating::Output));
    overrides.extend(tiles::overrides(tiles));
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
        image_channels,
        groups,
        in_vec4s: vec4s(input) / groups,
        out_vec4s: vec4s(output) / groups,
        pixel_blocks: tiles.pixel_blocks,
        vec4_blocks: tiles.vec4_blocks,
        count,
        output_stride: place.stride,
        output_offset: place.offset,
    }
    .words();
    let shader = tiles::shader_of(tiles, &DIRECT, &TILED);
    StepSpec { part: "", shader, overrides, params, workgroups: count, bindings, macs: 0 }
}
