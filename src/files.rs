//! Opens regular files and no others, and writes files that appear whole or not at all.

use crate::error::{Error, Result};
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::path::Path;

/// What a loader takes.
pub(crate) struct Kind {
    /// What a message says can't be read: `labels`.
    pub name: &'static str,
    /// What a message says was expected: `a text file`.
    pub expected: &'static str,
    /// Bytes of the largest file that is opened.
    pub most: u64,
}

/// Opens a regular file of at most as many bytes as its kind allows, and says how many it has.
///
/// # Errors
/// The file can't be opened, is longer, or is a directory, a pipe, a socket or a device.
pub(crate) fn open(path: &Path, kind: &Kind) -> Result<(File, u64)> {
    let fail = |e| Error::io(path, &format!("read the {}", kind.name), e);
    let regular = |metadata: &Metadata| match metadata.is_file() {
        true => Ok(()),
        false => {
            let found = if metadata.is_dir() { "a directory" } else { "no regular file" };
            Err(Error::file(path, format!("expected {}, found {found}", kind.expected)))
        }
    };
    // Opening a pipe waits for its writer, and opening a device may do something: looked at before, and again after.
    regular(&std::fs::metadata(path).map_err(fail)?)?;
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    regular(&metadata)?;
    if metadata.len() > kind.most {
        return Err(too_long(path, kind, &metadata.len().to_string()));
    }
    Ok((file, metadata.len()))
}

/// Reads a whole file that [`open`] opens.
///
/// # Errors
/// As there, and the file can't be read or turns out to be longer than it said.
pub(crate) fn read(path: &Path, kind: &Kind) -> Result<Vec<u8>> {
    let (file, _) = open(path, kind)?;
    let mut bytes = Vec::new();
    let read = file.take(kind.most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|e| Error::io(path, &format!("read the {}", kind.name), e))?;
    // The files of /proc say that they are empty.
    if bytes.len() as u64 > kind.most {
        return Err(too_long(path, kind, "more"));
    }
    Ok(bytes)
}

/// As [`read`], for text.
///
/// # Errors
/// As there, and the file is no UTF-8.
pub(crate) fn read_text(path: &Path, kind: &Kind) -> Result<String> {
    text(path, read(path, kind)?, kind)
}

/// As [`read_text`], of what was read already.
///
/// # Errors
/// It is longer than its kind allows, or no UTF-8.
pub(crate) fn text(path: &Path, bytes: Vec<u8>, kind: &Kind) -> Result<String> {
    if bytes.len() as u64 > kind.most {
        return Err(too_long(path, kind, &bytes.len().to_string()));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::file(path, format!("expected {} in UTF-8, found other bytes", kind.expected)))
}

fn too_long(path: &Path, Kind { expected, most, .. }: &Kind, found: &str) -> Error {
    Error::file(path, format!("expected {expected} of at most {most} bytes, found {found}"))
}

/// Writes beside the place, then renames: readers find the old file or the new one. `doing` is what an error says can't
/// be done.
///
/// # Errors
/// The place can't be written to, or is a directory or a device.
pub fn write(path: &Path, doing: &str, bytes: &[u8]) -> Result<()> {
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(Error::file(path, "expected a place for a file, found a directory or a device"));
    }
    let fail = |e: std::io::Error| Error::io(path, doing, e);
    let name = path.file_name().ok_or_else(|| fail(std::io::Error::other("the path names no file")))?;
    let beside = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|e| {
        let _ = std::fs::remove_file(&beside);
        fail(e)
    })
}

#[cfg(all(test, feature = "bundled", feature = "onnx"))]
mod tests {
    use super::*;
    use crate::Weights;
    use crate::import::onnx::OnnxModel;
    use crate::model::Labels;
    use crate::plan::Ranges;
    use crate::tuning::Tuning;
    use crate::zoo::Pretrained;
    use std::path::PathBuf;
    use std::time::Duration;

