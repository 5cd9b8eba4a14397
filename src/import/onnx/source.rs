//! An ONNX file, checked as a whole: every name is made once and before it is read, every op is known, every tensor is
//! as long as its shape says.

use super::external::{self, External};
use super::functions;
use super::ops::handler;
use super::proto::{self, AttributeValue, Data, NodeProto, TensorProto, ValueProto};
use super::stored::Stored;
use super::wire::Input;
use super::{OPSETS, own_opset};
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use crate::import::contents::Contents;
use crate::tensor::Tensor;
use crate::weights::Store;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names listed in a message.
const SHOWN: usize = 6;

pub(crate) struct Source {
    pub(super) path: PathBuf,
    pub(super) producer: String,
    pub(super) opset: i64,
    /// What the outputs need, each after what it reads.
    pub(super) nodes: Vec<NodeProto>,
    pub(super) stored: HashMap<String, Stored>,
    pub(super) outputs: Vec<String>,
    pub(super) contents: Arc<Contents>,
    pub(super) inputs: Vec<ValueProto>,
    other_opsets: Vec<String>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.path.display())
    }
}

impl Source {
    /// Opens a file; `external` says whether files beside it may hold tensors.
    pub(crate) fn open(path: &Path, external: bool) -> Result<Self> {
        let fail = |e| Error::io(path, "read the model", e);
        let kind = Kind { name: "model", expected: "an ONNX file", most: u64::MAX };
        let (file, length) = files::open(path, &kind)?;
        let contents = Contents::file(path, file.try_clone().map_err(fail)?);
        let directory = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        let external = External::new(directory.filter(|_| external).map(Path::to_path_buf));
        Self::read(&mut BufReader::new(file), length, contents, &external)
    }

    /// Checks bytes in memory; `origin` names them in messages.
    pub(crate) fn from_bytes(bytes: Vec<u8>, origin: &Path) -> Result<Self> {
        let bytes: Arc<[u8]> = bytes.into();
        let contents = Contents::memory(origin, bytes.clone());
        Self::read(&mut Cursor::new(&bytes[..]), bytes.len() as u64, contents, &External::new(None))
    }

    fn read(input: &mut dyn Input, length: u64, contents: Contents, external: &External) -> Result<Self> {
        let path = contents.path.clone();
        let fail = |message: String| Error::file(&path, message);
        let model = proto::read(input, length, &path)?;
        let graph = model.graph.ok_or_else(|| fail("is not an ONNX file: it holds no graph".into()))?;
        let (own, others): (Vec<_>, Vec<_>) =
            model.opsets.into_iter().partition(|(domain, _)| matches!(domain.as_str(), "" | "ai.onnx"));
        // A graph that only calls functions need not say which operator set these use.
        let of_functions = || model.functions.iter().filter_map(|function| own_opset(&function.opsets)).max();
        let opset = own_opset(&own).or_else(of_functions).unwrap_or(1);
        if !OPSETS.contains(&opset) {
            let (first, last) = (OPSETS.start(), OPSETS.end());
            return Err(fail(format!("uses operator set {opset} of ONNX, supported are {first} to {last}")));
        }
        if graph.sparse_initializers > 0 {
            return Err(fail("holds sparse tensors, which are not supported".into()));
        }
        let contents = Arc::new(contents);
        let mut stored = HashMap::new();
        // What is wrong, and with how many tensors: the first and how many more.
        let mut complaints: Vec<(String, String, usize)> = Vec::new();
        for tensor in graph.initializers {
            let name = tensor.name.clone();
            let tensor = Stored::new(tensor, &contents, external);
            let Err(wrong) = tensor.and_then(|tensor| match stored.insert(name.clone(), tensor) {
                None => Ok(()),
                Some(_) => Err("is there twice".into()),
            }) else {
                continue;
            };
            match complaints.iter_mut().take(SHOWN).find(|(message, ..)| *message == wrong) {
                Some((.., more)) => *more += 1,
                None => complaints.push((wrong, name, 0)),
            }
        }
        if !complaints.is_empty() {
            let said = complaints.into_iter().map(|(wrong, name, more)| match more {
                0 if wrong == "is there twice" => format!("tensor \"{name}\" {wrong}"),
                0 => format!("tensor \"{name}\": {wrong}"),
                more => format!("tensor \"{name}\" and {more} more: {wrong}"),
            });
            return Err(fail(listed(said, "; ")));
        }
        // In old files the weights are inputs too.
        let inputs: Vec<ValueProto> = graph.inputs.into_iter().filter(|i| !stored.contains_key(&i.name)).collect();
        let outputs: Vec<String> = graph.outputs.into_iter().map(|output| output.name).collect();
        if outputs.is_empty() {
            return Err(fail("has no output".into()));
        }
        let names = inputs.iter().map(|input| input.name.as_str()).chain(stored.keys().map(String::as_str));
        let nodes = functions::inlined(graph.nodes, &model.functions, opset, names).map_err(fail)?;
        let mut nodes = in_order(nodes, &inputs, &stored, &outputs).map_err(fail)?;
        // The tensors of `Constant` nodes are as good as those of the graph.
        nodes.retain_mut(|node| match constant(node).map(|tensor| Stored::new(tensor, &contents, external)) {
            Some(Ok(mut tensor)) => {
                tensor.of_node = true;
                stored.insert(std::mem::take(&mut node.outputs[0]), tensor);
                false
            }
            _ => true,
        });
        Ok(Self {
            producer: model.producer,
            opset,
            nodes,
            stored,
            outputs,
            contents,
            inputs,
            other_opsets: others.into_iter().map(|(domain, version)| format!("{domain} {version}")).collect(),
            path,
        })
    }

