// A vec4 of f32 as loads of 64 bits have it. Software adapters load invocation by invocation and number by number: this
// halves the numbers. Stores of 64 bits gain nothing there.
alias Floats = vec2<u64>;

fn floats(raw: Floats) -> vec4<f32> {
    let high = raw >> vec2(32u);
    return bitcast<vec4<f32>>(vec4(u32(raw.x), u32(high.x), u32(raw.y), u32(high.y)));
}
