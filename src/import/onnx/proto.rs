//! ONNX files: which messages they are made of, read field by field from the file. Large data stays in the file.
//!
//! The wire format is the `protobuf` crate's; the messages are our own, so that what a file can make us allocate is
//! bounded, nothing nests, and tensors are read when they are needed. Field numbers: onnx/onnx.proto3.

use crate::error::{Error, Result};
use protobuf::CodedInputStream;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// Most nodes of a graph. The largest SE network has about 4,000.
const MAX_NODES: usize = 100_000;
/// Most messages, names and list elements of a file, tensors' data aside.
const MAX_ITEMS: usize = 1_000_000;
/// Longest name, in bytes.
const MAX_NAME: u64 = 4096;
/// Most dimensions of a tensor.
const MAX_RANK: usize = 16;

#[derive(Debug, Default)]
pub(super) struct ModelProto {
    pub producer: String,
    /// Domain and version of each operator set.
    pub opsets: Vec<(String, i64)>,
    pub functions: usize,
    pub graph: Option<GraphProto>,
}

#[derive(Debug, Default)]
pub(super) struct GraphProto {
    pub nodes: Vec<NodeProto>,
    pub initializers: Vec<TensorProto>,
    pub sparse_initializers: usize,
    pub inputs: Vec<ValueProto>,
    pub outputs: Vec<ValueProto>,
}

#[derive(Debug, Default)]
pub(super) struct NodeProto {
    pub name: String,
    pub op: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<AttributeProto>,
}

#[derive(Debug, Default)]
pub(super) struct AttributeProto {
    pub name: String,
    pub value: AttributeValue,
}

#[derive(Debug, Default)]
pub(super) enum AttributeValue {
    #[default]
    None,
    Float(f32),
    Int(i64),
    String(String),
    Tensor(Box<TensorProto>),
    /// A graph inside the graph, which is not read.
    Graph,
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Other,
}

#[derive(Debug, Default)]
pub(super) struct ValueProto {
    pub name: String,
    pub element: i64,
    /// `None` where the file doesn't say.
    pub dims: Option<Vec<DimProto>>,
}

#[derive(Debug, Default)]
pub(super) enum DimProto {
    Size(i64),
    Name(String),
    #[default]
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TensorProto {
    pub name: String,
    pub dims: Vec<i64>,
    pub element: i64,
    pub data: Data,
    /// Keys and values of data in another file.
    pub external: Vec<(String, String)>,
    pub is_external: bool,
}

/// Where a tensor's numbers are.
#[derive(Clone, Debug, Default)]
pub(super) enum Data {
    #[default]
    None,
    /// Little-endian bytes in the file: of the element type, or of `f32` or `f64` where `typed`.
    InFile {
        at: u64,
        len: u64,
        typed: bool,
    },
    Ints(Vec<i64>),
    Floats(Vec<f32>),
}

/// What a field holds. Of a length-delimited one, where.
#[derive(Clone, Copy)]
enum Held {
    Varint(u64),
    Fixed32(u32),
    Fixed64,
    Bytes { at: u64, len: u64 },
}

struct Wire<'a> {
    input: CodedInputStream<'a>,
    path: PathBuf,
    items: usize,
}

/// Reads the messages of a file of `length` bytes.
pub(super) fn read(input: &mut dyn BufRead, length: u64, path: &Path) -> Result<ModelProto> {
    let mut wire = Wire { input: CodedInputStream::from_buf_read(input), path: path.into(), items: 0 };
    wire.model(length)
}

/// Reads a tensor that is a file of its own.
pub(super) fn read_tensor(input: &mut dyn BufRead, length: u64, path: &Path) -> Result<TensorProto> {
    let mut wire = Wire { input: CodedInputStream::from_buf_read(input), path: path.into(), items: 0 };
    wire.tensor(Held::Bytes { at: 0, len: length })
}

