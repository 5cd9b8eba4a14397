//! Functions that a file defines: each call becomes the function's nodes, before anything else looks at them.

use super::proto::{AttributeProto, AttributeValue, Data, FunctionProto, MAX_NODES, NodeProto};
use super::wire::MAX_NAME;
use super::{OPSETS, own_opset};
use std::collections::{HashMap, HashSet};

/// Deepest nesting of calls.
const MAX_DEPTH: usize = 32;
/// Most bytes of the nodes that calls become, names and lists included.
const MAX_BYTES: usize = 64 << 20;
/// Bytes that a node or an attribute takes beside those, at least.
const NODE_BYTES: usize = 512;
const ATTRIBUTE_BYTES: usize = 128;

/// Domain, name and overload.
type Key<'a> = (&'a str, &'a str, &'a str);

struct Inliner<'a> {
    functions: HashMap<Key<'a>, &'a FunctionProto>,
    /// Operator set of the graph's own nodes.
    opset: i64,
    /// Names of all values.
    names: HashSet<String>,
    /// The last number that was put behind a name.
    last: usize,
    /// The calls that are being replaced, outermost first.
    open: Vec<Key<'a>>,
    bytes: usize,
    nodes: Vec<NodeProto>,
}

/// The graph's nodes, calls of functions replaced, each with its operator set. `names` are those of inputs and tensors.
pub(super) fn inlined<'n>(
    nodes: Vec<NodeProto>,
    functions: &[FunctionProto],
    opset: i64,
    names: impl Iterator<Item = &'n str>,
) -> Result<Vec<NodeProto>, String> {
    let mut inliner = Inliner {
        functions: HashMap::new(),
        opset,
        names: HashSet::new(),
        last: 0,
        open: Vec::new(),
        bytes: 0,
        nodes: Vec::with_capacity(nodes.len()),
    };
    for function in functions {
        if inliner.functions.insert(key(function), function).is_some() {
            return Err(format!("has function {} twice", shown(key(function))));
        }
    }
    if !functions.is_empty() {
        inliner.names.extend(names.map(String::from));
        inliner.names.extend(nodes.iter().flat_map(|node| node.outputs.iter().chain(&node.inputs)).cloned());
    }
    nodes.into_iter().try_for_each(|node| inliner.add(NodeProto { opset, ..node }))?;
    Ok(inliner.nodes)
}

fn domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn key(function: &FunctionProto) -> Key<'_> {
    (domain(&function.domain), &function.name, &function.overload)
}

fn shown((domain, name, overload): Key) -> String {
    let parts = [domain, name, overload].into_iter().filter(|part| !part.is_empty());
    format!("\"{}\"", parts.collect::<Vec<_>>().join("."))
}

impl<'a> Inliner<'a> {
    /// Adds a node, or what the function that it calls is made of.
    fn add(&mut self, node: NodeProto) -> Result<(), String> {
        let called = (domain(&node.domain), node.op.as_str(), node.overload.as_str());
        if let Some(function) = self.functions.get(&called).copied() {
            return self.call(&node, function);
        }
        if self.nodes.len() == MAX_NODES {
            return Err(format!("has more than {MAX_NODES} nodes with those of its functions"));
        }
        self.nodes.push(node);
        Ok(())
    }

    fn call(&mut self, call: &NodeProto, function: &'a FunctionProto) -> Result<(), String> {
        let key = key(function);
        let fail = |what: String| Err(format!("function {}, called by \"{}\", {what}", shown(key), label(call)));
        if self.open.contains(&key) {
            return fail("calls itself".into());
        }
        if self.open.len() == MAX_DEPTH {
            return fail(format!("is more than {MAX_DEPTH} calls deep"));
        }
        if call.inputs.len() > function.inputs.len() || call.outputs.len() > function.outputs.len() {
            return fail(format!(
                "has {} inputs and {} outputs, {} and {} are given",
                function.inputs.len(),
                function.outputs.len(),
                call.inputs.len(),
                call.outputs.len()
            ));
        }
        let opset = own_opset(&function.opsets).unwrap_or(self.opset);
        if !OPSETS.contains(&opset) {
            return fail(format!("uses operator set {opset} of ONNX, supported are {OPSETS:?}"));
        }
        // What the function's names stand for. An input that the call leaves out has no name.
        let mut names: HashMap<&str, String> = HashMap::new();
        for (i, formal) in function.inputs.iter().enumerate() {
            if names.insert(formal, call.inputs.get(i).cloned().unwrap_or_default()).is_some() {
                return fail(format!("names input \"{formal}\" twice"));
            }
        }
        self.open.push(key);
        for (formal, actual) in function.outputs.iter().zip(&call.outputs).filter(|(_, actual)| !actual.is_empty()) {
            // An input, or a second output of one name.
            if let Some(same) = names.get(formal.as_str()) {
                let (inputs, outputs) = (vec![same.clone()], vec![actual.clone()]);
                self.add(NodeProto { op: "Identity".into(), inputs, outputs, opset, ..NodeProto::default() })?;
            } else {
                names.insert(formal, actual.clone());
            }
        }
        for node in &function.nodes {
            let node = self.renamed(node, call, function, &mut names)?;
            self.add(NodeProto { opset, ..node })?;
        }
        self.open.pop();
        Ok(())
    }

