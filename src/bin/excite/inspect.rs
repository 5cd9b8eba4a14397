//! `excite inspect`: what is in a file, and which SE blocks a network has.

use crate::Failure;
use crate::classify::paths::{self, STANDARD};
use crate::common::{self, Size, heading};
use crate::model::{self, Asked, FileOptions, Named};
use crate::terminal;
use excite::graph::{SeCandidate, SeVerdict};
use excite::import::onnx::{Onnx, OnnxInput, OnnxModel, OnnxOptions};
use excite::ops::Op;
use excite::{Error, Graph, Result, Weights, escaped, zoo};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Names of nodes listed for an op that is not supported. A JSON document has them all.
const SHOWN: usize = 6;

/// Show what is in a model file: ops, sizes, SE blocks, and what is not supported
///
/// Of an ONNX file also what looks like an SE block and isn't, and why. If the file can't be run, all that is known of it
/// is shown, then the reason, and the exit status is 1. Of weights, which are safetensors files or directories of them,
/// it says whose they are. `-` is a file of one of both kinds from standard input.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite inspect net.onnx
  excite inspect seresnet50 --json
  excite inspect model.safetensors               # whose weights these are
  curl -s https://example.org/net.onnx | excite inspect -")]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
    /// Height and width of the images [default: the network's own].
    #[arg(long, value_name = "HxW", help_heading = heading::IMAGES)]
    size: Option<Size>,
    #[command(flatten)]
    file: FileOptions,
    /// Print a JSON document.
    #[arg(long, help_heading = heading::OUTPUT)]
    json: bool,
}

pub fn run(args: &Args, out: &mut dyn Write) -> std::result::Result<(), Failure> {
    let name = args.asked.name();
    if let Some(path) = weights_path(name) {
        return inspect_weights(args, || Weights::open(path), out);
    }
    let size = args.size.map(|size| size.0);
    let options = args.file.onnx(size);
    let of_onnx = |onnx: &Onnx| {
        let (model, problem) = match onnx.model(&options) {
            Ok(model) => (Some(model), None),
            Err(error) => (None, Some(error)),
        };
        (Summary::of_onnx(name, onnx, model), problem)
    };
    let (summary, problem) = if paths::is_standard(name.as_ref()) {
        let bytes = paths::read_standard("file", u64::MAX)?;
        if model::is_safetensors(&bytes) {
            return inspect_weights(args, || Weights::from_safetensors_bytes(bytes, STANDARD), out);
        }
        of_onnx(&Onnx::from_bytes(bytes, STANDARD)?)
    } else {
        match model::named(name)? {
            Named::Zoo(name) => {
                let options = zoo::Options::default().size(size);
                (Summary::of_zoo(name, zoo::build(name, &options)?)?, None)
            }
            Named::Onnx(path) => of_onnx(&Onnx::open(path, &options)?),
        }
    };
    if args.json {
        let mut document = summary.document();
        document["error"] = json!(problem.as_ref().map(|error| terminal::with_causes(error)));
        terminal::write_json(out, &document)?;
    } else {
        summary.write(out)?;
    }
    out.flush()?;
    problem.map_or(Ok(()), |error| Err(error.into()))
}

/// The file or directory of weights that is meant, if it is one.
fn weights_path(what: &str) -> Option<&Path> {
    let path = Path::new(what);
    let is_file = model::has_extension(path, &["safetensors"]) || what.ends_with(".safetensors.index.json");
    // A directory may be called as a network is.
    let is_directory = || path.is_dir() && !model::has_extension(path, &["onnx"]) && model::named(what).is_err();
    (is_file || is_directory()).then_some(path)
}

/// What is known of a network.
struct Summary {
    name: String,
    /// The program that wrote the file, and its operator set.
    producer: Option<(String, i64)>,
    /// Dimensions, the batch first; `None` is any.
    inputs: Vec<(String, Vec<Option<usize>>)>,
    /// The input that is given at run time, of an ONNX file.
    given: Option<OnnxInput>,
    /// Other files that hold its weights and were not read.
    unread_files: Vec<String>,
    /// None at all where they aren't known.
    outputs: Vec<(String, Option<Vec<Option<usize>>>)>,
    ops: Vec<(String, usize)>,
    parameters: u64,
    /// None where the file can't be translated.
    graph: Option<Graph>,
    fixed_batch: Option<String>,
    se: Vec<SeCandidate>,
    unsupported: BTreeMap<String, Vec<String>>,
}

