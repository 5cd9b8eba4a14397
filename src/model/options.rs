//! What may differ from a model's usual weights, images and classes.

#[cfg(any(feature = "onnx", feature = "zoo"))]
use crate::error::{Error, Result};
#[cfg(feature = "onnx")]
use crate::import::onnx::OnnxOptions;
#[cfg(feature = "zoo")]
use crate::{labels::Labels, preprocess::Preprocess, zoo::Pretrained};
use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "hub")]
use std::sync::Arc;

/// What is told how downloads go.
#[cfg(feature = "hub")]
type OnProgress = dyn Fn(&crate::hub::Progress<'_>) + Send + Sync;

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
    /// Share of the resized image that the central crop keeps: above 0, at most 1. `None`: as trained.
    pub crop: Option<f64>,
    /// Take the size and crop that the weights are evaluated with, where they differ from those of training.
    pub test_size: bool,
    /// Text file with the names of the classes, one a line.
    pub labels: Option<PathBuf>,
    /// How an ONNX file is read. Its images are `[N,3,H,W]`, whatever the file has.
    #[cfg(feature = "onnx")]
    pub onnx: OnnxOptions,
    pub(super) progress: Progress,
}

/// Who hears how far a download has come.
#[derive(Clone, Default)]
pub(super) struct Progress(#[cfg(feature = "hub")] pub(super) Option<Arc<OnProgress>>);

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

#[cfg(any(feature = "onnx", feature = "zoo"))]
impl ModelOptions {
    pub(super) fn check_crop(&self) -> Result<()> {
        match self.crop.filter(|&crop| !(crop > 0.0 && crop <= 1.0)) {
            Some(crop) => Err(Error::Request(format!("--crop must be above 0 and at most 1, is {crop}"))),
            None => Ok(()),
        }
    }

    /// Refuses names that can't be read before weights are downloaded or read.
    pub(super) fn check_labels(&self) -> Result<()> {
        let Some(path) = &self.labels else { return Ok(()) };
        std::fs::metadata(path).map(drop).map_err(|error| Error::io(path, "read the labels", error))
    }
}

#[cfg(feature = "zoo")]
impl ModelOptions {
    pub(super) fn preprocess(&self, known: &Pretrained) -> Preprocess {
        let mut preprocess = if self.test_size { known.test_preprocess() } else { known.preprocess.clone() };
        preprocess.size = self.size.unwrap_or(preprocess.size);
        preprocess.crop_pct = self.crop.unwrap_or(preprocess.crop_pct);
        preprocess
    }

    pub(super) fn names(&self, known: &Pretrained) -> Result<Labels> {
        match &self.labels {
            Some(file) => Labels::from_file(file, known.classes),
            None => Ok(Labels::of(known)),
        }
    }
}
