//! The numbers of a network: from a safetensors file, from a seed, or from memory.

use crate::error::{Error, Mismatch, Result, near_names};
use crate::graph::{Graph, same_but_for_ones};
#[cfg(feature = "onnx")]
use crate::import::onnx;
use crate::import::rename::{self, Names};
use crate::import::safetensors::Checkpoint;
use crate::ops::Op;
use crate::tensor::Tensor;
#[cfg(feature = "zoo")]
use crate::zoo;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Tensors by name, as a PyTorch `state_dict` has them. Of a file, each tensor is read when it is needed.
#[derive(Clone, Debug)]
pub struct Weights(Source);

#[derive(Clone, Debug)]
enum Source {
    Seeded {
        seed: u64,
        gain: f64,
    },
    Tensors(BTreeMap<String, Arc<Tensor>>),
    Checkpoint(Checkpoint),
    #[cfg(feature = "onnx")]
    Onnx(Arc<onnx::Source>),
}

/// Most missing tensors that near names are looked for.
const MAX_NEAR: usize = 64;

/// Names and shapes.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

impl Weights {
    /// Reproducible weights for any graph: each number follows from the tensor's name, its shape, `seed` and `gain`
    /// (1 suits most networks). For proofs and timing; such a network knows nothing.
    pub fn seeded(seed: u64, gain: f64) -> Self {
        Self(Source::Seeded { seed, gain })
    }