    /// A node of a function, as this call means it.
    fn renamed(
        &mut self,
        node: &'a NodeProto,
        call: &NodeProto,
        function: &'a FunctionProto,
        names: &mut HashMap<&'a str, String>,
    ) -> Result<NodeProto, String> {
        let label = label(call);
        let mut bytes = NODE_BYTES + node.op.len() + node.domain.len() + node.overload.len();
        let mut of = |list: &'a [String]| -> Result<Vec<String>, String> {
            let mut renamed = Vec::with_capacity(list.len());
            for name in list {
                let name = match names.get(name.as_str()) {
                    Some(name) => name.clone(),
                    None if name.is_empty() => String::new(),
                    None => {
                        let fresh = self.fresh(label, name)?;
                        bytes += 2 * (fresh.len() + size_of::<String>());
                        names.insert(name, fresh.clone());
                        fresh
                    }
                };
                bytes += name.len() + size_of::<String>();
                renamed.push(name);
            }
            Ok(renamed)
        };
        let (inputs, outputs) = (of(&node.inputs)?, of(&node.outputs)?);
        let name = if node.name.is_empty() { String::new() } else { joined(label, &node.name)? };
        bytes += name.len();
        let mut attributes = Vec::new();
        for AttributeProto { name, value } in &node.attributes {
            let value = match value {
                AttributeValue::Reference(to) => {
                    let given = call.attributes.iter().chain(&function.defaults).find(|given| given.name == *to);
                    // One that neither the call nor the function knows is left out.
                    let Some(given) = given else { continue };
                    &given.value
                }
                value => value,
            };
            bytes += ATTRIBUTE_BYTES + name.len() + bytes_of(value);
            if self.bytes.saturating_add(bytes) > MAX_BYTES {
                break;
            }
            attributes.push(AttributeProto { name: name.clone(), value: value.clone() });
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(format!("has functions that would become more than {} MiB of nodes", MAX_BYTES >> 20));
        }
        let (op, domain, overload) = (node.op.clone(), node.domain.clone(), node.overload.clone());
        Ok(NodeProto { name, op, domain, overload, inputs, outputs, attributes, opset: 0 })
    }

    /// A name that nothing has yet.
    fn fresh(&mut self, label: &str, name: &str) -> Result<String, String> {
        let wanted = joined(label, name)?;
        let mut fresh = wanted.clone();
        while !self.names.insert(fresh.clone()) {
            self.last += 1;
            fresh = format!("{wanted}.{}", self.last);
        }
        Ok(fresh)
    }
}

/// What a call's values are named for.
fn label(call: &NodeProto) -> &str {
    match (call.name.as_str(), call.outputs.first()) {
        ("", Some(output)) => output,
        (name, _) => name,
    }
}

fn joined(label: &str, name: &str) -> Result<String, String> {
    match label.len() + 1 + name.len() {
        ..=MAX_NAME => Ok(format!("{label}/{name}")),
        length => Err(format!("has functions that make a name of {length} bytes, the limit is {MAX_NAME}")),
    }
}

/// Bytes of a value's text, list or tensor that isn't left in the file.
fn bytes_of(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::String(text) | AttributeValue::Reference(text) => text.len(),
        AttributeValue::Floats(list) => size_of_val(list.as_slice()),
        AttributeValue::Ints(list) => size_of_val(list.as_slice()),
        AttributeValue::Tensor(tensor) => {
            let texts = tensor.external.iter().map(|(key, text)| key.len() + text.len() + 2 * size_of::<String>());
            let data = match &tensor.data {
                Data::Ints(list) => size_of_val(list.as_slice()),
                Data::Floats(list) => size_of_val(list.as_slice()),
                Data::None | Data::InFile { .. } => 0,
            };
            size_of_val(&**tensor)
                + tensor.name.len()
                + size_of_val(tensor.dims.as_slice())
                + texts.sum::<usize>()
                + data
        }
        _ => 0,
    }
}
