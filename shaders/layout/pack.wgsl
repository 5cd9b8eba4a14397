// From `[N,C,H,W]` to channels-last vec4s, channels padded with zeros to a multiple of 4. One invocation a vec4. Images
// lie `image` elements apart: without gaps at the edge of a plan, padded as vectors inside.
// Host `src/kernels/layout.rs` · proof `tests/gpu/cases/shape.rs`
// Imports axis/storage lib/grid
struct Params { channels: u32, plane: u32, image: u32, vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<Vec4>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    // Pixels run fastest over the invocations: the reads are scalar, so they are the ones to coalesce.
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let pixel = index % params.plane;
    let c4 = index / params.plane % params.vec4s;
    let image = index / (params.plane * params.vec4s);
    var value = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        let channel = c4 * 4u + i;
        if channel < params.channels {
            value[i] = input[image * params.image + channel * params.plane + pixel];
        }
    }
    output[(image * params.plane + pixel) * params.vec4s + c4] = Vec4(value);
}
