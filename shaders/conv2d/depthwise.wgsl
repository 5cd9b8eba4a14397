// Depthwise convolution: every channel its own kernel. One invocation computes a quad at 4 pixels of one output row.
// Host `src/kernels/conv2d/depthwise.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    quads: u32, strips: u32, count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

// The quad at a column of the row that begins at `row`; zeros outside the map.
fn element(row: u32, column: u32, quad: u32) -> vec4<f32> {
    let inside = column < params.width;
    return select(vec4(0.0), input[select(0u, (row + column) * params.quads + quad, inside)], inside);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + lane;
    if index >= params.count { return; }
    let quad = index % params.quads;
    let strip = index / params.quads % params.strips;
    let row = index / (params.quads * params.strips);
    let image = row / params.out_height;
    let first_row = row % params.out_height * params.stride_height - params.top;
    let first_column = strip * 4u * params.stride_width - params.left;
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    for (var u = 0u; u < params.kernel_height; u++) {
        // Wraps below zero to more than any height.
        let y = first_row + u * params.dilation_height;
        if y >= params.height { continue; }
        let input_row = (image * params.height + y) * params.width;
        for (var v = 0u; v < params.kernel_width; v++) {
            let w = weight[(u * params.kernel_width + v) * params.quads + quad];
            let x = first_column + v * params.dilation_width;
            s0 += w * element(input_row, x, quad);
            s1 += w * element(input_row, x + params.stride_width, quad);
            s2 += w * element(input_row, x + 2u * params.stride_width, quad);
            s3 += w * element(input_row, x + 3u * params.stride_width, quad);
        }
    }
    let column = strip * 4u;
    let pixel = row * params.out_width + column;
    finish(pixel, quad, params.quads, s0);
    if column + 1u < params.out_width { finish(pixel + 1u, quad, params.quads, s1); }
    if column + 2u < params.out_width { finish(pixel + 2u, quad, params.quads, s2); }
    if column + 3u < params.out_width { finish(pixel + 3u, quad, params.quads, s3); }
}
