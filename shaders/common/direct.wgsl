// Register tile of the `direct` family: one invocation computes 4 pixels of one image by 1, 2 or 4 channel quads, without
// workgroup memory or barriers. Software adapters pay per load: with two quads, 4 + 8 of them feed 32 vector
// multiply-adds; where a subgroup shares its weights, 4 + 2 feed 64 with four quads.
// Needs `fetch(start, k)`: input quad `k` of the four pixels whose quads begin at `start`, as columns; and `weight` (rows of
// input channels, columns of output quads), which `weights_at` loads.
override LANES_PIXEL: u32 = 64u;
override LANES_QUAD: u32 = 1u;
override TILE_QUADS: u32 = 2u;

// Four pixels, as columns, by quads.
struct Tile { a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32> }

// Adds `in_quads` input quads of four pixels times their weights, from this lane's first on.
fn accumulate(tile: Tile, start: vec4<u32>, in_quads: u32, own: u32, columns: u32) -> Tile {
    var t = tile;
    for (var k = 0u; k < in_quads; k++) {
        let x = fetch(start, k);
        let at = own + 4u * k * columns;
        let w = weights_at(at, columns);
        t.a += w.a * x;
        if TILE_QUADS > 1u { t.b += w.b * x; }
        if TILE_QUADS > 2u {
            let w = weights_at(at + 2u, columns);
            t.c += w.a * x;
            t.d += w.b * x;
        }
    }
    return t;
}

// Finishes the tile's pixels that exist: `pixels` from `pixel`.
fn finish_tile(tile: Tile, pixel: u32, pixels: u32, quad: u32, quads: u32) {
    finish_quad(tile.a, pixel, pixels, quad, quads);
    if TILE_QUADS > 1u { finish_quad(tile.b, pixel, pixels, quad + 1u, quads); }
    if TILE_QUADS > 2u {
        finish_quad(tile.c, pixel, pixels, quad + 2u, quads);
        finish_quad(tile.d, pixel, pixels, quad + 3u, quads);
    }
}

fn finish_quad(sums: mat4x4<f32>, pixel: u32, pixels: u32, quad: u32, quads: u32) {
    finish(pixel, quad, quads, sums[0]);
    if pixels > 1u { finish(pixel + 1u, quad, quads, sums[1]); }
    if pixels > 2u { finish(pixel + 2u, quad, quads, sums[2]); }
    if pixels > 3u { finish(pixel + 3u, quad, quads, sums[3]); }
}
