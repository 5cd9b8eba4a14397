// Sum or product of two values of one shape, then an activation. One invocation a vec4.
// Host `src/kernels/elementwise/binary.rs` · meaning `src/ops/binary.rs` · proof `tests/gpu/cases/elementwise.rs`
// Imports axis/storage lib/grid lib/act
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Vec4>;
@group(0) @binding(2) var<storage, read> b: array<Vec4>;
@group(0) @binding(3) var<storage, read_write> output: array<Vec4>;

override WORKGROUP: u32 = 64u;
override PRODUCT: bool = false;
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
    var value = vec4<f32>(a[index]);
    let other = vec4<f32>(b[index]);
    if PRODUCT { value *= other; } else { value += other; }
    output[index] = Vec4(activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value));
}
