// Input transform of Winograd's F(2x2, 3x3) (Lavin and Gray, CVPR 2016): `Bt d B` of 4x4 pixels. One invocation: a vec4
// of one tile, which makes 2x2 pixels of the result. The 16 products of a tile lie side by side, as groups do.
// Host `src/kernels/conv2d/winograd.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/floats axis/loads lib/grid
struct Params { height: u32, width: u32, tile_rows: u32, tile_columns: u32, top: u32, left: u32, vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Loaded>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

// The vec4 at a column of the row that begins at `row`; zeros outside the map.
fn element(row: u32, column: u32, c4: u32, exists: bool) -> vec4<f32> {
    let inside = exists && column < params.width;
    let at = select(0u, (row + column) * params.vec4s + c4, inside);
    return select(vec4(0.0), loaded(input[at]), inside);
}

// Four pixels of a row, as columns, times `B`.
fn row_of(image: u32, y: u32, x: u32, c4: u32) -> mat4x4<f32> {
    // Wraps below zero to more than any height or width.
    let exists = y < params.height;
    let row = (image * params.height + y) * params.width;
    let d0 = element(row, x, c4, exists);
    let d1 = element(row, x + 1u, c4, exists);
    let d2 = element(row, x + 2u, c4, exists);
    let d3 = element(row, x + 3u, c4, exists);
    return mat4x4(d0 - d2, d1 + d2, d2 - d1, d1 - d3);
}

fn store(at: u32, values: mat4x4<f32>) {
    output[at] = values[0];
    output[at + params.vec4s] = values[1];
    output[at + 2u * params.vec4s] = values[2];
    output[at + 3u * params.vec4s] = values[3];
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let c4 = index % params.vec4s;
    let tile = index / params.vec4s;
    let x = tile % params.tile_columns * 2u - params.left;
    let y = tile / params.tile_columns % params.tile_rows * 2u - params.top;
    let image = tile / (params.tile_columns * params.tile_rows);
    let r0 = row_of(image, y, x, c4);
    let r1 = row_of(image, y + 1u, x, c4);
    let r2 = row_of(image, y + 2u, x, c4);
    let r3 = row_of(image, y + 3u, x, c4);
    let at = tile * 16u * params.vec4s + c4;
    store(at, r0 - r2);
    store(at + 4u * params.vec4s, r1 + r2);
    store(at + 8u * params.vec4s, r2 - r1);
    store(at + 12u * params.vec4s, r1 - r3);
}
