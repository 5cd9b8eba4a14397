//! NumPy's .npy files, versions 1 to 3: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use excite::{Error, Result, Tensor};
use std::io::Read;
use std::path::Path;

/// How such a file begins.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// Largest header, in bytes.
const MAX_HEADER: usize = 1 << 16;

/// Reads an array of numbers as f32.
pub fn read(source: &mut dyn Read, path: &Path) -> Result<Tensor> {
    let refuse = |message: String| Error::File { path: path.into(), message, source: None };
    let short = |_| refuse("the .npy file is cut short".into());
    let mut preamble = [0; 8];
    source.read_exact(&mut preamble).map_err(short)?;
    let mut length = [0; 4];
    let width = if preamble[6] == 1 { 2 } else { 4 };
    source.read_exact(&mut length[..width]).map_err(short)?;
    let length = u32::from_le_bytes(length) as usize;
    if !(1..=3).contains(&preamble[6]) || length > MAX_HEADER {
        let message = format!("expected .npy of version 1 to 3, found {} and a header of {length} bytes", preamble[6]);
        return Err(refuse(message));
    }
    let mut header = vec![0; length];
    source.read_exact(&mut header).map_err(short)?;
    let header = String::from_utf8_lossy(&header);
    let value = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let unsound = || refuse(format!("has an unsound .npy header: {}", header.trim()));
    let kind = value("descr").and_then(|rest| rest.strip_prefix('\'')?.split_once('\'')).ok_or_else(unsound)?.0;
    if value("fortran_order").ok_or_else(unsound)?.starts_with("True") {
        return Err(refuse("is in Fortran's order: save numpy.ascontiguousarray of it".into()));
    }
    let dims = value("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).ok_or_else(unsound)?.0;
    let dims = dims.split(',').map(str::trim).filter(|dim| !dim.is_empty()).map(str::parse::<usize>);
    let shape = dims.collect::<std::result::Result<Vec<_>, _>>().map_err(|_| unsound())?;
    let (size, number) = numbers(kind).ok_or_else(|| {
        refuse(format!("expected numbers of f2, f4, f8, u1 to u8, i1 to i8 or bool, found \"{kind}\""))
    })?;
    let bytes = shape.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(dim)).ok_or_else(unsound)?;
    // Memory grows with what is there, not with what is claimed.
    let mut data = Vec::new();
    source.take(bytes as u64 + 1).read_to_end(&mut data).map_err(short)?;
    if data.len() != bytes {
        let found = if data.len() < bytes { data.len().to_string() } else { "more".into() };
        return Err(refuse(format!("expected {bytes} bytes for {kind} {shape:?}, found {found}")));
    }
    Tensor::new(shape, data.chunks_exact(size).map(number).collect())
}

/// Reads the bytes of one number.
type Number = fn(&[u8]) -> f32;

/// Bytes of a number and how to read it, by NumPy's name of its type.
fn numbers(kind: &str) -> Option<(usize, Number)> {
    macro_rules! reader {
        ($kind:ty, $from:ident) => {
            (size_of::<$kind>(), |bytes| <$kind>::$from(bytes.try_into().expect("chunks have this size")) as f32)
        };
    }
    Some(match kind {
        "|b1" | "|u1" => (1, |bytes| f32::from(bytes[0])),
        "|i1" => reader!(i8, from_le_bytes),
        "<f2" => (2, |bytes| half(u16::from_le_bytes([bytes[0], bytes[1]]))),
        ">f2" => (2, |bytes| half(u16::from_be_bytes([bytes[0], bytes[1]]))),
        "<f4" => reader!(f32, from_le_bytes),
        ">f4" => reader!(f32, from_be_bytes),
        "<f8" => reader!(f64, from_le_bytes),
        ">f8" => reader!(f64, from_be_bytes),
        "<u2" => reader!(u16, from_le_bytes),
        ">u2" => reader!(u16, from_be_bytes),
        "<i2" => reader!(i16, from_le_bytes),
        ">i2" => reader!(i16, from_be_bytes),
        "<u4" => reader!(u32, from_le_bytes),
        ">u4" => reader!(u32, from_be_bytes),
        "<i4" => reader!(i32, from_le_bytes),
        ">i4" => reader!(i32, from_be_bytes),
        "<u8" => reader!(u64, from_le_bytes),
        ">u8" => reader!(u64, from_be_bytes),
        "<i8" => reader!(i64, from_le_bytes),
        ">i8" => reader!(i64, from_be_bytes),
        _ => return None,
    })
}

fn half(bits: u16) -> f32 {
    half::f16::from_bits(bits).to_f32()
}

/// The same file with f32 numbers.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    let dims: String = tensor.shape().iter().map(|dim| format!("{dim}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", dims.trim_end());
    // The numbers begin at a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = [MAGIC, &[1, 0], &(length as u16).to_le_bytes()].concat();
    bytes.extend(format!("{header:<0$}\n", length - 1).into_bytes());
    bytes.extend(tensor.data().iter().flat_map(|number| number.to_le_bytes()));
    bytes
}
