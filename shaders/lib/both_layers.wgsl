// Both layers of the excitation by one workgroup of `INVOCATIONS` invocations. The kernel leaves the squeezed channels
// in `z`, calls `hidden_layer`, then `gate_vec4`. Needs `weight1` `[reduced, C]`, `weight2` `[reduced, gates]`, and
// `bias`: the first layer's, then the second's; and in `params` vec4s of `C`, `gate_vec4s`, and `split`: invocations
// that share a vec4 of hidden values, at most `INVOCATIONS / reduced_vec4s`. Mesa compiles for seconds where it can
// unroll: so loops take their lengths from `Params`, and their counters run over weights, because one that indexes an
// array of known length gives a length away too. Room for at least as many vec4s as there are.
override REDUCED_VEC4S: u32 = 1u;
override C_VEC4S: u32 = 1u;
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

var<workgroup> z: array<vec4<f32>, C_VEC4S>;
var<workgroup> hidden: array<vec4<f32>, REDUCED_VEC4S>;
var<workgroup> partials: array<vec4<f32>, INVOCATIONS>;

// What the rows of a workgroup, `INVOCATIONS / rows` invocations each, found for the same vec4s: their sum or maximum
// by a tree, which the invocations of the first row get. Needs `MAX`.
fn over_invocation_rows(found: vec4<f32>, invocation: u32, rows: u32) -> vec4<f32> {
    if rows == 1u { return found; }
    let wide = INVOCATIONS / rows;
    workgroupBarrier();
    partials[invocation] = found;
    for (var half = rows / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if invocation < half * wide {
            let other = partials[invocation + half * wide];
            if MAX { partials[invocation] = max(partials[invocation], other); } else { partials[invocation] += other; }
        }
    }
    return partials[invocation];
}

// Hidden values from `z`. Begins and ends with a barrier.
fn hidden_layer(invocation: u32) {
    workgroupBarrier();
    let split = params.split;
    for (var j = invocation / split; j < params.reduced_vec4s; j += INVOCATIONS / split) {
        var sum = vec4(0.0);
        let row = j * 4u * params.vec4s;
        for (var at = row + invocation % split; at < row + params.vec4s; at += split) {
            let x = z[at - row];
            sum += vec4(
                dot(floats(weight1[at]), x),
                dot(floats(weight1[at + params.vec4s]), x),
                dot(floats(weight1[at + 2u * params.vec4s]), x),
                dot(floats(weight1[at + 3u * params.vec4s]), x),
            );
        }
        if split > 1u {
            partials[invocation] = sum;
        } else {
            hidden[j] = activation(HIDDEN, vec4(HIDDEN_A, HIDDEN_B, HIDDEN_C, HIDDEN_D), sum + bias[j]);
        }
    }
    if split > 1u {
        // With invocations to share there is one round of the loop above: invocation `j * split + k` has part `k` of
        // vec4 `j`.
        workgroupBarrier();
        if invocation < params.reduced_vec4s {
            var sum = bias[invocation];
            for (var k = 0u; k < split; k++) { sum += partials[invocation * split + k]; }
            hidden[invocation] = activation(HIDDEN, vec4(HIDDEN_A, HIDDEN_B, HIDDEN_C, HIDDEN_D), sum);
        }
    }
    workgroupBarrier();
}

// Four gates from all hidden values; rows that pad the reduced width are zero.
fn gate_vec4(c4: u32) -> vec4<f32> {
    var sum = bias[params.reduced_vec4s + c4];
    var j = 0u;
    let columns = params.gate_vec4s;
    for (var at = c4; at < params.reduced_vec4s * 4u * columns; at += 4u * columns) {
        let h = hidden[j];
        sum += h.x * floats(weight2[at]) + h.y * floats(weight2[at + columns]);
        sum += h.z * floats(weight2[at + 2u * columns]) + h.w * floats(weight2[at + 3u * columns]);
        j++;
    }
    return activation(GATE, vec4(GATE_A, GATE_B, GATE_C, GATE_D), sum);
}
