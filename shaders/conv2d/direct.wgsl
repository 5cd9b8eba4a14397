// Convolution with any kernel, stride, padding, dilation and groups, without workgroup memory. One invocation: 4 pixels
// in a row of an image's flattened result by `TILE_VEC4S` vec4s of one group.
// Host `src/kernels/conv2d/general.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/floats axis/loads axis/input lib/grid lib/act axis/epilogue lib/register_tile axis/weights axis/sums
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    rows: u32, image_channels: u32, groups: u32, in_vec4s: u32, out_vec4s: u32, pixel_blocks: u32, vec4_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> weight: array<Loaded>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Loaded>;
@group(0) @binding(5) var<storage, read_write> output: array<Vec4>;
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;

// A gate multiplies the result.
override SCALED: bool = false;

fn gate_of(pixel: u32, c4: u32, vec4s: u32) -> vec4<f32> {
    return gate[(pixel / (params.out_height * params.out_width)) * vec4s + c4];
}

// No gate multiplies the weights.
fn weight_gate(k: u32, channel: u32) -> f32 {
    return 1.0;
}

// Which of the four pixels lie inside the map at this tap; zeros stand for the others.
var<private> inside: vec4<bool>;

fn fetch(start: vec4<u32>, k: u32) -> mat4x4<f32> {
    let zero = vec4(0.0);
    return mat4x4(
        select(zero, input_vec4(start.x, k), inside.x),
        select(zero, input_vec4(start.y, k), inside.y),
        select(zero, input_vec4(start.z, k), inside.z),
        select(zero, input_vec4(start.w, k), inside.w),
    );
}

// The products of a tile: of four pixels of an image from `pixel`, and of vec4s of a group, whose weights begin at
// `first_weights`.
fn convolve(image: u32, pixel: u32, group: u32, first_weights: u32) -> Tile {
    let own = min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(params.out_height * params.out_width - 1u));
    // Wrap below zero to more than any height or width where a tap falls into the padding.
    let first_row = own / params.out_width * params.stride_height - params.top;
    let first_column = own % params.out_width * params.stride_width - params.left;
    var weights = first_weights;
    var tile = Tile();
    for (var u = 0u; u < params.kernel_height; u++) {
        let y = first_row + u * params.dilation_height;
        for (var v = 0u; v < params.kernel_width; v++) {
            let x = first_column + v * params.dilation_width;
            inside = (y < vec4(params.height)) & (x < vec4(params.width));
            let at = vec4(
                input_start(image, y.x, x.x, group),
                input_start(image, y.y, x.y, group),
                input_start(image, y.z, x.z, group),
                input_start(image, y.w, x.w, group),
            );
            let start = select(vec4(0u), at, inside);
            tile = accumulate(tile, start, params.in_vec4s, weights, params.out_vec4s);
            weights += params.in_vec4s * 4u * params.out_vec4s;
        }
    }
    return tile;
}

fn compute(invocation: Invocation, group: vec3<u32>, groups: vec3<u32>) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let plane = params.out_height * params.out_width;
    let pixels = index % params.pixel_blocks;
    let strip = strip_at(pixels, invocation.id.x, plane);
    let block = index / params.pixel_blocks;
    let channels = block / params.vec4_blocks;
    let own_vec4 = (block % params.vec4_blocks * INVOCATIONS_VEC4 + invocation.id.y) * TILE_VEC4S;
    let exists = strip.exists && own_vec4 < params.out_vec4s;

    // Invocations that are only here for the others take the last strip and vec4s.
    let c4 = min(own_vec4, params.out_vec4s - TILE_VEC4S);
    let total = params.out_vec4s * params.groups;
    let to = channels * params.out_vec4s + c4;
    var sum = array<vec4<f32>, 4>();
    if exists || SQUEEZE || !ALONE {
        let taps = params.kernel_height * params.kernel_width;
        let first = channels * taps * params.in_vec4s * 4u * params.out_vec4s + c4;
        let weights = own_weight(invocation, first, params.out_vec4s);
        let tile = convolve(strip.image, strip.pixel, channels, weights);
        if exists { sum = finish_tile(tile, strip.image * plane + strip.pixel, plane - strip.pixel, to, total); }
    }
    if SQUEEZE { keep_sums(sum, invocation.id, pixels, to, total, own_vec4 < params.out_vec4s); }
}