    /// Every loader: what it reads, the bytes of its largest file where there is a limit, and itself.
    type Loader = (&'static str, Option<u64>, fn(&Path) -> Result<()>);

    const LOADERS: &[Loader] = &[
        ("labels", Some(16 << 20), |path| Labels::from_file(path, 2).map(drop)),
        ("configuration", Some(1 << 20), |path| Pretrained::assumed(2).with_config_file(path).map(drop)),
        ("ranges", Some(16 << 20), |path| Ranges::load(path).map(drop)),
        ("tuning", Some(8 << 20), |path| Tuning::load(path).map(drop)),
        ("weights", None, |path| Weights::from_safetensors(path).map(drop)),
        ("tensors", None, |path| crate::import::safetensors::read(path).map(drop)),
        ("model", None, |path| OnnxModel::from_onnx(path).map(drop)),
        ("index", Some(4 << 20), |path| crate::import::shards::read_index(path).map(drop)),
        #[cfg(feature = "image")]
        ("image", None, |path| crate::image::open(path).map(drop)),
    ];

    /// What a loader says of a file that it must refuse at once.
    fn refusal(&(name, _, load): &Loader, path: &Path) -> String {
        let (send, receive) = std::sync::mpsc::channel();
        let owned = path.to_path_buf();
        std::thread::spawn(move || send.send(load(&owned).map_err(|e| e.to_string())));
        let answer = receive.recv_timeout(Duration::from_secs(20));
        let message = answer.unwrap_or_else(|_| panic!("{name}: waits for {}", path.display()));
        message.expect_err(&format!("{name}: takes {}", path.display()))
    }

    #[test]
    fn no_loader_takes_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        for loader in LOADERS {
            let message = refusal(loader, folder.path());
            assert!(message.ends_with(", found a directory"), "{}: {message}", loader.0);
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_loader_waits_for_a_pipe_or_reads_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe, "/dev/zero".into(), link] {
            for loader in LOADERS {
                let message = refusal(loader, &path);
                assert!(message.ends_with(", found no regular file"), "{}: {message}", loader.0);
            }
        }
        // A link to a regular file is as good as the file.
        let (labels, link) = (folder.path().join("labels"), folder.path().join("link.txt"));
        std::fs::write(&labels, "a\nb").unwrap();
        std::os::unix::fs::symlink(&labels, &link).unwrap();
        assert_eq!(Labels::from_file(link, 2).unwrap().name(1), "b");
    }

    #[test]
    fn no_loader_reads_what_is_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("long");
        for loader in LOADERS {
            let Some(most) = loader.1 else { continue };
            File::create(&path).unwrap().set_len(most + 1).unwrap();
            let message = refusal(loader, &path);
            assert!(message.contains(&format!("at most {most} bytes")), "{}: {message}", loader.0);
            // One byte less is looked into.
            File::create(&path).unwrap().set_len(most).unwrap();
            let message = refusal(loader, &path);
            assert!(!message.contains("at most"), "{}: {message}", loader.0);
        }
    }

    #[test]
    fn a_missing_file_is_told_by_what_it_is_to_be() {
        for loader in LOADERS {
            let message = refusal(loader, Path::new("/nowhere/at/all"));
            assert!(message.starts_with("/nowhere/at/all: can't read the "), "{}: {message}", loader.0);
        }
    }

    // /proc/version says that it has no bytes.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_length_that_is_not_true_changes_nothing() {
        let kind = Kind { name: "text", expected: "a text", most: 4 };
        let message = read(Path::new("/proc/version"), &kind).unwrap_err().to_string();
        assert_eq!(message, "/proc/version: expected a text of at most 4 bytes, found more");
        assert!(read_text(Path::new("/proc/version"), &Kind { most: 1 << 20, ..kind }).unwrap().starts_with("Linux"));
    }
}
/// Sums bytes up by FNV-1a, to find damage. It keeps no one from forging.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}
