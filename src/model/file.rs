//! Models from ONNX files.

use super::{Model, ModelOptions};
use crate::error::{Error, Result};
use crate::escape::escaped;
use crate::import::onnx::{Onnx, OnnxInput, OnnxModel, OnnxOptions};
use std::path::Path;
#[cfg(feature = "zoo")]
use {super::trained::config_beside, crate::preprocess::Preprocess, crate::tensor::Shape, crate::zoo::Pretrained};

impl Model {
    /// Opens an ONNX file; its SE blocks are found. Images are `[N,3,H,W]`. With the feature `zoo` they are prepared as
    /// a `config.json` beside the file says, else as is usual for ImageNet, and 1000 classes are called as ImageNet's;
    /// else [`Model::with_preprocess`] and [`Model::with_labels`] say so.
    ///
    /// # Errors
    /// The file can't be read or is damaged, or something in it is not supported ([`Error::Unsupported`] names all ops).
    pub fn onnx(path: impl AsRef<Path>) -> Result<Self> {
        Self::onnx_with(path, &ModelOptions::default())
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
        let onnx = Onnx::open(path, &options.onnx)?;
        onnx.check_data()?;
        let input = onnx.input(&options.onnx)?;
        let size = match options.size.or(options.onnx.size) {
            None if input.dims.iter().skip(1).any(Option::is_none) => usual_size(path, options)?,
            size => size,
        };
        let read = OnnxOptions { size, channels_first: true, ..options.onnx.clone() };
        let OnnxModel { graph, weights, se: se_blocks, fixed_batch } = onnx.model(&read)?;
        let fixed_batch = fixed_batch.map(|reason| onnx.fixed(&reason));
        let model = Self {
            name: path.to_string_lossy().into(),
            file: Some(path.into()),
            se_blocks,
            fixed_batch,
            ..Self::new(graph, weights)
        };
        model.with_settings(path, &input, options)
    }
}

/// How the images of a file's network are prepared, and what its classes are.
#[cfg(feature = "zoo")]
fn settings(config: Option<&Path>, classes: usize) -> Result<Pretrained> {
    let assumed = Pretrained::assumed(classes);
    config.map_or(Ok(assumed.clone()), |config| assumed.with_config_file(config))
}

/// Height and width where a file leaves them open: as the configuration beside it says, if there is one.
#[cfg(feature = "zoo")]
fn usual_size(path: &Path, options: &ModelOptions) -> Result<Option<[usize; 2]>> {
    let Some(config) = config_beside(path) else { return Ok(None) };
    Ok(Some(options.preprocess(&settings(Some(&config), 1000)?).size))
}

#[cfg(not(feature = "zoo"))]
fn usual_size(_: &Path, _: &ModelOptions) -> Result<Option<[usize; 2]>> {
    Ok(None)
}

#[cfg(not(feature = "zoo"))]
impl Model {
    fn with_settings(self, _: &Path, _: &OnnxInput, _: &ModelOptions) -> Result<Self> {
        Ok(self)
    }
}

#[cfg(feature = "zoo")]
impl Model {
    fn with_settings(mut self, path: &Path, input: &OnnxInput, options: &ModelOptions) -> Result<Self> {
        let Shape::Map { channels: 3, height, width } = self.graph.input_shape() else { return Ok(self) };
        let config = config_beside(path);
        let output = self.graph.output_shape();
        let classes = if let Shape::Vector { features } = output { Some(features) } else { None };
        let known = settings(config.as_deref(), classes.unwrap_or_default())?;
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
        self.notes.push(format!("images: {preprocess}; {origin}"));
        if classes.is_some() {
            self.labels = options.names(&known)?;
        }
        self.with_preprocess(preprocess)
    }
}

impl ModelOptions {
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
}
