//! ONNX files written field by field, sound or not. Field numbers: onnx/onnx.proto3.

/// A message being written.
#[derive(Clone, Debug, Default)]
pub struct Message(pub Vec<u8>);

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint((field << 3) | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A string, bytes or another message.
    pub fn bytes(self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        let length = bytes.as_ref().len() as u64;
        self.claiming(field, length, bytes)
    }

    /// Bytes that are said to be as many as `length`.
    pub fn claiming(mut self, field: u64, length: u64, bytes: impl AsRef<[u8]>) -> Self {
        self.varint((field << 3) | 2);
        self.varint(length);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub fn packed(self, field: u64, values: &[i64]) -> Self {
        let mut list = Self::default();
        values.iter().for_each(|&value| list.varint(value as u64));
        self.bytes(field, list)
    }
}

pub fn message() -> Message {
    Message::default()
}

/// A `NodeProto`, named for its first output.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let node = message().bytes(4, op).bytes(3, outputs.first().unwrap_or(&""));
    let node = inputs.iter().fold(node, |node, input| node.bytes(1, input));
    outputs.iter().fold(node, |node, output| node.bytes(2, output))
}

/// Attributes of a node.
impl Message {
    fn attribute(self, name: &str, kind: i64, value: Message) -> Self {
        self.bytes(5, Message([message().bytes(1, name).int(20, kind).0, value.0].concat()))
    }

    pub fn with_float(self, name: &str, value: f32) -> Self {
        self.attribute(name, 1, message().float(2, value))
    }

    pub fn with_int(self, name: &str, value: i64) -> Self {
        self.attribute(name, 2, message().int(3, value))
    }

    pub fn with_text(self, name: &str, value: &str) -> Self {
        self.attribute(name, 3, message().bytes(4, value))
    }

    pub fn with_tensor(self, name: &str, value: Message) -> Self {
        self.attribute(name, 4, message().bytes(5, value))
    }

    pub fn with_graph(self, name: &str, value: Message) -> Self {
        self.attribute(name, 5, message().bytes(6, value))
    }

    /// What the call of the function says of `of`; `kind` is its type.
    pub fn with_reference(self, name: &str, kind: i64, of: &str) -> Self {
        self.attribute(name, kind, message().bytes(21, of))
    }

    pub fn with_ints(self, name: &str, values: &[i64]) -> Self {
        self.attribute(name, 7, message().packed(8, values))
    }
}

/// A `TensorProto` without data.
pub fn shaped(name: &str, element: i64, dims: &[i64]) -> Message {
    message().packed(1, dims).int(2, element).bytes(8, name)
}

pub fn floats(name: &str, dims: &[i64], data: &[f32]) -> Message {
    let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
    shaped(name, 1, dims).bytes(9, bytes)
}

/// A list of integers.
pub fn ints(name: &str, data: &[i64]) -> Message {
    shaped(name, 7, &[data.len() as i64]).packed(7, data)
}

/// A `ValueInfoProto` of floats.
pub fn value(name: &str, dims: &[i64]) -> Message {
    value_of(name, 1, dims)
}

/// A `ValueInfoProto` of another type of elements.
pub fn value_of(name: &str, element: i64, dims: &[i64]) -> Message {
    let shape = dims.iter().fold(message(), |shape, &dim| shape.bytes(1, message().int(1, dim)));
    message().bytes(1, name).bytes(2, message().bytes(1, message().int(1, element).bytes(2, shape)))
}

/// A `GraphProto`.
pub fn graph(inputs: &[Message], tensors: &[Message], nodes: &[Message], outputs: &[&str]) -> Message {
    let graph = nodes.iter().fold(message(), |graph, node| graph.bytes(1, node));
    let graph = tensors.iter().fold(graph, |graph, tensor| graph.bytes(5, tensor));
    let graph = inputs.iter().fold(graph, |graph, input| graph.bytes(11, input));
    outputs.iter().fold(graph, |graph, output| graph.bytes(12, message().bytes(1, output)))
}

/// A `ModelProto`.
pub fn model(opset: i64, graph: Message) -> Vec<u8> {
    message().int(1, 8).bytes(7, graph).bytes(8, message().int(2, opset)).0
}

/// A `FunctionProto` of the domain `own`.
pub fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: &[Message]) -> Message {
    let function = inputs.iter().fold(message().bytes(1, name).bytes(10, "own"), |to, input| to.bytes(4, input));
    let function = outputs.iter().fold(function, |to, output| to.bytes(5, output));
    nodes.iter().fold(function, |to, node| to.bytes(7, node))
}

/// A call of such a function.
pub fn call(name: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    node(name, inputs, outputs).bytes(7, "own")
}

/// A `ModelProto` with functions.
pub fn model_with(opset: i64, graph: Message, functions: &[Message]) -> Vec<u8> {
    functions.iter().fold(Message(model(opset, graph)), |model, function| model.bytes(25, function)).0
}
