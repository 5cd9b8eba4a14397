// Squeeze of channels-last maps: sum or maximum per channel over one part of the plane. A workgroup is `QUADS` channel
// quads wide and `ROWS` pixels deep. With one part this is global pooling; more parts fill the machine at small batches,
// and the reader combines them in order, so the result does not depend on scheduling.
// Host `src/kernels/squeeze_excite/squeeze.rs` · meaning `src/ops/pool.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
struct Params { plane: u32, quads: u32, quad_blocks: u32, parts: u32, part_pixels: u32, factor: f32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

override QUADS: u32 = 16u;
override ROWS: u32 = 16u;
override MAX: bool = false;
override WORKGROUP: u32 = QUADS * ROWS;

var<workgroup> rows: array<vec4<f32>, WORKGROUP>;

fn combine(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    if MAX { return max(a, b); }
    return a + b;
}

@compute @workgroup_size(QUADS, ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let part = index / params.quad_blocks % params.parts;
    let image = index / (params.quad_blocks * params.parts);
    let quad = index % params.quad_blocks * QUADS + lane.x;
    // Lanes beyond the channels repeat the last quad and write nothing.
    let column = min(quad, params.quads - 1u);
    let first = part * params.part_pixels;
    let last = min(first + params.part_pixels, params.plane);
    let base = image * params.plane * params.quads + column;

    // Four sums side by side: shorter chains of dependent additions and smaller rounding errors.
    // A part holds at least one pixel; where a row has none, it repeats the part's first for the maximum.
    var a = vec4(0.0);
    if MAX { a = input[base + first * params.quads]; }
    var b = a;
    var c = a;
    var d = a;
    var pixel = first + lane.y;
    for (; pixel + 3u * ROWS < last; pixel += 4u * ROWS) {
        let at = base + pixel * params.quads;
        let step = ROWS * params.quads;
        a = combine(a, input[at]);
        b = combine(b, input[at + step]);
        c = combine(c, input[at + 2u * step]);
        d = combine(d, input[at + 3u * step]);
    }
    for (; pixel < last; pixel += ROWS) { a = combine(a, input[base + pixel * params.quads]); }
    var value = combine(combine(a, b), combine(c, d));

    if ROWS > 1u {
        let slot = lane.y * QUADS + lane.x;
        rows[slot] = value;
        for (var half = ROWS / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if lane.y < half { rows[slot] = combine(rows[slot], rows[slot + half * QUADS]); }
        }
        value = rows[slot];
    }
    if lane.y == 0u && quad < params.quads {
        output[(image * params.parts + part) * params.quads + quad] = value * params.factor;
    }
}
