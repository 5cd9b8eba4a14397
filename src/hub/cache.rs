//! A repository's folder in the cache, laid out as Python's `huggingface_hub` does:
//!
//! ```text
//! models--OWNER--NAME/blobs/ETAG               contents
//! models--OWNER--NAME/snapshots/COMMIT/FILE    a link to them
//! models--OWNER--NAME/refs/BRANCH              the commit it was at
//! models--OWNER--NAME/.no_exist/COMMIT/FILE    the commit has no such file
//! .locks/models--OWNER--NAME/ETAG.lock         held while the blob is made
//! ```

use super::names;
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub(super) struct Folder {
    root: PathBuf,
    locks: PathBuf,
}

impl Folder {
    pub(super) fn new(cache: &Path, repository: &str) -> Self {
        let name = format!("models--{}", repository.replace('/', "--"));
        Self { root: cache.join(&name), locks: cache.join(".locks").join(name) }
    }

    /// The commit that the revision is, or was when it was last asked for.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if names::is_commit(revision) {
            return Some(revision.into());
        }
        let kind = Kind { name: "revision", expected: "a commit", most: 4096 };
        let commit = files::read_text(&self.root.join("refs").join(revision), &kind).ok()?;
        Some(commit.trim().to_string()).filter(|commit| names::is_commit(commit))
    }

    /// For revisions that aren't commits themselves.
    pub(super) fn keep_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if names::is_commit(revision) {
            return Ok(());
        }
        write(&self.root.join("refs").join(revision), commit)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    pub(super) fn snapshot(&self, commit: &str, file: &str) -> PathBuf {
        self.root.join("snapshots").join(commit).join(file)
    }

    pub(super) fn is_known_absent(&self, commit: &str, file: &str) -> bool {
        self.root.join(".no_exist").join(commit).join(file).is_file()
    }

    pub(super) fn note_absent(&self, commit: &str, file: &str) -> Result<()> {
        write(&self.root.join(".no_exist").join(commit).join(file), "")
    }

    /// Waits until no other process makes this blob. The lock ends with the file that is returned.
    pub(super) fn lock(&self, etag: &str) -> Result<File> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_parent(&path)?;
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|error| Error::io(&path, "open", error))?;
        if file.try_lock().is_err() {
            log::info!("waiting for another process that downloads {}", self.blob(etag).display());
            file.lock().map_err(|error| Error::io(&path, "lock", error))?;
        }
        make_parent(&self.blob(etag))?;
        Ok(file)
    }

    /// Makes the blob appear under the file's name. The blob's lock must be held.
    pub(super) fn link(&self, blob: &Path, commit: &str, file: &str) -> Result<PathBuf> {
        let path = self.snapshot(commit, file);
        if path.is_file() {
            return Ok(path);
        }
        make_parent(&path)?;
        // A link to a blob that has gone.
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(|error| Error::io(&path, "replace", error))?;
        }
        let up = "../".repeat(2 + file.matches('/').count());
        let name = blob.file_name().map(Path::new).unwrap_or(blob);
        let target = Path::new(&up).join("blobs").join(name);
        // Windows allows links to few users, and not every file system has them.
        let linked = symlink(&target, &path).or_else(|_| fs::hard_link(blob, &path)).or_else(|_| copy(blob, &path));
        linked.map_err(|error| Error::io(&path, "write", error))?;
        Ok(path)
    }
}

#[cfg(not(windows))]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_file as symlink;

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let part = to.with_extension("part");
    fs::copy(from, &part)?;
    fs::rename(part, to)
}

fn write(path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).map_err(|error| Error::io(path, "write", error))
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|error| Error::io(parent, "make this folder", error))
}
