// Register tile of the `direct` family: one invocation computes 4 pixels of one image by 1 or 2 channel quads, without
// workgroup memory or barriers. Software adapters pay per load: 4 + 8 of them here feed 32 vector multiply-adds.
// Needs `fetch(start, k)`: input quad `k` of the four pixels whose quads begin at `start`, as columns; and `weight` (rows of
// input channels, columns of output quads).
override LANES_PIXEL: u32 = 64u;
override LANES_QUAD: u32 = 1u;
override TILE_QUADS: u32 = 2u;

// Four pixels, as columns, by quads.
struct Tile { a: mat4x4<f32>, b: mat4x4<f32> }

// The weights from four input channels to a quad.
fn weights_at(at: u32, columns: u32) -> mat4x4<f32> {
    let w0 = vec4<f32>(weight[at]);
    let w1 = vec4<f32>(weight[at + columns]);
    let w2 = vec4<f32>(weight[at + 2u * columns]);
    let w3 = vec4<f32>(weight[at + 3u * columns]);
    return mat4x4(w0, w1, w2, w3);
}

// Adds `in_quads` input quads of four pixels times their weights, the first of which is `row`.
fn accumulate(tile: Tile, start: vec4<u32>, in_quads: u32, row: u32, columns: u32) -> Tile {
    var t = tile;
    for (var k = 0u; k < in_quads; k++) {
        let x = fetch(start, k);
        let at = row + 4u * k * columns;
        t.a += weights_at(at, columns) * x;
        if TILE_QUADS > 1u { t.b += weights_at(at + 1u, columns) * x; }
    }
    return t;
}

// Finishes the tile's pixels that exist: `pixels` from `pixel`.
fn finish_tile(tile: Tile, pixel: u32, pixels: u32, quad: u32, quads: u32) {
    finish_quad(tile.a, pixel, pixels, quad, quads);
    if TILE_QUADS > 1u { finish_quad(tile.b, pixel, pixels, quad + 1u, quads); }
}

fn finish_quad(sums: mat4x4<f32>, pixel: u32, pixels: u32, quad: u32, quads: u32) {
    finish(pixel, quad, quads, sums[0]);
    if pixels > 1u { finish(pixel + 1u, quad, quads, sums[1]); }
    if pixels > 2u { finish(pixel + 2u, quad, quads, sums[2]); }
    if pixels > 3u { finish(pixel + 3u, quad, quads, sums[3]); }
}
