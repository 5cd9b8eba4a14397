// Matrix product of the `tiled` family on cooperative matrices, in place of `axis/product/fma.wgsl`: the same tile of `8 * LANES_ROW`
// pixels by `4 * TILE_QUADS` channels, here in half precision, in slabs of 16 input channels for each slice. The tile is
// cut into parts of 32 pixels by `32 * QUADS` channels, and a subgroup computes one slice of one: what 32 lanes hold in
// `axis/product/fma.wgsl`. Subgroups of another size take them in turn, or repeat one; the result is the same.
// The kernel provides what `axis/product/fma.wgsl` says, `matrix_*.wgsl` the matrices of `MATRIX` by `MATRIX`.
override LANES_QUAD: u32 = 8u;
override LANES_ROW: u32 = 8u;
override QUADS: u32 = 1u;
override SLICES: u32 = 1u;
override TILE_QUADS: u32 = QUADS * LANES_QUAD;
// In one dimension: only then are lanes side by side in subgroups.
override WIDTH: u32 = SLICES * LANES_QUAD * LANES_ROW;
override HEIGHT: u32 = 1u;

const DEPTH: u32 = 16u;
override SLAB: u32 = DEPTH * SLICES;
override ROW_QUADS: u32 = 2u * LANES_ROW;
override INPUTS: u32 = 4u * SLAB * ROW_QUADS;
override WEIGHTS: u32 = 4u * SLAB * TILE_QUADS;
const PART: u32 = 32u;
// Matrices side by side in 32 pixels or channels.
const ACROSS: u32 = PART / MATRIX;
const SUMS: u32 = ACROSS * ACROSS;
// Numbers that a strip of a part has: 8 rows of 32 channels, or one matrix of 16 by 16; and those of 8 subgroups.
const STRIP: u32 = 256u;
const STRIPS: u32 = 8u * STRIP;
// Slots of the largest tile.
const EIGHTS: u32 = 512u;

struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// [pixel][channel of the slab], [channel of the slab][output channel], a strip of the sums of every slice of a part, and
// sums of eight rows.
var<workgroup> inputs: array<f16, INPUTS>;
var<workgroup> weights: array<f16, WEIGHTS>;
var<workgroup> strips: array<f32, STRIPS>;
var<workgroup> eights: array<vec4<f32>, EIGHTS>;

fn set_eight(slot: u32, sum: vec4<f32>) {
    eights[slot] = sum;
}

fn eight(slot: u32) -> vec4<f32> {
    return eights[slot];
}

// A quad of a strip.
fn strip_quad(at: u32) -> vec4<f32> {
    return vec4(strips[at], strips[at + 1u], strips[at + 2u], strips[at + 3u]);
}

