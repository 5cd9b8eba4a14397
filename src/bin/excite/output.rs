//! Files that appear whole or not at all, also when the user interrupts.

use excite::{Error, Result, Tensor, escaped};
use signal_hook::consts::SIGINT;
use signal_hook::{flag, low_level};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};

/// Whether Ctrl-C may end the program at once: not while a file is being written.
static MAY_END: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));
/// Whether there was a Ctrl-C.
static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Exit status of a program ended by Ctrl-C, as shells have it.
const STATUS: i32 = 130;

/// Ends the program on Ctrl-C, but not in the midst of writing a file: what has begun is finished first. That takes
/// moments, and neither half a file nor the part of one stays behind. The end is at once, without the destructors of
/// drivers, whose threads are still at work.
pub fn finish_files_on_interrupt() {
    let registered = flag::register_conditional_shutdown(SIGINT, STATUS, Arc::clone(&MAY_END))
        .and_then(|_| flag::register(SIGINT, Arc::clone(&INTERRUPTED)));
    if let Err(error) = registered {
        log::warn!("Ctrl-C may leave part of a file behind: {error}");
    }
}

/// Refuses a place that can't hold a file, before work is spent on what it should hold.
pub fn check_place(path: &Path) -> Result<()> {
    let refuse = |message: String| Err(Error::File { path: path.into(), message, source: None });
    // The new file takes the old one's place, which a device or a pipe must not lose.
    if let Ok(there) = std::fs::metadata(path).as_ref().map(std::fs::Metadata::file_type)
        && !there.is_file()
    {
        return refuse(format!(
            "can't write: it is {}",
            if there.is_dir() { "a directory" } else { "no regular file" }
        ));
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return refuse("can't write: the path names no file".into()),
    };
    if !parent.is_dir() {
        return refuse(format!("can't write: {} is no directory", escaped(parent)));
    }
    // A file that is gone once it is closed tells whether the directory takes one.
    match tempfile::tempfile_in(parent) {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::File { path: path.into(), message: "can't write".into(), source: Some(Box::new(e)) }),
    }
}

/// Writes tensors by name.
pub fn write_tensors<'a>(path: &Path, tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<()> {
    whole(|| excite::import::safetensors::write(path, tensors))
}

/// Writes bytes.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    whole(|| excite::write_whole_file(path, "write", bytes))
}

/// Refuses to send to a terminal what standard output is to hold.
pub fn check_standard() -> Result<()> {
    match std::io::stdout().is_terminal() {
        true => Err(Error::Request("--output -: standard output is a terminal; send it into a file".into())),
        false => Ok(()),
    }
}

/// What would be in a file.
pub fn bytes_of(save: impl FnOnce(&Path) -> Result<()>) -> Result<Vec<u8>> {
    let fail = |e: std::io::Error| Error::File {
        path: std::env::temp_dir(),
        message: "can't keep a file for a moment".into(),
        source: Some(Box::new(e)),
    };
    let folder = tempfile::tempdir().map_err(fail)?;
    let path = folder.path().join("output");
    save(&path)?;
    std::fs::read(&path).map_err(fail)
}

/// Writes a file; Ctrl-C waits for it.
pub fn whole(write: impl FnOnce() -> Result<()>) -> Result<()> {
    MAY_END.store(false, SeqCst);
    let written = write();
    MAY_END.store(true, SeqCst);
    if INTERRUPTED.load(SeqCst) {
        low_level::exit(STATUS);
    }
    written
}
