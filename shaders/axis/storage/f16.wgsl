// How maps and the weights of convolutions lie in memory, in half precision: half the bytes. Kernels compute in f32: they
// convert what they load and store. What is beyond 65504 has no number here.
alias Element = f16;
alias Vec4 = vec4<f16>;
