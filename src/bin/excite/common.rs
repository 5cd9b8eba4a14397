//! What subcommands share: the options that choose a device, a network and its weights, and how things are said.

use crate::terminal::{Spinner, note};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use excite::gpu::{AdapterDescription, Executor};
use excite::plan::{Fusion, Ranges};
use excite::tuning::Tuning;
use excite::{Error, Gpu, GpuOptions, Graph, Precision, Result, Weights, zoo};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Headings of options in the help.
pub mod heading {
    pub const NETWORK: &str = "Network";
    pub const IMAGES: &str = "Images";
    pub const KERNELS: &str = "Precision and kernels";
    pub const DEVICE: &str = "Device";
    pub const OUTPUT: &str = "Output";
    pub const MESSAGES: &str = "Messages";
}

/// Which adapter.
#[derive(clap::Args)]
#[command(next_help_heading = heading::DEVICE)]
pub struct Device {
    /// Adapter to use: `auto`, an index or a part of a line of `excite devices` [default: $EXCITE_DEVICE, else auto].
    #[arg(long)]
    pub device: Option<String>,
    /// Multiply by cooperative matrices in half precision, where the adapter has them and passes a self-test
    /// (experimental).
    #[arg(long)]
    cooperative: bool,
}

impl Device {
    /// With compiled pipelines kept in `EXCITE_CACHE_DIR`, or in the user's cache directory; empty, it keeps none.
    pub fn options(&self) -> GpuOptions {
        GpuOptions::default().device(self.device.clone()).pipeline_cache(cache_dir())
    }

    /// Opens the adapter and says on standard error which one it is.
    pub fn open(&self) -> Result<Gpu> {
        let options = self.options();
        let matrices = if self.cooperative { excite::measure::cooperative_matrices(&options)? } else { None };
        let gpu = Gpu::open(&options.cooperative_matrices(matrices))?;
        let wish = self.device.clone().or_else(|| std::env::var("EXCITE_DEVICE").ok()).unwrap_or_default();
        let any = wish.is_empty() || wish.eq_ignore_ascii_case("auto");
        let hint = if gpu.is_software() && any { " (no GPU found: this runs on the CPU)" } else { "" };
        note!("running on {}{hint}", gpu.describe());
        Ok(gpu)
    }
}

/// Where compiled pipelines and tunings are kept, if anywhere.
fn cache_dir() -> Option<PathBuf> {
    match std::env::var_os("EXCITE_CACHE_DIR") {
        Some(folder) => Some(PathBuf::from(folder)).filter(|folder| !folder.as_os_str().is_empty()),
        None => excite::gpu::user_cache_dir(),
    }
}

/// The file of an adapter's tuning.
pub fn own_tuning(gpu: &Gpu, precision: Precision) -> Option<PathBuf> {
    Some(cache_dir()?.join(Tuning::file_name(gpu, precision)))
}

/// Copies what was tuned into another folder, for a process that has it as its cache directory.
pub fn copy_tunings(to: &Path) -> Result<()> {
    let Some(entries) = cache_dir().and_then(|folder| folder.read_dir().ok()) else { return Ok(()) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(name) = path.file_name().filter(|name| name.as_encoded_bytes().starts_with(b"tuning-")) else {
            continue;
        };
        std::fs::copy(&path, to.join(name)).map_err(|error| Error::File {
            path: path.clone(),
            message: "can't copy the tuning".into(),
            source: Some(Box::new(error)),
        })?;
    }
    Ok(())
}

/// Which tuning plans take.
#[derive(clap::Args)]
#[command(next_help_heading = heading::KERNELS)]
pub struct TuningSource {
    /// What `excite tune` has found: a file, which must be this adapter's; `auto`: the adapter's own file, if there is
    /// one, and for shapes that it hasn't what ships with excite; or `off`.
    #[arg(long, value_name = "FILE|auto|off", default_value = "off")]
    tuning: String,
}

impl TuningSource {
    /// Whether one is asked for.
    pub fn is_on(&self) -> bool {
        self.tuning != "off"
    }

