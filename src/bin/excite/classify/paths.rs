//! The images among files and directories.

use excite::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// What images in directories are named.
const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

/// How what comes from standard input is named in messages.
pub const STANDARD: &str = "standard input";

/// Whether a path stands for standard input, or where results go for standard output.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// All of standard input, and a byte more than `most` where there is more. `what` is what an error says can't be read.
pub fn read_standard(what: &str, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| Error::File {
        path: STANDARD.into(),
        message: format!("can't read the {what}"),
        source: Some(Box::new(error)),
    })
}

/// Files as they are given; in a directory's place the images in and below it, by name.
pub fn images(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => images.extend(inside(path)?),
            false => images.push(path.clone()),
        }
    }
    Ok(images)
}

fn inside(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    let walk = WalkDir::new(directory).follow_links(true).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_named_as_image(entry.path()) => {
                images.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) if error.loop_ancestor().is_some() => log::warn!("{error}"),
            Err(error) => match error.path() {
                // A link to nothing: decoding says so in its place.
                Some(path) if path.is_symlink() && is_named_as_image(path) => images.push(path.into()),
                Some(path) if path.is_symlink() => {}
                path => {
                    let (path, message) = (path.unwrap_or(directory).into(), "can't list the directory".into());
                    let source = error.into_io_error().map(Into::into);
                    return Err(Error::File { path, message, source });
                }
            },
        }
    }
    if images.is_empty() {
        let message = format!("expected images in this directory, found no file named .{}", EXTENSIONS.join(", ."));
        return Err(Error::File { path: directory.into(), message, source: None });
    }
    Ok(images)
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_named_as_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}
