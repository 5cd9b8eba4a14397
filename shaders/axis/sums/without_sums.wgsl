// No squeeze in this pass.
const SQUEEZE: bool = false;

fn keep(at: u32, sum: vec4<f32>) {}
