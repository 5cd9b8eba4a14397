//! No GPU: every network of the golden suite is built as PyTorch has it (tensors, parameters, multiply-adds, SE stages,
//! shapes in between), and the cheap ones give its numbers on the CPU reference. SE comes out as it went in.

#[path = "common/compare.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod compare;

use compare::{Tolerance, compare, compare_each, with_outputs};
use excite::{Act, Graph, Node, NodeId, Op, Tensor, Weights, zoo};
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Networks with at most this many multiply-adds also run on the CPU.
const CHEAP: u64 = 100_000_000;

/// A network of the golden suite.
struct Golden {
    file: String,
    manifest: Value,
    models: PathBuf,
}

impl Golden {
    /// Name in the zoo: files of other sizes than the usual one have a name of their own.
    fn model(&self) -> &str {
        ["_224", "_97x65"].iter().find_map(|size| self.file.strip_suffix(size)).unwrap_or(&self.file)
    }

    fn build(&self) -> Outcome<Graph> {
        let shape = sizes(&self.manifest["input"]["shape"]);
        Ok(zoo::build(self.model(), &zoo::Options { size: Some([shape[2], shape[3]]), classes: None })?)
    }

    fn macs(&self) -> u64 {
        self.manifest["cost"]["macs_input"].as_u64().unwrap_or(0)
    }
}

/// All of them; none where they are missing and may be.
fn golden() -> Outcome<Vec<Golden>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    let folder = std::env::var_os("EXCITE_GOLDEN").map_or_else(beside, PathBuf::from);
    let list = folder.join("models.json");
    if !list.is_file() {
        let why = format!("{} has no golden files; EXCITE_GOLDEN says where they are", folder.display());
        let allowed = std::env::var("EXCITE_ALLOW_NO_GOLDEN").is_ok_and(|v| v == "1");
        if std::env::var_os("CI").is_some() && !allowed {
            return Err(why.into());
        }
        println!("skipped: {why}");
        return Ok(Vec::new());
    }
    let list: Value = serde_json::from_str(&fs::read_to_string(list)?)?;
    let models = folder.join("models");
    let read = |entry: &Value| -> Outcome<Golden> {
        let file = entry["name"].as_str().ok_or("an entry has a name")?.to_string();
        let manifest = serde_json::from_str(&fs::read_to_string(models.join(format!("{file}.json")))?)?;
        Ok(Golden { file, manifest, models: models.clone() })
    };
    list["models"].as_array().ok_or("models.json lists models")?.iter().map(read).collect()
}

/// Runs a check on every network, and fails with all that fail.
fn each(networks: &[Golden], check: impl Fn(&Golden) -> Outcome) {
    let failures: Vec<String> =
        networks.iter().filter_map(|golden| Some(format!("{}: {}", golden.file, check(golden).err()?))).collect();
    assert!(failures.is_empty(), "{} of {} networks:\n{}", failures.len(), networks.len(), failures.join("\n"));
}

fn ensure_equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, PyTorch says {expected:?}").into()) }
}

fn sizes(value: &Value) -> Vec<usize> {
    let dims = value.as_array().map(Vec::as_slice).unwrap_or_default();
    dims.iter().map(|dim| dim.as_u64().unwrap_or(0) as usize).collect()
}

/// The paper's control has the layers of an SE stage and none of its nodes.
fn is_control(manifest: &Value) -> bool {
    manifest["insertion"].as_str().is_some_and(|text| text.contains("not an SE block"))
}

#[test]
fn networks_are_what_pytorch_builds() {
    each(&golden().unwrap(), |golden| {
        let (manifest, graph) = (&golden.manifest, golden.build()?);
        same_tensors(manifest, &graph)?;
        ensure_equal("parameters", Some(graph.parameter_count()), manifest["params"].as_u64())?;
        ensure_equal("multiply-adds", Some(graph.macs()), manifest["cost"]["macs_input"].as_u64())?;
        for (size, macs) in manifest["cost"].as_object().ok_or("the manifest has costs")? {
            let Some(side) = size.strip_prefix("macs_").and_then(|side| side.parse().ok()) else { continue };
            let Some(macs) = macs.as_u64() else { continue };
            let graph = zoo::build(golden.model(), &zoo::Options { size: Some([side; 2]), classes: None })?;
            ensure_equal(&format!("multiply-adds at {side}"), graph.macs(), macs)?;
        }
        let epsilons = graph.nodes().iter().filter_map(|node| match &node.op {
            // Constants are batch norms without tensors.
            Op::BatchNorm(norm) if norm.eps > 0.0 => Some(norm.eps),
            _ => None,
        });
        let mut counts = BTreeMap::new();
        for eps in epsilons {
            *counts.entry(format!("{eps:?}")).or_insert(0u64) += 1;
        }
        let expected = manifest["bn_eps"].as_object().ok_or("the manifest has eps")?.iter();
        let expected = expected.map(|(eps, n)| Ok((format!("{:?}", eps.parse::<f64>()?), n.as_u64().unwrap_or(0))));
        ensure_equal("eps of batch norms", counts, expected.collect::<Outcome<_>>()?)?;
        same_stages(manifest, &graph)?;
        modules(manifest, &graph).map(drop)
    });
}

