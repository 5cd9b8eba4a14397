// Squeezed channels of an image, from its parts in the order that they have in memory. Needs `squeezed`, `MAX`, and `parts`,
// `factor` in `params`.
fn squeezed_quad(image: u32, quad: u32, quads: u32) -> vec4<f32> {
    var value = squeezed[image * params.parts * quads + quad];
    for (var part = 1u; part < params.parts; part++) {
        let next = squeezed[(image * params.parts + part) * quads + quad];
        if MAX { value = max(value, next); } else { value += next; }
    }
    return value * params.factor;
}
