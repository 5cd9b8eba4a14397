//! A whole network: from host memory to answer, and its dispatches alone.

use super::{Args, DispatchTimer, Times, check, random_input};
use crate::Failure;
use crate::common::{self, Spinner};
use crate::model::Network;
use excite::{Executor, ExecutorOptions, Graph, PlanOptions, Precision, Weights};
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};

pub fn run(args: &Args, batch: usize, out: &mut dyn Write) -> Result<(), Failure> {
    let asked = Network::open(&args.what, args.size, args.weights.classes, &args.file)?;
    let (weights, origin) = asked.weights_or_random(&args.weights)?;
    asked.warn_of_fixed_batch(batch);
    let weights = weights.fit(&asked.graph)?;
    let graph = if args.without_se { asked.without_se()? } else { asked.graph.clone() };
    let weights = if args.without_se { those_of(&graph, &weights)? } else { weights };
    let fusion = args.fusion.unwrap_or_default();
    let gpu = args.device.open()?;
    let options =
        ExecutorOptions { plan: PlanOptions { fusion, precision: args.precision, ..Default::default() }, guard: false };
    let network = Executor::new(&gpu, &graph, &weights, options)?;
    let input = random_input(&graph, batch)?;
    let error = {
        let _spinner = Spinner::new("checking the answer against the CPU reference");
        check(&network, &weights, &input, args.precision)?
    };
    let spinner = Spinner::new("timing");
    let whole = Times::measure(Duration::from_secs(2), || {
        let start = Instant::now();
        network.run(&input)?;
        Ok(start.elapsed())
    })?;
    let timer = DispatchTimer::new(&gpu);
    let device = Times::measure(Duration::from_secs(2), || timer.once(&network, batch))?;
    drop(spinner);
    let plan = network.plan(batch)?;
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
            "precision": args.precision.to_string(),
            "dispatches": plan.steps.len(),
            "macs": plan.macs(),
            "bytes_moved": plan.bytes_moved(),
            "error": error,
            "run": whole.document(),
            "dispatches_alone": device.document(),
            "clock": timer.clock,
        });
        return Ok(common::write_json(out, &document)?);
    }
    let half = if args.precision == Precision::F16 { ", precision f16" } else { "" };
    writeln!(out, "{model}{se}, batch {batch}, {shape}, fusion {fusion}{half}, on {}", gpu.describe())?;
    writeln!(out, "checked: error {error:.1e} relative to the reference; weights: {origin}")?;
    writeln!(out, "{:34} {:>9} {:>9} {:>9}", "milliseconds", "median", "min", "max")?;
    writeln!(out, "{:34} {whole}", "run, from host memory to answer")?;
    let label = format!("{} dispatches alone ({} clock)", plan.steps.len(), timer.clock);
    writeln!(out, "{label:34} {device}")?;
    let (images, seconds) = (batch as f64 * 1e3 / whole.median, device.median / 1e3);
    let (work, traffic) = (plan.macs() as f64 * 2e-9 / seconds, plan.bytes_moved() as f64 * 1e-9 / seconds);
    writeln!(out, "{images:.1} images/s; dispatches alone: {work:.1} GFLOP/s, {traffic:.1} GB/s")?;
    Ok(())
}

/// The weights that the network without its SE stages still reads.
fn those_of(graph: &Graph, weights: &Weights) -> excite::Result<Weights> {
    let tensors = graph.tensors().into_iter().map(|(name, shape)| Ok((name.clone(), weights.get(&name, &shape)?)));
    Ok(Weights::from_tensors(tensors.collect::<excite::Result<Vec<_>>>()?))
}
