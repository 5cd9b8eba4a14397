// Softmax over the features. One workgroup an image.
// Host `src/kernels/softmax.rs` · meaning `src/ops/softmax.rs` · proof `tests/gpu/cases/linear.rs`
// Imports lib/grid axis/reduce
struct Params { features: u32, quads: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

// Which lanes of a quad are features and not padding.
fn real(quad: u32) -> vec4<bool> {
    return quad * 4u + vec4(0u, 1u, 2u, 3u) < vec4(params.features);
}

fn largest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    lane: Lane,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let image = flat_group(group, groups);
    if image >= params.count { return; }
    let first = image * params.quads;
    var top = vec4(input[first].x);
    for (var i = lane.index; i < params.quads; i += WORKGROUP) {
        top = max(top, select(top, input[first + i], real(i)));
    }
    let shift = vec4(largest(workgroup_max(top, lane)));
    var sum = vec4(0.0);
    for (var i = lane.index; i < params.quads; i += WORKGROUP) {
        sum += select(vec4(0.0), exp(input[first + i] - shift), real(i));
    }
    let total = dot(workgroup_sum(sum, lane), vec4(1.0));
    for (var i = lane.index; i < params.quads; i += WORKGROUP) {
        output[first + i] = select(vec4(0.0), exp(input[first + i] - shift) / total, real(i));
    }
}
