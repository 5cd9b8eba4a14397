//! The SE block of ResNet-50's blocks, in every variant.

use super::{Args, DispatchTimer, Times, check, random_input};
use crate::Failure;
use crate::common;
use crate::terminal::{self, Spinner};
use excite::gpu::{Executor, ExecutorOptions};
use excite::ops::{Act, Add, Op, SqueezeExcite};
use excite::plan::{Fusion, PlanOptions, SeVariant};
use excite::{Error, Graph, GraphBuilder, Result, Shape, Weights};
use serde_json::json;
use std::io::Write;
use std::time::Duration;

/// SE blocks of ResNet-50: channels and side of the map.
const SHAPES: [(usize, usize); 4] = [(256, 56), (512, 28), (1024, 14), (2048, 7)];
/// Channels for one reduced channel.
const RATIO: usize = 16;
/// SE blocks in a row: enough for the changes of layout at both ends to weigh little.
const SE_BLOCKS: usize = 8;

/// A way to compute the SE block.
struct Variant {
    name: &'static str,
    fusion: Fusion,
    se: Option<SeVariant>,
}

const VARIANTS: [Variant; 6] = [
    Variant { name: "none", fusion: Fusion::None, se: None },
    Variant { name: "kernels", fusion: Fusion::Kernels, se: None },
    Variant { name: "full", fusion: Fusion::Full, se: None },
    Variant { name: "full, spread", fusion: Fusion::Full, se: Some(SeVariant::Spread) },
    Variant { name: "full, excite", fusion: Fusion::Full, se: Some(SeVariant::Excite) },
    Variant { name: "full, block", fusion: Fusion::Full, se: Some(SeVariant::Block) },
];

/// `x ← relu(x * gate(x) + input)`, SE block after SE block.
fn se_blocks(channels: usize, side: usize) -> Result<Graph> {
    let mut g = GraphBuilder::new(format!("se {channels}x{side}x{side}"));
    let input = g.input(Shape::map(channels, side, side))?;
    let mut x = input;
    for i in 0..SE_BLOCKS {
        x = g.squeeze_excite(&format!("block{i}"), x, SqueezeExcite::new(channels / RATIO))?;
        x = g.add(&format!("block{i}.add"), Op::Add(Add::default()), &[x, input])?;
        x = g.activation(&format!("block{i}.relu"), x, Act::Relu)?;
    }
    g.finish(&[("y", x)])
}

pub fn run(args: &Args, batch: usize, out: &mut dyn Write) -> std::result::Result<(), Failure> {
    for (given, option) in [
        (args.size.is_some(), "--size"),
        (args.without_se, "--without-se"),
        (args.steps, "--steps"),
        (args.start || args.start_once, "--start"),
        (args.storage.has_ranges(), "--ranges"),
        (args.weights.weights.is_some(), "--weights"),
        (args.tuning.is_on(), "--tuning"),
    ] {
        if given {
            let message = format!("{option} is for networks: `bench se` times random SE blocks of four shapes");
            return Err(Error::Request(message).into());
        }
    }
    let gpu = args.device.open()?;
    let timer = DispatchTimer::new(&gpu);
    let mut documents = Vec::new();
    if !args.json {
        writeln!(out, "SE block with residual sum and ReLU, batch {batch}, reduction {RATIO}, on {}", gpu.describe())?;
        writeln!(out, "milliseconds an SE block ({} clock), {SE_BLOCKS} in a row; every variant checked", timer.clock)?;
    }
    for (channels, side) in SHAPES {
        let graph = se_blocks(channels, side)?;
        let input = random_input(&graph, batch)?;
        let weights = Weights::seeded(args.weights.seed.unwrap_or(1), args.weights.gain);
        if !args.json {
            writeln!(out)?;
            writeln!(out, "{channels}x{side}x{side}")?;
            writeln!(
                out,
                "{:14} {:>10} {:>9} {:>9} {:>9}  {:>9}  {:>6} {:>8}",
                "fusion", "dispatches", "median", "min", "max", "", "GB/s", "speed-up"
            )?;
        }
        let mut unfused = None;
        for variant in VARIANTS.iter().filter(|variant| args.fusion.is_none_or(|fusion| fusion == variant.fusion)) {
            let spinner = Spinner::new(format!("{channels}x{side}x{side} {}", variant.name));
            let plan = PlanOptions::default().fusion(variant.fusion).se(variant.se).precision(args.storage.precision);
            let options = ExecutorOptions::default().plan(plan);
            let network = Executor::new(&gpu, &graph, &weights, options)?;
            check(&network, &weights, &input, args.storage.precision)?;
            let times = Times::measure(Duration::from_millis(500), || timer.once(&network, batch))?;
            let times = times.divided_by(SE_BLOCKS as f64);
            drop(spinner);
            let (parts, plan) = network.plan_in_parts(batch)?;
            let traffic =
                plan.bytes_moved() as f64 * (batch as f64 / parts.size as f64) / SE_BLOCKS as f64 / times.median * 1e-6;
            let dispatches = (plan.steps.len() - 2) / SE_BLOCKS;
            let speed_up = *unfused.get_or_insert(times.median) / times.median;
            if args.json {
                documents.push(json!({
                    "shape": [channels, side, side],
                    "variant": variant.name,
                    "dispatches": dispatches,
                    "times": times.document(),
                    "gigabytes_per_second": traffic,
                    "speed_up": speed_up,
                }));
            } else {
                writeln!(out, "{:14} {dispatches:>10} {times}  {traffic:>6.1} {speed_up:>7.2}x", variant.name)?;
                out.flush()?;
            }
        }
    }
    if args.json {
        let document = json!({
            "adapter": common::adapter_json(&gpu),
            "batch": batch,
            "reduction": RATIO,
            "clock": timer.clock,
            "rows": documents,
        });
        terminal::write_json(out, &document)?;
    }
    Ok(())
}
