// A function of one number. One invocation a vec4. Invocations that only pad the channels become 0: log and reciprocal
// would leave infinity there.
// Host `src/kernels/elementwise/unary.rs` · meaning `src/ops/unary.rs` · proof `tests/gpu/cases/elementwise.rs`
// Imports axis/storage lib/grid lib/act
struct Params { channels: u32, vec4s: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read_write> output: array<Vec4>;

override WORKGROUP: u32 = 64u;
override FUNCTION: u32 = 0u;
override EXPONENT: f32 = 1.0;

// sin(x + turns * pi / 2). The built-ins may be off by 2^-11. Here x is brought to [-pi/4, pi/4], where short series do;
// pi/2 in three parts, the first two of so few bits that products with up to some thousands are exact.
fn sin_turned(x: vec4<f32>, turns: i32) -> vec4<f32> {
    let n = round(x * 0.6366197724);
    let r = ((x - n * 1.5703125) - n * 0.00048375129699707031) - n * 7.549789954891882e-8;
    // Keeps what is too far away finite.
    let y = clamp(r, vec4(-0.8), vec4(0.8));
    let y2 = y * y;
    let sine = y + y * y2 * (-0.16666654611 + y2 * (0.0083321608736 - y2 * 0.00019515295891));
    let cosine = 1.0 - 0.5 * y2 + y2 * y2 * (0.041666645683 + y2 * (-0.0013887316255 + y2 * 0.000024433157118));
    let quadrant = (vec4<i32>(n) + turns) & vec4(3);
    let value = select(sine, cosine, (quadrant & vec4(1)) == vec4(1));
    return select(value, -value, quadrant >= vec4(2));
}

// x^EXPONENT. The built-in is undefined for negative numbers and 0.
fn power(x: vec4<f32>) -> vec4<f32> {
    let exponent = abs(EXPONENT);
    var value = vec4(1.0);
    if exponent == floor(exponent) {
        // By squaring: right signs, and nearer than the logarithm.
        var square = x;
        for (var n = u32(exponent); n > 0u; n /= 2u) {
            if n % 2u == 1u { value *= square; }
            square *= square;
        }
    } else {
        // Of a negative number sqrt is what such a power is: NaN.
        value = select(pow(abs(x), vec4(exponent)), sqrt(x), x <= vec4(0.0));
    }
    if EXPONENT < 0.0 { return 1.0 / value; }
    return value;
}

fn unary(x: vec4<f32>) -> vec4<f32> {
    switch FUNCTION {
        case 1u: { return ceil(x); }
        case 2u: { return sin_turned(x, 1); }
        case 3u: { return erf(x); }
        case 4u: { return exp(x); }
        case 5u: { return floor(x); }
        case 6u: { return log(x); }
        case 7u: { return -x; }
        case 8u: { return 1.0 / x; }
        case 9u: { return round(x); }
        case 10u: { return sign(x); }
        case 11u: { return sin_turned(x, 0); }
        case 12u: { return sqrt(x); }
        case 13u: { return sin_turned(x, 0) / sin_turned(x, 1); }
        case 14u: { return power(x); }
        default: { return abs(x); }
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
    let channel = vec4(4u * (index % params.vec4s)) + vec4(0u, 1u, 2u, 3u);
    output[index] = Vec4(select(vec4(0.0), unary(vec4<f32>(input[index])), channel < vec4(params.channels)));
}
