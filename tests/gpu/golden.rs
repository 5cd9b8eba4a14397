//! The networks of the zoo against PyTorch, with weights made from a seed: tensors, parameters, multiply-adds, logits,
//! every SE gate, and samples of the values in between. The files are described in `README.md` of their folder.

use crate::common::compare::{Tolerance, compare, compare_each, with_outputs};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop, ensure};
use excite::{Executor, ExecutorOptions, Fusion, Graph, NodeId, PlanOptions, Tensor, Weights, zoo};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub fn cases() -> Vec<Case> {
    let nets = [
        ("legacy_seresnet50", "legacy_seresnet50", &Fusion::ALL[..]),
        ("seresnet50", "seresnet50", &Fusion::ALL[..]),
        ("legacy_seresnet50_97x65", "legacy_seresnet50", &[Fusion::Full]),
    ];
    let case = |(file, model, fusions): (&'static str, &'static str, &'static [Fusion])| {
        Case::new(format!("golden/{file}"), move |m| net(m, file, model, fusions))
    };
    nets.map(case).into()
}

/// The folder of the golden files, or why this test can't run.
fn folder() -> Result<PathBuf, Stop> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    let folder = std::env::var_os("EXCITE_GOLDEN").map_or_else(beside, PathBuf::from);
    if folder.join("models").is_dir() {
        return Ok(folder);
    }
    let why = format!("{} has no golden files; EXCITE_GOLDEN says where they are", folder.display());
    let allowed = std::env::var("EXCITE_ALLOW_NO_GOLDEN").is_ok_and(|v| v == "1");
    if std::env::var_os("CI").is_none() || allowed { Err(Stop::Skipped(why)) } else { Err(Stop::Failed(why)) }
}

fn net(machine: &Machine, file: &str, model: &str, fusions: &[Fusion]) -> Outcome {
    let models = folder()?.join("models");
    let manifest: Value = serde_json::from_str(&fs::read_to_string(models.join(format!("{file}.json")))?)?;
    let bytes = fs::read(models.join(format!("{file}.safetensors")))?;
    let golden = SafeTensors::deserialize(&bytes)?;

    let input_shape = sizes(&manifest["input"]["shape"]);
    let graph = build(model, &input_shape)?;
    let weights = Weights::seeded(
        manifest["seed"].as_u64().ok_or("the manifest has a seed")?,
        manifest["gain"].as_f64().ok_or("the manifest has a gain")?,
    );
    static_facts(&manifest, model, &graph, &weights)?;

    // Samples are of modules; the module's value is that of its last node.
    let modules = manifest["activations"].as_array().ok_or("the manifest lists activations")?;
    let samples: Vec<(String, NodeId)> = modules
        .iter()
        .map(|module| {
            let name = module["module"].as_str().ok_or("a module has a name")?;
            let id = last_node(&graph, name).ok_or_else(|| format!("no node is of module {name}"))?;
            let (shape, expected) = (graph.node(id).shape.with_batch(input_shape[0]), sizes(&module["shape"]));
            let message = || format!("{name} is {} of shape {shape:?}, must be {expected:?}", graph.node(id).name);
            if shape == expected { Ok((format!("act.{name}"), id)) } else { Err(message()) }
        })
        .collect::<Result<_, String>>()?;
    let gated = graph.clone().with_gate_outputs();
    let outputs: Vec<(String, NodeId)> = gated.outputs().iter().cloned().chain(samples).collect();
    let graph = with_outputs(&graph, &outputs);

    let input = Weights::seeded(manifest["seed"].as_u64().unwrap_or(0), 1.0).get("input", &input_shape)?;
    for &fusion in fusions {
        // Guards see to the kernels elsewhere; here values share buffers, but for one run.
        let guard = fusion == Fusion::Full && input_shape[2] != input_shape[3];
        let options = ExecutorOptions { plan: PlanOptions { fusion, ..Default::default() }, guard };
        let outputs = Executor::new(machine.gpu(!guard), &graph, &weights, options)?.run_all(&input)?;
        for (name, got) in &outputs {
            same_value(&golden, name, got).map_err(|e| format!("{file}, fusion {fusion}: {name}: {e}"))?;
        }
        let gates = outputs.keys().filter(|name| name.starts_with("gate.")).count();
        let stages = manifest["se_stages"].as_array().map_or(0, Vec::len);
        ensure(gates == stages, format!("{gates} gates, the manifest has {stages}"))?;
    }
    Ok(())
}

