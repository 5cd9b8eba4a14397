//! ONNX: networks of any exporter as graphs.
//!
//! The file is checked as a whole first ([`Onnx`]): messages, tensors, names, order, ops. Then node by node it is
//! translated into a graph, and the SE blocks in it are found. What is not supported is said for all nodes at once.

mod external;
mod functions;
mod input;
mod node;
mod ops;
mod proto;
mod source;
mod stored;
mod translate;
mod values;
mod wire;

pub use ops::supported_ops;
pub(crate) use source::Source;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::import::contents::Contents;
use crate::passes::SeCandidate;
use crate::weights::Weights;
use input::{GivenInput, InputDim};
use node::Node;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use translate::{Args, Translator};
use values::{Int, Val};

/// Oldest and newest operator set that is read.
pub(crate) const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// Version of ONNX's own operator set, where it is among those of a graph or function.
fn own_opset(opsets: &[(String, i64)]) -> Option<i64> {
    let own = opsets.iter().filter(|(domain, _)| matches!(domain.as_str(), "" | "ai.onnx"));
    own.map(|(_, version)| *version).max()
}

/// Why a node can't be translated.
#[derive(Debug)]
enum Fail {
    /// It looks across images. With the batch fixed it may do.
    Batch(String),
    Other(String),
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Batch(message) | Self::Other(message)) = self;
        f.write_str(message)
    }
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
#[non_exhaustive]
pub struct OnnxOptions {
    /// Height and width of the images, where the file leaves them open.
    pub size: Option<[usize; 2]>,
    /// Take images as `[N,3,H,W]` also where the file wants `[N,H,W,3]`: the graph then transposes them.
    pub channels_first: bool,
    /// Read tensors from other files beside the model, where it names some. A file of unknown origin should not be
    /// trusted with that.
    pub external_data: bool,
    /// Values of inputs other than the image: whole numbers where the input is of integers.
    pub constants: BTreeMap<String, crate::Tensor>,
}

/// A network with its weights.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnnxModel {
    /// What it computes.
    pub graph: Graph,
    /// Its numbers.
    pub weights: Weights,
    /// What looked like an SE block in the file, and what it is.
    pub se: Vec<SeCandidate>,
    /// Why the batch can't be chosen, where it can't: the graph then takes the file's whole batch as one input.
    pub fixed_batch: Option<String>,
}

impl OnnxModel {
    /// Reads an ONNX file. SE blocks are found and become [`crate::ops::SqueezeExcite`] nodes.
    ///
    /// ```no_run
    /// let model = excite::import::onnx::OnnxModel::from_onnx("net.onnx")?;
    /// let gpu = excite::Gpu::new()?;
    /// let network = excite::gpu::Executor::new(&gpu, &model.graph, &model.weights, Default::default())?;
    /// # Ok::<(), excite::Error>(())
    /// ```
    ///
    /// # Errors
    /// The file can't be read or is damaged, or something in it is not supported: all such nodes are named.
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_onnx_with(path, &OnnxOptions::default())
    }

    /// As [`OnnxModel::from_onnx`], with options.
    ///
    /// # Errors
    /// As there.
    pub fn from_onnx_with(path: impl AsRef<Path>, options: &OnnxOptions) -> Result<Self> {
        let onnx = Onnx::open(path, options)?;
        onnx.check_data()?;
        onnx.model(options)
    }
}

/// What an ONNX file takes at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxInput {
    /// Its name.
    pub name: String,
    /// Its dimensions; `None` where the file leaves one open.
    pub dims: Vec<Option<usize>>,
    /// Whether it is images with their channels last, `[N,H,W,3]`.
    pub channels_last: bool,
    /// Whether it is integers of 8 bits: whole numbers from 0 to 255, which the file normalises itself.
    pub bytes: bool,
}

/// An ONNX file, checked as a whole: for a look before it is translated, or where that can't be done.
#[derive(Clone, Debug)]
pub struct Onnx(Arc<Source>);