impl Summary {
    fn of_zoo(name: &str, graph: Graph) -> Result<Self> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        graph.nodes().iter().skip(1).for_each(|node| *counts.entry(node.op.kind()).or_default() += 1);
        let mut ops: Vec<(String, usize)> = counts.into_iter().map(|(op, count)| (op.to_string(), count)).collect();
        ops.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let any_batch = |dims: Vec<usize>| std::iter::once(None).chain(dims.into_iter().map(Some)).collect();
        Ok(Self {
            name: name.into(),
            producer: None,
            inputs: vec![("input".into(), any_batch(graph.input_shape().dims()))],
            given: None,
            unread_files: Vec::new(),
            outputs: output_dims(&graph, None),
            ops,
            parameters: graph.parameter_count(),
            fixed_batch: None,
            se: graph.find_se()?.1,
            graph: Some(graph),
            unsupported: BTreeMap::new(),
        })
    }

    fn of_onnx(name: &str, onnx: &Onnx, model: Option<OnnxModel>) -> Self {
        let (graph, se, fixed_batch) = match model {
            Some(model) => (Some(model.graph), model.se, model.fixed_batch),
            None => (None, Vec::new(), None),
        };
        let given = onnx.input(&OnnxOptions::default()).ok();
        let batch = given.as_ref().and_then(|input| input.dims.first().copied().flatten());
        let outputs = match &graph {
            // A value of the file's whole batch has it among its dimensions.
            Some(graph) if fixed_batch.is_some() => {
                let dims = |id| graph.node(id).shape.dims().into_iter().map(Some).collect();
                graph.outputs().iter().map(|(name, id)| (name.clone(), Some(dims(*id)))).collect()
            }
            Some(graph) => output_dims(graph, batch),
            None => onnx.outputs().iter().map(|name| (name.clone(), None)).collect(),
        };
        Self {
            name: name.into(),
            producer: Some((onnx.producer().into(), onnx.opset())),
            inputs: onnx.inputs(),
            given,
            unread_files: onnx.unread_files(),
            outputs,
            ops: onnx.ops(),
            parameters: onnx.parameters(),
            graph,
            fixed_batch: fixed_batch.map(|reason| onnx.fixed(&reason)),
            se,
            unsupported: onnx.unsupported(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.name)?;
        if let Some((producer, opset)) = &self.producer {
            writeln!(out, "  producer       {}", if producer.is_empty() { "not said" } else { producer })?;
            writeln!(out, "  opset          {opset}")?;
        }
        for (name, dims) in &self.inputs {
            writeln!(out, "  input          {name} {}{}", shown(dims), self.notes_of(name))?;
        }
        for (name, dims) in &self.outputs {
            writeln!(
                out,
                "  output         {name} {}",
                dims.as_deref().map_or_else(|| "of unknown shape".into(), shown)
            )?;
        }
        if let Some(fixed) = &self.fixed_batch {
            writeln!(out, "  batch          {fixed}")?;
        }
        writeln!(out, "  parameters     {} ({})", common::short(self.parameters), self.parameters)?;
        if !self.unread_files.is_empty() {
            writeln!(out, "  data           in {}, not read without --external-data", self.unread_files.join(", "))?;
        }
        if let Some(graph) = &self.graph {
            writeln!(out, "  multiply-adds  {} ({})", common::short(graph.macs()), graph.macs())?;
        }
        let ops: Vec<String> = self.ops.iter().map(|(op, count)| format!("{op} {count}")).collect();
        writeln!(out, "  ops            {}", ops.join(", "))?;
        if let Some(graph) = &self.graph {
            writeln!(out, "  SE blocks      {}", graph.se_blocks().count())?;
            write_blocks(graph, out)?;
        }
        let rest: Vec<&SeCandidate> =
            self.se.iter().filter(|candidate| !matches!(candidate.verdict, SeVerdict::Found { .. })).collect();
        if !rest.is_empty() {
            writeln!(out)?;
            writeln!(out, "looks like an SE block")?;
            rest.iter().try_for_each(|candidate| writeln!(out, "  {candidate}"))?;
        }
        if !self.unsupported.is_empty() {
            let opset = self.producer.as_ref().map_or(0, |(_, opset)| *opset);
            writeln!(out)?;
            writeln!(out, "not supported (opset {opset})")?;
            for (op, nodes) in &self.unsupported {
                let more = match nodes.len().saturating_sub(SHOWN) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                writeln!(out, "  {op}: {}{more}", nodes[..nodes.len().min(SHOWN)].join(", "))?;
            }
        }
        Ok(())
    }

    /// What is special about an input, after its dimensions.
    fn notes_of(&self, name: &str) -> String {
        let Some(given) = &self.given else { return String::new() };
        let notes = [
            (given.name != name, ", given no value: nothing reads it"),
            (given.name == name && given.channels_last, ", channels last (NHWC)"),
            (given.name == name && given.bytes, ", samples of 8 bits that the file normalises itself"),
        ];
        notes.iter().filter(|(holds, _)| *holds).map(|(_, note)| *note).collect()
    }

    fn document(&self) -> Value {
        let values = |values: &[(String, Option<Vec<Option<usize>>>)]| -> Vec<Value> {
            values.iter().map(|(name, dims)| json!({ "name": name, "shape": dims })).collect()
        };
        let inputs: Vec<_> = self.inputs.iter().map(|(name, dims)| (name.clone(), Some(dims.clone()))).collect();
        let ops: serde_json::Map<_, _> = self.ops.iter().map(|(op, count)| (op.clone(), json!(count))).collect();
        json!({
            "name": self.name,
            "producer": self.producer.as_ref().map(|(producer, _)| producer),
            "opset": self.producer.as_ref().map(|(_, opset)| opset),
            "inputs": values(&inputs),
            "given": self.given.as_ref().map(|input| json!({
                "name": input.name, "channels_last": input.channels_last, "bytes": input.bytes,
            })),
            "unread_files": self.unread_files,
            "outputs": values(&self.outputs),
            "fixed_batch": self.fixed_batch,
            "parameters": self.parameters,
            "macs": self.graph.as_ref().map(Graph::macs),
            "ops": ops,
            "se_blocks": self.graph.as_ref().map(|graph| se_blocks(graph).map(SeBlock::document).collect::<Vec<_>>()),
            "se": self.se.iter().map(model::candidate_json).collect::<Vec<_>>(),
            "unsupported": self.unsupported,
        })
    }
}

