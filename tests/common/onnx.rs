//! ONNX files of the golden suite: small exported networks, and the node tests of the ONNX project.

use super::compare::{Tolerance, compare_each};
use super::golden::{Outcome, sizes};
use excite::Tensor;
use excite::graph::SeVerdict;
use excite::import::onnx::{Onnx, OnnxModel, OnnxOptions};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An exported network.
pub struct Fixture {
    pub file: String,
    pub path: PathBuf,
    /// SE blocks in it, those of one layer, and matches that would do no harm.
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
            options: OnnxOptions::default().size(open.then(|| [shape[2], shape[3]])),
            input: tensor("input")?,
            output: tensor("output")?,
        })
    }

    pub fn model(&self) -> Outcome<OnnxModel> {
        Ok(OnnxModel::from_onnx_with(&self.path, &self.options)?)
    }

    /// Whether the SE blocks in the model are those that the index counts.
    pub fn check_blocks(&self, model: &OnnxModel) -> Outcome {
        let found = |wanted: fn(&SeVerdict) -> bool| model.se.iter().filter(|c| wanted(&c.verdict)).count();
        let se_blocks = found(|verdict| matches!(verdict, SeVerdict::Found { .. }));
        let one_layer = found(|verdict| matches!(verdict, SeVerdict::OneLayer));
        let graph = model.graph.se_blocks().count();
        if (se_blocks == self.se || se_blocks == self.tolerable) && one_layer == self.one_layer && graph == se_blocks {
            return Ok(());
        }
        let verdicts: Vec<String> = model.se.iter().map(ToString::to_string).collect();
        let message = format!(
            "{se_blocks} SE blocks found, {} are there; {one_layer} of one layer, {} are there; verdicts:\n{}\n{}",
            self.se,
            self.one_layer,
            verdicts.join("\n"),
            model.graph
        );
        Err(message.into())
    }
}

/// Node tests that can't pass, and what the error must say.
pub const UNSUPPORTED: [(&str, &str); 17] = [
    ("test_constant", "has 0 inputs"),
    ("test_maxpool_with_argmax_2d_precomputed_pads", "gives the places of the largest"),
    ("test_maxpool_with_argmax_2d_precomputed_strides", "gives the places of the largest"),
    // Of integers, and so are their results.
    ("test_pow_types_int32_float32", "is of INT32"),
    ("test_pow_types_int64_float32", "is of INT64"),
    ("test_shape_clip_end", "no output depends on the input"),
    ("test_shape_end_1", "no output depends on the input"),
    ("test_shape_end_negative_1", "no output depends on the input"),
    ("test_shape_example", "no output depends on the input"),
    ("test_shape_start_1_end_2", "no output depends on the input"),
    ("test_shape_start_1_end_negative_1", "no output depends on the input"),
    ("test_shape_start_greater_than_end", "has a dimension of 0"),
    ("test_shape_start_negative_1", "no output depends on the input"),
    // Tensors without elements.
    ("test_reduce_max_empty_set", "has a dimension of 0"),
    ("test_reduce_sum_empty_set_non_reduced_axis_zero", "has a dimension of 0"),
    ("test_reduce_sum_square_empty_set_expanded", "has a dimension of 0"),
    ("test_slice_start_out_of_bounds", "leaves nothing"),
];

/// A node test: a model of one or a few nodes, its inputs and its outputs.
pub struct NodeTest {
    pub name: String,
    onnx: Onnx,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// The node tests that the project keeps.
pub fn own_node_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx_node")
}

/// Names of the node tests in a folder.
pub fn node_tests(folder: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| name.starts_with("test_"));
    names.sort();
    Ok(names)
}

impl NodeTest {
    pub fn read(folder: &Path, name: &str) -> Outcome<Self> {
        let folder = folder.join(name);
        let tensors = |kind: &str| -> Outcome<Vec<Tensor>> {
            let path = |i: usize| folder.join("test_data_set_0").join(format!("{kind}_{i}.pb"));
            let paths = (0..).map(path).take_while(|path| path.is_file());
            paths.map(|path| Ok(Tensor::from_onnx_bytes(fs::read(&path)?, &path.to_string_lossy())?)).collect()
        };
        let onnx = Onnx::from_bytes(fs::read(folder.join("model.onnx"))?, name)?;
        Ok(Self { name: name.into(), onnx, inputs: tensors("input")?, outputs: tensors("output")? })
    }

    /// Which inputs are given at run time, one after the other: all of those ops that don't care, else the first.
    fn runs(&self) -> usize {
        let ops = self.onnx.ops();
        let either = matches!(ops[0].0.as_str(), "Add" | "Sub" | "Mul" | "Div" | "MatMul" | "Concat");
        if either && ops.len() == 1 { self.inputs.len() } else { 1 }
    }

    /// Computes the outputs with `run` and compares them. The inputs that are not given at run time are constants.
    pub fn check(&self, run: impl Fn(&OnnxModel, &Tensor) -> Outcome<BTreeMap<String, Tensor>>) -> Outcome {
        for given in 0..self.runs() {
            let others = self.onnx.inputs().into_iter().zip(&self.inputs).enumerate().filter(|(i, _)| *i != given);
            let constants: BTreeMap<String, Tensor> = others.map(|(_, ((name, _), x))| (name, x.clone())).collect();
            let model = self.onnx.model(&OnnxOptions::default().constants(constants))?;
            let x = self.inputs.get(given).ok_or("no input is recorded")?;
            let image = model.graph.input_shape().len();
            let batch = x.data().len() / image;
            if model.fixed_batch.is_some() && batch != 1 {
                return Err(format!("a fixed batch of {image} elements for {:?}", x.shape()).into());
            }
            let outputs = run(&model, &x.clone().reshape(model.graph.input_shape().with_batch(batch))?)?;
            for ((name, _), expected) in model.graph.outputs().iter().zip(&self.outputs) {
                self.check_output(expected, &outputs[name].clone().reshape(expected.shape())?)?;
            }
        }
        Ok(())
    }

    fn check_output(&self, expected: &Tensor, got: &Tensor) -> Outcome {
        // Its data has four digits.
        let rounded = self.name == "test_averagepool_2d_ceil_last_window_starts_on_pad";
        let allowed = if rounded { 1e-4 } else { Tolerance::Op.allowed(expected.max_abs()) };
        // Casts keep what is no number.
        let numbers =
            |x: &Tensor| Tensor::from_fn(x.shape(), |i| if x.data()[i].is_nan() { 1e30 } else { x.data()[i] });
        let (expected, got) = (numbers(expected), numbers(got));
        Ok(compare_each(&expected, &got, |_| allowed)?)
    }
}
