//! ONNX files of `tests/data/field`, with what ONNX Runtime computes.

use super::compare::{Tolerance, compare};
use super::golden::Outcome;
use excite::Tensor;
use excite::import::onnx::{Onnx, OnnxModel, OnnxOptions};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A file, its input and its outputs.
pub struct Field {
    pub name: String,
    pub path: PathBuf,
    pub options: OnnxOptions,
    pub input: Tensor,
    outputs: BTreeMap<String, Tensor>,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/field")
}

/// Names of all files that have values beside them.
pub fn names() -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder())? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        names.extend(file.strip_suffix(".values.safetensors").map(String::from));
    }
    names.sort();
    Ok(names)
}

impl Field {
    pub fn read(name: &str) -> Outcome<Self> {
        let path = folder().join(format!("{name}.onnx"));
        let bytes = fs::read(folder().join(format!("{name}.values.safetensors")))?;
        let (mut inputs, mut outputs) = (BTreeMap::new(), BTreeMap::new());
        for (key, view) in SafeTensors::deserialize(&bytes)?.tensors() {
            let data: Vec<f32> = match view.dtype() {
                Dtype::U8 => view.data().iter().map(|&byte| f32::from(byte)).collect(),
                Dtype::F32 => view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                other => return Err(format!("{key} is of {other:?}").into()),
            };
            let tensor = Tensor::new(view.shape(), data)?;
            match key.split_once('.') {
                Some(("in", name)) => inputs.insert(name.to_string(), tensor),
                Some(("out", name)) => outputs.insert(name.to_string(), tensor),
                _ => return Err(format!("{key} is no input and no output").into()),
            };
        }
        let given = Onnx::open(&path, &OnnxOptions::default())?.input(&OnnxOptions::default())?;
        let input = inputs.remove(&given.name).ok_or("the input has values")?;
        // Height and width, where the file leaves them open.
        let size = match (&*given.dims, input.shape()) {
            ([_, _, None, None], &[_, _, height, width]) => Some([height, width]),
            _ => None,
        };
        let options = OnnxOptions::default().size(size);
        Ok(Self { name: name.into(), path, options, input, outputs })
    }

    pub fn model(&self) -> Outcome<OnnxModel> {
        Ok(OnnxModel::from_onnx_with(&self.path, &self.options)?)
    }

    /// Compares what a run of [`Field::input`] gave.
    pub fn check(&self, got: &BTreeMap<String, Tensor>) -> Outcome {
        if !got.keys().eq(self.outputs.keys()) || got.is_empty() {
            return Err(format!("outputs {:?}, expected {:?}", got.keys(), self.outputs.keys()).into());
        }
        for (name, expected) in &self.outputs {
            let got = got[name].clone().reshape(expected.shape())?;
            compare(expected, &got, Tolerance::F32).map_err(|message| format!("output \"{name}\": {message}"))?;
        }
        Ok(())
    }
}
