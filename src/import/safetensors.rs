//! Safetensors files: checked before anything is allocated, read and decoded tensor by tensor.

use super::contents::Contents;
use super::rename::Renamed;
use super::shards;
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use crate::tensor::Tensor;
use crate::weights::{Shapes, Store, Weights};
use half::{bf16, f16};
use safetensors::View;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest header read, in bytes. The largest SE network's has about 300 KB.
pub(super) const MAX_HEADER: u64 = 4 << 20;
/// Most tensors in one file. The largest SE network has about 3,000.
const MAX_TENSORS: usize = 20_000;
/// How the names of pickles end, in lower case.
const PICKLES: &[&str] = &[".pth", ".pt", ".bin", ".pkl", ".ckpt", ".pth.tar"];

/// Opened safetensors files whose tensors are of types we read. Numbers stay in the files until they are asked for.
#[derive(Clone)]
pub(crate) struct Checkpoint {
    origin: PathBuf,
    tensors: BTreeMap<String, Place>,
}

/// Where a tensor lies.
#[derive(Clone)]
struct Place {
    file: Arc<Contents>,
    /// Where offsets count from.
    start: u64,
    info: TensorInfo,
}

impl Checkpoint {
    /// Opens a file, an index and its shards, or a directory with `model.safetensors` or with an index and its shards.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        match path.is_dir() {
            true => shards::open(path),
            false if shards::is_index(path) => shards::open_shards(path, path),
            false => Self::open_file(path),
        }
    }

    /// Opens one file and checks its header.
    pub(crate) fn open_file(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if PICKLES.iter().any(|end| name.ends_with(end)) {
            return Err(pickle(path));
        }
        let kind = Kind { name: "weights", expected: "a safetensors file", most: u64::MAX };
        let (mut file, length) = files::open(path, &kind)?;
        let mut first = [0; 8];
        file.read_exact(&mut first)
            .map_err(|_| Error::file(path, format!("expected a safetensors file, found {length} bytes")))?;
        let mut header = vec![0; header_length(first, length, path)?];
        file.read_exact(&mut header).map_err(|e| Error::io(path, "read the weights", e))?;
        Self::parse(&header, length, Contents::file(path, file))
    }

    /// Checks bytes in memory; `origin` names them in messages.
    pub(crate) fn from_bytes(bytes: Vec<u8>, origin: &Path) -> Result<Self> {
        let first = bytes.first_chunk::<8>().copied().unwrap_or([0; 8]);
        let length = header_length(first, bytes.len() as u64, origin)?;
        let header = bytes.get(8..8 + length).unwrap_or_default().to_vec();
        Self::parse(&header, bytes.len() as u64, Contents::memory(origin, bytes.into()))
    }

    fn parse(header: &[u8], length: u64, contents: Contents) -> Result<Self> {
        let origin = contents.path.as_path();
        // Also checks that tensors follow each other without gaps, each as long as its shape says.
        let metadata: Metadata = serde_json::from_slice(header).map_err(|e| Error::File {
            path: origin.into(),
            message: "is not a sound safetensors file".into(),
            source: Some(Box::new(e)),
        })?;
        let start = 8 + header.len() as u64;
        let expected = start.saturating_add(metadata.data_len() as u64);
        if expected != length {
            let message =
                format!("is not a sound safetensors file: its header describes {expected} bytes, found {length}");
            return Err(Error::file(origin, message));
        }
        let all = metadata.tensors();
        if all.len() > MAX_TENSORS {
            return Err(Error::file(origin, format!("holds {} tensors, the limit is {MAX_TENSORS}", all.len())));
        }
        let origin = contents.path.clone();
        let file = Arc::new(contents);
        let tensors: BTreeMap<String, Place> = all
            .into_iter()
            .filter(|(name, _)| !is_ignored(name))
            .map(|(name, info)| (name, Place { file: file.clone(), start, info: info.clone() }))
            .collect();
        let other = tensors.iter().filter(|(_, at)| !matches!(at.info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16));
        let other: Vec<String> = other.take(8).map(|(name, at)| format!("{name} ({:?})", at.info.dtype)).collect();
        if !other.is_empty() {
            let message = format!("expected tensors of F32, F16 or BF16, found {}", other.join(", "));
            return Err(Error::file(origin, message));
        }
        Ok(Self { origin, tensors })
    }

    /// Several files as one; their tensors have different names.
    pub(super) fn join(origin: &Path, files: impl IntoIterator<Item = Self>) -> Self {
        Self { origin: origin.into(), tensors: files.into_iter().flat_map(|file| file.tensors).collect() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// Reads the values of a tensor now; none if there is no such tensor.
    fn read(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(Place { file, start, info }) = self.tensors.get(name) else { return Ok(None) };
        let fail = |e| Error::io(&file.path, &format!("read tensor \"{name}\", the file has changed"), e);
        let (first, end) = info.data_offsets;
        let (at, length) = (start + first as u64, end - first);
        let data = match info.dtype {
            Dtype::F32 => {
                let mut data = vec![0.0f32; length / 4];
                file.read(at, bytemuck::cast_slice_mut(&mut data)).map_err(fail)?;
                data.iter_mut().for_each(|x| *x = f32::from_bits(u32::from_le(x.to_bits())));
                data
            }
            half => {
                let mut bytes = vec![0; length];
                file.read(at, &mut bytes).map_err(fail)?;
                let decode = if half == Dtype::F16 { decode_f16 } else { decode_bf16 };
                bytes.chunks_exact(2).map(|b| decode([b[0], b[1]])).collect()
            }
        };
        Tensor::new(info.shape.clone(), data).map(Some)
    }
}

impl Store for Checkpoint {
    fn tensor(&self, name: &str, _: &[usize]) -> Result<Option<Tensor>> {
        self.read(name)
    }

    fn shapes(&self) -> Option<Shapes> {
        Some(self.tensors.iter().map(|(name, at)| (name.clone(), at.info.shape.clone())).collect())
    }

    fn renamed(&self, names: &[Renamed]) -> Option<Arc<dyn Store>> {
        let place = |to: &Renamed| {
            let mut place = self.tensors.get(&to.theirs)?.clone();
            place.info.shape = to.shape.clone();
            Some((to.ours.clone(), place))
        };
        Some(Arc::new(Self { origin: self.origin.clone(), tensors: names.iter().filter_map(place).collect() }))
    }

    fn origin(&self) -> Option<&Path> {
        Some(&self.origin)
    }
}

impl Weights {
    /// A safetensors file, an index `….safetensors.index.json` with the files it names beside it, or a directory with
    /// `model.safetensors` or with `model.safetensors.index.json`. As [`Weights::from_safetensors`] otherwise.
    ///
    /// # Errors
    /// As there, and the index and its files disagree.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::of(Checkpoint::open(path.as_ref())?))
    }

    /// A safetensors file. F32, F16 and BF16 are read; `num_batches_tracked` is ignored. The file stays open, and must
    /// stay as it is, as long as its tensors may be needed.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or holds tensors of another type.
    pub fn from_safetensors(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::of(Checkpoint::open_file(path.as_ref())?))
    }

    /// Bytes in safetensors format: for weights compiled into a program. `origin` names them in messages.
    ///
    /// # Errors
    /// The bytes are damaged or hold tensors of another type.
    pub fn from_safetensors_bytes(bytes: Vec<u8>, origin: &str) -> Result<Self> {
        Ok(Self::of(Checkpoint::from_bytes(bytes, Path::new(origin))?))
    }
}

