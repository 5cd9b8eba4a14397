// The channels of the input with those of its groups interleaved, as `shape/channel_shuffle.wgsl` would write them. Needs
// `vec4s`, `channels` and `groups` in `params`.
@group(0) @binding(1) var<storage, read> input: array<Element>;

// Where the four channels come from.
var<private> sources: vec4<u32>;

// Says which vec4 is loaded from here on.
fn choose_vec4(c4: u32) {
    let channel = vec4(c4 * 4u) + vec4(0u, 1u, 2u, 3u);
    let interleaved = (channel % params.groups) * (params.channels / params.groups) + channel / params.groups;
    // What pads the channels stays where it is.
    sources = select(channel, interleaved, channel < vec4(params.channels));
}

fn input_vec4(pixel: u32) -> vec4<f32> {
    let at = vec4(pixel * params.vec4s * 4u) + sources;
    return vec4(f32(input[at.x]), f32(input[at.y]), f32(input[at.z]), f32(input[at.w]));
}