    /// The tuning asked for. A file of another adapter or precision is an error; without an adapter, one of another
    /// precision. The adapter's own file is ignored with a warning where it is of no use.
    pub fn load(&self, gpu: Option<&Gpu>, precision: Precision) -> Result<Option<Arc<Tuning>>> {
        let load = |path: &Path| {
            let tuning = Tuning::load(path)?;
            gpu.map_or(Ok(()), |gpu| tuning.check(gpu, precision))?;
            Ok(tuning)
        };
        match (self.tuning.as_str(), gpu) {
            ("off", _) => Ok(None),
            ("auto", None) => Err(Error::Request("--tuning auto is an adapter's: choose one with --device".into())),
            ("auto", Some(gpu)) => {
                let path = own_tuning(gpu, precision).filter(|path| path.exists());
                let own = path.as_deref().and_then(|path| {
                    load(path).inspect_err(|error| log::warn!("the adapter's own tuning is left out: {error}")).ok()
                });
                let mut all = Tuning::shipped(gpu, precision);
                let shipped = all.as_ref().map(|_| "what ships with excite".to_string());
                let from = [own.as_ref().and(path).map(|path| path.display().to_string()), shipped];
                match from.into_iter().flatten().collect::<Vec<_>>().as_slice() {
                    [] => note!("nothing is tuned for this adapter: `excite tune` does so"),
                    from => note!("tuned by {}", from.join(", else by ")),
                }
                if let Some(own) = own {
                    all.get_or_insert_with(|| Tuning::new(gpu, precision)).merge(own)?;
                }
                Ok(all.map(Arc::new))
            }
            (path, _) => load(Path::new(path)).map(|tuning| Some(Arc::new(tuning))),
        }
    }
}

/// How numbers are stored.
#[derive(clap::Args)]
#[command(next_help_heading = heading::KERNELS)]
pub struct Storage {
    /// How maps and the weights of convolutions are stored; sums are f32 always.
    #[arg(long, default_value = "f32", value_parser = precision())]
    pub precision: Precision,
    /// What `excite ranges` has found: half precision is then refused where a value might be too large for it.
    #[arg(long, value_name = "FILE")]
    ranges: Option<PathBuf>,
}

impl Storage {
    /// The ranges asked for.
    pub fn ranges(&self) -> Result<Option<Arc<Ranges>>> {
        match &self.ranges {
            Some(_) if self.precision != Precision::F16 => {
                Err(Error::Request("--ranges is for --precision f16: f32 has room for all values".into()))
            }
            Some(path) => Ok(Some(Arc::new(Ranges::load(path)?))),
            None => Ok(None),
        }
    }

    /// Whether ranges are asked for.
    pub fn has_ranges(&self) -> bool {
        self.ranges.is_some()
    }
}

/// Where weights come from.
#[derive(clap::Args)]
#[command(next_help_heading = heading::NETWORK)]
pub struct WeightSource {
    /// Weights as safetensors (F32, F16 or BF16): a file, or a directory with model.safetensors.
    #[arg(long, value_name = "PATH")]
    pub weights: Option<PathBuf>,
    /// Classes of the weights, where they are not the usual ones; 0 for weights without a classifier.
    #[arg(long, value_name = "N")]
    pub classes: Option<usize>,
    /// Channels of the images, where they are not the usual ones (timm's in_chans).
    #[arg(long, value_name = "N")]
    pub channels: Option<usize>,
    /// Random weights that follow from this number, instead of a file: for proofs and timing.
    #[arg(long, value_name = "N", conflicts_with = "weights")]
    pub seed: Option<u64>,
    /// How wide the random weights of convolutions spread.
    #[arg(long, value_name = "G", default_value_t = 1.0, requires = "seed")]
    pub gain: f64,
}

impl WeightSource {
    /// The weights asked for, else the bundled ones; and where they come from.
    pub fn load(&self, model: &str) -> Result<(Weights, String)> {
        self.load_or(model, || {
            Err(Error::Request(format!("{model} comes without weights: give a file with --weights, or a --seed")))
        })
    }

    /// The same, with random weights where none are bundled: for what any weights will do.
    pub fn load_or_random(&self, model: &str) -> Result<(Weights, String)> {
        self.load_or(model, || Ok((Weights::seeded(1, 1.0), "seed 1, gain 1".into())))
    }

    fn load_or(&self, model: &str, otherwise: impl Fn() -> Result<(Weights, String)>) -> Result<(Weights, String)> {
        if let Some(path) = &self.weights {
            return Ok((Weights::open(path)?, path.display().to_string()));
        }
        if let Some(seed) = self.seed {
            if !(self.gain > 0.0 && self.gain.is_finite()) {
                return Err(Error::Request(format!("--gain must be above 0, is {}", self.gain)));
            }
            return Ok((Weights::seeded(seed, self.gain), format!("seed {seed}, gain {}", self.gain)));
        }
        match zoo::bundled_weights(model) {
            Some(weights) => Ok((weights, "bundled".into())),
            None => otherwise(),
        }
    }
}

/// A network's own name: `digits` is short for the one that `classify` uses.
pub fn model_name(name: &str) -> &str {
    if name == "digits" { "digits_seresnet" } else { name }
}

