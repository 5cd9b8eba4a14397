// Matrix product of the `tiled` family on cooperative matrices, in place of `axis/product/fma.wgsl`: the same tile of
// `8 * INVOCATIONS_ROW` pixels by `4 * TILE_VEC4S` channels, here in half precision, in K tiles of 16 input channels
// for each slice. The tile is cut into parts of 32 pixels by `32 * VEC4S` channels, and a subgroup computes one slice
// of one: what 32 invocations hold in `axis/product/fma.wgsl`. Subgroups of another size take them in turn, or repeat
// one; the result is the same. The kernel provides what `axis/product/fma.wgsl` says, `matrix_*.wgsl` the matrices of
// `MATRIX` by `MATRIX`.
override INVOCATIONS_VEC4: u32 = 8u;
override INVOCATIONS_ROW: u32 = 8u;
override VEC4S: u32 = 1u;
override SPLITS: u32 = 1u;
override TILE_VEC4S: u32 = VEC4S * INVOCATIONS_VEC4;
// In one dimension: only then are invocations side by side in subgroups.
override WIDTH: u32 = SPLITS * INVOCATIONS_VEC4 * INVOCATIONS_ROW;
override HEIGHT: u32 = 1u;

const DEPTH: u32 = 16u;
override K_TILE: u32 = DEPTH * SPLITS;
override ROW_VEC4S: u32 = 2u * INVOCATIONS_ROW;
override INPUTS: u32 = 4u * K_TILE * ROW_VEC4S;
override WEIGHTS: u32 = 4u * K_TILE * TILE_VEC4S;
const PART: u32 = 32u;
// Matrices side by side in 32 pixels or channels.
const ACROSS: u32 = PART / MATRIX;
const SUMS: u32 = ACROSS * ACROSS;
// Numbers that a strip of a part has: 8 rows of 32 channels, or one matrix of 16 by 16; and those of 8 subgroups.
const STRIP: u32 = 256u;
const STRIPS: u32 = 8u * STRIP;
// Slots of the largest tile.
const EIGHTS: u32 = 512u;

