//! Convolution with any attributes. Shaders `shaders/conv2d/{direct,tiled}.wgsl`

use super::choice::{self, Choice, Kind};
use super::{
    bindings, combine, direct_overrides, direct_rows, direct_tiles, epilogue, macs, merged_groups, pixel_count,
    tiled_overrides, tiled_parts, tiled_tiles,
};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::squeeze_excite::squeeze;
use crate::kernels::{Shader, params, quads, shader, word};
use crate::ops::{Conv2d, Op};
use crate::passes::Fusion;
use crate::plan::{Also, Lowering, StepSpec};

pub(crate) const DIRECT: Shader = shader! {
    "conv2d/direct",
    common: ["storage", "input", "grid", "activation", "epilogue", "direct"],
    bindings: [read input, read weight, read bias, read residual, write output],
    halves: [input, weight, residual, output],
    overrides: [LANES_PIXEL, LANES_QUAD, TILE_QUADS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
};
pub(crate) const TILED: Shader = shader! {
    "conv2d/tiled",
    common: ["storage", "input", "grid", "activation", "epilogue", "tiled", "squeeze"],
    bindings: [read input, read weight, read bias, read residual, write output],
    halves: [input, weight, residual, output],
    overrides: [
        LANES_QUAD, LANES_ROW, WIDTH, HEIGHT, ROW_QUADS, INPUTS, WEIGHTS, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D
    ]
};
params! {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    rows: u32, planes: u32, groups: u32, in_quads: u32, out_quads: u32, pixel_blocks: u32, quad_blocks: u32, count: u32,
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d, choice: Choice) -> Result<()> {
    let (input, output) = (low.input_shape(id, 0), low.node(id).shape);
    let mut rows = pixel_count(low, output);
    let merged = merged_groups(op, input.channels());
    let groups = word(merged.groups);
    let (in_quads, out_quads) = (quads(input) / groups, quads(output) / groups);
    let planar = low.input(id, 0) == low.plan_input();
    let mut overrides = epilogue(op);
    let (shader, tiles) = match choice {
        Choice::Direct { quads: tile_quads } => {
            rows = direct_rows(low, output);
            let tiles = direct_tiles(rows, out_quads, tile_quads);
            overrides.extend(direct_overrides(&tiles, tile_quads));
            (&DIRECT, tiles)
        }
        Choice::Tiled { lanes } => {
            let tiles = tiled_tiles(rows, out_quads, lanes);
            overrides.extend(tiled_overrides(&tiles));
            (&TILED, tiles)
        }
        Choice::Split { .. } => {
            let tiles = tiled_tiles(rows, out_quads, choice::SMALL);
            overrides.extend(tiled_overrides(&tiles));
            (&TILED, tiles)
        }
        Choice::Depthwise { .. } => unreachable!("no candidate here"),
    };
    let count = tiles.pixel_blocks * tiles.quad_blocks * groups * choice.parts();
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
        rows,
        planes: if planar { word(input.channels()) } else { 0 },
        groups,
        in_quads,
        out_quads,
        pixel_blocks: tiles.pixel_blocks,
        quad_blocks: tiles.quad_blocks,
        count,
    }
    .words();
    let bindings = bindings(low, id, op, Packing::Conv { groups: merged.groups, merge: merged.merge })?;
    let also = match choice {
        Choice::Tiled { lanes } => {
            let parts = tiled_parts(lanes, word(output.plane()), low.images());
            Also::sums(squeeze::in_parts(low, id, parts)?)
        }
        _ => Also::Nothing,
    };
    let macs = macs(low, id, op);
    let step = StepSpec { part: "", shader, overrides, params, workgroups: count, bindings, macs };
    match choice {
        Choice::Split { parts } => combine::lower(low, id, op, parts, step),
        _ => low.step_and(id, step, also),
    }
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
