// 1x1 convolution of stride 1 as a matrix product in workgroup memory. One workgroup: a tile of pixels by channels.
// Host `src/kernels/conv2d/pointwise.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/loads lib/grid lib/act axis/epilogue lib/ordered_rows axis/product axis/matrix axis/sums axis/residual_end
struct Params {
    plane: u32, rows: u32, in_vec4s: u32, out_vec4s: u32, pixel_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read> weight: array<Vec4>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Loaded>;
@group(0) @binding(5) var<storage, read_write> output: array<Stored>;
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;

// A gate multiplies the input.
override GATED: bool = false;
// A gate multiplies the result.
override SCALED: bool = false;

fn gate_of(pixel: u32, c4: u32, vec4s: u32) -> vec4<f32> {
    return gate[(pixel / params.plane) * vec4s + c4];
}
override BLOCK_ACT: u32 = 0u;
override BLOCK_ACT_A: f32 = 0.0;
override BLOCK_ACT_B: f32 = 0.0;
override BLOCK_ACT_C: f32 = 0.0;
override BLOCK_ACT_D: f32 = 0.0;

// Where four pixels' vec4s begin, and those of their images' gates. Pixels beyond the last repeat it; their products
// are not stored.
struct Pixels { start: vec4<u32>, gates: vec4<u32>, exist: vec4<bool> }

fn pixels_at(row: u32) -> Pixels {
    let all = row_pixels(row, params.plane, params.rows);
    let own = min(all, vec4(params.rows - 1u));
    return Pixels(own * params.in_vec4s, own / params.plane * params.in_vec4s, all < vec4(params.rows));
}

fn load(pixels: Pixels, which: u32, k: u32) -> vec4<f32> {
    let at = pixels.start[which] + k;
    var value = vec4<f32>(input[at]);
    if GATED { value *= gate[pixels.gates[which] + k]; }
    if BLOCK { value = end_block(at, value, pixels.exist[which]); }
    return value;
}

@compute @workgroup_size(WIDTH, HEIGHT)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    invocation: Invocation,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    // Columns run fastest: workgroups that load the same pixels run side by side.
    let columns = (params.out_vec4s + TILE_VEC4S - 1u) / TILE_VEC4S;
    let row = (index / columns) % params.pixel_blocks * 8u * INVOCATIONS_ROW;
    let c4 = index % columns * TILE_VEC4S;
    let depth = split_of(params.in_vec4s, index, columns * params.pixel_blocks, params.rows * params.out_vec4s);
    first_column = c4 == 0u;
    product(invocation, row, params.rows, c4, depth, 0u, params.out_vec4s, 0u, params.out_vec4s, params.plane);
}
