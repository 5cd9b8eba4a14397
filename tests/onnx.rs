//! No GPU: ONNX files as graphs, on the CPU reference. What runs on devices, tests/gpu/onnx.rs proves.

mod common;

use common::compare::{Tolerance, compare};
use common::golden::{self, Missing, Outcome};
use common::onnx::{Fixture, NodeTest, UNSUPPORTED, fixture_files, node_tests, own_node_tests};
use excite::{Model, Tensor};
use std::collections::BTreeMap;
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

fn reference(model: &Model, x: &Tensor) -> Outcome<BTreeMap<String, Tensor>> {
    Ok(model.graph.reference(x, &model.weights)?)
}

#[test]
fn node_tests_that_the_project_keeps() {
    let folder = own_node_tests();
    let names = node_tests(&folder).unwrap();
    assert!(names.len() > 20);
    for name in names {
        let result = NodeTest::read(&folder, &name).and_then(|test| test.check(reference));
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The ONNX project's own tests of single nodes. Of those with floats, at least 95 % must pass; all that don't are listed
/// with what the error says.
#[test]
fn node_tests_of_the_onnx_project() {
    let Some(folder) = folder() else { return };
    let folder = folder.join("onnx_node/node");
    let names = node_tests(&folder).unwrap();
    let check = |name: &String| -> Option<String> {
        let result = NodeTest::read(&folder, name).and_then(|test| test.check(reference));
        let expected = UNSUPPORTED.iter().find(|(listed, _)| listed == name).map(|(_, message)| *message);
        match (result, expected) {
            (Ok(()), None) => None,
            (Err(error), Some(message)) if error.to_string().contains(message) => None,
            (Ok(()), Some(_)) => Some(format!("{name} passes, and is listed as unsupported")),
            (Err(error), _) => Some(format!("{name}: {error}")),
        }
    };
    let failures: Vec<String> = names.iter().filter_map(check).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), names.len(), failures.join("\n"));
    let listed = UNSUPPORTED.iter().filter(|(name, _)| names.iter().any(|n| n == name)).count();
    assert_eq!(listed, UNSUPPORTED.len(), "a listed test is not there");
    // Ten of those listed are of integers; they count here, too.
    assert!((names.len() - listed) as f64 >= 0.93 * names.len() as f64);
    let floats =
        UNSUPPORTED.iter().filter(|(name, _)| !name.contains("_types_int") && !name.contains("_shape_")).count();
    assert!((floats as f64) <= 0.05 * (names.len() - 10) as f64, "{floats} of {} float tests", names.len() - 10);
}
