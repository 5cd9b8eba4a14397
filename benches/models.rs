//! SE-ResNet-50 with and without SE, on every rung of the fusion ladder: what SE costs a whole network.
//!
//! Software adapters run it at 128x128, GPUs at 224x224; `EXCITE_BENCH_SIZE` says otherwise.

mod common;

use common::{Contender, gpu, interleaved};
use criterion::{BenchmarkId, Criterion};
use excite::{Executor, ExecutorOptions, Fusion, Gpu, Graph, PlanOptions, Tensor, Weights, zoo};
use std::time::{Duration, Instant};

const GAIN: f64 = 1.25;

fn executor(gpu: &Gpu, graph: &Graph, fusion: Fusion) -> Executor {
    let options = ExecutorOptions { plan: PlanOptions { fusion, ..Default::default() }, guard: false };
    Executor::new(gpu, graph, &Weights::seeded(1, GAIN), options).expect("seeded weights fit")
}

fn input(graph: &Graph, batch: usize) -> Tensor {
    Weights::seeded(1, GAIN).get("input", &graph.input_shape().with_batch(batch)).expect("seeded weights fit")
}

/// Refuses to time a wrong answer.
fn check(executors: &[Executor], graph: &Graph) {
    let input = input(graph, 1);
    let expected = &graph.reference(&input, &Weights::seeded(1, GAIN)).expect("seeded weights fit")["logits"];
    for executor in executors {
        let found = executor.run(&input).unwrap_or_else(|error| panic!("{}: {error}", graph.name()));
        let worst = found.data().iter().zip(expected.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 2e-5 * expected.max_abs(), "{}: off by {worst}", graph.name());
    }
}

fn main() {
    let gpu = gpu();
    let size = std::env::var("EXCITE_BENCH_SIZE").ok().and_then(|size| size.parse().ok());
    let size: usize = size.unwrap_or(if gpu.is_software() { 128 } else { 224 });
    let options = zoo::Options { size: Some([size; 2]), classes: None };
    let with = zoo::build("seresnet50", &options).expect("the size is large enough");
    let without = with.remove_se().expect("the network's gates scale its maps");
    let rungs = [Fusion::None, Fusion::Kernels, Fusion::Full];
    let se = rungs.map(|fusion| executor(&gpu, &with, fusion));
    let plain = rungs.map(|fusion| executor(&gpu, &without, fusion));
    check(&se, &with);
    check(&plain, &without);

    let mut criterion = Criterion::default().configure_from_args();
    println!(
        "seresnet50 at {size}x{size}: {:.2} G multiply-adds, {:.2} without SE",
        with.macs() as f64 / 1e9,
        without.macs() as f64 / 1e9
    );
    println!(
        "{:>5} {:8} {:>11} {:>11} {:>9} {:>10} {:>10} {:>11}",
        "batch", "fusion", "with ms", "without ms", "SE costs", "dispatches", "images/s", "end to end"
    );
    let batches: &[usize] = if gpu.is_software() { &[1, 2] } else { &[1, 8] };
    for &batch in batches {
        let contenders: Vec<Contender> = se
            .iter()
            .zip(&plain)
            .flat_map(|(a, b)| [a, b])
            .map(|executor| Contender {
                name: executor.graph().name().into(),
                record: Box::new(move |encoder| executor.encode_dispatches(encoder, batch)),
            })
            .collect();
        let times = interleaved(&gpu, &contenders, 5, 1);
        for (i, fusion) in rungs.iter().enumerate() {
            let [with_se, plain] = [times[2 * i].0.median, times[2 * i + 1].0.median];
            let images = input(&with, batch);
            let start = Instant::now();
            se[i].run(&images).expect("it has just run");
            let wall = start.elapsed().as_secs_f64();
            println!(
                "{batch:5} {:8} {:11.1} {:11.1} {:+8.1}% {:10} {:10.2} {:8.1} ms",
                fusion.to_string(),
                with_se / 1e3,
                plain / 1e3,
                100.0 * (with_se / plain - 1.0),
                se[i].plan(batch).expect("it has just run").steps.len(),
                batch as f64 / (with_se / 1e6),
                wall * 1e3,
            );
        }
    }

    let images = input(&with, 1);
    let mut group = criterion.benchmark_group("models");
    group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(2));
    for (executor, name) in [(&se[0], "unfused"), (&se[2], "fused"), (&plain[2], "without SE")] {
        group.bench_function(BenchmarkId::new("seresnet50", name), |bencher| {
            bencher.iter(|| executor.run(&images).expect("it has just run"));
        });
    }
    group.finish();
    criterion.final_summary();
}
