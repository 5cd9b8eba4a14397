// Sum and maximum over a workgroup by a tree in workgroup memory. Every invocation gets the result. The kernel provides
// `compute`, which the entry point calls.
struct Invocation { index: u32 }

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(local_invocation_index) index: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    compute(Invocation(index), group, groups);
}

var<workgroup> invocations: array<vec4<f32>, WORKGROUP>;

fn workgroup_sum(value: vec4<f32>, invocation: Invocation) -> vec4<f32> {
    workgroupBarrier();
    invocations[invocation.index] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if invocation.index < half { invocations[invocation.index] += invocations[invocation.index + half]; }
    }
    workgroupBarrier();
    return invocations[0];
}

fn workgroup_max(value: vec4<f32>, invocation: Invocation) -> vec4<f32> {
    workgroupBarrier();
    invocations[invocation.index] = value;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if invocation.index < half { invocations[invocation.index] = max(invocations[invocation.index], invocations[invocation.index + half]); }
    }
    workgroupBarrier();
    return invocations[0];
}
