//! `excite classify`: what is in a picture.

mod paths;
mod report;
mod request;
mod stream;

use crate::Failure;
use crate::common::{self, Device, Size, TuningSource};
use crate::model::FileOptions;
use excite::{Executor, ExecutorOptions, PlanOptions, Precision};
use report::{Format, Report};
use request::Request;
use std::io::Write;
use std::path::PathBuf;
use stream::Stream;

/// Say what is in pictures
///
/// One line a picture: file, label, probability, milliseconds. The time is that of the run, from the prepared pictures in
/// memory to their answers, divided by the pictures of the batch; decoding is not in it, and the first batch may have
/// a driver's start-up in it. A picture that can't be read gets an error in place of its line; the others are
/// classified, and the exit status is 1.
#[derive(clap::Args)]
pub struct Args {
    /// PNG, JPEG or WebP files, known by their contents; or directories: all files in and below them that are named
    /// .png, .jpg, .jpeg or .webp, in the order of their names, without hidden ones.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A network of `excite models`, with or without a tag. Its weights come from the Hugging Face hub if they are published
    /// there and neither given nor bundled: looked for in the hub's cache first, downloaded else. HF_HOME, HF_ENDPOINT,
    /// HF_TOKEN and HF_HUB_OFFLINE are heeded. Or an ONNX file, named .onnx, with its own weights: pictures are prepared
    /// as a config.json beside it says, else as is usual for ImageNet, and 1000 classes are called as ImageNet's.
    #[arg(long, default_value = "digits")]
    model: String,
    #[command(flatten)]
    file: FileOptions,
    /// Weights as safetensors: a file, or a directory with model.safetensors. A config.json beside them says how they want
    /// their pictures and how many classes they know [default: the bundled weights, where there are some].
    #[arg(long, value_name = "PATH")]
    weights: Option<PathBuf>,
    /// Commit, tag or branch of the hub's repository [default: the commit that is in the cache, else the newest].
    #[arg(long, value_name = "REVISION", conflicts_with = "weights")]
    revision: Option<String>,
    /// Classes of the weights, where they are not the usual ones.
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Text file with the names of the classes, one a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Labels to print for a picture, most probable first.
    #[arg(long, value_name = "K", default_value_t = 1)]
    top: usize,
    /// Pictures to run at once [default: 16, or 4 on a software adapter].
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Height and width that pictures are brought to [default: what the weights were trained with].
    #[arg(long, value_name = "HxW", conflicts_with = "test_size")]
    size: Option<Size>,
    /// Share of the resized picture that the central crop keeps: above 0, at most 1 [default: as trained].
    #[arg(long, value_name = "SHARE", conflicts_with = "test_size")]
    crop: Option<f64>,
    /// Use the size and crop that the weights are evaluated with, where they differ from those of training.
    #[arg(long)]
    test_size: bool,
    /// Turn pictures upright as their EXIF data say. timm does not.
    #[arg(long)]
    exif: bool,
    /// How maps and the weights of convolutions are stored; sums are f32 always.
    #[arg(long, default_value = "f32", value_parser = common::precision())]
    precision: Precision,
    #[command(flatten)]
    tuning: TuningSource,
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    format: Format,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let pictures = paths::pictures(&args.paths)?;
    let request = Request::new(args)?;
    let gpu = args.device.open()?;
    let input = request.preprocess.input_format();
    let tuning = args.tuning.load(Some(&gpu), args.precision)?;
    let plan = PlanOptions { input, precision: args.precision, tuning, ..PlanOptions::default() };
    let executor = Executor::new(&gpu, &request.graph, &request.weights, ExecutorOptions { plan, guard: false })?;
    let probabilities = request.gives_probabilities();
    drop(request.weights);
    let stream = Stream {
        executor: &executor,
        preprocess: &request.preprocess,
        upright: args.exif,
        batch: args.batch.unwrap_or(if gpu.is_software() { 4 } else { 16 }),
        top: args.top,
        probabilities,
    };
    let mut report = Report::new(&args.format, &request.labels, &pictures, out)?;
    stream.classify(&pictures, |row| Ok(report.row(row)?))?;
    let failed = report.finish(&request.model, common::adapter_json(&gpu))?;
    if failed > 0 {
        if pictures.len() > 1 {
            eprintln!("error: {failed} of {} pictures could not be classified", pictures.len());
        }
        return Err(Failure::Reported);
    }
    Ok(())
}
