// Squeezed channels of an image, from parts in the order that they have in memory. Needs `squeezed`, `MAX`, and
// `plane`, `tile`, `parts`, `factor` in `params`.
// Without tiles an image has `parts` parts. With them a part is what a tile of `tile` pixels has of an image: a tile has
// `parts` slots, one for each image that it touches.
fn squeezed_quad(image: u32, quad: u32, quads: u32) -> vec4<f32> {
    if params.tile > 0u {
        let last = ((image + 1u) * params.plane - 1u) / params.tile;
        var sum = vec4(0.0);
        for (var tile = image * params.plane / params.tile; tile <= last; tile++) {
            let slot = image - tile * params.tile / params.plane;
            sum += squeezed[(tile * params.parts + slot) * quads + quad];
        }
        return sum * params.factor;
    }
    var value = squeezed[image * params.parts * quads + quad];
    for (var part = 1u; part < params.parts; part++) {
        let next = squeezed[(image * params.parts + part) * quads + quad];
        if MAX { value = max(value, next); } else { value += next; }
    }
    return value * params.factor;
}
