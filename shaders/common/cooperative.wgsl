// Matrix product of the `tiled` family on cooperative matrices, in place of `tiled.wgsl`: the same tile of `8 * LANES_ROW`
// pixels by `4 * LANES_QUAD` channels and the same slabs of 16 input channels, here in half precision. The tile is cut into
// parts of 32 by 32 and a subgroup computes one: what 32 lanes hold in `tiled.wgsl`. Subgroups of another size take parts
// in turn, or repeat one; the result is the same.
// The kernel provides what `tiled.wgsl` says, `matrix_*.wgsl` the matrices of `MATRIX` by `MATRIX`.
override LANES_QUAD: u32 = 8u;
override LANES_ROW: u32 = 8u;
// In one dimension: only then are lanes side by side in subgroups.
override WIDTH: u32 = LANES_QUAD * LANES_ROW;
override HEIGHT: u32 = 1u;

const SLAB: u32 = 16u;
const PART: u32 = 32u;
// Matrices side by side in a part.
const ACROSS: u32 = PART / MATRIX;
const SUMS: u32 = ACROSS * ACROSS;
override ROW_QUADS: u32 = 2u * LANES_ROW;
override INPUTS: u32 = 4u * SLAB * ROW_QUADS;
override WEIGHTS: u32 = 4u * SLAB * LANES_QUAD;
// Numbers that a strip of a part has: 8 rows of it, or half of 16.
const STRIP: u32 = 256u;
// Those of the largest tile: 256 lanes are 8 parts.
const STRIPS: u32 = 8u * STRIP;

struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// [pixel][channel of the slab], [channel of the slab][output channel], and a strip of the sums of every part.
var<workgroup> inputs: array<f16, INPUTS>;
var<workgroup> weights: array<f16, WEIGHTS>;
var<workgroup> strips: array<f32, STRIPS>;

// As `tiled.wgsl` without sums for a squeeze: rows are pixels in order.
fn row_pixels(row: u32, plane: u32, pixels: u32) -> vec4<u32> {
    return vec4(row) + vec4(0u, 1u, 2u, 3u);
}

// As `product` in `tiled.wgsl`, without those sums.
fn product(lane: Lane, first_row: u32, pixels: u32, first_quad: u32, depth: vec2<u32>, row: u32, columns: u32, quad_base: u32, quads: u32, plane: u32) {
    let lanes = LANES_QUAD * LANES_ROW;
    // A lane loads the same four pixels in every slab.
    let own = pixels_at(first_row + lane.index % ROW_QUADS * 4u);
    let wide = 4u * LANES_QUAD / PART;
    let parts = lanes / PART;
    for (var round = 0u; round < parts; round += lane.subgroups) {
        // All subgroups come to all operations on matrices. Those that repeat the last part store the same numbers.
        let part = min(round + lane.subgroup, parts - 1u);
        let part_input = part / wide * PART * SLAB;
        let part_weight = part % wide * PART;
        var sums = array<MatrixC, SUMS>();
        for (var slab = depth.x; slab < depth.y; slab += SLAB / 4u) {
            for (var job = lane.index; job < ROW_QUADS * (SLAB / 4u); job += lanes) {
                let quad = job / ROW_QUADS;
                for (var i = 0u; i < 4u; i++) {
                    var x = vec4(0.0);
                    if slab + quad < depth.y { x = load(own, i, slab + quad); }
                    let to = (job % ROW_QUADS * 4u + i) * SLAB + quad * 4u;
                    inputs[to] = f16(x.x);
                    inputs[to + 1u] = f16(x.y);
                    inputs[to + 2u] = f16(x.z);
                    inputs[to + 3u] = f16(x.w);
                }
            }
            for (var job = lane.index; job < SLAB * LANES_QUAD; job += lanes) {
                let channel = slab * 4u + job / LANES_QUAD;
                let quad = first_quad + job % LANES_QUAD;
                var w = Quad();
                if channel < depth.y * 4u && quad < columns { w = weight[row + channel * columns + quad]; }
                weights[job * 4u] = w.x;
                weights[job * 4u + 1u] = w.y;
                weights[job * 4u + 2u] = w.z;
                weights[job * 4u + 3u] = w.w;
            }
            workgroupBarrier();
            for (var k = 0u; k < SLAB; k += MATRIX) {
                for (var i = 0u; i < ACROSS; i++) {
                    let a = coopLoadT<MatrixA>(&inputs[part_input + i * MATRIX * SLAB + k], SLAB);
                    for (var j = 0u; j < ACROSS; j++) {
                        let at = k * 4u * LANES_QUAD + part_weight + j * MATRIX;
                        let b = coopLoadT<MatrixB>(&weights[at], 4u * LANES_QUAD);
                        sums[i * ACROSS + j] = coopMultiplyAdd(a, b, sums[i * ACROSS + j]);
                    }
                }
            }
            workgroupBarrier();
        }
        // The sums of a part come out in four strips of as many matrices as have 256 numbers, one matrix after the other.
        let several = STRIP / (MATRIX * MATRIX);
        for (var first = 0u; first < SUMS; first += several) {
            for (var i = 0u; i < several; i++) {
                coopStoreT(sums[first + i], &strips[part * STRIP + i * MATRIX * MATRIX], MATRIX);
            }
            workgroupBarrier();
            // The parts of this round, a quad a lane and turn.
            let end = min(round + lane.subgroups, parts) * (STRIP / 4u);
            for (var job = round * (STRIP / 4u) + lane.index; job < end; job += lanes) {
                let piece = job / (STRIP / 4u);
                let matrix = first + job * 4u / (MATRIX * MATRIX) % several;
                let inside = job * 4u % (MATRIX * MATRIX);
                let pixel = first_row + piece / wide * PART + matrix / ACROSS * MATRIX + inside / MATRIX;
                let channel = piece % wide * PART + matrix % ACROSS * MATRIX + inside % MATRIX;
                let quad = first_quad + channel / 4u;
                let sum = vec4(strips[job * 4u], strips[job * 4u + 1u], strips[job * 4u + 2u], strips[job * 4u + 3u]);
                if pixel < pixels && quad < columns { _ = finish(pixel, quad_base + quad, quads, sum); }
            }
            workgroupBarrier();
        }
    }
}
