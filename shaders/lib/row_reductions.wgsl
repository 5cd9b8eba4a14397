// Reductions over the rows of a workgroup that is `QUADS` channel quads wide and `ROWS` pixels deep.
override QUADS: u32 = 16u;
override ROWS: u32 = 16u;
override WORKGROUP: u32 = QUADS * ROWS;

var<workgroup> rows: array<vec4<f32>, WORKGROUP>;

// Sum or maximum of the values of all rows, for every row.
fn over_rows(value: vec4<f32>, lane: vec3<u32>, largest: bool) -> vec4<f32> {
    if ROWS == 1u { return value; }
    let slot = lane.y * QUADS + lane.x;
    workgroupBarrier();
    rows[slot] = value;
    for (var half = ROWS / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane.y < half {
            let other = rows[slot + half * QUADS];
            if largest { rows[slot] = max(rows[slot], other); } else { rows[slot] += other; }
        }
    }
    workgroupBarrier();
    return rows[lane.x];
}
