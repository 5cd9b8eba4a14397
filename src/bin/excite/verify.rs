//! `excite verify`: every node on the device against the CPU reference.

use crate::Failure;
use crate::common::{self, Device, Size, Storage, TuningSource, WeightSource, heading};
use crate::model::{Asked, FileOptions, Network};
use crate::terminal::{self, Spinner};
use excite::Weights;
use excite::plan::{Fusion, PlanOptions};
use excite::verify::{Comparison, Options, Report, Tolerance, verify};
use serde_json::json;
use std::io::Write;

/// Compare every node and SE block on the device with the CPU reference
///
/// Runs random images. The reference is slow: expect a minute for a ResNet-50 at its full size, and use a smaller --size
/// to be done sooner. The exit status is 1 if anything is off by more than f32 arithmetic explains; with --precision
/// f16, by more than 4 times what the same graph in half precision is off by on the CPU, and by more than 1e-3.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite verify digits
  excite verify seresnet50 --seed 1 --gain 1.25 --size 64x64
  excite verify net.onnx --precision f16")]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    weights: WeightSource,
    /// Images per run.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = heading::IMAGES)]
    batch: usize,
    /// Height and width of the images [default: the network's own].
    #[arg(long, value_name = "HxW", help_heading = heading::IMAGES)]
    size: Option<Size>,
    /// How far ops share dispatches.
    #[arg(long, default_value = "full", value_parser = common::fusion(), help_heading = heading::KERNELS)]
    fusion: Fusion,
    #[command(flatten)]
    storage: Storage,
    #[command(flatten)]
    tuning: TuningSource,
    #[command(flatten)]
    device: Device,
    /// Print a JSON document.
    #[arg(long, help_heading = heading::OUTPUT)]
    json: bool,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let batch = common::check_batch(args.batch)?;
    let network = Network::open(args.asked.name(), args.size, Some(&args.weights), &args.file)?;
    let (weights, origin) = network.weights_or_random(&args.weights)?;
    network.warn_of_fixed_batch(batch);
    let graph = &network.graph;
    let (precision, ranges) = (args.storage.precision, args.storage.ranges()?);
    let gpu = args.device.open()?;
    let input =
        Weights::seeded(args.weights.seed.unwrap_or(1), 1.0).get("input", &graph.input_shape().with_batch(batch))?;
    let tuning = args.tuning.load(Some(&gpu), precision)?;
    let plan = PlanOptions::default().fusion(args.fusion).precision(precision).ranges(ranges).tuning(tuning);
    let options = Options::for_plan(plan);
    let report = {
        let _spinner = Spinner::new("comparing with the CPU reference");
        verify(&gpu, graph, &weights, &input, &options)?
    };
    if args.json {
        let mut document = document(&report);
        document["adapter"] = common::adapter_json(&gpu);
        document["weights"] = json!(origin);
        terminal::write_json(out, &document)?;
    } else {
        terminal::write_lines(out, &report)?;
        writeln!(out, "weights: {origin}; images: random, {}", graph.input_shape())?;
    }
    let Some(first) = report.first_failure() else { return Ok(()) };
    out.flush()?;
    let (Tolerance::Relative(allowed) | Tolerance::Absolute(allowed)) = first.tolerance;
    let (kind, name) = (first.kind, excite::escaped(&first.name));
    terminal::error(&format!("{kind} \"{name}\": error {:.1e}, at most {allowed:.0e} is allowed", first.error));
    Err(Failure::Reported)
}

fn document(report: &Report) -> serde_json::Value {
    let rows = |rows: &[Comparison]| rows.iter().map(row).collect::<Vec<_>>();
    json!({
        "network": report.network,
        "batch": report.batch,
        "fusion": report.plan.fusion.to_string(),
        "precision": report.plan.precision.to_string(),
        "largest": report.largest,
        "passed": report.passed(),
        "first_failure": report.first_failure().map(|first| &first.name),
        "worst": report.worst().map(|worst| &worst.name),
        "nodes": rows(&report.nodes),
        "outputs": rows(&report.outputs),
    })
}

fn row(row: &Comparison) -> serde_json::Value {
    let (measure, tolerance) = match row.tolerance {
        Tolerance::Relative(limit) => ("relative", limit),
        Tolerance::Absolute(limit) => ("absolute", limit),
    };
    json!({
        "name": row.name,
        "kind": row.kind,
        "passed": row.passed(),
        // JSON has no infinity: null is an error without measure.
        "error": row.error,
        "measure": measure,
        "tolerance": tolerance,
        "worst_element": { "index": row.worst, "expected": row.expected, "found": row.got },
    })
}
