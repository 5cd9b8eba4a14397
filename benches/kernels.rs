//! Convolutions, pools and linear layers one by one, in both families, on shapes of SE-ResNet-50, SE-ResNeXt-50 and
//! EfficientNet-B0. GFLOP/s count a multiply-add as two.

mod common;

use common::{Contender, Stats, gpu, interleaved, micros, worst};
use criterion::{BenchmarkId, Criterion};
use excite::gpu::{Executor, ExecutorOptions, GpuTimer};
use excite::graph::Value;
use excite::ops::{BatchNorm, Conv2d, Linear, Pool};
use excite::plan::Family;
use excite::plan::PlanOptions;
use excite::{Gpu, Graph, GraphBuilder, Result, Shape, Weights};
use std::time::Duration;

type Build = fn(&mut GraphBuilder, Value) -> Result<Value>;

/// Name (kernel, then shape), input, and the one op.
const CASES: [(&str, Shape, Build); 9] = [
    ("conv2d/pointwise 64>256 56x56", Shape::map(64, 56, 56), |g, x| g.conv2d("op", x, Conv2d::new(256, 1))),
    ("conv2d/pointwise 1024>256 14x14", Shape::map(1024, 14, 14), |g, x| g.conv2d("op", x, Conv2d::new(256, 1))),
    ("conv2d 3x3 64>64 56x56", Shape::map(64, 56, 56), |g, x| g.conv2d("op", x, Conv2d::new(64, 3).padding(1))),
    ("conv2d 3x3 256>256 14x14", Shape::map(256, 14, 14), |g, x| g.conv2d("op", x, Conv2d::new(256, 3).padding(1))),
    ("conv2d 7x7/2 3>64 112x112", Shape::map(3, 112, 112), |g, x| {
        g.conv2d("op", x, Conv2d::new(64, 7).stride(2).padding(3))
    }),
    ("conv2d 3x3 groups 32 128 28x28", Shape::map(128, 28, 28), |g, x| {
        g.conv2d("op", x, Conv2d::new(128, 3).padding(1).groups(32))
    }),
    ("conv2d/depthwise 5x5 240 28x28", Shape::map(240, 28, 28), |g, x| {
        g.conv2d("op", x, Conv2d::new(240, 5).padding(2).groups(240))
    }),
    ("pool 3x3/2 64 112x112", Shape::map(64, 112, 112), |g, x| {
        // The norm makes the pool's input a value of its own.
        let x = g.batch_norm("norm", x, BatchNorm::default())?;
        g.pool("op", x, Pool::max(3).stride(2).padding(1))
    }),
    ("linear 2048>1000", Shape::vector(2048), |g, x| g.linear("op", x, Linear::new(1000))),
];

fn executor(gpu: &Gpu, graph: &Graph, family: Family) -> Executor {
    let plan = PlanOptions::default().family(family);
    let options = ExecutorOptions::default().plan(plan);
    Executor::new(gpu, graph, &Weights::seeded(1, 1.0), options).expect("seeded weights fit")
}

/// Refuses to time a wrong answer.
fn check(executor: &Executor, name: &str) {
    let graph = executor.graph();
    let weights = Weights::seeded(1, 1.0);
    let input = weights.get("input", &graph.input_shape().with_batch(1)).expect("seeded weights have every tensor");
    let expected = &graph.reference(&input, &weights).expect("seeded weights fit")["y"];
    let found = executor.run(&input).unwrap_or_else(|error| panic!("{name}: {error}"));
    let worst = worst(found.data().iter().copied(), expected.data());
    assert!(worst <= 2e-5 * expected.max_abs(), "{name}: off by {worst}");
}

fn main() {
    let gpu = gpu();
    let timer = GpuTimer::new(&gpu);
    let mut criterion = Criterion::default().configure_from_args();
    println!("median µs (min-max) at batch 1, the layout steps at both ends included; GFLOP/s of the median");
    println!("{:34} {:>26} {:>8}   {:>26} {:>8}", "", "direct", "GFLOP/s", "tiled", "GFLOP/s");
    for (name, shape, build) in CASES {
        let mut g = GraphBuilder::new(name);
        let x = g.input(shape).expect("the case is sound");
        let y = build(&mut g, x).expect("the case is sound");
        let graph = g.finish(&[("y", y)]).expect("the case is sound");
        let executors = [Family::Direct, Family::Tiled].map(|family| executor(&gpu, &graph, family));
        executors.iter().for_each(|executor| check(executor, name));
        let contenders = executors.iter().map(|executor| Contender {
            name: name.into(),
            record: Box::new(|encoder| executor.encode_dispatches(encoder, 1)),
        });
        let times = interleaved(&gpu, &contenders.collect::<Vec<_>>(), 11, 2);
        let text = |stats: Stats| format!("{:.0} ({:.0}-{:.0})", stats.median, stats.min, stats.max);
        let rate = |stats: Stats| 2.0 * graph.macs() as f64 / stats.median / 1e3;
        let [direct, tiled] = [times[0].0, times[1].0];
        println!("{name:34} {:>26} {:8.1}   {:>26} {:8.1}", text(direct), rate(direct), text(tiled), rate(tiled));

        let mut group = criterion.benchmark_group("kernels");
        group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
        for (executor, family) in executors.iter().zip(["direct", "tiled"]) {
            group.bench_function(BenchmarkId::new(family, name), |bencher| {
                bencher.iter_custom(|iterations| {
                    let timing =
                        timer.time(|encoder| (0..iterations).try_for_each(|_| executor.encode_dispatches(encoder, 1)));
                    Duration::from_secs_f64(micros(timing.expect("the case has just run")) / 1e6)
                });
            });
        }
    }
    criterion.final_summary();
}
