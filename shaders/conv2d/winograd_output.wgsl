// Output transform of Winograd's F(2x2, 3x3): `At m A` of a tile's 16 products are 2x2 pixels of the result. One
// invocation: a vec4 of `run` tiles; a workgroup is `VEC4S` vec4s wide and `ROWS` runs of one image deep, whose sums it
// can keep.
// Host `src/kernels/conv2d/winograd.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/floats axis/loads lib/grid lib/act axis/epilogue lib/unscaled lib/row_reductions axis/sums
struct Params {
    out_height: u32, out_width: u32, tile_rows: u32, tile_columns: u32, vec4s: u32, vec4_blocks: u32, tile_blocks: u32,
    count: u32, output_stride: u32, output_offset: u32, run: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Floats>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<Loaded>;
@group(0) @binding(4) var<storage, read_write> output: array<Vec4>;

// Four products of a tile, as columns.
fn products(at: u32) -> mat4x4<f32> {
    let vec4s = params.vec4s;
    return mat4x4(
        floats(input[at]),
        floats(input[at + vec4s]),
        floats(input[at + 2u * vec4s]),
        floats(input[at + 3u * vec4s]),
    );
}

// Finishes a row of two pixels, of which those to the right of the map don't exist; returns their sum.
fn finish_row(pixel: u32, both: bool, c4: u32, m: mat4x4<f32>) -> vec4<f32> {
    var sum = finish(pixel, c4, params.vec4s, m[0] + m[1] + m[2]);
    if both { sum += finish(pixel + 1u, c4, params.vec4s, m[1] - m[2] - m[3]); }
    return sum;
}

// The pixels of a tile; returns their sum.
fn compute(image: u32, tile: u32, c4: u32) -> vec4<f32> {
    let at = (image * params.tile_rows * params.tile_columns + tile) * 16u * params.vec4s + c4;
    let m0 = products(at);
    let m1 = products(at + 4u * params.vec4s);
    let m2 = products(at + 8u * params.vec4s);
    let m3 = products(at + 12u * params.vec4s);
    let y = tile / params.tile_columns * 2u;
    let x = tile % params.tile_columns * 2u;
    let pixel = (image * params.out_height + y) * params.out_width + x;
    let both = x + 1u < params.out_width;
    var sum = finish_row(pixel, both, c4, m0 + m1 + m2);
    if y + 1u < params.out_height { sum += finish_row(pixel + params.out_width, both, c4, m1 - m2 - m3); }
    return sum;
}

@compute @workgroup_size(VEC4S, ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) invocation: vec3<u32>,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let block = index / params.vec4_blocks;
    let image = block / params.tile_blocks;
    let c4 = index % params.vec4_blocks * VEC4S + invocation.x;
    let first = (block % params.tile_blocks * ROWS + invocation.y) * params.run;
    var sum = vec4(0.0);
    if c4 < params.vec4s {
        let last = min(first + params.run, params.tile_rows * params.tile_columns);
        for (var tile = first; tile < last; tile++) { sum += compute(image, tile, c4); }
    }
    if SQUEEZE {
        sum = over_rows(sum, invocation, false);
        if invocation.y == 0u && c4 < params.vec4s { keep(block * params.vec4s + c4, sum); }
    }
}
