//! `excite run`: tensors in, tensors out.

use crate::Failure;
use crate::common::{self, Device, Size, Spinner, Storage, TuningSource, WeightSource};
use crate::model::{self, FileOptions, Named, Network};
use crate::output;
use excite::import::safetensors;
use excite::{Error, Executor, ExecutorOptions, Fusion, PlanOptions, Result, Tensor, zoo};
use std::path::{Path, PathBuf};

/// Run a network on tensors: from a safetensors file into another
#[derive(clap::Args)]
pub struct Args {
    /// A network of `excite models`, or an ONNX file.
    model: String,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    weights: WeightSource,
    /// Safetensors file with the images: a tensor `input`, [N,C,H,W], of any height and width the network takes.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// File to write: a tensor `logits`, [N,classes], or `features` with --classes 0, or the ONNX file's outputs; and with --gates the gates. It appears
    /// whole or not at all.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Write the gate of every SE stage as well: tensors `gate.<stage>`, [N,C].
    #[arg(long)]
    gates: bool,
    /// How far ops share dispatches.
    #[arg(long, default_value = "full", value_parser = common::fusion())]
    fusion: Fusion,
    #[command(flatten)]
    storage: Storage,
    #[command(flatten)]
    tuning: TuningSource,
    #[command(flatten)]
    device: Device,
}

pub fn run(args: &Args) -> std::result::Result<(), Failure> {
    let channels = match model::named(&args.model)? {
        Named::Zoo(name) => Some(args.weights.channels.unwrap_or(zoo::entry(name)?.input.channels())),
        Named::Onnx(_) => None,
    };
    let (input, size) = read_input(&args.input, channels)?;
    let size = match model::named(&args.model)? {
        Named::Zoo(_) => size,
        Named::Onnx(path) => model::size_of_images(path, input.shape(), &args.file)?,
    };
    let network = Network::open(&args.model, size, Some(&args.weights), &args.file)?;
    let input = whole_batch(&args.input, input, &network)?;
    let (weights, _) = network.weights(&args.weights)?;
    let graph = if args.gates { network.graph.with_gate_outputs() } else { network.graph };
    output::check_place(&args.output)?;
    let (precision, ranges) = (args.storage.precision, args.storage.ranges()?);
    let gpu = args.device.open()?;
    let tuning = args.tuning.load(Some(&gpu), precision)?;
    let plan = PlanOptions { fusion: args.fusion, precision, ranges, tuning, ..Default::default() };
    let options = ExecutorOptions { plan, guard: false };
    let network = Executor::new(&gpu, &graph, &weights, options)?;
    let outputs = {
        let _spinner = Spinner::new(format!("running {} images", input.batch()));
        network.run_all(&input)?
    };
    output::write_tensors(&args.output, outputs.iter().map(|(name, tensor)| (name.as_str(), tensor)))?;
    eprintln!("wrote {} to {}", common::counted(outputs.len(), "tensor"), args.output.display());
    Ok(())
}

/// The images as one input, where the network looks across the images of a batch.
fn whole_batch(path: &Path, input: Tensor, network: &Network) -> Result<Tensor> {
    let Some(fixed) = &network.fixed_batch else { return Ok(input) };
    let one = network.graph.input_shape();
    let whole = [vec![1], input.shape().to_vec()].concat();
    if whole == one.with_batch(1) {
        return input.reshape(whole);
    }
    if input.shape() == one.with_batch(1) {
        return Ok(input);
    }
    let message = format!("has {} images for a network whose batch is {fixed}", input.batch());
    Err(Error::File { path: path.into(), message, source: None })
}

/// The images, and their height and width where they are of zoo networks' kind. A file says itself what it needs.
fn read_input(path: &Path, channels: Option<usize>) -> Result<(Tensor, Option<Size>)> {
    let expected = format!("[N,{},H,W]", channels.map_or_else(|| "C".into(), |channels| channels.to_string()));
    let refuse = |message: String| Err(Error::File { path: path.into(), message, source: None });
    let mut tensors = safetensors::read(path)?;
    let Some(input) = tensors.remove("input") else {
        let names: Vec<&str> = tensors.keys().take(8).map(String::as_str).collect();
        let found = if names.is_empty() { "none".into() } else { names.join(", ") };
        return refuse(format!("expected a tensor \"input\", found {found}"));
    };
    let size = match (input.shape(), channels) {
        (&[_, c, height, width], channels) if channels.is_none_or(|channels| c == channels) => {
            Some(Size([height, width]))
        }
        (shape, Some(_)) => return refuse(format!("expected \"input\" as {expected}, found {shape:?}")),
        (_, None) => None,
    };
    if input.data().is_empty() {
        let shape = input.shape();
        return refuse(format!("expected \"input\" as {expected} with N at least 1, found {shape:?}"));
    }
    if let Some(at) = input.data().iter().position(|x| !x.is_finite()) {
        return refuse(format!("expected finite numbers, \"input\" has {} at {at}", input.data()[at]));
    }
    Ok((input, size))
}
