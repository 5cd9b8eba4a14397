// As `storage_f16.wgsl`, with loads of 64 bits: software adapters load lane by lane and number by number, so that a quad takes
// a quarter of the time.
alias Element = f16;
alias Quad = vec4<f16>;
alias Loaded = u64;

fn loaded(quad: Loaded) -> vec4<f32> {
    return vec4(unpack2x16float(u32(quad)), unpack2x16float(u32(quad >> 32u)));
}
