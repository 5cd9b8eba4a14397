// The end of the residual block before, in this pass: what is loaded is scaled by its gate already; here it gets the
// shortcut and the activation. The first column of workgroups keeps the result, for the block's other consumers.
// Needs `residual`, and `first_column` set by the kernel.
const BLOCK: bool = true;

@group(0) @binding(7) var<storage, read_write> block: array<Vec4>;

var<private> first_column: bool;

fn end_block(at: u32, scaled: vec4<f32>, exists: bool) -> vec4<f32> {
    let sum = scaled + vec4<f32>(residual[at]);
    let value = activation(BLOCK_ACT, vec4(BLOCK_ACT_A, BLOCK_ACT_B, BLOCK_ACT_C, BLOCK_ACT_D), sum);
    if first_column && exists { block[at] = Vec4(value); }
    return value;
}
