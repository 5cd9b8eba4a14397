//! The files of a pretrained network: weights as safetensors, and what they were trained with.

use super::{CachedFile, Failure, Hub, HubFile, Progress};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const PICKLE: &str = "pytorch_model.bin";

/// Where they are in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PretrainedFiles {
    /// `model.safetensors`; where the repository has it in parts, `model.safetensors.index.json` with the parts that it
    /// names beside it.
    pub weights: PathBuf,
    /// `config.json`, if the repository has one.
    pub config: Option<PathBuf>,
    /// The commit that they are of; the revision asked for, where somebody put them there by hand.
    pub commit: String,
}

/// Weights and configuration of a repository, from the cache or downloaded into it.
///
/// # Errors
/// Those of [`Hub::get`]; the repository has no safetensors.
pub fn pretrained_files(
    hub: &Hub,
    repository: &str,
    revision: Option<&str>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PretrainedFiles> {
    let file = HubFile { repository, revision, name: WEIGHTS, sha256: None };
    let CachedFile { path: weights, commit } = match hub.fetch(&file, progress) {
        Err(Failure::Absent(error, _)) => in_parts(hub, file, error, progress)?,
        whole => whole.map_err(Failure::error)?,
    };
    // Of the same commit, whatever has happened to the branch.
    let config = match hub.fetch(&HubFile { revision: Some(&commit), name: CONFIG, ..file }, progress) {
        Ok(config) => Some(config.path),
        Err(Failure::Absent(..)) => None,
        Err(Failure::Unreachable(error)) => {
            log::warn!("no {CONFIG} for {repository}: {error}");
            None
        }
        Err(failure) => return Err(failure.error()),
    };
    Ok(PretrainedFiles { weights, config, commit })
}

fn in_parts(
    hub: &Hub,
    file: HubFile<'_>,
    no_weights: Error,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<CachedFile> {
    let index = match hub.fetch(&HubFile { name: INDEX, ..file }, progress) {
        Err(Failure::Absent(..)) => return Err(pickle_or(hub, file, no_weights)),
        index => index.map_err(Failure::error)?,
    };
    for part in parts(&index.path)? {
        hub.get(&HubFile { name: &part, revision: Some(&index.commit), ..file }, progress)?;
    }
    Ok(index)
}

/// The files that an index names.
fn parts(path: &Path) -> Result<BTreeSet<String>> {
    let text = fs::read(path).map_err(|error| Error::io(path, "read", error))?;
    let index: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    let names = index.as_ref().and_then(|index| index.get("weight_map")?.as_object()).map(|map| {
        let name = |value: &serde_json::Value| {
            value.as_str().filter(|name| name.ends_with(".safetensors")).map(str::to_string)
        };
        map.values().map(name).collect::<Option<BTreeSet<String>>>()
    });
    let expected = || Error::file(path, "expected a \"weight_map\" of tensors to safetensors files");
    names.flatten().filter(|names| !names.is_empty()).ok_or_else(expected)
}

/// The error of a repository without safetensors, with help where it has pickled weights.
fn pickle_or(hub: &Hub, file: HubFile<'_>, no_weights: Error) -> Error {
    match (hub.has(&HubFile { name: PICKLE, ..file }), no_weights) {
        (Ok(true), Error::Download { url, .. }) => {
            let message = format!(
                "the repository has {PICKLE} only, which is a pickle and can run code; convert it in Python and give \
                 the result with --weights {WEIGHTS}:\n  \
                 weights = torch.load(\"{PICKLE}\", map_location=\"cpu\", weights_only=True)\n  \
                 safetensors.torch.save_file(weights, \"{WEIGHTS}\")"
            );
            Error::Download { url, message, source: None }
        }
        (_, no_weights) => no_weights,
    }
}
