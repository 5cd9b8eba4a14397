//! Whole networks, each with and without SE, at every fusion level: what SE costs, and how far from the
//! adapter's ceilings it all is.
//!
//! `cargo bench --bench models -- seresnet50 batch1` runs only what has all these words in its name.
//! `EXCITE_BENCH_SIZE=128` says the height and width of images (224), `EXCITE_BENCH_ROUNDS` how often each is measured,
//! and `EXCITE_BENCH_ALL=1` runs on a software adapter what is otherwise left out there. `EXCITE_BENCH_BATCHES=1,8,32`
//! says the batches (1,8), `EXCITE_BENCH_PRECISION=f16` the precision, `EXCITE_BENCH_COOPERATIVE=1` asks for
//! cooperative matrices, and `EXCITE_BENCH_TUNING=auto` or a file's name for tuned plans.

mod common;

use common::{arithmetic, batches, copy_bandwidth, gpu, micros, plan_options, stats, turns, variable, worst};
use excite::gpu::{Executor, ExecutorOptions, GpuTimer};
use excite::plan::{Fusion, PlanOptions};
use excite::{Gpu, Graph, Tensor, Weights, verify, zoo};
use std::time::Instant;

const NETWORKS: [&str; 3] = ["seresnet50", "efficientnet_b0", "senet154"];
/// Of the seeded weights: activations stay in bounds with SE and without. Where they grow, software adapters get slower
/// (EfficientNet-B0 without SE by a third with a gain of 1.75), and the two can't be compared.
const GAIN: f64 = 1.0;
const BATCHES: [usize; 2] = [1, 8];
const LEVELS: [Fusion; 3] = [Fusion::None, Fusion::Kernels, Fusion::Full];
/// What a software adapter runs without being told to: multiply-adds of one run.
const SOFTWARE_LIMIT: u64 = 5_000_000_000;

/// A network at one fusion level, with or without SE.
struct Level {
    plan: PlanOptions,
    se: bool,
    executor: Executor,
}

/// Milliseconds of one run: on the device, and from images to answers on the host.
struct Run {
    device: f64,
    whole: f64,
}

/// A positive number from the environment.
fn number(name: &str) -> Option<usize> {
    variable(name).filter(|&number| number > 0)
}

/// `batch` images whose last is the first of the seed: the one that is checked.
fn images(graph: &Graph, batch: usize, weights: &Weights) -> Tensor {
    let shape = graph.input_shape();
    let mut data =
        weights.get("input", &shape.with_batch(batch)).expect("seeded weights have every tensor").into_data();
    data.rotate_left(shape.len());
    Tensor::new(shape.with_batch(batch), data).expect("as many numbers as before")
}

/// Refuses to time a wrong answer: the batch's last image against the reference.
fn check(level: &Level, images: &Tensor, expected: &Tensor) {
    let found = level.executor.run(images).unwrap_or_else(|error| panic!("{}: {error}", level.executor.graph().name()));
    let found = found.image(images.batch() - 1);
    let worst = worst(found.iter().copied(), expected.data());
    let (fusion, se) = (level.plan.fusion, level.se);
    let allowed = verify::tolerance(level.plan.precision) as f32;
    assert!(worst <= allowed * expected.max_abs(), "fusion {fusion}, SE {se}: off by {worst}");
}

/// A network's fusion levels, with and without SE, and what each variant must answer for the checked image.
fn levels(gpu: &Gpu, with: &Graph, weights: &Weights, plan: &PlanOptions) -> Vec<(Level, Tensor)> {
    let without = with.remove_se().expect("the network's gates scale its maps");
    let image = images(with, 1, weights);
    let expected = [with, &without].map(|graph| {
        let mut outputs = graph.reference(&image, weights).expect("seeded weights fit");
        outputs.remove("logits").expect("the zoo's networks have logits")
    });
    let level = |fusion, se: bool| {
        let graph = if se { with } else { &without };
        let plan = plan.clone().fusion(fusion);
        let options = ExecutorOptions::default().plan(plan.clone());
        let executor = Executor::new(gpu, graph, weights, options).expect("seeded weights fit");
        (Level { plan, se, executor }, expected[usize::from(!se)].clone())
    };
    LEVELS.iter().flat_map(|&fusion| [level(fusion, true), level(fusion, false)]).collect()
}

/// `median (min-max)`
fn spread(samples: Vec<f64>, digits: usize) -> String {
    let stats = stats(samples);
    format!("{:.digits$} ({:.digits$}-{:.digits$})", stats.median, stats.min, stats.max)
}

