//! ONNX: networks of any exporter as graphs.
//!
//! The file is checked as a whole first ([`Source`]): messages, tensors, names, order, ops. Then node by node it is
//! translated into a graph, and the SE stages in it are found. What is not supported is said for all nodes at once.

mod external;
mod node;
mod ops;
mod proto;
mod source;
mod stored;
mod translate;
mod values;

pub(crate) use source::Source;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::passes::SeCandidate;
use crate::weights::Weights;
use node::Node;
use source::InputDim;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use translate::{Args, Translator};
use values::Val;

/// Oldest and newest operator set that is read.
pub(crate) const OPSETS: std::ops::RangeInclusive<i64> = 9..=25;

/// Why a node can't be translated.
#[derive(Debug)]
enum Fail {
    /// It looks across images. With the batch fixed it may do.
    Batch(String),
    Other(String),
}

impl From<String> for Fail {
    fn from(message: String) -> Self {
        Self::Other(message)
    }
}

impl From<&str> for Fail {
    fn from(message: &str) -> Self {
        Self::Other(message.into())
    }
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        match error {
            Error::Node { message, .. } => Self::Other(message),
            error => Self::Other(error.to_string()),
        }
    }
}

/// How to read an ONNX file.
#[derive(Clone, Debug, Default)]
pub struct OnnxOptions {
    /// Height and width of the images, where the file leaves them open.
    pub size: Option<[usize; 2]>,
    /// Read tensors from other files beside the model, where it names some. A file of unknown origin should not be
    /// trusted with that.
    pub external_data: bool,
    /// Values of inputs other than the image.
    pub constants: BTreeMap<String, crate::Tensor>,
}

/// A network with its weights.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it computes.
    pub graph: Graph,
    /// Its numbers.
    pub weights: Weights,
    /// What was found out about it.
    pub report: OnnxReport,
}

/// What an ONNX file holds.
#[derive(Clone, Debug)]
pub struct OnnxReport {
    /// The program that wrote it.
    pub producer: String,
    /// Version of the operator set.
    pub opset: i64,
    /// Ops and how often they occur, most frequent first.
    pub ops: Vec<(String, usize)>,
    /// Numbers in the file's float tensors.
    pub parameters: u64,
    /// Why the batch can't be chosen, where it can't: the graph then takes the file's whole batch as one input.
    pub fixed_batch: Option<String>,
    /// What looked like an SE stage, and what it is.
    pub se: Vec<SeCandidate>,
}

impl Model {
    /// Reads an ONNX file. SE stages are found and become [`crate::SqueezeExcite`] nodes.
    ///
    /// ```no_run
    /// let model = excite::Model::from_onnx("net.onnx")?;
    /// let gpu = excite::Gpu::new()?;
    /// let mut executor = excite::Executor::new(&gpu, &model.graph, &model.weights, 1)?;
    /// # Ok::<(), excite::Error>(())
    /// ```
    ///
    /// # Errors
    /// The file can't be read or is damaged, or something in it is not supported: all such nodes are named.
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_onnx_with(path, &OnnxOptions::default())
    }

    /// As [`Model::from_onnx`], with options.
    ///
    /// # Errors
    /// As there.
    pub fn from_onnx_with(path: impl AsRef<Path>, options: &OnnxOptions) -> Result<Self> {
        import(Source::open(path.as_ref(), options.external_data)?, options)
    }

    /// A file in memory; `origin` names it in messages.
    ///
    /// # Errors
    /// As [`Model::from_onnx`].
    pub fn from_onnx_bytes(bytes: Vec<u8>, origin: &str, options: &OnnxOptions) -> Result<Self> {
        import(Source::from_bytes(bytes, Path::new(origin))?, options)
    }
}

