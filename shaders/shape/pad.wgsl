// Zeros around a map, or less of it. One invocation a vec4 of the result.
// Host `src/kernels/shape/pad.rs` · meaning `src/ops/pad.rs` · proof `tests/gpu/cases/shape.rs`
// Imports axis/storage lib/grid
struct Params { height: u32, width: u32, out_height: u32, out_width: u32, top: u32, left: u32, vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read_write> output: array<Vec4>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let c4 = index % params.vec4s;
    let pixel = index / params.vec4s;
    // Wraps below zero to more than any height or width. `top` and `left` are negative where they cut off.
    let column = pixel % params.out_width - params.left;
    let row = pixel / params.out_width % params.out_height - params.top;
    let image = pixel / (params.out_width * params.out_height);
    var value = Vec4();
    if row < params.height && column < params.width {
        value = input[((image * params.height + row) * params.width + column) * params.vec4s + c4];
    }
    output[index] = value;
}
