// Weights for the `direct` family: of the 8 quads that all lanes of a subgroup multiply, each loads one and hands it round.
// For software adapters, where a load is a load a lane, even of one address, and a broadcast is a move between registers.
// Needs `weight_gate(k, channel)`: what multiplies the weights of a channel of input quad `k`.
// A workgroup is one subgroup of 8 or 16 lanes, whose tiles are of the same quads. All of them stay to the end.
struct Lane {
    @builtin(local_invocation_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) invocation: u32,
}

// Whether invocations do without each other: one that has nothing to compute may return.
const ALONE: bool = false;

// From four input channels to two quads.
struct Weights { a: mat4x4<f32>, b: mat4x4<f32> }

// Of the four input channels that are multiplied at once, the one whose weights a lane loads.
var<private> channel: u32;

// Where a lane begins to load, for a tile whose weights begin at `first`. In a tile of one quad, two lanes load the same.
fn own_weight(lane: Lane, first: u32, columns: u32) -> u32 {
    channel = lane.invocation & 3u;
    let quad = (lane.invocation >> 2u) & 1u;
    return first + channel * columns + min(quad, TILE_QUADS - 1u);
}

fn weights_at(at: u32, columns: u32, k: u32) -> Weights {
    let w = loaded(weight[at]) * weight_gate(k, channel);
    let a = mat4x4(subgroupBroadcast(w, 0u), subgroupBroadcast(w, 1u), subgroupBroadcast(w, 2u), subgroupBroadcast(w, 3u));
    let b = mat4x4(subgroupBroadcast(w, 4u), subgroupBroadcast(w, 5u), subgroupBroadcast(w, 6u), subgroupBroadcast(w, 7u));
    return Weights(a, b);
}
