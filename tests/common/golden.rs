//! The golden suite: networks as PyTorch has them, with weights made from a seed. Its `README.md` describes the files.

use super::compare::{Tolerance, compare, compare_each};
use excite::graph::NodeId;
use excite::{Graph, Tensor, Weights, zoo};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Why there is no golden suite here.
pub struct Missing {
    pub why: String,
    /// Whether a test may do without.
    pub allowed: bool,
}

/// A network of the suite.
pub struct Golden {
    pub file: String,
    pub manifest: Value,
    folder: PathBuf,
}

/// The folder of the golden files.
pub fn folder() -> Result<PathBuf, Missing> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    let folder = std::env::var_os("EXCITE_GOLDEN").map_or_else(beside, PathBuf::from);
    if folder.join("models.json").is_file() {
        return Ok(folder);
    }
    let why = format!("{} has no golden files; EXCITE_GOLDEN says where they are", folder.display());
    let asked = std::env::var("EXCITE_ALLOW_NO_GOLDEN").is_ok_and(|v| v == "1");
    Err(Missing { why, allowed: asked || std::env::var_os("CI").is_none() })
}

/// The folder of the few networks of the suite that lie in the repository, for those who lack the others.
fn few() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden")
}

/// The folder of all networks of the suite, or of the few where the others may be missing.
fn networks_folder() -> Result<PathBuf, Missing> {
    folder().or_else(|missing| if missing.allowed { Ok(few()) } else { Err(missing) })
}

/// Names the networks that are here.
pub fn networks() -> Result<Vec<String>, Missing> {
    let folder = networks_folder()?;
    let read = || -> Outcome<Vec<String>> {
        let list: Value = serde_json::from_str(&fs::read_to_string(folder.join("models.json"))?)?;
        let name = |entry: &Value| Ok(entry["name"].as_str().ok_or("an entry has a name")?.to_string());
        list["models"].as_array().ok_or("models.json lists models")?.iter().map(name).collect()
    };
    read().map_err(|e| Missing { why: format!("{}: {e}", folder.display()), allowed: false })
}

impl Golden {
    /// Reads a network that [`networks`] names.
    pub fn read(file: &str) -> Outcome<Self> {
        let folder = networks_folder().map_err(|missing| missing.why)?.join("models");
        let manifest = serde_json::from_str(&fs::read_to_string(folder.join(format!("{file}.json")))?)?;
        Ok(Self { file: file.into(), manifest, folder })
    }

    /// Name in the zoo: files of other sizes than the usual one have a name of their own.
    pub fn model(&self) -> &str {
        ["_224", "_97x65"].iter().find_map(|size| self.file.strip_suffix(size)).unwrap_or(&self.file)
    }

    /// Shape of the two images.
    pub fn input_shape(&self) -> Vec<usize> {
        sizes(&self.manifest["input"]["shape"])
    }

    pub fn macs(&self) -> u64 {
        self.manifest["cost"]["macs_input"].as_u64().unwrap_or(u64::MAX)
    }

    pub fn build(&self) -> Outcome<Graph> {
        let shape = self.input_shape();
        Ok(zoo::build(self.model(), &zoo::Options::default().size([shape[2], shape[3]]))?)
    }

    pub fn weights(&self) -> Outcome<Weights> {
        let seed = self.manifest["seed"].as_u64().ok_or("the manifest has a seed")?;
        Ok(Weights::seeded(seed, self.manifest["gain"].as_f64().ok_or("the manifest has a gain")?))
    }

    /// The two images.
    pub fn input(&self) -> Outcome<Tensor> {
        Ok(self.weights()?.get("input", &self.input_shape())?)
    }

    /// The logits and every gate, as outputs `logits` and `gate.<se_block>`. The paper's control has gates and no SE
    /// blocks.
    pub fn gates(&self, graph: &Graph) -> Outcome<Vec<(String, NodeId)>> {
        let se_blocks = self.manifest["se_stages"].as_array().ok_or("the manifest lists SE blocks")?;
        let gate = |se_block: &Value| {
            let path = se_block["path"].as_str().ok_or("an SE block has a path")?;
            Ok((format!("gate.{path}"), graph.find(path).ok_or_else(|| format!("no node is the gate {path}"))?))
        };
        graph.outputs().iter().cloned().map(Ok).chain(se_blocks.iter().map(gate)).collect()
    }

