//! What the options add up to: the network, its weights, how it wants its pictures, what its classes are called.

use super::paths::{self, STANDARD};
use crate::common::{self, Size, heading};
use crate::images::Images;
use crate::model::{self, FileOptions, Named};
use crate::models::one;
use crate::terminal::{Downloads, note};
use excite::hub::{Hub, pretrained_files};
use excite::zoo::{self, Pretrained};
use excite::{Act, Error, Graph, Labels, Model, Onnx, OnnxOptions, Op, Preprocess, Result, Shape, Weights, escaped};
use std::path::{Path, PathBuf};

/// Which network, and how pictures are prepared for it.
#[derive(clap::Args)]
#[command(next_help_heading = heading::NETWORK)]
pub struct Subject {
    /// A network of `excite models`, with or without a tag. Its weights come from the Hugging Face hub if they are published
    /// there and neither given nor bundled: looked for in the hub's cache first, downloaded else. HF_HOME, HF_ENDPOINT,
    /// HF_TOKEN and HF_HUB_OFFLINE are heeded. Or an ONNX file, named .onnx, with its own weights: pictures are prepared
    /// as a config.json beside it says, else as is usual for ImageNet, and 1000 classes are called as ImageNet's.
    /// Without this option `digits_seresnet`, which knows handwritten digits only.
    #[arg(long)]
    model: Option<String>,
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
    /// Channels of the network's images, where they are not the usual ones (timm's in_chans): 1 for gray, 3 for colour.
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Height and width that pictures are brought to [default: what the weights were trained with].
    #[arg(long, value_name = "HxW", conflicts_with = "test_size", help_heading = heading::IMAGES)]
    size: Option<Size>,
    /// Share of the resized picture that the central crop keeps: above 0, at most 1 [default: as trained].
    #[arg(long, value_name = "SHARE", conflicts_with = "test_size", help_heading = heading::IMAGES)]
    crop: Option<f64>,
    /// Use the size and crop that the weights are evaluated with, where they differ from those of training.
    #[arg(long, help_heading = heading::IMAGES)]
    test_size: bool,
    #[command(flatten)]
    pub images: Images,
}

/// How the numbers of an answer become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scores {
    /// They are some: the network ends in a softmax, or in a sigmoid for each class.
    Probabilities,
    /// A logit for each of several classes, by their softmax.
    Logits,
    /// The one logit of a binary classifier, by its sigmoid.
    OneLogit,
}

pub struct Request {
    /// The network's name, with the tag where one was given, or its file.
    pub model: String,
    /// Whether it is the one that is taken where none is asked for.
    by_default: bool,
    pub graph: Graph,
    pub weights: Weights,
    pub preprocess: Preprocess,
    pub labels: Labels,
}

impl Request {
    /// Refuses what can't be, before weights are downloaded or read.
    pub fn new(args: &Subject, names: Option<&Path>) -> Result<Self> {
        let named = model::named(args.model.as_deref().unwrap_or("digits"))?;
        if let Some(crop) = args.crop.filter(|&crop| !(crop > 0.0 && crop <= 1.0)) {
            return Err(Error::Request(format!("--crop must be above 0 and at most 1, is {crop}")));
        }
        if let Some(path) = names.filter(|path| !paths::is_standard(path)) {
            std::fs::metadata(path).map_err(|e| Error::File {
                path: path.into(),
                message: "can't read the labels".into(),
                source: Some(Box::new(e)),
            })?;
        }
        match named {
            Named::Zoo(name) => Self::of_zoo(name, args, names),
            Named::Onnx(path) => Self::of_onnx(path, args, names),
        }
    }

