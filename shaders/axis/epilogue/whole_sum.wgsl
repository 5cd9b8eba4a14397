// What every convolution does with a finished sum: bias, gate (the kernel's `gate_of`, or none: `lib/unscaled.wgsl`),
// residual, activation, store. Returns what it stored. Needs `output_stride` and `output_offset` in `params`: vec4s of
// a pixel of what it writes to, and where its own begin. `axis/epilogue/partial_sum.wgsl` stands in its place where a
// sum is one of several parts.
alias Stored = Vec4;

override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

// Which of `depth` vec4s a workgroup adds up: all. The others matter to parts only.
fn split_of(depth: u32, index: u32, tiles: u32, vec4s: u32) -> vec2<u32> {
    return vec2(0u, depth);
}

fn finish(pixel: u32, c4: u32, vec4s: u32, sum: vec4<f32>) -> vec4<f32> {
    var value = sum + bias[c4];
    if SCALED { value *= gate_of(pixel, c4, vec4s); }
    return finish_scaled(pixel, c4, vec4s, value);
}

// The rest of it for a sum that has its bias and its gate.
fn finish_scaled(pixel: u32, c4: u32, vec4s: u32, scaled: vec4<f32>) -> vec4<f32> {
    var value = scaled;
    if RESIDUAL { value += loaded(residual[pixel * vec4s + c4]); }
    value = activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value);
    output[pixel * params.output_stride + params.output_offset + c4] = Stored(value);
    return value;
}
