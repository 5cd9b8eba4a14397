// Multiply-adds in registers and nothing else: what the arithmetic of an adapter can do.

// A factor and a summand that the compiler doesn't know.
@group(0) @binding(0) var<storage, read> terms: vec2<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

const ROUNDS: u32 = 256u;

override FUSED: bool = true;

fn four(x: vec4<f32>, m: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    if FUSED { return fma(fma(fma(fma(x, m, s), m, s), m, s), m, s); }
    return (((((((x * m) + s) * m) + s) * m) + s) * m) + s;
}

fn sixteen(x: vec4<f32>, m: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    return four(four(four(four(x, m, s), m, s), m, s), m, s);
}

// Three chains of vectors hide the latency of one and fit sixteen registers.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let factor = vec4<f32>(terms.x);
    let summand = vec4<f32>(terms.y);
    var a = vec4<f32>(f32(id.x));
    var b = a + 1.0;
    var c = a + 2.0;
    for (var i = 0u; i < ROUNDS; i++) {
        a = sixteen(a, factor, summand);
        b = sixteen(b, factor, summand);
        c = sixteen(c, factor, summand);
    }
    output[id.x] = dot(a + b + c, vec4<f32>(1.0));
}
