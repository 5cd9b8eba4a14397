// Softmax over the features. One workgroup an image.
// Host `src/kernels/softmax.rs` · meaning `src/ops/softmax.rs` · proof `tests/gpu/cases/linear.rs`
// Imports lib/grid axis/reduce
struct Params { features: u32, vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

// Which invocations of a vec4 are features and not padding.
fn real(c4: u32) -> vec4<bool> {
    return c4 * 4u + vec4(0u, 1u, 2u, 3u) < vec4(params.features);
}

fn largest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

fn compute(invocation: Invocation, group: vec3<u32>, groups: vec3<u32>) {
    let image = flat_group(group, groups);
    if image >= params.count { return; }
    let first = image * params.vec4s;
    var top = vec4(input[first].x);
    for (var i = invocation.index; i < params.vec4s; i += WORKGROUP) {
        top = max(top, select(top, input[first + i], real(i)));
    }
    let shift = vec4(largest(workgroup_max(top, invocation)));
    var sum = vec4(0.0);
    for (var i = invocation.index; i < params.vec4s; i += WORKGROUP) {
        sum += select(vec4(0.0), exp(input[first + i] - shift), real(i));
    }
    let total = dot(workgroup_sum(sum, invocation), vec4(1.0));
    for (var i = invocation.index; i < params.vec4s; i += WORKGROUP) {
        output[first + i] = select(vec4(0.0), exp(input[first + i] - shift) / total, real(i));
    }
}
