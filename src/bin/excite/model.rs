//! The network that an argument names: one of the zoo's, or an ONNX file's with its weights.

use crate::common::{self, Size, WeightSource, heading};
use crate::terminal::note;
use excite::graph::{SeCandidate, SeVerdict};
use excite::import::onnx::{Onnx, OnnxModel, OnnxOptions};
use excite::zoo::Entry;
use excite::{Error, Graph, Result, Weights, escaped, zoo};
use serde_json::json;
use std::path::Path;

/// Which network: its name stands alone or behind `--model`, as for the commands that take images.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
#[command(next_help_heading = heading::NETWORK)]
pub struct Asked {
    /// A network of `excite models`, or an ONNX file.
    #[arg(value_name = "MODEL", help_heading = None)]
    model: Option<String>,
    /// The same, as an option.
    #[arg(long = "model", value_name = "MODEL")]
    model_option: Option<String>,
}

impl Asked {
    /// What was asked for.
    pub fn name(&self) -> &str {
        self.model.as_deref().or(self.model_option.as_deref()).expect("clap requires one of them")
    }
}

/// How ONNX files are read.
#[derive(clap::Args)]
#[command(next_help_heading = heading::NETWORK)]
pub struct FileOptions {
    /// Read tensors from other files beside an ONNX file, where it names some. Only for files that you trust.
    #[arg(long)]
    external_data: bool,
}

impl FileOptions {
    /// The same for the library.
    pub fn onnx(&self, size: Option<[usize; 2]>) -> OnnxOptions {
        OnnxOptions::default().size(size).external_data(self.external_data)
    }
}

/// What an argument names.
pub enum Named<'a> {
    /// A network of the zoo.
    Zoo(&'a str),
    /// An ONNX file.
    Onnx(&'a Path),
}

/// Tells a file from a network of the zoo by how its name ends, and refuses what is neither.
pub fn named(model: &str) -> Result<Named<'_>> {
    let path = Path::new(model);
    if has_extension(path, &["onnx"]) {
        return Ok(Named::Onnx(path));
    }
    let name = common::model_name(model);
    match entry(name) {
        Ok(_) => Ok(Named::Zoo(name)),
        Err(error) => Err(other_file(path).unwrap_or(error)),
    }
}

/// The network of the zoo that has this name.
pub fn entry(name: &str) -> Result<Entry> {
    zoo::entry(name).map_err(|error| Error::Request(format!("{error}; `excite models` lists all")))
}

/// Whether a file's name ends so.
pub fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let found = path.extension().unwrap_or_default();
    extensions.iter().any(|known| found.eq_ignore_ascii_case(known))
}

/// Whether a file is of safetensors, by its first 9 bytes: the length of a JSON text, and its beginning. No ONNX file
/// and no image begins so.
pub fn is_safetensors(start: &[u8]) -> bool {
    let Some((length, text)) = start.split_first_chunk() else { return false };
    u64::from_le_bytes(*length) < 1 << 32 && text.first() == Some(&b'{')
}

/// Height and width of images of this shape, as an ONNX file has them lie.
pub fn size_of_images(path: &Path, shape: &[usize], options: &FileOptions) -> Result<Option<Size>> {
    let &[_, second, third, fourth] = shape else { return Ok(None) };
    let options = options.onnx(None);
    let last = Onnx::open(path, &options)?.input(&options)?.channels_last;
    Ok(Some(Size(if last { [second, third] } else { [third, fourth] })))
}

/// Why a file that isn't named `.onnx` can't be a model; none where this is no file.
fn other_file(path: &Path) -> Option<Error> {
    let message = match path {
        _ if has_extension(path, &["pt", "pth", "bin", "ckpt", "pkl"]) => {
            "is PyTorch's, which is not read: export the network with torch.onnx.export and give the .onnx file"
        }
        _ if has_extension(path, &["pb", "h5", "keras", "tflite"]) => {
            "is TensorFlow's, which is not read: convert it with tf2onnx and give the .onnx file"
        }
        _ if has_extension(path, &["safetensors"]) => {
            "holds weights and no network: name the network that they are of (`excite inspect` may know it)"
        }
        _ if path.as_os_str() == "-" => {
            "a network is no standard input: its weights stay in its file until they are needed (`excite inspect -` reads it)"
        }
        _ if path.is_dir() => "expected a network of `excite models` or an .onnx file, found a directory",
        _ if path.exists() => "expected a network of `excite models` or a file named .onnx",
        _ => return None,
    };
    Some(Error::File { path: path.into(), message: message.into(), source: None })
}

