//! Tensors of an ONNX file: checked when the file is opened, read when they are needed.

use super::external::{self, External};
use super::proto::{Data, TensorProto};
use crate::error::{Error, Result};
use crate::import::contents::Contents;
use crate::tensor::{Tensor, element_count};
use half::{bf16, f16};
use std::fmt;
use std::sync::Arc;

/// Element types that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F16,
    Bf16,
    F64,
    Signed(usize),
    Unsigned(usize),
    Bool,
}

impl Element {
    /// By the number of `TensorProto.DataType`.
    pub(super) fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::F32,
            2 => Self::Unsigned(1),
            3 => Self::Signed(1),
            4 => Self::Unsigned(2),
            5 => Self::Signed(2),
            6 => Self::Signed(4),
            7 => Self::Signed(8),
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::Unsigned(4),
            13 => Self::Unsigned(8),
            16 => Self::Bf16,
            _ => return None,
        })
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::Bf16 | Self::F64)
    }

    /// Whether an integer type has room for a number.
    pub(super) fn holds(self, value: i64) -> bool {
        match self {
            Self::Signed(bytes @ ..8) => value >> (8 * bytes - 1) == 0 || value >> (8 * bytes - 1) == -1,
            Self::Unsigned(bytes @ ..8) => value >> (8 * bytes) == 0,
            Self::Unsigned(_) => value >= 0,
            _ => true,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Signed(bytes) | Self::Unsigned(bytes) => bytes,
        }
    }
}

/// A tensor of the file.
#[derive(Clone)]
pub(super) struct Stored {
    pub dims: Vec<usize>,
    pub element: Element,
    /// Whether it is a `Constant` node's.
    pub of_node: bool,
    /// The model's file, for messages.
    file: Arc<Contents>,
    place: Place,
}

/// Where a tensor's numbers are.
#[derive(Clone)]
pub(super) enum Place {
    File {
        contents: Arc<Contents>,
        at: u64,
    },
    /// In a file of this name, which may not be read.
    Elsewhere(String),
    Ints(Arc<[i64]>),
    Floats(Arc<[f32]>),
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.element, self.dims)
    }
}

impl Stored {
    /// Checks that shape, type and data fit each other. The message says what doesn't.
    pub(super) fn new(proto: TensorProto, file: &Arc<Contents>, external: &External) -> Result<Self, String> {
        let element = Element::of(proto.element)
            .ok_or_else(|| format!("elements of type {} are not supported", data_type(proto.element)))?;
        let dims: Vec<usize> = proto
            .dims
            .iter()
            .map(|&dim| usize::try_from(dim).map_err(|_| format!("shape {:?} has a negative size", proto.dims)))
            .collect::<Result<_, _>>()?;
        let count =
            element_count(&dims).ok_or_else(|| format!("shape {dims:?} has more elements than memory can hold"))?;
        if !is_sound(&dims) {
            return Err(format!("shape {dims:?} has more elements than memory can hold"));
        }
        let misfit =
            |found: u64, what: &str| format!("shape {dims:?} needs {count} elements, the file has {found} {what}");
        let place = match proto.data {
            _ if proto.is_external || !proto.external.is_empty() => {
                external.open(&proto.external, (count * element.bytes()) as u64)?
            }
            Data::InFile { at, len, typed } => {
                if typed && !matches!(element, Element::F32 | Element::F64) {
                    return Err(format!("float data for elements of type {}", data_type(proto.element)));
                }
                if len != (count * element.bytes()) as u64 {
                    return Err(misfit(len, "bytes"));
                }
                Place::File { contents: file.clone(), at }
            }
            Data::Ints(ints) if ints.len() == count && !matches!(element, Element::F32 | Element::F64) => {
                Place::Ints(ints.into())
            }
            Data::Floats(floats) if floats.len() == count && element == Element::F32 => Place::Floats(floats.into()),
            Data::None if count == 0 => Place::Ints(Arc::new([])),
            Data::None => return Err(misfit(0, "of them")),
            Data::Ints(ints) => return Err(misfit(ints.len() as u64, "integers")),
            Data::Floats(floats) => return Err(misfit(floats.len() as u64, "floats")),
        };
        Ok(Self { dims, element, of_node: false, file: file.clone(), place })
    }

    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// The file that its numbers are in, where that may not be read.
    pub(super) fn elsewhere(&self) -> Option<&str> {
        if let Place::Elsewhere(location) = &self.place { Some(location) } else { None }
    }

