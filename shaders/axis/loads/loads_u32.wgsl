// A quad of a map, or of a convolution's weights, as loads have it. Needs `Quad`.
alias Loaded = Quad;

fn loaded(quad: Loaded) -> vec4<f32> {
    return vec4<f32>(quad);
}
