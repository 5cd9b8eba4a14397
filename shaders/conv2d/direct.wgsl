// Convolution with any kernel, stride, padding, dilation and groups, without workgroup memory. One invocation: 4 pixels
// in a row of the flattened result by `TILE_QUADS` quads of one group.
// Host `src/kernels/conv2d/general.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    pixels: u32, groups: u32, in_quads: u32, out_quads: u32, pixel_blocks: u32, quad_blocks: u32, slots: u32, count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Quad>;
@group(0) @binding(2) var<storage, read> weight: array<Quad>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Quad>;
@group(0) @binding(5) var<storage, read_write> output: array<Quad>;

fn fetch(at: u32, image: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(input[at + k]);
}

@compute @workgroup_size(LANES_PIXEL, LANES_QUAD)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let index = flat_group(group, groups);
    let pixel = (index % params.pixel_blocks * LANES_PIXEL + lane.x) * 4u;
    let block = index / params.pixel_blocks;
    let channels = block / params.quad_blocks;
    let quad = (block % params.quad_blocks * LANES_QUAD + lane.y) * TILE_QUADS;
    if index >= params.count || pixel >= params.pixels || quad >= params.out_quads { return; }

    let own = min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(params.pixels - 1u));
    let image = own / (params.out_width * params.out_height);
    // Wrap below zero to more than any height or width where a tap falls into the padding.
    let first_row = own / params.out_width % params.out_height * params.stride_height - params.top;
    let first_column = own % params.out_width * params.stride_width - params.left;
    let quads = params.in_quads * params.groups;
    let taps = params.kernel_height * params.kernel_width;
    var row = channels * taps * params.in_quads * 4u * params.out_quads + quad;
    var tile = Tile();
    for (var u = 0u; u < params.kernel_height; u++) {
        let y = first_row + u * params.dilation_height;
        for (var v = 0u; v < params.kernel_width; v++) {
            let x = first_column + v * params.dilation_width;
            let inside = (y < vec4(params.height)) & (x < vec4(params.width));
            let at = ((image * params.height + y) * params.width + x) * quads + channels * params.in_quads;
            let start = select(vec4(0u), at, inside);
            tile = accumulate(tile, start, image, inside, params.in_quads, row, params.out_quads);
            row += params.in_quads * 4u * params.out_quads;
        }
    }
    let total = params.out_quads * params.groups;
    finish_tile(tile, pixel, params.pixels, channels * params.out_quads + quad, total);
}
