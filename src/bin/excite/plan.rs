//! `excite plan`: what a run would do, without running it.

use crate::Failure;
use crate::common::{self, Device, Size, Storage, TuningSource, heading};
use crate::model::{self, Asked, FileOptions, Network};
use crate::terminal;
use clap::ValueEnum;
use excite::plan::{Binding, Fusion, Plan, PlanOptions, RegionPlan, SeBlockPlan, Target};
use excite::{Error, Gpu};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Show what a run would do, dispatch by dispatch
///
/// Every dispatch with its reads and writes, and the totals: buffers, bytes, multiply-adds. Needs no GPU: plans for a
/// typical one unless --device names an adapter. Two plans compare with `diff`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite plan seresnet50 --batch 32
  excite plan net.onnx --explain                 # what is an SE se_block and what isn't, and why
  diff <(excite plan seresnet50) <(excite plan seresnet50 --fusion none)")]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
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
    /// Leave the SE blocks out.
    #[arg(long, help_heading = heading::NETWORK)]
    without_se: bool,
    /// Say first what is an SE block, and what looks like one and isn't; and last what every dispatch computes, by which
    /// algorithm, with what fused, and why.
    #[arg(long, help_heading = heading::OUTPUT)]
    explain: bool,
    /// Write the WGSL of every pipeline into this directory, and a list of them with their constants, pipelines.json. The
    /// directory is made if it isn't there; files of these names are replaced.
    #[arg(long, value_name = "DIR", help_heading = heading::OUTPUT)]
    wgsl: Option<PathBuf>,
    #[command(flatten)]
    file: FileOptions,
    /// What to plan for, with the limits that every WebGPU adapter has.
    #[arg(long, default_value = "gpu", conflicts_with = "device")]
    target: Kind,
    #[command(flatten)]
    tuning: TuningSource,
    #[command(flatten)]
    device: Device,
    /// Print a JSON document.
    #[arg(long, help_heading = heading::OUTPUT)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A discrete GPU.
    Gpu,
    /// A GPU that shares the host's memory.
    Integrated,
    /// An adapter that computes on the CPU.
    Software,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let batch = common::check_batch(args.batch)?;
    let network = Network::open(args.asked.name(), args.size, None, &args.file)?;
    let candidates = if args.explain { network.se_candidates()? } else { Vec::new() };
    let graph = if args.without_se { network.without_se()? } else { network.graph.clone() };
    let (target, text, gpu) = target(args)?;
    let (precision, ranges) = (args.storage.precision, args.storage.ranges()?);
    let tuning = args.tuning.load(gpu.as_ref(), precision)?;
    let options = PlanOptions::default().fusion(args.fusion).precision(precision).ranges(ranges).tuning(tuning);
    let (parts, plan) = Plan::in_parts(&graph, batch, &target, &options)?;
    if let Some(directory) = &args.wgsl {
        write_wgsl(&plan, directory)?;
    }
    if args.json {
        let mut document = document(&plan, &text, args.without_se);
        document["images"] = json!(parts.batch);
        document["parts"] = json!(parts.count());
        document["fixed_batch"] = json!(network.fixed_batch);
        if args.explain {
            document["se"] = candidates.iter().map(model::candidate_json).collect();
            document["regions"] = plan.regions.iter().map(region_document).collect();
        }
        return Ok(terminal::write_json(out, &document)?);
    }
    if args.explain {
        let nothing = if candidates.is_empty() { " nothing" } else { "" };
        writeln!(out, "SE blocks and what looks like one:{nothing}")?;
        candidates.iter().try_for_each(|candidate| writeln!(out, "  {candidate}"))?;
        writeln!(out)?;
    }
    if let Some(fixed) = &network.fixed_batch {
        writeln!(out, "the batch is {fixed}; planned for {batch} of the file's batches, each for itself")?;
    }
    writeln!(out, "planned for {text}{}", if args.without_se { ", without SE" } else { "" })?;
    if parts.count() > 1 {
        writeln!(out, "{batch} images pass a limit: they run in {parts}, each as follows")?;
    }
    terminal::write_lines(out, &plan)?;
    if args.explain {
        writeln!(out, "\nregions: what each dispatch computes, and why")?;
        plan.regions.iter().try_for_each(|region| terminal::write_lines(out, region))?;
    }
    Ok(())
}

/// What to plan for, what it is called, and the adapter if it is one.
fn target(args: &Args) -> excite::Result<(Target, String, Option<Gpu>)> {
    if args.device.device.is_some() {
        let gpu = Gpu::open(&args.device.options().pipeline_cache(None))?;
        return Ok((gpu.target().clone(), gpu.describe(), Some(gpu)));
    }
    Ok(match args.target {
        Kind::Gpu => (Target::gpu(), "a GPU with the default limits of WebGPU".into(), None),
        Kind::Integrated => (Target::integrated(), "an integrated GPU with the default limits of WebGPU".into(), None),
        Kind::Software => (Target::software(), "a software adapter with the default limits of WebGPU".into(), None),
    })
}

