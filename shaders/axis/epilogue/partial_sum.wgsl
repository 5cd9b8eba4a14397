// What a convolution does with the sum of one part of its depth: it stores it as it is, part after part, for
// `conv2d/combine.wgsl`, which does the rest of `axis/epilogue/whole_sum.wgsl`. Needs `count` in `params`: workgroups
// of all parts.
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

alias Stored = vec4<f32>;

// Where the sums of this part begin.
var<private> split_start: u32;

// Which of `depth` vec4s a workgroup adds up: a part has `tiles` workgroups, a share of the K tiles of four vec4s, and
// `vec4s` sums.
fn split_of(depth: u32, index: u32, tiles: u32, vec4s: u32) -> vec2<u32> {
    let splits = params.count / tiles;
    let split = index / tiles;
    let share = ((depth + (4u * splits) - 1u) / (4u * splits)) * 4u;
    split_start = split * vec4s;
    return min(vec2(split * share, (split + 1u) * share), vec2(depth));
}

fn finish(pixel: u32, c4: u32, vec4s: u32, sum: vec4<f32>) -> vec4<f32> {
    output[split_start + (pixel * vec4s) + c4] = sum;
    return sum;
}
