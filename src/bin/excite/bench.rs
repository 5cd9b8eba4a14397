//! `excite bench`: how long the SE block or a network takes, after its answer has been checked.

mod network;
mod se;
mod start;
mod steps;

use crate::Failure;
use crate::common::{self, Device, Size, Storage, TuningSource, WeightSource, heading};
use crate::model::FileOptions;
use excite::gpu::{Executor, GpuTimer};
use excite::plan::Fusion;
use excite::verify::{self, Comparison, Tolerance};
use excite::{Error, Gpu, Graph, Precision, Result, Shape, Tensor, Weights};
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};

/// Time the SE block, unfused and fused, or a whole network
///
/// Compares with the CPU reference first, and times nothing that is wrong. Prints median, least and greatest time.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite bench                                   # single SE se_blocks, fused and unfused
  excite bench seresnet50 --steps                # where the time goes, dispatch by dispatch
  excite bench net.onnx --start                  # until the first answer, cold and warm")]
pub struct Args {
    /// `se`, a network of `excite models`, or an ONNX file.
    #[arg(default_value = "se", value_name = "se|MODEL")]
    what: String,
    /// The same, as an option.
    #[arg(long, value_name = "MODEL", conflicts_with = "what", help_heading = heading::NETWORK)]
    model: Option<String>,
    #[command(flatten)]
    file: FileOptions,
    #[command(flatten)]
    weights: WeightSource,
    /// Images per run.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = heading::IMAGES)]
    batch: usize,
    /// Height and width of the images [default: the network's own].
    #[arg(long, value_name = "HxW", help_heading = heading::IMAGES)]
    size: Option<Size>,
    /// How far ops share dispatches [default: full for a network; for `se`, all are compared].
    #[arg(long, value_parser = common::fusion(), help_heading = heading::KERNELS)]
    fusion: Option<Fusion>,
    #[command(flatten)]
    storage: Storage,
    /// Also time every dispatch of a network, and say where the time goes.
    #[arg(long)]
    steps: bool,
    /// Leave the SE blocks out.
    #[arg(long, help_heading = heading::NETWORK)]
    without_se: bool,
    /// Time the start of a network only, until its first answer, in two new processes: the first finds no compiled
    /// pipelines, neither ours nor (Mesa, NVIDIA) the driver's, the second finds the first one's.
    #[arg(long, conflicts_with = "steps")]
    start: bool,
    /// What the processes of --start do: start, and print a JSON document.
    #[arg(long, hide = true)]
    start_once: bool,
    #[command(flatten)]
    tuning: TuningSource,
    #[command(flatten)]
    device: Device,
    /// Print a JSON document.
    #[arg(long, help_heading = heading::OUTPUT)]
    json: bool,
}

impl Args {
    /// What is to be timed.
    fn what(&self) -> &str {
        self.model.as_deref().unwrap_or(&self.what)
    }
}

pub fn run(args: &Args, out: &mut dyn Write) -> std::result::Result<(), Failure> {
    let batch = common::check_batch(args.batch)?;
    match args.what() {
        "se" => se::run(args, batch, out),
        _ if args.start_once => start::once(args, batch, out),
        _ if args.start => start::run(args, out),
        _ => network::run(args, batch, out),
    }
}

/// Times of repeated runs, in milliseconds.
struct Times {
    median: f64,
    min: f64,
    max: f64,
    runs: usize,
}

impl Times {
    /// Repeats `once` for at least `time`.
    fn measure(time: Duration, mut once: impl FnMut() -> Result<Duration>) -> Result<Self> {
        const FEWEST: usize = 5;
        const MOST: usize = 1000;
        for _ in 0..2 {
            once()?;
        }
        let mut times = Vec::new();
        let start = Instant::now();
        while times.len() < FEWEST || (start.elapsed() < time && times.len() < MOST) {
            times.push(once()?.as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let runs = times.len();
        Ok(Self { median: times[runs / 2], min: times[0], max: times[runs - 1], runs })
    }

    /// The same of a part of the work.
    fn divided_by(self, parts: f64) -> Self {
        let Self { median, min, max, runs } = self;
        Self { median: median / parts, min: min / parts, max: max / parts, runs }
    }

    fn document(&self) -> serde_json::Value {
        json!({
            "median_ms": self.median,
            "min_ms": self.min,
            "max_ms": self.max,
            "runs": self.runs,
        })
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, min, max, runs } = self;
        write!(f, "{median:9.3} {min:9.3} {max:9.3}  {runs:4} runs")
    }
}

/// Times the dispatches of a run, by the device's clock where it has one.
struct DispatchTimer {
    timer: GpuTimer,
    /// Whose clock it is.
    clock: &'static str,
}

impl DispatchTimer {
    fn new(gpu: &Gpu) -> Self {
        let has_clock = gpu.device().features().contains(excite::wgpu::Features::TIMESTAMP_QUERY);
        Self { timer: GpuTimer::new(gpu), clock: if has_clock { "device" } else { "CPU" } }
    }

    /// Each dispatch of a run.
    fn steps(&self, network: &Executor, batch: usize, steps: usize) -> Result<Vec<Duration>> {
        self.timer.time_each(steps, |encoder, step| network.encode_step(encoder, batch, step))
    }

    fn once(&self, network: &Executor, batch: usize) -> Result<Duration> {
        let timing = self.timer.time(|encoder| network.encode_dispatches(encoder, batch))?;
        Ok(timing.device.unwrap_or(timing.wall))
    }
}

/// Refuses to time a network whose answer for the last image of the batch is not the reference's.
fn check(network: &Executor, weights: &Weights, input: &Tensor, precision: Precision) -> Result<f64> {
    let graph = network.graph();
    let last = input.batch() - 1;
    let one = |tensor: &Tensor, shape: Shape| Tensor::new(shape.with_batch(1), tensor.image(last).to_vec());
    let got = one(&network.run(input)?, graph.output_shape())?;
    let name = &graph.outputs()[0].0;
    let input = one(input, graph.input_shape())?;
    let mut reference = graph.reference(&input, weights)?;
    let expected = reference.remove(name).expect("the reference has every output");
    let compare = |got: &Tensor, allowed| Comparison::new(name, "output", &expected, got, Tolerance::Relative(allowed));
    let allowed = match precision {
        Precision::F32 => verify::F32,
        Precision::F16 => {
            let half = verify::half_reference(network.prepared_graph(), &input, weights)?;
            (verify::HALF_TIMES * compare(&half[name], 0.0).error).max(verify::HALF_ONCE)
        }
    };
    let compared = compare(&got, allowed);
    if compared.passed() {
        return Ok(compared.error);
    }
    let Comparison { error, worst, expected, got, .. } = compared;
    Err(Error::Request(format!(
        "{}: not timed, its answer is wrong by {error:.1e} (at most {allowed:.0e}): element {worst} of image {last}: \
         expected {expected}, found {got}",
        graph.name()
    )))
}

fn random_input(graph: &Graph, batch: usize) -> Result<Tensor> {
    Weights::seeded(1, 1.0).get("input", &graph.input_shape().with_batch(batch))
}
