// From channels-last vec4s to `[N,C,H,W]`, `image` elements an image. One invocation a vec4.
// Host `src/kernels/layout.rs` · proof `tests/gpu/cases/shape.rs`
// Imports axis/storage lib/grid
struct Params { channels: u32, plane: u32, image: u32, vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    // Pixels run fastest over the invocations, as in `pack.wgsl`: the writes are scalar.
    let row = index / params.plane;
    let pixel = index - row * params.plane;
    let image = row / params.vec4s;
    let c4 = row - image * params.vec4s;
    let value = vec4<f32>(input[(image * params.plane + pixel) * params.vec4s + c4]);
    let channel = 4u * c4;
    var at = image * params.image + channel * params.plane + pixel;
    for (var i = 0u; i < 4u && channel + i < params.channels; i++) {
        output[at] = value[i];
        at += params.plane;
    }
}
