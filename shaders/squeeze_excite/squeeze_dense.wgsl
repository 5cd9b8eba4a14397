// Squeeze of dense maps, `[N,C,H,W]`, by vec4s, which begin anywhere in a plane: the mean, the maximum or half of each. A
// workgroup is `VEC4S` planes wide and `ROWS` invocations deep. Channels that only pad the result to a multiple of 4
// become 0.
// Host `src/kernels/squeeze_excite/dense.rs` · meaning `src/ops/pool.rs` · proof `tests/gpu/block.rs`
// Imports lib/grid lib/row_reductions
struct Params { channels: u32, padded: u32, plane: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

// `PoolKind::code`
const MEAN: u32 = 0u;
const MAX: u32 = 1u;
const BOTH: u32 = 2u;
override KIND: u32 = 0u;

// Which elements of a vec4 lie in the plane from `begin` to `end`.
fn inside(c4: u32, begin: u32, end: u32) -> vec4<bool> {
    let at = 4u * c4 + vec4(0u, 1u, 2u, 3u);
    return (at >= vec4(begin)) & (at < vec4(end));
}

@compute @workgroup_size(VEC4S, ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) invocation: vec3<u32>,
) {
    let first_index = flat_group(group, groups) * VEC4S;
    if first_index >= params.count { return; }
    // Invocations beyond the planes repeat the last one and write nothing.
    let index = first_index + invocation.x;
    let own = min(index, params.count - 1u);
    let channel = own % params.padded;
    let begin = (own / params.padded * params.channels + min(channel, params.channels - 1u)) * params.plane;
    let end = begin + params.plane;
    let last = (end - 1u) / 4u;

    // Two sums side by side, of four elements each: shorter chains of dependent additions and smaller rounding errors.
    var a = vec4(0.0);
    var b = vec4(0.0);
    let first = vec4(input[begin / 4u][begin % 4u]);
    var largest = first;
    for (var c4 = begin / 4u + invocation.y; c4 <= last; c4 += 2u * ROWS) {
        // Beyond the plane the second one repeats the first, of which nothing counts again.
        let second = select(c4, c4 + ROWS, c4 + ROWS <= last);
        let x = input[c4];
        let y = input[second];
        let in_x = inside(c4, begin, end);
        let in_y = inside(second, begin, end) & vec4(second != c4);
        if KIND != MAX {
            a += select(vec4(0.0), x, in_x);
            b += select(vec4(0.0), y, in_y);
        }
        if KIND != MEAN { largest = max(largest, max(select(first, x, in_x), select(first, y, in_y))); }
    }
    var value = 0.0;
    if KIND != MAX {
        let all = over_rows(a + b, invocation, false);
        value = ((all.x + all.y) + (all.z + all.w)) / f32(params.plane);
    }
    if KIND != MEAN {
        let all = over_rows(largest, invocation, true);
        let most = max(max(all.x, all.y), max(all.z, all.w));
        if KIND == BOTH { value = 0.5 * value + 0.5 * most; } else { value = most; }
    }
    if invocation.y == 0u && index < params.count { output[index] = select(0.0, value, channel < params.channels); }
}
