//! The numbers of a network: from a safetensors file, from a seed, or from memory.

use crate::error::{Error, Result, near_names};
use crate::graph::{Graph, same_but_for_ones};
use crate::import::safetensors::Checkpoint;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// Tensors by name, as a PyTorch `state_dict` has them.
#[derive(Clone, Debug)]
pub struct Weights(Source);

#[derive(Clone, Debug)]
enum Source {
    Seeded { seed: u64, gain: f64 },
    Tensors(BTreeMap<String, Tensor>),
    Checkpoint(Checkpoint),
}

impl Weights {
    /// Reproducible weights for any graph: each number follows from the tensor's name, its shape, `seed` and `gain`
    /// (1 suits most networks). For proofs and timing; such a network knows nothing.
    pub fn seeded(seed: u64, gain: f64) -> Self {
        Self(Source::Seeded { seed, gain })
    }

    /// Tensors in memory.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Self(Source::Tensors(tensors.into_iter().collect()))
    }

    /// A safetensors file. F32, F16 and BF16 are read; `num_batches_tracked` is ignored.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or holds tensors of another type.
    pub fn from_safetensors(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self(Source::Checkpoint(Checkpoint::open(path.as_ref())?)))
    }

    /// Bytes in safetensors format: for weights compiled into a program. `origin` names them in messages.
    ///
    /// # Errors
    /// The bytes are damaged or hold tensors of another type.
    pub fn from_safetensors_bytes(bytes: Vec<u8>, origin: &str) -> Result<Self> {
        Ok(Self(Source::Checkpoint(Checkpoint::parse(bytes, Path::new(origin))?)))
    }

    /// The tensor of this name, as `shape`; trailing dimensions of 1 don't matter.
    ///
    /// # Errors
    /// There is none, or its shape is another.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match &self.0 {
            Source::Seeded { seed, gain } => Ok(seeded(name, shape, *seed, *gain)),
            Source::Tensors(tensors) => {
                let tensor = tensors.get(name).ok_or_else(|| self.fail(format!("no tensor \"{name}\"")))?;
                self.check_shape(name, tensor.shape(), shape)?;
                tensor.clone().reshape(shape)
            }
            Source::Checkpoint(checkpoint) => {
                let found = checkpoint.shape(name).ok_or_else(|| self.fail(format!("no tensor \"{name}\"")))?;
                self.check_shape(name, found, shape)?;
                checkpoint.tensor(name).reshape(shape)
            }
        }
    }

    /// Checks that these are exactly the graph's weights.
    ///
    /// # Errors
    /// Lists every tensor that is missing, unexpected, of another shape, or not finite.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        let Some(found) = self.shapes() else { return Ok(()) };
        let wanted: BTreeMap<String, Vec<usize>> = graph.tensors().into_iter().collect();
        let mut complaints = Vec::new();
        let mut say = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                complaints.push(format!("{} {what}: {}", names.len(), shortened(&names)));
            }
        };
        let unexpected: Vec<&str> =
            found.keys().filter(|name| !wanted.contains_key(*name)).map(String::as_str).collect();
        let missing = wanted.keys().filter(|name| !found.contains_key(*name));
        say(
            "missing",
            missing
                .map(|name| match near_names(name, unexpected.iter().copied()).first() {
                    Some(near) => format!("{name} (file has {near}?)"),
                    None => name.clone(),
                })
                .collect(),
        );
        say("unexpected", unexpected.iter().map(ToString::to_string).collect());
        let both = || wanted.iter().filter_map(|(name, shape)| Some((name, shape, found.get(name)?)));
        let differ = both().filter(|(_, wanted, found)| !same_but_for_ones(wanted, found));
        say("of another shape", differ.map(|(n, w, f)| format!("{n} (expected {w:?}, found {f:?})")).collect());
        let fitting = both().filter(|(_, wanted, found)| same_but_for_ones(wanted, found));
        say("with NaN or infinity", fitting.map(|(n, ..)| n.clone()).filter(|n| !self.is_finite(n)).collect());
        if complaints.is_empty() {
            return Ok(());
        }
        Err(self.fail(format!("not those of {}: {}", graph.name(), complaints.join("; "))))
    }

    fn is_finite(&self, name: &str) -> bool {
        match &self.0 {
            Source::Seeded { .. } => true,
            Source::Tensors(tensors) => tensors[name].data().iter().all(|x| x.is_finite()),
            Source::Checkpoint(checkpoint) => checkpoint.tensor(name).data().iter().all(|x| x.is_finite()),
        }
    }

    /// Names and shapes, where they are a closed list.
    fn shapes(&self) -> Option<BTreeMap<String, Vec<usize>>> {
        match &self.0 {
            Source::Seeded { .. } => None,
            Source::Tensors(tensors) => Some(tensors.iter().map(|(n, t)| (n.clone(), t.shape().to_vec())).collect()),
            Source::Checkpoint(checkpoint) => Some(checkpoint.shapes()),
        }
    }

    fn check_shape(&self, name: &str, found: &[usize], wanted: &[usize]) -> Result<()> {
        if same_but_for_ones(found, wanted) {
            return Ok(());
        }
        Err(self.fail(format!("tensor \"{name}\" must be {wanted:?}, is {found:?}")))
    }

    fn fail(&self, message: String) -> Error {
        let origin = match &self.0 {
            Source::Checkpoint(checkpoint) => Some(checkpoint.origin().display().to_string()),
            _ => None,
        };
        Error::Weights { origin, message }
    }
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