/// Names and dimensions of the outputs for a batch.
fn output_dims(graph: &Graph, batch: Option<usize>) -> Vec<(String, Option<Vec<Option<usize>>>)> {
    let dims = |id| std::iter::once(batch).chain(graph.node(id).shape.dims().into_iter().map(Some)).collect();
    graph.outputs().iter().map(|(name, id)| (name.clone(), Some(dims(*id)))).collect()
}

/// `[?, 3, 224, 224]`.
fn shown(dims: &[Option<usize>]) -> String {
    let dims: Vec<String> = dims.iter().map(|dim| dim.map_or_else(|| "?".into(), |dim| dim.to_string())).collect();
    format!("[{}]", dims.join(", "))
}

/// An SE block.
struct SeBlock<'a> {
    name: &'a str,
    /// Channels, height and width of the map.
    map: [usize; 3],
    op: &'a excite::ops::SqueezeExcite,
}

fn se_blocks(graph: &Graph) -> impl Iterator<Item = SeBlock<'_>> {
    graph.se_blocks().filter_map(|node| {
        let Op::SqueezeExcite(op) = &node.op else { return None };
        let map = graph.node(node.inputs[0]).shape;
        Some(SeBlock { name: &node.name, map: [map.channels(), map.height(), map.width()], op })
    })
}

impl SeBlock<'_> {
    fn document(self) -> Value {
        let [channels, height, width] = self.map;
        json!({
            "name": self.name,
            "channels": channels,
            "reduced": self.op.reduced,
            "height": height,
            "width": width,
            "squeeze": self.op.squeeze.to_string(),
            "hidden": self.op.hidden.to_string(),
            "gate": self.op.gate.to_string(),
            "bias": self.op.bias,
        })
    }
}

fn write_blocks(graph: &Graph, out: &mut dyn Write) -> io::Result<()> {
    let se_blocks: Vec<SeBlock> = se_blocks(graph).collect();
    if se_blocks.is_empty() {
        return Ok(());
    }
    let width = se_blocks.iter().map(|se_block| escaped(se_block.name).chars().count()).max().unwrap_or(0).max(8);
    writeln!(out)?;
    writeln!(out, "{:width$}      C  reduced  HxW      squeeze  hidden      gate", "SE block")?;
    for SeBlock { name, map: [channels, height, w], op } in se_blocks {
        writeln!(
            out,
            "{:width$}  {channels:>5}  {:>7}  {:7}  {:7}  {:10}  {}",
            escaped(name),
            op.reduced,
            format!("{height}x{w}"),
            op.squeeze.to_string(),
            op.hidden.to_string(),
            op.gate
        )?;
    }
    Ok(())
}

/// What is in a safetensors file.
fn inspect_weights(
    args: &Args,
    open: impl FnOnce() -> Result<Weights>,
    out: &mut dyn Write,
) -> std::result::Result<(), Failure> {
    if args.size.is_some() {
        let name = escaped(args.asked.name());
        return Err(Error::Request(format!("--size is for networks, {name} holds weights")).into());
    }
    let weights = open()?;
    let tensors = weights.tensors();
    let numbers = |(_, shape): &(String, Vec<usize>)| shape.iter().product::<usize>() as u64;
    let running = |name: &str| name.ends_with("running_mean") || name.ends_with("running_var");
    let parameters: u64 = tensors.iter().filter(|(name, _)| !running(name)).map(numbers).sum();
    let networks = weights.networks();
    if args.json {
        let shapes: serde_json::Map<_, _> = tensors.into_iter().map(|(name, shape)| (name, json!(shape))).collect();
        let document =
            json!({ "name": args.asked.name(), "parameters": parameters, "networks": networks, "tensors": shapes });
        return Ok(terminal::write_json(out, &document)?);
    }
    let whose = if networks.is_empty() { "no network of `excite models`".into() } else { networks.join(" or ") };
    writeln!(out, "{}", args.asked.name())?;
    writeln!(out, "  tensors        {}", tensors.len())?;
    writeln!(out, "  parameters     {} ({parameters})", common::short(parameters))?;
    writeln!(out, "  of             {whose}")?;
    writeln!(out)?;
    let tensors: Vec<_> = tensors.iter().map(|(name, shape)| (escaped(name), shape)).collect();
    let width = tensors.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    tensors.iter().try_for_each(|(name, shape)| writeln!(out, "{name:width$}  {shape:?}"))?;
    Ok(())
}
