// Activation functions by number. Meaning and numbers: `src/ops/activation.rs`.
// `kind` is an override at every call, so that one branch is left when the pipeline is made.
fn sigmoid(x: vec4<f32>) -> vec4<f32> {
    // exp is infinite beyond 88.7. At 88 the quotient is so near to 0 or 1 that a product with any likely x is, too.
    return 1.0 / (1.0 + exp(-clamp(x, vec4(-88.0), vec4(88.0))));
}

fn hard_sigmoid(x: vec4<f32>) -> vec4<f32> {
    return clamp(x * (1.0 / 6.0) + 0.5, vec4(0.0), vec4(1.0));
}

// erf by Abramowitz & Stegun 7.1.26, absolute error below 1.5e-7.
fn erf(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - p * exp(-a * a));
}

// log(1 + exp(x)), without a large exp.
fn softplus(x: vec4<f32>) -> vec4<f32> {
    return max(x, vec4(0.0)) + log(1.0 + exp(-min(abs(x), vec4(88.0))));
}

// tanh(log(1 + e)) is a quotient of polynomials in e = exp(x); beyond 20 it is 1.
fn tanh_softplus(x: vec4<f32>) -> vec4<f32> {
    let e = exp(clamp(x, vec4(-88.0), vec4(20.0)));
    let n = e * (e + 2.0);
    return n / (n + 2.0);
}

// (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2, which beyond 10 is 0 or 1.
fn gelu_tanh_gate(x: vec4<f32>) -> vec4<f32> {
    let near = clamp(x, vec4(-10.0), vec4(10.0));
    return sigmoid(1.5957691216 * near * (1.0 + 0.044715 * near * near));
}

// `p` has the numbers that the function takes, in the order of `Act::numbers`.
fn activation(kind: u32, p: vec4<f32>, x: vec4<f32>) -> vec4<f32> {
    switch kind {
        case 1u: { return max(x, vec4(0.0)); }
        case 2u: { return clamp(x, vec4(0.0), vec4(6.0)); }
        case 3u: { return select(p.x * x, x, x > vec4(0.0)); }
        case 4u: { return sigmoid(x); }
        case 5u: { return hard_sigmoid(x); }
        case 6u: { return x * sigmoid(x); }
        case 7u: { return x * hard_sigmoid(x); }
        // tanh by the sigmoid: the built-in overflows on some drivers. The absolute error is that of f32 at 1.
        case 8u: { return 2.0 * sigmoid(2.0 * x) - 1.0; }
        case 9u: { return 0.5 * x * (1.0 + erf(x * 0.70710678118)); }
        // max and min because clamp leaves open what comes of bounds in the wrong order.
        case 10u: { return min(max(p.x * x + p.y, vec4(p.z)), vec4(p.w)); }
        case 11u: { return select(p.x * (exp(clamp(x, vec4(-88.0), vec4(0.0))) - 1.0), x, x > vec4(0.0)); }
        case 12u: { return softplus(x); }
        case 13u: { return x * tanh_softplus(x); }
        case 14u: { return x * gelu_tanh_gate(x); }
        default: { return x; }
    }
}
