// The channels of the input with those of its groups interleaved, as `shape/channel_shuffle.wgsl` would write them. Needs
// `quads`, `channels` and `groups` in `params`.
@group(0) @binding(1) var<storage, read> input: array<Element>;

// Where the four channels come from.
var<private> sources: vec4<u32>;

// Says which quad is loaded from here on.
fn choose_quad(quad: u32) {
    let channel = vec4(quad * 4u) + vec4(0u, 1u, 2u, 3u);
    let interleaved = (channel % params.groups) * (params.channels / params.groups) + channel / params.groups;
    // What pads the channels stays where it is.
    sources = select(channel, interleaved, channel < vec4(params.channels));
}

fn input_quad(pixel: u32) -> vec4<f32> {
    let at = vec4(pixel * params.quads * 4u) + sources;
    return vec4(f32(input[at.x]), f32(input[at.y]), f32(input[at.z]), f32(input[at.w]));
}
