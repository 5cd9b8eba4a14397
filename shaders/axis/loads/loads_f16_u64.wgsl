// A vec4 of a map, or of a convolution's weights, in half precision as loads of 64 bits have it: one number
// (`axis/floats/floats_u64.wgsl`).
alias Loaded = u64;

fn loaded(raw: Loaded) -> vec4<f32> {
    return vec4(unpack2x16float(u32(raw)), unpack2x16float(u32(raw >> 32u)));
}
