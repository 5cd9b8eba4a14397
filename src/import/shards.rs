//! Directories of weights as the Hugging Face hub has them: one file, or an index and its shards.

use super::safetensors::{Checkpoint, MAX_HEADER, is_ignored, pickle};
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Most files that one checkpoint lies in.
const MAX_SHARDS: usize = 256;

/// The directory's weights: of `model.safetensors` if it is there.
pub(super) fn open(folder: &Path) -> Result<Checkpoint> {
    if folder.join(WHOLE).exists() {
        return Checkpoint::open_file(&folder.join(WHOLE));
    }
    let index = folder.join(INDEX);
    if index.exists() {
        return open_shards(folder, &index);
    }
    let legacy = folder.join("pytorch_model.bin");
    if legacy.exists() {
        return Err(pickle(&legacy));
    }
    Err(Error::file(folder, format!("expected {WHOLE} or {INDEX} in this directory, found neither")))
}

/// Whether this is the name of an index.
pub(super) fn is_index(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".safetensors.index.json"))
}

/// The weights of an index and the files beside it; `origin` names them in messages.
pub(super) fn open_shards(origin: &Path, index: &Path) -> Result<Checkpoint> {
    let folder = index.parent().unwrap_or(Path::new(""));
    let index_name = index.file_name().unwrap_or_default().to_string_lossy();
    let mut files = Vec::new();
    for (name, promised) in read_index(index)? {
        let path = folder.join(&name);
        let shard = Checkpoint::open_file(&path)?;
        let found: BTreeSet<String> = shard.names().cloned().collect();
        if let Some(name) = promised.difference(&found).next() {
            return Err(Error::file(path, format!("has no tensor \"{name}\", which {index_name} places here")));
        }
        if let Some(name) = found.difference(&promised).next() {
            return Err(Error::file(path, format!("has a tensor \"{name}\", which {index_name} does not place here")));
        }
        files.push(shard);
    }
    Ok(Checkpoint::join(origin, files))
}

/// The names of each shard's tensors, by the shard's file name.
pub(crate) fn read_index(path: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let refuse = |message: String| Err(Error::file(path, message));
    let bytes = files::read(path, &Kind { name: "index", expected: "an index", most: MAX_HEADER })?;
    let index: Value =
        serde_json::from_slice(&bytes).map_err(|e| Error::file(path, format!("is not sound JSON: {e}")))?;
    let Some(places) = index.get("weight_map").and_then(Value::as_object).filter(|places| !places.is_empty()) else {
        return refuse("expected an object \"weight_map\" with the file of each tensor".into());
    };
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, file) in places {
        let Some(file) = file.as_str().filter(|file| is_plain(file)) else {
            return refuse(format!(
                "expected a .safetensors file of the same directory for \"{tensor}\", found {file}"
            ));
        };
        let tensors = files.entry(file.into()).or_default();
        if !is_ignored(tensor) {
            tensors.insert(tensor.clone());
        }
    }
    if files.len() > MAX_SHARDS {
        return refuse(format!("expected at most {MAX_SHARDS} files, found {}", files.len()));
    }
    Ok(files)
}

