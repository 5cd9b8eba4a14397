// Sum and maximum over a workgroup: first within each subgroup, then over the subgroups in order.
struct Lane {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) invocation: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// One entry a subgroup; no adapter has more subgroups than lanes.
var<workgroup> lanes: array<vec4<f32>, WORKGROUP>;

fn workgroup_sum(value: vec4<f32>, lane: Lane) -> vec4<f32> {
    let part = subgroupAdd(value);
    workgroupBarrier();
    if lane.invocation == 0u { lanes[lane.subgroup] = part; }
    workgroupBarrier();
    var sum = lanes[0];
    for (var i = 1u; i < lane.subgroups; i++) { sum += lanes[i]; }
    return sum;
}

fn workgroup_max(value: vec4<f32>, lane: Lane) -> vec4<f32> {
    let part = subgroupMax(value);
    workgroupBarrier();
    if lane.invocation == 0u { lanes[lane.subgroup] = part; }
    workgroupBarrier();
    var largest = lanes[0];
    for (var i = 1u; i < lane.subgroups; i++) { largest = max(largest, lanes[i]); }
    return largest;
}
