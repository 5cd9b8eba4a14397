// Register tile of the `direct` family: one invocation computes 4 pixels of one image by 1, 2 or 4 channel quads, without
// workgroup memory or barriers until it has stored them. Software adapters pay per load: with two quads, 4 + 8 of them feed 32 vector
// multiply-adds; where a subgroup shares its weights, 4 + 2 feed 64 with four quads.
// With the squeeze, a workgroup has pixels of one image only, and sums what it stored in workgroup memory.
// Needs `fetch(start, k)`: input quad `k` of the four pixels whose quads begin at `start`, as columns; and `weight` (rows of
// input channels, columns of output quads), which `weights_at` loads.
override LANES_PIXEL: u32 = 64u;
override LANES_QUAD: u32 = 1u;
override TILE_QUADS: u32 = 2u;
override LANES: u32 = LANES_PIXEL * LANES_QUAD;
override SUMS: u32 = LANES * TILE_QUADS;

// [quad of the tile][lane]
var<workgroup> sums: array<vec4<f32>, SUMS>;

// Four pixels of an image side by side. Lanes without any repeat the last.
struct Strip { image: u32, pixel: u32, exists: bool }

fn strip_at(block: u32, lane: u32, plane: u32) -> Strip {
    let strips = (plane + 3u) / 4u;
    if SQUEEZE {
        let blocks = (strips + LANES_PIXEL - 1u) / LANES_PIXEL;
        let own = block % blocks * LANES_PIXEL + lane;
        return Strip(block / blocks, min(own, strips - 1u) * 4u, own < strips);
    }
    let own = block * LANES_PIXEL + lane;
    let row = min(own, params.rows - 1u);
    return Strip(row / strips, row % strips * 4u, own < params.rows);
}

// Four pixels, as columns, by quads.
struct Tile { a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32> }

// Adds `in_quads` input quads of four pixels times their weights, from this lane's first on.
fn accumulate(tile: Tile, start: vec4<u32>, in_quads: u32, own: u32, columns: u32) -> Tile {
    var t = tile;
    for (var k = 0u; k < in_quads; k++) {
        let x = fetch(start, k);
        let at = own + 4u * k * columns;
        let w = weights_at(at, columns, k);
        t.a += w.a * x;
        if TILE_QUADS > 1u { t.b += w.b * x; }
        if TILE_QUADS > 2u {
            let w = weights_at(at + 2u, columns, k);
            t.c += w.a * x;
            t.d += w.b * x;
        }
    }
    return t;
}

// Finishes the tile's pixels that exist: `pixels` of an image from `pixel`. Returns their sums, a column a quad. Loops of lengths
// that no driver knows, which compile in less time than sixteen copies of the epilogue. Bias and gate are loaded once a quad.
fn finish_tile(tile: Tile, pixel: u32, pixels: u32, quad: u32, quads: u32) -> mat4x4<f32> {
    var values = array(tile.a, tile.b, tile.c, tile.d);
    var sum = mat4x4<f32>();
    for (var q = 0u; q < min(TILE_QUADS, quads - quad); q++) {
        let shift = bias[quad + q];
        var factor = vec4(1.0);
        if SCALED { factor = gate_of(pixel, quad + q, quads); }
        for (var p = 0u; p < min(4u, pixels); p++) {
            var value = values[q][p] + shift;
            if SCALED { value *= factor; }
            sum[q] += finish_scaled(pixel + p, quad + q, quads, value);
        }
    }
    return sum;
}

// Keeps the sums of a workgroup's pixels, of which `sum` are the lane's: a tree of pairs over the lanes. Quads from `quad`
// on, if they exist; blocks of pixels are the parts of their images.
fn keep_sums(sum: mat4x4<f32>, lane: vec3<u32>, block: u32, quad: u32, quads: u32, exists: bool) {
    let at = lane.y * LANES_PIXEL + lane.x;
    sums[at] = sum[0];
    if TILE_QUADS > 1u { sums[LANES + at] = sum[1]; }
    if TILE_QUADS > 2u {
        sums[2u * LANES + at] = sum[2];
        sums[3u * LANES + at] = sum[3];
    }
    for (var half = LANES_PIXEL / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane.x < half {
            for (var i = at; i < SUMS; i += LANES) { sums[i] += sums[i + half]; }
        }
    }
    if lane.x == 0u && exists {
        for (var q = 0u; q < TILE_QUADS; q++) { keep(block * quads + quad + q, sums[q * LANES + at]); }
    }
}
