// A vec4 of a map, or of a convolution's weights, as loads of 64 bits have it (`axis/floats/floats_u64.wgsl`).
alias Loaded = Floats;

fn loaded(raw: Loaded) -> vec4<f32> {
    return floats(raw);
}
