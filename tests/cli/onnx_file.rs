//! Writes ONNX files of a few nodes in a row: for what no exporter was asked for. Field numbers: onnx/onnx.proto3.

/// A dimension of the input `x`.
#[derive(Clone, Copy)]
pub enum Dim {
    Size(u64),
    Named(&'static str),
}

/// A node that reads the value before it.
#[derive(Clone)]
pub struct Node {
    op: &'static str,
    attributes: Vec<(&'static str, u64)>,
}

impl Node {
    pub fn new(op: &'static str) -> Self {
        Self { op, attributes: Vec::new() }
    }

    /// With a whole number as attribute.
    pub fn with(mut self, attribute: &'static str, value: u64) -> Self {
        self.attributes.push((attribute, value));
        self
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push((value % 128) as u8 | 128);
        value /= 128;
    }
    bytes.push(value as u8);
    bytes
}

fn int(number: u64, value: u64) -> Vec<u8> {
    [varint(number * 8), varint(value)].concat()
}

/// A text or a message.
fn bytes(number: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&varint(number * 8 + 2), &varint(bytes.len() as u64), bytes].concat()
}

fn value(name: &str, dims: &[Dim]) -> Vec<u8> {
    let dim = |dim: &Dim| match dim {
        Dim::Size(size) => bytes(1, int(1, *size)),
        Dim::Named(name) => bytes(1, bytes(2, name)),
    };
    let shape: Vec<u8> = dims.iter().flat_map(dim).collect();
    let floats = [int(1, 1), bytes(2, shape)].concat();
    [bytes(1, name), bytes(2, bytes(1, floats))].concat()
}

fn node(name: &str, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, u64)]) -> Vec<u8> {
    let mut node: Vec<u8> = inputs.iter().flat_map(|input| bytes(1, input)).collect();
    node.extend([bytes(2, output), bytes(3, name), bytes(4, op)].concat());
    for (name, value) in attributes {
        node.extend(bytes(5, [bytes(1, name), int(3, *value), int(20, 2)].concat()));
    }
    bytes(1, node)
}

fn file(input: &[Dim], nodes: Vec<u8>) -> Vec<u8> {
    let graph = [nodes, bytes(11, value("x", input)), bytes(12, value("y", &[]))].concat();
    [int(1, 8), bytes(2, "by hand"), bytes(7, graph), bytes(8, int(2, 17))].concat()
}

/// A file of operator set 17: from the input `x` through nodes `node0`, `node1`, … to the output `y`.
pub fn model(input: &[Dim], nodes: &[Node]) -> Vec<u8> {
    let named = |i: usize| match i {
        0 => "x".to_string(),
        _ if i == nodes.len() => "y".to_string(),
        _ => format!("v{i}"),
    };
    let nodes = nodes.iter().enumerate();
    let node = |(i, n): (usize, &Node)| node(&format!("node{i}"), n.op, &[&named(i)], &named(i + 1), &n.attributes);
    file(input, nodes.flat_map(node).collect())
}

/// A file that adds three numbers of another file to the mean of each of three planes.
pub fn with_external_bias(input: &[Dim], location: &str) -> Vec<u8> {
    let place = [bytes(1, "location"), bytes(2, location)].concat();
    let bias = [int(1, 3), int(2, 1), bytes(8, "bias"), bytes(13, place), int(14, 1)].concat();
    let nodes = [
        node("pool", "GlobalAveragePool", &["x"], "pooled", &[]),
        node("flatten", "Flatten", &["pooled"], "flat", &[]),
        node("add", "Add", &["flat", "bias"], "y", &[]),
        bytes(5, bias),
    ];
    file(input, nodes.concat())
}
