// Squeeze of maps in any dense layout, by strides: one workgroup takes the mean, the maximum or half of each of one
// channel's plane of one image.
// Channels that only pad the result to a multiple of 4 become 0.
// Host `src/kernels/squeeze_excite/strided.rs` · meaning `src/ops/pool.rs` · proof `tests/gpu/block.rs`
// Imports lib/grid axis/reduce
struct Params { channels: u32, padded: u32, plane: u32, channel_stride: u32, pixel_stride: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;
// `PoolKind::code`
const MEAN: u32 = 0u;
const MAX: u32 = 1u;
const BOTH: u32 = 2u;
override KIND: u32 = 0u;

fn compute(invocation: Invocation, group: vec3<u32>, groups: vec3<u32>) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let channel = index % params.padded;
    let image = index / params.padded;
    if channel >= params.channels {
        if invocation.index == 0u { output[index] = 0.0; }
        return;
    }
    let base = image * params.channels * params.plane + channel * params.channel_stride;
    // Four sums side by side, as the four invocations of one vector.
    var sum = vec4(0.0);
    var largest = vec4(input[base]);
    var pixel = invocation.index;
    for (; pixel + 3u * WORKGROUP < params.plane; pixel += 4u * WORKGROUP) {
        let at = base + pixel * params.pixel_stride;
        let step = WORKGROUP * params.pixel_stride;
        let next = vec4(input[at], input[at + step], input[at + 2u * step], input[at + 3u * step]);
        if KIND != MAX { sum += next; }
        if KIND != MEAN { largest = max(largest, next); }
    }
    for (; pixel < params.plane; pixel += WORKGROUP) {
        let next = input[base + pixel * params.pixel_stride];
        if KIND != MAX { sum.x += next; }
        if KIND != MEAN { largest.x = max(largest.x, next); }
    }
    var value = 0.0;
    if KIND != MAX {
        let all = workgroup_sum(sum, invocation);
        value = ((all.x + all.y) + (all.z + all.w)) / f32(params.plane);
    }
    if KIND != MEAN {
        let all = workgroup_max(largest, invocation);
        let most = max(max(all.x, all.y), max(all.z, all.w));
        if KIND == BOTH { value = 0.5 * value + 0.5 * most; } else { value = most; }
    }
    if invocation.index == 0u { output[index] = value; }
}