/// Height and width of an image.
#[derive(Clone, Copy)]
pub struct Size(pub [usize; 2]);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut sides = text.split('x').map(str::parse);
        match (sides.next(), sides.next(), sides.next()) {
            (Some(Ok(side)), None, None) => Self::within_reason([side, side]),
            (Some(Ok(height)), Some(Ok(width)), None) => Self::within_reason([height, width]),
            _ => Err("expected HEIGHTxWIDTH, such as 224x224".into()),
        }
    }
}

impl Size {
    /// Sides that no arithmetic trips over.
    fn within_reason(sides: [usize; 2]) -> std::result::Result<Self, String> {
        match sides.iter().all(|&side| side <= MOST) {
            true => Ok(Self(sides)),
            false => Err(format!("expected sides of at most {MOST}")),
        }
    }
}

/// Reads `--fusion`.
pub fn fusion() -> impl TypedValueParser<Value = Fusion> {
    PossibleValuesParser::new(["none", "kernels", "full"])
        .map(|text| text.parse().expect("only the names of fusions come here"))
}

/// Reads `--precision`.
pub fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["f32", "f16"]).map(|text| text.parse().expect("only the names of precisions come here"))
}

/// Largest side of an image and largest batch that are worth asking an adapter for.
const MOST: usize = 65_536;

/// Refuses a batch without images, or with more than any adapter takes, before anything is loaded for it.
pub fn check_batch(batch: usize) -> Result<usize> {
    match batch {
        1..=MOST => Ok(batch),
        0 => Err(Error::Request("--batch must be at least 1, is 0".into())),
        _ => Err(Error::Request(format!("--batch must be at most {MOST}, is {batch}"))),
    }
}

/// `1 tensor`, `2 tensors`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `28088024` as `28.09 M`.
pub fn short(count: u64) -> String {
    let count = count as f64;
    match count {
        _ if count >= 1e9 => format!("{:.2} G", count / 1e9),
        _ if count >= 1e6 => format!("{:.2} M", count / 1e6),
        _ => format!("{:.1} k", count / 1e3),
    }
}

/// Logs what a network is.
pub fn log_network(name: &str, graph: &Graph) {
    log::info!(
        "{name}: {} parameters, {} multiply-adds, {}, {} to {}",
        short(graph.parameter_count()),
        short(graph.macs()),
        counted(graph.se_blocks().count(), "SE block"),
        graph.input_shape(),
        graph.output_shape()
    );
}

/// What it took until timed runs could begin, for each batch size that came.
#[derive(Default)]
pub struct Start {
    sizes: BTreeSet<usize>,
    pipelines: usize,
    time: Duration,
}

impl Start {
    /// Makes pipelines and weights for a batch of a new size, and runs it once: some drivers compile only then.
    pub fn once(&mut self, executor: &Executor, batch: usize, run: impl FnOnce() -> Result<()>) -> Result<()> {
        if !self.sizes.insert(batch) {
            return Ok(());
        }
        let start = Instant::now();
        let _spinner = Spinner::new(match executor.plan(batch) {
            Ok(plan) => format!("compiling {}", counted(plan.pipelines(), "pipeline")),
            Err(_) => "compiling pipelines".into(),
        });
        match executor.warm_up(batch) {
            // The run goes in parts, and makes what they need.
            Err(Error::Limit { .. }) => {}
            made => self.pipelines = self.pipelines.max(made?.pipelines),
        }
        run()?;
        self.time += start.elapsed();
        log::info!("batch {batch} is ready after {:.2} s, its first run included", start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Whether anything has run.
    pub fn has_begun(&self) -> bool {
        !self.sizes.is_empty()
    }

    /// What a JSON document says of it.
    pub fn document(&self) -> serde_json::Value {
        serde_json::json!({ "milliseconds": self.time.as_secs_f64() * 1e3, "pipelines": self.pipelines })
    }
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} s to start, {}", self.time.as_secs_f64(), counted(self.pipelines, "pipeline"))
    }
}

/// What a JSON document says of the adapter.
pub fn adapter_json(gpu: &Gpu) -> serde_json::Value {
    serde_json::json!({ "text": gpu.describe(), "name": gpu.info().name, "software": gpu.is_software() })
}

/// The adapters, or the error that says what to install.
pub fn adapters() -> Result<Vec<AdapterDescription>> {
    let found = excite::gpu::adapters();
    if found.is_empty() {
        Gpu::open(&GpuOptions::default().device("auto".to_string()))?;
    }
    Ok(found)
}
