// Sum and maximum over a workgroup: first within each subgroup, then over the subgroups in order.
struct Invocation {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

// One entry a subgroup; no adapter has more subgroups than invocations.
var<workgroup> invocations: array<vec4<f32>, WORKGROUP>;

fn workgroup_sum(value: vec4<f32>, invocation: Invocation) -> vec4<f32> {
    let part = subgroupAdd(value);
    workgroupBarrier();
    if invocation.in_subgroup == 0u { invocations[invocation.subgroup] = part; }
    workgroupBarrier();
    var sum = invocations[0];
    for (var i = 1u; i < invocation.subgroups; i++) { sum += invocations[i]; }
    return sum;
}

fn workgroup_max(value: vec4<f32>, invocation: Invocation) -> vec4<f32> {
    let part = subgroupMax(value);
    workgroupBarrier();
    if invocation.in_subgroup == 0u { invocations[invocation.subgroup] = part; }
    workgroupBarrier();
    var largest = invocations[0];
    for (var i = 1u; i < invocation.subgroups; i++) { largest = max(largest, invocations[i]); }
    return largest;
}
