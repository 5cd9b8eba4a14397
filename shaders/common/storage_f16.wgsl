// How maps and the weights of convolutions lie in memory, in half precision: half the bytes. Kernels compute in f32: they
// convert what they load and store. What is beyond 65504 has no number here.
alias Element = f16;
alias Quad = vec4<f16>;
// A quad as a load has it.
alias Loaded = Quad;

fn loaded(quad: Loaded) -> vec4<f32> {
    return vec4<f32>(quad);
}
