//! Files that appear whole or not at all.

use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;

/// Writes beside the place, then renames: whoever reads finds the old file or the new one. `doing` is what an error
/// says can't be done.
pub(crate) fn write(path: &Path, doing: &str, bytes: &[u8]) -> Result<()> {
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(Error::file(path, "expected a place for a file, found a directory or a device"));
    }
    let fail = |e: std::io::Error| Error::io(path, doing, e);
    let name = path.file_name().ok_or_else(|| fail(std::io::Error::other("the path names no file")))?;
    let beside = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|e| {
        let _ = std::fs::remove_file(&beside);
        fail(e)
    })
}
