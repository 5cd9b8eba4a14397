// 1x1 convolution of stride 1 as a matrix product, without workgroup memory. One invocation: 4 pixels of
// an image by `TILE_VEC4S` vec4s.
// Host `src/kernels/conv2d/pointwise.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/floats axis/loads lib/grid lib/act axis/epilogue lib/register_tile axis/weights axis/sums
struct Params {
    plane: u32, rows: u32, in_vec4s: u32, out_vec4s: u32, pixel_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Loaded>;
@group(0) @binding(2) var<storage, read> weight: array<Loaded>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Loaded>;
@group(0) @binding(5) var<storage, read_write> output: array<Vec4>;
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;

// A gate multiplies the input as it is loaded,
override GATED: bool = false;
// or the weights, where invocations share them and have pixels of one image.
override GATED_WEIGHTS: bool = false;
// A gate multiplies the result.
override SCALED: bool = false;

fn gate_of(pixel: u32, c4: u32, vec4s: u32) -> vec4<f32> {
    return gate[(pixel / params.plane) * vec4s + c4];
}

// Where the gates of the image begin.
var<private> gates: u32;

fn weight_gate(k: u32, channel: u32) -> f32 {
    if GATED_WEIGHTS { return gate[gates + k][channel]; }
    return 1.0;
}

fn fetch(start: vec4<u32>, k: u32) -> mat4x4<f32> {
    var x0 = loaded(input[start.x + k]);
    var x1 = loaded(input[start.y + k]);
    var x2 = loaded(input[start.z + k]);
    var x3 = loaded(input[start.w + k]);
    if GATED {
        let scale = gate[gates + k];
        x0 *= scale;
        x1 *= scale;
        x2 *= scale;
        x3 *= scale;
    }
    return mat4x4(x0, x1, x2, x3);
}

fn compute(invocation: Invocation, group: vec3<u32>, groups: vec3<u32>) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let pixels = index % params.pixel_blocks;
    let strip = strip_at(pixels, invocation.id.x, params.plane);
    let own_vec4 = (index / params.pixel_blocks * INVOCATIONS_VEC4 + invocation.id.y) * TILE_VEC4S;
    let exists = strip.exists && own_vec4 < params.out_vec4s;

    // Invocations that are only here for the others take the last strip and vec4s.
    let c4 = min(own_vec4, params.out_vec4s - TILE_VEC4S);
    let first = strip.image * params.plane;
    let left = params.plane - strip.pixel;
    var sum = array<vec4<f32>, 4>();
    if exists || SQUEEZE || !ALONE {
        let own = first + min(vec4(strip.pixel) + vec4(0u, 1u, 2u, 3u), vec4(params.plane - 1u));
        gates = strip.image * params.in_vec4s;
        let weights = own_weight(invocation, c4, params.out_vec4s);
        let tile = accumulate(Tile(), own * params.in_vec4s, params.in_vec4s, weights, params.out_vec4s);
        if exists { sum = finish_tile(tile, first + strip.pixel, left, c4, params.out_vec4s); }
    }
    if SQUEEZE { keep_sums(sum, invocation.id, pixels, c4, params.out_vec4s, own_vec4 < params.out_vec4s); }
}
