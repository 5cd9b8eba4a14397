// All elements along some axes made one. `INVOCATIONS` invocations share an element of the result; a workgroup makes
// several.
// Host `src/kernels/tensor/reduce.rs` · meaning `src/ops/reduce.rs` · proof `tests/gpu/cases/tensor.rs`
// Imports lib/grid lib/strided_index
struct Params {
    axes: array<vec4<u32>, 6>,
    kept: u32, rank: u32, elements: u32, results: u32, input_stride: u32, output_stride: u32, count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

override WORKGROUP: u32 = 64u;
override INVOCATIONS: u32 = 1u;
override REDUCTION: u32 = 0u;

var<workgroup> parts: array<vec4<f32>, WORKGROUP>;

fn combine(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    switch REDUCTION {
        case 0u, 1u: { return x + y; }
        case 2u: { return x * y; }
        case 3u: { return max(x, y); }
        default: { return min(x, y); }
    }
}

// What changes nothing where it is combined with elements, `first` among them.
fn neutral(first: f32) -> f32 {
    switch REDUCTION {
        case 0u, 1u: { return 0.0; }
        case 2u: { return 1.0; }
        default: { return first; }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let first_index = flat_group(group, groups) * (WORKGROUP / INVOCATIONS);
    if first_index >= params.count { return; }
    let index = first_index + (invocation / INVOCATIONS);
    let image = index / params.output_stride;
    let result = index % params.output_stride;
    let exists = index < params.count && result < params.results;
    var part = vec4(0.0);
    if exists {
        // Kept axes come first, then those that are reduced. Four results in turn keep the rounding of sums small.
        let start = (image * params.input_stride) + strided_index(result, 0u, params.kept).x;
        let nothing = neutral(input[start]);
        part = vec4(nothing);
        for (var first = invocation % INVOCATIONS; first < params.elements; first += 4u * INVOCATIONS) {
            var next = vec4(nothing);
            for (var i = 0u; i < 4u; i++) {
                let element = first + (i * INVOCATIONS);
                if element < params.elements { next[i] = input[start + strided_index(element, params.kept, params.rank).x]; }
            }
            part = combine(part, next);
        }
    }
    parts[invocation] = part;
    for (var half = INVOCATIONS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if invocation % INVOCATIONS < half { parts[invocation] = combine(parts[invocation], parts[invocation + half]); }
    }
    if invocation % INVOCATIONS == 0u && index < params.count {
        let pairs = combine(parts[invocation], parts[invocation].zwxy);
        var value = combine(pairs, pairs.yxwz).x;
        if REDUCTION == 0u { value /= f32(params.elements); }
        // Zeros behind every image.
        output[index] = select(0.0, value, exists);
    }
}
