// From 8-bit samples `[N,H,W,C]`, C at most 3, to normalised channels-last vec4s. One invocation a pixel.
// Host `src/kernels/layout.rs` · proof `tests/gpu/runs.rs`
// Imports axis/storage lib/grid
struct Params {
    channels: u32, count: u32,
    mean_0: f32, mean_1: f32, mean_2: f32,
    std_0: f32, std_1: f32, std_2: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<Vec4>;

override WORKGROUP: u32 = 64u;

fn sample(index: u32) -> f32 {
    return f32((input[index / 4u] >> (index % 4u * 8u)) & 255u) / 255.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let pixel = flat_group(group, groups) * WORKGROUP + invocation;
    if pixel >= params.count { return; }
    let first = pixel * params.channels;
    var value = vec4((sample(first) - params.mean_0) / params.std_0, 0.0, 0.0, 0.0);
    if params.channels > 1u { value.y = (sample(first + 1u) - params.mean_1) / params.std_1; }
    if params.channels > 2u { value.z = (sample(first + 2u) - params.mean_2) / params.std_2; }
    output[pixel] = Vec4(value);
}
