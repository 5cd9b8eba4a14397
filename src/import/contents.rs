//! The bytes of a file, or of a buffer, read piece by piece.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where bytes come from; `path` names them in messages.
pub(super) struct Contents {
    pub path: PathBuf,
    source: Source,
}

enum Source {
    File(Mutex<File>),
    Memory(Arc<[u8]>),
}

impl Contents {
    pub(super) fn file(path: &Path, file: File) -> Self {
        Self { path: path.into(), source: Source::File(Mutex::new(file)) }
    }

    pub(super) fn memory(path: &Path, bytes: Arc<[u8]>) -> Self {
        Self { path: path.into(), source: Source::Memory(bytes) }
    }

    /// Fills `into` with the bytes from `at` on.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        match &self.source {
            Source::Memory(bytes) => {
                let from = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                (&mut &*from).read_exact(into)
            }
            Source::File(file) => {
                let mut file = file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(into)
            }
        }
    }
}
