//! What the options add up to: the network, its weights, how it wants its pictures, what its classes are called.

use super::Args;
use crate::common;
use excite::zoo::{self, Pretrained};
use excite::{Error, Graph, Labels, Preprocess, Result, Weights};
use std::path::{Path, PathBuf};

pub struct Request {
    /// The network's name, with the tag where one was given.
    pub model: String,
    pub graph: Graph,
    pub preprocess: Preprocess,
    pub labels: Labels,
    weights: Option<PathBuf>,
}

impl Request {
    /// Refuses what can't be, before weights or pictures are read.
    pub fn new(args: &Args) -> Result<Self> {
        let model = common::model_name(&args.model);
        let mut pretrained = zoo::pretrained(model)?;
        args.batch.map(common::check_batch).transpose()?;
        if args.top == 0 {
            return Err(Error::Request("--top must be at least 1, is 0".into()));
        }
        let weights = weights_for(&pretrained, args.weights.as_deref())?;
        if let Some(config) = weights.as_deref().and_then(config_beside) {
            pretrained = pretrained.with_config_file(config)?;
        }
        if let Some(classes) = args.classes.filter(|&classes| classes != pretrained.classes) {
            (pretrained.classes, pretrained.labels, pretrained.label_names) = (classes, None, Vec::new());
        }
        let preprocess = preprocess(args, &pretrained)?;
        let labels = match &args.labels {
            Some(file) => Labels::from_file(file, pretrained.classes)?,
            None => Labels::of(&pretrained),
        };
        let options = zoo::Options { size: Some(preprocess.size), classes: Some(pretrained.classes) };
        let graph = zoo::build(pretrained.architecture, &options)?;
        Ok(Self { model: model.into(), graph, preprocess, labels, weights })
    }

    /// Reads the weights.
    pub fn weights(&self) -> Result<Weights> {
        match &self.weights {
            Some(path) => Weights::open(path),
            None => Ok(zoo::bundled_weights(&self.model).expect("weights_for has found these")),
        }
    }
}

/// The file or directory of the weights; none where they are bundled.
fn weights_for(model: &Pretrained, wish: Option<&Path>) -> Result<Option<PathBuf>> {
    if wish.is_some() || zoo::bundled_weights(model.architecture).is_some() {
        return Ok(wish.map(PathBuf::from));
    }
    let name = model.name;
    let message = match model.hub {
        Some(hub) => format!(
            "{name} comes without weights: put model.safetensors and config.json of https://huggingface.co/{hub} into a \
             directory and give it with --weights"
        ),
        None => format!(
            "{name} comes without weights, and none are published as safetensors: give yours, a .safetensors file or a \
             directory with model.safetensors, with --weights"
        ),
    };
    Err(Error::Request(message))
}

/// The configuration that lies beside weights.
fn config_beside(weights: &Path) -> Option<PathBuf> {
    let directory = if weights.is_dir() { weights } else { weights.parent()? };
    Some(directory.join("config.json")).filter(|config| config.exists())
}

fn preprocess(args: &Args, pretrained: &Pretrained) -> Result<Preprocess> {
    let mut preprocess = if args.test_size { pretrained.test_preprocess() } else { pretrained.preprocess.clone() };
    if let Some(size) = args.size {
        preprocess.size = size.0;
    }
    if let Some(crop) = args.crop {
        if !(crop > 0.0 && crop <= 1.0) {
            return Err(Error::Request(format!("--crop must be above 0 and at most 1, is {crop}")));
        }
        preprocess.crop_pct = crop;
    }
    Ok(preprocess)
}
