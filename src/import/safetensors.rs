//! Safetensors files: checked before anything is allocated, decoded tensor by tensor.

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use safetensors::{SafeTensors, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest header read, in bytes. The largest SE network's has about 300 KB.
const MAX_HEADER: u64 = 4 << 20;
/// Most tensors in one file. The largest SE network has about 3,000.
const MAX_TENSORS: usize = 20_000;

/// An opened safetensors file whose tensors are of types we read.
#[derive(Clone)]
pub(crate) struct Checkpoint {
    origin: PathBuf,
    bytes: Arc<Vec<u8>>,
    data_start: usize,
    tensors: Arc<HashMap<String, TensorInfo>>,
}

impl Checkpoint {
    /// Reads and checks a file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if matches!(path.extension().and_then(|e| e.to_str()), Some("pth" | "pt" | "bin" | "pkl")) {
            return Err(Error::file(
                path,
                "is a pickle, which can run code when read and is never parsed; convert it in Python: \
                 from safetensors.torch import save_file; save_file(torch.load(PATH, weights_only=True), \"model.safetensors\")",
            ));
        }
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, "read the weights", e))?;
        if !metadata.is_file() {
            let found = if metadata.is_dir() { "a directory" } else { "no regular file" };
            return Err(Error::file(path, format!("expected a safetensors file, found {found}")));
        }
        let mut file = std::fs::File::open(path).map_err(|e| Error::io(path, "read the weights", e))?;
        let mut first = [0; 8];
        file.read_exact(&mut first)
            .map_err(|_| Error::file(path, format!("expected a safetensors file, found {} bytes", metadata.len())))?;
        check_header(first, metadata.len(), path)?;
        let mut bytes = first.to_vec();
        file.take(metadata.len()).read_to_end(&mut bytes).map_err(|e| Error::io(path, "read the weights", e))?;
        Self::parse(bytes, path)
    }

    /// Checks bytes in memory; `origin` names them in messages.
    pub(crate) fn parse(bytes: Vec<u8>, origin: &Path) -> Result<Self> {
        let first = bytes.first_chunk::<8>().copied().unwrap_or([0; 8]);
        check_header(first, bytes.len() as u64, origin)?;
        let damaged = |e: safetensors::SafeTensorError| Error::File {
            path: origin.into(),
            message: "is not a sound safetensors file".into(),
            source: Some(Box::new(e)),
        };
        let (header, metadata): (usize, Metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let all = metadata.tensors();
        if all.len() > MAX_TENSORS {
            return Err(Error::file(origin, format!("holds {} tensors, the limit is {MAX_TENSORS}", all.len())));
        }
        let tensors: HashMap<String, TensorInfo> = all
            .into_iter()
            .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
            .map(|(name, info)| (name, info.clone()))
            .collect();
        let mut other: Vec<String> = tensors
            .iter()
            .filter(|(_, info)| !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16))
            .map(|(name, info)| format!("{name} ({:?})", info.dtype))
            .collect();
        if !other.is_empty() {
            other.sort();
            other.truncate(8);
            let message = format!("expected tensors of F32, F16 or BF16, found {}", other.join(", "));
            return Err(Error::file(origin, message));
        }
        Ok(Self { origin: origin.into(), bytes: Arc::new(bytes), data_start: header + 8, tensors: Arc::new(tensors) })
    }

    pub(crate) fn origin(&self) -> &Path {
        &self.origin
    }

    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|info| info.shape.as_slice())
    }

    pub(crate) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.tensors.iter().map(|(name, info)| (name.clone(), info.shape.clone())).collect()
    }

    /// The numbers of a tensor that `shape` knows.
    pub(crate) fn tensor(&self, name: &str) -> Tensor {
        let info = &self.tensors[name];
        let (start, end) = info.data_offsets;
        let bytes = &self.bytes[self.data_start + start..self.data_start + end];
        let data = match info.dtype {
            Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            _ => unreachable!("parse refuses other types"),
        };
        Tensor::new(info.shape.clone(), data).expect("the header was checked against the data")
    }
}

/// Refuses a header that is larger than any network's, before it is parsed. Its first 8 bytes are its length.
fn check_header(first: [u8; 8], file: u64, origin: &Path) -> Result<()> {
    let header = u64::from_le_bytes(first);
    if header <= MAX_HEADER && header <= file {
        return Ok(());
    }
    let message =
        format!("expected a safetensors file, its header claims {header} bytes (file {file}, limit {MAX_HEADER})");
    Err(Error::file(origin, message))
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint {} ({} tensors)", self.origin.display(), self.tensors.len())
    }
}

/// All tensors of a safetensors file, by name.
///
/// # Errors
/// The file can't be read, is damaged, or holds tensors that are not F32, F16 or BF16.
pub fn read(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor>> {
    let checkpoint = Checkpoint::open(path.as_ref())?;
    Ok(checkpoint.tensors.keys().map(|name| (name.clone(), checkpoint.tensor(name))).collect())
}

/// Writes tensors as F32. The file appears whole or not at all: it is written beside its place and then renamed.
///
/// # Errors
/// The place can't be written to.
pub fn write<'a>(path: impl AsRef<Path>, tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<()> {
    struct F32<'a>(&'a Tensor);
    impl View for F32<'_> {
        fn dtype(&self) -> Dtype {
            Dtype::F32
        }
        fn shape(&self) -> &[usize] {
            self.0.shape()
        }
        fn data(&self) -> Cow<'_, [u8]> {
            self.0.data().iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into()
        }
        fn data_len(&self) -> usize {
            4 * self.0.data().len()
        }
    }
    let path = path.as_ref();
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(Error::file(path, "expected a place for a file, found a directory or a device"));
    }
    let fail = |e: std::io::Error| Error::io(path, "write", e);
    let bytes = safetensors::serialize(tensors.into_iter().map(|(name, t)| (name, F32(t))), None)
        .map_err(|e| fail(std::io::Error::other(e)))?;
    let name = path.file_name().ok_or_else(|| fail(std::io::Error::other("the path names no file")))?;
    let beside = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|e| {
        let _ = std::fs::remove_file(&beside);
        fail(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn half_types_become_f32() {
        let header = r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]}}"#;
        let data = [0x00, 0x3c, 0x00, 0xc0, 0xc0, 0x3f];
        let checkpoint = Checkpoint::parse(bytes(header, &data), Path::new("memory")).unwrap();
        assert_eq!(checkpoint.tensor("a").data(), [1.0, -2.0]);
        assert_eq!(checkpoint.tensor("b").data(), [1.5]);
    }

    #[test]
    fn damaged_files_are_refused() {
        let overlap = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let integer = r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
        let short = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let huge = r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#;
        for (header, data) in [(overlap, 4), (integer, 8), (short, 4), (huge, 4), ("{", 0)] {
            assert!(Checkpoint::parse(bytes(header, &vec![0; data]), Path::new("memory")).is_err(), "{header}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let tensor = Tensor::new([2, 2], vec![1.0, -2.0, 3.5, 0.0]).unwrap();
        write(&path, [("t", &tensor)]).unwrap();
        assert_eq!(read(&path).unwrap()["t"], tensor);
        assert!(write(dir.path().join("missing/x.safetensors"), [("t", &tensor)]).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no part of a file stays behind");
    }
}
