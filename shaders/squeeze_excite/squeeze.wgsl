// Squeeze of channels-last maps: sum, maximum or both per channel over one part of the plane. A workgroup is `VEC4S`
// channel vec4s wide and `ROWS` pixels deep. With one part this is global pooling; more parts fill the machine at small
// batches, and the consumer combines them in order, so the result does not depend on scheduling.
// Host `src/kernels/squeeze_excite/squeeze.rs` · meaning `src/ops/pool.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/storage lib/grid lib/row_reductions
struct Params { plane: u32, vec4s: u32, vec4_blocks: u32, parts: u32, part_pixels: u32, factor: f32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

// `PoolKind::code`. Both are half the mean and half the maximum, in one part.
const SUM: u32 = 0u;
const MAX: u32 = 1u;
const BOTH: u32 = 2u;
override KIND: u32 = 0u;
@compute @workgroup_size(VEC4S, ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) invocation: vec3<u32>,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let part = index / params.vec4_blocks % params.parts;
    let image = index / (params.vec4_blocks * params.parts);
    let c4 = index % params.vec4_blocks * VEC4S + invocation.x;
    // Invocations beyond the channels repeat the last vec4 and write nothing.
    let column = min(c4, params.vec4s - 1u);
    let first = part * params.part_pixels;
    let last = min(first + params.part_pixels, params.plane);
    let base = image * params.plane * params.vec4s + column;

    // Four sums side by side: shorter chains of dependent additions and smaller rounding errors.
    var a = vec4(0.0);
    var b = vec4(0.0);
    var c = vec4(0.0);
    var d = vec4(0.0);
    // A part holds at least one pixel; where a row has none, it repeats the part's first for the maximum.
    var largest = vec4(0.0);
    if KIND != SUM { largest = vec4<f32>(input[base + first * params.vec4s]); }
    var pixel = first + invocation.y;
    for (; pixel + 3u * ROWS < last; pixel += 4u * ROWS) {
        let at = base + pixel * params.vec4s;
        let step = ROWS * params.vec4s;
        let x0 = vec4<f32>(input[at]);
        let x1 = vec4<f32>(input[at + step]);
        let x2 = vec4<f32>(input[at + 2u * step]);
        let x3 = vec4<f32>(input[at + 3u * step]);
        if KIND != MAX {
            a += x0;
            b += x1;
            c += x2;
            d += x3;
        }
        if KIND != SUM { largest = max(largest, max(max(x0, x1), max(x2, x3))); }
    }
    for (; pixel < last; pixel += ROWS) {
        let x = vec4<f32>(input[base + pixel * params.vec4s]);
        if KIND != MAX { a += x; }
        if KIND != SUM { largest = max(largest, x); }
    }
    var value = vec4(0.0);
    if KIND != MAX { value = over_rows((a + b) + (c + d), invocation, false) * params.factor; }
    if KIND != SUM {
        largest = over_rows(largest, invocation, true);
        if KIND == BOTH { value = 0.5 * value + 0.5 * largest; } else { value = largest; }
    }
    if invocation.y == 0u && c4 < params.vec4s {
        output[(image * params.parts + part) * params.vec4s + c4] = value;
    }
}
