// Second layer of the excitation: hidden to gates. One invocation computes four gates of one image.
// Host `src/kernels/squeeze_excite/excite.rs` · meaning `src/ops/squeeze_excite.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/floats lib/grid lib/act
struct Params { vec4s: u32, reduced_vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> hidden: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<Floats>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gate: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;
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
    let c4 = index % params.vec4s;
    let first = index / params.vec4s * params.reduced_vec4s;
    var sum = bias[c4];
    // Rows that pad the reduced width are zero.
    for (var j = 0u; j < params.reduced_vec4s; j++) {
        let h = hidden[first + j];
        let at = 4u * j * params.vec4s + c4;
        sum += h.x * floats(weight[at]) + h.y * floats(weight[at + params.vec4s]);
        sum += h.z * floats(weight[at + 2u * params.vec4s]) + h.w * floats(weight[at + 3u * params.vec4s]);
    }
    gate[index] = activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), sum);
}
