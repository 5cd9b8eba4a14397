// Where an element lies in up to three tensors: the sums of its coordinates times their strides. An axis is its size,
// then three strides. The axes from `first` to before `end` are walked, the last one fastest.
fn strided_index(index: u32, first: u32, end: u32) -> vec3<u32> {
    var rest = index;
    var at = vec3(0u);
    for (var i = end; i > first + 1u; i--) {
        let axis = params.axes[i - 1u];
        at += (rest % axis.x) * axis.yzw;
        rest /= axis.x;
    }
    // What is left is the coordinate of the outermost axis: a single axis needs no division.
    if end > first { at += rest * params.axes[first].yzw; }
    return at;
}
