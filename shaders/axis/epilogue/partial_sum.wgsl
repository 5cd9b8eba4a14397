// What a convolution does with the sum of one part of its depth: it stores it as it is, part after part, for
// `conv2d/combine.wgsl`, which does the rest of `axis/epilogue/whole_sum.wgsl`. Needs `count` in `params`: workgroups of all parts.
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

alias Stored = vec4<f32>;

// Where the sums of this part begin.
var<private> part_start: u32;

// Which of `depth` quads a workgroup adds up: a part has `tiles` workgroups, a share of the slabs of four quads, and
// `quads` sums.
fn part_of(depth: u32, index: u32, tiles: u32, quads: u32) -> vec2<u32> {
    let parts = params.count / tiles;
    let part = index / tiles;
    let share = ((depth + (4u * parts) - 1u) / (4u * parts)) * 4u;
    part_start = part * quads;
    return min(vec2(part * share, (part + 1u) * share), vec2(depth));
}

fn finish(pixel: u32, quad: u32, quads: u32, sum: vec4<f32>) -> vec4<f32> {
    output[part_start + (pixel * quads) + quad] = sum;
    return sum;
}
