//! Tensors that an ONNX file keeps in another one. Off unless asked for, and then only files beside the model: a name in
//! a downloaded model must not make anybody read `/etc/passwd`.

use super::stored::Place;
use crate::import::contents::Contents;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What external data may be read.
pub(super) struct External {
    /// Where the model lies, if data beside it may be read.
    directory: Option<PathBuf>,
    open: RefCell<HashMap<PathBuf, (Arc<Contents>, u64)>>,
}

/// Why tensors of these names can't be read, whose data these files have.
pub(super) fn refusal(names: &[&str], files: &[&str]) -> String {
    let more = |count: usize| if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    let its = if names.len() > 1 { "their" } else { "its" };
    let (place, which) = if files.len() > 1 { ("other files", "which are") } else { ("another file", "which is") };
    format!(
        "tensor \"{}\"{}: {its} data is in {place}, \"{}\"{}, {which} read only when asked for (`--external-data`, \
         `OnnxOptions::external_data`)",
        names[0],
        more(names.len()),
        files[0],
        more(files.len())
    )
}

impl External {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, open: RefCell::default() }
    }

    /// The file that `entries` name and the offset of `bytes` bytes in it, all checked; or its name, where files beside
    /// the model may not be read.
    pub(super) fn open(&self, entries: &[(String, String)], bytes: u64) -> Result<Place, String> {
        let entry = |key: &str| entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("external data has {key} \"{text}\"")),
        };
        let location = entry("location").ok_or("external data without a location")?;
        let Some(directory) = &self.directory else {
            return Ok(Place::Elsewhere(location.into()));
        };
        let (at, length) = (number("offset")?.unwrap_or(0), number("length")?);
        if length.is_some_and(|length| length != bytes) {
            return Err(format!("its shape needs {bytes} bytes, \"{location}\" is said to have {length:?}"));
        }
        let (contents, size) = self.file(directory, location)?;
        match at.checked_add(bytes) {
            Some(end) if end <= size => Ok(Place::File { contents, at }),
            _ => Err(format!("needs bytes {at} to {} of \"{location}\", which has {size}", at.saturating_add(bytes))),
        }
    }

    fn file(&self, directory: &Path, location: &str) -> Result<(Arc<Contents>, u64), String> {
        let relative = Path::new(location);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if location.is_empty() || location.contains(['\\', '\0']) || !plain {
            return Err(format!("external data at \"{location}\": expected a file inside the model's directory"));
        }
        let path = directory.join(relative);
        if let Some((contents, size)) = self.open.borrow().get(&path) {
            return Ok((contents.clone(), *size));
        }
        let unreadable = |e: std::io::Error| format!("can't read external data {}: {e}", path.display());
        // Opening a pipe would wait for its writer.
        if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(format!("external data {}: expected a regular file", path.display()));
        }
        let file = File::open(&path).map_err(unreadable)?;
        let opened = file.metadata().map_err(unreadable)?;
        // Checked after opening, so that nothing can be exchanged in between.
        let mut here = directory.to_path_buf();
        for part in relative.components() {
            here.push(part);
            if std::fs::symlink_metadata(&here).map_err(unreadable)?.is_symlink() {
                return Err(format!("external data {}: links are not followed", path.display()));
            }
        }
        let named = std::fs::symlink_metadata(&path).map_err(unreadable)?;
        if !opened.is_file() || !is_same_and_sole(&opened, &named) {
            return Err(format!("external data {}: expected a regular file without links", path.display()));
        }
        let inside = path.canonicalize().ok().zip(directory.canonicalize().ok());
        if !inside.is_some_and(|(path, directory)| path.starts_with(directory)) {
            return Err(format!("external data {}: not inside the model's directory", path.display()));
        }
        let contents = Arc::new(Contents::file(&path, file));
        self.open.borrow_mut().insert(path, (contents.clone(), opened.len()));
        Ok((contents, opened.len()))
    }
}

/// Whether the opened file is the one that is named, and has no other name.
#[cfg(unix)]
fn is_same_and_sole(opened: &std::fs::Metadata, named: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (opened.dev(), opened.ino(), opened.nlink()) == (named.dev(), named.ino(), 1)
}

#[cfg(not(unix))]
fn is_same_and_sole(opened: &std::fs::Metadata, named: &std::fs::Metadata) -> bool {
    opened.len() == named.len() && named.is_file()
}
