// A map as a vector in the order channel, row, column. One invocation a vec4 of the result.
// Host `src/kernels/shape/flatten.rs` · meaning `src/ops/reshape.rs` · proof `tests/gpu/cases/shape.rs`
// Imports axis/storage lib/grid
struct Params { features: u32, plane: u32, input_vec4s: u32, vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let image = index / params.vec4s;
    var value = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        let feature = index % params.vec4s * 4u + i;
        if feature < params.features {
            let pixel = image * params.plane + feature % params.plane;
            value[i] = f32(input[pixel * params.input_vec4s * 4u + feature / params.plane]);
        }
    }
    output[index] = value;
}
