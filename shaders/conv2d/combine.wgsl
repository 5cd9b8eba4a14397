// Adds the parts of a convolution whose depth was split, in order, and finishes the sums. One invocation: a vec4 of one
// pixel.
// Host `src/kernels/conv2d/combine.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/tuning.rs`
// Imports axis/storage axis/loads lib/grid lib/act axis/epilogue lib/unscaled
struct Params { vec4s: u32, splits: u32, count: u32, output_stride: u32, output_offset: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<Loaded>;
@group(0) @binding(4) var<storage, read_write> output: array<Vec4>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    var sum = sums[index];
    for (var split = 1u; split < params.splits; split++) { sum += sums[split * params.count + index]; }
    _ = finish(index / params.vec4s, index % params.vec4s, params.vec4s, sum);
}
