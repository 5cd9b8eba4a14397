// Global pooling of a map that an SE block scales: the SE block's second layer, scale, residual and activation while it
// loads, so that the map is never written. A workgroup is `VEC4S` channel vec4s wide and `ROWS` pixels deep, and needs
// the gates of its own channels only.
// Host `src/kernels/squeeze_excite/scaled_pool.rs` · meaning `src/ops/{squeeze_excite,binary,pool}.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/storage lib/grid lib/act lib/row_reductions
struct Params { plane: u32, vec4s: u32, vec4_blocks: u32, reduced: u32, reduced_stride: u32, factor: f32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read> residual: array<Vec4>;
@group(0) @binding(3) var<storage, read> hidden: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4<f32>>;

override MAX: bool = false;
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;
override GATE: u32 = 0u;
override GATE_A: f32 = 0.0;
override GATE_B: f32 = 0.0;
override GATE_C: f32 = 0.0;
override GATE_D: f32 = 0.0;

fn scaled(at: u32, gate: vec4<f32>) -> vec4<f32> {
    var value = vec4<f32>(input[at]) * gate;
    if RESIDUAL { value += vec4<f32>(residual[at]); }
    return activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value);
}

@compute @workgroup_size(VEC4S, ROWS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) invocation: vec3<u32>,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let image = index / params.vec4_blocks;
    let c4 = index % params.vec4_blocks * VEC4S + invocation.x;
    // Invocations beyond the channels repeat the last vec4 and write nothing.
    let column = min(c4, params.vec4s - 1u);

    var sum = vec4(0.0);
    for (var j = invocation.y; j < params.reduced; j += ROWS) {
        sum += hidden[image * params.reduced_stride + j] * weight[j * params.vec4s + column];
    }
    sum = over_rows(sum, invocation, false) + bias[column];
    let gate = activation(GATE, vec4(GATE_A, GATE_B, GATE_C, GATE_D), sum);

    // Two sums side by side: shorter chains of dependent additions and smaller rounding errors. Rows beyond the plane add
    // nothing to a sum; a maximum begins with the first pixel.
    let base = image * params.plane * params.vec4s + column;
    var a = vec4(0.0);
    var b = vec4(0.0);
    if MAX { a = scaled(base, gate); b = a; }
    var pixel = invocation.y;
    for (; pixel + ROWS < params.plane; pixel += 2u * ROWS) {
        let x0 = scaled(base + pixel * params.vec4s, gate);
        let x1 = scaled(base + (pixel + ROWS) * params.vec4s, gate);
        if MAX { a = max(a, x0); b = max(b, x1); } else { a += x0; b += x1; }
    }
    if pixel < params.plane {
        let x = scaled(base + pixel * params.vec4s, gate);
        if MAX { a = max(a, x); } else { a += x; }
    }
    if MAX { a = max(a, b); } else { a += b; }
    a = over_rows(a, invocation, MAX) * params.factor;
    if invocation.y == 0u && c4 < params.vec4s { output[image * params.vec4s + c4] = a; }
}
