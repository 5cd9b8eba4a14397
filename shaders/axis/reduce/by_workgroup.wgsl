// Sum and maximum over a workgroup by a tree in workgroup memory. Every lane gets the result.
struct Lane { @builtin(local_invocation_index) index: u32 }

var<workgroup> lanes: array<vec4<f32>, WORKGROUP>;

fn workgroup_sum(value: vec4<f32>, lane: Lane) -> vec4<f32> {
    workgroupBarrier();
    lanes[lane.index] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane.index < half { lanes[lane.index] += lanes[lane.index + half]; }
    }
    workgroupBarrier();
    return lanes[0];
}

fn workgroup_max(value: vec4<f32>, lane: Lane) -> vec4<f32> {
    workgroupBarrier();
    lanes[lane.index] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane.index < half { lanes[lane.index] = max(lanes[lane.index], lanes[lane.index + half]); }
    }
    workgroupBarrier();
    return lanes[0];
}
