//! `excite classify`: what is in a picture.

use crate::Failure;
use crate::common::{self, Device};
use excite::image::{self, Preprocess};
use excite::{Error, Executor, ExecutorOptions, Tensor, Weights, zoo};
use indicatif::ProgressBar;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Say what is in pictures
///
/// One line a picture: file, label, probability, milliseconds. The time is that of the run, from the prepared picture in
/// memory to the answer, divided by the pictures of the batch; decoding and start-up are not in it. A picture that can't
/// be read gets an error in place of its line; the others are classified, and the exit status is 1.
#[derive(clap::Args)]
pub struct Args {
    /// PNG, JPEG or WebP files, known by their contents.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// A network of `excite models`.
    #[arg(long, default_value = "digits")]
    model: String,
    /// Weights as safetensors with timm's tensor names [default: the bundled ones, where there are some].
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Labels to print for a picture, most probable first.
    #[arg(long, value_name = "K", default_value_t = 1)]
    top: usize,
    /// Pictures to run at once.
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    #[command(flatten)]
    device: Device,
    /// Print one JSON document, with errors of single pictures in it.
    #[arg(long)]
    json: bool,
}

/// A network, and the batch sizes that it has run.
struct Network {
    executor: Executor,
    warm: RefCell<BTreeSet<usize>>,
}

impl Network {
    /// The answer, and how long it took. A batch size that comes for the first time runs twice: drivers compile as late
    /// as in the first run, and that is not what a run takes.
    fn run(&self, batch: &Tensor) -> excite::Result<(Tensor, Duration)> {
        if self.warm.borrow_mut().insert(batch.batch()) {
            self.executor.run(batch)?;
        }
        let start = Instant::now();
        let answer = self.executor.run(batch)?;
        Ok((answer, start.elapsed()))
    }
}

/// What became of one picture.
struct Row<'a> {
    image: &'a Path,
    /// Classes with their probabilities, most probable first, and the time of the run.
    result: excite::Result<(Vec<(usize, f32)>, Duration)>,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let model = common::model_name(&args.model);
    let preprocess = Preprocess::for_model(model)?;
    let graph = common::build(model, None, false)?;
    let batch = common::check_batch(args.batch)?;
    if args.top == 0 {
        return Err(Error::Request("--top must be at least 1, is 0".into()).into());
    }
    let weights = load_weights(args, model)?;
    let gpu = args.device.open()?;
    let executor = Executor::new(&gpu, &graph, &weights, ExecutorOptions::default())?;
    let network = Network { executor, warm: RefCell::default() };
    // On a terminal, the lines themselves show how far it is.
    let progress = match args.json || !std::io::stdout().is_terminal() {
        true => common::progress(args.images.len()),
        false => ProgressBar::hidden(),
    };
    let mut documents = Vec::new();
    let mut failed = 0;
    let name_width = args.images.iter().map(|path| path.display().to_string().len()).max().unwrap_or(0);
    for images in args.images.chunks(batch) {
        let rows = classify(&network, images, &preprocess, args.top)?;
        progress.inc(rows.len() as u64);
        failed += rows.iter().filter(|row| row.result.is_err()).count();
        for row in rows {
            match args.json {
                true => documents.push(document(model, &row)),
                false => print(model, &row, name_width, out)?,
            }
        }
    }
    progress.finish_and_clear();
    if args.json {
        let adapter = common::adapter_json(&gpu);
        common::write_json(out, &json!({ "model": model, "adapter": adapter, "images": documents }))?;
    }
    if failed > 0 {
        out.flush()?;
        if args.images.len() > 1 {
            eprintln!("error: {failed} of {} pictures could not be classified", args.images.len());
        }
        return Err(Failure::Reported);
    }
    Ok(())
}

fn load_weights(args: &Args, model: &str) -> Result<Weights, Failure> {
    match &args.weights {
        Some(path) => Ok(Weights::from_safetensors(path)?),
        None => zoo::bundled_weights(model).ok_or_else(|| {
            Error::Request(format!("{model} comes without weights: give a safetensors file with --weights")).into()
        }),
    }
}

/// Runs the pictures that can be read as one batch.
fn classify<'a>(
    network: &Network,
    images: &'a [PathBuf],
    preprocess: &Preprocess,
    top: usize,
) -> excite::Result<Vec<Row<'a>>> {
    let inputs: Vec<excite::Result<Tensor>> = images.iter().map(|path| image::load(path, preprocess)).collect();
    let good: Vec<&Tensor> = inputs.iter().filter_map(|input| input.as_ref().ok()).collect();
    let mut answers = Vec::new();
    let mut time = Duration::ZERO;
    if !good.is_empty() {
        let batch = Tensor::new(
            network.executor.graph().input_shape().with_batch(good.len()),
            good.iter().flat_map(|input| input.data()).copied().collect(),
        )?;
        let (logits, whole) = network.run(&batch)?;
        time = whole / good.len() as u32;
        answers = (0..good.len()).map(|index| most_probable(logits.image(index), top)).collect();
    }
    let mut answers = answers.into_iter();
    let mut answer = || answers.next().expect("every picture that could be read has an answer");
    let rows = images.iter().zip(inputs);
    Ok(rows.map(|(image, input)| Row { image, result: input.map(|_| (answer(), time)) }).collect())
}

/// Classes by probability, the softmax of their logits.
fn most_probable(logits: &[f32], top: usize) -> Vec<(usize, f32)> {
    let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let mut classes: Vec<(usize, f32)> =
        logits.iter().map(|logit| ((logit - largest).exp() / sum) as f32).enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    classes.truncate(top);
    classes
}

/// What a class is called. Of networks other than the digits', only the number is known.
fn label(model: &str, class: usize) -> String {
    if model.starts_with("digits") { class.to_string() } else { format!("class {class}") }
}

fn print(model: &str, row: &Row, name_width: usize, out: &mut dyn Write) -> std::io::Result<()> {
    let (classes, time) = match &row.result {
        Ok(result) => result,
        Err(error) => {
            out.flush()?;
            eprintln!("error: {}", common::with_causes(error));
            return Ok(());
        }
    };
    let label = |(class, probability): &(usize, f32)| {
        format!("{} {:.2} %", label(model, *class), f64::from(*probability) * 100.0)
    };
    let labels: Vec<String> = classes.iter().map(label).collect();
    let image = row.image.display().to_string();
    writeln!(out, "{image:name_width$}  {}  {:.2} ms", labels.join(", "), time.as_secs_f64() * 1e3)
}

fn document(model: &str, row: &Row) -> serde_json::Value {
    let image = row.image.display().to_string();
    match &row.result {
        Ok((classes, time)) => {
            let classes: Vec<_> = classes
                .iter()
                .map(|&(class, probability)| {
                    json!({ "class": class, "label": label(model, class), "probability": probability })
                })
                .collect();
            json!({ "image": image, "classes": classes, "milliseconds": time.as_secs_f64() * 1e3 })
        }
        Err(error) => json!({ "image": image, "error": common::with_causes(error).replace("\n  ", "; ") }),
    }
}
