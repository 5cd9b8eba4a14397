//! No GPU: ONNX files as graphs, on the CPU reference. What runs on devices, tests/gpu/onnx.rs proves.

mod common;

use common::compare::{Tolerance, compare};
use common::golden::{self, Missing, Outcome};
use common::onnx::{Fixture, NodeTest, fixture_files};
use std::path::PathBuf;

fn folder() -> Option<PathBuf> {
    match golden::folder() {
        Ok(folder) => Some(folder),
        Err(Missing { why, allowed }) => {
            assert!(allowed, "{why}");
            println!("skipped: {why}");
            None
        }
    }
}

#[test]
fn exported_networks_are_what_pytorch_computes() {
    let Some(folder) = folder() else { return };
    let files = fixture_files(&folder).unwrap();
    let check = |file: &str| -> Outcome {
        let fixture = Fixture::read(&folder, file)?;
        let model = fixture.model()?;
        fixture.check_stages(&model)?;
        let outputs = model.graph.reference(&fixture.input, &model.weights)?;
        let name = &model.graph.outputs()[0].0;
        Ok(compare(&fixture.output, &outputs[name], Tolerance::F32)?)
    };
    let failures: Vec<String> =
        files.iter().filter_map(|file| Some(format!("{file}: {}", check(file).err()?))).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), files.len(), failures.join("\n"));
}

#[test]
fn node_tests() {
    let Some(folder) = folder() else { return };
    let folder = folder.join("onnx_node/node");
    let mut failures = Vec::new();
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let check = |name: &str| -> Outcome {
        let test = NodeTest::read(&folder, name)?;
        let model = test.model(0)?;
        let shape = model.graph.input_shape();
        let batch = if model.fixed_batch.is_none() && test.inputs[0].shape().len() > 1 { test.inputs[0].shape()[0] } else { 1 };
        let input = test.inputs[0].clone().reshape(shape.with_batch(batch))?;
        let outputs = model.graph.reference(&input, &model.weights)?;
        for ((name, _), expected) in model.graph.outputs().iter().zip(&test.outputs) {
            let got = outputs[name].clone().reshape(expected.shape())?;
            compare(expected, &got, Tolerance::Op)?;
        }
        Ok(())
    };
    for name in &names {
        if let Err(e) = check(name) { failures.push(format!("{name}: {e}")) }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), names.len(), failures.join("\n"));
}
