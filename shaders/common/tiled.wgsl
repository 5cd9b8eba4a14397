// Matrix product of the `tiled` family: a workgroup computes `8 * LANES_ROW` pixels by `4 * LANES_QUAD` channels, slab
// by slab of 16 input channels in workgroup memory; an invocation holds 8 pixels by one quad.
// With the squeeze, it also sums what it stored, per channel and image of `plane` pixels.
// The kernel provides `Pixels`, `pixels_at(first)` and `load(pixels, which, k)`: input quad `k` of one of 4 pixels.
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

// Product of the pixels from `first_pixel` and the quads from `first_quad`: `depth` input quads, weights from `row`.
fn product(invocation: Lane, first_pixel: u32, pixels: u32, first_quad: u32, depth: u32, row: u32, columns: u32, quad_base: u32, quads: u32, plane: u32) {
    let lane = invocation.id;
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
            if channel < depth * 4u && quad < columns { w = vec4<f32>(weight[row + channel * columns + quad]); }
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
    // Pixels that exist; none where the quad does not.
    let some = select(0u, min(pixels - min(pixel, pixels), 8u), quad < columns);
    if some > 0u { s0 = finish(pixel, quad_base + quad, quads, s0); }
    if some > 1u { s1 = finish(pixel + 1u, quad_base + quad, quads, s1); }
    if some > 2u { s2 = finish(pixel + 2u, quad_base + quad, quads, s2); }
    if some > 3u { s3 = finish(pixel + 3u, quad_base + quad, quads, s3); }
    if some > 4u { s4 = finish(pixel + 4u, quad_base + quad, quads, s4); }
    if some > 5u { s5 = finish(pixel + 5u, quad_base + quad, quads, s5); }
    if some > 6u { s6 = finish(pixel + 6u, quad_base + quad, quads, s6); }
    if some > 7u { s7 = finish(pixel + 7u, quad_base + quad, quads, s7); }
    if SQUEEZE {
        // Sums per channel and image: a tile may run over the border of images, so it has a slot for each.
        let tile = first_pixel / (8u * LANES_ROW);
        let slots = params.slots;
        for (var slot = 0u; slot < slots; slot++) {
            let first = (first_pixel / plane + slot) * plane;
            let zero = vec4(0.0);
            // The lane's pixels of this image: `lower..upper` of its eight.
            let lower = clamp(first, pixel, pixel + some) - pixel;
            let upper = clamp(first + plane, pixel, pixel + some) - pixel;
            var sum = select(zero, s0, lower < 1u && upper > 0u);
            sum += select(zero, s1, lower < 2u && upper > 1u);
            sum += select(zero, s2, lower < 3u && upper > 2u);
            sum += select(zero, s3, lower < 4u && upper > 3u);
            sum += select(zero, s4, lower < 5u && upper > 4u);
            sum += select(zero, s5, lower < 6u && upper > 5u);
            sum += select(zero, s6, lower < 7u && upper > 6u);
            sum += select(zero, s7, lower < 8u && upper > 7u);
            // The tile of the inputs is free: it is at least as large as the workgroup.
            let at = lane.y * LANES_QUAD + lane.x;
            workgroupBarrier();
            inputs[at] = sum;
            for (var half = LANES_ROW / 2u; half > 0u; half /= 2u) {
                workgroupBarrier();
                if lane.y < half { inputs[at] += inputs[at + half * LANES_QUAD]; }
            }
            if lane.y == 0u && quad < columns { keep((tile * slots + slot) * quads + quad_base + quad, inputs[at]); }
        }
    }
}
