//! Files that claim more than they hold: each is read in a process of its own, whose memory is bounded.

use super::{OPSET, file, network, options, single, unchanged};
use crate::common::onnx_bytes::{
    Message, call, floats, function, graph, ints, message, model, model_with, node, shaped, value,
};
use excite::import::onnx::OnnxModel;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn nested(depth: usize) -> Message {
    (0..depth).fold(graph(&[], &[], &[], &["y"]), |inner, _| {
        graph(&[], &[], &[node("If", &["x"], &["y"]).with_graph("then_branch", inner)], &["y"])
    })
}

/// A call of `F0`, each function calling the next one twice, the last made of `leaf` and a sum.
fn doubling(depth: usize, leaf: &[Message]) -> Vec<u8> {
    let named = |i: usize| format!("F{i}");
    let last = [leaf, &[node("Add", &["a", "a"], &["b"])]].concat();
    let calls = |i: usize| {
        let next = named(i + 1);
        function(&named(i), &["a"], &["b"], &[call(&next, &["a"], &["c"]), call(&next, &["c"], &["b"])])
    };
    let mut functions: Vec<Message> = (0..depth - 1).map(calls).collect();
    functions.push(function(&named(depth - 1), &["a"], &["b"], &last));
    let call = call("F0", &["x"], &["y"]);
    model_with(OPSET, graph(&[value("x", &[1, 4, 8, 8])], &[], &[call], &["y"]), &functions)
}

/// The same where nothing is made in the end.
fn empty_doubling() -> Vec<u8> {
    let calls = |i: usize| {
        let next = format!("F{}", i + 1);
        function(&format!("F{i}"), &[], &[], &[call(&next, &[], &[]), call(&next, &[], &[])])
    };
    let mut functions: Vec<Message> = (0..31).map(calls).collect();
    functions.push(function("F31", &[], &[], &[]));
    let nodes = [call("F0", &[], &[]), node("Relu", &["x"], &["y"])];
    model_with(OPSET, graph(&[value("x", &[1, 4, 8, 8])], &[], &nodes, &["y"]), &functions)
}