    /// The modules that the suite samples, as outputs named `act.<module>`: the last node of each.
    pub fn samples(&self, graph: &Graph) -> Outcome<Vec<(String, NodeId)>> {
        let modules = self.manifest["activations"].as_array().ok_or("the manifest lists activations")?;
        let sample = |module: &Value| {
            let name = module["module"].as_str().ok_or("a module has a name")?;
            let inside = format!("{name}.");
            let of_module = |&id: &NodeId| graph.node(id).name == name || graph.node(id).name.starts_with(&inside);
            let id = graph.ids().filter(of_module).last().ok_or_else(|| format!("no node is of module {name}"))?;
            // A vector is a map of one pixel.
            let (mut found, mut expected) =
                (graph.node(id).shape.with_batch(self.input_shape()[0]), sizes(&module["shape"]));
            found.resize(4, 1);
            expected.resize(4, 1);
            if found != expected {
                return Err(format!("{name} is {found:?}, PyTorch has {expected:?}").into());
            }
            Ok((format!("act.{name}"), id))
        };
        modules.iter().map(sample).collect()
    }

    /// The values as PyTorch has them.
    pub fn values(&self) -> Outcome<Values> {
        Ok(Values(fs::read(self.folder.join(format!("{}.safetensors", self.file)))?))
    }
}

/// A network's values in PyTorch.
pub struct Values(Vec<u8>);

impl Values {
    /// Compares the outputs `logits`, `gate.<se_block>` and `act.<module>` of the first image or of both.
    pub fn check<'a>(&self, outputs: impl IntoIterator<Item = (&'a String, &'a Tensor)>) -> Outcome {
        let file = SafeTensors::deserialize(&self.0)?;
        for (name, got) in outputs {
            check_value(&file, name, got).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    }
}

fn check_value(file: &SafeTensors, name: &str, got: &Tensor) -> Outcome {
    if let Some(module) = name.strip_prefix("act.") {
        let get = |part: &str| file.tensor(&format!("act.{module}.{part}"));
        let indices = words::<8>(&get("index")?).map(|b| u64::from_le_bytes(b) as usize);
        let values = floats(&get("value")?);
        // Those of images that were computed.
        let pairs: Vec<(usize, f32)> =
            indices.zip(values.data().iter().copied()).filter(|&(i, _)| i < got.data().len()).collect();
        let vector = |data: Vec<f32>| Tensor::new([data.len()], data);
        let found = vector(pairs.iter().map(|&(i, _)| got.data()[i]).collect())?;
        let expected = vector(pairs.iter().map(|&(_, value)| value).collect())?;
        // The scale is that of the whole value.
        let allowed = Tolerance::F32.allowed(floats(&get("stats")?).data()[2]);
        return Ok(compare_each(&expected, &found, |_| allowed)?);
    }
    let expected = floats(&file.tensor(name)?);
    let tolerance = if name == "logits" { Tolerance::F32 } else { Tolerance::Gate };
    // Some files have the gates of the first image only.
    let images = expected.batch().min(got.batch());
    let (channels, plane) = (expected.shape()[1], got.shape()[2..].iter().product::<usize>());
    let first = |data: Vec<f32>| Tensor::new([images, channels], data[..images * channels].to_vec());
    // The control has a gate for every position; the suite, their mean.
    let means = got.data().chunks_exact(plane).map(|p| p.iter().sum::<f32>() / plane as f32).collect();
    Ok(compare(&first(expected.data().to_vec())?, &first(means)?, tolerance)?)
}

pub fn sizes(value: &Value) -> Vec<usize> {
    let dims = value.as_array().map(Vec::as_slice).unwrap_or_default();
    dims.iter().map(|dim| dim.as_u64().unwrap_or(0) as usize).collect()
}

fn words<'a, const N: usize>(view: &TensorView<'a>) -> impl Iterator<Item = [u8; N]> + use<'a, N> {
    let words = view.data().chunks_exact(N);
    words.map(|word| word.try_into().expect("chunks have this size"))
}

fn floats(view: &TensorView) -> Tensor {
    let data = words::<4>(view).map(f32::from_le_bytes).collect();
    Tensor::new(view.shape(), data).expect("the file was checked")
}
