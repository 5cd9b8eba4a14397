// How maps and the weights of convolutions lie in memory. Kernels compute in f32: they convert what they load and store.
alias Element = f32;
alias Vec4 = vec4<f32>;