    fn of_zoo(model: &str, args: &Subject, names: Option<&Path>) -> Result<Self> {
        if args.classes == Some(0) {
            return Err(Error::Request(
                "--classes 0 leaves no classes to tell apart: `excite run` gives features".into(),
            ));
        }
        let mut pretrained = zoo::pretrained(model)?;
        let weights = weights_for(&pretrained, args)?;
        if weights.as_deref().and_then(config_beside).is_some() {
            pretrained = settings(Some(model), weights.as_deref())?;
        } else if args.weights.is_some() && pretrained.name != model && pretrained.tag.is_some() {
            note!(
                "pictures are prepared as for {}, for want of a tag and of a config.json beside the weights",
                pretrained.name
            );
        }
        if let Some(channels) = args.channels.filter(|&channels| channels != pretrained.preprocess.channels) {
            pretrained = pretrained.with_channels(channels)?;
            note!("images of other channels are normalised by the mean of what is known, for want of a config.json");
        }
        if let Some(classes) = args.classes.filter(|&classes| classes != pretrained.classes) {
            (pretrained.classes, pretrained.labels, pretrained.label_names) = (classes, None, Vec::new());
        }
        let preprocess = preprocess(args, &pretrained);
        let labels = labels(names, &pretrained)?;
        let options = zoo::Options {
            size: Some(preprocess.size),
            classes: Some(pretrained.classes),
            channels: Some(preprocess.channels),
        };
        let graph = zoo::build(pretrained.architecture, &options)?;
        let weights = match &weights {
            Some(path) => Weights::open(path)?,
            None => zoo::bundled_weights(model).expect("weights_for has found these"),
        };
        Ok(Self { model: model.into(), by_default: args.model.is_none(), graph, weights, preprocess, labels })
    }

