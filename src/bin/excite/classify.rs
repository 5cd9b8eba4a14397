//! `excite classify`: what is in a picture.

pub mod paths;
mod report;
pub mod request;
mod stream;

use crate::Failure;
use crate::common::{self, Device, Storage, TuningSource};
use excite::{Error, Executor, ExecutorOptions, PlanOptions};
use report::{Format, Report};
use request::{Request, Subject};
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
    #[command(flatten)]
    subject: Subject,
    /// Text file with the names of the classes, one a line.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Labels to print for a picture, most probable first.
    #[arg(long, value_name = "K", default_value_t = 1)]
    top: usize,
    /// Pictures to run at once [default: 16, or 4 on a software adapter].
    #[arg(long, value_name = "N")]
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
    let pictures = paths::pictures(&args.paths)?;
    args.batch.map(common::check_batch).transpose()?;
    if args.top == 0 {
        return Err(Error::Request("--top must be at least 1, is 0".into()).into());
    }
    let (precision, ranges) = (args.storage.precision, args.storage.ranges()?);
    let request = Request::new(&args.subject, args.labels.as_deref())?;
    let gpu = args.device.open()?;
    let input = request.preprocess.input_format();
    let tuning = args.tuning.load(Some(&gpu), precision)?;
    let plan = PlanOptions { input, precision, ranges, tuning, ..PlanOptions::default() };
    let executor = Executor::new(&gpu, &request.graph, &request.weights, ExecutorOptions { plan, guard: false })?;
    let probabilities = request.gives_probabilities();
    drop(request.weights);
    let stream = Stream {
        executor: &executor,
        preprocess: &request.preprocess,
        upright: args.subject.exif,
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
