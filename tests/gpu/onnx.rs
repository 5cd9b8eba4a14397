//! ONNX files on every adapter: exported networks against PyTorch, files of the field against ONNX Runtime, and the ONNX
//! project's tests of single nodes. That all
//! exports of a network are the same graph in other words, tests/host/onnx.rs proves; here one of each is fused, one is
//! not.

use crate::common::compare::{Tolerance, compare};
use crate::common::field::{self, Field};
use crate::common::golden::{self, Missing};
use crate::common::onnx::{Fixture, NodeTest, UNSUPPORTED, fixture_files, node_tests, own_node_tests};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop};
use excite::Tensor;
use excite::gpu::{Executor, ExecutorOptions};
use excite::import::onnx::OnnxModel;
use excite::plan::{Fusion, PlanOptions};
use std::collections::BTreeMap;
use std::path::Path;

pub fn cases() -> Vec<Case> {
    let golden = match golden::folder() {
        Ok(folder) => fixture_files(&folder).map(|files| (folder, files)).map_err(|e| Stop::Failed(e.to_string())),
        Err(Missing { why, allowed: true }) => Err(Stop::Skipped(why)),
        Err(Missing { why, allowed: false }) => Err(Stop::Failed(why)),
    };
    let cases: Vec<Case> = match golden {
        Ok((folder, files)) => {
            networks(&folder, files).into_iter().chain(nodes(&folder.join("onnx_node/node"))).collect()
        }
        Err(stop) => {
            let found = Case::new("onnx/found", move |_| Err(stop.clone()));
            std::iter::once(found).chain(nodes(&own_node_tests())).collect()
        }
    };
    fields().into_iter().chain(cases).collect()
}

/// All files of `tests/data/field` that have values beside them.
fn fields() -> Vec<Case> {
    let names = field::names().unwrap_or_default();
    assert!(!names.is_empty(), "no values in {}", field::folder().display());
    let of_file = |name: String| {
        Case::new(format!("onnx_field/{name}"), move |machine| {
            let file = Field::read(&name)?;
            let model = file.model()?;
            for fusion in Fusion::ALL {
                let outputs = run(machine, &model, &file.input, fusion)?;
                file.check(&outputs).map_err(|e| format!("fusion {fusion}: {e}"))?;
            }
            Ok(())
        })
    };
    names.into_iter().map(of_file).collect()
}

fn networks(folder: &Path, files: Vec<String>) -> Vec<Case> {
    // The first and the last export of each network.
    let mut networks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let network = file.split('.').next().unwrap_or_default().to_string();
        networks.entry(network).or_default().push(file);
    }
    let of_network = |(network, files): (String, Vec<String>)| {
        let folder = folder.to_path_buf();
        Case::new(format!("onnx/{network}"), move |machine| {
            let exports = [(Fusion::Full, files.first()), (Fusion::None, files.last())];
            exports.iter().try_for_each(|(fusion, file)| exported(machine, &folder, file, *fusion))
        })
    };
    networks.into_iter().map(of_network).collect()
}

/// Node tests, a case for each first word of their names.
fn nodes(folder: &Path) -> Vec<Case> {
    let mut ops: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let names = node_tests(folder).unwrap_or_default();
    for name in names.into_iter().filter(|name| UNSUPPORTED.iter().all(|(listed, _)| listed != name)) {
        let op = name.split('_').nth(1).unwrap_or_default().to_string();
        ops.entry(op).or_default().push(name);
    }
    let of_op = |(op, names): (String, Vec<String>)| {
        let folder = folder.to_path_buf();
        Case::new(format!("onnx_node/{op}"), move |machine| {
            names.iter().try_for_each(|name| node(machine, &folder, name).map_err(|e| format!("{name}: {e}").into()))
        })
    };
    ops.into_iter().map(of_op).collect()
}

fn exported(machine: &Machine, folder: &Path, file: &Option<&String>, fusion: Fusion) -> Outcome {
    let fixture = Fixture::read(folder, file.ok_or("a network has files")?)?;
    let model = fixture.model()?;
    let outputs = run(machine, &model, &fixture.input, fusion)?;
    let got = &outputs[&model.graph.outputs()[0].0];
    Ok(compare(&fixture.output, got, Tolerance::F32).map_err(|e| format!("{}: fusion {fusion}: {e}", fixture.file))?)
}

/// ONNX's node tests have NaN and infinity among their inputs.
fn node(machine: &Machine, folder: &Path, name: &str) -> golden::Outcome {
    let options = ExecutorOptions::default().allow_non_finite(true);
    NodeTest::read(folder, name)?.check(|model, x| Ok(run_with(machine, model, x, options.clone())?))
}

fn run(
    machine: &Machine,
    model: &OnnxModel,
    input: &Tensor,
    fusion: Fusion,
) -> excite::Result<BTreeMap<String, Tensor>> {
    let options = ExecutorOptions::default().plan(PlanOptions::default().fusion(fusion));
    run_with(machine, model, input, options)
}

fn run_with(
    machine: &Machine,
    model: &OnnxModel,
    input: &Tensor,
    options: ExecutorOptions,
) -> excite::Result<BTreeMap<String, Tensor>> {
    Executor::new(machine.gpu(false), &model.graph, &model.weights, options)?.run_all(input)
}
