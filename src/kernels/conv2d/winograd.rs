//! Winograd's F(2x2, 3x3) for 3x3 convolutions of stride 1 (Lavin and Gray, CVPR 2016): 16 multiply-adds for 4 pixels in
//! place of 36, and four times the map to write and read in between, in `f32`. The 16 products are groups of a 1x1 convolution, so the
//! kernels of all others compute them. Shaders `shaders/conv2d/winograd_{input,output}.wgsl`

use super::choice::{Kind, Problem};
use super::depthwise::run;
use super::{epilogue, general, macs};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::pack::Packing;
use crate::kernels::shape::concat::{self, Place};
use crate::kernels::squeeze_excite::squeeze;
use crate::kernels::{Shader, VECTOR, lanes_for, quads, word};
use crate::ops::Conv2d;
use crate::param::Param;
use crate::plan::{Also, Family, Lowering, Slot, StepSpec};
use crate::tensor::Shape;

pub(crate) const INPUT: Shader = input::SHADER;
pub(crate) const OUTPUT: Shader = output::SHADER;

/// Products of a tile.
pub(super) const PRODUCTS: usize = 16;

/// The products of all tiles, as a map whose pixels are tiles and whose groups are products.
pub(super) fn tiles(map: Shape, channels: usize) -> Shape {
    Shape::map(PRODUCTS * channels.next_multiple_of(4), map.height().div_ceil(2), map.width().div_ceil(2))
}

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d) -> Result<()> {
    let (input, output) = (low.input_shape(id, 0), low.node(id).shape);
    let maps = [input, output].map(|map| tiles(output, map.channels()));
    let transformed = transform(low, id, op, maps[0])?;
    let products = multiply(low, id, op, maps, transformed)?;
    finish(low, id, op, maps[1], products)
}

/// Tiles of the input, transformed.
fn transform(low: &mut Lowering, id: NodeId, op: &Conv2d, tiles: Shape) -> Result<Slot> {
    let input = low.input_shape(id, 0);
    let transformed = low.scratch(id, "winograd/input", word(tiles.plane()) * quads(tiles))?;
    let count = word(low.batch * tiles.plane()) * quads(input);
    let (overrides, workgroups) = lanes_for(count);
    let params = input::params(input, tiles, op, count);
    let (part, bindings) = ("winograd/input", vec![low.input(id, 0), transformed]);
    low.step(id, StepSpec { part, shader: &INPUT, overrides, params, workgroups, bindings, macs: 0 })?;
    Ok(transformed)
}

/// Products of the transformed tiles and filters.
fn multiply(low: &mut Lowering, id: NodeId, op: &Conv2d, maps: [Shape; 2], transformed: Slot) -> Result<Slot> {
    let [input, output] = maps;
    let weight = low.weight(&[&low.node(id).params[0]], Packing::Winograd)?;
    let zeros = low.weight(&[&Param::Fill { value: 0.0, shape: vec![output.channels()] }], Packing::Vector)?;
    let products = low.scratch(id, "winograd/products", word(output.plane()) * quads(output))?;
    let product = Conv2d::new(output.channels(), 1).groups(PRODUCTS);
    let (kind, op_of_it, batch) = (Kind::General, product.clone(), low.batch);
    let problem = Problem { kind, op: op_of_it, input, output, batch, sums: false, block: false, planes: false };
    let choice = problem.static_choice(low.options.family, low.target, low.sharing_lanes());
    let tiles = general::tiles(low, &product, maps, choice, false);
    let place = Place { whole: id, stride: quads(output), offset: 0 };
    let bindings = vec![transformed, weight, zeros, weight, products, zeros];
    let step = general::step(low, &product, maps, &tiles, place, bindings);
    let spec = StepSpec { part: "winograd/products", macs: macs(low, id, op), ..step };
    tiles.add(low, id, &product, spec, Also::Nothing)?;
    Ok(products)
}