/// A network that was asked for.
pub struct Network {
    /// How it was asked for.
    pub name: String,
    pub graph: Graph,
    /// At how many images the batch is fixed and why, where it is.
    pub fixed_batch: Option<String>,
    /// What an ONNX file brings.
    file: Option<(Onnx, Weights, Vec<SeCandidate>)>,
}

impl Network {
    /// The network for images of `size`, with the classes and channels that its weights are said to have.
    pub fn open(model: &str, size: Option<Size>, source: Option<&WeightSource>, options: &FileOptions) -> Result<Self> {
        let size = size.map(|size| size.0);
        let (classes, channels) = source.map(|source| (source.classes, source.channels)).unwrap_or_default();
        let path = match named(model)? {
            Named::Onnx(path) => path,
            Named::Zoo(name) => {
                let graph = zoo::build(name, &zoo::Options::default().size(size).classes(classes).channels(channels))?;
                return Ok(Self { name: name.into(), graph, fixed_batch: None, file: None });
            }
        };
        for (option, given) in [("--classes", classes.is_some()), ("--channels", channels.is_some())] {
            if given {
                return Err(refused(option, path));
            }
        }
        let options = options.onnx(size);
        let onnx = Onnx::open(path, &options)?;
        let OnnxModel { graph, weights, se, fixed_batch, .. } = onnx.model(&options)?;
        let fixed_batch = fixed_batch.map(|reason| onnx.fixed(&reason));
        Ok(Self { name: model.into(), graph, fixed_batch, file: Some((onnx, weights, se)) })
    }

    /// Logs what was asked for and where its weights come from.
    fn log(&self, (weights, origin): (Weights, String)) -> (Weights, String) {
        common::log_network(&self.name, &self.graph);
        log::info!("weights: {origin}");
        (weights, origin)
    }

    /// The file's own weights; else those asked for, else the bundled ones; and where they come from.
    pub fn weights(&self, source: &WeightSource) -> Result<(Weights, String)> {
        self.own_weights(source)?.map_or_else(|| source.load(&self.name), Ok).map(|found| self.log(found))
    }

    /// The same, with random weights where there are none: for what any weights will do.
    pub fn weights_or_random(&self, source: &WeightSource) -> Result<(Weights, String)> {
        self.own_weights(source)?.map_or_else(|| source.load_or_random(&self.name), Ok).map(|found| self.log(found))
    }

    fn own_weights(&self, source: &WeightSource) -> Result<Option<(Weights, String)>> {
        let Some((onnx, weights, _)) = &self.file else { return Ok(None) };
        onnx.check_data()?;
        for (option, given) in [("--weights", source.weights.is_some()), ("--seed", source.seed.is_some())] {
            if given {
                return Err(refused(option, Path::new(&self.name)));
            }
        }
        Ok(Some((weights.clone(), self.name.clone())))
    }

    /// The network without its SE blocks.
    pub fn without_se(&self) -> Result<Graph> {
        if self.graph.se_blocks().next().is_none() {
            return Err(Error::Request(format!("--without-se: {} has no SE block", self.name)));
        }
        self.graph.remove_se()
    }

    /// What is an SE block or looks like one.
    pub fn se_candidates(&self) -> Result<Vec<SeCandidate>> {
        match &self.file {
            Some((.., found)) => Ok(found.clone()),
            None => Ok(self.graph.find_se()?.1),
        }
    }

    /// Says on standard error what a batch means to a network whose batch is fixed.
    pub fn warn_of_fixed_batch(&self, batch: usize) {
        if let Some(fixed) = self.fixed_batch.as_ref().filter(|_| batch > 1) {
            note!("--batch {batch} runs that many of the file's batches, each for itself: the batch is {fixed}");
        }
    }
}

/// The error for options that make no sense with a file.
pub fn refused(option: &str, path: &Path) -> Error {
    let reason = match option {
        "--classes" => "has the classes that it was exported with",
        "--channels" => "has the channels that it was exported with",
        _ => "has its own weights",
    };
    Error::Request(format!("{option} is for networks of `excite models`: {} {reason}", escaped(path)))
}

/// What a JSON document says of an SE block, or of what looks like one.
pub fn candidate_json(candidate: &SeCandidate) -> serde_json::Value {
    let (se_block, verdict) = match &candidate.verdict {
        SeVerdict::Found { se_block } => (Some(se_block), "se"),
        SeVerdict::OneLayer => (None, "one_layer"),
        SeVerdict::Rejected(_) => (None, "rejected"),
    };
    json!({ "node": candidate.node, "verdict": verdict, "se_block": se_block, "text": candidate.verdict.to_string() })
}