struct Invocation {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// [pixel][channel of the K tile], [channel of the K tile][output channel], a strip of the sums of every slice of a
// part, and sums of eight rows.
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

// A vec4 of a strip.
fn strip_vec4(at: u32) -> vec4<f32> {
    return vec4(strips[at], strips[at + 1u], strips[at + 2u], strips[at + 3u]);
}

// As `product` in `axis/product/fma.wgsl`.
fn product(invocation: Invocation, first_row: u32, pixels: u32, first_vec4: u32, depth: vec2<u32>, row: u32, columns: u32, vec4_base: u32, vec4s: u32, plane: u32) {
    let invocations = WIDTH;
    // In every K tile an invocation loads one vec4 of the same four pixels, invocations side by side vec4s side by
    // side. Some have none.
    let part_vec4 = invocation.index % (K_TILE / 4u);
    let four = invocation.index / (K_TILE / 4u);
    let own = pixels_at(first_row + four * 4u);
    let part_channels = PART * VEC4S;
    let wide = 4u * TILE_VEC4S / part_channels;
    // A slice of a part.
    let units = WIDTH / PART;
    for (var round = 0u; round < units; round += invocation.subgroups) {
        // All subgroups come to all operations on matrices. Those that repeat the last unit store the same numbers.
        let unit = min(round + invocation.subgroup, units - 1u);
        let part = unit / SPLITS;
        let split = unit % SPLITS;
        let part_input = part / wide * PART * K_TILE + split * DEPTH;
        let part_weight = part % wide * part_channels + split * DEPTH * 4u * TILE_VEC4S;
        // Of the part's first 32 channels, and of the others.
        var sums = array<MatrixC, SUMS>();
        var more = array<MatrixC, SUMS>();
        for (var k_tile = depth.x; k_tile < depth.y; k_tile += K_TILE / 4u) {
            if four < ROW_VEC4S {
                for (var i = 0u; i < 4u; i++) {
                    var x = vec4(0.0);
                    if k_tile + part_vec4 < depth.y { x = load(own, i, k_tile + part_vec4); }
                    let to = (four * 4u + i) * K_TILE + part_vec4 * 4u;
                    inputs[to] = f16(x.x);
                    inputs[to + 1u] = f16(x.y);
                    inputs[to + 2u] = f16(x.z);
                    inputs[to + 3u] = f16(x.w);
                }
            }
            for (var job = invocation.index; job < K_TILE * TILE_VEC4S; job += invocations) {
                let channel = k_tile * 4u + job / TILE_VEC4S;
                let c4 = first_vec4 + job % TILE_VEC4S;
                var w = Vec4();
                if channel < depth.y * 4u && c4 < columns { w = weight[row + channel * columns + c4]; }
                weights[job * 4u] = w.x;
                weights[job * 4u + 1u] = w.y;
                weights[job * 4u + 2u] = w.z;
                weights[job * 4u + 3u] = w.w;
            }
            workgroupBarrier();
            for (var k = 0u; k < DEPTH; k += MATRIX) {
                for (var i = 0u; i < ACROSS; i++) {
                    let a = coopLoadT<MatrixA>(&inputs[part_input + i * MATRIX * K_TILE + k], K_TILE);
                    for (var j = 0u; j < ACROSS; j++) {
                        let at = k * 4u * TILE_VEC4S + part_weight + j * MATRIX;
                        let b = coopLoadT<MatrixB>(&weights[at], 4u * TILE_VEC4S);
                        sums[i * ACROSS + j] = coopMultiplyAdd(a, b, sums[i * ACROSS + j]);
                        if VEC4S > 1u {
                            let c = coopLoadT<MatrixB>(&weights[at + PART], 4u * TILE_VEC4S);
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
        let parts = vec2(round / SPLITS, min(round + invocation.subgroups, units) / SPLITS);
        for (var strip = 0u; strip < VEC4S * SUMS; strip += several) {
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
            // A vec4 an invocation and turn.
            for (var job = parts.x * (STRIP / 4u) + invocation.index; job < parts.y * (STRIP / 4u); job += invocations) {
                let piece = job / (STRIP / 4u);
                let inside = job * 4u % STRIP;
                let matrix = first + inside / (MATRIX * MATRIX);
                let number = inside % (MATRIX * MATRIX);
                let to = first_row + piece / wide * PART + matrix / ACROSS * MATRIX + number / MATRIX;
                let channel = piece % wide * part_channels + before + matrix % ACROSS * MATRIX + number % MATRIX;
                let c4 = first_vec4 + channel / 4u;
                let at = piece * SPLITS * STRIP + inside;
                var sum = strip_vec4(at);
                for (var other = 1u; other < SPLITS; other++) { sum += strip_vec4(at + other * STRIP); }
                let some = select(0u, pixels, c4 < columns);
                let stored = finish_row(row_at(to, plane, pixels), some, vec4_base + c4, vec4s, sum);
                if SQUEEZE {
                    strips[at] = stored.x;
                    strips[at + 1u] = stored.y;
                    strips[at + 2u] = stored.z;
                    strips[at + 3u] = stored.w;
                }
            }
            workgroupBarrier();
            if SQUEEZE {
                // Eight rows of a vec4 an invocation and turn: a strip has eight such.
                for (var job = parts.x * 8u + invocation.index; job < parts.y * 8u; job += invocations) {
                    let piece = job / 8u;
                    let of_matrix = (MATRIX / 8u) * (MATRIX / 4u);
                    let matrix = job % 8u / of_matrix;
                    let down = job % of_matrix / (MATRIX / 4u);
                    let right = job % (MATRIX / 4u);
                    let at = piece * SPLITS * STRIP + matrix * MATRIX * MATRIX + down * 8u * MATRIX + right * 4u;
                    let place = (piece / wide * PART + (first + matrix) / ACROSS * MATRIX) / 8u + down;
                    let channel = piece % wide * part_channels + before + (first + matrix) % ACROSS * MATRIX;
                    let column = channel / 4u + right;
                    let c4 = first_vec4 + column;
                    let stored = Eight(
                        strip_vec4(at),
                        strip_vec4(at + MATRIX),
                        strip_vec4(at + 2u * MATRIX),
                        strip_vec4(at + 3u * MATRIX),
                        strip_vec4(at + 4u * MATRIX),
                        strip_vec4(at + 5u * MATRIX),
                        strip_vec4(at + 6u * MATRIX),
                        strip_vec4(at + 7u * MATRIX),
                    );
                    let slot = place * TILE_VEC4S + column;
                    sum_eight(first_row + place * 8u, plane, pixels, vec4_base + c4, vec4s, c4 < columns, slot, stored);
                }
                workgroupBarrier();
            }
        }
    }
    if SQUEEZE {
        for (var base = 0u; base < INVOCATIONS_ROW * TILE_VEC4S; base += invocations) {
            let slot = base + invocation.index;
            let place = slot / TILE_VEC4S;
            let c4 = first_vec4 + slot % TILE_VEC4S;
            var first = Row();
            if place < INVOCATIONS_ROW { first = row_at(first_row + place * 8u, plane, pixels); }
            keep_spans(first, place, slot, vec4_base + c4, vec4s, c4 < columns);
        }
    }
}
