//! Models by name and from files: weights, the settings that lie beside them, names of classes.

use super::Model;
use crate::error::{Error, Result};
use crate::escape::escaped;
use crate::import::onnx::{Onnx, OnnxModel, OnnxOptions};
use crate::labels::Labels;
use crate::preprocess::Preprocess;
use crate::tensor::Shape;
use crate::weights::Weights;
use crate::zoo::{self, Pretrained};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What may differ from a model's usual weights, images and classes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ModelOptions {
    /// Weights as safetensors: a file, or a directory with `model.safetensors`. A `config.json` beside them says how they
    /// want their images and how many classes they know.
    pub weights: Option<PathBuf>,
    /// Commit, tag or branch of the hub's repository. `None`: the commit that is in the cache, else the newest.
    pub revision: Option<String>,
    /// Classes of the weights, where they are not the usual ones; 0 for weights without a classifier.
    pub classes: Option<usize>,
    /// Channels of the images, where they are not the usual ones: 1 for gray, 3 for colour.
    pub channels: Option<usize>,
    /// Height and width of the images. `None`: what the weights were trained with.
    pub size: Option<[usize; 2]>,
    /// Share of the resized picture that the central crop keeps: above 0, at most 1. `None`: as trained.
    pub crop: Option<f64>,
    /// Take the size and crop that the weights are evaluated with, where they differ from those of training.
    pub test_size: bool,
    /// Text file with the names of the classes, one a line.
    pub labels: Option<PathBuf>,
    /// How an ONNX file is read. Its images are `[N,3,H,W]`, whatever the file has.
    pub onnx: OnnxOptions,
    progress: Progress,
}

/// Who hears how far a download has come.
#[derive(Clone, Default)]
struct Progress(#[cfg(feature = "hub")] Option<Arc<dyn Fn(&crate::hub::Progress<'_>) + Send + Sync>>);

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress(…)")
    }
}

#[cfg(feature = "hub")]
impl ModelOptions {
    /// Has `progress` called while files are downloaded.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(&crate::hub::Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Progress(Some(Arc::new(progress)));
        self
    }
}

/// Where a network's weights are.
enum Found {
    Bundled(Weights),
    /// A file or a directory.
    At(PathBuf),
    Nowhere,
}

impl Model {
    /// Opens a trained network by name, with or without a tag. Weights that don't come with this crate are looked for in
    /// the hub's cache and downloaded else (feature `hub`); `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` are
    /// heeded.
    ///
    /// ```
    /// let model = excite::Model::pretrained("digits_seresnet")?;
    /// assert_eq!(model.preprocess().unwrap().size, [8, 8]);
    /// # Ok::<(), excite::Error>(())
    /// ```
    ///
    /// # Errors
    /// Nobody has that name ([`Error::UnknownModel`]), no weights are published, or they can't be had or read.
    pub fn pretrained(name: &str) -> Result<Self> {
        Self::pretrained_with(name, &ModelOptions::default())
    }

    /// As [`Model::pretrained`], with options.
    ///
    /// # Errors
    /// As there, and where an option is impossible.
    pub fn pretrained_with(name: &str, options: &ModelOptions) -> Result<Self> {
        let model = Self::of_zoo(name, options, true)?;
        match model.weights {
            Some(_) => Ok(model),
            None => Err(Error::Request(format!(
                "{name} comes without weights, and none are published as safetensors: give yours, a .safetensors file or a \
                 directory with model.safetensors, with --weights"
            ))),
        }
    }

    /// Builds a network of the zoo without a download: with the weights that come with this crate, where there are some;
    /// [`Model::with_weights`] gives it others.
    ///
    /// # Errors
    /// Nobody has that name ([`Error::UnknownModel`]).
    pub fn zoo(name: &str) -> Result<Self> {
        Self::zoo_with(name, &ModelOptions::default())
    }

    /// As [`Model::zoo`], with options.
    ///
    /// # Errors
    /// As there, and where an option is impossible or a file can't be read.
    pub fn zoo_with(name: &str, options: &ModelOptions) -> Result<Self> {
        Self::of_zoo(name, options, false)
    }

    /// Opens an ONNX file; its SE stages are found. Images are `[N,3,H,W]`, prepared as a `config.json` beside it says,
    /// else as is usual for ImageNet; 1000 classes are called as ImageNet's.
    ///
    /// # Errors
    /// The file can't be read or is damaged, or something in it is not supported ([`Error::Unsupported`] names all ops).
    pub fn onnx(path: impl AsRef<Path>) -> Result<Self> {
        Self::onnx_with(path, &ModelOptions::default())
    }

