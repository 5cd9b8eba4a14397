// Register tile of the `direct` family: one invocation computes 4 pixels of one image by 1, 2 or 4 channel vec4s, without
// workgroup memory or barriers until it has stored them. Software adapters pay per load: with two vec4s, 4 + 8 of them
// feed 32 vector multiply-adds; where a subgroup shares its weights, 4 + 2 feed 64 with four vec4s. With the squeeze, a
// workgroup has pixels of one image only, and sums what it stored in workgroup memory. Needs `fetch(start, k)`: input
// vec4 `k` of the four pixels whose vec4s begin at `start`, as columns; and `weight` (rows of input channels, columns
// of output vec4s), which `weights_at` loads.
override INVOCATIONS_PIXEL: u32 = 64u;
override INVOCATIONS_VEC4: u32 = 1u;
override TILE_VEC4S: u32 = 2u;
override INVOCATIONS: u32 = INVOCATIONS_PIXEL * INVOCATIONS_VEC4;
override SUMS: u32 = INVOCATIONS * TILE_VEC4S;

// [vec4 of the tile][invocation]
var<workgroup> sums: array<vec4<f32>, SUMS>;

// Four pixels of an image side by side. Invocations without any repeat the last.
struct Strip { image: u32, pixel: u32, exists: bool }

fn strip_at(block: u32, invocation: u32, plane: u32) -> Strip {
    let strips = (plane + 3u) / 4u;
    if SQUEEZE {
        let blocks = (strips + INVOCATIONS_PIXEL - 1u) / INVOCATIONS_PIXEL;
        let own = block % blocks * INVOCATIONS_PIXEL + invocation;
        return Strip(block / blocks, min(own, strips - 1u) * 4u, own < strips);
    }
    let own = block * INVOCATIONS_PIXEL + invocation;
    let row = min(own, params.rows - 1u);
    return Strip(row / strips, row % strips * 4u, own < params.rows);
}

// Four pixels, as columns, by vec4s.
struct Tile { a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32> }

// Adds `in_vec4s` input vec4s of four pixels times their weights, from this invocation's first on.
fn accumulate(tile: Tile, start: vec4<u32>, in_vec4s: u32, own: u32, columns: u32) -> Tile {
    var t = tile;
    for (var k = 0u; k < in_vec4s; k++) {
        let x = fetch(start, k);
        let at = own + 4u * k * columns;
        let w = weights_at(at, columns, k);
        t.a += w.a * x;
        if TILE_VEC4S > 1u { t.b += w.b * x; }
        if TILE_VEC4S > 2u {
            let w = weights_at(at + 2u, columns, k);
            t.c += w.a * x;
            t.d += w.b * x;
        }
    }
    return t;
}

// Finishes the tile's pixels that exist: `pixels` of an image from `pixel`. Returns their sums by vec4. Loops
// of lengths that no driver knows, which compile in less time than sixteen copies of the epilogue. Bias and gate are
// loaded once a vec4. The sums are an array: columns of a matrix that are assigned by index make FXC unroll the loop.
fn finish_tile(tile: Tile, pixel: u32, pixels: u32, c4: u32, vec4s: u32) -> array<vec4<f32>, 4> {
    var values = array(tile.a, tile.b, tile.c, tile.d);
    var sum = array<vec4<f32>, 4>();
    for (var q = 0u; q < min(TILE_VEC4S, vec4s - c4); q++) {
        let shift = bias[c4 + q];
        var factor = vec4(1.0);
        if SCALED { factor = gate_of(pixel, c4 + q, vec4s); }
        for (var p = 0u; p < min(4u, pixels); p++) {
            var value = values[q][p] + shift;
            if SCALED { value *= factor; }
            sum[q] += finish_scaled(pixel + p, c4 + q, vec4s, value);
        }
    }
    return sum;
}

// Keeps the sums of a workgroup's pixels, of which `sum` are the invocation's: a tree of pairs over the invocations.
// Vec4s from `c4` on, if they exist; blocks of pixels are the parts of their images.
fn keep_sums(sum: array<vec4<f32>, 4>, invocation: vec3<u32>, block: u32, c4: u32, vec4s: u32, exists: bool) {
    let at = invocation.y * INVOCATIONS_PIXEL + invocation.x;
    sums[at] = sum[0];
    if TILE_VEC4S > 1u { sums[INVOCATIONS + at] = sum[1]; }
    if TILE_VEC4S > 2u {
        sums[2u * INVOCATIONS + at] = sum[2];
        sums[3u * INVOCATIONS + at] = sum[3];
    }
    for (var half = INVOCATIONS_PIXEL / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if invocation.x < half {
            for (var i = at; i < SUMS; i += INVOCATIONS) { sums[i] += sums[i + half]; }
        }
    }
    if invocation.x == 0u && exists {
        for (var q = 0u; q < TILE_VEC4S; q++) { keep(block * vec4s + c4 + q, sums[q * INVOCATIONS + at]); }
    }
}
