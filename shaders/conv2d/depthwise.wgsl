// Depthwise convolution: every channel its own kernel. One invocation computes a vec4 at strips of 4 pixels of one output
// row, `params.run` of them; a workgroup is `INVOCATIONS_VEC4` vec4s wide and `INVOCATIONS_STRIP` such runs of one
// image deep, whose sums it can keep.
// Host `src/kernels/conv2d/depthwise.rs` · meaning `src/ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`
// Imports axis/storage axis/floats axis/loads axis/order lib/grid lib/act axis/epilogue lib/unscaled axis/sums
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, left: u32,
    vec4s: u32, row_strips: u32, vec4_blocks: u32, strip_blocks: u32, count: u32,
    output_stride: u32, output_offset: u32, channels: u32, groups: u32, run: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> weight: array<Loaded>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Loaded>;
@group(0) @binding(5) var<storage, read_write> output: array<Vec4>;
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;

// A gate multiplies the input: a channel's sum as well as its terms.
override GATED: bool = false;
override INVOCATIONS_VEC4: u32 = 16u;
override INVOCATIONS_STRIP: u32 = 4u;
override INVOCATIONS: u32 = INVOCATIONS_VEC4 * INVOCATIONS_STRIP;
// Taps from one pixel of a strip to the next, 1 or 2, where they are that many: then a window that slides along the row
// loads each element once. 0: every tap loads its own four.
override SLIDE: u32 = 0u;

var<workgroup> sums: array<vec4<f32>, INVOCATIONS>;

// The chosen vec4 at a column of the row that begins at `row`; zeros outside the map.
fn element(row: u32, column: u32) -> vec4<f32> {
    let inside = column < params.width;
    let pixel = select(0u, row + column, inside);
    return select(vec4(0.0), input_vec4(pixel), inside);
}

@compute @workgroup_size(INVOCATIONS_VEC4, INVOCATIONS_STRIP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) invocation: vec3<u32>,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let block = index / params.vec4_blocks;
    let image = block / params.strip_blocks;
    let c4 = index % params.vec4_blocks * INVOCATIONS_VEC4 + invocation.x;
    let first = (block % params.strip_blocks * INVOCATIONS_STRIP + invocation.y) * params.run;
    let last = min(first + params.run, params.out_height * params.row_strips);
    var sum = vec4(0.0);
    if c4 < params.vec4s {
        for (var strip = first; strip < last; strip++) { sum += compute(image, strip, c4); }
    }
    if !SQUEEZE { return; }
    if INVOCATIONS_STRIP > 1u {
        let at = invocation.y * INVOCATIONS_VEC4 + invocation.x;
        sums[at] = sum;
        for (var half = INVOCATIONS_STRIP / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if invocation.y < half { sums[at] += sums[at + half * INVOCATIONS_VEC4]; }
        }
        sum = sums[at];
    }
    if invocation.y == 0u && c4 < params.vec4s { keep(block * params.vec4s + c4, sum); }
}

// Four pixels of a strip; returns their sum.
fn compute(image: u32, strip: u32, c4: u32) -> vec4<f32> {
    choose_vec4(c4);
    let row = strip / params.row_strips;
    let column = strip % params.row_strips * 4u;
    let first_row = row * params.stride_height - params.top;
    let first_column = column * params.stride_width - params.left;
    var s0 = vec4(0.0);
    var s1 = vec4(0.0);
    var s2 = vec4(0.0);
    var s3 = vec4(0.0);
    for (var u = 0u; u < params.kernel_height; u++) {
        // Wraps below zero to more than any height.
        let y = first_row + u * params.dilation_height;
        if y >= params.height { continue; }
        let input_row = (image * params.height + y) * params.width;
        let weights = u * params.kernel_width * params.vec4s + c4;
        if SLIDE > 0u {
            // Taps in turn, or the even ones and then the odd ones.
            for (var first = 0u; first < min(SLIDE, params.kernel_width); first++) {
                var x = first_column + first * params.dilation_width;
                var x0 = element(input_row, x);
                var x1 = element(input_row, x + params.stride_width);
                var x2 = element(input_row, x + 2u * params.stride_width);
                for (var v = first; v < params.kernel_width; v += SLIDE) {
                    let x3 = element(input_row, x + 3u * params.stride_width);
                    let w = loaded(weight[weights + v * params.vec4s]);
                    s0 += w * x0;
                    s1 += w * x1;
                    s2 += w * x2;
                    s3 += w * x3;
                    x0 = x1;
                    x1 = x2;
                    x2 = x3;
                    x += params.stride_width;
                }
            }
        } else {
            for (var v = 0u; v < params.kernel_width; v++) {
                let w = loaded(weight[weights + v * params.vec4s]);
                let x = first_column + v * params.dilation_width;
                s0 += w * element(input_row, x);
                s1 += w * element(input_row, x + params.stride_width);
                s2 += w * element(input_row, x + 2u * params.stride_width);
                s3 += w * element(input_row, x + 3u * params.stride_width);
            }
        }
    }
    if GATED {
        let factor = gate[image * params.vec4s + c4];
        s0 *= factor;
        s1 *= factor;
        s2 *= factor;
        s3 *= factor;
    }
    let pixel = (image * params.out_height + row) * params.out_width + column;
    var sum = finish(pixel, c4, params.vec4s, s0);
    if column + 1u < params.out_width { sum += finish(pixel + 1u, c4, params.vec4s, s1); }
    if column + 2u < params.out_width { sum += finish(pixel + 2u, c4, params.vec4s, s2); }
    if column + 3u < params.out_width { sum += finish(pixel + 3u, c4, params.vec4s, s3); }
    return sum;
}
