//! ONNX files of the golden suite: small exported networks, and the node tests of the ONNX project.

use super::golden::{Outcome, sizes};
use excite::{Model, Onnx, OnnxOptions, SeVerdict, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An exported network.
pub struct Fixture {
    pub file: String,
    pub path: PathBuf,
    /// SE stages in it, those of one layer, and matches that would do no harm.
    pub se: usize,
    pub one_layer: usize,
    pub tolerable: usize,
    pub options: OnnxOptions,
    pub input: Tensor,
    /// PyTorch's answer.
    pub output: Tensor,
}

fn read(path: &Path) -> Outcome<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

fn count(value: &Value) -> usize {
    value.as_u64().map_or(0, |count| count as usize)
}

/// Names of all fixtures' files.
pub fn fixture_files(folder: &Path) -> Outcome<Vec<String>> {
    let index = read(&folder.join("onnx/index.json"))?;
    let fixtures = index["fixtures"].as_array().ok_or("index.json lists fixtures")?;
    let models = fixtures.iter().filter_map(|fixture| fixture["models"].as_array()).flatten();
    models.map(|model| Ok(model["file"].as_str().ok_or("a model has a file")?.to_string())).collect()
}

impl Fixture {
    pub fn read(folder: &Path, file: &str) -> Outcome<Self> {
        let folder = folder.join("onnx");
        let index = read(&folder.join("index.json"))?;
        let fixtures = index["fixtures"].as_array().ok_or("index.json lists fixtures")?;
        let has = |fixture: &&Value| {
            fixture["models"].as_array().is_some_and(|models| models.iter().any(|model| model["file"] == file))
        };
        let fixture = fixtures.iter().find(has).ok_or_else(|| format!("no fixture has {file}"))?;
        let shape = sizes(&fixture["input"]);
        let data = fs::read(folder.join(fixture["data"].as_str().ok_or("a fixture has data")?))?;
        let data = safetensors::SafeTensors::deserialize(&data)?;
        let tensor = |name: &str| -> Outcome<Tensor> {
            let view = data.tensor(name)?;
            let numbers = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            Ok(Tensor::new(view.shape(), numbers)?)
        };
        let open = fixture["dynamic"].as_str().is_some_and(|dims| dims.contains('h'));
        Ok(Self {
            file: file.into(),
            path: folder.join(file),
            se: count(&fixture["se"]),
            one_layer: count(&fixture["effective_se"]),
            tolerable: count(&fixture["tolerable"]),
            options: OnnxOptions { size: open.then(|| [shape[2], shape[3]]), ..Default::default() },
            input: tensor("input")?,
            output: tensor("output")?,
        })
    }

    pub fn model(&self) -> Outcome<Model> {
        Ok(Model::from_onnx_with(&self.path, &self.options)?)
    }

    /// Whether the stages in the model are those that the index counts.
    pub fn check_stages(&self, model: &Model) -> Outcome {
        let found = |wanted: fn(&SeVerdict) -> bool| model.se.iter().filter(|c| wanted(&c.verdict)).count();
        let stages = found(|verdict| matches!(verdict, SeVerdict::Found { .. }));
        let one_layer = found(|verdict| matches!(verdict, SeVerdict::OneLayer));
        let graph = model.graph.se_stages().count();
        if (stages == self.se || stages == self.tolerable) && one_layer == self.one_layer && graph == stages {
            return Ok(());
        }
        let verdicts: Vec<String> = model.se.iter().map(ToString::to_string).collect();
        let message = format!(
            "{stages} stages found, {} are there; {one_layer} of one layer, {} are there; verdicts:\n{}\n{}",
            self.se,
            self.one_layer,
            verdicts.join("\n"),
            model.graph
        );
        Err(message.into())
    }
}

/// A node test: a model of one or a few nodes, its inputs and its outputs.
pub struct NodeTest {
    pub name: String,
    pub model: Vec<u8>,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
}

impl NodeTest {
    pub fn read(folder: &Path, name: &str) -> Outcome<Self> {
        let folder = folder.join(name);
        let tensors = |kind: &str| -> Outcome<Vec<Tensor>> {
            let path = |i: usize| folder.join("test_data_set_0").join(format!("{kind}_{i}.pb"));
            let paths = (0..).map(path).take_while(|path| path.is_file());
            paths.map(|path| Ok(Tensor::from_onnx_bytes(fs::read(&path)?, &path.to_string_lossy())?)).collect()
        };
        let model = fs::read(folder.join("model.onnx"))?;
        Ok(Self { name: name.into(), model, inputs: tensors("input")?, outputs: tensors("output")? })
    }

    /// The model with all inputs but number `run` as constants.
    pub fn model(&self, run: usize) -> excite::Result<Model> {
        let onnx = Onnx::from_bytes(self.model.clone(), &self.name)?;
        let others = onnx.inputs().into_iter().zip(&self.inputs).enumerate().filter(|(i, _)| *i != run);
        let constants: BTreeMap<String, Tensor> = others.map(|(_, ((name, _), x))| (name, x.clone())).collect();
        onnx.model(&OnnxOptions { constants, ..Default::default() })
    }
}
