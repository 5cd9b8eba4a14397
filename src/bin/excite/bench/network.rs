//! A whole network: until its first answer, from host memory to answer, and its dispatches alone.

use super::{Args, DispatchTimer, Times, check, random_input, steps};
use crate::Failure;
use crate::common;
use crate::model::Network;
use crate::terminal::{self, Spinner};
use excite::gpu::{Executor, ExecutorOptions, WarmUp};
use excite::plan::PlanOptions;
use excite::{Gpu, Graph, Precision, Tensor, Weights};
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};

pub fn run(args: &Args, batch: usize, out: &mut dyn Write) -> Result<(), Failure> {
    let Opened { asked, graph, weights, origin, gpu, opened, options, input } = Opened::new(args, batch)?;
    let (fusion, precision) = (options.plan.fusion, options.plan.precision);
    let spinner = Spinner::new("starting");
    let (network, first) = StartUp::measure(&gpu, &graph, &weights, &options, &input)?;
    let (again, second) = StartUp::measure(&gpu, &graph, &weights, &options, &input)?;
    drop((again, spinner));
    let error = {
        let _spinner = Spinner::new("checking the answer against the CPU reference");
        check(&network, &weights, &input, precision)?
    };
    let spinner = Spinner::new("timing");
    let whole = Times::measure(Duration::from_secs(2), || {
        let start = Instant::now();
        network.run(&input)?;
        Ok(start.elapsed())
    })?;
    let mut answers = network.run_many(std::iter::repeat(&input));
    let many = Times::measure(Duration::from_secs(2), || {
        let start = Instant::now();
        answers.next().expect("there are batches without end")?;
        Ok(start.elapsed())
    })?;
    drop(answers);
    let timer = DispatchTimer::new(&gpu);
    let device = Times::measure(Duration::from_secs(2), || timer.once(&network, batch))?;
    let step_times = args.steps.then(|| steps::measure(&timer, &network, batch)).transpose()?;
    drop(spinner);
    let (parts, plan) = network.plan_in_parts(batch)?;
    // The work of all parts is that of one, times this.
    let times = batch as f64 / parts.size as f64;
    let (model, shape) = (&asked.name, graph.input_shape());
    let se = if args.without_se { ", without SE" } else { "" };
    if args.json {
        let document = json!({
            "adapter": common::adapter_json(&gpu),
            "network": model,
            "without_se": args.without_se,
            "weights": origin,
            "batch": batch,
            "size": [shape.height(), shape.width()],
            "fusion": fusion.to_string(),
            "precision": precision.to_string(),
            "tuned": options.plan.tuning.is_some(),
            "parts": parts.count(),
            "dispatches": plan.steps.len(),
            "macs": plan.macs(),
            "bytes_moved": plan.bytes_moved(),
            "error": error,
            "start": {
                "open_ms": milliseconds(opened),
                "cached_pipeline_bytes": gpu.cached_pipeline_bytes(),
                "first": first.document(),
                "second": second.document(),
            },
            "pipelines": first.made.pipelines,
            "memory": {
                "device_bytes": plan.device_bytes(),
                "weight_bytes": plan.weight_bytes(),
                "activation_bytes": plan.activation_bytes(),
                "staging_bytes": plan.staging_bytes(),
            },
            "run": whole.document(),
            "run_many": many.document(),
            "dispatches_alone": device.document(),
            "clock": timer.clock,
            "steps": step_times.map(|times| steps::document(&plan, &times)),
        });
        return Ok(terminal::write_json(out, &document)?);
    }
    let half = if precision == Precision::F16 { ", precision f16" } else { "" };
    writeln!(out, "{model}{se}, batch {batch}, {shape}, fusion {fusion}{half}, on {}", gpu.describe())?;
    if parts.count() > 1 {
        writeln!(out, "{batch} images pass a limit of the adapter: they run in {parts}")?;
    }
    writeln!(out, "checked: error {error:.1e} relative to the reference; weights: {origin}")?;
    let kept = match gpu.cached_pipeline_bytes() {
        None => "no pipelines are kept on disk".into(),
        Some(0) => "none were on disk".into(),
        Some(bytes) => format!("{:.1} kB were on disk", bytes as f64 / 1e3),
    };
    writeln!(out, "{:.0} ms to open the device; {} pipelines, {kept}", milliseconds(opened), first.made.pipelines)?;
    writeln!(out, "first answer of the process after {first}")?;
    writeln!(out, "and of a second executor after   {second}")?;
    writeln!(
        out,
        "{:.1} MB of memory: weights {:.1}, activations {:.1}, staging {:.1}",
        plan.device_bytes() as f64 / 1e6,
        plan.weight_bytes() as f64 / 1e6,
        plan.activation_bytes() as f64 / 1e6,
        plan.staging_bytes() as f64 / 1e6
    )?;
    writeln!(out, "{:34} {:>9} {:>9} {:>9}", "milliseconds", "median", "min", "max")?;
    writeln!(out, "{:34} {whole}", "run, from host memory to answer")?;
    writeln!(out, "{:34} {many}", "run_many, an answer")?;
    let dispatches = plan.steps.len() * parts.count();
    let label = format!("{dispatches} dispatches alone ({} clock)", timer.clock);
    writeln!(out, "{label:34} {device}")?;
    let (images, seconds) = (batch as f64 * 1e3 / many.median, device.median / 1e3);
    let (work, traffic) =
        (times * plan.macs() as f64 * 2e-9 / seconds, times * plan.bytes_moved() as f64 * 1e-9 / seconds);
    writeln!(out, "{images:.1} images/s by run_many; dispatches alone: {work:.1} GFLOP/s, {traffic:.1} GB/s")?;
    if let Some(times) = step_times {
        steps::print(&plan, &times, out)?;
    }
    Ok(())
}

