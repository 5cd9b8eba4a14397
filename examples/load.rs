//! How long a network takes to load and how much memory that needs, apart from compiling its pipelines:
//! `cargo run --release --features cli --example load -- seresnet50 model.safetensors`. Without a file it writes one
//! from a seed.

use excite::gpu::{Executor, ExecutorOptions};
use excite::import::safetensors;
use excite::{Gpu, Weights, wgpu, zoo};
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or("seresnet50".into());
    let graph = zoo::build(&name, &zoo::Options::default())?;
    let folder = tempfile::tempdir()?;
    let file = args.next().map_or_else(|| folder.path().join("model.safetensors"), PathBuf::from);
    if !file.exists() {
        let seeded = Weights::seeded(1, 1.0);
        let tensors = graph.tensors().into_iter().map(|(name, shape)| Ok((name.clone(), seeded.get(&name, &shape)?)));
        let tensors: Vec<_> = tensors.collect::<excite::Result<_>>()?;
        safetensors::write(&file, tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)))?;
        println!("wrote {}; run again with it for the memory figures", file.display());
    }
    let bytes = std::fs::metadata(&file)?.len();

    // Pipelines stay with the device: this run compiles them.
    let gpu = Gpu::new()?;
    let start = Instant::now();
    let seeded = Executor::new(&gpu, &graph, &Weights::seeded(1, 1.0), ExecutorOptions::default())?;
    let pipelines = seeded.warm_up(1)?.pipelines;
    println!(
        "{}: {pipelines} pipelines, made in {:.2} s with seeded weights",
        gpu.describe(),
        start.elapsed().as_secs_f64()
    );
    let weights_bytes = seeded.plan(1)?.weight_bytes();
    drop(seeded);
    gpu.device().poll(wgpu::PollType::wait_indefinitely())?;

    // The peak counts from now on.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = memory("VmRSS");
    let start = Instant::now();
    let weights = Weights::open(&file)?;
    let network = Executor::new(&gpu, &graph, &weights, ExecutorOptions::default())?;
    let checked = start.elapsed();
    network.warm_up(1)?;
    println!(
        "{name}: {:.1} MB file, {:.1} MB of weights on the device; checked after {:.3} s, ready after {:.3} s",
        bytes as f64 / 1e6,
        weights_bytes as f64 / 1e6,
        checked.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    if let (Some(before), Some(peak)) = (before, memory("VmHWM")) {
        println!("memory of the process: {:.1} MB before, at most {:.1} MB while loading", before / 1e6, peak / 1e6);
    }
    Ok(())
}

/// Bytes, on Linux. A software adapter's device memory is in it.
fn memory(which: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(which))?;
    Some(1024.0 * line.split_whitespace().nth(1)?.parse::<f64>().ok()?)
}
