// Channels of the groups interleaved. One invocation a vec4 of the result.
// Host `src/kernels/shape/channel_shuffle.rs` · meaning `src/ops/shuffle.rs` · proof `tests/gpu/cases/shape.rs`
// Imports axis/storage lib/grid
struct Params { channels: u32, groups: u32, vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
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
    let per_group = params.channels / params.groups;
    var value = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        let channel = c4 * 4u + i;
        if channel < params.channels {
            let source = channel % params.groups * per_group + channel / params.groups;
            value[i] = f32(input[pixel * params.vec4s * 4u + source]);
        }
    }
    output[index] = Vec4(value);
}
