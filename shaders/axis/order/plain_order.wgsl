// The channels of the input as they lie. Needs `vec4s` in `params`.
@group(0) @binding(1) var<storage, read> input: array<Loaded>;

var<private> own_vec4: u32;

// Says which vec4 is loaded from here on.
fn choose_vec4(c4: u32) {
    own_vec4 = c4;
}

fn input_vec4(pixel: u32) -> vec4<f32> {
    return loaded(input[pixel * params.vec4s + own_vec4]);
}
