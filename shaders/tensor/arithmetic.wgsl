// Two tensors, element by element, with broadcasting. One invocation a vec4 of the result.
// Host `src/kernels/tensor/arithmetic.rs` · meaning `src/ops/arithmetic.rs` · proof `tests/gpu/cases/tensor.rs`
// Imports lib/grid lib/strided_index
struct Params {
    axes: array<vec4<u32>, 6>,
    rank: u32, elements: u32, vec4s: u32, a_stride: u32, b_stride: u32, count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

override WORKGROUP: u32 = 64u;
override FUNCTION: u32 = 0u;

// The built-in is undefined for negative numbers. Small whole exponents are products: a square is exact.
fn power(x: f32, exponent: f32) -> f32 {
    let size = abs(exponent);
    if size <= 64.0 && size == floor(size) {
        var factor = x;
        var product = 1.0;
        for (var bits = u32(size); bits > 0u; bits >>= 1u) {
            if (bits & 1u) == 1u { product *= factor; }
            factor *= factor;
        }
        return select(product, 1.0 / product, exponent < 0.0);
    }
    let odd = fract(size * 0.5) == 0.5;
    let result = pow(abs(x), exponent);
    return select(result, -result, x < 0.0 && odd);
}

fn apply(x: f32, y: f32) -> f32 {
    switch FUNCTION {
        case 0u: { return x + y; }
        case 1u: { return x - y; }
        case 2u: { return x * y; }
        case 3u: { return x / y; }
        case 4u: { return power(x, y); }
        case 5u: { return min(x, y); }
        case 6u: { return max(x, y); }
        case 7u: { return select(0.0, 1.0, x == y); }
        case 8u: { return select(0.0, 1.0, x < y); }
        default: { return select(x, 0.0, y == 0.0); }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let image = index / params.vec4s;
    var value = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        let element = ((index % params.vec4s) * 4u) + i;
        if element < params.elements {
            let at = strided_index(element, 0u, params.rank);
            value[i] = apply(a[(image * params.a_stride) + at.x], b[(image * params.b_stride) + at.y]);
        }
    }
    output[index] = value;
}