/// The node's value from the products.
fn finish(low: &mut Lowering, id: NodeId, op: &Conv2d, tiles: Shape, products: Slot) -> Result<()> {
    let output = low.node(id).shape;
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_channels] };
    let bias = low.weight(&[low.node(id).params.get(1).unwrap_or(&no_bias)], Packing::Vector)?;
    // Without a residual the slot holds the input, which the shader then does not read through it.
    let residual = low.input(id, if op.residual { low.node(id).inputs.len() - 1 } else { 0 });
    let bindings = vec![products, bias, residual, low.define(id)?];
    // A software adapter's one vector of lanes, without barriers, adds up runs of tiles: `Choice::Depthwise` says why.
    let lanes = if low.family() == Family::Direct { VECTOR } else { 64 };
    let wide = quads(output).next_power_of_two().min(16).min(lanes);
    let deep = (lanes / wide).min(word(tiles.plane()).next_power_of_two());
    let (quad_blocks, runs) = (quads(output).div_ceil(wide), word(tiles.plane()).div_ceil(deep));
    let run = if lanes == VECTOR { run(runs, quad_blocks * low.images(), low.target.fill) } else { 1 };
    let blocks = [quad_blocks, runs.div_ceil(run)];
    let workgroups = low.images() * blocks[0] * blocks[1];
    let params = output::params(output, tiles, blocks, workgroups, run, concat::place(low, id));
    let mut overrides = epilogue(op);
    overrides.extend([("QUADS", f64::from(wide)), ("ROWS", f64::from(deep)), ("WORKGROUP", f64::from(wide * deep))]);
    let also = Also::sums(squeeze::in_parts(low, id, blocks[1])?);
    low.step_and(id, StepSpec { part: "", shader: &OUTPUT, overrides, params, workgroups, bindings, macs: 0 }, also)
}

mod input {
    use crate::kernels::{Shader, params, quads, shader, word};
    use crate::ops::Conv2d;
    use crate::tensor::Shape;

    pub(super) const SHADER: Shader = shader! {
        "conv2d/winograd_input",
        common: ["storage", "floats", "loads", "grid"],
        bindings: [read input, write output],
        halves: [input],
        overrides: [WORKGROUP]
    };
    params! {
        height: u32, width: u32, tile_rows: u32, tile_columns: u32, top: u32, left: u32, quads: u32, count: u32
    }

    pub(super) fn params(input: Shape, tiles: Shape, op: &Conv2d, count: u32) -> Vec<u32> {
        Params {
            height: word(input.height()),
            width: word(input.width()),
            tile_rows: word(tiles.height()),
            tile_columns: word(tiles.width()),
            top: word(op.padding.top),
            left: word(op.padding.left),
            quads: quads(input),
            count,
        }
        .words()
    }
}

mod output {
    use crate::kernels::shape::concat::Place;
    use crate::kernels::{Shader, params, quads, shader, word};
    use crate::tensor::Shape;

    pub(super) const SHADER: Shader = shader! {
        "conv2d/winograd_output",
        common: ["storage", "floats", "loads", "grid", "activation", "epilogue", "unscaled", "rows", "squeeze"],
        bindings: [read input, read bias, read residual, write output],
        halves: [residual, output],
        overrides: [QUADS, ROWS, WORKGROUP, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
    };
    params! {
        out_height: u32, out_width: u32, tile_rows: u32, tile_columns: u32, quads: u32, quad_blocks: u32, tile_blocks: u32,
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
        let [quad_blocks, tile_blocks] = blocks;
        Params {
            out_height: word(output.height()),
            out_width: word(output.width()),
            tile_rows: word(tiles.height()),
            tile_columns: word(tiles.width()),
            quads: quads(output),
            quad_blocks,
            tile_blocks,
            count,
            output_stride: place.stride,
            output_offset: place.offset,
            run,
        }
        .words()
    }
}
