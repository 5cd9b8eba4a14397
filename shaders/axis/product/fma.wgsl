// Matrix product of the `tiled` family: a workgroup computes `8 * INVOCATIONS_ROW` pixels by `4 * TILE_VEC4S` channels,
// K tile by K tile of `K_TILE` input channels in workgroup memory. An invocation holds 8 pixels by `VEC4S` vec4s, one
// or two. With `SPLITS` there are as many invocations for each of them, which share the depth of a K tile: for deep
// products of few tiles. The kernel provides `Pixels`, `pixels_at(row)` and `load(pixels, which, k)`: input vec4 `k` of
// one of 4 pixels.
override INVOCATIONS_VEC4: u32 = 8u;
override INVOCATIONS_ROW: u32 = 8u;
override VEC4S: u32 = 1u;
override SPLITS: u32 = 1u;
override TILE_VEC4S: u32 = VEC4S * INVOCATIONS_VEC4;
override WIDTH: u32 = INVOCATIONS_VEC4;
override HEIGHT: u32 = SPLITS * INVOCATIONS_ROW;

// 16, or 32 for four slices: no tile takes more than 16 KiB.
override K_TILE: u32 = 16u * (1u + SPLITS / 4u);
override ROW_VEC4S: u32 = 2u * INVOCATIONS_ROW;
override INPUTS: u32 = K_TILE * ROW_VEC4S;
override WEIGHTS: u32 = K_TILE * TILE_VEC4S;

struct Invocation { @builtin(local_invocation_id) id: vec3<u32> }

// [channel of the K tile][four pixels, in the order of `swapped`], and [channel of the K tile][output vec4].
var<workgroup> inputs: array<vec4<f32>, INPUTS>;
var<workgroup> weights: array<vec4<f32>, WEIGHTS>;

// Where four pixels lie among those of a channel: invocations side by side store four vec4s of channels, which then are
// in different banks. Pairs stay pairs.
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
fn over_splits(flat: u32, value: vec4<f32>) -> vec4<f32> {
    let invocations = INVOCATIONS_VEC4 * INVOCATIONS_ROW;
    workgroupBarrier();
    inputs[flat] = value;
    workgroupBarrier();
    var sum = value;
    if flat < invocations {
        for (var at = flat + invocations; at < SPLITS * invocations; at += invocations) { sum += inputs[at]; }
    }
    return sum;
}

// Product of the rows from `first_row` and the vec4s from `first_vec4`, over the input vec4s from `depth.x` up to
// `depth.y`; weights from `row`.
fn product(entry: Invocation, first_row: u32, pixels: u32, first_vec4: u32, depth: vec2<u32>, row: u32, columns: u32, vec4_base: u32, vec4s: u32, plane: u32) {
    let invocation = entry.id;
    let flat = invocation.y * INVOCATIONS_VEC4 + invocation.x;
    let invocations = INVOCATIONS_VEC4 * INVOCATIONS_ROW * SPLITS;
    let place = invocation.y % INVOCATIONS_ROW;
    let split = invocation.y / INVOCATIONS_ROW;
    // In every K tile an invocation loads one vec4 of the same four pixels, invocations side by side vec4s side by
    // side. Some have none.
    let part = flat % (K_TILE / 4u);
    let four = flat / (K_TILE / 4u);
    let own = pixels_at(first_row + four * 4u);
    let to = part * 4u * ROW_VEC4S + swapped(four, part * 4u);
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    var s4 = vec4(0.0);
    var s5 = vec4(0.0);
    var s6 = vec4(0.0);
    var s7 = vec4(0.0);
    // Those of the second vec4.
    var t0 = vec4(0.0);
    var t1 = vec4(0.0);
    var t2 = vec4(0.0);
    var t3 = vec4(0.0);
    var t4 = vec4(0.0);
    var t5 = vec4(0.0);
    var t6 = vec4(0.0);
    var t7 = vec4(0.0);
    for (var k_tile = depth.x; k_tile < depth.y; k_tile += K_TILE / 4u) {
        if four < ROW_VEC4S {
            let k = k_tile + part;
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
            inputs[to + ROW_VEC4S] = vec4(x0.y, x1.y, x2.y, x3.y);
            inputs[to + 2u * ROW_VEC4S] = vec4(x0.z, x1.z, x2.z, x3.z);
            inputs[to + 3u * ROW_VEC4S] = vec4(x0.w, x1.w, x2.w, x3.w);
        }
        for (var job = flat; job < WEIGHTS; job += invocations) {
            let channel = k_tile * 4u + job / TILE_VEC4S;
            let c4 = first_vec4 + job % TILE_VEC4S;
            var w = vec4(0.0);
            if channel < depth.y * 4u && c4 < columns { w = vec4<f32>(weight[row + channel * columns + c4]); }
            weights[job] = w;
        }
        workgroupBarrier();
        for (var i = 0u; i < K_TILE / SPLITS; i++) {
            let k = split * (K_TILE / SPLITS) + i;
            let at = k * ROW_VEC4S + swapped(place * 2u, k);
            let a = inputs[at];
            let b = inputs[at + 1u];
            let w = weights[k * TILE_VEC4S + invocation.x];
            s0 += a.x * w;
            s1 += a.y * w;
            s2 += a.z * w;
            s3 += a.w * w;
            s4 += b.x * w;
            s5 += b.y * w;
            s6 += b.z * w;
            s7 += b.w * w;
            if VEC4S > 1u {
                let v = weights[k * TILE_VEC4S + INVOCATIONS_VEC4 + invocation.x];
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
    if SPLITS > 1u {
        s0 = over_splits(flat, s0);
        s1 = over_splits(flat, s1);
        s2 = over_splits(flat, s2);
        s3 = over_splits(flat, s3);
        s4 = over_splits(flat, s4);
        s5 = over_splits(flat, s5);
        s6 = over_splits(flat, s6);
        s7 = over_splits(flat, s7);
        workgroupBarrier();
    }
    let first = first_row + place * 8u;
    finish_vec4(Eight(s0, s1, s2, s3, s4, s5, s6, s7), first, place, invocation.x, split, pixels, first_vec4, columns, vec4_base, vec4s, plane);
    if VEC4S > 1u {
        finish_vec4(Eight(t0, t1, t2, t3, t4, t5, t6, t7), first, place, INVOCATIONS_VEC4 + invocation.x, split, pixels, first_vec4, columns, vec4_base, vec4s, plane);
    }
}

// Finishes an invocation's rows of a vec4, `column` vec4s into the tile. The first slice does it for all.
fn finish_vec4(s: Eight, first: u32, place: u32, column: u32, split: u32, pixels: u32, first_vec4: u32, columns: u32, vec4_base: u32, vec4s: u32, plane: u32) {
    let exists = split == 0u && first_vec4 + column < columns;
    let c4 = vec4_base + first_vec4 + column;
    let stored = finish_eight(first, plane, pixels, c4, vec4s, exists, s);
    if SQUEEZE {
        let slot = place * TILE_VEC4S + column;
        var row = Row();
        if split == 0u {
            sum_eight(first, plane, pixels, c4, vec4s, exists, slot, stored);
            row = row_at(first, plane, pixels);
        }
        keep_spans(row, place, slot, c4, vec4s, exists);
    }
}
