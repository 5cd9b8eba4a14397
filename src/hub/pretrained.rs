//! The files of a pretrained network: weights as safetensors, and what they were trained with.

use super::{CachedFile, Failure, Hub, HubFile, Progress, names};
use crate::error::{Error, Result};
use crate::import::shards;
use std::path::PathBuf;

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const PICKLE: &str = "pytorch_model.bin";
/// Largest configuration and index that are downloaded, in bytes.
const MAX_SMALL: u64 = 4 << 20;

/// Where they are in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PretrainedFiles {
    /// For [`Weights::open`](crate::Weights::open): `model.safetensors`; where the repository has it in parts,
    /// `model.safetensors.index.json` with the parts that it names beside it.
    pub weights: PathBuf,
    /// `config.json`, if the repository has one; where somebody put the weights there by hand, if it lies beside them.
    pub config: Option<PathBuf>,
    /// The commit that they are of; the revision asked for, where somebody put them there by hand.
    pub commit: String,
}

/// Weights and configuration of a repository, from the cache or downloaded into it.
///
/// # Errors
/// Those of [`Hub::get`]; the repository has no safetensors; a configuration or an index of more than 4 MiB, or an index
/// that is not sound or names more than 256 files.
pub fn pretrained_files(
    hub: &Hub,
    repository: &str,
    revision: Option<&str>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PretrainedFiles> {
    let file = HubFile { repository, revision, name: WEIGHTS, sha256: None };
    let CachedFile { path: weights, commit } = match hub.fetch(&file, u64::MAX, progress) {
        Err(Failure::Absent(error, _)) => in_parts(hub, file, *error, progress)?,
        whole => whole.map_err(Failure::error)?,
    };
    // Put there by hand: whatever the hub has belongs to other weights, and asking would note the branch's commit, after
    // which these weights would not be found again.
    if !names::is_commit(&commit) {
        let config = Some(weights.with_file_name(CONFIG)).filter(|path| path.is_file());
        return Ok(PretrainedFiles { weights, config, commit });
    }
    // Of the same commit, whatever has happened to the branch.
    let config = match hub.fetch(&HubFile { revision: Some(&commit), name: CONFIG, ..file }, MAX_SMALL, progress) {
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
    let index = match hub.fetch(&HubFile { name: INDEX, ..file }, MAX_SMALL, progress) {
        Err(Failure::Absent(..)) => return Err(pickle_or(hub, file, no_weights)),
        index => index.map_err(Failure::error)?,
    };
    for part in shards::read_index(&index.path)?.into_keys() {
        hub.get(&HubFile { name: &part, revision: Some(&index.commit), ..file }, progress)?;
    }
    Ok(index)
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