impl Wire<'_> {
    fn model(&mut self, end: u64) -> Result<ModelProto> {
        let mut model = ModelProto::default();
        self.message(end, &mut |wire, number, held| {
            match number {
                2 => model.producer = wire.string(held)?,
                7 => model.graph = Some(wire.graph(held)?),
                8 => model.opsets.push(wire.opset(held)?),
                25 => model.functions += 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(model)
    }

    fn opset(&mut self, held: Held) -> Result<(String, i64)> {
        let (mut domain, mut version) = (String::new(), 0);
        self.nested(held, &mut |wire, number, held| {
            match number {
                1 => domain = wire.string(held)?,
                2 => version = wire.int(held)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((domain, version))
    }

    fn graph(&mut self, held: Held) -> Result<GraphProto> {
        let mut graph = GraphProto::default();
        self.nested(held, &mut |wire, number, held| {
            match number {
                1 if graph.nodes.len() == MAX_NODES => {
                    return Err(wire.fail(format!("has more than {MAX_NODES} nodes")));
                }
                5 if graph.initializers.len() == MAX_NODES => {
                    return Err(wire.fail(format!("has more than {MAX_NODES} tensors")));
                }
                1 => graph.nodes.push(wire.node(held)?),
                5 => graph.initializers.push(wire.tensor(held)?),
                11 => graph.inputs.push(wire.value(held)?),
                12 => graph.outputs.push(wire.value(held)?),
                15 => graph.sparse_initializers += 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(graph)
    }

    fn node(&mut self, held: Held) -> Result<NodeProto> {
        let mut node = NodeProto::default();
        self.nested(held, &mut |wire, number, held| {
            match number {
                1 => node.inputs.push(wire.string(held)?),
                2 => node.outputs.push(wire.string(held)?),
                3 => node.name = wire.string(held)?,
                4 => node.op = wire.string(held)?,
                5 => node.attributes.push(wire.attribute(held)?),
                7 => node.domain = wire.string(held)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(node)
    }

    fn attribute(&mut self, held: Held) -> Result<AttributeProto> {
        let (mut name, mut kind) = (String::new(), None);
        let (mut float, mut int, mut string, mut tensor, mut graph) = (None, None, None, None, false);
        let (mut floats, mut ints) = (Vec::new(), Vec::new());
        self.nested(held, &mut |wire, number, held| {
            match number {
                1 => name = wire.string(held)?,
                2 => float = Some(wire.float(held)?),
                3 => int = Some(wire.int(held)?),
                4 => string = Some(wire.string(held)?),
                5 => tensor = Some(Box::new(wire.tensor(held)?)),
                6 | 11 => graph = true,
                7 => wire.floats(held, &mut floats)?,
                8 => wire.ints(held, &mut ints)?,
                20 => kind = Some(wire.int(held)?),
                _ => {}
            }
            Ok(())
        })?;
        // AttributeProto.AttributeType; files of old leave it out.
        let value = match kind.unwrap_or(0) {
            0 if graph => AttributeValue::Graph,
            0 => match (float, int, string, tensor) {
                (Some(float), ..) => AttributeValue::Float(float),
                (_, Some(int), ..) => AttributeValue::Int(int),
                (_, _, Some(string), _) => AttributeValue::String(string),
                (_, _, _, Some(tensor)) => AttributeValue::Tensor(tensor),
                _ if !floats.is_empty() => AttributeValue::Floats(floats),
                _ => AttributeValue::Ints(ints),
            },
            1 => AttributeValue::Float(float.unwrap_or_default()),
            2 => AttributeValue::Int(int.unwrap_or_default()),
            3 => AttributeValue::String(string.unwrap_or_default()),
            4 => AttributeValue::Tensor(tensor.unwrap_or_default()),
            5 | 10 => AttributeValue::Graph,
            6 => AttributeValue::Floats(floats),
            7 => AttributeValue::Ints(ints),
            _ => AttributeValue::Other,
        };
        Ok(AttributeProto { name, value })
    }

    fn value(&mut self, held: Held) -> Result<ValueProto> {
        let mut value = ValueProto::default();
        self.nested(held, &mut |wire, number, held| match number {
            1 => {
                value.name = wire.string(held)?;
                Ok(())
            }
            // TypeProto, its tensor_type, its shape.
            2 => wire.nested(held, &mut |wire, number, held| match number {
                1 => wire.nested(held, &mut |wire, number, held| {
                    match number {
                        1 => value.element = wire.int(held)?,
                        2 => value.dims = Some(wire.dims(held)?),
                        _ => {}
                    }
                    Ok(())
                }),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })?;
        Ok(value)
    }

    fn dims(&mut self, held: Held) -> Result<Vec<DimProto>> {
        let mut dims = Vec::new();
        self.nested(held, &mut |wire, number, held| {
            if number == 1 {
                let mut dim = DimProto::default();
                wire.nested(held, &mut |wire, number, held| {
                    match number {
                        1 => dim = DimProto::Size(wire.int(held)?),
                        2 => dim = DimProto::Name(wire.string(held)?),
                        _ => {}
                    }
                    Ok(())
                })?;
                if dims.len() == MAX_RANK {
                    return Err(wire.fail(format!("has a value of more than {MAX_RANK} dimensions")));
                }
                dims.push(dim);
            }
            Ok(())
        })?;
        Ok(dims)
    }

    fn tensor(&mut self, held: Held) -> Result<TensorProto> {
        let mut tensor = TensorProto::default();
        self.nested(held, &mut |wire, number, held| {
            match number {
                1 => {
                    wire.ints(held, &mut tensor.dims)?;
                    if tensor.dims.len() > MAX_RANK {
                        return Err(wire.fail(format!("has a tensor of more than {MAX_RANK} dimensions")));
                    }
                }
                2 => tensor.element = wire.int(held)?,
                // float_data and double_data are packed by every writer there is; single numbers are read too.
                4 | 10 => match held {
                    Held::Bytes { at, len } => tensor.data = Data::InFile { at, len, typed: true },
                    _ => {
                        let mut floats = match std::mem::take(&mut tensor.data) {
                            Data::Floats(floats) => floats,
                            _ => Vec::new(),
                        };
                        wire.floats(held, &mut floats)?;
                        tensor.data = Data::Floats(floats);
                    }
                },
                5 | 7 | 11 => {
                    let mut ints = match std::mem::take(&mut tensor.data) {
                        Data::Ints(ints) => ints,
                        _ => Vec::new(),
                    };
                    wire.ints(held, &mut ints)?;
                    tensor.data = Data::Ints(ints);
                }
                8 => tensor.name = wire.string(held)?,
                9 => match held {
                    Held::Bytes { at, len } => tensor.data = Data::InFile { at, len, typed: false },
                    _ => return Err(wire.damaged("raw_data is no bytes")),
                },
                13 => {
                    let mut entry = (String::new(), String::new());
                    wire.nested(held, &mut |wire, number, held| {
                        match number {
                            1 => entry.0 = wire.string(held)?,
                            2 => entry.1 = wire.string(held)?,
                            _ => {}
                        }
                        Ok(())
                    })?;
                    tensor.external.push(entry);
                }
                14 => tensor.is_external = wire.int(held)? == 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(tensor)
    }

    /// Calls `each` with every field up to `end`, and steps over what it leaves unread.
    fn message(&mut self, end: u64, each: &mut dyn FnMut(&mut Self, u32, Held) -> Result<()>) -> Result<()> {
        while self.input.pos() < end {
            let tag = self.input.read_raw_varint32().map_err(|e| self.wire(e))?;
            let held = match tag & 7 {
                0 => Held::Varint(self.input.read_raw_varint64().map_err(|e| self.wire(e))?),
                1 => {
                    self.input.read_fixed64().map_err(|e| self.wire(e))?;
                    Held::Fixed64
                }
                2 => {
                    let len = self.input.read_raw_varint64().map_err(|e| self.wire(e))?;
                    Held::Bytes { at: self.input.pos(), len }
                }
                5 => Held::Fixed32(self.input.read_fixed32().map_err(|e| self.wire(e))?),
                kind => return Err(self.damaged(&format!("a field of wire type {kind}"))),
            };
            let mut after = self.input.pos();
            if let Held::Bytes { at, len } = held {
                after = at.checked_add(len).filter(|&after| after <= end).ok_or_else(|| {
                    self.damaged(&format!("a field of {len} bytes at {at}, in a message that ends at {end}"))
                })?;
            }
            if after > end {
                return Err(self.damaged("a field runs over the end of its message"));
            }
            self.count(1)?;
            each(self, tag >> 3, held)?;
            self.skip_to(after)?;
        }
        Ok(())
    }

    fn nested(&mut self, held: Held, each: &mut dyn FnMut(&mut Self, u32, Held) -> Result<()>) -> Result<()> {
        match held {
            Held::Bytes { at, len } => self.message(at + len, each),
            _ => Err(self.damaged("a number where a message belongs")),
        }
    }

    fn skip_to(&mut self, after: u64) -> Result<()> {
        while self.input.pos() < after {
            let step = u32::try_from(after - self.input.pos()).unwrap_or(u32::MAX);
            self.input.skip_raw_bytes(step).map_err(|e| self.wire(e))?;
        }
        Ok(())
    }

    fn string(&mut self, held: Held) -> Result<String> {
        let Held::Bytes { len, .. } = held else { return Err(self.damaged("a number where a name belongs")) };
        if len > MAX_NAME {
            return Err(self.fail(format!("has a name of {len} bytes, the limit is {MAX_NAME}")));
        }
        let mut bytes = Vec::with_capacity(len as usize);
        for _ in 0..len {
            bytes.push(self.input.read_raw_byte().map_err(|e| self.wire(e))?);
        }
        String::from_utf8(bytes).map_err(|_| self.damaged("a name that is no UTF-8"))
    }

    fn int(&mut self, held: Held) -> Result<i64> {
        match held {
            Held::Varint(value) => Ok(value as i64),
            _ => Err(self.damaged("no integer where one belongs")),
        }
    }

    fn float(&mut self, held: Held) -> Result<f32> {
        match held {
            Held::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.damaged("no float where one belongs")),
        }
    }

    fn ints(&mut self, held: Held, into: &mut Vec<i64>) -> Result<()> {
        let Held::Bytes { at, len } = held else {
            into.push(self.int(held)?);
            return self.count(1);
        };
        while self.input.pos() < at + len {
            into.push(self.input.read_raw_varint64().map_err(|e| self.wire(e))? as i64);
            self.count(1)?;
        }
        if self.input.pos() == at + len { Ok(()) } else { Err(self.damaged("a list runs over its end")) }
    }

    fn floats(&mut self, held: Held, into: &mut Vec<f32>) -> Result<()> {
        let Held::Bytes { len, .. } = held else {
            into.push(self.float(held)?);
            return self.count(1);
        };
        for _ in 0..len / 4 {
            into.push(self.input.read_float().map_err(|e| self.wire(e))?);
            self.count(1)?;
        }
        Ok(())
    }

    fn count(&mut self, items: usize) -> Result<()> {
        self.items += items;
        if self.items <= MAX_ITEMS {
            return Ok(());
        }
        Err(self.fail(format!("has more than {MAX_ITEMS} fields and list elements")))
    }

    fn wire(&self, error: protobuf::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            message: format!("is not a sound ONNX file (near byte {})", self.input.pos()),
            source: Some(Box::new(error)),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        self.fail(format!("is not a sound ONNX file: {what} (near byte {})", self.input.pos()))
    }

    fn fail(&self, message: String) -> Error {
        Error::file(&self.path, message)
    }
}
