// A whole SE stage in one dispatch, one workgroup an image: squeeze, excitation, then scale with residual and
// activation. The workgroup is `LANES / ROWS` channel quads wide and `ROWS` pixels deep. The map is read twice, the
// second time from cache; for planes and widths where that holds.
// Host `src/kernels/squeeze_excite/block.rs` · meaning `src/ops/{squeeze_excite,binary}.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/storage axis/floats lib/grid lib/act lib/both_layers
struct Params { quads: u32, reduced_quads: u32, gate_quads: u32, plane: u32, factor: f32, split: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Quad>;
@group(0) @binding(2) var<storage, read> weight1: array<Floats>;
@group(0) @binding(3) var<storage, read> weight2: array<Floats>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<Quad>;
@group(0) @binding(6) var<storage, read_write> gate: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> output: array<Quad>;

override LANES: u32 = 64u;
override ROWS: u32 = 1u;
override MAX: bool = false;
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let image = flat_group(group, groups);
    if image >= params.count { return; }
    let base = image * params.plane * params.quads;
    let wide = LANES / ROWS;
    let row = lane / wide;
    for (var first = 0u; first < params.quads; first += wide) {
        let quad = first + lane % wide;
        // Lanes beyond the channels repeat the last quad and keep nothing.
        let column = base + min(quad, params.quads - 1u);
        // Rows beyond the plane add nothing to a sum; a maximum begins with the first pixel.
        var value = vec4(0.0);
        if MAX { value = vec4<f32>(input[column]); }
        for (var pixel = row; pixel < params.plane; pixel += ROWS) {
            let next = vec4<f32>(input[column + pixel * params.quads]);
            if MAX { value = max(value, next); } else { value += next; }
        }
        value = over_lane_rows(value, lane, ROWS);
        if row == 0u && quad < params.quads { z[quad] = value * params.factor; }
    }
    hidden_layer(lane);
    for (var quad = lane; quad < params.quads; quad += LANES) {
        let scale = gate_quad(quad);
        gate[image * params.quads + quad] = scale;
        z[quad] = scale;
    }
    workgroupBarrier();
    for (var quad = lane % wide; quad < params.quads; quad += wide) {
        let scale = z[quad];
        for (var pixel = row; pixel < params.plane; pixel += ROWS) {
            let at = base + pixel * params.quads + quad;
            var value = vec4<f32>(input[at]) * scale;
            if RESIDUAL { value += vec4<f32>(residual[at]); }
            output[at] = Quad(activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value));
        }
    }
}
