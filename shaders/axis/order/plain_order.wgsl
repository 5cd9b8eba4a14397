// The channels of the input as they lie. Needs `quads` in `params`.
@group(0) @binding(1) var<storage, read> input: array<Loaded>;

var<private> own_quad: u32;

// Says which quad is loaded from here on.
fn choose_quad(quad: u32) {
    own_quad = quad;
}

fn input_quad(pixel: u32) -> vec4<f32> {
    return loaded(input[pixel * params.quads + own_quad]);
}
