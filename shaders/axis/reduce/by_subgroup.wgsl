// Sum and maximum over a workgroup: first within each subgroup, then over the subgroups in order. The kernel provides
// `compute`, which the entry point calls.
struct Invocation { index: u32, in_subgroup: u32, subgroup: u32, subgroups: u32 }

// In a struct, naga 30 would write the builtins of subgroups without semantics in HLSL.
@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_invocation_id) in_subgroup: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    compute(Invocation(index, in_subgroup, subgroup, subgroups), group, groups);
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
