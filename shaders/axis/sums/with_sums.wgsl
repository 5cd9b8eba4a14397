// Squeeze in this pass: the kernel sums what it stores and keeps the sums for the excitation that follows.
const SQUEEZE: bool = true;

@group(0) @binding(7) var<storage, read_write> partials: array<vec4<f32>>;

fn keep(at: u32, sum: vec4<f32>) {
    partials[at] = sum;
}