    /// Tensors in memory.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Self(Source::Tensors(tensors.into_iter().map(|(name, tensor)| (name, Arc::new(tensor))).collect()))
    }

    /// A safetensors file, an index `….safetensors.index.json` with the files it names beside it, or a directory with
    /// `model.safetensors` or with `model.safetensors.index.json`. As [`Weights::from_safetensors`] otherwise.
    ///
    /// # Errors
    /// As there, and the index and its files disagree.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self(Source::Checkpoint(Checkpoint::open(path.as_ref())?)))
    }

    /// A safetensors file. F32, F16 and BF16 are read; `num_batches_tracked` is ignored. The file stays open, and must
    /// stay as it is, as long as its tensors may be needed.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or holds tensors of another type.
    pub fn from_safetensors(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self(Source::Checkpoint(Checkpoint::open_file(path.as_ref())?)))
    }

    /// Bytes in safetensors format: for weights compiled into a program. `origin` names them in messages.
    ///
    /// # Errors
    /// The bytes are damaged or hold tensors of another type.
    pub fn from_safetensors_bytes(bytes: Vec<u8>, origin: &str) -> Result<Self> {
        Ok(Self(Source::Checkpoint(Checkpoint::from_bytes(bytes, Path::new(origin))?)))
    }

    /// Those of an ONNX file.
    #[cfg(feature = "onnx")]
    pub(crate) fn from_onnx(source: Arc<onnx::Source>) -> Self {
        Self(Source::Onnx(source))
    }

    /// The tensor of this name, as `shape`; trailing dimensions of 1 don't matter.
    ///
    /// # Errors
    /// There is none, its shape is another, it has NaN or infinity, or its file has changed.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = match &self.0 {
            Source::Seeded { seed, gain } => return Ok(seeded(name, shape, *seed, *gain)),
            Source::Tensors(tensors) => tensors.get(name).map(|tensor| Tensor::clone(tensor)),
            Source::Checkpoint(checkpoint) => checkpoint.tensor(name)?,
            #[cfg(feature = "onnx")]
            Source::Onnx(source) => source.tensor(name)?,
        };
        let tensor = tensor.ok_or_else(|| self.fail(format!("no tensor \"{name}\"")))?;
        if !same_but_for_ones(tensor.shape(), shape) {
            return Err(self.fail(format!("tensor \"{name}\" must be {shape:?}, is {:?}", tensor.shape())));
        }
        if !is_finite(&tensor) {
            return Err(self.fail(format!("tensor \"{name}\" has NaN or infinity")));
        }
        tensor.reshape(shape)
    }

    /// Checks that these are exactly the graph's weights, as [`Weights::fit`] does.
    ///
    /// # Errors
    /// As there.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        self.fit(graph).map(drop)
    }

    /// These weights by the graph's names: as they are; without what all of the file's names begin with, such as
    /// `module.`, `model.` or `backbone.`; or from the names of torchvision, pytorchcv or EfficientNet-PyTorch where the
    /// network is the same there. Every tensor must have its place and every place its tensor. Numbers of a file are not
    /// read; [`Weights::get`] refuses those that are not finite.
    ///
    /// # Errors
    /// Tensors are missing, unexpected, of another shape or, in memory, not finite. Where only the number of classes or
    /// of the input's channels differs, or they are another network's of the zoo, the message says what to ask for.
    pub fn fit(&self, graph: &Graph) -> Result<Self> {
        let Some(found) = self.shapes() else { return Ok(self.clone()) };
        let wanted: Shapes = graph.tensors().into_iter().collect();
        let names = rename::read(graph.name(), &wanted, &found);
        let missing = names.missing(&wanted);
        let refuse = |reasons: &str| Err(self.fail(format!("not those of {}: {reasons}", graph.name())));
        // Room for another classifier.
        if let Some(reason) = names.refused.filter(|_| missing.len() * 20 < wanted.len()) {
            return refuse(reason);
        }
        if !missing.is_empty() || !names.unexpected.is_empty() || !names.misshapen(&wanted, &found).is_empty() {
            let simple = other_options(graph, &names, &wanted, &found).or_else(|| another(graph, &found));
            let complaints = simple.unwrap_or_else(|| self.complaints(&names, &wanted, &found));
            let misshapen = names.misshapen(&wanted, &found).into_iter();
            let lists = Mismatch {
                missing: missing.into_iter().cloned().collect(),
                unexpected: names.unexpected.clone(),
                misshapen: misshapen
                    .map(|(name, wanted, found)| (name.clone(), wanted.to_vec(), found.to_vec()))
                    .collect(),
            };
            return refuse(&complaints).map_err(|error: Error| error.with_tensors(lists));
        }
        match self.not_finite() {
            names if names.is_empty() => {}
            names => return Err(self.fail(format!("{} with NaN or infinity: {}", names.len(), shortened(&names)))),
        }
        if names.are_ours() {
            return Ok(self.clone());
        }
        let origin = names.origin.map(|origin| format!("{origin}'s names")).unwrap_or_else(|| "other names".into());
        log::info!("the weights have {origin}, with \"{}\" before them", names.prefix);
        Ok(self.renamed(&names.renamed(&wanted)))
    }

    /// Those of these weights, which are a graph's, that a part of the graph needs.
    pub(crate) fn part(&self, part: &Graph) -> Self {
        let as_ours = |(name, shape): (String, _)| rename::Renamed { theirs: name.clone(), ours: name, shape };
        self.renamed(&part.tensors().into_iter().map(as_ours).collect::<Vec<_>>())
    }

    /// Names and shapes of all tensors, where they are of a safetensors file or in memory.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.shapes().unwrap_or_default().into_iter().collect()
    }

    /// The networks of the zoo whose tensors these are, or nearly; under their own names or those of another library.
    #[cfg(feature = "zoo")]
    pub fn networks(&self) -> Vec<&'static str> {
        self.shapes().map(|found| zoo::identify(&found)).unwrap_or_default()
    }

    fn complaints(&self, names: &Names, wanted: &Shapes, found: &Shapes) -> String {
        let mut complaints = Vec::new();
        let mut say = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                complaints.push(format!("{} {what}: {}", names.len(), shortened(&names)));
            }
        };
        let missing = names.missing(wanted);
        // Where nearly nothing fits, near names mislead.
        let candidates = if missing.len() > MAX_NEAR { &[] } else { names.unexpected.as_slice() };
        let (near, far): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .map(|name| (name, near_names(name, candidates.iter().map(String::as_str)).first().copied()))
            .partition(|(_, near)| near.is_some());
        let describe = |(name, near): (&String, Option<&str>)| match near {
            Some(near) => format!("{name} (file has {near}?)"),
            None => name.clone(),
        };
        say("missing", near.into_iter().chain(far).map(describe).collect());
        say("unexpected", names.unexpected.clone());
        let misshapen = names.misshapen(wanted, found).into_iter();
        say("of another shape", misshapen.map(|(n, w, f)| format!("{n} (expected {w:?}, found {f:?})")).collect());
        say("with NaN or infinity", self.not_finite().into_iter().filter(|name| wanted.contains_key(name)).collect());
        complaints.join("; ")
    }

    /// Names of tensors in memory that have NaN or infinity.
    fn not_finite(&self) -> Vec<String> {
        let Source::Tensors(tensors) = &self.0 else { return Vec::new() };
        tensors.iter().filter(|(_, tensor)| !is_finite(tensor)).map(|(name, _)| name.clone()).collect()
    }

    fn renamed(&self, names: &[rename::Renamed]) -> Self {
        match &self.0 {
            Source::Seeded { .. } => self.clone(),
            #[cfg(feature = "onnx")]
            Source::Onnx(_) => self.clone(),
            Source::Checkpoint(checkpoint) => Self(Source::Checkpoint(checkpoint.renamed(names))),
            Source::Tensors(tensors) => {
                let tensor = |to: &rename::Renamed| {
                    let tensor = Tensor::clone(tensors.get(&to.theirs)?).reshape(to.shape.as_slice()).ok()?;
                    Some((to.ours.clone(), Arc::new(tensor)))
                };
                Self(Source::Tensors(names.iter().filter_map(tensor).collect()))
            }
        }
    }

    /// Names and shapes, where they are a closed list.
    fn shapes(&self) -> Option<Shapes> {
        match &self.0 {
            Source::Seeded { .. } => None,
            // Names of an ONNX file are its graph's by construction.
            #[cfg(feature = "onnx")]
            Source::Onnx(_) => None,
            Source::Tensors(tensors) => Some(tensors.iter().map(|(n, t)| (n.clone(), t.shape().to_vec())).collect()),
            Source::Checkpoint(checkpoint) => Some(checkpoint.shapes()),
        }
    }

    fn fail(&self, message: String) -> Error {
        let origin = match &self.0 {
            Source::Checkpoint(checkpoint) => Some(checkpoint.origin().display().to_string()),
            #[cfg(feature = "onnx")]
            Source::Onnx(source) => Some(source.origin().display().to_string()),
            _ => None,
        };
        Error::weights(origin, message)
    }
}

