//! A file's contents, beside their place in the cache until they are whole and checked.

use super::http::{Http, Remote};
use super::{Failure, HubFile, Progress, download_error, names};
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// Makes `blob`, going on with `<blob>.incomplete` if there is one. The blob's lock must be held.
pub(super) fn download(
    http: &Http,
    url: &str,
    remote: &Remote,
    file: &HubFile<'_>,
    blob: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Failure> {
    let fail = |message: String| download_error(url, message);
    let expected = file.sha256.map(str::to_ascii_lowercase);
    let promised = Some(remote.etag.to_ascii_lowercase()).filter(|etag| names::is_sha256(etag));
    if let (Some(expected), Some(promised)) = (&expected, &promised)
        && expected != promised
    {
        return Err(fail(format!("expected SHA-256 {expected}, the hub has {promised}")).into());
    }
    if expected.is_none() && promised.is_none() && file.name.ends_with(".safetensors") {
        log::warn!("{url}: the hub states no SHA-256 of {}, only its size is checked", file.name);
    }
    let path = blob.with_extension("incomplete");
    let io = |doing: &'static str| {
        let path = path.clone();
        move |error: io::Error| Error::io(path, doing, error)
    };
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut part = opened.map_err(io("open"))?;
    let mut sum = Sha256::new();
    let mut done = io::copy(&mut part, &mut Hashed(&mut sum)).map_err(io("read"))?;
    if done > remote.size {
        done = start_over(&mut part, &mut sum).map_err(io("write"))?;
    }
    let mut tell = |done| progress(Progress { file: file.name, done, total: remote.size });
    if done < remote.size {
        let mut contents = http.contents(url, done, remote.size)?;
        if contents.from != done {
            done = start_over(&mut part, &mut sum).map_err(io("write"))?;
        }
        tell(done);
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match contents.reader.read(&mut chunk) {
                Ok(0) if done == remote.size => break,
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            };
            let count = count.map_err(|error| {
                let message =
                    format!("broke off after {done} of {} bytes; the next try goes on from there", remote.size);
                Failure::Unreachable(Error::Download { url: url.into(), message, source: Some(Box::new(error)) })
            })?;
            done += count as u64;
            if done > remote.size {
                fs::remove_file(&path).map_err(io("delete"))?;
                return Err(fail(format!("the hub promised {} bytes and sends more", remote.size)).into());
            }
            part.write_all(&chunk[..count]).map_err(io("write"))?;
            sum.update(&chunk[..count]);
            tell(done);
        }
    }
    part.sync_all().map_err(io("write"))?;
    drop(part);
    let found = hex(&sum.finalize());
    if let Some(wanted) = promised.or(expected).filter(|wanted| *wanted != found) {
        fs::remove_file(&path).map_err(io("delete"))?;
        return Err(fail(format!("expected SHA-256 {wanted}, found {found}; what was downloaded is deleted")).into());
    }
    fs::rename(&path, blob).map_err(|error| Error::io(blob, "write", error))?;
    Ok(())
}

/// Checks a file that is in the cache already.
pub(super) fn check_file(path: &Path, expected: &str) -> Result<()> {
    let mut sum = Sha256::new();
    let (mut file, _) = files::open(path, &Kind { name: "file", expected: "a file", most: u64::MAX })?;
    io::copy(&mut file, &mut Hashed(&mut sum)).map_err(|error| Error::io(path, "read the file", error))?;
    let found = hex(&sum.finalize());
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Error::file(path, format!("expected SHA-256 {}, found {found}", expected.to_ascii_lowercase())))
}

fn start_over(part: &mut File, sum: &mut Sha256) -> io::Result<u64> {
    part.set_len(0)?;
    part.rewind()?;
    *sum = Sha256::new();
    Ok(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hashed<'a>(&'a mut Sha256);

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
