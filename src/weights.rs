//! The numbers of a network: from a safetensors file, from a seed, or from memory.

use crate::error::{Error, Result, near_names};
use crate::graph::{Graph, same_but_for_ones};
use crate::import::onnx;
use crate::import::rename;
use crate::import::safetensors::Checkpoint;
use crate::tensor::Tensor;
use crate::zoo;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Tensors by name, as a PyTorch `state_dict` has them. Of a file, each tensor is read when it is needed.
#[derive(Clone, Debug)]
pub struct Weights(Source);

#[derive(Clone, Debug)]
enum Source {
    Seeded { seed: u64, gain: f64 },
    Tensors(BTreeMap<String, Arc<Tensor>>),
    Checkpoint(Checkpoint),
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

    /// These weights by the graph's names: as they are, or from the names of torchvision or pytorchcv where the network
    /// is the same there. Every tensor must have its place and every place its tensor. Numbers of a file are not read;
    /// [`Weights::get`] refuses those that are not finite.
    ///
    /// # Errors
    /// Lists every tensor that is missing, unexpected, of another shape or, in memory, not finite. Says so if only the
    /// number of classes differs, and which network of the zoo these are if they are another's.
    pub fn fit(&self, graph: &Graph) -> Result<Self> {
        let Some(found) = self.shapes() else { return Ok(self.clone()) };
        let wanted: Shapes = graph.tensors().into_iter().collect();
        if wanted.len() == found.len() && misfits(&wanted, &found).next().is_none() {
            return match self.not_finite() {
                names if names.is_empty() => Ok(self.clone()),
                names => Err(self.fail(format!("{} with NaN or infinity: {}", names.len(), shortened(&names)))),
            };
        }
        let reasons = match rename::find(graph.name(), &wanted, &found) {
            Some(Ok((origin, names))) => {
                log::info!("the weights have {origin}'s names");
                return Ok(self.renamed(&names));
            }
            Some(Err(reason)) => reason.to_string(),
            None => other_classes(&wanted, &found).unwrap_or_else(|| self.complaints(&wanted, &found)),
        };
        Err(self.fail(format!("not those of {}: {reasons}", graph.name())))
    }

    /// Names and shapes of all tensors, where they are of a safetensors file or in memory.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.shapes().unwrap_or_default().into_iter().collect()
    }

    /// The networks of the zoo whose tensors these are, or nearly; under their own names or those of another library.
    pub fn networks(&self) -> Vec<&'static str> {
        self.shapes().map(|found| zoo::identify(&found)).unwrap_or_default()
    }

    fn complaints(&self, wanted: &Shapes, found: &Shapes) -> String {
        let mut complaints = Vec::new();
        let mut say = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                complaints.push(format!("{} {what}: {}", names.len(), shortened(&names)));
            }
        };
        let unexpected: Vec<&str> =
            found.keys().filter(|name| !wanted.contains_key(*name)).map(String::as_str).collect();
        let missing: Vec<&String> = wanted.keys().filter(|name| !found.contains_key(*name)).collect();
        // Where nearly nothing fits, near names mislead.
        let candidates = if missing.len() > MAX_NEAR { &[] } else { unexpected.as_slice() };
        let (near, far): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .map(|name| (name, near_names(name, candidates.iter().copied()).first().copied()))
            .partition(|(_, near)| near.is_some());
        let describe = |(name, near): (&String, Option<&str>)| match near {
            Some(near) => format!("{name} (file has {near}?)"),
            None => name.clone(),
        };
        say("missing", near.into_iter().chain(far).map(describe).collect());
        say("unexpected", unexpected.iter().map(ToString::to_string).collect());
        let differ = misfits(wanted, found).filter_map(|(name, wanted)| Some((name, wanted, found.get(name)?)));
        say("of another shape", differ.map(|(n, w, f)| format!("{n} (expected {w:?}, found {f:?})")).collect());
        say("with NaN or infinity", self.not_finite().into_iter().filter(|name| wanted.contains_key(name)).collect());
        let others = zoo::identify(found);
        if !others.is_empty() {
            complaints.push(format!("these look like those of {}", others.join(" or ")));
        }
        complaints.join("; ")
    }

    /// Names of tensors in memory that have NaN or infinity.
    fn not_finite(&self) -> Vec<String> {
        let Source::Tensors(tensors) = &self.0 else { return Vec::new() };
        tensors.iter().filter(|(_, tensor)| !is_finite(tensor)).map(|(name, _)| name.clone()).collect()
    }

    fn renamed(&self, names: &[rename::Renamed]) -> Self {
        match &self.0 {
            Source::Seeded { .. } | Source::Onnx(_) => self.clone(),
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
            // Names of an ONNX file are its graph's by construction.
            Source::Seeded { .. } | Source::Onnx(_) => None,
            Source::Tensors(tensors) => Some(tensors.iter().map(|(n, t)| (n.clone(), t.shape().to_vec())).collect()),
            Source::Checkpoint(checkpoint) => Some(checkpoint.shapes()),
        }
    }

    fn fail(&self, message: String) -> Error {
        let origin = match &self.0 {
            Source::Checkpoint(checkpoint) => Some(checkpoint.origin().display().to_string()),
            Source::Onnx(source) => Some(source.origin().display().to_string()),
            _ => None,
        };
        Error::Weights { origin, message }
    }
}

fn is_finite(tensor: &Tensor) -> bool {
    tensor.data().iter().all(|x| x.is_finite())
}

/// What is wanted and not found, or found in another shape.
fn misfits<'a>(wanted: &'a Shapes, found: &'a Shapes) -> impl Iterator<Item = (&'a String, &'a Vec<usize>)> {
    wanted.iter().filter(|(name, shape)| found.get(*name).is_none_or(|found| !same_but_for_ones(shape, found)))
}

/// What to do if only the classifier's rows are more or fewer.
fn other_classes(wanted: &Shapes, found: &Shapes) -> Option<String> {
    if wanted.len() != found.len() {
        return None;
    }
    let module = |name: &String| name.rsplit_once('.').map(|(module, _)| module.to_string());
    let mut layers = Vec::new();
    for (name, wanted) in misfits(wanted, found) {
        let found = found.get(name)?;
        let (&[classes, ref rest @ ..], &[theirs, ref other @ ..]) = (wanted.as_slice(), found.as_slice()) else {
            return None;
        };
        if !same_but_for_ones(rest, other) {
            return None;
        }
        layers.push((module(name)?, classes, theirs));
    }
    layers.dedup();
    let [(layer, classes, theirs)] = layers.as_slice() else { return None };
    Some(format!(
        "all fits but {layer}, which has {theirs} classes and not {classes}; build the network with {theirs} \
         (`--classes {theirs}`, `zoo::Options {{ classes }}`)"
    ))
}

/// The first names of a list, and how many more.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 8;
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

#[cfg(test)]
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
            "weights: not those of net: all fits but fc, which has 5 classes and not 2; build the network with 5 \
             (`--classes 5`, `zoo::Options { classes }`)"
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
