// 1x1 convolution of stride 1 as a matrix product, without workgroup memory. One invocation: 4 pixels by `TILE_QUADS` quads.
// Host `src/kernels/conv2d/pointwise.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
struct Params { plane: u32, pixels: u32, in_quads: u32, out_quads: u32, pixel_blocks: u32, slots: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Quad>;
@group(0) @binding(2) var<storage, read> weight: array<Quad>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Quad>;
@group(0) @binding(5) var<storage, read_write> output: array<Quad>;
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;

override GATED: bool = false;

fn fetch(at: u32, image: u32, k: u32) -> vec4<f32> {
    let value = vec4<f32>(input[at + k]);
    if GATED { return value * gate[image * params.in_quads + k]; }
    return value;
}

@compute @workgroup_size(LANES_PIXEL, LANES_QUAD)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let index = flat_group(group, groups);
    let pixel = (index % params.pixel_blocks * LANES_PIXEL + lane.x) * 4u;
    let quad = (index / params.pixel_blocks * LANES_QUAD + lane.y) * TILE_QUADS;
    if index >= params.count || pixel >= params.pixels || quad >= params.out_quads { return; }
    let last = vec4(params.pixels - 1u);
    let own = min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), last);
    let tile = accumulate(Tile(), own * params.in_quads, own / params.plane, vec4(true), params.in_quads, quad, params.out_quads);
    finish_tile(tile, pixel, params.pixels, quad, params.out_quads);
}
