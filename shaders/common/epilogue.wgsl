// What every convolution does with a finished sum: bias, residual, activation, store.
override RESIDUAL: bool = false;
override ACT: u32 = 0u;
override SLOPE: f32 = 0.0;

fn finish(pixel: u32, quad: u32, quads: u32, sum: vec4<f32>) {
    let index = pixel * quads + quad;
    var value = sum + bias[quad];
    if RESIDUAL { value += residual[index]; }
    output[index] = activation(ACT, SLOPE, value);
}
