// Register tile of the `direct` family: one invocation computes 4 pixels by 1 or 2 channel quads, without workgroup
// memory or barriers. Software adapters pay per load: 4 + 8 of them here feed 32 vector multiply-adds.
// Needs `fetch(at, image, k)`, the input quad `k` of the pixel that begins at `at`, and `weight` (rows of input
// channels, columns of output quads).
override LANES_PIXEL: u32 = 64u;
override LANES_QUAD: u32 = 1u;
override TILE_QUADS: u32 = 2u;

struct Tile {
    a0: vec4<f32>, a1: vec4<f32>, a2: vec4<f32>, a3: vec4<f32>,
    b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>,
}

// Adds `in_quads` input quads of four pixels times their weights. `start` is where each pixel's quads begin; pixels
// that are not `inside` the map count as zeros. `row` is the weight of the first input channel and output quad.
fn accumulate(tile: Tile, start: vec4<u32>, image: vec4<u32>, inside: vec4<bool>, in_quads: u32, row: u32, columns: u32) -> Tile {
    var t = tile;
    let zero = vec4(0.0);
    for (var k = 0u; k < in_quads; k++) {
        let x0 = select(zero, fetch(start.x, image.x, k), inside.x);
        let x1 = select(zero, fetch(start.y, image.y, k), inside.y);
        let x2 = select(zero, fetch(start.z, image.z, k), inside.z);
        let x3 = select(zero, fetch(start.w, image.w, k), inside.w);
        let w = row + 4u * k * columns;
        let w0 = vec4<f32>(weight[w]);
        let w1 = vec4<f32>(weight[w + columns]);
        let w2 = vec4<f32>(weight[w + 2u * columns]);
        let w3 = vec4<f32>(weight[w + 3u * columns]);
        t.a0 += x0.x * w0 + x0.y * w1 + x0.z * w2 + x0.w * w3;
        t.a1 += x1.x * w0 + x1.y * w1 + x1.z * w2 + x1.w * w3;
        t.a2 += x2.x * w0 + x2.y * w1 + x2.z * w2 + x2.w * w3;
        t.a3 += x3.x * w0 + x3.y * w1 + x3.z * w2 + x3.w * w3;
        if TILE_QUADS > 1u {
            let v0 = vec4<f32>(weight[w + 1u]);
            let v1 = vec4<f32>(weight[w + columns + 1u]);
            let v2 = vec4<f32>(weight[w + 2u * columns + 1u]);
            let v3 = vec4<f32>(weight[w + 3u * columns + 1u]);
            t.b0 += x0.x * v0 + x0.y * v1 + x0.z * v2 + x0.w * v3;
            t.b1 += x1.x * v0 + x1.y * v1 + x1.z * v2 + x1.w * v3;
            t.b2 += x2.x * v0 + x2.y * v1 + x2.z * v2 + x2.w * v3;
            t.b3 += x3.x * v0 + x3.y * v1 + x3.z * v2 + x3.w * v3;
        }
    }
    return t;
}

// Finishes the tile's pixels that exist.
fn finish_tile(tile: Tile, pixel: u32, pixels: u32, quad: u32, quads: u32) {
    finish(pixel, quad, quads, tile.a0);
    if pixel + 1u < pixels { finish(pixel + 1u, quad, quads, tile.a1); }
    if pixel + 2u < pixels { finish(pixel + 2u, quad, quads, tile.a2); }
    if pixel + 3u < pixels { finish(pixel + 3u, quad, quads, tile.a3); }
    if TILE_QUADS > 1u {
        finish(pixel, quad + 1u, quads, tile.b0);
        if pixel + 1u < pixels { finish(pixel + 1u, quad + 1u, quads, tile.b1); }
        if pixel + 2u < pixels { finish(pixel + 2u, quad + 1u, quads, tile.b2); }
        if pixel + 3u < pixels { finish(pixel + 3u, quad + 1u, quads, tile.b3); }
    }
}
