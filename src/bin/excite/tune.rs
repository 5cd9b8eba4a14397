//! `excite tune`: which kernels suit the adapter, measured and kept in a file.

use crate::Failure;
use crate::classify::paths;
use crate::common::{self, Device, Size, heading};
use crate::model::{Asked, FileOptions, Network};
use crate::{output, terminal};
use excite::measure::{TuneOptions, TuneProgress};
use excite::plan::Choice;
use excite::tuning::{Tuned, Tuning};
use excite::{Error, Gpu, Precision, escaped};
use indicatif::ProgressBar;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Find the kernels that suit this adapter, and keep them in a file
///
/// Times up to 6 candidates for each distinct convolution of a network, the most work first; one whose answer is wrong
/// is left out. `run`, `classify`, `verify`, `bench` and `plan` take the file with --tuning. It is for this adapter,
/// driver and precision, and for any network: shapes of files that are there already are kept.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite tune seresnet50 --batch 8
  excite tune net.onnx --seconds 300 --output tuning.json")]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    file: FileOptions,
    /// Images per run.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = heading::IMAGES)]
    batch: usize,
    /// Height and width of the images [default: the network's own].
    #[arg(long, value_name = "HxW", help_heading = heading::IMAGES)]
    size: Option<Size>,
    /// Time after which nothing more is measured; shapes that are not done then stay as they are without tuning.
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    seconds: f64,
    /// How maps and the weights of convolutions are stored; sums are f32 always.
    #[arg(long, default_value = "f32", value_parser = common::precision(), help_heading = heading::KERNELS)]
    precision: Precision,
    /// File to write, whole or not at all [default: the adapter's, beside the compiled pipelines, where --tuning auto
    /// finds it]; `-` is standard output, in place of the table.
    #[arg(long, short, value_name = "FILE", help_heading = heading::OUTPUT)]
    output: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
    /// Print a JSON document.
    #[arg(long, help_heading = heading::OUTPUT)]
    json: bool,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let batch = common::check_batch(args.batch)?;
    let budget = Duration::try_from_secs_f64(args.seconds)
        .map_err(|_| Error::Request(format!("--seconds must be from 0 on, is {}", args.seconds)))?;
    let to_standard = args.output.as_deref().is_some_and(paths::is_standard);
    if to_standard {
        if args.json {
            return Err(Error::Request("--json: with --output -, standard output holds the file".into()).into());
        }
        output::check_standard()?;
    }
    let network = Network::open(args.asked.name(), args.size, None, &args.file)?;
    network.warn_of_fixed_batch(batch);
    let gpu = args.device.open()?;
    let path = match &args.output {
        Some(path) => path.clone(),
        None => own_place(&gpu, args.precision)?,
    };
    let mut all = match to_standard {
        true => Tuning::new(&gpu, args.precision),
        false => {
            output::check_place(&path)?;
            kept(&path, &gpu, args.precision)
        }
    };
    let start = Instant::now();
    let options = TuneOptions::default().precision(args.precision).budget(budget);
    let found = {
        let bar = Bar::new();
        Tuning::measure(&gpu, &network.graph, batch, &options, &mut |at| bar.show(&at))?
    };
    let seconds = start.elapsed().as_secs_f64();
    all.merge(found.clone())?;
    if to_standard {
        return Ok(out.write_all(&output::bytes_of(|path| all.save(path))?)?);
    }
    output::whole(|| all.save(&path))?;
    if args.json {
        let document = json!({
            "adapter": common::adapter_json(&gpu),
            "network": network.name,
            "batch": batch,
            "precision": args.precision.to_string(),
            "file": path,
            "seconds": seconds,
            "shapes": found.shapes().map(|(key, tuned)| row_document(key, tuned)).collect::<Vec<_>>(),
            "left": found.left().collect::<Vec<_>>(),
        });
        return Ok(terminal::write_json(out, &document)?);
    }
    let wide = found.shapes().map(|(key, _)| key.len()).max().unwrap_or(0).max("shape".len());
    writeln!(out, "{:wide$}  {:14} {:14} {:>9} {:>8}", "shape", "without tuning", "tuned", "ms", "speed-up")?;
    for (key, tuned) in found.shapes() {
        let Tuned { choice, untuned, milliseconds, .. } = tuned;
        let (time, speed_up) = (milliseconds.get(choice).copied().unwrap_or_default(), tuned.speed_up().unwrap_or(1.0));
        let [untuned, choice] = [untuned, choice].map(Choice::to_string);
        writeln!(out, "{key:wide$}  {untuned:14} {choice:14} {time:9.4} {speed_up:7.2}x")?;
    }
    let (tuned, left) = (found.shapes().count(), found.left().count());
    let shapes = tuned + left;
    writeln!(out, "{tuned} of {shapes} shapes tuned in {seconds:.1} s; written to {}", escaped(&path))?;
    Ok(())
}

/// The adapter's own file, in a folder that is there.
fn own_place(gpu: &Gpu, precision: Precision) -> excite::Result<PathBuf> {
    let Some(path) = common::own_tuning(gpu, precision) else {
        return Err(Error::Request("there is no cache directory to write to: give a file with --output".into()));
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Error::File {
        path: folder.into(),
        message: "can't make the folder".into(),
        source: Some(Box::new(error)),
    })?;
    Ok(path)
}

/// What a file has of this adapter already; what is of no use will be replaced.
fn kept(path: &Path, gpu: &Gpu, precision: Precision) -> Tuning {
    let empty = Tuning::new(gpu, precision);
    if !path.exists() {
        return empty;
    }
    let found = Tuning::load(path).and_then(|tuning| tuning.check(gpu, precision).map(|()| tuning));
    found.unwrap_or_else(|error| {
        log::warn!("{} will be replaced: {error}", escaped(path));
        empty
    })
}

fn row_document(key: &str, tuned: &Tuned) -> serde_json::Value {
    let times = tuned.milliseconds.iter().map(|(choice, time)| (choice.to_string(), json!(time)));
    json!({
        "shape": key,
        "untuned": tuned.untuned.to_string(),
        "choice": tuned.choice.to_string(),
        "speed_up": tuned.speed_up(),
        "milliseconds": times.collect::<serde_json::Map<_, _>>(),
        "once": tuned.once.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// How far tuning has come: on a terminal only, gone when dropped.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = terminal::bar(0, "{bar:30} {pos} of {len} shapes ({elapsed}) {msg}");
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    fn show(&self, at: &TuneProgress<'_>) {
        self.0.set_length(at.total as u64);
        self.0.set_position(at.done as u64);
        self.0.set_message(escaped(at.shape));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
