// Mean or maximum over windows. One invocation a vec4 of the result.
// Host `src/kernels/pool.rs` · meaning `src/ops/pool.rs` · proof `tests/gpu/cases/pool.rs`
// Imports axis/storage axis/floats axis/loads lib/grid
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, dilation_height: u32, dilation_width: u32, top: u32, bottom: u32, left: u32,
    right: u32, vec4s: u32, count: u32, output_stride: u32, output_offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Loaded>;
@group(0) @binding(2) var<storage, read_write> output: array<Vec4>;

override WORKGROUP: u32 = 64u;
override MAX: bool = false;
override COUNT_PAD: bool = false;

// A window along one side in padded coordinates, its elements `step` apart: the first one and the first in the map, and
// where it ends, cut at the end of the padding and of the map.
struct Span { start: u32, end: u32, first: u32, last: u32, step: u32 }

fn span(start: u32, kernel: u32, step: u32, before: u32, size: u32, after: u32) -> Span {
    let end = min(start + (kernel - 1u) * step + 1u, before + size + after);
    let skipped = (max(start, before) - start + step - 1u) / step;
    return Span(start, end, start + skipped * step, min(end, before + size), step);
}

// Elements from one place to another.
fn elements(first: u32, end: u32, step: u32) -> u32 {
    return (end - first + step - 1u) / step;
}

fn element(row: u32, column: u32, c4: u32) -> vec4<f32> {
    return loaded(input[(row * params.width + column) * params.vec4s + c4]);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let c4 = index % params.vec4s;
    let pixel = index / params.vec4s;
    let image = pixel / (params.out_width * params.out_height);
    let row = pixel / params.out_width % params.out_height * params.stride_height;
    let column = pixel % params.out_width * params.stride_width;
    let y = span(row, params.kernel_height, params.dilation_height, params.top, params.height, params.bottom);
    let x = span(column, params.kernel_width, params.dilation_width, params.left, params.width, params.right);
    // A window always holds an element of the map: the shape rule has checked.
    let base = image * params.height;
    var value = vec4(0.0);
    if MAX { value = element(base + y.first - params.top, x.first - params.left, c4); }
    for (var i = y.first; i < y.last; i += y.step) {
        for (var j = x.first; j < x.last; j += x.step) {
            let next = element(base + i - params.top, j - params.left, c4);
            if MAX { value = max(value, next); } else { value += next; }
        }
    }
    if !MAX {
        var counted = elements(y.first, y.last, y.step) * elements(x.first, x.last, x.step);
        if COUNT_PAD { counted = elements(y.start, y.end, y.step) * elements(x.start, x.end, x.step); }
        value /= f32(counted);
    }
    output[pixel * params.output_stride + params.output_offset + c4] = Vec4(value);
}
