// Both layers of the excitation by one workgroup of `LANES` lanes. The kernel leaves the squeezed channels in `z`, calls
// `hidden_layer`, then `gate_quad`. Needs `weight1` `[reduced, C]`, `weight2` `[reduced, gates]`, and `bias`: the first
// layer's, then the second's; and in `params` quads of `C`, `gate_quads`, and `split`: lanes that share a quad of hidden
// values, at most `LANES / reduced_quads`.
// Mesa compiles for seconds where it can unroll: so loops take their lengths from `Params`, and their counters run over
// weights, because one that indexes an array of known length gives a length away too.
// Room for at least as many quads as there are.
override REDUCED_QUADS: u32 = 1u;
override C_QUADS: u32 = 1u;
override HIDDEN: u32 = 0u;
override HIDDEN_A: f32 = 0.0;
override HIDDEN_B: f32 = 0.0;
override HIDDEN_C: f32 = 0.0;
override HIDDEN_D: f32 = 0.0;
override GATE: u32 = 0u;
override GATE_A: f32 = 0.0;
override GATE_B: f32 = 0.0;
override GATE_C: f32 = 0.0;
override GATE_D: f32 = 0.0;

var<workgroup> z: array<vec4<f32>, C_QUADS>;
var<workgroup> hidden: array<vec4<f32>, REDUCED_QUADS>;
var<workgroup> partials: array<vec4<f32>, LANES>;

// What the rows of a workgroup, `LANES / rows` lanes each, found for the same quads: their sum or maximum by a tree, which the
// lanes of the first row get. Needs `MAX`.
fn over_lane_rows(found: vec4<f32>, lane: u32, rows: u32) -> vec4<f32> {
    if rows == 1u { return found; }
    let wide = LANES / rows;
    workgroupBarrier();
    partials[lane] = found;
    for (var half = rows / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half * wide {
            let other = partials[lane + half * wide];
            if MAX { partials[lane] = max(partials[lane], other); } else { partials[lane] += other; }
        }
    }
    return partials[lane];
}

// Hidden values from `z`. Begins and ends with a barrier.
fn hidden_layer(lane: u32) {
    workgroupBarrier();
    let split = params.split;
    for (var j = lane / split; j < params.reduced_quads; j += LANES / split) {
        var sum = vec4(0.0);
        let row = j * 4u * params.quads;
        for (var at = row + lane % split; at < row + params.quads; at += split) {
            let x = z[at - row];
            sum += vec4(
                dot(floats(weight1[at]), x),
                dot(floats(weight1[at + params.quads]), x),
                dot(floats(weight1[at + 2u * params.quads]), x),
                dot(floats(weight1[at + 3u * params.quads]), x),
            );
        }
        if split > 1u {
            partials[lane] = sum;
        } else {
            hidden[j] = activation(HIDDEN, vec4(HIDDEN_A, HIDDEN_B, HIDDEN_C, HIDDEN_D), sum + bias[j]);
        }
    }
    if split > 1u {
        // With lanes to share there is one round of the loop above: lane `j * split + k` has part `k` of quad `j`.
        workgroupBarrier();
        if lane < params.reduced_quads {
            var sum = bias[lane];
            for (var k = 0u; k < split; k++) { sum += partials[lane * split + k]; }
            hidden[lane] = activation(HIDDEN, vec4(HIDDEN_A, HIDDEN_B, HIDDEN_C, HIDDEN_D), sum);
        }
    }
    workgroupBarrier();
}

// Four gates from all hidden values; rows that pad the reduced width are zero.
fn gate_quad(quad: u32) -> vec4<f32> {
    var sum = bias[params.reduced_quads + quad];
    var j = 0u;
    let columns = params.gate_quads;
    for (var at = quad; at < params.reduced_quads * 4u * columns; at += 4u * columns) {
        let h = hidden[j];
        sum += h.x * floats(weight2[at]) + h.y * floats(weight2[at + columns]);
        sum += h.z * floats(weight2[at + 2u * columns]) + h.w * floats(weight2[at + 3u * columns]);
        j++;
    }
    return activation(GATE, vec4(GATE_A, GATE_B, GATE_C, GATE_D), sum);
}
