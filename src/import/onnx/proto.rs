//! ONNX files: which messages they are made of, read field by field from the file. Large data stays in the file: tensors
//! are read when they are needed. Graphs in attributes are stepped over. Field numbers: onnx/onnx.proto3.

use super::wire::{Held, Input, Wire};
use crate::error::Result;
use std::path::Path;

/// Most nodes of a graph, and of a file's functions together. The largest SE network has about 4,000.
pub(super) const MAX_NODES: usize = 100_000;
/// Most functions of a file.
const MAX_FUNCTIONS: usize = 10_000;
/// Most dimensions of a tensor.
const MAX_RANK: usize = 16;

#[derive(Debug, Default)]
pub(super) struct ModelProto {
    pub producer: String,
    /// Domain and version of each operator set.
    pub opsets: Vec<(String, i64)>,
    pub functions: Vec<FunctionProto>,
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
    /// Tells functions of one name apart.
    pub overload: String,
    /// Version of the operator set. No field of the file's: the graph's, or that of the function it comes from.
    pub opset: i64,
}

/// A function that the file defines, of nodes.
#[derive(Debug, Default)]
pub(super) struct FunctionProto {
    pub name: String,
    pub domain: String,
    pub overload: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    /// Attributes that a call may leave out.
    pub defaults: Vec<AttributeProto>,
    pub nodes: Vec<NodeProto>,
    pub opsets: Vec<(String, i64)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct AttributeProto {
    pub name: String,
    pub value: AttributeValue,
}

#[derive(Clone, Debug, Default)]
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
    /// What the call of the function says of this name.
    Reference(String),
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

/// Reads the messages of a file of `length` bytes.
pub(super) fn read(input: &mut dyn Input, length: u64, path: &Path) -> Result<ModelProto> {
    Wire::new(input, path).model(length)
}

/// Reads a tensor that is a file of its own.
pub(super) fn read_tensor(input: &mut dyn Input, length: u64, path: &Path) -> Result<TensorProto> {
    Wire::new(input, path).tensor(Held::Bytes { at: 0, len: length })
}

impl Wire<'_> {
    fn model(&mut self, end: u64) -> Result<ModelProto> {
        let (mut model, mut in_functions) = (ModelProto::default(), 0);
        self.message(end, &mut |wire, number, held| {
            match number {
                2 => model.producer = wire.string(held)?,
                7 => model.graph = Some(wire.graph(held)?),
                8 => model.opsets.push(wire.opset(held)?),
                25 if model.functions.len() == MAX_FUNCTIONS => {
                    return Err(wire.fail(format!("has more than {MAX_FUNCTIONS} functions")));
                }
                25 => {
                    let function = wire.function(held, MAX_NODES - in_functions)?;
                    in_functions += function.nodes.len();
                    model.functions.push(function);
                }
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

    /// Reads a function of at most `most` nodes.
    fn function(&mut self, held: Held, most: usize) -> Result<FunctionProto> {
        let mut function = FunctionProto::default();
        self.nested(held, &mut |wire, number, held| {
            match number {
                1 => function.name = wire.string(held)?,
                4 => function.inputs.push(wire.string(held)?),
                5 => function.outputs.push(wire.string(held)?),
                7 if function.nodes.len() == most => {
                    return Err(wire.fail(format!("has functions of more than {MAX_NODES} nodes")));
                }
                7 => function.nodes.push(wire.node(held)?),
                9 => function.opsets.push(wire.opset(held)?),
                10 => function.domain = wire.string(held)?,
                11 => function.defaults.push(wire.attribute(held)?),
                13 => function.overload = wire.string(held)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(function)
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
                8 => node.overload = wire.string(held)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(node)
    }

    fn attribute(&mut self, held: Held) -> Result<AttributeProto> {
        let (mut name, mut kind, mut reference) = (String::new(), None, String::new());
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
                21 => reference = wire.string(held)?,
                _ => {}
            }
            Ok(())
        })?;
        // AttributeProto.AttributeType; files of old leave it out.
        let value = match kind.unwrap_or(0) {
            _ if !reference.is_empty() => AttributeValue::Reference(reference),
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
                        // Older exporters write an open dimension so.
                        1 if matches!(held, Held::Varint(u64::MAX)) => dim = DimProto::Unknown,
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
}
