//! What the benches share: a device, interleaved measurements, tables.
#![allow(dead_code, reason = "every bench uses its part of these")]

mod tuning;

use excite::gpu::GpuTimer;
use excite::plan::PlanOptions;
use excite::{Gpu, GpuOptions, Precision, Result, wgpu};
use std::str::FromStr;

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

/// The device that `EXCITE_DEVICE` names, with release shaders; with cooperative matrices if
/// `EXCITE_BENCH_COOPERATIVE=1`.
pub fn gpu() -> Gpu {
    let cooperative = variable::<u8>("EXCITE_BENCH_COOPERATIVE").is_some_and(|wanted| wanted > 0);
    let options = GpuOptions::default().shader_checks(false);
    let size = |options| if cooperative { excite::measure::cooperative_matrices(options) } else { Ok(None) };
    let gpu = size(&options).and_then(|size| Gpu::open(&options.cooperative_matrices(size)));
    let gpu = gpu.unwrap_or_else(|error| panic!("{error}"));
    println!("adapter: {}", gpu.describe());
    let matrices = gpu.target().cooperative;
    assert!(!cooperative || matrices.is_some(), "no cooperative matrices here that pass the self-test");
    matrices.iter().for_each(|size| println!("cooperative matrices of {size}"));
    gpu
}

/// What the environment says, if it says something; refuses what can't be read.
pub fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} makes no sense: {text}")))
}

/// `EXCITE_BENCH_BATCHES=1,8,32`, else these.
pub fn batches(default: &[usize]) -> Vec<usize> {
    let Some(text) = variable::<String>("EXCITE_BENCH_BATCHES") else { return default.to_vec() };
    let batch = |text: &str| text.trim().parse().ok().filter(|&batch| batch > 0);
    let batches: Option<Vec<usize>> = text.split(',').map(batch).collect();
    batches.unwrap_or_else(|| panic!("EXCITE_BENCH_BATCHES must be sizes such as 1,8,32, is {text}"))
}

/// Plans as `EXCITE_BENCH_PRECISION` (f32, f16) and `EXCITE_BENCH_TUNING` (a file, `auto`) say.
pub fn plan_options(gpu: &Gpu) -> PlanOptions {
    let precision: Precision = variable("EXCITE_BENCH_PRECISION").unwrap_or_default();
    let source: Option<String> = variable("EXCITE_BENCH_TUNING").filter(|source| source != "off");
    let tuning = source.as_ref().map(|source| {
        let found = tuning::tuning(gpu, precision, source).unwrap_or_else(|error| panic!("{error}"));
        found.unwrap_or_else(|| panic!("nothing is tuned for this adapter: `excite tune` does so"))
    });
    println!("precision {precision}, tuning {}", source.as_deref().unwrap_or("off"));
    PlanOptions::default().precision(precision).tuning(tuning)
}

/// Device time where the adapter has a clock, else wall time.
pub fn micros(timing: excite::gpu::Timing) -> f64 {
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
    let samples = turns(contenders.len(), rounds, |index| {
        let timing = time(&contenders[index]);
        (micros(timing) / repeats as f64, timing.wall.as_secs_f64() * 1e6 / repeats as f64)
    });
    samples.into_iter().map(|turns| turns.into_iter().unzip()).map(|(a, b)| (stats(a), stats(b))).collect()
}

/// What `measure` says of each contender in each round, the contenders in turn.
pub fn turns<T>(contenders: usize, rounds: usize, mut measure: impl FnMut(usize) -> T) -> Vec<Vec<T>> {
    let mut samples: Vec<Vec<T>> = (0..contenders).map(|_| Vec::with_capacity(rounds)).collect();
    for _ in 0..rounds {
        samples.iter_mut().enumerate().for_each(|(index, samples)| samples.push(measure(index)));
    }
    samples
}

pub fn stats(mut samples: Vec<f64>) -> Stats {
    samples.sort_by(f64::total_cmp);
    Stats { median: samples[samples.len() / 2], min: samples[0], max: samples[samples.len() - 1] }
}

/// The largest difference; infinite where one isn't a number.
pub fn worst(found: impl IntoIterator<Item = f32>, expected: &[f32]) -> f32 {
    let differences = found.into_iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.map(|error| if error.is_nan() { f32::INFINITY } else { error }).fold(0.0, f32::max)
}

/// Geometric mean.
pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// Multiply-adds in registers, two operations each, in GFLOP/s: the best round of `fma(a, b, c)` and `a * b + c`.
pub fn arithmetic(gpu: &Gpu) -> f64 {
    const INVOCATIONS: u32 = 1 << 16;
    // As in `fma.wgsl`: rounds, steps of a round, chains, invocations of a vector, operations of a step.
    const OPERATIONS: f64 = 256.0 * 16.0 * 3.0 * 4.0 * 2.0;
    let device = gpu.device();
    let module = device.create_shader_module(wgpu::include_wgsl!("fma.wgsl"));
    let buffer = |size| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("fma"),
            size,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (terms, output) = (buffer(8), buffer(4 * u64::from(INVOCATIONS)));
    gpu.queue().write_buffer(&terms, 0, &[0.5f32.to_le_bytes(), 0.25f32.to_le_bytes()].concat());
    let contenders = [("fused", 1.0), ("separate", 0.0)].map(|(name, fused)| {
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[("FUSED", fused)],
                ..Default::default()
            },
            cache: None,
        });
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(name),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[&terms, &output]
                .map(|buffer| buffer.as_entire_binding())
                .into_iter()
                .zip(0..)
                .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
                .collect::<Vec<_>>(),
        });
        let record = move |encoder: &mut wgpu::CommandEncoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.dispatch_workgroups(INVOCATIONS / 64, 1, 1);
            Ok(())
        };
        Contender { name: name.into(), record: Box::new(record) }
    });
    let rate = |stats: Stats| OPERATIONS * f64::from(INVOCATIONS) / stats.min / 1e3;
    interleaved(gpu, &contenders, 5, 1).into_iter().map(|(device, _)| rate(device)).fold(0.0, f64::max)
}

/// Bytes per second of a plain buffer copy, read and write counted, in GB/s: the best round.
pub fn copy_bandwidth(gpu: &Gpu) -> f64 {
    // More than caches hold, and several a sample: a GPU copies 64 MiB in the time of a few dispatches.
    let bytes = gpu.device().limits().max_buffer_size.min(256 << 20);
    let buffer = || {
        gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("copy"),
            size: bytes,
            usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (from, to) = (buffer(), buffer());
    let record = |encoder: &mut wgpu::CommandEncoder| {
        encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes);
        Ok(())
    };
    let copy = Contender { name: "copy".into(), record: Box::new(record) };
    2.0 * bytes as f64 / interleaved(gpu, &[copy], 5, 4)[0].0.min / 1e3
}
