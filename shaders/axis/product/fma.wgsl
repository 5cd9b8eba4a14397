// Matrix product of the `tiled` family: a workgroup computes `8 * LANES_ROW` pixels by `4 * TILE_QUADS` channels, slab by
// slab of `SLAB` input channels in workgroup memory. An invocation holds 8 pixels by `QUADS` quads, one or two. With
// `SLICES` there are as many invocations for each of them, which share the depth of a slab: for deep products of few tiles.
// The kernel provides `Pixels`, `pixels_at(row)` and `load(pixels, which, k)`: input quad `k` of one of 4 pixels.
override LANES_QUAD: u32 = 8u;
override LANES_ROW: u32 = 8u;
override QUADS: u32 = 1u;
override SLICES: u32 = 1u;
override TILE_QUADS: u32 = QUADS * LANES_QUAD;
override WIDTH: u32 = LANES_QUAD;
override HEIGHT: u32 = SLICES * LANES_ROW;

// 16, or 32 for four slices: no tile takes more than 16 KiB.
override SLAB: u32 = 16u * (1u + SLICES / 4u);
override ROW_QUADS: u32 = 2u * LANES_ROW;
override INPUTS: u32 = SLAB * ROW_QUADS;
override WEIGHTS: u32 = SLAB * TILE_QUADS;

struct Lane { @builtin(local_invocation_id) id: vec3<u32> }

// [channel of the slab][four pixels, in the order of `swapped`], and [channel of the slab][output quad].
var<workgroup> inputs: array<vec4<f32>, INPUTS>;
var<workgroup> weights: array<vec4<f32>, WEIGHTS>;

// Where four pixels lie among those of a channel: lanes side by side store four quads of channels, which then are in
// different banks. Pairs stay pairs.
fn swapped(four: u32, channel: u32) -> u32 {
    return four ^ (2u * ((channel / 4u) % 4u));
}

// Once the product is done, the inputs' memory is free: it has room for all slots and all slices.
fn set_eight(slot: u32, sum: vec4<f32>) {
    inputs[slot] = sum;
}

fn eight(slot: u32) -> vec4<f32> {
    return inputs[slot];
}

// The sum over the slices, for the invocations of the first.
fn over_slices(flat: u32, value: vec4<f32>) -> vec4<f32> {
    let lanes = LANES_QUAD * LANES_ROW;
    workgroupBarrier();
    inputs[flat] = value;
    workgroupBarrier();
    var sum = value;
    if flat < lanes {
        for (var at = flat + lanes; at < SLICES * lanes; at += lanes) { sum += inputs[at]; }
    }
    return sum;
}

