// Multiply-adds in registers and nothing else: what the arithmetic of an adapter can do.

// A factor and a summand that the compiler doesn't know.
@group(0) @binding(0) var<storage, read> terms: vec2<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

const ROUNDS: u32 = 256u;

fn fused4(x: vec4<f32>, m: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    return fma(fma(fma(fma(x, m, s), m, s), m, s), m, s);
}

fn fused16(x: vec4<f32>, m: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    return fused4(fused4(fused4(fused4(x, m, s), m, s), m, s), m, s);
}

fn separate4(x: vec4<f32>, m: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    return (((((((x * m) + s) * m) + s) * m) + s) * m) + s;
}

fn separate16(x: vec4<f32>, m: vec4<f32>, s: vec4<f32>) -> vec4<f32> {
    return separate4(separate4(separate4(separate4(x, m, s), m, s), m, s), m, s);
}

// Three chains of vectors hide the latency of one and fit sixteen registers.
@compute @workgroup_size(64)
fn fused(@builtin(global_invocation_id) id: vec3<u32>) {
    let factor = vec4<f32>(terms.x);
    let summand = vec4<f32>(terms.y);
    var a = vec4<f32>(f32(id.x));
    var b = a + 1.0;
    var c = a + 2.0;
    for (var i = 0u; i < ROUNDS; i++) {
        a = fused16(a, factor, summand);
        b = fused16(b, factor, summand);
        c = fused16(c, factor, summand);
    }
    output[id.x] = dot(a + b + c, vec4<f32>(1.0));
}

@compute @workgroup_size(64)
fn separate(@builtin(global_invocation_id) id: vec3<u32>) {
    let factor = vec4<f32>(terms.x);
    let summand = vec4<f32>(terms.y);
    var a = vec4<f32>(f32(id.x));
    var b = a + 1.0;
    var c = a + 2.0;
    for (var i = 0u; i < ROUNDS; i++) {
        a = separate16(a, factor, summand);
        b = separate16(b, factor, summand);
        c = separate16(c, factor, summand);
    }
    output[id.x] = dot(a + b + c, vec4<f32>(1.0));
}