impl Onnx {
    /// Opens a file. It stays open, and must stay as it is, as long as its numbers may be needed. Tensors in other files
    /// that the options don't allow are known by their shapes: that will do for a look and a plan, see
    /// [`Onnx::check_data`].
    ///
    /// # Errors
    /// It can't be read, is damaged, or is of an operator set that is not supported.
    pub fn open(path: impl AsRef<Path>, options: &OnnxOptions) -> Result<Self> {
        Ok(Self(Arc::new(Source::open(path.as_ref(), options.external_data)?)))
    }

    /// A file in memory; `origin` names it in messages.
    ///
    /// # Errors
    /// As [`Onnx::open`].
    pub fn from_bytes(bytes: Vec<u8>, origin: &str) -> Result<Self> {
        Ok(Self(Arc::new(Source::from_bytes(bytes, Path::new(origin))?)))
    }

    /// The network.
    ///
    /// # Errors
    /// Something in it is not supported: all such nodes are named.
    pub fn model(&self, options: &OnnxOptions) -> Result<OnnxModel> {
        import(&self.0, options)
    }

    /// Refuses a file that needs tensors of other files which may not be read.
    ///
    /// # Errors
    /// As said.
    pub fn check_data(&self) -> Result<()> {
        self.0.check_data()
    }

    /// Names of other files that hold tensors it needs and that may not be read.
    pub fn unread_files(&self) -> Vec<String> {
        self.0.unread_files()
    }

    /// The input that is given at run time.
    ///
    /// # Errors
    /// There are others that the options give no value.
    pub fn input(&self, options: &OnnxOptions) -> Result<OnnxInput> {
        self.0.given(options).map(input::describe)
    }

    /// Says at how many images the batch is fixed, with the reason that [`OnnxModel::fixed_batch`] gives.
    pub fn fixed(&self, reason: &str) -> String {
        let dims = self.input(&OnnxOptions::default()).map(|input| input.dims).unwrap_or_default();
        let declared = dims.first().copied().flatten().unwrap_or(1);
        format!("fixed at {declared} ({reason})")
    }

    /// The program that wrote it.
    pub fn producer(&self) -> &str {
        &self.0.producer
    }

    /// Version of the operator set.
    pub fn opset(&self) -> i64 {
        self.0.opset
    }

    /// Inputs that are no weights, and their dimensions; `None` where the file leaves one open.
    pub fn inputs(&self) -> Vec<(String, Vec<Option<usize>>)> {
        self.0.inputs()
    }

    /// Names of the outputs.
    pub fn outputs(&self) -> &[String] {
        &self.0.outputs
    }

    /// Ops that the outputs need and how often they occur, most frequent first.
    pub fn ops(&self) -> Vec<(String, usize)> {
        self.0.op_counts()
    }

    /// Numbers in the float tensors that nodes read.
    pub fn parameters(&self) -> u64 {
        self.0.parameters()
    }

    /// Ops that are not supported, with the names of their nodes.
    pub fn unsupported(&self) -> BTreeMap<String, Vec<String>> {
        self.0.unsupported()
    }
}

impl crate::Tensor {
    /// A serialised `TensorProto`, as ONNX's own tests keep their inputs and outputs; integers become floats.
    ///
    /// # Errors
    /// The bytes are damaged, or of a type that is not supported.
    pub fn from_onnx_bytes(bytes: Vec<u8>, origin: &str) -> Result<Self> {
        let bytes: Arc<[u8]> = bytes.into();
        let contents = Arc::new(Contents::memory(Path::new(origin), bytes.clone()));
        let proto = proto::read_tensor(&mut std::io::Cursor::new(&bytes[..]), bytes.len() as u64, Path::new(origin))?;
        let stored = stored::Stored::new(proto, &contents, &external::External::new(None))
            .map_err(|message| Error::file(origin, message))?;
        match stored.element.is_float() {
            true => stored.floats("value"),
            false => Self::new(stored.dims.clone(), stored.ints("value")?.iter().map(|&x| x as f32).collect()),
        }
    }
}

