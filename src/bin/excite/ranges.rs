//! `excite ranges`: how large a network's values get, for half precision.

use crate::Failure;
use crate::classify::paths;
use crate::classify::request::Subject;
use crate::common::{self, Device, heading};
use crate::output;
use crate::terminal::Spinner;
use excite::plan::Ranges;
use excite::{Result, Tensor, escaped};
use std::io::Write;
use std::path::PathBuf;

/// Values that are printed.
const LISTED: usize = 10;

/// Find how large a network's values get, and keep it in a file
///
/// Runs images in f32 and takes the largest number of every value. `run`, `classify`, `verify`, `bench` and `plan` take
/// the file with --ranges and refuse half precision where a value might be too large for it. Some dozens of images like
/// those to come are enough.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite ranges photos/ --model seresnet50 --output ranges.json
  excite classify photo.jpg --model seresnet50 --precision f16 --ranges ranges.json")]
pub struct Args {
    /// Images, or directories of them, as for `classify`; `-` is an image from standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    subject: Subject,
    /// File to write, whole or not at all; `-` is standard output, in place of the table.
    #[arg(long, short, value_name = "FILE", help_heading = heading::OUTPUT)]
    output: PathBuf,
    #[command(flatten)]
    device: Device,
}

pub fn run(args: &Args, out: &mut dyn Write) -> std::result::Result<(), Failure> {
    let files = paths::images(&args.paths)?;
    let to_standard = paths::is_standard(&args.output);
    if to_standard {
        output::check_standard()?
    } else {
        output::check_place(&args.output)?
    }
    let model = args.subject.open(None)?;
    let (Some(preprocess), Some(weights)) = (model.preprocess(), model.weights()) else {
        unreachable!("what classifies images has weights and prepares them")
    };
    let prepare = |path: &PathBuf| preprocess.apply(&args.subject.images.open(path)?);
    let images = files.iter().map(|path| Ok(prepare(path)?.into_data())).collect::<Result<Vec<_>>>()?;
    let images = Tensor::new(model.graph().input_shape().with_batch(files.len()), images.concat())?;
    let gpu = args.device.open()?;
    let ranges = {
        let _spinner = Spinner::new(format!("measuring {}", common::counted(files.len(), "image")));
        Ranges::measure(&gpu, model.graph(), weights, &images)?
    };
    if to_standard {
        return Ok(out.write_all(&output::bytes_of(|path| ranges.save(path))?)?);
    }
    output::whole(|| ranges.save(&args.output))?;
    writeln!(out, "largest values of {}, of {}:", model.name(), common::counted(files.len(), "image"))?;
    for (name, largest) in ranges.descending().into_iter().take(LISTED) {
        writeln!(out, "{largest:12.3}  {name}")?;
    }
    let room = 65504.0 / Ranges::MARGIN;
    let large = ranges.descending().into_iter().filter(|(_, largest)| *largest > room).count();
    writeln!(out, "{} above {room}, where half precision is refused for maps", common::counted(large, "value"))?;
    Ok(writeln!(out, "written to {}", escaped(&args.output))?)
}
