// Other positions along one axis: sums of weighted elements. One invocation a vec4 of the result.
// Host `src/kernels/tensor/resample.rs` · meaning `src/ops/resample.rs` · proof `tests/gpu/cases/tensor.rs`
// Imports lib/grid
struct Params {
    inner: u32, size: u32, input_size: u32, taps: u32, elements: u32, vec4s: u32, input_stride: u32, count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> offset: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;

// The axis lies between what is outside of it and what is inside, each seen as one axis.
fn resampled(image: u32, element: u32) -> f32 {
    let inside = element % params.inner;
    let j = (element / params.inner) % params.size;
    let outside = element / (params.inner * params.size);
    let first = (image * params.input_stride) + (outside * params.input_size * params.inner) + inside;
    var sum = offset[j];
    for (var t = j * params.taps; t < (j + 1u) * params.taps; t++) {
        // Where the weight is 0 nothing is read: an infinity there would make a NaN.
        if weight[t] != 0.0 {
            let at = u32(clamp(position[t], 0.0, f32(params.input_size - 1u)));
            sum += weight[t] * input[first + (at * params.inner)];
        }
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    var value = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        let element = ((index % params.vec4s) * 4u) + i;
        if element < params.elements { value[i] = resampled(index / params.vec4s, element); }
    }
    output[index] = value;
}
