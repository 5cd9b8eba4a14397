//! The weights of a network: from a file, from a seed, or from memory.

mod fit;
mod memory;
mod seeded;

use crate::error::{Error, Result};
use crate::graph::same_but_for_ones;
use crate::import::rename::Renamed;
use crate::tensor::{Tensor, TensorSource};
#[cfg(feature = "zoo")]
use crate::zoo;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// Tensors by name, as a PyTorch `state_dict` has them. Of a file, each tensor is read when it is needed.
#[derive(Clone, Debug)]
pub struct Weights(Arc<dyn Store>);

/// Names and shapes.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// Holds tensors: what each format of files implements.
pub(crate) trait Store: Debug + Send + Sync {
    /// Reads the tensor of this name, of its own shape; of `shape` where it has none of its own.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>>;

    /// Lists names and shapes, where they are a closed list that a graph can be compared with.
    fn shapes(&self) -> Option<Shapes> {
        None
    }

    /// Gives some of the tensors other names, and other shapes of as many elements. `None`: names stay as they are.
    fn renamed(&self, _: &[Renamed]) -> Option<Arc<dyn Store>> {
        None
    }

    /// Names the file, for messages.
    fn origin(&self) -> Option<&Path> {
        None
    }

    /// Lists tensors that are known to have NaN or infinity without reading a file.
    fn not_finite(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Weights {
    /// Makes reproducible weights for any graph: each value follows from the tensor's name, its shape, `seed` and `gain`
    /// (1 suits most networks). For proofs and timing; such a network knows nothing.
    pub fn seeded(seed: u64, gain: f64) -> Self {
        Self::of(seeded::Seeded { seed, gain })
    }

    /// Takes tensors in memory.
    pub fn from_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let tensors = tensors.into_iter().map(|(name, tensor)| (name, Arc::new(tensor)));
        Self::of(memory::Memory(tensors.collect()))
    }

    /// The weights that a format holds.
    pub(crate) fn of(store: impl Store + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// The same, of what others hold too.
    #[cfg(feature = "onnx")]
    pub(crate) fn shared(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// The tensor of this name, as `shape`; trailing dimensions of 1 don't matter.
    ///
    /// # Errors
    /// There is none, its shape is another, it has NaN or infinity, or its file has changed.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = self.0.tensor(name, shape)?.ok_or_else(|| self.fail(format!("no tensor \"{name}\"")))?;
        if !same_but_for_ones(tensor.shape(), shape) {
            return Err(self.fail(format!("tensor \"{name}\" must be {shape:?}, is {:?}", tensor.shape())));
        }
        if !is_finite(&tensor) {
            return Err(self.fail(format!("tensor \"{name}\" has NaN or infinity")));
        }
        tensor.reshape(shape)
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

    fn renamed(&self, names: &[Renamed]) -> Self {
        self.0.renamed(names).map_or_else(|| self.clone(), Self)
    }

    fn shapes(&self) -> Option<Shapes> {
        self.0.shapes()
    }

    fn fail(&self, message: String) -> Error {
        Error::weights(self.0.origin().map(|path| path.display().to_string()), message)
    }
}

impl TensorSource for Weights {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        Self::get(self, name, shape)
    }
}

fn is_finite(tensor: &Tensor) -> bool {
    tensor.data().iter().all(|x| x.is_finite())
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::seeded::seeded;
    use super::*;
    use crate::ops::{Conv2d, Linear};
    use crate::{Graph, GraphBuilder, Shape};

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
