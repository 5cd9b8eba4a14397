// Scale of dense maps, `[N,C,H,W]`, by vec4s, with residual and activation in the same pass. One workgroup takes the
// vec4s that begin in one channel's plane of one image; the last of them may reach into the next plane, and no further.
// Host `src/kernels/squeeze_excite/dense.rs` · meaning `src/ops/binary.rs` · proof `tests/gpu/block.rs`
// Imports lib/grid lib/act
struct Params { channels: u32, padded: u32, plane: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gate: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

// The gate of a plane, counted over the batch.
fn gate_of(plane: u32) -> f32 {
    if params.padded == params.channels { return gate[plane]; }
    return gate[plane + plane / params.channels * (params.padded - params.channels)];
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let begin = index * params.plane;
    let end = begin + params.plane;
    let own = vec4(gate_of(index));
    let next = vec4(gate_of(min(index + 1u, params.count - 1u)));
    for (var c4 = (begin + 3u) / 4u + invocation; 4u * c4 < end; c4 += WORKGROUP) {
        let at = 4u * c4 + vec4(0u, 1u, 2u, 3u);
        var value = input[c4] * select(next, own, at < vec4(end));
        if RESIDUAL { value += residual[c4]; }
        output[c4] = activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value);
    }
}
