// A vec4 of a map, or of a convolution's weights, as loads have it. Needs `Vec4`.
alias Loaded = Vec4;

fn loaded(raw: Loaded) -> vec4<f32> {
    return vec4<f32>(raw);
}