fn is_finite(tensor: &Tensor) -> bool {
    tensor.data().iter().all(|x| x.is_finite())
}

/// What to ask for if only the classifier's rows or the first layer's channels are more or fewer, or if there is no
/// classifier.
fn other_options(graph: &Graph, names: &Names, wanted: &Shapes, found: &Shapes) -> Option<String> {
    let module = |name: &str| name.rsplit_once('.').map(|(module, _)| module.to_string());
    let channels = graph.input_shape().channels();
    let mut layers: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut first = None;
    for (name, wanted, found) in names.misshapen(wanted, found) {
        match (wanted, found) {
            (&[_, ours, _, _], &[_, theirs, _, _])
                if ours == channels && [&wanted[..1], &wanted[2..]] == [&found[..1], &found[2..]] =>
            {
                if first.replace((module(name)?, theirs)).is_some() {
                    return None;
                }
            }
            (&[ours, ref wanted @ ..], &[theirs, ref found @ ..]) if same_but_for_ones(wanted, found) => {
                if layers.insert(module(name)?, (ours, theirs)).is_some_and(|there| there != (ours, theirs)) {
                    return None;
                }
            }
            _ => return None,
        }
    }
    let missing: BTreeSet<String> =
        names.missing(wanted).into_iter().map(|name| module(name)).collect::<Option<_>>()?;
    if !names.unexpected.is_empty() || layers.len() + missing.len() > 1 {
        return None;
    }
    let mut differ = Vec::new();
    let (mut typed, mut fields) = (Vec::new(), Vec::new());
    if let Some((layer, (ours, theirs))) = layers.pop_first() {
        let classes = if theirs == 1 { "1 class".into() } else { format!("{theirs} classes") };
        differ.push(format!("{layer}, which has {classes} and not {ours}"));
        typed.push(format!("--classes {theirs}"));
        fields.push("classes");
    }
    if let Some((layer, theirs)) = first {
        let input = if theirs == 1 { "1 channel".into() } else { format!("{theirs} channels") };
        differ.push(format!("{layer}, which takes {input} and not {channels}"));
        typed.push(format!("--channels {theirs}"));
        fields.push("channels");
    }
    if let Some(layer) = missing.first() {
        if !is_classifier(graph, layer) {
            return None;
        }
        differ.push(format!("{layer}, which the file lacks"));
        typed.push("--classes 0".into());
        fields.push("classes");
    }
    let fields: Vec<String> = fields.iter().map(|field| format!("`zoo::Options::{field}`")).collect();
    Some(format!(
        "all fits but {}; build the network so (`{}`, {})",
        differ.join(", and "),
        typed.join(" "),
        fields.join(" and ")
    ))
}

/// Whether this is the last layer that is fully connected.
fn is_classifier(graph: &Graph, layer: &str) -> bool {
    graph.nodes().iter().rfind(|node| matches!(node.op, Op::Linear(_))).is_some_and(|node| node.name == layer)
}

/// Without the zoo there are no others.
#[cfg(not(feature = "zoo"))]
fn another(_: &Graph, _: &Shapes) -> Option<String> {
    None
}

/// What to ask for if these are the weights of other networks of the zoo.
#[cfg(feature = "zoo")]
fn another(graph: &Graph, found: &Shapes) -> Option<String> {
    let others = zoo::identify(found);
    // Nearly this one's: another that differs in what no tensor shows is no better.
    if graph.name().split('.').next().is_some_and(|own| others.contains(&own)) {
        return None;
    }
    let options: Vec<String> = others.iter().map(|name| format!("`--model {name}`")).collect();
    (!others.is_empty())
        .then(|| format!("these look like those of {}; name it ({})", others.join(" or "), options.join(" or ")))
}

