// Products of matrices. One workgroup: a tile of 32 rows by 32 columns, 4 by 4 of them an invocation.
// Host `src/kernels/tensor/matmul.rs` · meaning `src/ops/matmul.rs` · proof `tests/gpu/cases/tensor.rs`
// Imports lib/grid lib/strided_index
struct Params {
    axes: array<vec4<u32>, 6>,
    rank: u32, rows: u32, inner: u32, columns: u32, row_tiles: u32, column_tiles: u32, matrices: u32,
    a_stride: u32, b_stride: u32, elements: u32, output_stride: u32, count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

// Products that are summed between two barriers.
const DEPTH: u32 = 16u;

// Four rows of `a`, and four columns of `b`, at each of them.
var<workgroup> rows: array<array<vec4<f32>, 8>, DEPTH>;
var<workgroup> columns: array<array<vec4<f32>, 8>, DEPTH>;

@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) invocation: vec3<u32>,
    @builtin(local_invocation_index) invocation_index: u32,
) {
    let tile = flat_group(group, groups);
    if tile >= params.count { return; }
    let column = (tile % params.column_tiles) * 32u;
    let row = ((tile / params.column_tiles) % params.row_tiles) * 32u;
    let all = tile / (params.column_tiles * params.row_tiles);
    let image = all / params.matrices;
    let matrix = all % params.matrices;
    let at = strided_index(matrix, 0u, params.rank);
    let a_first = (image * params.a_stride) + at.x;
    let b_first = (image * params.b_stride) + at.y;

    var sums = mat4x4<f32>();
    for (var k = 0u; k < params.inner; k += DEPTH) {
        workgroupBarrier();
        for (var i = invocation_index; i < 8u * DEPTH; i += 64u) {
            // Neighbouring invocations read neighbours: along a row of either matrix.
            let a_k = i % DEPTH;
            let b_k = i / 8u;
            var four_rows = vec4(0.0);
            var four_columns = vec4(0.0);
            for (var j = 0u; j < 4u; j++) {
                let own_row = row + (4u * (i / DEPTH)) + j;
                let own_column = column + (4u * (i % 8u)) + j;
                if own_row < params.rows && k + a_k < params.inner {
                    four_rows[j] = a[a_first + (own_row * params.inner) + k + a_k];
                }
                if own_column < params.columns && k + b_k < params.inner {
                    four_columns[j] = b[b_first + ((k + b_k) * params.columns) + own_column];
                }
            }
            rows[a_k][i / DEPTH] = four_rows;
            columns[b_k][i % 8u] = four_columns;
        }
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let x = rows[i][invocation.y];
            let y = columns[i][invocation.x];
            sums += mat4x4<f32>(x.x * y, x.y * y, x.z * y, x.w * y);
        }
    }

    let first = image * params.output_stride;
    let matrix_first = first + (matrix * params.rows * params.columns);
    for (var i = 0u; i < 4u; i++) {
        let own_row = row + (4u * invocation.y) + i;
        for (var j = 0u; j < 4u; j++) {
            let own_column = column + (4u * invocation.x) + j;
            if own_row < params.rows && own_column < params.columns {
                output[matrix_first + (own_row * params.columns) + own_column] = sums[i][j];
            }
        }
    }
    // An image's first tile also writes the zeros behind it.
    if tile % (params.column_tiles * params.row_tiles * params.matrices) == 0u
        && invocation_index < params.output_stride - params.elements {
        output[first + params.elements + invocation_index] = 0.0;
    }
}