// Product of the rows from `first_row` and the quads from `first_quad`, over the input quads from `depth.x` up to `depth.y`;
// weights from `row`.
fn product(invocation: Lane, first_row: u32, pixels: u32, first_quad: u32, depth: vec2<u32>, row: u32, columns: u32, quad_base: u32, quads: u32, plane: u32) {
    let lane = invocation.id;
    let flat = lane.y * LANES_QUAD + lane.x;
    let lanes = LANES_QUAD * LANES_ROW * SLICES;
    let place = lane.y % LANES_ROW;
    let slice = lane.y / LANES_ROW;
    // In every slab a lane loads one quad of the same four pixels, lanes side by side quads side by side. Some have none.
    let part = flat % (SLAB / 4u);
    let four = flat / (SLAB / 4u);
    let own = pixels_at(first_row + four * 4u);
    let to = part * 4u * ROW_QUADS + swapped(four, part * 4u);
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    var s4 = vec4(0.0);
    var s5 = vec4(0.0);
    var s6 = vec4(0.0);
    var s7 = vec4(0.0);
    // Those of the second quad.
    var t0 = vec4(0.0);
    var t1 = vec4(0.0);
    var t2 = vec4(0.0);
    var t3 = vec4(0.0);
    var t4 = vec4(0.0);
    var t5 = vec4(0.0);
    var t6 = vec4(0.0);
    var t7 = vec4(0.0);
    for (var slab = depth.x; slab < depth.y; slab += SLAB / 4u) {
        if four < ROW_QUADS {
            let k = slab + part;
            var x0 = vec4(0.0);
            var x1 = vec4(0.0);
            var x2 = vec4(0.0);
            var x3 = vec4(0.0);
            if k < depth.y {
                x0 = load(own, 0u, k);
                x1 = load(own, 1u, k);
                x2 = load(own, 2u, k);
                x3 = load(own, 3u, k);
            }
            inputs[to] = vec4(x0.x, x1.x, x2.x, x3.x);
            inputs[to + ROW_QUADS] = vec4(x0.y, x1.y, x2.y, x3.y);
            inputs[to + 2u * ROW_QUADS] = vec4(x0.z, x1.z, x2.z, x3.z);
            inputs[to + 3u * ROW_QUADS] = vec4(x0.w, x1.w, x2.w, x3.w);
        }
        for (var job = flat; job < WEIGHTS; job += lanes) {
            let channel = slab * 4u + job / TILE_QUADS;
            let quad = first_quad + job % TILE_QUADS;
            var w = vec4(0.0);
            if channel < depth.y * 4u && quad < columns { w = vec4<f32>(weight[row + channel * columns + quad]); }
            weights[job] = w;
        }
        workgroupBarrier();
        for (var i = 0u; i < SLAB / SLICES; i++) {
            let k = slice * (SLAB / SLICES) + i;
            let at = k * ROW_QUADS + swapped(place * 2u, k);
            let a = inputs[at];
            let b = inputs[at + 1u];
            let w = weights[k * TILE_QUADS + lane.x];
            s0 += a.x * w;
            s1 += a.y * w;
            s2 += a.z * w;
            s3 += a.w * w;
            s4 += b.x * w;
            s5 += b.y * w;
            s6 += b.z * w;
            s7 += b.w * w;
            if QUADS > 1u {
                let v = weights[k * TILE_QUADS + LANES_QUAD + lane.x];
                t0 += a.x * v;
                t1 += a.y * v;
                t2 += a.z * v;
                t3 += a.w * v;
                t4 += b.x * v;
                t5 += b.y * v;
                t6 += b.z * v;
                t7 += b.w * v;
            }
        }
        workgroupBarrier();
    }
    if SLICES > 1u {
        s0 = over_slices(flat, s0);
        s1 = over_slices(flat, s1);
        s2 = over_slices(flat, s2);
        s3 = over_slices(flat, s3);
        s4 = over_slices(flat, s4);
        s5 = over_slices(flat, s5);
        s6 = over_slices(flat, s6);
        s7 = over_slices(flat, s7);
        workgroupBarrier();
    }
    let first = first_row + place * 8u;
    finish_quad(Eight(s0, s1, s2, s3, s4, s5, s6, s7), first, place, lane.x, slice, pixels, first_quad, columns, quad_base, quads, plane);
    if QUADS > 1u {
        finish_quad(Eight(t0, t1, t2, t3, t4, t5, t6, t7), first, place, LANES_QUAD + lane.x, slice, pixels, first_quad, columns, quad_base, quads, plane);
    }
}

// Finishes an invocation's rows of a quad, `column` quads into the tile. The first slice does it for all.
fn finish_quad(s: Eight, first: u32, place: u32, column: u32, slice: u32, pixels: u32, first_quad: u32, columns: u32, quad_base: u32, quads: u32, plane: u32) {
    let exists = slice == 0u && first_quad + column < columns;
    let quad = quad_base + first_quad + column;
    let stored = finish_eight(first, plane, pixels, quad, quads, exists, s);
    if SQUEEZE {
        let slot = place * TILE_QUADS + column;
        var row = Row();
        if slice == 0u {
            sum_eight(first, plane, pixels, quad, quads, exists, slot, stored);
            row = row_at(first, plane, pixels);
        }
        keep_chunks(row, place, slot, quad, quads, exists);
    }
}
