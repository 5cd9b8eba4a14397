// From channels-last quads to `[N,C,H,W]`, `image` elements an image. One invocation a quad.
// Host `src/kernels/layout.rs` · proof `tests/gpu/cases/shape.rs`
// Imports axis/storage lib/grid
struct Params { channels: u32, plane: u32, image: u32, quads: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Quad>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + lane;
    if index >= params.count { return; }
    // Pixels run fastest over the lanes, as in `pack.wgsl`: the writes are scalar.
    let row = index / params.plane;
    let pixel = index - row * params.plane;
    let image = row / params.quads;
    let quad = row - image * params.quads;
    let value = vec4<f32>(input[(image * params.plane + pixel) * params.quads + quad]);
    let channel = 4u * quad;
    var at = image * params.image + channel * params.plane + pixel;
    for (var i = 0u; i < 4u && channel + i < params.channels; i++) {
        output[at] = value[i];
        at += params.plane;
    }
}
