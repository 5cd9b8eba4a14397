// Elements from one place to another, along strides. One invocation an element; the last step that writes a tensor also
// writes the zeros behind every image.
// Host `src/kernels/tensor/copy.rs` · meaning `src/ops/{permute,concat,reshape}.rs` · proof `tests/gpu/cases/tensor.rs`
// Imports lib/grid lib/strided_index
struct Params {
    axes: array<vec4<u32>, 6>,
    rank: u32, elements: u32, padding: u32, input_stride: u32, output_stride: u32, offset: u32, count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let per_image = params.elements + params.padding;
    let image = index / per_image;
    let element = index % per_image;
    let first = image * params.output_stride;
    if element < params.elements {
        let at = strided_index(element, 0u, params.rank);
        output[first + params.offset + at.y] = input[(image * params.input_stride) + at.x];
    } else {
        output[first + params.output_stride - params.padding + element - params.elements] = 0.0;
    }
}
