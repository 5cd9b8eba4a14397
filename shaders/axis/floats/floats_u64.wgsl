// A quad of f32 as loads of 64 bits have it. Software adapters load lane by lane and number by number: this halves the numbers.
// Stores of 64 bits gain nothing there.
alias Floats = vec2<u64>;

fn floats(quad: Floats) -> vec4<f32> {
    let high = quad >> vec2(32u);
    return bitcast<vec4<f32>>(vec4(u32(quad.x), u32(high.x), u32(quad.y), u32(high.y)));
}
