// One part of a concatenation, written at its channel offset. One invocation an element; the last part also writes the
// zeros that pad the channels.
// Host `src/kernels/shape/concat.rs` · meaning `src/ops/concat.rs` · proof `tests/gpu/cases/shape.rs`
// Imports axis/storage lib/grid
struct Params { channels: u32, width: u32, input_stride: u32, output_stride: u32, offset: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;

override WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let channel = index % params.width;
    let pixel = index / params.width;
    var value = Element(0.0);
    if channel < params.channels { value = input[pixel * params.input_stride + channel]; }
    output[pixel * params.output_stride + params.offset + channel] = value;
}
