// The input of a convolution as maps lie: channels-last quads. Needs `height`, `width`, `groups` and `in_quads` in `params`.
@group(0) @binding(1) var<storage, read> input: array<Loaded>;

// Where the quads of a pixel's group begin.
fn input_start(image: u32, y: u32, x: u32, group: u32) -> u32 {
    return (((image * params.height + y) * params.width + x) * params.groups + group) * params.in_quads;
}

fn input_quad(start: u32, k: u32) -> vec4<f32> {
    return loaded(input[start + k]);
}
