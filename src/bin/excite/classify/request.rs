//! The model that the options ask for.

use super::paths::{self, STANDARD};
use crate::common::{self, Size, heading};
use crate::images::Images;
use crate::model::{self, FileOptions, Named};
use crate::terminal::{Downloads, note};
use excite::model::{Labels, ModelOptions};
use excite::{Error, Model, Result};
use std::path::{Path, PathBuf};

/// Which network, and how images are prepared for it.
#[derive(clap::Args)]
#[command(next_help_heading = heading::NETWORK)]
pub struct Subject {
    /// A network of `excite models`, with or without a tag. Its weights come from the Hugging Face hub if they are
    /// published there and neither given nor bundled: looked for in the hub's cache first, downloaded else. HF_HOME,
    /// HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are heeded. Or an ONNX file, named .onnx, with its own weights: images
    /// are prepared as a config.json beside it says, else as is usual for ImageNet, and 1000 classes are called as
    /// ImageNet's. Without this option `digits_seresnet`, which knows handwritten digits only.
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    file: FileOptions,
    /// Weights as safetensors: a file, or a directory with model.safetensors. A config.json beside them says how they
    /// want their images and how many classes they know [default: the bundled weights, where there are some].
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
    /// Height and width that images are brought to [default: what the weights were trained with].
    #[arg(long, value_name = "HxW", conflicts_with = "test_size", help_heading = heading::IMAGES)]
    size: Option<Size>,
    /// Share of the resized image that the central crop keeps: above 0, at most 1 [default: as trained].
    #[arg(long, value_name = "SHARE", conflicts_with = "test_size", help_heading = heading::IMAGES)]
    crop: Option<f64>,
    /// Use the size and crop that the weights are evaluated with, where they differ from those of training.
    #[arg(long, help_heading = heading::IMAGES)]
    test_size: bool,
    #[command(flatten)]
    pub images: Images,
}

impl Subject {
    /// Opens the model, and says what was assumed of its images. Refuses what can't be before weights are downloaded or
    /// read.
    pub fn open(&self, labels: Option<&Path>) -> Result<Model> {
        if self.classes == Some(0) {
            return Err(Error::Request(
                "--classes 0 leaves no classes to tell apart: `excite run` gives features".into(),
            ));
        }
        let file = labels.filter(|path| !paths::is_standard(path));
        let model = match model::named(self.model.as_deref().unwrap_or("digits"))? {
            Named::Zoo(name) => Model::pretrained_with(name, &self.options(file))?,
            Named::Onnx(path) => Model::onnx_with(path, &self.options(file))?,
        };
        model.check_classifier()?;
        let model = match labels.is_some() && file.is_none() {
            true => {
                let (bytes, classes) = (paths::read_standard("labels", 16 << 20)?, model.graph().output_shape().len());
                model.with_labels(Labels::from_bytes(bytes, STANDARD, classes)?)
            }
            false => model,
        };
        model.notes().iter().for_each(|text| note!("{text}"));
        common::log_network(model.name(), model.graph());
        if let Some(preprocess) = model.preprocess() {
            log::info!("images: {preprocess}");
        }
        Ok(model)
    }

    fn options(&self, labels: Option<&Path>) -> ModelOptions {
        let downloads = Downloads::default();
        let mut options = ModelOptions::default().on_progress(move |at| downloads.show(at));
        options.weights = self.weights.clone();
        options.revision = self.revision.clone();
        (options.classes, options.channels) = (self.classes, self.channels);
        options.size = self.size.map(|size| size.0);
        (options.crop, options.test_size) = (self.crop, self.test_size);
        options.labels = labels.map(PathBuf::from);
        options.onnx = self.file.onnx(None);
        options
    }

    /// Says on standard error which network answers.
    pub fn introduce(&self, model: &Model) {
        match &self.model {
            None => {
                note!("network: {}, which knows handwritten digits only; choose another one with --model", model.name())
            }
            Some(_) => {
                let outputs = common::counted(model.graph().output_shape().len(), "output");
                note!("network: {}, {outputs}", model.name());
            }
        }
    }
}
