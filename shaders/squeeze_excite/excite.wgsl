// Both layers of the excitation in one dispatch, for small weights, where a second dispatch costs more than streaming
// them through one workgroup. `shares` workgroups an image each compute all hidden values, and their share of the gates.
// Host `src/kernels/squeeze_excite/excite.rs` · meaning `src/ops/squeeze_excite.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/floats lib/grid lib/act lib/both_layers
struct Params {
    vec4s: u32, reduced_vec4s: u32, gate_vec4s: u32, parts: u32, factor: f32, split: u32, rows: u32, shares: u32,
    count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squeezed: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight1: array<Floats>;
@group(0) @binding(3) var<storage, read> weight2: array<Floats>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> gate: array<vec4<f32>>;

override INVOCATIONS: u32 = 64u;
override MAX: bool = false;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let image = index / params.shares;
    let share = (params.gate_vec4s + params.shares - 1u) / params.shares;
    let first = index % params.shares * share;
    let end = min(first + share, params.gate_vec4s);
    // Rows of invocations share the parts of a vec4: large maps have hundreds of them, and few channels.
    let wide = INVOCATIONS / params.rows;
    let row = invocation / wide;
    for (var left = 0u; left < params.vec4s; left += wide) {
        let c4 = left + invocation % wide;
        // Invocations beyond the channels repeat the last vec4 and keep nothing. Rows beyond the parts add nothing to a
        // sum; a maximum begins with the first part.
        let at = image * params.parts * params.vec4s + min(c4, params.vec4s - 1u);
        var value = vec4(0.0);
        if MAX { value = squeezed[at]; }
        for (var part = row; part < params.parts; part += params.rows) {
            let next = squeezed[at + part * params.vec4s];
            if MAX { value = max(value, next); } else { value += next; }
        }
        value = over_invocation_rows(value, invocation, params.rows);
        if row == 0u && c4 < params.vec4s { z[c4] = value * params.factor; }
    }
    hidden_layer(invocation);
    for (var c4 = first + invocation; c4 < end; c4 += INVOCATIONS) {
        gate[image * params.gate_vec4s + c4] = gate_vec4(c4);
    }
}
