// Convolution with any kernel, stride, padding, dilation and groups as an implicit matrix product in workgroup memory:
// rows are pixels of the result, the depth runs over taps and input channels. One workgroup: a tile of pixels by
// channels.
// Host `src/kernels/conv2d/general.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/loads axis/input lib/grid lib/act axis/epilogue lib/ordered_rows axis/product axis/matrix axis/sums
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    rows: u32, image_channels: u32, groups: u32, in_vec4s: u32, out_vec4s: u32, pixel_blocks: u32, vec4_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> weight: array<Vec4>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Loaded>;
@group(0) @binding(5) var<storage, read_write> output: array<Stored>;
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;

// A gate multiplies the result.
override SCALED: bool = false;

fn gate_of(pixel: u32, c4: u32, vec4s: u32) -> vec4<f32> {
    return gate[(pixel / (params.out_height * params.out_width)) * vec4s + c4];
}

var<private> channels: u32;

// Where four pixels' windows begin: image, row and column of the input; the latter two wrap below zero in the padding.
struct Pixels { image: vec4<u32>, row: vec4<u32>, column: vec4<u32> }

fn pixels_at(row: u32) -> Pixels {
    let plane = params.out_width * params.out_height;
    let own = min(row_pixels(row, plane, params.rows), vec4(params.rows - 1u));
    return Pixels(
        own / plane,
        own / params.out_width % params.out_height * params.stride_height - params.top,
        own % params.out_width * params.stride_width - params.left,
    );
}

fn load(pixels: Pixels, which: u32, k: u32) -> vec4<f32> {
    let tap = k / params.in_vec4s;
    let y = pixels.row[which] + tap / params.kernel_width * params.dilation_height;
    let x = pixels.column[which] + tap % params.kernel_width * params.dilation_width;
    if y >= params.height || x >= params.width { return vec4(0.0); }
    return input_vec4(input_start(pixels.image[which], y, x, channels), k % params.in_vec4s);
}

@compute @workgroup_size(WIDTH, HEIGHT)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    invocation: Invocation,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let pixel = index % params.pixel_blocks * 8u * INVOCATIONS_ROW;
    let block = index / params.pixel_blocks;
    channels = (block / params.vec4_blocks) % params.groups;
    let c4 = block % params.vec4_blocks * TILE_VEC4S;
    let depth = params.kernel_height * params.kernel_width * params.in_vec4s;
    let row = channels * depth * 4u * params.out_vec4s;
    let vec4s = params.out_vec4s * params.groups;
    let tiles = params.pixel_blocks * params.vec4_blocks * params.groups;
    let part = split_of(depth, index, tiles, params.rows * vec4s);
    product(invocation, pixel, params.rows, c4, part, row, params.out_vec4s, channels * params.out_vec4s, vec4s, params.out_height * params.out_width);
}