fn decode_f16(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

fn decode_bf16(bytes: [u8; 2]) -> f32 {
    bf16::from_le_bytes(bytes).to_f32()
}

/// Counters of training, that no answer depends on.
pub(super) fn is_ignored(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

/// Refuses a pickle, by how to convert it.
pub(super) fn pickle(path: &Path) -> Error {
    Error::file(
        path,
        "is a pickle, which can run code when read and is never parsed; convert it in Python: \
         from safetensors.torch import save_file; save_file(torch.load(PATH, weights_only=True), \"model.safetensors\")",
    )
}

/// Whether a file that is no safetensors begins as PyTorch's do: an archive, or a pickle of protocol 2 to 5.
fn looks_pickled(first: [u8; 8]) -> bool {
    first.starts_with(b"PK\x03\x04") || matches!(first, [0x80, 2..=5, ..])
}

/// Length of the header, which the file's first 8 bytes say. Refuses one that is larger than any network's before it is
/// read.
fn header_length(first: [u8; 8], file: u64, origin: &Path) -> Result<usize> {
    let header = u64::from_le_bytes(first);
    if header <= MAX_HEADER && header.saturating_add(8) <= file {
        return Ok(header as usize);
    }
    // Only now: sound headers of 640 bytes begin as pickles do.
    if looks_pickled(first) {
        return Err(pickle(origin));
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
    let checkpoint = Checkpoint::open_file(path.as_ref())?;
    let mut tensors = BTreeMap::new();
    for name in checkpoint.tensors.keys() {
        tensors.extend(checkpoint.read(name)?.map(|tensor| (name.clone(), tensor)));
    }
    Ok(tensors)
}

/// Tensors as F32, in the bytes of a safetensors file.
///
/// # Errors
/// The format can't hold them.
pub fn to_bytes<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<Vec<u8>> {
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
    safetensors::serialize(tensors.into_iter().map(|(name, t)| (name, F32(t))), None)
        .map_err(|e| Error::Tensor(format!("can't be written as safetensors: {e}")))
}

/// Writes tensors as F32. The file appears whole or not at all: it is written beside its place and then renamed.
///
/// # Errors
/// The place can't be written to.
pub fn write<'a>(path: impl AsRef<Path>, tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<()> {
    files::write(path.as_ref(), "write", &to_bytes(tensors)?)
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
        let checkpoint = Checkpoint::from_bytes(bytes(header, &data), Path::new("memory")).unwrap();
        assert_eq!(checkpoint.read("a").unwrap().unwrap().data(), [1.0, -2.0]);
        assert_eq!(checkpoint.read("b").unwrap().unwrap().data(), [1.5]);
    }

    #[test]
    fn damaged_files_are_refused() {
        let overlap = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let integer = r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
        let short = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let huge = r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#;
        let gap = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        for (header, data, message) in [
            (overlap, 4, "is not a sound safetensors file"),
            (gap, 8, "is not a sound safetensors file"),
            (integer, 8, "expected tensors of F32, F16 or BF16, found a (I64)"),
            (short, 4, "its header describes 70 bytes, found 66"),
            (short, 12, "its header describes 70 bytes, found 74"),
            (huge, 4, "is not a sound safetensors file"),
            ("{", 0, "is not a sound safetensors file"),
        ] {
            let bytes = bytes(header, &vec![0; data]);
            std::fs::write(&path, &bytes).unwrap();
            let from_file = Checkpoint::open(&path).unwrap_err().to_string();
            let from_memory = Checkpoint::from_bytes(bytes, &path).unwrap_err().to_string();
            assert!(from_file.contains(message), "{header}: {from_file}");
            assert_eq!(from_file, from_memory);
        }
    }

    #[test]
    fn headers_over_the_limit_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        for claim in [MAX_HEADER + 1, u64::MAX, u64::MAX - 7] {
            std::fs::write(&path, claim.to_le_bytes()).unwrap();
            let error = Checkpoint::open(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("its header claims {claim} bytes (file 8, limit 4194304)")), "{error}");
        }
        std::fs::write(&path, [0; 3]).unwrap();
        assert!(Checkpoint::open(&path).unwrap_err().to_string().contains("found 3 bytes"));
        assert!(Checkpoint::open(Path::new("x.pth")).unwrap_err().to_string().contains("is a pickle"));
    }

    #[test]
    fn pickles_are_known_by_name_and_by_contents() {
        for name in ["x.pth", "x.PT", "x.Bin", "x.pkl", "x.ckpt", "x.CKPT", "x.pth.tar", "x.PTH.TAR"] {
            let error = Checkpoint::open(Path::new(name)).unwrap_err().to_string();
            assert!(error.contains("is a pickle") && error.contains("save_file"), "{name}: {error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let begins: &[&[u8]] = &[
            b"PK\x03\x04\x00\x00\x08\x08\x00\x00",
            b"\x80\x02}q\x00(X\x05\x00\x00",
            b"\x80\x05\x95\x10\0\0\0\0\0\0\0}",
        ];
        for begin in begins {
            std::fs::write(&path, begin).unwrap();
            for error in [Checkpoint::open(&path), Checkpoint::from_bytes(begin.to_vec(), &path)] {
                let error = error.unwrap_err().to_string();
                assert!(error.contains("is a pickle") && !error.contains("claims"), "{error}");
            }
        }
        // Of 640 bytes, which are written 0x80 0x02.
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        std::fs::write(&path, bytes(&format!("{header:640}"), &[0; 4])).unwrap();
        assert_eq!(Checkpoint::open(&path).unwrap().read("a").unwrap().unwrap().data(), [0.0]);
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        write(&path, [("a", &Tensor::full([4], 1.0)), ("b", &Tensor::full([4], 2.0))]).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        assert_eq!(checkpoint.read("a").unwrap().unwrap().data(), [1.0; 4]);
        let error = checkpoint.read("b").unwrap_err().to_string();
        assert!(error.ends_with("can't read tensor \"b\", the file has changed"), "{error}");
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