    /// Refuses the file if it uses ops that are not supported, with all of them.
    pub(super) fn check_ops(&self) -> Result<()> {
        let unsupported = self.unsupported();
        if unsupported.is_empty() {
            return Ok(());
        }
        let opsets = match self.other_opsets.is_empty() {
            true => format!("opset {}", self.opset),
            false => format!("opset {}, {}", self.opset, self.other_opsets.join(", ")),
        };
        let list: Vec<String> =
            unsupported.iter().map(|(op, nodes)| format!("{op} ({})", listed(quoted(nodes), ", "))).collect();
        let message = format!("uses ops that are not supported ({opsets}): {}", list.join("; "));
        Err(Error::Unsupported { path: self.path.clone(), message, ops: unsupported })
    }

    /// Ops that are not supported, with the names of their nodes.
    pub(crate) fn unsupported(&self) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in &self.nodes {
            let own = matches!(node.domain.as_str(), "" | "ai.onnx");
            if !own || handler(&node.op).is_none() {
                let op = if own { node.op.clone() } else { format!("{}.{}", node.domain, node.op) };
                let name = if node.name.is_empty() { node.outputs.first() } else { Some(&node.name) };
                found.entry(op).or_default().push(name.cloned().unwrap_or_default());
            }
        }
        found
    }

    /// Ops and how often they occur, most frequent first.
    pub(crate) fn op_counts(&self) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.nodes.iter().for_each(|node| *counts.entry(&node.op).or_default() += 1);
        match self.stored.values().filter(|stored| stored.of_node).count() {
            0 => {}
            constants => *counts.entry("Constant").or_default() += constants,
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().map(|(op, count)| (op.to_string(), count)).collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    }

    /// Bytes that all tensors take in memory. A function's are counted once, however often it is called, and those that
    /// may not be read are not.
    pub(super) fn tensor_bytes(&self) -> usize {
        let mut seen = HashSet::new();
        let own = |stored: &&Stored| !stored.of_node || stored.offset().is_none_or(|at| seen.insert(at));
        let held = self.stored.values().filter(|stored| stored.elsewhere().is_none());
        held.filter(own).map(Stored::bytes).fold(0, usize::saturating_add)
    }

    /// Numbers in float tensors that nodes read.
    pub(crate) fn parameters(&self) -> u64 {
        let floats = self.needed().into_iter().filter(|(_, stored)| stored.element.is_float());
        floats.map(|(_, stored)| stored.len() as u64).fold(0, u64::saturating_add)
    }

    /// Tensors that nodes or outputs need, by name.
    fn needed(&self) -> BTreeMap<&str, &Stored> {
        let names = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs);
        names.filter_map(|name| Some((name.as_str(), self.stored.get(name)?))).collect()
    }

    /// Files beside the model that it needs and that may not be read, and one of the tensors that are in them.
    fn elsewhere(&self) -> (BTreeSet<&str>, Vec<&str>) {
        self.needed().into_iter().filter_map(|(name, stored)| Some((stored.elsewhere()?, name))).unzip()
    }

    /// Names of the files that hold tensors which may not be read.
    pub(crate) fn unread_files(&self) -> Vec<String> {
        self.elsewhere().0.into_iter().map(String::from).collect()
    }

    /// Refuses a file some of whose tensors may not be read.
    pub(crate) fn check_data(&self) -> Result<()> {
        let (files, names) = self.elsewhere();
        if names.is_empty() {
            return Ok(());
        }
        let files: Vec<&str> = files.into_iter().collect();
        Err(Error::file(&self.path, external::refusal(&names, &files)))
    }

    /// Reads the values of a float tensor now; none if there is no such tensor.
    pub(super) fn floats(&self, name: &str) -> Result<Option<Tensor>> {
        match self.stored.get(name) {
            Some(stored) if stored.element.is_float() => stored.floats(name).map(Some),
            _ => Ok(None),
        }
    }
}

impl Store for Source {
    fn tensor(&self, name: &str, _: &[usize]) -> Result<Option<Tensor>> {
        self.floats(name)
    }

