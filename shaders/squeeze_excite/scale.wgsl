// Scale of channels-last maps by their gates, with residual and activation in the same pass. One invocation takes a
// quad at `PIXELS` pixels of one image, so that it finds its gate once.
// Host `src/kernels/squeeze_excite/scale.rs` · meaning `src/ops/binary.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/storage lib/grid lib/act
struct Params { plane: u32, quads: u32, strips: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Quad>;
@group(0) @binding(2) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<Quad>;
@group(0) @binding(4) var<storage, read_write> output: array<Quad>;

override WORKGROUP: u32 = 64u;
override PIXELS: u32 = 4u;
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override ACT_A: f32 = 0.0;
override ACT_B: f32 = 0.0;
override ACT_C: f32 = 0.0;
override ACT_D: f32 = 0.0;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + lane;
    if index >= params.count { return; }
    let quad = index % params.quads;
    let image = index / (params.quads * params.strips);
    let first = index / params.quads % params.strips * PIXELS;
    let last = min(first + PIXELS, params.plane);
    let scale = gate[image * params.quads + quad];
    var at = (image * params.plane + first) * params.quads + quad;
    for (var pixel = first; pixel < last; pixel++) {
        var value = vec4<f32>(input[at]) * scale;
        if RESIDUAL { value += vec4<f32>(residual[at]); }
        output[at] = Quad(activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value));
        at += params.quads;
    }
}
