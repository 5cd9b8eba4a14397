// Output transform of Winograd's F(2x2, 3x3): `At m A` of a tile's 16 products are 2x2 pixels of the result. One
// invocation: a quad of `run` tiles; a workgroup is `QUADS` quads wide and `ROWS` runs of one image deep, whose sums it can keep.
// Host `src/kernels/conv2d/winograd.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/floats axis/loads lib/grid lib/act axis/epilogue lib/unscaled lib/row_reductions axis/sums
struct Params {
    out_height: u32, out_width: u32, tile_rows: u32, tile_columns: u32, quads: u32, quad_blocks: u32, tile_blocks: u32,
    count: u32, output_stride: u32, output_offset: u32, run: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Floats>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<Loaded>;
@group(0) @binding(4) var<storage, read_write> output: array<Quad>;

// Four products of a tile, as columns.
fn products(at: u32) -> mat4x4<f32> {
    let quads = params.quads;
    return mat4x4(
        floats(input[at]),
        floats(input[at + quads]),
        floats(input[at + 2u * quads]),
        floats(input[at + 3u * quads]),
    );
}

// Finishes a row of two pixels, of which those to the right of the map don't exist; returns their sum.
fn finish_row(pixel: u32, both: bool, quad: u32, m: mat4x4<f32>) -> vec4<f32> {
    var sum = finish(pixel, quad, params.quads, m[0] + m[1] + m[2]);
    if both { sum += finish(pixel + 1u, quad, params.quads, m[1] - m[2] - m[3]); }
    return sum;
}

// The pixels of a tile; returns their sum.
fn compute(image: u32, tile: u32, quad: u32) -> vec4<f32> {
    let at = (image * params.tile_rows * params.tile_columns + tile) * 16u * params.quads + quad;
    let m0 = products(at);
    let m1 = products(at + 4u * params.quads);
    let m2 = products(at + 8u * params.quads);
    let m3 = products(at + 12u * params.quads);
    let y = tile / params.tile_columns * 2u;
    let x = tile % params.tile_columns * 2u;
    let pixel = (image * params.out_height + y) * params.out_width + x;
    let both = x + 1u < params.out_width;
    var sum = finish_row(pixel, both, quad, m0 + m1 + m2);
    if y + 1u < params.out_height { sum += finish_row(pixel + params.out_width, both, quad, m1 - m2 - m3); }
    return sum;
}

@compute @workgroup_size(QUADS, ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let block = index / params.quad_blocks;
    let image = block / params.tile_blocks;
    let quad = index % params.quad_blocks * QUADS + lane.x;
    let first = (block % params.tile_blocks * ROWS + lane.y) * params.run;
    var sum = vec4(0.0);
    if quad < params.quads {
        let last = min(first + params.run, params.tile_rows * params.tile_columns);
        for (var tile = first; tile < last; tile++) { sum += compute(image, tile, quad); }
    }
    if SQUEEZE {
        sum = over_rows(sum, lane, false);
        if lane.y == 0u && quad < params.quads { keep(block * params.quads + quad, sum); }
    }
}