/// What the options add up to, with the device open.
pub struct Opened {
    asked: Network,
    pub graph: Graph,
    pub weights: Weights,
    origin: String,
    pub gpu: Gpu,
    /// Time to open it.
    pub opened: Duration,
    pub options: ExecutorOptions,
    pub input: Tensor,
}

impl Opened {
    pub fn new(args: &Args, batch: usize) -> excite::Result<Self> {
        let asked = Network::open(args.what(), args.size, Some(&args.weights), &args.file)?;
        let (weights, origin) = asked.weights_or_random(&args.weights)?;
        asked.warn_of_fixed_batch(batch);
        let weights = weights.fit(&asked.graph)?;
        let graph = if args.without_se { asked.without_se()? } else { asked.graph.clone() };
        let weights = if args.without_se { those_of(&graph, &weights)? } else { weights };
        let (precision, ranges) = (args.storage.precision, args.storage.ranges()?);
        let start = Instant::now();
        let gpu = args.device.open()?;
        let opened = start.elapsed();
        let tuning = args.tuning.load(Some(&gpu), precision)?;
        let fusion = args.fusion.unwrap_or_default();
        let plan = PlanOptions::default().fusion(fusion).precision(precision).ranges(ranges).tuning(tuning);
        let options = ExecutorOptions::default().plan(plan);
        let input = random_input(&graph, batch)?;
        Ok(Self { asked, graph, weights, origin, gpu, opened, options, input })
    }
}

/// What it took to the first answer, from names and shapes of the weights on.
pub struct StartUp {
    pub made: WarmUp,
    /// The first run, in which some drivers compile.
    run: Duration,
    total: Duration,
}

impl StartUp {
    pub fn measure(
        gpu: &Gpu,
        graph: &Graph,
        weights: &Weights,
        options: &ExecutorOptions,
        input: &Tensor,
    ) -> excite::Result<(Executor, Self)> {
        let start = Instant::now();
        let network = Executor::new(gpu, graph, weights, options.clone())?;
        let made = network.warm_up(input.batch())?;
        let made_after = start.elapsed();
        network.run(input)?;
        let total = start.elapsed();
        Ok((network, Self { made, run: total - made_after, total }))
    }

    pub fn document(&self) -> serde_json::Value {
        json!({
            "pipelines_ms": milliseconds(self.made.pipeline_time),
            "weights_ms": milliseconds(self.made.weight_time),
            "run_ms": milliseconds(self.run),
            // Planning, buffers, and the check of the weights' names.
            "others_ms": milliseconds(self.total.saturating_sub(self.made.pipeline_time + self.made.weight_time + self.run)),
            "first_answer_ms": milliseconds(self.total),
        })
    }
}

impl std::fmt::Display for StartUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [total, pipelines, weights] =
            [self.total, self.made.pipeline_time, self.made.weight_time].map(milliseconds);
        write!(f, "{total:.0} ms, of them {pipelines:.0} for pipelines and {weights:.0} for weights")
    }
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The weights that the network without its SE blocks still reads.
fn those_of(graph: &Graph, weights: &Weights) -> excite::Result<Weights> {
    let tensors = graph.tensors().into_iter().map(|(name, shape)| Ok((name.clone(), weights.get(&name, &shape)?)));
    Ok(Weights::from_tensors(tensors.collect::<excite::Result<Vec<_>>>()?))
}
