// Weights for the `direct` family: every invocation loads what it multiplies. The kernel provides `compute`, which the
// entry point calls.
struct Invocation { id: vec3<u32> }

@compute @workgroup_size(INVOCATIONS_PIXEL, INVOCATIONS_VEC4)
fn main(
    @builtin(local_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    compute(Invocation(id), group, groups);
}

// Whether invocations do without each other: one that has nothing to store need not compute.
const ALONE: bool = true;

// From four input channels to two vec4s.
struct Weights { a: mat4x4<f32>, b: mat4x4<f32> }

// Where an invocation begins to load, for a tile whose weights begin at `first`.
fn own_weight(invocation: Invocation, first: u32, columns: u32) -> u32 {
    return first;
}

fn weights_at(at: u32, columns: u32, k: u32) -> Weights {
    var weights = Weights(vec4_weights(at, columns), mat4x4<f32>());
    if TILE_VEC4S > 1u { weights.b = vec4_weights(at + 1u, columns); }
    return weights;
}

fn vec4_weights(at: u32, columns: u32) -> mat4x4<f32> {
    let w0 = loaded(weight[at]);
    let w1 = loaded(weight[at + columns]);
    let w2 = loaded(weight[at + 2u * columns]);
    let w3 = loaded(weight[at + 3u * columns]);
    return mat4x4(w0, w1, w2, w3);
}