fn measure(gpu: &Gpu, levels: &[(Level, Tensor)], images: &Tensor, rounds: usize) -> Vec<Vec<Run>> {
    let timer = GpuTimer::new(gpu);
    let batch = images.batch();
    turns(levels.len(), rounds, |index| {
        let executor = &levels[index].0.executor;
        let timing = timer.time(|encoder| executor.encode_dispatches(encoder, batch)).expect("it has just run");
        let start = Instant::now();
        executor.run(images).expect("it has just run");
        Run { device: micros(timing) / 1e3, whole: start.elapsed().as_secs_f64() * 1e3 }
    })
}

fn table(levels: &[(Level, Tensor)], batch: usize, runs: &[Vec<Run>], [copy, arithmetic]: [f64; 2]) {
    println!(
        "{:8} {:8} {:>10} {:>24} {:>24} {:>9} {:>22} {:>17} {:>17}",
        "fusion",
        "",
        "dispatches",
        "device ms",
        "end to end ms",
        "images/s",
        "SE costs %",
        "GB/s (of copy)",
        "GFLOP/s (of fma)"
    );
    for (pair, times) in levels.chunks(2).zip(runs.chunks(2)) {
        let costs = times[0].iter().zip(&times[1]).map(|(with, without)| 100.0 * (with.device / without.device - 1.0));
        let mut costs = Some(spread(costs.collect(), 1));
        for ((level, _), times) in pair.iter().zip(times) {
            let (parts, plan) = level.executor.plan_in_parts(batch).expect("it has just run");
            let whole_batch = batch as f64 / parts.size as f64;
            let median = stats(times.iter().map(|run| run.device).collect()).median;
            let whole = stats(times.iter().map(|run| run.whole).collect()).median;
            let bandwidth = whole_batch * plan.bytes_moved() as f64 / median / 1e6;
            let rate = 2.0 * whole_batch * plan.macs() as f64 / median / 1e6;
            println!(
                "{:8} {:8} {:10} {:>24} {:>24} {:9.2} {:>22} {:>17} {:>17}",
                level.plan.fusion.to_string(),
                if level.se { "SE" } else { "no SE" },
                plan.steps.len(),
                spread(times.iter().map(|run| run.device).collect(), 1),
                spread(times.iter().map(|run| run.whole).collect(), 1),
                1e3 * batch as f64 / whole,
                costs.take().unwrap_or_default(),
                format!("{bandwidth:.1} ({:.0}%)", 100.0 * bandwidth / copy),
                format!("{rate:.1} ({:.0}%)", 100.0 * rate / arithmetic),
            );
        }
    }
    println!();
}

fn main() {
    // cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let gpu = gpu();
    let size = number("EXCITE_BENCH_SIZE").unwrap_or(224);
    let rounds = number("EXCITE_BENCH_ROUNDS").unwrap_or(if gpu.is_software() { 5 } else { 15 });
    let (plan, batches) = (plan_options(&gpu), batches(&BATCHES));
    let ceilings = [copy_bandwidth(&gpu), arithmetic(&gpu)];
    println!("ceilings: buffer copy {:.1} GB/s, multiply-adds {:.1} GFLOP/s", ceilings[0], ceilings[1]);
    let clock = gpu.device().features().contains(excite::wgpu::Features::TIMESTAMP_QUERY);
    println!("device ms by {}", if clock { "its timestamps" } else { "the CPU's clock: it has no timestamps" });
    println!("medians (min-max) of {rounds} rounds, all in turn; images/s end to end\n");
    for name in NETWORKS {
        let options = zoo::Options::default().size([size; 2]);
        let graph = zoo::build(name, &options).expect("the size is large enough");
        let weights = Weights::seeded(1, GAIN);
        let mut made = None;
        for &batch in &batches {
            let title = format!("{name} {size}x{size} batch{batch}");
            if !words.iter().all(|word| title.contains(word.as_str())) {
                continue;
            }
            let macs = graph.macs() * batch as u64;
            println!("{title}: {:.2} G multiply-adds", macs as f64 / 1e9);
            if gpu.is_software() && macs > SOFTWARE_LIMIT && number("EXCITE_BENCH_ALL").is_none() {
                println!("skipped: too slow on a software adapter; EXCITE_BENCH_ALL=1 runs it\n");
                continue;
            }
            let levels = made.get_or_insert_with(|| levels(&gpu, &graph, &weights, &plan));
            let images = images(&graph, batch, &weights);
            levels.iter().for_each(|(level, expected)| check(level, &images, expected));
            let runs = measure(&gpu, levels, &images, rounds);
            table(levels, batch, &runs, ceilings);
        }
    }
}
