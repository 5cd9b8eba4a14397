// No end of a block in this pass.
const BLOCK: bool = false;

var<private> first_column: bool;

fn end_block(at: u32, scaled: vec4<f32>, exists: bool) -> vec4<f32> {
    return scaled;
}