/// The first names of a list, and how many more.
pub(crate) fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// The seeded tensor: splitmix64 over an FNV-1a key of the name, scaled by the rule for the name's last part.
fn seeded(name: &str, shape: &[usize], seed: u64, gain: f64) -> Tensor {
    let fan_in = || shape[1..].iter().product::<usize>() as f64;
    let last = name.rsplit('.').next().unwrap_or(name);
    let (centre, width) = match (last, shape.len()) {
        ("input", _) => (0.0, 4.0),
        ("running_var", _) => (1.0, 1.0),
        ("running_mean", _) => (0.0, 0.5),
        ("weight", 0 | 1) => (1.0, 1.0),
        ("weight", 2) => (0.0, 2.0 * (3.0 / fan_in()).sqrt()),
        ("weight", _) => (0.0, 2.0 * (3.0 * gain / fan_in()).sqrt()),
        _ => (0.0, 1.0),
    };
    let key =
        name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)) ^ seed;
    Tensor::from_fn(shape, |i| {
        let mut z = key.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let u = ((z ^ (z >> 31)) >> 40) as f64 / (1u64 << 24) as f64;
        (centre + (u - 0.5) * width) as f32
    })
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::ops::{Conv2d, Linear};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn the_seeded_rule_gives_the_documented_bits() {
        let weight = seeded("layer1.0.conv1.weight", &[64, 256, 1, 1], 1, 1.25);
        let bits: Vec<u32> = weight.data()[..4].iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [0x3df5_5619, 0xbd8f_18ec, 0xbcf0_923f, 0x3c01_eec1]);
    }

    fn graph() -> Graph {
        let mut g = GraphBuilder::new("net");
        let x = g.input(Shape::map(3, 1, 1)).unwrap();
        let x = g.conv2d("conv", x, Conv2d::new(2, 1).bias(false)).unwrap();
        let x = g.linear("fc", x, Linear::new(2)).unwrap();
        g.finish(&[("logits", x)]).unwrap()
    }

    #[test]
    fn the_check_lists_all_that_is_wrong() {
        let tensors = [
            ("conv.weight", Tensor::full([2, 4, 1, 1], 1.0)),
            ("fc.weight", Tensor::full([2, 2, 1, 1], f32::NAN)),
            ("fc.biass", Tensor::zeros([2])),
        ];
        let weights = Weights::from_tensors(tensors.map(|(n, t)| (n.to_string(), t)));
        assert_eq!(
            weights.check(&graph()).unwrap_err().to_string(),
            "weights: not those of net: 1 missing: fc.bias (file has fc.biass?); 1 unexpected: fc.biass; \
             1 of another shape: conv.weight (expected [2, 3, 1, 1], found [2, 4, 1, 1]); 1 with NaN or infinity: fc.weight"
        );
    }

    #[test]
    fn another_number_of_classes_is_said_so() {
        let tensors = [
            ("conv.weight", Tensor::full([2, 3, 1, 1], 1.0)),
            ("fc.weight", Tensor::full([5, 2], 1.0)),
            ("fc.bias", Tensor::zeros([5])),
        ];
        let weights = Weights::from_tensors(tensors.map(|(n, t)| (n.to_string(), t)));
        assert_eq!(
            weights.check(&graph()).unwrap_err().to_string(),
            "weights: not those of net: all fits but fc, which has 5 classes and not 2; build the network so \
             (`--classes 5`, `zoo::Options::classes`)"
        );
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_when_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let (one, bad) = (Tensor::full([2, 3, 1, 1], 1.0), Tensor::full([2, 2], f32::INFINITY));
        let bias = Tensor::zeros([2]);
        let all = [("conv.weight", &one), ("fc.weight", &bad), ("fc.bias", &bias)];
        crate::import::safetensors::write(&path, all).unwrap();
        let weights = Weights::open(&path).unwrap();
        weights.check(&graph()).unwrap();
        let error = weights.get("fc.weight", &[2, 2]).unwrap_err().to_string();
        assert_eq!(error, format!("weights {}: tensor \"fc.weight\" has NaN or infinity", path.display()));
        let error = graph().reference(&Tensor::zeros([1, 3, 1, 1]), &weights).unwrap_err().to_string();
        assert!(error.contains("\"fc.weight\" has NaN or infinity"), "{error}");
    }

    #[test]
    fn four_dimensional_fc_weights_are_the_same_numbers() {
        let tensors = [
            ("conv.weight", Tensor::full([2, 3], 1.0)),
            ("fc.weight", Tensor::full([2, 2, 1, 1], 1.0)),
            ("fc.bias", Tensor::zeros([2])),
        ];
        let weights = Weights::from_tensors(tensors.map(|(n, t)| (n.to_string(), t)));
        weights.check(&graph()).unwrap();
        assert_eq!(weights.get("conv.weight", &[2, 3, 1, 1]).unwrap().shape(), [2, 3, 1, 1]);
    }
}
