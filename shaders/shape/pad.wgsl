// Zeros around a map, or less of it. One invocation a quad of the result.
// Host `src/kernels/shape/pad.rs` · meaning `src/ops/pad.rs` · proof `tests/gpu/cases/shape.rs`
// Imports axis/storage lib/grid
struct Params { height: u32, width: u32, out_height: u32, out_width: u32, top: u32, left: u32, quads: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Quad>;
@group(0) @binding(2) var<storage, read_write> output: array<Quad>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + lane;
    if index >= params.count { return; }
    let quad = index % params.quads;
    let pixel = index / params.quads;
    // Wraps below zero to more than any height or width. `top` and `left` are negative where they cut off.
    let column = pixel % params.out_width - params.left;
    let row = pixel / params.out_width % params.out_height - params.top;
    let image = pixel / (params.out_width * params.out_height);
    var value = Quad();
    if row < params.height && column < params.width {
        value = input[((image * params.height + row) * params.width + column) * params.quads + quad];
    }
    output[index] = value;
}
