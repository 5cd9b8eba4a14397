//! `excite classify`: what is in an image.

pub mod paths;
mod report;
pub mod request;
mod stream;

use crate::Failure;
use crate::common::{self, Device, Storage, TuningSource, heading};
use crate::terminal::{self, note};
use excite::{Error, Options};
use report::{Format, Report};
use request::Subject;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;
use stream::Stream;

/// Say what is in images
///
/// One line an image: file, label, probability, milliseconds. The time is that of the run, from the prepared images in
/// memory to their answers, divided by the images of the batch; neither decoding nor compilation is in it: the first
/// batch of a size runs twice. An image that can't be read gets an error in place of its line; the others are
/// classified, and the exit status is 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite classify photo.jpg --model seresnet50.a1_in1k
  excite classify photos/ --model net.onnx --labels names.txt --top 5 --csv > answers.csv
  curl -s https://example.org/cat.jpg | excite classify - --model efficientnet_b0 --json")]
pub struct Args {
    /// PNG, JPEG, WebP, BMP, GIF or TIFF files, known by their contents; or directories: all files in and below them that
    /// are named .png, .jpg, .jpeg, .webp, .bmp, .gif, .tif or .tiff, in the order of their names, without hidden ones.
    /// `-` is an image from standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    subject: Subject,
    /// Text file with the names of the classes, one a line; `-` is standard input.
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    labels: Option<PathBuf>,
    /// Labels to print for an image, most probable first.
    #[arg(long, value_name = "K", default_value_t = 1, help_heading = heading::OUTPUT)]
    top: usize,
    /// Images to run at once [default: 16, or 4 on a software adapter].
    #[arg(long, value_name = "N", help_heading = heading::IMAGES)]
    batch: Option<usize>,
    #[command(flatten)]
    storage: Storage,
    #[command(flatten)]
    tuning: TuningSource,
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    format: Format,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let images = paths::images(&args.paths)?;
    args.batch.map(common::check_batch).transpose()?;
    if args.top == 0 {
        return Err(Error::Request("--top must be at least 1, is 0".into()).into());
    }
    let is_standard = |path: &PathBuf| paths::is_standard(path);
    if args.labels.as_ref().is_some_and(is_standard) && images.iter().any(is_standard) {
        return Err(Error::Request("-: standard input can't be both an image and the --labels".into()).into());
    }
    let (precision, ranges) = (args.storage.precision, args.storage.ranges()?);
    let model = args.subject.open(args.labels.as_deref())?;
    let gpu = args.device.open()?;
    let tuning = args.tuning.load(Some(&gpu), precision)?;
    let network = model.compile(&gpu, Options::default().precision(precision).ranges(ranges).tuning(tuning))?;
    args.subject.introduce(&model);
    let stream = Stream {
        network: &network,
        images: &args.subject.images,
        batch: args.batch.unwrap_or(if gpu.is_software() { 4 } else { 16 }),
        top: args.top,
    };
    let mut report = Report::new(&args.format, &images, out)?;
    log::info!("{} in batches of {}", common::counted(images.len(), "image"), stream.batch);
    let begun = Instant::now();
    let start = stream.classify(&images, |row| Ok(report.row(row)?))?;
    let seconds = begun.elapsed().as_secs_f64();
    log::info!("{} in {seconds:.2} s, the start included", common::counted(images.len(), "image"));
    let failed = report.finish(model.name(), common::adapter_json(&gpu), start.document())?;
    if start.has_begun() {
        note!("{start}");
    }
    if failed > 0 {
        if images.len() > 1 {
            terminal::error(&format!("{failed} of {} images could not be classified", images.len()));
        }
        return Err(Failure::Reported);
    }
    Ok(())
}