/// What needs no device.
fn static_facts(manifest: &Value, model: &str, graph: &Graph, weights: &Weights) -> Outcome {
    let listed = manifest["tensors"].as_array().ok_or("the manifest lists tensors")?;
    let listed = listed.iter().map(|entry| (entry[0].as_str().unwrap_or("").to_string(), sizes(&entry[1])));
    let expected: BTreeSet<(String, Vec<usize>)> = listed.collect();
    let found: BTreeSet<(String, Vec<usize>)> = graph.tensors().into_iter().collect();
    let missing: Vec<_> = expected.difference(&found).take(5).collect();
    let unexpected: Vec<_> = found.difference(&expected).take(5).collect();
    ensure(expected == found, format!("missing {missing:?}, unexpected {unexpected:?}"))?;

    let same = |what: &str, found: u64, expected: &Value| {
        ensure(expected.as_u64() == Some(found), format!("{what}: {found}, PyTorch says {expected}"))
    };
    same("parameters", graph.parameter_count(), &manifest["params"])?;
    same("multiply-adds", graph.macs(), &manifest["cost"]["macs_input"])?;
    let at_224 = zoo::build(model, &zoo::Options { size: Some([224, 224]), classes: None })?;
    same("multiply-adds at 224", at_224.macs(), &manifest["cost"]["macs_224"])?;

    let mut checksum = 0u64;
    for (name, shape) in &expected {
        let tensor = weights.get(name, shape)?;
        checksum = tensor.data().iter().fold(checksum, |sum, x| sum.wrapping_add(x.to_bits().into()));
    }
    let checksum = format!("{checksum:016x}");
    let expected = manifest["weights_checksum"].as_str().unwrap_or("");
    ensure(checksum == expected, format!("checksum of the weights {checksum}, must be {expected}"))
}

fn build(model: &str, input: &[usize]) -> Result<Graph, String> {
    let size = Some([input[2], input[3]]);
    zoo::build(model, &zoo::Options { size, classes: None }).map_err(|e| e.to_string())
}

fn last_node(graph: &Graph, module: &str) -> Option<NodeId> {
    let inside = format!("{module}.");
    graph.ids().filter(|&id| graph.node(id).name == module || graph.node(id).name.starts_with(&inside)).last()
}

/// One output against its tensors in the file.
fn same_value(golden: &SafeTensors, name: &str, got: &Tensor) -> Result<(), String> {
    if let Some(module) = name.strip_prefix("act.") {
        let get = |part: &str| golden.tensor(&format!("act.{module}.{part}")).map_err(|e| e.to_string());
        let indices: Vec<usize> = words::<8>(&get("index")?).map(|b| u64::from_le_bytes(b) as usize).collect();
        let expected = floats(&get("value")?);
        let samples = Tensor::new([indices.len()], indices.iter().map(|&i| got.data()[i]).collect());
        // The scale is that of the whole value.
        let stats = floats(&get("stats")?);
        let allowed = Tolerance::F32.allowed(stats.data()[2]);
        let samples = samples.map_err(|e| e.to_string())?;
        return compare_each(&expected, &samples, |_| allowed);
    }
    let expected = floats(&golden.tensor(name).map_err(|e| e.to_string())?);
    let tolerance = if name == "logits" { Tolerance::F32 } else { Tolerance::Gate };
    // Some files have the gates of the first image only.
    let images = expected.batch();
    let shape = [images, got.shape()[1]];
    let got = Tensor::new(shape, got.data()[..images * shape[1]].to_vec()).map_err(|e| e.to_string())?;
    compare(&expected, &got, tolerance)
}

fn sizes(value: &Value) -> Vec<usize> {
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
