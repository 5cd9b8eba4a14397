// Scale of maps in any dense layout, by strides. One invocation an element.
// Host `src/kernels/squeeze_excite/strided.rs` · meaning `src/ops/binary.rs` · proof `tests/gpu/block.rs`
// Imports lib/grid lib/act
struct Params { channels: u32, padded: u32, plane: u32, channel_stride: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> gate: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let channel = index / params.channel_stride % params.channels;
    let image = index / (params.channels * params.plane);
    var value = input[index] * gate[image * params.padded + channel];
    if RESIDUAL { value += residual[index]; }
    output[index] = activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), vec4(value)).x;
}