    fn of_onnx(path: &Path, args: &Subject, names: Option<&Path>) -> Result<Self> {
        let given = [
            ("--weights", args.weights.is_some()),
            ("--revision", args.revision.is_some()),
            ("--classes", args.classes.is_some()),
            ("--channels", args.channels.is_some()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(model::refused(option, path));
        }
        let config = config_beside(path);
        let settings = |classes| match &config {
            Some(config) => Pretrained::assumed(classes).with_config_file(config),
            None => Ok(Pretrained::assumed(classes)),
        };
        let onnx = Onnx::open(path, &args.file.onnx(None))?;
        onnx.check_data()?;
        let input = onnx.input(&OnnxOptions::default())?;
        // What the file leaves open, options or the configuration say.
        let open = input.dims.iter().skip(1).any(Option::is_none);
        let size = match args.size {
            None if open && config.is_some() => Some(preprocess(args, &settings(1000)?).size),
            size => size.map(|size| size.0),
        };
        let options = OnnxOptions { channels_first: true, ..args.file.onnx(size) };
        let Model { graph, weights, fixed_batch, .. } = onnx.model(&options)?;
        let refuse = |message: String| Err(Error::File { path: path.into(), message, source: None });
        let (shape, output) = (graph.input_shape(), graph.output_shape());
        let (Shape::Map { channels: 3, height, width }, Shape::Vector { features: classes }) = (shape, output) else {
            return refuse(match (fixed_batch, shape) {
                (Some(reason), Shape::Tensor(_)) => {
                    format!("can't classify pictures one by one: the batch is {}", model::fixed(&onnx, &reason))
                }
                (_, Shape::Map { channels: 3, .. }) => {
                    let name = &graph.outputs()[0].0;
                    format!("is no classifier: expected a vector as output \"{name}\", found {output}")
                }
                _ => format!("expected an input for pictures, 3xHxW, found {shape}"),
            });
        };
        let pretrained = settings(classes)?;
        if pretrained.classes != classes {
            return refuse(format!("has {classes} classes, the config.json beside it says {}", pretrained.classes));
        }
        let mut preprocess = Preprocess { size: [height, width], ..preprocess(args, &pretrained) };
        let labels = labels(names, &pretrained)?;
        if input.bytes {
            // Samples as they are: 255 times what they are as shares of 1.
            (preprocess.mean, preprocess.std) = ([0.0; 3], [1.0 / 255.0; 3]);
        }
        let origin = match &config {
            _ if input.bytes => "samples 0 to 255 as they are, which the file normalises itself".into(),
            Some(config) => format!("as {} says", escaped(config)),
            None => format!("assumed for want of a config.json beside {}", escaped(path)),
        };
        note!("pictures: {}; {origin}", one::settings(&preprocess, None));
        Ok(Self { model: path.to_string_lossy().into(), by_default: false, graph, weights, preprocess, labels })
    }

    /// Says on standard error which network answers.
    pub fn introduce(&self) {
        let Self { model, by_default, graph, .. } = self;
        match by_default {
            true => note!("network: {model}, which knows handwritten digits only; choose another one with --model"),
            false => note!("network: {model}, {}", common::counted(graph.output_shape().len(), "output")),
        }
    }

    /// Logs what was asked for.
    pub fn log(&self) {
        common::log_network(&self.model, &self.graph);
        log::info!("images: {}", one::settings(&self.preprocess, None));
    }

    /// What the answer's numbers are.
    pub fn scores(&self) -> Scores {
        let mut last = self.graph.node(self.graph.outputs()[0].1);
        while let Op::Reshape(_) = last.op {
            last = self.graph.node(last.inputs[0]);
        }
        match last.op {
            Op::Softmax(_) | Op::Activation(Act::Sigmoid | Act::HardSigmoid) => Scores::Probabilities,
            _ if self.graph.output_shape().len() == 1 => Scores::OneLogit,
            _ => Scores::Logits,
        }
    }
}

fn labels(names: Option<&Path>, pretrained: &Pretrained) -> Result<Labels> {
    match names {
        Some(file) if paths::is_standard(file) => {
            Labels::from_bytes(paths::read_standard("labels", 16 << 20)?, STANDARD, pretrained.classes)
        }
        Some(file) => Labels::from_file(file, pretrained.classes),
        None => Ok(Labels::of(pretrained)),
    }
}

/// The file or directory of the weights; none where they are bundled.
fn weights_for(model: &Pretrained, args: &Subject) -> Result<Option<PathBuf>> {
    let bundled = zoo::bundled_weights(model.architecture).is_some();
    if args.revision.is_some() && (bundled || model.hub.is_none()) {
        return Err(Error::Request(format!("--revision: {} has no weights on the hub", model.name)));
    }
    if args.weights.is_some() || bundled {
        return Ok(args.weights.clone());
    }
    let Some(repository) = model.hub else {
        return Err(Error::Request(format!(
            "{} comes without weights, and none are published as safetensors: give yours, a .safetensors file or a \
             directory with model.safetensors, with --weights",
            model.name
        )));
    };
    let downloads = Downloads::default();
    let files =
        pretrained_files(&Hub::from_env()?, repository, args.revision.as_deref(), &mut |at| downloads.show(&at))?;
    note!("weights of {repository} at commit {}", files.commit);
    // Weights in parts lie beside their index.
    Ok(files.weights.parent().map(PathBuf::from))
}

/// How the weights of a network of the zoo, or of an ONNX file, want their images: as a configuration beside them says.
pub fn settings(model: Option<&str>, weights: Option<&Path>) -> Result<Pretrained> {
    let known = model.map_or_else(|| Ok(Pretrained::assumed(1000)), zoo::pretrained)?;
    weights.and_then(config_beside).map_or(Ok(known.clone()), |config| known.with_config_file(config))
}

/// The configuration that lies beside weights.
fn config_beside(weights: &Path) -> Option<PathBuf> {
    let directory = if weights.is_dir() { weights } else { weights.parent()? };
    Some(directory.join("config.json")).filter(|config| config.exists())
}

fn preprocess(args: &Subject, pretrained: &Pretrained) -> Preprocess {
    let mut preprocess = if args.test_size { pretrained.test_preprocess() } else { pretrained.preprocess.clone() };
    if let Some(size) = args.size {
        preprocess.size = size.0;
    }
    if let Some(crop) = args.crop {
        preprocess.crop_pct = crop;
    }
    preprocess
}
