// Squeeze of maps in any dense layout, by strides: one workgroup sums (or maximises) one channel's plane of one image.
// Channels that only pad the result to a multiple of 4 become 0.
// Host `src/kernels/squeeze_excite/strided.rs` · meaning `src/ops/pool.rs` · proof `tests/gpu/block.rs`
struct Params { channels: u32, padded: u32, plane: u32, channel_stride: u32, pixel_stride: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;
override MAX: bool = false;

@compute @workgroup_size(WORKGROUP)
fn main(
    lane: Lane,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let channel = index % params.padded;
    let image = index / params.padded;
    if channel >= params.channels {
        if lane.index == 0u { output[index] = 0.0; }
        return;
    }
    let base = image * params.channels * params.plane + channel * params.channel_stride;
    // Four sums side by side, as the four lanes of one vector.
    var value = vec4(0.0);
    if MAX { value = vec4(input[base]); }
    var pixel = lane.index;
    for (; pixel + 3u * WORKGROUP < params.plane; pixel += 4u * WORKGROUP) {
        let at = base + pixel * params.pixel_stride;
        let step = WORKGROUP * params.pixel_stride;
        let next = vec4(input[at], input[at + step], input[at + 2u * step], input[at + 3u * step]);
        if MAX { value = max(value, next); } else { value += next; }
    }
    for (; pixel < params.plane; pixel += WORKGROUP) {
        let next = input[base + pixel * params.pixel_stride];
        if MAX { value.x = max(value.x, next); } else { value.x += next; }
    }
    if MAX {
        value = workgroup_max(value, lane);
        if lane.index == 0u { output[index] = max(max(value.x, value.y), max(value.z, value.w)); }
    } else {
        value = workgroup_sum(value, lane);
        if lane.index == 0u { output[index] = ((value.x + value.y) + (value.z + value.w)) / f32(params.plane); }
    }
}
