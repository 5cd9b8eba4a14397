// Matrix product of the `tiled` family: a workgroup computes `8 * LANES_ROW` pixels by `4 * LANES_QUAD` channels, slab
// by slab of 16 input channels in workgroup memory; an invocation holds 8 pixels by one quad.
// The kernel provides `Pixels`, `pixels_at(row)` and `load(pixels, which, k)`: input quad `k` of one of 4 pixels.
//
// With the squeeze, it also sums what it stored, per channel and image of `plane` pixels. An image is then cut into chunks:
// whole tiles, and for the rest one chunk for every power of two in it, the largest first. Rows are the largest chunks of
// all images, then their next smaller ones, and so on. So no chunk runs over the border of tiles, its place is a multiple of
// its size, and its sum is the same tree of pairs wherever the image stands in the batch.
override LANES_QUAD: u32 = 8u;
override LANES_ROW: u32 = 8u;
override WIDTH: u32 = LANES_QUAD;
override HEIGHT: u32 = LANES_ROW;

const SLAB: u32 = 16u;
override ROW_QUADS: u32 = 2u * LANES_ROW;
override INPUTS: u32 = SLAB * ROW_QUADS;
override WEIGHTS: u32 = SLAB * LANES_QUAD;

struct Lane { @builtin(local_invocation_id) id: vec3<u32> }

// [channel of the slab][four pixels], and [channel of the slab][output quad].
var<workgroup> inputs: array<vec4<f32>, INPUTS>;
var<workgroup> weights: array<vec4<f32>, WEIGHTS>;

// What a row of the product stands for. Rows beyond the last have a pixel beyond the last.
struct Row {
    pixel: u32,
    // Rows of its chunk, and where the chunk's sum is kept; without the squeeze neither counts.
    chunk: u32,
    part: u32,
}

fn row_at(row: u32, plane: u32, pixels: u32) -> Row {
    if !SQUEEZE { return Row(row, 0u, 0u); }
    let tile = 8u * LANES_ROW;
    let images = pixels / plane;
    // Pixels of an image in chunks of whole tiles, and in smaller ones. A single image has whole tiles only; the last may be
    // part empty.
    let whole = (select(plane, plane + tile - 1u, images == 1u) / tile) * tile;
    let rest = plane - min(whole, plane);
    let parts = (whole / tile) + countOneBits(rest);
    if row < images * whole {
        let image = row / whole;
        let inside = row % whole;
        return Row((image * plane) + inside, tile, (image * parts) + (inside / tile));
    }
    // Rows of the chunk of bit `k` begin behind `images` times the bits of the rest above `k`, and end behind `images` times
    // those from `k` on. So a row by the images has the rest's bits above `k`, and has not bit `k`.
    let left = row - (images * whole);
    let bits = left / images;
    if bits >= rest { return Row(row, 0u, 0u); }
    let chunk = 1u << firstLeadingBit(bits ^ rest);
    let larger = rest - (rest % (2u * chunk));
    let image = (left - (images * larger)) / chunk;
    let inside = (left - (images * larger)) % chunk;
    return Row((image * plane) + whole + larger + inside, chunk, (image * parts) + (whole / tile) + countOneBits(larger));
}

// The pixels of four rows.
fn row_pixels(row: u32, plane: u32, pixels: u32) -> vec4<u32> {
    return vec4(
        row_at(row, plane, pixels).pixel,
        row_at(row + 1u, plane, pixels).pixel,
        row_at(row + 2u, plane, pixels).pixel,
        row_at(row + 3u, plane, pixels).pixel,
    );
}

// Finishes a row. Returns what it adds to its chunk's sum.
fn finish_row(row: Row, pixels: u32, quad: u32, quads: u32, sum: vec4<f32>) -> vec4<f32> {
    if row.pixel >= pixels { return vec4(0.0); }
    return finish(row.pixel, quad, quads, sum);
}

// Keeps the sum of the rows of a whole chunk, if that is what they are.
fn keep_chunk(first: Row, rows: u32, quad: u32, quads: u32, sum: vec4<f32>) {
    if first.chunk == rows { keep(first.part * quads + quad, sum); }
}

