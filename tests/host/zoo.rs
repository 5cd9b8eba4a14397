//! No GPU: every network of the golden suite is built as PyTorch has it (tensors, parameters, multiply-adds, SE blocks,
//! shapes in between), and the cheap ones give its numbers on the CPU reference. SE comes out as it went in.

use crate::common::compare::with_outputs;
use crate::common::golden::{self, Golden, Outcome, sizes};
use excite::graph::Node;
use excite::ops::{Act, Op};
use excite::{Graph, Tensor, zoo};
use serde_json::Value;
use std::collections::BTreeMap;

/// Networks with at most this many multiply-adds also run on the CPU.
const CHEAP: u64 = 100_000_000;

/// All of them that are here.
fn suite() -> Vec<Golden> {
    let names = golden::networks().unwrap_or_else(|missing| panic!("{}", missing.why));
    names.iter().map(|name| Golden::read(name).unwrap()).collect()
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

/// The paper's control has the layers of an SE block and none of its nodes.
fn is_control(manifest: &Value) -> bool {
    manifest["insertion"].as_str().is_some_and(|text| text.contains("not an SE block"))
}

#[test]
fn networks_are_what_pytorch_builds() {
    each(&suite(), |golden| {
        let (manifest, graph) = (&golden.manifest, golden.build()?);
        same_tensors(manifest, &graph)?;
        ensure_equal("parameters", Some(graph.parameter_count()), manifest["params"].as_u64())?;
        ensure_equal("multiply-adds", Some(graph.macs()), manifest["cost"]["macs_input"].as_u64())?;
        for (size, macs) in manifest["cost"].as_object().ok_or("the manifest has costs")? {
            let Some(side) = size.strip_prefix("macs_").and_then(|side| side.parse().ok()) else { continue };
            let Some(macs) = macs.as_u64() else { continue };
            let graph = zoo::build(golden.model(), &zoo::Options::default().size([side; 2]))?;
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
        golden.samples(&graph).map(drop)
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
    let listed = manifest["se_stages"].as_array().ok_or("the manifest lists SE blocks")?;
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
    ensure_equal("SE blocks", found.collect(), expected)
}

#[test]
fn cheap_networks_give_pytorchs_numbers() {
    let mut cheap = suite();
    cheap.retain(|golden| golden.macs() <= CHEAP);
    each(&cheap, |golden| {
        let graph = golden.build()?;
        let outputs = [golden.gates(&graph)?, golden.samples(&graph)?].concat();
        // One image of the two: what a batch is, other tests say.
        let mut shape = golden.input_shape();
        shape[0] = 1;
        let first = Tensor::new(shape, golden.input()?.image(0).to_vec())?;
        golden.values()?.check(&with_outputs(&graph, &outputs).reference(&first, &golden.weights()?)?)
    });
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
        let options = zoo::Options::default().size(size).classes(7);
        let graph = zoo::build(entry.name, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(graph.output_shape().len(), 7, "{}", entry.name);
        assert_eq!(graph.name(), entry.name);
    }
}
