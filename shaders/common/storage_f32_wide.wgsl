// As `storage_f32.wgsl`, with loads of 64 bits: software adapters load lane by lane and number by number, so that a quad takes
// half as long.
alias Element = f32;
alias Quad = vec4<f32>;
alias Loaded = vec2<u64>;

fn loaded(quad: Loaded) -> vec4<f32> {
    let high = quad >> vec2(32u);
    return bitcast<vec4<f32>>(vec4(u32(quad.x), u32(high.x), u32(quad.y), u32(high.y)));
}