    fn origin(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

/// The tensor of a `Constant` node.
fn constant(node: &NodeProto) -> Option<TensorProto> {
    let ("Constant", "" | "ai.onnx", [_]) = (node.op.as_str(), node.domain.as_str(), node.outputs.as_slice()) else {
        return None;
    };
    let list = |element, dims, data| TensorProto { dims, element, data, ..TensorProto::default() };
    node.attributes.iter().find_map(|attribute| {
        Some(match (attribute.name.as_str(), &attribute.value) {
            ("value", AttributeValue::Tensor(tensor)) => TensorProto::clone(tensor),
            ("value_float", AttributeValue::Float(value)) => list(1, vec![], Data::Floats(vec![*value])),
            ("value_floats", AttributeValue::Floats(values)) => {
                list(1, vec![values.len() as i64], Data::Floats(values.clone()))
            }
            ("value_int", AttributeValue::Int(value)) => list(7, vec![], Data::Ints(vec![*value])),
            ("value_ints", AttributeValue::Ints(values)) => {
                list(7, vec![values.len() as i64], Data::Ints(values.clone()))
            }
            _ => return None,
        })
    })
}

pub(super) fn quoted(names: &[String]) -> impl ExactSizeIterator<Item = String> {
    names.iter().map(|name| format!("\"{name}\""))
}

/// The first of a list, and how many more.
pub(super) fn listed(items: impl ExactSizeIterator<Item = String>, separator: &str) -> String {
    let more = items.len().saturating_sub(SHOWN);
    let shown: Vec<String> = items.take(SHOWN).collect();
    let shown = shown.join(separator);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// The nodes that the outputs need, each after what it reads.
fn in_order(
    nodes: Vec<NodeProto>,
    inputs: &[ValueProto],
    stored: &HashMap<String, Stored>,
    outputs: &[String],
) -> Result<Vec<NodeProto>, String> {
    let given: HashSet<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let mut makers: HashMap<&str, usize> = HashMap::new();
    let mut twice = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            let taken = stored.contains_key(name) || given.contains(name.as_str());
            if makers.insert(name, i).is_some() || taken {
                twice.push(name.clone());
            }
        }
    }
    if !twice.is_empty() {
        return Err(format!("makes values twice: {}", listed(quoted(&twice), ", ")));
    }
    let missing = |name: &str| !name.is_empty() && !given.contains(name) && !stored.contains_key(name);

    // What the outputs need.
    let mut needed = vec![false; nodes.len()];
    let mut nowhere = Vec::new();
    let wanted: HashSet<&str> = outputs.iter().map(String::as_str).collect();
    let mut open: Vec<&str> = outputs.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        match makers.get(name) {
            Some(&i) if !needed[i] => {
                needed[i] = true;
                open.extend(nodes[i].inputs.iter().map(String::as_str));
                let lost = nodes[i].inputs.iter().filter(|name| missing(name) && !makers.contains_key(name.as_str()));
                nowhere.extend(lost.map(|lost| (lost.as_str(), Some(i))));
            }
            None if wanted.contains(name) && missing(name) => nowhere.push((name, None)),
            _ => {}
        }
    }
    if !nowhere.is_empty() {
        let said = nowhere.iter().map(|&(name, reader)| match reader {
            Some(i) => format!("\"{name}\" (read by {} \"{}\")", nodes[i].op, nodes[i].name),
            None => format!("output \"{name}\""),
        });
        return Err(format!("nothing makes {}", listed(said, ", ")));
    }

    // Kahn's order; what is left over stands in a circle.
    let sources: Vec<HashSet<usize>> = nodes
        .iter()
        .map(|node| node.inputs.iter().filter_map(|name| makers.get(name.as_str()).copied()).collect())
        .collect();
    let mut waiting: Vec<usize> = sources.iter().map(HashSet::len).collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (i, sources) in sources.iter().enumerate() {
        sources.iter().for_each(|&source| readers[source].push(i));
    }
    let mut ready: VecDeque<usize> = (0..nodes.len()).filter(|&i| waiting[i] == 0).collect();
    let mut order = Vec::new();
    while let Some(i) = ready.pop_front() {
        order.push(i);
        for &reader in &readers[i] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.push_back(reader);
            }
        }
    }
    let circle: Vec<usize> = (0..nodes.len()).filter(|&i| waiting[i] > 0 && needed[i]).collect();
    if !circle.is_empty() {
        let said = circle.into_iter().map(|i| format!("{} \"{}\"", nodes[i].op, nodes[i].name));
        return Err(format!("has nodes that wait for each other: {}", listed(said, ", ")));
    }
    // Files are in order nearly always: keep theirs.
    let sorted = (0..nodes.len()).all(|i| sources[i].iter().all(|&source| source < i));
    let order: Vec<usize> = if sorted { (0..nodes.len()).collect() } else { order };
    let mut nodes: Vec<Option<NodeProto>> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter(|&i| needed[i]).filter_map(|i| nodes[i].take()).collect())
}