/// Writes every pipeline of a plan, and the list of them last.
fn write_wgsl(plan: &Plan, directory: &Path) -> excite::Result<()> {
    let refuse = |path: &Path, source: std::io::Error| {
        let message = "can't be written".into();
        Error::File { path: path.into(), message, source: Some(Box::new(source)) }
    };
    std::fs::create_dir_all(directory).map_err(|error| refuse(directory, error))?;
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| refuse(&path, error))
    };
    let mut listed = Vec::new();
    for (index, pipeline) in plan.wgsl().into_iter().enumerate() {
        let shader = pipeline.label.split(' ').next().unwrap_or_default().replace('/', "_");
        let file = format!("{index:03}_{shader}.wgsl");
        let constants: Vec<String> = pipeline.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write(&file, &format!("// {}\n// Constants {}\n{}", pipeline.label, constants.join(" "), pipeline.source))?;
        let steps: Vec<&str> = pipeline.steps.iter().map(|&step| plan.steps[step].name.as_str()).collect();
        let constants: serde_json::Map<String, serde_json::Value> =
            pipeline.constants.iter().map(|&(name, value)| (name.into(), json!(value))).collect();
        listed.push(json!({
            "file": file,
            "label": pipeline.label,
            "entry_point": "main",
            "constants": constants,
            "dispatches": steps,
        }));
    }
    let list = json!({ "schema": 1, "network": plan.name, "batch": plan.batch, "pipelines": listed });
    write("pipelines.json", &format!("{list:#}\n"))
}

fn region_document(region: &RegionPlan) -> serde_json::Value {
    json!({
        "name": region.name,
        "computes": region.covers.iter().map(|(name, op)| json!({ "name": name, "op": op })).collect::<Vec<_>>(),
        "algorithm": region.algorithm,
        "loads": region.load,
        "then": region.finish,
        "writes": region.place,
        "because": region.why,
        "dispatches": region.steps.clone().collect::<Vec<_>>(),
    })
}

fn document(plan: &Plan, target: &str, without_se: bool) -> serde_json::Value {
    let steps: Vec<_> = (0..plan.steps.len()).map(|index| step_document(plan, index)).collect();
    json!({
        "network": plan.name,
        "target": target,
        "without_se": without_se,
        "batch": plan.batch,
        "fusion": plan.options.fusion.to_string(),
        "precision": plan.options.precision.to_string(),
        "tuned": plan.options.tuning.is_some(),
        "steps": steps,
        "se_blocks": plan.se_blocks.iter().map(block_document).collect::<Vec<_>>(),
        "macs": plan.macs(),
        "bytes_moved": plan.bytes_moved(),
        "activation_bytes": plan.activation_bytes(),
        "activation_buffers": plan.buffers,
        "staging_bytes": plan.staging_bytes(),
        "device_bytes": plan.device_bytes(),
        "pipelines": plan.pipelines(),
        "weight_bytes": plan.weight_bytes(),
        "weight_buffers": plan.weights.len(),
    })
}

fn block_document(se_block: &SeBlockPlan) -> serde_json::Value {
    json!({
        "name": se_block.name,
        "channels": se_block.channels,
        "reduced": se_block.reduced,
        "height": se_block.height,
        "width": se_block.width,
        "squeeze": se_block.squeeze,
        "excitation": se_block.excitation,
        "scale": se_block.scale,
    })
}

fn step_document(plan: &Plan, index: usize) -> serde_json::Value {
    let step = &plan.steps[index];
    let overrides: serde_json::Map<_, _> =
        step.overrides.iter().map(|&(name, value)| (name.to_string(), json!(value))).collect();
    let read = |binding: Binding| json!({ "from": origin(plan, index, binding), "bytes": plan.binding_bytes(binding) });
    json!({
        "name": step.name,
        "kernel": step.shader.name,
        "subgroups": step.variant.subgroups(),
        "sums": step.variant.sums(),
        "block": step.variant.keeps_end(),
        "split_k": step.variant.partial_sums(),
        "nchw": step.variant.nchw(),
        "shuffle": step.variant.shuffles(),
        "half": step.variant.half(),
        "matrices": step.variant.matrices().map(|size| size.to_string()),
        "choice": step.choice.map(|(choice, _)| choice.to_string()),
        "chosen_by": step.choice.map(|(_, by)| by.to_string()),
        "overrides": overrides,
        "params": step.params,
        "workgroups": step.workgroups,
        "reads": step.reads().into_iter().map(read).collect::<Vec<_>>(),
        "bytes_written": plan.bytes_written(step),
        "bytes_moved": plan.step_bytes(step),
        "macs": step.macs,
    })
}

/// The step that wrote last of what the step at `index` reads; `input` and `weights` are written by none.
fn origin(plan: &Plan, index: usize, binding: Binding) -> &str {
    let writer = || plan.steps[..index].iter().rfind(|step| step.writes().contains(&binding));
    match binding {
        Binding::Weight(_) => "weights",
        Binding::Value(_) => writer().map_or("input", |step| &step.name),
    }
}
