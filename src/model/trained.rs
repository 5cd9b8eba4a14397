//! Models by name: weights, the settings that lie beside them, names of classes.

use super::{Model, ModelOptions};
use crate::error::{Error, Result};
use crate::weights::Weights;
use crate::zoo::{self, Pretrained};
use std::path::{Path, PathBuf};

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
    /// No network has that name ([`Error::UnknownModel`]), no weights are published, or they can't be had or read.
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
    /// No network has that name ([`Error::UnknownModel`]).
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
                "images are prepared as for {}, for want of a tag and of a config.json beside the weights",
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
pub(super) fn config_beside(weights: &Path) -> Option<PathBuf> {
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