    /// Where its numbers are in the model's own file.
    pub(super) fn offset(&self) -> Option<u64> {
        match &self.place {
            Place::File { contents, at } if Arc::ptr_eq(contents, &self.file) => Some(*at),
            _ => None,
        }
    }

    /// Bytes that its numbers take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.len() * if self.element.is_float() { size_of::<f32>() } else { self.element.bytes() }
    }

    fn refused(&self, name: &str, location: &str) -> Error {
        Error::file(&self.file.path, external::refusal(&[name], &[location]))
    }

    /// The numbers as `f32`, of a float tensor.
    pub(super) fn floats(&self, name: &str) -> Result<Tensor> {
        let data = match &self.place {
            Place::Elsewhere(location) => return Err(self.refused(name, location)),
            Place::Floats(floats) => floats.to_vec(),
            Place::Ints(bits) => bits.iter().map(|&bits| self.half(bits as u16)).collect(),
            Place::File { contents, at } if self.element == Element::F32 => {
                let mut data = vec![0.0f32; self.len()];
                read(contents, *at, bytemuck::cast_slice_mut(&mut data), name)?;
                data.iter_mut().for_each(|x| *x = f32::from_bits(u32::from_le(x.to_bits())));
                data
            }
            Place::File { contents, at } => {
                let mut bytes = vec![0; self.len() * self.element.bytes()];
                read(contents, *at, &mut bytes, name)?;
                match self.element {
                    Element::F64 => bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
                    _ => bytes.as_chunks::<2>().0.iter().map(|b| self.half(u16::from_le_bytes(*b))).collect(),
                }
            }
        };
        Tensor::new(self.dims.clone(), data)
    }

    /// The numbers of an integer or boolean tensor.
    pub(super) fn ints(&self, name: &str) -> Result<Vec<i64>> {
        let (contents, at) = match &self.place {
            Place::Ints(ints) => return Ok(ints.to_vec()),
            Place::Floats(_) => return Ok(Vec::new()),
            Place::Elsewhere(location) => return Err(self.refused(name, location)),
            Place::File { contents, at } => (contents, *at),
        };
        let size = self.element.bytes();
        let mut bytes = vec![0; self.len() * size];
        read(contents, at, &mut bytes, name)?;
        let signed = matches!(self.element, Element::Signed(_));
        Ok(bytes
            .chunks_exact(size)
            .map(|bytes| {
                let negative = signed && bytes[size - 1] >= 0x80;
                let mut whole = [if negative { 0xff } else { 0 }; 8];
                whole[..size].copy_from_slice(bytes);
                i64::from_le_bytes(whole)
            })
            .collect())
    }

    fn half(&self, bits: u16) -> f32 {
        if self.element == Element::Bf16 { bf16::from_bits(bits).to_f32() } else { f16::from_bits(bits).to_f32() }
    }
}

/// Whether no part of the dimensions has more elements than memory can hold, even beside a 0.
pub(super) fn is_sound(dims: &[usize]) -> bool {
    element_count(&dims.iter().map(|&dim| dim.max(1)).collect::<Vec<_>>()).is_some()
}

fn read(contents: &Contents, at: u64, into: &mut [u8], name: &str) -> Result<()> {
    contents
        .read(at, into)
        .map_err(|e| Error::io(&contents.path, &format!("read tensor \"{name}\", the file has changed"), e))
}

/// Name of an element type in messages.
pub(super) fn data_type(number: i64) -> String {
    const NAMES: [&str; 24] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
    ];
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number));
    name.map_or_else(|| number.to_string(), ToString::to_string)
}
