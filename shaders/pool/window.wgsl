// Mean or maximum over windows. One invocation a quad of the result.
// Host `src/kernels/pool.rs` · meaning `src/ops/pool.rs` · proof `tests/gpu/cases/pool.rs`
struct Params {
    height: u32, width: u32, out_height: u32, out_width: u32, kernel_height: u32, kernel_width: u32,
    stride_height: u32, stride_width: u32, top: u32, bottom: u32, left: u32, right: u32, quads: u32, count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;
override MAX: bool = false;
override COUNT_PAD: bool = false;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + lane;
    if index >= params.count { return; }
    let quad = index % params.quads;
    let pixel = index / params.quads;
    let image = pixel / (params.out_width * params.out_height);
    // The window in padded coordinates, cut at the end of the padding, then at the map.
    let row = pixel / params.out_width % params.out_height * params.stride_height;
    let column = pixel % params.out_width * params.stride_width;
    let row_end = min(row + params.kernel_height, params.top + params.height + params.bottom);
    let column_end = min(column + params.kernel_width, params.left + params.width + params.right);
    let first_row = max(row, params.top) - params.top;
    let last_row = min(row_end, params.top + params.height) - params.top;
    let first_column = max(column, params.left) - params.left;
    let last_column = min(column_end, params.left + params.width) - params.left;
    // A window always holds an element: padding is smaller than the window.
    var value = vec4(0.0);
    if MAX { value = input[((image * params.height + first_row) * params.width + first_column) * params.quads + quad]; }
    for (var y = first_row; y < last_row; y++) {
        for (var x = first_column; x < last_column; x++) {
            let element = input[((image * params.height + y) * params.width + x) * params.quads + quad];
            if MAX { value = max(value, element); } else { value += element; }
        }
    }
    if !MAX {
        var counted = (last_row - first_row) * (last_column - first_column);
        if COUNT_PAD { counted = (row_end - row) * (column_end - column); }
        value /= f32(counted);
    }
    output[index] = value;
}