/// Whether this is the name of a file and nothing else, on every system.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let single = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    single && name.ends_with(".safetensors") && !name.contains(['/', '\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::super::safetensors::write;
    use super::*;
    use crate::tensor::Tensor;
    use crate::weights::Store;

    fn folder(files: &[(&str, &[&str])], index: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, names) in files {
            let tensor = Tensor::full([names.len()], file.len() as f32);
            write(dir.path().join(file), names.iter().map(|name| (*name, &tensor))).unwrap();
        }
        std::fs::write(dir.path().join(INDEX), index).unwrap();
        dir
    }

    const TWO: &[(&str, &[&str])] = &[("a.safetensors", &["x", "y"]), ("bb.safetensors", &["z"])];
    const MAP: &str = r#"{"metadata": {"total_size": 12}, "weight_map": {"x": "a.safetensors", "y": "a.safetensors", "z": "bb.safetensors"}}"#;

    #[test]
    fn shards_are_one_checkpoint() {
        let dir = folder(TWO, MAP);
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        assert_eq!(checkpoint.shapes().unwrap().into_keys().collect::<Vec<_>>(), ["x", "y", "z"]);
        assert_eq!(checkpoint.tensor("z", &[1]).unwrap().unwrap().data(), [14.0]);
        // The same by the index, of whatever name.
        for name in [INDEX, "other.safetensors.index.json"] {
            std::fs::write(dir.path().join(name), MAP).unwrap();
            let by_index = Checkpoint::open(&dir.path().join(name)).unwrap();
            assert_eq!(by_index.shapes(), checkpoint.shapes());
            assert_eq!(by_index.tensor("z", &[1]).unwrap().unwrap().data(), [14.0]);
        }
        // The whole file goes before the index.
        write(dir.path().join(WHOLE), [("w", &Tensor::zeros([1]))]).unwrap();
        assert_eq!(Checkpoint::open(dir.path()).unwrap().shapes().unwrap().into_keys().collect::<Vec<_>>(), ["w"]);
    }

    #[test]
    fn what_index_and_shards_disagree_about_is_refused() {
        let both: &[(&str, &[&str])] = &[("a.safetensors", &["x", "y", "z"]), ("bb.safetensors", &["z"])];
        let less: &[(&str, &[&str])] = &[("a.safetensors", &["x"]), ("bb.safetensors", &["z"])];
        let one: &[(&str, &[&str])] = &[("a.safetensors", &["x", "y"])];
        for (files, message) in [
            (both, "a.safetensors: has a tensor \"z\", which model.safetensors.index.json does not place here"),
            (less, "a.safetensors: has no tensor \"y\", which model.safetensors.index.json places here"),
            (one, "bb.safetensors: can't read the weights"),
        ] {
            let error = Checkpoint::open(folder(files, MAP).path()).unwrap_err().to_string();
            assert!(error.ends_with(message), "{error}");
        }
    }

    #[test]
    fn a_broken_index_is_refused() {
        let long = format!("{{\"metadata\": \"{}\"}}", "x".repeat(MAX_HEADER as usize));
        for (index, message) in [
            ("{", "is not sound JSON"),
            ("[]", "expected an object \"weight_map\""),
            (r#"{"weight_map": {}}"#, "expected an object \"weight_map\""),
            (r#"{"weight_map": {"x": 1}}"#, "expected a .safetensors file of the same directory for \"x\", found 1"),
            (&long, "expected an index of at most 4194304 bytes"),
        ] {
            let error = Checkpoint::open(folder(TWO, index).path()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let many: BTreeMap<String, String> = (0..257).map(|n| (format!("t{n}"), format!("{n}.safetensors"))).collect();
        let index = serde_json::json!({"weight_map": many}).to_string();
        let error = Checkpoint::open(folder(TWO, &index).path()).unwrap_err().to_string();
        assert!(error.ends_with("expected at most 256 files, found 257"), "{error}");
        for name in [
            "../a.safetensors",
            "/a.safetensors",
            "x/a.safetensors",
            "..",
            ".",
            "",
            "a.bin",
            "./a.safetensors",
            "a.safetensors/",
            "x\\a.safetensors",
            "c:a.safetensors",
            "a\0.safetensors",
        ] {
            let index = serde_json::json!({"weight_map": {"x": name}}).to_string();
            let error = Checkpoint::open(folder(TWO, &index).path()).unwrap_err().to_string();
            assert!(error.contains("file of the same directory for \"x\""), "{name}: {error}");
        }
    }

    #[test]
    fn a_directory_without_weights_says_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let error = || Checkpoint::open(dir.path()).unwrap_err().to_string();
        assert!(error().contains("expected model.safetensors or model.safetensors.index.json in this directory"));
        std::fs::write(dir.path().join("pytorch_model.bin"), "").unwrap();
        assert!(error().contains("is a pickle"));
    }
}
