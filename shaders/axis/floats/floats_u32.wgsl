// A quad of f32 as loads have it.
alias Floats = vec4<f32>;

fn floats(quad: Floats) -> vec4<f32> {
    return quad;
}