// As `product` in `axis/product/fma.wgsl`.
fn product(lane: Lane, first_row: u32, pixels: u32, first_quad: u32, depth: vec2<u32>, row: u32, columns: u32, quad_base: u32, quads: u32, plane: u32) {
    let lanes = WIDTH;
    // In every slab a lane loads one quad of the same four pixels, lanes side by side quads side by side. Some have none.
    let part_quad = lane.index % (SLAB / 4u);
    let four = lane.index / (SLAB / 4u);
    let own = pixels_at(first_row + four * 4u);
    let part_channels = PART * QUADS;
    let wide = 4u * TILE_QUADS / part_channels;
    // A slice of a part.
    let units = WIDTH / PART;
    for (var round = 0u; round < units; round += lane.subgroups) {
        // All subgroups come to all operations on matrices. Those that repeat the last unit store the same numbers.
        let unit = min(round + lane.subgroup, units - 1u);
        let part = unit / SLICES;
        let slice = unit % SLICES;
        let part_input = part / wide * PART * SLAB + slice * DEPTH;
        let part_weight = part % wide * part_channels + slice * DEPTH * 4u * TILE_QUADS;
        // Of the part's first 32 channels, and of the others.
        var sums = array<MatrixC, SUMS>();
        var more = array<MatrixC, SUMS>();
        for (var slab = depth.x; slab < depth.y; slab += SLAB / 4u) {
            if four < ROW_QUADS {
                for (var i = 0u; i < 4u; i++) {
                    var x = vec4(0.0);
                    if slab + part_quad < depth.y { x = load(own, i, slab + part_quad); }
                    let to = (four * 4u + i) * SLAB + part_quad * 4u;
                    inputs[to] = f16(x.x);
                    inputs[to + 1u] = f16(x.y);
                    inputs[to + 2u] = f16(x.z);
                    inputs[to + 3u] = f16(x.w);
                }
            }
            for (var job = lane.index; job < SLAB * TILE_QUADS; job += lanes) {
                let channel = slab * 4u + job / TILE_QUADS;
                let quad = first_quad + job % TILE_QUADS;
                var w = Quad();
                if channel < depth.y * 4u && quad < columns { w = weight[row + channel * columns + quad]; }
                weights[job * 4u] = w.x;
                weights[job * 4u + 1u] = w.y;
                weights[job * 4u + 2u] = w.z;
                weights[job * 4u + 3u] = w.w;
            }
            workgroupBarrier();
            for (var k = 0u; k < DEPTH; k += MATRIX) {
                for (var i = 0u; i < ACROSS; i++) {
                    let a = coopLoadT<MatrixA>(&inputs[part_input + i * MATRIX * SLAB + k], SLAB);
                    for (var j = 0u; j < ACROSS; j++) {
                        let at = k * 4u * TILE_QUADS + part_weight + j * MATRIX;
                        let b = coopLoadT<MatrixB>(&weights[at], 4u * TILE_QUADS);
                        sums[i * ACROSS + j] = coopMultiplyAdd(a, b, sums[i * ACROSS + j]);
                        if QUADS > 1u {
                            let c = coopLoadT<MatrixB>(&weights[at + PART], 4u * TILE_QUADS);
                            more[i * ACROSS + j] = coopMultiplyAdd(a, c, more[i * ACROSS + j]);
                        }
                    }
                }
            }
            workgroupBarrier();
        }
        // The sums of a part come out strip by strip, of as many matrices as have 256 numbers, one after the other.
        let several = STRIP / (MATRIX * MATRIX);
        // Parts of this round.
        let parts = vec2(round / SLICES, min(round + lane.subgroups, units) / SLICES);
        for (var strip = 0u; strip < QUADS * SUMS; strip += several) {
            let first = strip % SUMS;
            // Channels of the part that come before.
            let before = strip / SUMS * PART;
            for (var i = 0u; i < several; i++) {
                let to = unit * STRIP + i * MATRIX * MATRIX;
                if strip < SUMS {
                    coopStoreT(sums[first + i], &strips[to], MATRIX);
                } else {
                    coopStoreT(more[first + i], &strips[to], MATRIX);
                }
            }
            workgroupBarrier();
            // A quad a lane and turn.
            for (var job = parts.x * (STRIP / 4u) + lane.index; job < parts.y * (STRIP / 4u); job += lanes) {
                let piece = job / (STRIP / 4u);
                let inside = job * 4u % STRIP;
                let matrix = first + inside / (MATRIX * MATRIX);
                let number = inside % (MATRIX * MATRIX);
                let to = first_row + piece / wide * PART + matrix / ACROSS * MATRIX + number / MATRIX;
                let channel = piece % wide * part_channels + before + matrix % ACROSS * MATRIX + number % MATRIX;
                let quad = first_quad + channel / 4u;
                let at = piece * SLICES * STRIP + inside;
                var sum = strip_quad(at);
                for (var other = 1u; other < SLICES; other++) { sum += strip_quad(at + other * STRIP); }
                let some = select(0u, pixels, quad < columns);
                let stored = finish_row(row_at(to, plane, pixels), some, quad_base + quad, quads, sum);
                if SQUEEZE {
                    strips[at] = stored.x;
                    strips[at + 1u] = stored.y;
                    strips[at + 2u] = stored.z;
                    strips[at + 3u] = stored.w;
                }
            }
            workgroupBarrier();
            if SQUEEZE {
                // Eight rows of a quad a lane and turn: a strip has eight such.
                for (var job = parts.x * 8u + lane.index; job < parts.y * 8u; job += lanes) {
                    let piece = job / 8u;
                    let of_matrix = (MATRIX / 8u) * (MATRIX / 4u);
                    let matrix = job % 8u / of_matrix;
                    let down = job % of_matrix / (MATRIX / 4u);
                    let right = job % (MATRIX / 4u);
                    let at = piece * SLICES * STRIP + matrix * MATRIX * MATRIX + down * 8u * MATRIX + right * 4u;
                    let place = (piece / wide * PART + (first + matrix) / ACROSS * MATRIX) / 8u + down;
                    let channel = piece % wide * part_channels + before + (first + matrix) % ACROSS * MATRIX;
                    let column = channel / 4u + right;
                    let quad = first_quad + column;
                    let stored = Eight(
                        strip_quad(at),
                        strip_quad(at + MATRIX),
                        strip_quad(at + 2u * MATRIX),
                        strip_quad(at + 3u * MATRIX),
                        strip_quad(at + 4u * MATRIX),
                        strip_quad(at + 5u * MATRIX),
                        strip_quad(at + 6u * MATRIX),
                        strip_quad(at + 7u * MATRIX),
                    );
                    let slot = place * TILE_QUADS + column;
                    sum_eight(first_row + place * 8u, plane, pixels, quad_base + quad, quads, quad < columns, slot, stored);
                }
                workgroupBarrier();
            }
        }
    }
    if SQUEEZE {
        for (var base = 0u; base < LANES_ROW * TILE_QUADS; base += lanes) {
            let slot = base + lane.index;
            let place = slot / TILE_QUADS;
            let quad = first_quad + slot % TILE_QUADS;
            var first = Row();
            if place < LANES_ROW { first = row_at(first_row + place * 8u, plane, pixels); }
            keep_chunks(first, place, slot, quad_base + quad, quads, quad < columns);
        }
    }
}