fn same_tensors(manifest: &Value, graph: &Graph) -> Outcome {
    let listed = manifest["tensors"].as_array().ok_or("the manifest lists tensors")?;
    let expected: BTreeMap<String, Vec<usize>> =
        listed.iter().map(|entry| (entry[0].as_str().unwrap_or("").to_string(), sizes(&entry[1]))).collect();
    let found: BTreeMap<String, Vec<usize>> = graph.tensors().into_iter().collect();
    let only_in = |a: &BTreeMap<String, Vec<usize>>, b: &BTreeMap<String, Vec<usize>>| -> Vec<String> {
        let differs = |(name, shape): &(&String, &Vec<usize>)| b.get(*name) != Some(*shape);
        a.iter().filter(differs).take(4).map(|(name, shape)| format!("{name} {shape:?}")).collect()
    };
    let (missing, unexpected) = (only_in(&expected, &found), only_in(&found, &expected));
    if missing.is_empty() && unexpected.is_empty() {
        return Ok(());
    }
    Err(format!("missing {missing:?}, unexpected {unexpected:?}").into())
}

/// What the manifest says of a stage.
fn stage(node: &Node, input: &Node, reduced: usize, hidden: Act, gate: Act) -> String {
    let [c, h, w] = [input.shape.channels(), input.shape.height(), input.shape.width()];
    format!("{} {c}x{h}x{w} reduced {reduced} {hidden} {gate}", node.name)
}

fn same_stages(manifest: &Value, graph: &Graph) -> Outcome {
    let listed = manifest["se_stages"].as_array().ok_or("the manifest lists SE stages")?;
    let expected: Vec<String> = listed
        .iter()
        .map(|s| {
            let text = |key: &str| s[key].as_str().unwrap_or("").to_string();
            let (c, h, w, reduced) = (&s["c"], &s["h"], &s["w"], &s["cr"]);
            format!("{} {c}x{h}x{w} reduced {reduced} {} {}", text("path"), text("hidden"), text("gate"))
        })
        .collect();
    let input = |node: &Node| graph.node(node.inputs[0]);
    let found = graph.nodes().iter().filter_map(|node| match &node.op {
        Op::SqueezeExcite(op) => Some(stage(node, input(node), op.reduced, op.hidden, op.gate)),
        // Layer, hidden activation, layer, gate.
        Op::Activation(gate) if is_control(manifest) && node.name.ends_with(".se") => {
            let hidden = input(input(node));
            let Op::Activation(act) = hidden.op else { return None };
            Some(stage(node, input(input(hidden)), hidden.shape.channels(), act, *gate))
        }
        _ => None,
    });
    ensure_equal("SE stages", found.collect(), expected)
}

/// The modules that the suite samples, and their last nodes.
fn modules(manifest: &Value, graph: &Graph) -> Outcome<Vec<(String, NodeId)>> {
    let batch = sizes(&manifest["input"]["shape"])[0];
    let modules = manifest["activations"].as_array().ok_or("the manifest lists activations")?;
    let found = modules.iter().map(|module| {
        let name = module["module"].as_str().ok_or("a module has a name")?;
        let inside = format!("{name}.");
        let of_module = |&id: &NodeId| graph.node(id).name == name || graph.node(id).name.starts_with(&inside);
        let id = graph.ids().filter(of_module).last().ok_or_else(|| format!("no node is of module {name}"))?;
        // A vector is a map of one pixel.
        let (mut shape, mut expected) = (graph.node(id).shape.with_batch(batch), sizes(&module["shape"]));
        shape.resize(4, 1);
        expected.resize(4, 1);
        ensure_equal(&format!("shape of {name}"), shape, expected)?;
        Ok((format!("act.{name}"), id))
    });
    found.collect()
}

