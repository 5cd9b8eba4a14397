// The input of a convolution as maps lie: channels-last vec4s. Needs `height`, `width`, `groups` and `in_vec4s` in
// `params`.
@group(0) @binding(1) var<storage, read> input: array<Loaded>;

// Where the vec4s of a pixel's group begin.
fn input_start(image: u32, y: u32, x: u32, group: u32) -> u32 {
    return (((image * params.height + y) * params.width + x) * params.groups + group) * params.in_vec4s;
}

fn input_vec4(start: u32, k: u32) -> vec4<f32> {
    return loaded(input[start + k]);
}
