// Both layers of the excitation in one dispatch, for small weights, where a second dispatch costs more than streaming
// them through one workgroup. `shares` workgroups an image each compute all hidden values, and their share of the gates.
// Host `src/kernels/squeeze_excite/excite.rs` · meaning `src/ops/squeeze_excite.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/floats lib/grid lib/act lib/both_layers
struct Params {
    quads: u32, reduced_quads: u32, gate_quads: u32, parts: u32, factor: f32, split: u32, rows: u32, shares: u32,
    count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squeezed: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight1: array<Floats>;
@group(0) @binding(3) var<storage, read> weight2: array<Floats>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> gate: array<vec4<f32>>;

override LANES: u32 = 64u;
override MAX: bool = false;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups);
    if index >= params.count { return; }
    let image = index / params.shares;
    let share = (params.gate_quads + params.shares - 1u) / params.shares;
    let first = index % params.shares * share;
    let end = min(first + share, params.gate_quads);
    // Rows of lanes share the parts of a quad: large maps have hundreds of them, and few channels.
    let wide = LANES / params.rows;
    let row = lane / wide;
    for (var left = 0u; left < params.quads; left += wide) {
        let quad = left + lane % wide;
        // Lanes beyond the channels repeat the last quad and keep nothing. Rows beyond the parts add nothing to a sum; a
        // maximum begins with the first part.
        let at = image * params.parts * params.quads + min(quad, params.quads - 1u);
        var value = vec4(0.0);
        if MAX { value = squeezed[at]; }
        for (var part = row; part < params.parts; part += params.rows) {
            let next = squeezed[at + part * params.quads];
            if MAX { value = max(value, next); } else { value += next; }
        }
        value = over_lane_rows(value, lane, params.rows);
        if row == 0u && quad < params.quads { z[quad] = value * params.factor; }
    }
    hidden_layer(lane);
    for (var quad = first + lane; quad < end; quad += LANES) {
        gate[image * params.gate_quads + quad] = gate_quad(quad);
    }
}
