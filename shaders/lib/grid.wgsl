// Workgroups are counted in one dimension and laid out in two, so that a dispatch may pass 65,535 of them.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}
