// Both layers of the excitation by one workgroup, which has the squeezed channels in `z` and leaves the gates in
// `gates`. Needs `weight1` `[reduced, C]`, `weight2` `[reduced, C]` (transposed) and `bias` (second layer's after the
// first's), `LANES` lanes and a barrier before.
override REDUCED_QUADS: u32 = 1u;
override C_QUADS: u32 = 1u;
override HIDDEN: u32 = 0u;
override HIDDEN_SLOPE: f32 = 0.0;
override GATE: u32 = 0u;
override GATE_SLOPE: f32 = 0.0;

var<workgroup> z: array<vec4<f32>, C_QUADS>;
var<workgroup> hidden: array<vec4<f32>, REDUCED_QUADS>;

// Hidden values: a lane computes one by itself, so that there is no barrier inside.
fn hidden_layer(lane: u32) {
    for (var j = lane; j < REDUCED_QUADS; j += LANES) {
        var sum = bias[j];
        let row = j * 4u * C_QUADS;
        for (var i = 0u; i < C_QUADS; i++) {
            let x = z[i];
            sum += vec4(
                dot(weight1[row + i], x),
                dot(weight1[row + C_QUADS + i], x),
                dot(weight1[row + 2u * C_QUADS + i], x),
                dot(weight1[row + 3u * C_QUADS + i], x),
            );
        }
        hidden[j] = activation(HIDDEN, HIDDEN_SLOPE, sum);
    }
}

// Four gates from all hidden values; rows that pad the reduced width are zero.
fn gate_quad(quad: u32) -> vec4<f32> {
    var sum = bias[REDUCED_QUADS + quad];
    for (var j = 0u; j < REDUCED_QUADS; j++) {
        let h = hidden[j];
        let row = j * 4u * C_QUADS + quad;
        sum += h.x * weight2[row] + h.y * weight2[row + C_QUADS];
        sum += h.z * weight2[row + 2u * C_QUADS] + h.w * weight2[row + 3u * C_QUADS];
    }
    return activation(GATE, GATE_SLOPE, sum);
}
