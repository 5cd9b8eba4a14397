// A vec4 of f32 as loads have it.
alias Floats = vec4<f32>;

fn floats(raw: Floats) -> vec4<f32> {
    return raw;
}