    fn of_zoo(name: &str, options: &ModelOptions, download: bool) -> Result<Self> {
        options.check_crop()?;
        options.check_labels()?;
        let mut notes = Vec::new();
        let mut known = zoo::pretrained(name)?;
        let found = find_weights(&known, options, download, &mut notes)?;
        let beside = if let Found::At(path) = &found { config_beside(path) } else { None };
        if let Some(config) = &beside {
            known = known.with_config_file(config)?;
        } else if options.weights.is_some() && known.name != name && known.tag.is_some() {
            notes.push(format!(
                "pictures are prepared as for {}, for want of a tag and of a config.json beside the weights",
                known.name
            ));
        }
        if let Some(channels) = options.channels.filter(|&channels| channels != known.preprocess.channels) {
            known = known.with_channels(channels)?;
            notes.push(
                "images of other channels are normalised by the mean of what is known, for want of a config.json"
                    .into(),
            );
        }
        if let Some(classes) = options.classes.filter(|&classes| classes != known.classes) {
            (known.classes, known.labels, known.label_names) = (classes, None, Vec::new());
        }
        let preprocess = options.preprocess(&known);
        let labels = options.names(&known)?;
        let build = zoo::Options {
            size: Some(preprocess.size),
            classes: Some(known.classes),
            channels: Some(preprocess.channels),
        };
        let graph = zoo::build(known.architecture, &build)?;
        let weights = match found {
            Found::Bundled(weights) => Some(weights),
            Found::At(path) => Some(Weights::open(path)?),
            Found::Nowhere => None,
        };
        let model = Self::new(graph, Weights::seeded(0, 1.0)).with_labels(labels).with_preprocess(preprocess)?;
        Ok(Self { name: name.into(), weights, notes, ..model })
    }

    /// As [`Model::onnx`], with options.
    ///
    /// # Errors
    /// As there, and for an option that says what the file says itself: weights, revision, classes, channels.
    pub fn onnx_with(path: impl AsRef<Path>, options: &ModelOptions) -> Result<Self> {
        let path = path.as_ref();
        options.check_crop()?;
        options.check_labels()?;
        options.check_file(path)?;
        let config = config_beside(path);
        let settings = |classes| match &config {
            Some(config) => Pretrained::assumed(classes).with_config_file(config),
            None => Ok(Pretrained::assumed(classes)),
        };
        let onnx = Onnx::open(path, &options.onnx)?;
        onnx.check_data()?;
        let input = onnx.input(&options.onnx)?;
        // What the file leaves open, options or the configuration say.
        let open = input.dims.iter().skip(1).any(Option::is_none);
        let size = match options.size.or(options.onnx.size) {
            None if open && config.is_some() => Some(options.preprocess(&settings(1000)?).size),
            size => size,
        };
        let read = OnnxOptions { size, channels_first: true, ..options.onnx.clone() };
        let OnnxModel { graph, weights, se: stages, fixed_batch } = onnx.model(&read)?;
        let fixed_batch = fixed_batch.map(|reason| onnx.fixed(&reason));
        let (shape, output) = (graph.input_shape(), graph.output_shape());
        let mut model = Self {
            name: path.to_string_lossy().into(),
            file: Some(path.into()),
            stages,
            fixed_batch,
            ..Self::new(graph, weights)
        };
        let Shape::Map { channels: 3, height, width } = shape else { return Ok(model) };
        let classes = if let Shape::Vector { features } = output { Some(features) } else { None };
        let known = settings(classes.unwrap_or_default())?;
        if let Some(classes) = classes.filter(|&classes| classes != known.classes) {
            let message = format!("has {classes} classes, the config.json beside it says {}", known.classes);
            return Err(Error::file(path, message));
        }
        let mut preprocess = Preprocess { size: [height, width], ..options.preprocess(&known) };
        if input.bytes {
            // Samples as they are: 255 times what they are as shares of 1.
            (preprocess.mean, preprocess.std) = ([0.0; 3], [1.0 / 255.0; 3]);
        }
        let origin = match &config {
            _ if input.bytes => "samples 0 to 255 as they are, which the file normalises itself".into(),
            Some(config) => format!("as {} says", escaped(config)),
            None => format!("assumed for want of a config.json beside {}", escaped(path)),
        };
        model.notes.push(format!("pictures: {preprocess}; {origin}"));
        if classes.is_some() {
            model.labels = options.names(&known)?;
        }
        model.with_preprocess(preprocess)
    }
}

