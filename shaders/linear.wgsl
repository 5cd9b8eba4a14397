// Fully connected layer. One workgroup computes four features of one image: its invocations share the inputs, then sum.
// Host `src/kernels/linear.rs` · meaning `src/ops/linear.rs` · proof `tests/gpu/cases/linear.rs`
// Imports axis/floats lib/grid lib/act axis/reduce
struct Params { in_vec4s: u32, out_vec4s: u32, first_vec4: u32, block_vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<Floats>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

fn compute(invocation: Invocation, group: vec3<u32>, groups: vec3<u32>) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    // `weight` and `bias` hold rows of one block of the features; `first_vec4` is where the block begins.
    // Images run fastest: workgroups that load the same rows run side by side.
    let images = params.count / params.block_vec4s;
    let c4 = index / images;
    let image = index % images;
    let row = c4 * 4u * params.in_vec4s;
    var sum = vec4(0.0);
    for (var i = invocation.index; i < params.in_vec4s; i += WORKGROUP) {
        let x = input[image * params.in_vec4s + i];
        sum += vec4(
            dot(floats(weight[row + i]), x),
            dot(floats(weight[row + params.in_vec4s + i]), x),
            dot(floats(weight[row + 2u * params.in_vec4s + i]), x),
            dot(floats(weight[row + 3u * params.in_vec4s + i]), x),
        );
    }
    sum = workgroup_sum(sum, invocation);
    if invocation.index == 0u {
        let at = image * params.out_vec4s + params.first_vec4 + c4;
        output[at] = activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), sum + bias[c4]);
    }
}