#[test]
fn cheap_networks_give_pytorchs_numbers() {
    let mut cheap = golden().unwrap();
    cheap.retain(|golden| golden.macs() <= CHEAP);
    each(&cheap, |golden| {
        let (manifest, graph) = (&golden.manifest, golden.build()?);
        let bytes = fs::read(golden.models.join(format!("{}.safetensors", golden.file)))?;
        let file = SafeTensors::deserialize(&bytes)?;
        let gated = graph.clone().with_gate_outputs();
        let outputs: Vec<_> = gated.outputs().iter().cloned().chain(modules(manifest, &graph)?).collect();
        let weights = Weights::seeded(
            manifest["seed"].as_u64().ok_or("the manifest has a seed")?,
            manifest["gain"].as_f64().ok_or("the manifest has a gain")?,
        );
        // One image of the two: what a batch is, other tests say.
        let mut shape = sizes(&manifest["input"]["shape"]);
        let both = weights.get("input", &shape)?;
        shape[0] = 1;
        let first = Tensor::new(shape, both.image(0).to_vec())?;
        for (name, got) in with_outputs(&graph, &outputs).reference(&first, &weights)? {
            same_value(&file, &name, &got).map_err(|message| format!("{name}: {message}"))?;
        }
        Ok(())
    });
}

/// The first image's value against its tensors in the file.
fn same_value(file: &SafeTensors, name: &str, got: &Tensor) -> Result<(), String> {
    let get = |name: &str| file.tensor(name).map_err(|e| e.to_string());
    let floats = |name: &str| -> Result<Vec<f32>, String> {
        let words = get(name)?.data().chunks_exact(4).map(|b| b.try_into().expect("chunks have this size"));
        Ok(words.map(f32::from_le_bytes).collect())
    };
    let tensor = |data: Vec<f32>| Tensor::new([data.len()], data).expect("a vector has its length");
    if name.starts_with("act.") {
        let words = get(&format!("{name}.index"))?.data().chunks_exact(8);
        let indices = words.map(|b| u64::from_le_bytes(b.try_into().expect("chunks have this size")) as usize);
        let values = floats(&format!("{name}.value"))?;
        let pairs = indices.zip(values).filter(|&(index, _)| index < got.data().len());
        let (samples, expected) = pairs.map(|(index, value)| (got.data()[index], value)).unzip();
        // The scale is that of the whole value.
        let allowed = Tolerance::F32.allowed(floats(&format!("{name}.stats"))?[2]);
        return compare_each(&tensor(expected), &tensor(samples), |_| allowed);
    }
    let tolerance = if name == "logits" { Tolerance::F32 } else { Tolerance::Gate };
    let expected = floats(name)?[..got.data().len()].to_vec();
    compare(&tensor(expected), &tensor(got.data().to_vec()), tolerance)
}

#[test]
fn taking_se_out_gives_the_plain_network_back() {
    for (with, plain) in [
        ("seresnet50", "resnet50"),
        ("seresnext50_32x4d", "resnext50_32x4d"),
        ("abl_seresnet50_r4", "abl_resnet50"),
        ("abl_seresnet50_pre", "abl_resnet50"),
        ("abl_seresnet50_post", "abl_resnet50"),
        ("abl_seresnet50_identity", "abl_resnet50"),
        ("abl_seresnet50_3x3", "abl_resnet50"),
        ("abl_seresnet50_stage4", "abl_resnet50"),
        ("se_vgg16", "vgg16_bn"),
        ("se_bninception", "bninception"),
        ("se_inception_resnet_v2", "inception_resnet_v2"),
        ("se_mobilenet", "mobilenetv1_100"),
        ("se_shufflenet", "shufflenet_g3_w1"),
        ("se_preresnet164_cifar10", "preresnet164_cifar10"),
        ("se_shakeshake26_2x96d_cifar10", "shakeshake26_2x96d_cifar10"),
    ] {
        let [with, plain] = [with, plain].map(|name| zoo::build(name, &zoo::Options::default()).unwrap());
        assert_eq!(with.remove_se().unwrap().nodes(), plain.nodes(), "{}", with.name());
    }
}

#[test]
fn any_size_and_class_count() {
    for entry in zoo::entries() {
        // BN-Inception's pools and convolutions agree on even sizes only.
        let more = if entry.name.ends_with("bninception") { [0, 32] } else { [5, 16] };
        let size = more.map(|more| entry.smallest + more);
        let options = zoo::Options { size: Some(size), classes: Some(7) };
        let graph = zoo::build(entry.name, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(graph.output_shape().len(), 7, "{}", entry.name);
        assert_eq!(graph.name(), entry.name);
    }
}