/// Files whose reading would take much memory or time if it were let. Name, bytes, part of the message.
fn bombs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let many = |count: usize, make: &dyn Fn(usize) -> Message| (0..count).map(make).collect::<Vec<Message>>();
    let same = node("Relu", &["x"], &["y"]);
    let long = "n".repeat(4000);
    let huge = 1 << 40;
    let of_shape = |dims: &[i64], then: &[Message]| {
        let nodes = [&[node("ConstantOfShape", &["a"], &["c"])], then].concat();
        network(&[ints("a", dims)], &nodes, "y")
    };
    let joined = node("Add", &["x", "c"], &["y"]);
    let lost: Vec<String> = (0..200_000).map(|i| i.to_string()).collect();
    let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
    let bounds = |start: i64, limit: i64, step: i64| {
        [("a", start), ("b", limit), ("c", step)].map(|(name, v)| shaped(name, 7, &[]).packed(7, &[v]))
    };
    let range = [node("Range", &["a", "b", "c"], &["r"]), node("Add", &["x", "r"], &["y"])];
    let wide = |op: &str, then: &dyn Fn(Message) -> Message, tensors: &[Message], inputs: &[&str]| {
        let input = value("x", &[1, 1, (1 << 31) - 1]);
        model(OPSET, graph(&[input], tensors, &[then(node(op, inputs, &["y"]))], &["y"]))
    };
    let sums = many(20_000, &|i| {
        let (from, to) = (if i == 0 { "x".into() } else { format!("v{i}") }, format!("v{}", i + 1));
        node("Add", &[&from, "x"], &[&to]).bytes(3, &long[..2000])
    });
    let constants = |element: &'static str| {
        let mut nodes = many(2000, &|i| {
            let shape = node(element, &["a"], &[&format!("c{i}")]);
            shape.with_tensor("value", if i % 2 == 0 { ints("", &[7]) } else { floats("", &[1], &[7.0]) })
        });
        let inputs: Vec<String> = (0..2000).map(|i| format!("c{i}")).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).chain(["x"]).collect();
        nodes.push(node("Sum", &inputs, &["y"]));
        network(&[ints("a", &[1 << 20])], &nodes, "y")
    };
    let repeated = {
        let inputs = vec!["a"; 5000];
        let nodes = [node("Concat", &inputs, &["c"]).with_int("axis", 0), node("Reshape", &["x", "c"], &["y"])];
        network(&[shaped("a", 9, &[1 << 20]).bytes(9, vec![1; 1 << 20])], &nodes, "y")
    };
    vec![
        ("deep nesting", model(OPSET, nested(1000)), "nothing makes"),
        (
            "deep nesting in a node",
            network(&[], &[node("If", &["x"], &["y"]).with_graph("then_branch", nested(1000))], "y"),
            "If (\"y\")",
        ),
        ("a million nodes", network(&[], &vec![same.clone(); 1_000_000], "y"), "has more than 100000 nodes"),
        (
            "a million tensors",
            network(&vec![shaped("w", 1, &[0]); 1_000_000], std::slice::from_ref(&same), "y"),
            "has more than 100000 tensors",
        ),
        (
            "a million names",
            network(&[], &[node("Sum", &vec!["x"; 1_100_000], &["y"])], "y"),
            "has more than 1000000 fields",
        ),
        (
            "a long list",
            single("Relu", &[], |n| n.with_ints("axes", &vec![1; 1_100_000])),
            "has more than 1000000 fields",
        ),
        (
            "a long list in a tensor",
            single("Add", &[ints("a", &vec![1; 1_100_000])], unchanged),
            "has more than 1000000 fields",
        ),
        ("lost names", network(&[], &[node("Sum", &lost, &["y"]).bytes(3, &long)], "y"), "and 199994 more"),
        ("ConstantOfShape", of_shape(&[huge], std::slice::from_ref(&joined)), "would have to be made"),
        (
            "ConstantOfShape of integers",
            network(
                &[ints("a", &[1 << 21])],
                &[
                    node("ConstantOfShape", &["a"], &["c"]).with_tensor("value", ints("", &[1])),
                    node("Reshape", &["x", "c"], &["y"]),
                ],
                "y",
            ),
            "more than 1048576",
        ),
        (
            "ConstantOfShape of many",
            of_shape(&[1 << 30, 1 << 30, 1 << 30], std::slice::from_ref(&joined)),
            "would have to be made",
        ),
        ("Range", network(&bounds(0, i64::MAX, 1), &range, "y"), "more than 1048576"),
        ("Range of all", network(&bounds(i64::MIN, i64::MAX, 1), &range, "y"), "more than 1048576"),
        (
            "Expand",
            of_shape(
                &[1],
                &[
                    node("Constant", &[], &["s"]).with_tensor("value", ints("", &[huge])),
                    node("Expand", &["c", "s"], &["e"]),
                    node("Add", &["x", "e"], &["y"]),
                ],
            ),
            "would have to be made",
        ),
        (
            "Expand of the input",
            single("Expand", &[ints("a", &[1 << 30, 4, 8, 8])], unchanged),
            "would have to be made",
        ),
        (
            "Expand and read",
            network(
                &[ints("a", &[1 << 30, 1, 4, 8, 8])],
                &[node("Expand", &["x", "a"], &["e"]), node("Relu", &["e"], &["y"])],
                "y",
            ),
            "Relu \"y\"",
        ),
        ("Tile", single("Tile", &[ints("a", &[1, 1, 1, huge])], unchanged), "repeats 8 elements"),
        (
            "Tile of constants",
            of_shape(
                &[1 << 20],
                &[
                    node("Constant", &[], &["s"]).with_tensor("value", ints("", &[4])),
                    node("Tile", &["c", "s"], &["t"]),
                    node("Add", &["x", "t"], &["y"]),
                ],
            ),
            "would have to be made",
        ),
        ("Pad", single("Pad", &[ints("a", &[0, 0, 0, 0, 0, 0, 0, huge])], unchanged), "Pad \"y\""),
        (
            "Pad by reflection",
            single("Pad", &[ints("a", &[0, 0, 0, 0, 0, 0, 0, 1 << 22])], |n| n.with_text("mode", "reflect")),
            "would have to be made",
        ),
        (
            "Resize",
            single("Resize", &[floats("a", &[0], &[]), floats("b", &[4], &[1.0, 1.0, 9e5, 9e5])], unchanged),
            "would have to be made",
        ),
        (
            "Resize to sizes",
            single("Resize", &[floats("a", &[0], &[]), floats("b", &[0], &[]), ints("c", &[1, 4, 8, huge])], unchanged),
            "would have to be made",
        ),
        (
            "ConvTranspose",
            single("ConvTranspose", &[floats("a", &[4, 1, 1, 1], &[1.0; 4])], |n| {
                n.with_ints("strides", &[1 << 30, 1 << 30])
            }),
            "would have to be made",
        ),
        (
            "Unsqueeze",
            single("Unsqueeze", &[ints("a", &(4..900_000).collect::<Vec<i64>>())], unchanged),
            "the limit is 16",
        ),
        (
            "a long axis sliced",
            wide(
                "Slice",
                &|n| n,
                &[ints("a", &[1]), ints("b", &[i64::MAX]), ints("c", &[2]), ints("d", &[2])],
                &["x", "a", "b", "c", "d"],
            ),
            "Slice \"y\"",
        ),
        ("a long axis split", wide("Split", &|n| n.with_int("axis", 2), &[], &["x"]), "Split \"y\""),
        (
            "a long axis padded",
            wide("Pad", &|n| n.with_text("mode", "edge"), &[ints("a", &[0, 0, 0, 0, 0, 1])], &["x", "a"]),
            "Pad \"y\"",
        ),
        ("many nodes of a long name", network(&[], &sums, "v20000"), "would have to be made"),
        ("many constants", constants("ConstantOfShape"), "would have to be made"),
        ("integers joined", repeated, "more than 1048576"),
        (
            "constants multiplied",
            network(
                &[
                    floats("a", &[1 << 11, 1 << 10], &vec![1.0; 1 << 21]),
                    floats("b", &[1 << 10, 1 << 11], &vec![1.0; 1 << 21]),
                ],
                &[node("MatMul", &["a", "b"], &["c"]), joined.clone()],
                "y",
            ),
            "product of constants too large",
        ),
        ("functions that double", doubling(31, &[]), "would become more than 64 MiB of nodes"),
        ("functions that double nothing", empty_doubling(), "would become more than 64 MiB of nodes"),
        ("functions in functions", doubling(33, &[]), "is more than 32 calls deep"),
        (
            "a long list in many calls",
            doubling(12, &[node("Neg", &["a"], &["d"]).with_ints("axes", &[1 << 40; 900_000])]),
            "would become more than 64 MiB of nodes",
        ),
        (
            "a long list given to many calls",
            {
                let leaf = node("Neg", &["a"], &["b"]).with_reference("axes", 7, "list");
                let leaf = function("Leaf", &["a"], &["b"], &vec![leaf; 5000]);
                let call = call("Leaf", &["x"], &["y"]).with_ints("list", &[1; 900_000]);
                model_with(OPSET, graph(&[value("x", &[1, 4, 8, 8])], &[], &[call], &["y"]), &[leaf])
            },
            "would become more than 64 MiB of nodes",
        ),
        (
            "a large constant in many calls",
            {
                let large = floats("", &[1 << 20], &vec![1.0; 1 << 20]);
                let nodes = [
                    node("Constant", &[], &["c"]).with_tensor("value", large),
                    node("ReduceMax", &["c"], &["m"]).with_int("keepdims", 0),
                    node("Add", &["a", "m"], &["b"]),
                ];
                let add = function("Add1", &["a"], &["b"], &nodes);
                let names: Vec<String> = (0..400).map(|i| if i == 0 { "x".into() } else { format!("v{i}") }).collect();
                let pair = |pair: &[String]| call("Add1", &[&pair[0]], &[&pair[1]]);
                let calls: Vec<Message> = names.windows(2).map(pair).collect();
                model_with(OPSET, graph(&[value("x", &[1, 4, 8, 8])], &[], &calls, &["v399"]), &[add])
            },
            "would have to be made",
        ),
        (
            "a million functions",
            {
                let mut bytes = network(&[], std::slice::from_ref(&same), "y");
                (0..1_000_000).for_each(|_| bytes.extend(message().bytes(25, "").0));
                bytes
            },
            "has more than 10000 functions",
        ),
        (
            "a million nodes of functions",
            {
                let function = function("F", &["a"], &["b"], &vec![same.clone(); 60_000]);
                model_with(OPSET, graph(&[], &[], std::slice::from_ref(&same), &["y"]), &[function.clone(), function])
            },
            "has functions of more than 100000 nodes",
        ),
        (
            "constants repeated",
            network(
                &[floats("a", &[1 << 20, 1], &vec![1.0; 1 << 20]), floats("b", &[1, 1 << 20], &vec![1.0; 1 << 20])],
                &[node("Add", &["a", "b"], &["c"]), joined],
                "y",
            ),
            "constants",
        ),
    ]
}