fn import(mut source: Source, options: &OnnxOptions) -> Result<Model> {
    let refuse = |source: &Source, message: String| Error::file(&source.path, message);
    source.check_ops()?;
    let (input, dims) = source.input(options)?;
    for (name, tensor) in &options.constants {
        source.constants.insert(name.clone(), tensor.clone());
    }
    let source = Arc::new(source);
    let weights = Weights::from_onnx(source.clone());

    // Once with the first dimension as the batch. If a node looks across it, once more with the file's own.
    let declared = match dims.first() {
        Some(InputDim::Size(size)) => Some(*size),
        Some(InputDim::Open) => Some(0),
        None => None,
    };
    let fixed: Vec<usize> = dims.iter().map(|dim| dim.or(1)).collect();
    let mut free = fixed.clone();
    if let Some(first) = free.first_mut() {
        *first = 1;
    }
    let mut fixed_batch = None;
    let translated = match declared.filter(|_| dims.len() > 1) {
        None => translate(&source, &weights, &input, &fixed, None),
        Some(batch) => match translate(&source, &weights, &input, &free, Some(batch)) {
            Err((at, Fail::Batch(reason))) => {
                fixed_batch = Some(format!("{at}: {reason}"));
                translate(&source, &weights, &input, &fixed, None)
            }
            other => other,
        },
    };
    let graph = translated.map_err(|(at, fail)| {
        let (Fail::Batch(message) | Fail::Other(message)) = fail;
        let batch = fixed_batch.as_ref().map(|why| format!(" (the batch can't be free: {why})")).unwrap_or_default();
        refuse(&source, format!("{at}: {message}{batch}"))
    })?;
    let (graph, se) = graph.find_se()?;
    let report = OnnxReport {
        producer: source.producer.clone(),
        opset: source.opset,
        ops: source.op_counts(),
        parameters: source.parameters(),
        fixed_batch,
        se,
    };
    Ok(Model { graph, weights, report })
}

/// The graph, or the node that failed and why.
fn translate(
    source: &Source,
    weights: &Weights,
    input: &str,
    dims: &[usize],
    free: Option<usize>,
) -> Result<Graph, (String, Fail)> {
    let name = source.path.file_stem().map_or_else(|| "onnx".into(), |stem| stem.to_string_lossy().into_owned());
    let mut low = Translator::new(&name, weights, source, free);
    let whole = |fail: Fail| ("the graph".to_string(), fail);
    let mut vals: HashMap<&str, Val> = HashMap::new();
    vals.insert(input, low.input(dims).map_err(|fail| (format!("input \"{input}\""), fail))?);
    for (name, tensor) in &source.constants {
        vals.insert(name, Val::Floats(low.folded(tensor.clone())));
    }
    let read: HashSet<&str> = source.nodes.iter().flat_map(|node| node.inputs.iter()).map(String::as_str).collect();
    let outputs: HashSet<&str> = source.outputs.iter().map(String::as_str).collect();
    for proto in &source.nodes {
        let node = Node { proto, opset: source.opset };
        let fail = |fail| (format!("{} \"{}\" (opset {})", node.op(), node.name(), node.opset), fail);
        let mut args = Args {
            node: &node,
            vals: Vec::new(),
            wanted: proto.outputs.iter().map(|o| read.contains(o.as_str()) || outputs.contains(o.as_str())).collect(),
        };
        for input in &proto.inputs {
            let val = match vals.get(input.as_str()) {
                _ if input.is_empty() => None,
                Some(val) => Some(val.clone()),
                None => low.stored(input).map_err(fail)?,
            };
            args.vals.push(val);
        }
        // Inputs left out at the end are none at all.
        while let Some(None) = args.vals.last() {
            args.vals.pop();
        }
        let results = low.node(args).map_err(fail)?;
        for (name, val) in proto.outputs.iter().zip(results) {
            if !name.is_empty() {
                vals.insert(name, val);
            }
        }
    }
    let mut named = Vec::new();
    for name in &source.outputs {
        let val = match vals.get(name.as_str()) {
            Some(val) => Some(val.clone()),
            None => low.stored(name).map_err(whole)?,
        };
        named.push((name.clone(), val.ok_or_else(|| whole(format!("output \"{name}\" is missing").into()))?));
    }
    low.finish(&named).map_err(whole)
}
