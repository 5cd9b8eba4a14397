// Batch norm that no layer took in: `x * scale + shift` per channel, then an activation. One invocation a vec4.
// Host `src/kernels/elementwise/batch_norm.rs` · meaning `src/ops/batch_norm.rs` · proof `tests/gpu/cases/elementwise.rs`
// Imports axis/storage lib/grid lib/act
struct Params { vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> shift: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<Vec4>;

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
    let value = vec4<f32>(input[index]) * scale[c4] + shift[c4];
    output[index] = Vec4(activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value));
}
