// Fully connected layer. One workgroup computes four features of one image: its lanes share the inputs, then sum.
// Host `src/kernels/linear.rs` · meaning `src/ops/linear.rs` · proof `tests/gpu/cases/linear.rs`
// Imports axis/floats lib/grid lib/act axis/reduce
struct Params { in_quads: u32, out_quads: u32, first_quad: u32, block_quads: u32, count: u32 }
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

@compute @workgroup_size(WORKGROUP)
fn main(
    lane: Lane,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    // `weight` and `bias` hold rows of one block of the features; `first_quad` is where the block begins.
    // Images run fastest: workgroups that load the same rows run side by side.
    let images = params.count / params.block_quads;
    let quad = index / images;
    let image = index % images;
    let row = quad * 4u * params.in_quads;
    var sum = vec4(0.0);
    for (var i = lane.index; i < params.in_quads; i += WORKGROUP) {
        let x = input[image * params.in_quads + i];
        sum += vec4(
            dot(floats(weight[row + i]), x),
            dot(floats(weight[row + params.in_quads + i]), x),
            dot(floats(weight[row + 2u * params.in_quads + i]), x),
            dot(floats(weight[row + 3u * params.in_quads + i]), x),
        );
    }
    sum = workgroup_sum(sum, lane);
    if lane.index == 0u {
        let at = image * params.out_quads + params.first_quad + quad;
        output[at] = activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), sum + bias[quad]);
    }
}
