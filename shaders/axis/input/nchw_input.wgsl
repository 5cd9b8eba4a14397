// The input of a convolution as the caller gives it: dense planes, at most four an image. Needs `height`, `width` and
// `image_channels` in `params`.
@group(0) @binding(1) var<storage, read> input: array<f32>;

// Where a pixel lies in the first plane.
fn input_start(image: u32, y: u32, x: u32, group: u32) -> u32 {
    return (image * params.image_channels * params.height + y) * params.width + x;
}

// Planes beyond the last repeat it: their weights are zero.
fn input_vec4(start: u32, k: u32) -> vec4<f32> {
    let plane = params.height * params.width;
    let at = start + min(vec4(0u, 1u, 2u, 3u), vec4(params.image_channels - 1u)) * plane;
    return vec4(input[at.x], input[at.y], input[at.z], input[at.w]);
}
