// Reductions over the rows of a workgroup that is `VEC4S` channel vec4s wide and `ROWS` pixels deep.
override VEC4S: u32 = 16u;
override ROWS: u32 = 16u;
override WORKGROUP: u32 = VEC4S * ROWS;

var<workgroup> rows: array<vec4<f32>, WORKGROUP>;

// Sum or maximum of the values of all rows, for every row.
fn over_rows(value: vec4<f32>, invocation: vec3<u32>, largest: bool) -> vec4<f32> {
    if ROWS == 1u { return value; }
    let slot = invocation.y * VEC4S + invocation.x;
    workgroupBarrier();
    rows[slot] = value;
    for (var half = ROWS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if invocation.y < half {
            let other = rows[slot + half * VEC4S];
            if largest { rows[slot] = max(rows[slot], other); } else { rows[slot] += other; }
        }
    }
    workgroupBarrier();
    return rows[invocation.x];
}
