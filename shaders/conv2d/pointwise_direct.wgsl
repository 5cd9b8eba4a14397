// 1x1 convolution of stride 1 as a matrix product, without workgroup memory. One invocation: 4 pixels of
// an image by `TILE_QUADS` quads.
// Host `src/kernels/conv2d/pointwise.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
struct Params {
    plane: u32, rows: u32, in_quads: u32, out_quads: u32, pixel_blocks: u32, slots: u32, count: u32,
    output_stride: u32, output_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Quad>;
@group(0) @binding(2) var<storage, read> weight: array<Quad>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Quad>;
@group(0) @binding(5) var<storage, read_write> output: array<Quad>;
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;

override GATED: bool = false;

// Where the gates of the image begin.
var<private> gates: u32;

fn fetch(start: vec4<u32>, k: u32) -> mat4x4<f32> {
    var x0 = vec4<f32>(input[start.x + k]);
    var x1 = vec4<f32>(input[start.y + k]);
    var x2 = vec4<f32>(input[start.z + k]);
    var x3 = vec4<f32>(input[start.w + k]);
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
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let index = flat_group(group, groups);
    let row = index % params.pixel_blocks * LANES_PIXEL + lane.x;
    let quad = (index / params.pixel_blocks * LANES_QUAD + lane.y) * TILE_QUADS;
    if index >= params.count || row >= params.rows || quad >= params.out_quads { return; }
    let strips = (params.plane + 3u) / 4u;
    let image = row / strips;
    let pixel = row % strips * 4u;
    let first = image * params.plane;
    let own = first + min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(params.plane - 1u));
    gates = image * params.in_quads;
    let tile = accumulate(Tile(), own * params.in_quads, params.in_quads, quad, params.out_quads);
    finish_tile(tile, first + pixel, params.plane - pixel, quad, params.out_quads);
}
