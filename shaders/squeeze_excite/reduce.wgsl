// First layer of the excitation: squeezed channels to hidden. One workgroup computes four hidden values of one image,
// so the weights are streamed by as many workgroups as a quarter of the reduced width.
// Host `src/kernels/squeeze_excite/excite.rs` · meaning `src/ops/squeeze_excite.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/floats lib/grid lib/act axis/reduce
struct Params { vec4s: u32, reduced_vec4s: u32, parts: u32, factor: f32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squeezed: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<Floats>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> hidden: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;
override MAX: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

// Squeezed channels of an image, from its parts in the order that they have in memory.
fn squeezed_vec4(image: u32, c4: u32) -> vec4<f32> {
    var value = squeezed[image * params.parts * params.vec4s + c4];
    for (var part = 1u; part < params.parts; part++) {
        let next = squeezed[(image * params.parts + part) * params.vec4s + c4];
        if MAX { value = max(value, next); } else { value += next; }
    }
    return value * params.factor;
}

fn compute(invocation: Invocation, group: vec3<u32>, groups: vec3<u32>) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let c4 = index % params.reduced_vec4s;
    let image = index / params.reduced_vec4s;
    let row = c4 * 4u * params.vec4s;
    var sum = vec4(0.0);
    for (var i = invocation.index; i < params.vec4s; i += WORKGROUP) {
        let z = squeezed_vec4(image, i);
        sum += vec4(
            dot(floats(weight[row + i]), z),
            dot(floats(weight[row + params.vec4s + i]), z),
            dot(floats(weight[row + 2u * params.vec4s + i]), z),
            dot(floats(weight[row + 3u * params.vec4s + i]), z),
        );
    }
    sum = workgroup_sum(sum, invocation);
    if invocation.index == 0u { hidden[index] = activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), sum + bias[c4]); }
}