// Product of the rows from `first_row` and the quads from `first_quad`, over the input quads from `depth.x` up to `depth.y`;
// weights from `row`.
fn product(invocation: Lane, first_row: u32, pixels: u32, first_quad: u32, depth: vec2<u32>, row: u32, columns: u32, quad_base: u32, quads: u32, plane: u32) {
    let lane = invocation.id;
    let flat = lane.y * LANES_QUAD + lane.x;
    let jobs = ROW_QUADS * (SLAB / 4u);
    // A lane loads the same four pixels in every slab.
    let own = pixels_at(first_row + flat % ROW_QUADS * 4u);
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    var s4 = vec4(0.0);
    var s5 = vec4(0.0);
    var s6 = vec4(0.0);
    var s7 = vec4(0.0);
    for (var slab = depth.x; slab < depth.y; slab += SLAB / 4u) {
        for (var job = flat; job < jobs; job += LANES_QUAD * LANES_ROW) {
            let part = job / ROW_QUADS;
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
            let to = part * 4u * ROW_QUADS + job % ROW_QUADS;
            inputs[to] = vec4(x0.x, x1.x, x2.x, x3.x);
            inputs[to + ROW_QUADS] = vec4(x0.y, x1.y, x2.y, x3.y);
            inputs[to + 2u * ROW_QUADS] = vec4(x0.z, x1.z, x2.z, x3.z);
            inputs[to + 3u * ROW_QUADS] = vec4(x0.w, x1.w, x2.w, x3.w);
        }
        for (var job = flat; job < WEIGHTS; job += LANES_QUAD * LANES_ROW) {
            let channel = slab * 4u + job / LANES_QUAD;
            let quad = first_quad + job % LANES_QUAD;
            var w = vec4(0.0);
            if channel < depth.y * 4u && quad < columns { w = vec4<f32>(weight[row + channel * columns + quad]); }
            weights[job] = w;
        }
        workgroupBarrier();
        for (var k = 0u; k < SLAB; k++) {
            let w = weights[k * LANES_QUAD + lane.x];
            let a = inputs[k * ROW_QUADS + lane.y * 2u];
            let b = inputs[k * ROW_QUADS + lane.y * 2u + 1u];
            s0 += a.x * w;
            s1 += a.y * w;
            s2 += a.z * w;
            s3 += a.w * w;
            s4 += b.x * w;
            s5 += b.y * w;
            s6 += b.z * w;
            s7 += b.w * w;
        }
        workgroupBarrier();
    }
    let quad = first_quad + lane.x;
    let first = first_row + lane.y * 8u;
    let r0 = row_at(first, plane, pixels);
    let r1 = row_at(first + 1u, plane, pixels);
    let r2 = row_at(first + 2u, plane, pixels);
    let r3 = row_at(first + 3u, plane, pixels);
    let r4 = row_at(first + 4u, plane, pixels);
    let r5 = row_at(first + 5u, plane, pixels);
    let r6 = row_at(first + 6u, plane, pixels);
    let r7 = row_at(first + 7u, plane, pixels);
    // No pixels where the quad does not exist.
    let some = select(0u, pixels, quad < columns);
    let to = quad_base + quad;
    s0 = finish_row(r0, some, to, quads, s0);
    s1 = finish_row(r1, some, to, quads, s1);
    s2 = finish_row(r2, some, to, quads, s2);
    s3 = finish_row(r3, some, to, quads, s3);
    s4 = finish_row(r4, some, to, quads, s4);
    s5 = finish_row(r5, some, to, quads, s5);
    s6 = finish_row(r6, some, to, quads, s6);
    s7 = finish_row(r7, some, to, quads, s7);
    if SQUEEZE {
        let p0 = s0 + s1;
        let p2 = s2 + s3;
        let p4 = s4 + s5;
        let p6 = s6 + s7;
        if quad < columns && r0.chunk < 8u {
            keep_chunk(r0, 1u, to, quads, s0);
            keep_chunk(r1, 1u, to, quads, s1);
            keep_chunk(r2, 1u, to, quads, s2);
            keep_chunk(r3, 1u, to, quads, s3);
            keep_chunk(r4, 1u, to, quads, s4);
            keep_chunk(r5, 1u, to, quads, s5);
            keep_chunk(r6, 1u, to, quads, s6);
            keep_chunk(r7, 1u, to, quads, s7);
            keep_chunk(r0, 2u, to, quads, p0);
            keep_chunk(r2, 2u, to, quads, p2);
            keep_chunk(r4, 2u, to, quads, p4);
            keep_chunk(r6, 2u, to, quads, p6);
            keep_chunk(r0, 4u, to, quads, p0 + p2);
            keep_chunk(r4, 4u, to, quads, p4 + p6);
        }
        // The tile of the inputs is free: it is at least as large as the workgroup.
        inputs[flat] = (p0 + p2) + (p4 + p6);
        for (var lanes = 1u; lanes < LANES_ROW; lanes *= 2u) {
            workgroupBarrier();
            // Pairs of neighbours, as far as the chunk goes.
            let first_of_pair = (lane.y % (2u * lanes)) == 0u && 16u * lanes <= r0.chunk;
            if first_of_pair { inputs[flat] += inputs[flat + (lanes * LANES_QUAD)]; }
        }
        let begins = r0.chunk >= 8u && ((lane.y * 8u) % r0.chunk) == 0u;
        if quad < columns && begins { keep(r0.part * quads + to, inputs[flat]); }
    }
}
