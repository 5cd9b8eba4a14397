//! What the benches share: a device, interleaved measurements, tables.
#![allow(dead_code, reason = "every bench uses its part of these")]

use excite::{Gpu, GpuOptions, GpuTimer, Result, wgpu};

/// Records work.
pub type Record<'a> = Box<dyn Fn(&mut wgpu::CommandEncoder) -> Result<()> + 'a>;

/// One thing to time: records its work into an encoder.
pub struct Contender<'a> {
    pub name: String,
    pub record: Record<'a>,
}

/// Microseconds of one piece of work, over the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// The device that `EXCITE_DEVICE` names, with release shaders.
pub fn gpu() -> Gpu {
    let gpu = Gpu::open(&GpuOptions { shader_checks: Some(false), ..Default::default() });
    let gpu = gpu.unwrap_or_else(|error| panic!("{error}"));
    println!("adapter: {}", gpu.describe());
    gpu
}

/// Device time where the adapter has a clock, else wall time.
pub fn micros(timing: excite::Timing) -> f64 {
    timing.device.unwrap_or(timing.wall).as_secs_f64() * 1e6
}

/// Times the contenders in turn, `rounds` times, each measurement repeating its work `repeats` times: A B A B …, so that
/// a machine that slows down slows all of them.
pub fn interleaved(gpu: &Gpu, contenders: &[Contender], rounds: usize, repeats: usize) -> Vec<(Stats, Stats)> {
    let timer = GpuTimer::new(gpu);
    let time = |contender: &Contender| {
        let timing = timer.time(|encoder| (0..repeats).try_for_each(|_| (contender.record)(encoder)));
        timing.unwrap_or_else(|error| panic!("{}: {error}", contender.name))
    };
    // The first run compiles and warms caches.
    for contender in contenders {
        time(contender);
    }
    let mut samples = vec![(Vec::new(), Vec::new()); contenders.len()];
    for _ in 0..rounds {
        for (contender, (device, wall)) in contenders.iter().zip(&mut samples) {
            let timing = time(contender);
            device.push(micros(timing) / repeats as f64);
            wall.push(timing.wall.as_secs_f64() * 1e6 / repeats as f64);
        }
    }
    samples.into_iter().map(|(device, wall)| (stats(device), stats(wall))).collect()
}

pub fn stats(mut samples: Vec<f64>) -> Stats {
    samples.sort_by(f64::total_cmp);
    Stats { median: samples[samples.len() / 2], min: samples[0], max: samples[samples.len() - 1] }
}

/// Geometric mean.
pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// Bytes per second of a plain buffer copy, read and write counted, in GB/s.
pub fn copy_bandwidth(gpu: &Gpu) -> f64 {
    const BYTES: u64 = 64 << 20;
    let buffer = || {
        gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("copy"),
            size: BYTES,
            usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (from, to) = (buffer(), buffer());
    let record = |encoder: &mut wgpu::CommandEncoder| {
        encoder.copy_buffer_to_buffer(&from, 0, &to, 0, BYTES);
        Ok(())
    };
    let copy = Contender { name: "copy".into(), record: Box::new(record) };
    2.0 * BYTES as f64 / interleaved(gpu, &[copy], 5, 1)[0].0.median / 1e3
}
