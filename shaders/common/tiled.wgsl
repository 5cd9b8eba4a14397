// Matrix product of the `tiled` family: a workgroup computes `8 * LANES_ROW` pixels by `4 * LANES_QUAD` channels, slab
// by slab of 16 input channels in workgroup memory; an invocation holds 8 pixels by one quad.
// The kernel provides `Pixels`, `pixels_at(first)` and `load(pixels, which, k)`: input quad `k` of one of 4 pixels.
override LANES_QUAD: u32 = 8u;
override LANES_ROW: u32 = 8u;

const SLAB: u32 = 16u;
override ROW_QUADS: u32 = 2u * LANES_ROW;
override INPUTS: u32 = SLAB * ROW_QUADS;
override WEIGHTS: u32 = SLAB * LANES_QUAD;

// [channel of the slab][four pixels], and [channel of the slab][output quad].
var<workgroup> inputs: array<vec4<f32>, INPUTS>;
var<workgroup> weights: array<vec4<f32>, WEIGHTS>;

// Product of the pixels from `first_pixel` and the quads from `first_quad`: `depth` input quads, weights from `row`.
fn product(lane: vec3<u32>, first_pixel: u32, pixels: u32, first_quad: u32, depth: u32, row: u32, columns: u32, quad_base: u32, quads: u32) {
    let flat = lane.y * LANES_QUAD + lane.x;
    let jobs = ROW_QUADS * (SLAB / 4u);
    // A lane loads the same four pixels in every slab.
    let own = pixels_at(first_pixel + flat % ROW_QUADS * 4u);
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    var s4 = vec4(0.0);
    var s5 = vec4(0.0);
    var s6 = vec4(0.0);
    var s7 = vec4(0.0);
    for (var slab = 0u; slab < depth; slab += SLAB / 4u) {
        for (var job = flat; job < jobs; job += LANES_QUAD * LANES_ROW) {
            let part = job / ROW_QUADS;
            let k = slab + part;
            var x0 = vec4(0.0);
            var x1 = vec4(0.0);
            var x2 = vec4(0.0);
            var x3 = vec4(0.0);
            if k < depth {
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
            if channel < depth * 4u && quad < columns { w = weight[row + channel * columns + quad]; }
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
    let pixel = first_pixel + lane.y * 8u;
    if quad >= columns { return; }
    if pixel < pixels { finish(pixel, quad_base + quad, quads, s0); }
    if pixel + 1u < pixels { finish(pixel + 1u, quad_base + quad, quads, s1); }
    if pixel + 2u < pixels { finish(pixel + 2u, quad_base + quad, quads, s2); }
    if pixel + 3u < pixels { finish(pixel + 3u, quad_base + quad, quads, s3); }
    if pixel + 4u < pixels { finish(pixel + 4u, quad_base + quad, quads, s4); }
    if pixel + 5u < pixels { finish(pixel + 5u, quad_base + quad, quads, s5); }
    if pixel + 6u < pixels { finish(pixel + 6u, quad_base + quad, quads, s6); }
    if pixel + 7u < pixels { finish(pixel + 7u, quad_base + quad, quads, s7); }
}
