//! Products of matrices. Meaning `ops/matmul.rs` · shader `shaders/tensor/matmul.wgsl`

use super::{broadcast_strides, image_stride, merged, words};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, params, shader, word};
use crate::plan::{Lowering, StepSpec};

pub(crate) const SHADER: Shader = shader! {
    "tensor/matmul",
    common: ["grid", "walk"],
    bindings: [read a, read b, write output],
    overrides: []
};
params! {
    axes: [[u32; 4]; 6],
    rank: u32, rows: u32, inner: u32, columns: u32, row_tiles: u32, column_tiles: u32, matrices: u32,
    a_stride: u32, b_stride: u32, elements: u32, output_stride: u32, count: u32,
}

/// Rows and columns of a tile.
const TILE: u32 = 32;

pub(crate) fn lower(low: &mut Lowering, id: NodeId) -> Result<()> {
    let shape = low.node(id).shape;
    let [a, b] = [0, 1].map(|index| low.input_shape(id, index));
    let dims = shape.dims();
    let rank = dims.len();
    let strides = [a, b].map(|shape| broadcast_strides(&shape.dims(), rank));
    let axes = merged((0..rank - 2).map(|i| [dims[i], strides[0][i], strides[1][i], 0]));
    let (rows, columns) = (word(dims[rank - 2]), word(dims[rank - 1]));
    let inner = a.dims().last().copied().expect("the shape rule wants two dimensions or more");
    let matrices = dims[..rank - 2].iter().product();
    let (row_tiles, column_tiles) = (rows.div_ceil(TILE), columns.div_ceil(TILE));
    let count = word(low.batch * matrices * row_tiles as usize * column_tiles as usize);
    let params = Params {
        axes: words(&axes),
        rank: word(axes.len()),
        rows,
        inner: word(inner),
        columns,
        row_tiles,
        column_tiles,
        matrices: word(matrices),
        a_stride: word(image_stride(a)),
        b_stride: word(image_stride(b)),
        elements: word(shape.len()),
        output_stride: word(image_stride(shape)),
        count,
    };
    let (overrides, params) = (Vec::new(), params.words());
    let macs = (low.batch * shape.len() * inner) as u64;
    let bindings = vec![("a", low.input(id, 0)), ("b", low.input(id, 1)), ("output", low.define(id)?)];
    low.step(id, StepSpec { part: "", shader: &SHADER, overrides, params, workgroups: count, bindings, macs })
}
