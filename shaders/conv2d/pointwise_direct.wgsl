// 1x1 convolution of stride 1 as a matrix product, without workgroup memory. One invocation: 4 pixels of
// an image by `TILE_QUADS` quads.
// Host `src/kernels/conv2d/pointwise.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/floats axis/loads lib/grid lib/act axis/epilogue lib/register_tile axis/weights axis/sums
struct Params {
    plane: u32, rows: u32, in_quads: u32, out_quads: u32, pixel_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Loaded>;
@group(0) @binding(2) var<storage, read> weight: array<Loaded>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Loaded>;
@group(0) @binding(5) var<storage, read_write> output: array<Quad>;
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;

// A gate multiplies the input as it is loaded,
override GATED: bool = false;
// or the weights, where lanes share them and have pixels of one image.
override GATED_WEIGHTS: bool = false;
// A gate multiplies the result.
override SCALED: bool = false;

fn gate_of(pixel: u32, quad: u32, quads: u32) -> vec4<f32> {
    return gate[(pixel / params.plane) * quads + quad];
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

@compute @workgroup_size(LANES_PIXEL, LANES_QUAD)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    lane: Lane,
) {
    let index = flat_group(group, groups);
    let pixels = index % params.pixel_blocks;
    let strip = strip_at(pixels, lane.id.x, params.plane);
    let own_quad = (index / params.pixel_blocks * LANES_QUAD + lane.id.y) * TILE_QUADS;
    let exists = strip.exists && own_quad < params.out_quads;
    if index >= params.count || (ALONE && !SQUEEZE && !exists) { return; }

    // Lanes that are only here for the others take the last strip and quads.
    let quad = min(own_quad, params.out_quads - TILE_QUADS);
    let image = strip.image;
    let pixel = strip.pixel;
    let first = image * params.plane;
    let own = first + min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(params.plane - 1u));
    gates = image * params.in_quads;
    let weights = own_weight(lane, quad, params.out_quads);
    let tile = accumulate(Tile(), own * params.in_quads, params.in_quads, weights, params.out_quads);
    var sum = mat4x4<f32>();
    if exists { sum = finish_tile(tile, first + pixel, params.plane - pixel, quad, params.out_quads); }
    if SQUEEZE { keep_sums(sum, lane.id, pixels, quad, params.out_quads, own_quad < params.out_quads); }
}
