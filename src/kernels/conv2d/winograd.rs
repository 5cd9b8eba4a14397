//! Winograd's F(2x2, 3x3) for 3x3 convolutions of stride 1 (Lavin and Gray, CVPR 2016): 16 multiply-adds for 4 pixels in
//! place of 36, and four times the map to write and read in between, in `f32`. The 16 products are groups of a 1x1
//! convolution, so the kernels of all others compute them. Shaders `shaders/conv2d/winograd_{input,output}.wgsl`

use super::{epilogue, general, macs, side, tiles};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::{Shader, invocations_for, vec4s, word};
use crate::ops::Conv2d;
use crate::param::Param;
use crate::plan::{Fused, Lowering, Slot, StepSpec};
use crate::schedule::convolution::{WinogradTiles, winograd_map};
use crate::schedule::{Convolution, Place};
use crate::tensor::Shape;

pub(crate) const INPUT: Shader = input::SHADER;
pub(crate) const OUTPUT: Shader = output::SHADER;

pub(crate) fn lower(
    low: &mut Lowering,
    id: NodeId,
    op: &Conv2d,
    conv: &Convolution,
    tiles: &WinogradTiles,
) -> Result<()> {
    let (input, output) = (low.input_shape(id, 0), low.node(id).shape);
    let maps = [input, output].map(|map| winograd_map(output, map.channels()));
    let choice = Fused { choice: Fused::with(conv).choice, ..Fused::default() };
    let transformed = transform(low, id, op, maps[0], choice)?;
    let products = multiply(low, id, op, tiles, maps, transformed, choice)?;
    finish(low, id, op, conv, tiles, maps[1], products)
}

/// Tiles of the input, transformed.
fn transform(low: &mut Lowering, id: NodeId, op: &Conv2d, tiles: Shape, choice: Fused) -> Result<Slot> {
    let input = low.input_shape(id, 0);
    let transformed = low.scratch(id, "winograd/input", word(tiles.plane()) * vec4s(tiles))?;
    let count = word(low.batch * tiles.plane()) * vec4s(input);
    let (overrides, workgroups) = invocations_for(count);
    let params = input::params(input, tiles, op, count);
    let (part, bindings) = ("winograd/input", vec![("input", low.input(id, 0)), ("output", transformed)]);
    let spec = StepSpec { part, shader: &INPUT, overrides, params, workgroups, bindings, macs: 0 };
    low.step_with(id, spec, choice)?;
    Ok(transformed)
}

/// Products of the transformed tiles and filters.
fn multiply(
    low: &mut Lowering,
    id: NodeId,
    op: &Conv2d,
    winograd: &WinogradTiles,
    maps: [Shape; 2],
    transformed: Slot,
    choice: Fused,
) -> Result<Slot> {
    let output = maps[1];
    let weight = low.weight(&[&low.node(id).params[0]], Packing::Winograd)?;
    let zeros = low.weight(&[&Param::Fill { value: 0.0, shape: vec![output.channels()] }], Packing::Vector)?;
    let products = low.scratch(id, "winograd/products", word(output.plane()) * vec4s(output))?;
    let place = Place { whole: id, stride: vec4s(output), offset: 0 };
    let bindings = vec![("input", transformed), ("weight", weight), ("bias", zeros), ("output", products)];
    let step = general::step(&winograd.product, maps, &winograd.tiles, place, 0, bindings);
    let spec = StepSpec { part: "winograd/products", macs: macs(low, id, op), ..step };
    tiles::add(low, id, &winograd.product, &winograd.tiles, spec, choice)?;
    Ok(products)
}

/// The node's value from the products.
fn finish(
    low: &mut Lowering,
    id: NodeId,
    op: &Conv2d,
    conv: &Convolution,
    winograd: &WinogradTiles,
    tiles: Shape,
    products: Slot,
) -> Result<()> {
    let output = low.node(id).shape;
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_channels] };
    let bias = low.weight(&[low.node(id).params.get(1).unwrap_or(&no_bias)], Packing::Vector)?;
    // Without a residual its binding holds the input, which the shader then does not read through it.
    let residual = low.input(id, if op.residual { low.node(id).inputs.len() - 1 } else { 0 });
    let bindings = vec![("input", products), ("bias", bias), ("residual", residual), ("output", low.define(id)?)];
    let WinogradTiles { invocations: [wide, deep], run, vec4_blocks, tile_blocks, .. } = *winograd;
    let workgroups = low.images() * vec4_blocks * tile_blocks;
    let params = output::params(output, tiles, [vec4_blocks, tile_blocks], workgroups, run, low.place(id));
    let mut overrides = epilogue(op);
    overrides.extend([("VEC4S", f64::from(wide)), ("ROWS", f64::from(deep)), ("WORKGROUP", f64::from(wide * deep))]);
    let fused = Fused { side: side(low, id, conv)?, ..Fused::with(conv) };
    low.step_with(id, StepSpec { part: "", shader: &OUTPUT, overrides, params, workgroups, bindings, macs: 0 }, fused)
}

mod input {
    use crate::kernels::{Shader, params, shader, vec4s, word};
    use crate::ops::Conv2d;
    use crate::tensor::Shape;

    pub(super) const SHADER: Shader = shader! {
        "conv2d/winograd_input",
        bindings: [read input, write output],
        halves: [input],
        overrides: [WORKGROUP]
    };
    params! {
        height: u32, width: u32, tile_rows: u32, tile_columns: u32, top: u32, left: u32, vec4s: u32, count: u32
    }

    pub(super) fn params(input: Shape, tiles: Shape, op: &Conv2d, count: u32) -> Vec<u32> {
        Params {
            height: word(input.height()),
            width: word(input.width()),
            tile_rows: word(tiles.height()),
            tile_columns: word(tiles.width()),
            top: word(op.padding.top),
            left: word(op.padding.left),
            vec4s: vec4s(input),
            count,
        }
        .words()
    }
}

mod output {
    use crate::kernels::{Shader, params, shader, vec4s, word};
    use crate::schedule::Place;
    use crate::tensor::Shape;

    pub(super) const SHADER: Shader = shader! {
        "conv2d/winograd_output",
        bindings: [read input, read bias, read residual, write output],
        halves: [residual, output],
        overrides: [VEC4S, ROWS, WORKGROUP, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
    };
    params! {
        out_height: u32, out_width: u32, tile_rows: u32, tile_columns: u32, vec4s: u32, vec4_blocks: u32, tile_blocks: u32,
        count: u32, output_stride: u32, output_offset: u32, run: u32,
    }

    pub(super) fn params(
        output: Shape,
        tiles: Shape,
        blocks: [u32; 2],
        count: u32,
        run: u32,
        place: Place,
    ) -> Vec<u32> {
        let [vec4_blocks, tile_blocks] = blocks;
        Params {
            out_height: word(output.height()),
            out_width: word(output.width()),
            tile_rows: word(tiles.height()),
            tile_columns: word(tiles.width()),
            vec4s: vec4s(output),
            vec4_blocks,
            tile_blocks,
            count,
            output_stride: place.stride,
            output_offset: place.offset,
            run,
        }
        .words()
    }
}
