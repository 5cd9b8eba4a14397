// A whole SE block in one dispatch, one workgroup an image: squeeze, excitation, then scale with residual and
// activation. The workgroup is `INVOCATIONS / ROWS` channel vec4s wide and `ROWS` pixels deep. The map is read twice, the
// second time from cache; for planes and widths where that holds.
// Host `src/kernels/squeeze_excite/block.rs` · meaning `src/ops/{squeeze_excite,binary}.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/storage axis/floats lib/grid lib/act lib/both_layers
struct Params { vec4s: u32, reduced_vec4s: u32, gate_vec4s: u32, plane: u32, factor: f32, split: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read> weight1: array<Floats>;
@group(0) @binding(3) var<storage, read> weight2: array<Floats>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<Vec4>;
@group(0) @binding(6) var<storage, read_write> gate: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> output: array<Vec4>;

override INVOCATIONS: u32 = 64u;
override ROWS: u32 = 1u;
override MAX: bool = false;
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let image = flat_group(group, groups);
    if image >= params.count { return; }
    let base = image * params.plane * params.vec4s;
    let wide = INVOCATIONS / ROWS;
    let row = invocation / wide;
    for (var first = 0u; first < params.vec4s; first += wide) {
        let c4 = first + invocation % wide;
        // Invocations beyond the channels repeat the last vec4 and keep nothing.
        let column = base + min(c4, params.vec4s - 1u);
        // Rows beyond the plane add nothing to a sum; a maximum begins with the first pixel.
        var value = vec4(0.0);
        if MAX { value = vec4<f32>(input[column]); }
        for (var pixel = row; pixel < params.plane; pixel += ROWS) {
            let next = vec4<f32>(input[column + pixel * params.vec4s]);
            if MAX { value = max(value, next); } else { value += next; }
        }
        value = over_invocation_rows(value, invocation, ROWS);
        if row == 0u && c4 < params.vec4s { z[c4] = value * params.factor; }
    }
    hidden_layer(invocation);
    for (var c4 = invocation; c4 < params.vec4s; c4 += INVOCATIONS) {
        let scale = gate_vec4(c4);
        gate[image * params.vec4s + c4] = scale;
        z[c4] = scale;
    }
    workgroupBarrier();
    for (var c4 = invocation % wide; c4 < params.vec4s; c4 += wide) {
        let scale = z[c4];
        for (var pixel = row; pixel < params.plane; pixel += ROWS) {
            let at = base + pixel * params.vec4s + c4;
            var value = vec4<f32>(input[at]) * scale;
            if RESIDUAL { value += vec4<f32>(residual[at]); }
            output[at] = Vec4(activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value));
        }
    }
}
