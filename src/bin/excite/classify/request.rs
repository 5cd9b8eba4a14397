//! What the options add up to: the network, its weights, how it wants its pictures, what its classes are called.

use super::Args;
use crate::common;
use excite::hub::{Hub, pretrained_files};
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
    /// Refuses what can't be, before weights are downloaded or read.
    pub fn new(args: &Args) -> Result<Self> {
        let model = common::model_name(&args.model);
        let mut pretrained = zoo::pretrained(model)?;
        args.batch.map(common::check_batch).transpose()?;
        if args.top == 0 {
            return Err(Error::Request("--top must be at least 1, is 0".into()));
        }
        if let Some(crop) = args.crop.filter(|&crop| !(crop > 0.0 && crop <= 1.0)) {
            return Err(Error::Request(format!("--crop must be above 0 and at most 1, is {crop}")));
        }
        if let Some(path) = &args.labels {
            std::fs::File::open(path).map_err(|e| Error::File {
                path: path.clone(),
                message: "can't read the labels".into(),
                source: Some(Box::new(e)),
            })?;
        }
        let weights = weights_for(&pretrained, args)?;
        if let Some(config) = weights.as_deref().and_then(config_beside) {
            pretrained = pretrained.with_config_file(config)?;
        } else if args.weights.is_some() && pretrained.name != model && pretrained.tag.is_some() {
            eprintln!(
                "pictures are prepared as for {}, for want of a tag and of a config.json beside the weights",
                pretrained.name
            );
        }
        if let Some(classes) = args.classes.filter(|&classes| classes != pretrained.classes) {
            (pretrained.classes, pretrained.labels, pretrained.label_names) = (classes, None, Vec::new());
        }
        let preprocess = preprocess(args, &pretrained);
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
fn weights_for(model: &Pretrained, args: &Args) -> Result<Option<PathBuf>> {
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
    let downloads = common::Downloads::default();
    let files =
        pretrained_files(&Hub::from_env()?, repository, args.revision.as_deref(), &mut |at| downloads.show(&at))?;
    eprintln!("weights of {repository} at commit {}", files.commit);
    // Weights in parts lie beside their index.
    Ok(files.weights.parent().map(PathBuf::from))
}

/// The configuration that lies beside weights.
fn config_beside(weights: &Path) -> Option<PathBuf> {
    let directory = if weights.is_dir() { weights } else { weights.parent()? };
    Some(directory.join("config.json")).filter(|config| config.exists())
}

fn preprocess(args: &Args, pretrained: &Pretrained) -> Preprocess {
    let mut preprocess = if args.test_size { pretrained.test_preprocess() } else { pretrained.preprocess.clone() };
    if let Some(size) = args.size {
        preprocess.size = size.0;
    }
    if let Some(crop) = args.crop {
        preprocess.crop_pct = crop;
    }
    preprocess
}
