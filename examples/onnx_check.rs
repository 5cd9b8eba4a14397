//! Whether ONNX files compute here what they compute elsewhere:
//! `cargo run --release --example onnx_check -- [--reference] net.onnx …`. Beside each file lies `net.safetensors` with
//! the tensors `input`, a batch of images, and `output`, what the program that wrote the file makes of them.
//!
//! With `--reference` the CPU computes, slowly; without, the GPU that `EXCITE_DEVICE` names, and where it differs every
//! node is compared with the reference.

use excite::gpu::{Executor, ExecutorOptions};
use excite::import::onnx::{OnnxModel, OnnxOptions};
use excite::plan::Plan;
use excite::verify::verify;
use excite::{Gpu, Tensor};
use safetensors::SafeTensors;
use std::path::Path;
use std::time::Instant;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The difference that is still rounding, as a part of the largest number.
const ALLOWED: f32 = 1e-4;

fn main() -> Outcome {
    let (flags, files): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let reference = flags.iter().any(|flag| flag == "--reference");
    let gpu = if reference { None } else { Some(Gpu::new()?) };
    let mut failed = 0;
    for file in &files {
        match check(Path::new(file), gpu.as_ref()) {
            Ok(report) => println!("{file}: {report}"),
            Err(error) => {
                failed += 1;
                println!("{file}: FAILED: {error}");
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} files failed", files.len()).into()) }
}

fn check(path: &Path, gpu: Option<&Gpu>) -> Outcome<String> {
    let values = std::fs::read(path.with_extension("safetensors"))?;
    let values = SafeTensors::deserialize(&values)?;
    let (input, expected) = (tensor(&values, "input")?, tensor(&values, "output")?);
    let size = <[usize; 4]>::try_from(input.shape()).ok().map(|[_, _, height, width]| [height, width]);

    // The peak counts from now on.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (before, start) = (memory("VmRSS"), Instant::now());
    let model = OnnxModel::from_onnx_with(path, &OnnxOptions::default().size(size))?;
    let target = gpu.map_or_else(excite::plan::Target::software, |gpu| gpu.target().clone());
    let plan = Plan::new(&model.graph, 1, &target, &Default::default())?;
    let load = format!(
        "{} steps, {} SE blocks, planned in {:.2} s with {:.0} MB",
        plan.steps.len(),
        model.graph.se_blocks().count(),
        start.elapsed().as_secs_f64(),
        (memory("VmHWM").unwrap_or(0.0) - before.unwrap_or(0.0)) / 1e6
    );
    if let Some(reason) = &model.fixed_batch {
        println!("{}: its batch is fixed: {reason}", path.display());
    }

    let name = &model.graph.outputs()[0].0;
    // Of a fixed batch, one image where the file speaks of one.
    let images = if model.fixed_batch.is_some() { 1 } else { input.batch() };
    let first = |all: &Tensor, images: usize| {
        let mut shape = all.shape().to_vec();
        shape[0] = images;
        let count = shape.iter().product();
        Tensor::new(shape, all.data()[..count].to_vec())
    };
    let (input, expected) = (first(&input, images)?, first(&expected, images)?);
    let got = match gpu {
        None => model.graph.reference(&input, &model.weights)?.remove(name).ok_or("has no output")?,
        Some(gpu) => Executor::new(gpu, &model.graph, &model.weights, ExecutorOptions::default())?.run(&input)?,
    };
    if got.shape() != expected.shape() {
        return Err(format!("{load}; its output is {:?}, expected is {:?}", got.shape(), expected.shape()).into());
    }
    let differences = got.data().iter().zip(expected.data()).map(|(a, b)| (a - b).abs());
    // A NaN is a difference.
    let worst = differences.fold(0.0, |worst: f32, d| if d > worst || d.is_nan() { d } else { worst });
    let relative = worst / expected.max_abs();
    match relative <= ALLOWED {
        true => Ok(format!("ok, relative difference {relative:.1e}; {load}")),
        false => {
            // If the reference agrees with the file, which node of it does the GPU compute otherwise?
            if let Some(gpu) = gpu {
                println!("{}", verify(gpu, &model.graph, &model.weights, &input, &Default::default())?);
            }
            Err(format!("relative difference {relative:.1e}, allowed {ALLOWED:e}; {load}").into())
        }
    }
}

fn tensor(values: &SafeTensors, name: &str) -> Outcome<Tensor> {
    let view = values.tensor(name)?;
    let numbers = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Ok(Tensor::new(view.shape(), numbers)?)
}

/// Bytes, on Linux.
fn memory(which: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(which))?;
    Some(1024.0 * line.split_whitespace().nth(1)?.parse::<f64>().ok()?)
}
