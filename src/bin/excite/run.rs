//! `excite run`: tensors in, tensors out.

mod input;
mod npy;

use crate::Failure;
use crate::classify::paths;
use crate::common::{self, Device, Size, Start, Storage, TuningSource, WeightSource, heading};
use crate::model::{self, Asked, FileOptions, Named, Network};
use crate::output;
use crate::terminal::note;
use excite::import::safetensors;
use excite::plan::Fusion;
use excite::{Error, Model, Options, Result, Tensor, escaped, zoo};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Run a network on tensors, and write its outputs
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite run seresnet50 --weights w.safetensors --input x.safetensors --output y.safetensors --gates
  excite run net.onnx --input x.npy --output y.npy
  excite run net.onnx --input photo.jpg --output - > y.safetensors")]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    weights: WeightSource,
    /// The images, [N,C,H,W], of any height and width the network takes: safetensors with a tensor `input` or only one,
    /// or NumPy's .npy; or an image, prepared as `classify` does. Known by its contents; `-` is standard input.
    #[arg(long, short, value_name = "FILE", help_heading = heading::IMAGES)]
    input: PathBuf,
    /// File to write: a tensor `logits`, [N,classes], or `features` with --classes 0, or the ONNX file's outputs; and
    /// with --gates the gates. Safetensors, or .npy by its ending, for one output. It appears whole or not at all; `-`
    /// is standard output.
    #[arg(long, short, value_name = "FILE", help_heading = heading::OUTPUT)]
    output: PathBuf,
    /// Write the gate of every SE block as well: tensors `gate.<se_block>`, [N,C].
    #[arg(long, help_heading = heading::OUTPUT)]
    gates: bool,
    /// Write these nodes' values as well, by the names that `excite plan MODEL --fusion none` has; `features` is the
    /// vector that the classifier reads, `gate.<se_block>` a gate.
    #[arg(long, value_name = "NODE", num_args = 1.., help_heading = heading::OUTPUT)]
    outputs: Vec<String>,
    /// How far ops share dispatches.
    #[arg(long, default_value = "full", value_parser = common::fusion(), help_heading = heading::KERNELS)]
    fusion: Fusion,
    #[command(flatten)]
    storage: Storage,
    #[command(flatten)]
    tuning: TuningSource,
    #[command(flatten)]
    device: Device,
}

pub fn run(args: &Args, out: &mut dyn Write) -> std::result::Result<(), Failure> {
    let channels = match model::named(args.asked.name())? {
        Named::Zoo(name) => Some(args.weights.channels.unwrap_or(zoo::entry(name)?.input.channels())),
        Named::Onnx(_) => None,
    };
    let (input, size) = read_input(args, channels)?;
    let size = match model::named(args.asked.name())? {
        Named::Zoo(_) => size,
        Named::Onnx(path) => model::size_of_images(path, input.shape(), &args.file)?,
    };
    let network = Network::open(args.asked.name(), size, Some(&args.weights), &args.file)?;
    let input = whole_batch(&args.input, input, &network)?;
    let (weights, _) = network.weights(&args.weights)?;
    let graph = if args.gates { network.graph.with_gate_outputs() } else { network.graph };
    let graph = graph.with_outputs(&args.outputs)?;
    let to = Place::of(args, graph.outputs().len())?;
    let (precision, ranges) = (args.storage.precision, args.storage.ranges()?);
    let gpu = args.device.open()?;
    let tuning = args.tuning.load(Some(&gpu), precision)?;
    let options = Options::default().fusion(args.fusion).precision(precision).ranges(ranges).tuning(tuning);
    let network = Model::new(graph, weights).compile(&gpu, options)?;
    let mut outputs = None;
    Start::default().once(network.floats(), input.batch(), || {
        outputs = Some(network.run(&input)?);
        Ok(())
    })?;
    let outputs = outputs.expect("the run has been, or is an error");
    log::info!("ran {}", common::counted(input.batch(), "image"));
    match to {
        Place::StandardOutput => return Ok(out.write_all(&safetensors::to_bytes(outputs.iter())?)?),
        Place::Npy => output::write_bytes(&args.output, &npy::bytes(&outputs[0]))?,
        Place::Safetensors => output::write_tensors(&args.output, outputs.iter())?,
    }
    note!("wrote {} to {}", common::counted(outputs.len(), "tensor"), escaped(&args.output));
    Ok(())
}

/// Where outputs go, and as what.
enum Place {
    StandardOutput,
    Npy,
    Safetensors,
}

impl Place {
    /// Refuses a place that can't take so many outputs, before work is spent on them.
    fn of(args: &Args, outputs: usize) -> Result<Self> {
        if paths::is_standard(&args.output) {
            output::check_standard()?;
            return Ok(Self::StandardOutput);
        }
        output::check_place(&args.output)?;
        if !model::has_extension(&args.output, &["npy"]) {
            return Ok(Self::Safetensors);
        }
        if outputs != 1 {
            let message = format!("a .npy file holds one output, there are {outputs}: name it .safetensors");
            return Err(Error::File { path: args.output.clone(), message, source: None });
        }
        Ok(Self::Npy)
    }
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
fn read_input(args: &Args, channels: Option<usize>) -> Result<(Tensor, Option<Size>)> {
    let path = &args.input;
    let expected = format!("[N,{},H,W]", channels.map_or_else(|| "C".into(), |channels| channels.to_string()));
    let refuse = |message: String| Err(Error::File { path: path.into(), message, source: None });
    let input = input::read(args)?;
    let size = match (input.shape(), channels) {
        (&[_, c, height, width], channels) if channels.is_none_or(|channels| c == channels) => {
            Some(Size([height, width]))
        }
        (shape, Some(_)) => return refuse(format!("expected the input as {expected}, found {shape:?}")),
        (_, None) => None,
    };
    if input.data().is_empty() {
        let shape = input.shape();
        return refuse(format!("expected the input as {expected} with N at least 1, found {shape:?}"));
    }
    if let Some(at) = input.data().iter().position(|x| !x.is_finite()) {
        return refuse(format!("expected finite numbers, the input has {} at {at}", input.data()[at]));
    }
    Ok((input, size))
}