fn import(source: &Arc<Source>, options: &OnnxOptions) -> Result<OnnxModel> {
    source.check_ops()?;
    let input = source.input(options)?;
    let weights = Weights::shared(source.clone());

    // Once with the first dimension as the batch. If a node looks across it, once more with the file's own.
    let dims = &input.dims;
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
        None => translate(source, &weights, &input, &fixed, options, None),
        Some(batch) => match translate(source, &weights, &input, &free, options, Some(batch)) {
            // What can't be done for any batch may be done for the file's own.
            Err((at, fail)) => match translate(source, &weights, &input, &fixed, options, None) {
                Ok(graph) => {
                    fixed_batch = Some(format!("{at}: {fail}"));
                    Ok(graph)
                }
                Err(again) => Err(if let Fail::Batch(_) = fail { again } else { (at, fail) }),
            },
            graph => graph,
        },
    };
    let graph =
        translated.map_err(|(at, fail)| Error::file(&source.path, format!("{at}: {}", shortened(fail.to_string()))))?;
    let (graph, se) = graph.find_se()?;
    Ok(OnnxModel { graph, weights, se, fixed_batch })
}

/// A message without the tail of a list that a file has made very long.
fn shortened(mut message: String) -> String {
    const MOST: usize = 2000;
    if let Some((end, _)) = message.char_indices().nth(MOST) {
        message.truncate(end);
        message.push_str(" …");
    }
    message
}

/// The graph, or the node that failed and why.
fn translate(
    source: &Source,
    weights: &Weights,
    input: &GivenInput<'_>,
    dims: &[usize],
    options: &OnnxOptions,
    free: Option<usize>,
) -> Result<Graph, (String, Fail)> {
    let name = source.path.file_stem().map_or_else(|| "onnx".into(), |stem| stem.to_string_lossy().into_owned());
    let mut low = Translator::new(&name, weights, source, free);
    let whole = |fail: Fail| ("the graph".to_string(), fail);
    let mut vals: HashMap<&str, Val> = HashMap::new();
    let transposed = input.channels_last && options.channels_first;
    let given = low.input(dims, transposed, input.bytes).map_err(|fail| (format!("input \"{}\"", input.name), fail))?;
    vals.insert(input.name, given);
    for (name, tensor) in &options.constants {
        let val = match source.is_of_integers(name) {
            true => {
                let data = tensor.data().iter().map(|&x| Int::from(x as i64)).collect();
                Val::ints(tensor.shape(), data)
            }
            false => Val::Floats(low.folded(tensor.clone())),
        };
        vals.insert(name, val);
    }
    let read: HashSet<&str> = source.nodes.iter().flat_map(|node| node.inputs.iter()).map(String::as_str).collect();
    let outputs: HashSet<&str> = source.outputs.iter().map(String::as_str).collect();
    // Numbers computed on the way to others are not kept.
    let mut last_consumer: HashMap<&str, usize> = HashMap::new();
    for (i, node) in source.nodes.iter().enumerate() {
        last_consumer.extend(node.inputs.iter().map(|input| (input.as_str(), i)));
    }
    for (i, proto) in source.nodes.iter().enumerate() {
        let node = Node { proto, opset: proto.opset };
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
                None => low.stored(input).map_err(fail)?.inspect(|val| {
                    vals.insert(input, val.clone());
                }),
            };
            args.vals.push(val);
        }
        // Inputs left out at the end are none at all.
        while let Some(None) = args.vals.last() {
            args.vals.pop();
        }
        let results = low.node(args).map_err(fail)?;
        for input in proto.inputs.iter().map(String::as_str) {
            if last_consumer.get(input) == Some(&i) && !outputs.contains(input) {
                vals.remove(input);
            }
        }
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