/// Most memory that reading a file may take, in bytes.
fn bound(length: u64) -> u64 {
    4 * length + (256 << 20)
}

/// Each in a process of its own, whose peak of memory the system counts.
#[test]
fn bombs_are_refused_in_bounded_memory() {
    let mut failures = Vec::new();
    for (what, bytes, part) in bombs() {
        let length = bytes.len() as u64;
        let (_folder, path) = file(bytes);
        let begin = Instant::now();
        let (said, peak) = read_elsewhere(&path, false);
        let peak = peak.unwrap_or(0);
        println!("{what}: {length} bytes, peak {} MiB, {:?}: {said:.200}", peak >> 20, begin.elapsed());
        if !said.contains(part) || !said.contains("bad.onnx") || !said.starts_with("refused: ") {
            failures.push(format!("{what}: expected \"{part}\", got: {said:.400}"));
        }
        if peak > bound(length) {
            failures.push(format!("{what}: {} MiB for {length} bytes", peak >> 20));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What a process that reads the file says, and the most memory it had where the system tells.
pub(super) fn read_elsewhere(path: &Path, external: bool) -> (String, Option<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "onnx_bad::bombs::reads_for_another_test"])
        .env("EXCITE_BAD_FILE", path)
        .env("EXCITE_BAD_EXTERNAL", if external { "1" } else { "" })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let consumer = std::thread::spawn(move || {
        let mut said = String::new();
        stdout.read_to_string(&mut said).map(|_| said)
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return ("does not come to an end".into(), None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = consumer.join().unwrap().unwrap();
    let line = |start: &str| said.lines().find_map(|line| line.split_once(start).map(|(_, rest)| rest.to_string()));
    let result = line("<<").map_or(format!("panicked or died: {said}"), |line| line);
    let kilobytes = line("VmHWM:").and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    (result, kilobytes.map(|kilobytes| kilobytes << 10))
}

#[test]
#[ignore = "a part of other tests, in a process of its own"]
fn reads_for_another_test() {
    let path = std::env::var_os("EXCITE_BAD_FILE").expect("run by another test");
    let external_data = std::env::var_os("EXCITE_BAD_EXTERNAL").is_some_and(|on| !on.is_empty());
    let read = OnnxModel::from_onnx_with(path, &options().external_data(external_data));
    let weights = |model: &OnnxModel| {
        let tensors = model.graph.tensors();
        tensors.iter().try_for_each(|(name, shape)| model.weights.get(name, shape).map(drop))
    };
    match read.and_then(|model| weights(&model)) {
        Ok(()) => println!("<<read"),
        Err(error) => println!("<<refused: {error}"),
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
}