impl ModelOptions {
    fn check_crop(&self) -> Result<()> {
        match self.crop.filter(|&crop| !(crop > 0.0 && crop <= 1.0)) {
            Some(crop) => Err(Error::Request(format!("--crop must be above 0 and at most 1, is {crop}"))),
            None => Ok(()),
        }
    }

    /// Refuses names that can't be read before weights are downloaded or read.
    fn check_labels(&self) -> Result<()> {
        let Some(path) = &self.labels else { return Ok(()) };
        std::fs::metadata(path).map(drop).map_err(|error| Error::io(path, "read the labels", error))
    }

    /// Refuses what makes no sense with a file.
    fn check_file(&self, path: &Path) -> Result<()> {
        let given = [
            ("--weights", self.weights.is_some(), "its own weights"),
            ("--revision", self.revision.is_some(), "its own weights"),
            ("--classes", self.classes.is_some(), "the classes that it was exported with"),
            ("--channels", self.channels.is_some(), "the channels that it was exported with"),
        ];
        match given.into_iter().find(|(_, given, _)| *given) {
            Some((option, _, has)) => {
                Err(Error::Request(format!("{option} is for networks of the zoo: {} has {has}", escaped(path))))
            }
            None => Ok(()),
        }
    }

    fn preprocess(&self, known: &Pretrained) -> Preprocess {
        let mut preprocess = if self.test_size { known.test_preprocess() } else { known.preprocess.clone() };
        preprocess.size = self.size.unwrap_or(preprocess.size);
        preprocess.crop_pct = self.crop.unwrap_or(preprocess.crop_pct);
        preprocess
    }

    fn names(&self, known: &Pretrained) -> Result<Labels> {
        match &self.labels {
            Some(file) => Labels::from_file(file, known.classes),
            None => Ok(Labels::of(known)),
        }
    }
}

/// The weights of a network of the zoo: those given, else the bundled ones, else what the hub has.
fn find_weights(known: &Pretrained, options: &ModelOptions, download: bool, notes: &mut Vec<String>) -> Result<Found> {
    let bundled = zoo::bundled_weights(known.architecture);
    if options.revision.is_some() && (bundled.is_some() || known.hub.is_none()) {
        return Err(Error::Request(format!("--revision: {} has no weights on the hub", known.name)));
    }
    match (&options.weights, bundled, known.hub) {
        (Some(path), ..) => Ok(Found::At(path.clone())),
        (None, Some(weights), _) => Ok(Found::Bundled(weights)),
        (None, None, Some(repository)) if download => from_hub(repository, options, notes),
        _ => Ok(Found::Nowhere),
    }
}

#[cfg(feature = "hub")]
fn from_hub(repository: &str, options: &ModelOptions, notes: &mut Vec<String>) -> Result<Found> {
    use crate::hub::{Hub, pretrained_files};
    let mut progress = |at: crate::hub::Progress<'_>| {
        if let Some(progress) = &options.progress.0 {
            progress(&at);
        }
    };
    let files = pretrained_files(&Hub::from_env()?, repository, options.revision.as_deref(), &mut progress)?;
    notes.push(format!("weights of {repository} at commit {}", files.commit));
    // Weights in parts lie beside their index.
    let folder = files.weights.parent().map(PathBuf::from);
    Ok(folder.map_or(Found::Nowhere, Found::At))
}

#[cfg(not(feature = "hub"))]
fn from_hub(repository: &str, _: &ModelOptions, _: &mut Vec<String>) -> Result<Found> {
    Err(Error::Request(format!("the weights of {repository} are downloaded with the feature `hub`, or give yours")))
}

/// The configuration that lies beside weights.
pub(crate) fn config_beside(weights: &Path) -> Option<PathBuf> {
    let directory = if weights.is_dir() { weights } else { weights.parent()? };
    Some(directory.join("config.json")).filter(|config| config.exists())
}

impl Pretrained {
    /// The same, as the `config.json` beside weights says it, if there is one.
    ///
    /// # Errors
    /// As [`Pretrained::with_config_file`].
    pub fn with_config_beside(self, weights: impl AsRef<Path>) -> Result<Self> {
        match config_beside(weights.as_ref()) {
            Some(config) => self.with_config_file(config),
            None => Ok(self),
        }
    }
}
