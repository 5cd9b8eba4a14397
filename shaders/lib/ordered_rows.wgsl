// Rows of a matrix product whose rows are pixels: which pixel a row is, and sums of rows for the squeeze. A tile has
// `8 * INVOCATIONS_ROW` rows by `TILE_VEC4S` vec4s.
//
// With the squeeze, what is stored is summed per channel and image of `plane` pixels. An image is then cut into spans:
// whole tiles, and for the rest one span for every power of two in it, the largest first. Rows are the largest spans of
// all images, then their next smaller ones, and so on. So no span runs over the border of tiles, its place is a
// multiple of its size, and its sum is the same tree of pairs wherever the image stands in the batch. Who includes this
// keeps a sum of eight rows by a vec4 for every slot: `set_eight`, `eight`.

// What a row of the product stands for. Rows beyond the last have a pixel beyond the last.
struct Row {
    pixel: u32,
    // Rows of its span, and where the span's sum is kept; without the squeeze neither counts.
    span: u32,
    part: u32,
}

fn row_at(row: u32, plane: u32, pixels: u32) -> Row {
    if !SQUEEZE { return Row(row, 0u, 0u); }
    let tile = 8u * INVOCATIONS_ROW;
    let images = pixels / plane;
    // Pixels of an image in spans of whole tiles, and in smaller ones. A single image has whole tiles only; the last
    // may be part empty.
    let whole = (select(plane, plane + tile - 1u, images == 1u) / tile) * tile;
    let rest = plane - min(whole, plane);
    let parts = (whole / tile) + countOneBits(rest);
    if row < images * whole {
        let image = row / whole;
        let inside = row % whole;
        return Row((image * plane) + inside, tile, (image * parts) + (inside / tile));
    }
    // Rows of the span of bit `k` begin behind `images` times the bits of the rest above `k`, and end behind `images`
    // times those from `k` on. So a row by the images has the rest's bits above `k`, and has not bit `k`.
    let left = row - (images * whole);
    let bits = left / images;
    if bits >= rest { return Row(row, 0u, 0u); }
    let span = 1u << firstLeadingBit(bits ^ rest);
    let larger = rest - (rest % (2u * span));
    let image = (left - (images * larger)) / span;
    let inside = (left - (images * larger)) % span;
    return Row((image * plane) + whole + larger + inside, span, (image * parts) + (whole / tile) + countOneBits(larger));
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

// Eight rows of a vec4.
struct Eight {
    r0: vec4<f32>, r1: vec4<f32>, r2: vec4<f32>, r3: vec4<f32>,
    r4: vec4<f32>, r5: vec4<f32>, r6: vec4<f32>, r7: vec4<f32>,
}

// Finishes a row, if its pixel exists. Returns what it adds to its span's sum.
fn finish_row(row: Row, pixels: u32, c4: u32, vec4s: u32, sum: vec4<f32>) -> vec4<f32> {
    if row.pixel >= pixels { return vec4(0.0); }
    return finish(row.pixel, c4, vec4s, sum);
}

// Finishes eight rows of a vec4 from `row` on. Returns what they add to their spans' sums.
fn finish_eight(row: u32, plane: u32, pixels: u32, c4: u32, vec4s: u32, exists: bool, s: Eight) -> Eight {
    // No pixels where the vec4 does not exist.
    let some = select(0u, pixels, exists);
    return Eight(
        finish_row(row_at(row, plane, pixels), some, c4, vec4s, s.r0),
        finish_row(row_at(row + 1u, plane, pixels), some, c4, vec4s, s.r1),
        finish_row(row_at(row + 2u, plane, pixels), some, c4, vec4s, s.r2),
        finish_row(row_at(row + 3u, plane, pixels), some, c4, vec4s, s.r3),
        finish_row(row_at(row + 4u, plane, pixels), some, c4, vec4s, s.r4),
        finish_row(row_at(row + 5u, plane, pixels), some, c4, vec4s, s.r5),
        finish_row(row_at(row + 6u, plane, pixels), some, c4, vec4s, s.r6),
        finish_row(row_at(row + 7u, plane, pixels), some, c4, vec4s, s.r7),
    );
}

// Keeps the sum of the rows of a whole span, if that is what they are.
fn keep_span(first: Row, rows: u32, c4: u32, vec4s: u32, sum: vec4<f32>) {
    if first.span == rows { keep(first.part * vec4s + c4, sum); }
}

// Keeps the sums of spans of fewer than eight rows, and puts the sum of all eight into a slot.
fn sum_eight(row: u32, plane: u32, pixels: u32, c4: u32, vec4s: u32, exists: bool, slot: u32, s: Eight) {
    let p0 = s.r0 + s.r1;
    let p2 = s.r2 + s.r3;
    let p4 = s.r4 + s.r5;
    let p6 = s.r6 + s.r7;
    set_eight(slot, (p0 + p2) + (p4 + p6));
    let r0 = row_at(row, plane, pixels);
    if !exists || r0.span >= 8u { return; }
    let r1 = row_at(row + 1u, plane, pixels);
    let r2 = row_at(row + 2u, plane, pixels);
    let r3 = row_at(row + 3u, plane, pixels);
    let r4 = row_at(row + 4u, plane, pixels);
    let r5 = row_at(row + 5u, plane, pixels);
    let r6 = row_at(row + 6u, plane, pixels);
    let r7 = row_at(row + 7u, plane, pixels);
    keep_span(r0, 1u, c4, vec4s, s.r0);
    keep_span(r1, 1u, c4, vec4s, s.r1);
    keep_span(r2, 1u, c4, vec4s, s.r2);
    keep_span(r3, 1u, c4, vec4s, s.r3);
    keep_span(r4, 1u, c4, vec4s, s.r4);
    keep_span(r5, 1u, c4, vec4s, s.r5);
    keep_span(r6, 1u, c4, vec4s, s.r6);
    keep_span(r7, 1u, c4, vec4s, s.r7);
    keep_span(r0, 2u, c4, vec4s, p0);
    keep_span(r2, 2u, c4, vec4s, p2);
    keep_span(r4, 2u, c4, vec4s, p4);
    keep_span(r6, 2u, c4, vec4s, p6);
    keep_span(r0, 4u, c4, vec4s, p0 + p2);
    keep_span(r4, 4u, c4, vec4s, p4 + p6);
}

// Keeps the sums of spans of eight rows and more: for its slot, which is `place` eights down the tile and begins with
// `first`. All invocations come; those without a slot have a `first` of no span.
fn keep_spans(first: Row, place: u32, slot: u32, c4: u32, vec4s: u32, exists: bool) {
    for (var eights = 1u; eights < INVOCATIONS_ROW; eights *= 2u) {
        workgroupBarrier();
        // Pairs of neighbours, as far as the span goes.
        let first_of_pair = (place % (2u * eights)) == 0u && 16u * eights <= first.span;
        if first_of_pair { set_eight(slot, eight(slot) + eight(slot + (eights * TILE_VEC4S))); }
    }
    let begins = first.span >= 8u && ((place * 8u) % first.span) == 0u;
    if exists && begins { keep(first.part * vec4s + c4, eight(slot)); }
}
