// Scale of channels-last maps by their gates, with residual and activation in the same pass. One invocation takes a
// vec4 at `PIXELS` pixels of one image, so that it finds its gate once.
// Host `src/kernels/squeeze_excite/scale.rs` · meaning `src/ops/binary.rs` · proof `tests/gpu/cases/squeeze_excite.rs`
// Imports axis/storage lib/grid lib/act
struct Params { plane: u32, vec4s: u32, strips: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Vec4>;
@group(0) @binding(2) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<Vec4>;
@group(0) @binding(4) var<storage, read_write> output: array<Vec4>;

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
    @builtin(local_invocation_index) invocation: u32,
) {
    let index = flat_group(group, groups) * WORKGROUP + invocation;
    if index >= params.count { return; }
    let c4 = index % params.vec4s;
    let image = index / (params.vec4s * params.strips);
    let first = index / params.vec4s % params.strips * PIXELS;
    let last = min(first + PIXELS, params.plane);
    let scale = gate[image * params.vec4s + c4];
    var at = (image * params.plane + first) * params.vec4s + c4;
    for (var pixel = first; pixel < last; pixel++) {
        var value = vec4<f32>(input[at]) * scale;
        if RESIDUAL { value += vec4<f32>(residual[at]); }
        output[at] = Vec4(activation(ACT, vec4(ACT_A, ACT_B, ACT_C, ACT_D), value));
        at += params.vec4s;
    }
}
