// Weights for the `direct` family: of the 8 vec4s that all invocations of a subgroup multiply, each loads one and hands
// it round. For software adapters, where a load is a load an invocation, even of one address, and a broadcast is a move
// between registers. The kernel provides `compute`, which the entry point calls, and `weight_gate(k, channel)`: what
// multiplies the weights of a channel of input vec4 `k`. A workgroup is one subgroup of 8 or 16 invocations, whose tiles
// are of the same vec4s. All of them stay to the end.
struct Invocation { id: vec3<u32>, in_subgroup: u32 }

// In a struct, naga 30 would write the builtins of subgroups without semantics in HLSL.
@compute @workgroup_size(INVOCATIONS_PIXEL, INVOCATIONS_VEC4)
fn main(
    @builtin(local_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    compute(Invocation(id, in_subgroup), group, groups);
}

// Whether invocations do without each other: one that has nothing to store need not compute.
const ALONE: bool = false;

// From four input channels to two vec4s.
struct Weights { a: mat4x4<f32>, b: mat4x4<f32> }

// Of the four input channels that are multiplied at once, the one whose weights an invocation loads.
var<private> channel: u32;

// Where an invocation begins to load, for a tile whose weights begin at `first`. In a tile of one vec4, two invocations
// load the same.
fn own_weight(invocation: Invocation, first: u32, columns: u32) -> u32 {
    channel = invocation.in_subgroup & 3u;
    let c4 = (invocation.in_subgroup >> 2u) & 1u;
    return first + channel * columns + min(c4, TILE_VEC4S - 1u);
}

fn weights_at(at: u32, columns: u32, k: u32) -> Weights {
    let w = loaded(weight[at]) * weight_gate(k, channel);
    let a = mat4x4(subgroupBroadcast(w, 0u), subgroupBroadcast(w, 1u), subgroupBroadcast(w, 2u), subgroupBroadcast(w, 3u));
    let b = mat4x4(subgroupBroadcast(w, 4u), subgroupBroadcast(w, 5u), subgroupBroadcast(w, 6u), subgroupBroadcast(w, 7u));
    return Weights(a, b);
}
