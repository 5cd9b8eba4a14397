//! No GPU: ONNX files that must be refused, each with one error that names the file, in bounded memory.

mod bombs;

use crate::common::onnx_bytes::{Message, floats, graph, ints, message, model, node, shaped, value};
use bombs::read_elsewhere;
use excite::Error;
use excite::import::onnx::{OnnxModel, OnnxOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const OPSET: i64 = 18;

fn options() -> OnnxOptions {
    OnnxOptions::default().size([8, 8])
}

/// A file in a folder of its own.
fn file(bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.onnx");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// The one line of an error that names the file.
fn refusal(path: &Path, result: Result<OnnxModel, Error>) -> String {
    let error = result.expect_err("the file must be refused").to_string();
    assert!(error.contains(&*path.to_string_lossy()), "does not name the file: {error}");
    assert!(!error.contains('\n'), "more than one line: {error}");
    error
}

/// Expects a file to be refused with these parts in the message.
fn refuse(what: &str, bytes: impl AsRef<[u8]>, parts: &[&str]) {
    let (_folder, path) = file(bytes);
    let error = refusal(&path, OnnxModel::from_onnx_with(&path, &options()));
    parts.iter().for_each(|part| assert!(error.contains(part), "{what}: expected \"{part}\", got: {error}"));
}

/// A network of one input `x [1,4,8,8]` and one output, the last node's first.
fn network(tensors: &[Message], nodes: &[Message], output: &str) -> Vec<u8> {
    model(OPSET, graph(&[value("x", &[1, 4, 8, 8])], tensors, nodes, &[output]))
}

/// One node `y` that reads `x` and these tensors.
fn single(op: &str, tensors: &[Message], attributes: impl Fn(Message) -> Message) -> Vec<u8> {
    let names = ["x", "a", "b", "c", "d"];
    let inputs: Vec<&str> = names[..=tensors.len()].to_vec();
    network(tensors, &[attributes(node(op, &inputs, &["y"]))], "y")
}

fn unchanged(node: Message) -> Message {
    node
}

/// A convolution and what reads it.
fn sound() -> Vec<u8> {
    let weight: Vec<f32> = (0..72).map(|i| i as f32 / 72.0).collect();
    let nodes = [
        node("Conv", &["x", "w"], &["conv"]).with_ints("kernel_shape", &[3, 3]),
        node("Relu", &["conv"], &["relu"]),
        node("GlobalAveragePool", &["relu"], &["pool"]),
        node("Reshape", &["pool", "shape"], &["y"]),
    ];
    network(&[floats("w", &[2, 4, 3, 3], &weight), ints("shape", &[1, -1])], &nodes, "y")
}

#[test]
fn the_sound_file_is_read() {
    let (_folder, path) = file(sound());
    let model = OnnxModel::from_onnx(path).unwrap();
    assert_eq!(model.graph.output_shape(), excite::Shape::vector(2));
}

#[test]
fn what_is_no_onnx_file_is_refused() {
    refuse("no protobuf", [0xff; 100], &["is not a sound ONNX file"]);
    refuse("empty", [], &["is not an ONNX file: it holds no graph"]);
    refuse("text", "This is text about a network.\n", &["is not"]);
    refuse("zeros", [0; 64], &["is not"]);
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(folder.path(), OnnxModel::from_onnx(folder.path()));
    assert!(error.contains("expected an ONNX file, found a directory"), "{error}");
    let missing = folder.path().join("nowhere.onnx");
    assert!(refusal(&missing, OnnxModel::from_onnx(&missing)).contains("can't read the model"));
}

#[test]
fn truncated_files_are_refused() {
    let bytes = sound();
    for part in 0..20 {
        refuse(&format!("{part}/20"), &bytes[..bytes.len() * part / 20], &[]);
    }
    for cut in 0..bytes.len() {
        refuse(&format!("{cut} bytes"), &bytes[..cut], &[]);
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let claim = |length| message().claiming(7, length, "").0;
    refuse("a huge graph", claim(1 << 40), &["a field of 1099511627776 bytes at", "that ends at"]);
    refuse("an endless graph", claim(u64::MAX), &["a field of 18446744073709551615 bytes"]);
    let inner = graph(&[], &[message().claiming(9, 1 << 32, "")], &[], &["y"]);
    refuse("huge data", model(OPSET, inner), &["a field of 4294967296 bytes"]);
    refuse("a number for a graph", message().int(7, 5).0, &["a number where a message belongs"]);
    refuse("a group", [0x3b, 0x3c], &["a field of wire type 3"]);
    refuse(
        "a name that is no text",
        model(OPSET, graph(&[], &[], &[message().bytes(3, [0xff])], &["y"])),
        &["no UTF-8"],
    );
    let long = model(OPSET, graph(&[], &[], &[message().bytes(3, "n".repeat(5000))], &["y"]));
    refuse("a long name", long, &["has a name of 5000 bytes, the limit is 4096"]);
}

#[test]
fn wrong_graphs_are_refused() {
    let relu = |from: &str, to: &str| node("Relu", &[from], &[to]);
    let weight = || floats("w", &[1], &[1.0]);
    refuse(
        "circle",
        network(&[], &[relu("b", "a"), relu("a", "b")], "b"),
        &["wait for each other", "Relu \"a\"", "Relu \"b\""],
    );
    refuse("itself", network(&[], &[relu("a", "a")], "a"), &["wait for each other: Relu \"a\""]);
    refuse(
        "no tensor",
        network(&[], &[node("Conv", &["x", "w"], &["y"])], "y"),
        &["nothing makes \"w\" (read by Conv \"y\")"],
    );
    refuse("no output", network(&[], &[relu("x", "y")], "z"), &["nothing makes output \"z\""]);
    refuse("no output at all", model(OPSET, graph(&[value("x", &[1, 4])], &[], &[], &[])), &["has no output"]);
    refuse("tensors twice", network(&[weight(), weight()], &[relu("x", "y")], "y"), &["tensor \"w\" is there twice"]);
    refuse("outputs twice", network(&[], &[relu("x", "y"), relu("x", "y")], "y"), &["makes values twice: \"y\""]);
    refuse("a tensor made again", network(&[weight()], &[relu("x", "w")], "w"), &["makes values twice: \"w\""]);
    let two = graph(&[value("x", &[1, 4]), value("z", &[1, 4])], &[], &[node("Add", &["x", "z"], &["y"])], &["y"]);
    refuse("two inputs", model(OPSET, two), &["has 2 inputs (\"x\", \"z\")"]);
}

#[test]
fn all_that_is_not_supported_is_said_at_once() {
    let nodes = [
        node("Foo", &["x"], &["a"]),
        node("Foo", &["a"], &["b"]),
        node("Conv", &["b"], &["c"]).bytes(7, "com.example"),
        node("Bar", &["c"], &["y"]),
    ];
    refuse(
        "ops",
        network(&[], &nodes, "y"),
        &["opset 18", "Bar (\"y\")", "Foo (\"a\", \"b\")", "com.example.Conv (\"c\")"],
    );
    for opset in [1, 6, 29, i64::MAX, i64::MIN, 0] {
        let bytes = model(opset, graph(&[value("x", &[1, 4])], &[], &[node("Relu", &["x"], &["y"])], &["y"]));
        refuse("opset", bytes, &[&format!("uses operator set {opset} of ONNX, supported are 7 to 28")]);
    }
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let with = |tensor: Message| network(&[tensor], &[node("Relu", &["x"], &["y"])], "y");
    for (what, tensor, part) in [
        ("overflow", shaped("w", 1, &[1 << 62, 4]), "more elements than memory can hold"),
        ("overflow of bytes", shaped("w", 11, &[1 << 61]), "more elements than memory can hold"),
        ("overflow beside 0", shaped("w", 1, &[0, 1 << 40, 1 << 40]), "more elements than memory can hold"),
        ("negative", shaped("w", 1, &[-1, 4]), "shape [-1, 4] has a negative size"),
        ("least", shaped("w", 1, &[i64::MIN]), "has a negative size"),
        ("no data", shaped("w", 1, &[4]), "shape [4] needs 4 elements, the file has 0"),
        ("short", floats("w", &[4], &[1.0; 3]), "shape [4] needs 4 elements, the file has 12 bytes"),
        ("long", floats("w", &[4], &[1.0; 5]), "shape [4] needs 4 elements, the file has 20 bytes"),
        ("list", shaped("w", 7, &[3]).packed(7, &[1, 2]), "shape [3] needs 3 elements, the file has 2 integers"),
        ("float data", shaped("w", 7, &[1]).bytes(4, [0; 4]), "float data for elements of type INT64"),
        ("text", shaped("w", 8, &[1]).bytes(6, "text"), "elements of type STRING are not supported"),
        ("no type", shaped("w", 0, &[1]), "elements of type UNDEFINED are not supported"),
        ("odd type", shaped("w", -7, &[1]), "elements of type -7 are not supported"),
        ("rank", shaped("w", 1, &[1; 17]), "more than 16 dimensions"),
    ] {
        refuse(what, with(tensor), &[part]);
    }
    for dims in [[1, 4, 0, 8].as_slice(), &[0], &[1, -2, 8, 8], &[i64::MIN], &[1, 1 << 40]] {
        let relu = node("Relu", &["x"], &["y"]);
        refuse(
            "input",
            model(OPSET, graph(&[value("x", dims)], &[], &[relu], &["y"])),
            &["input \"x\" has a dimension of"],
        );
    }
    let all = [1 << 30, 1 << 30, 1 << 30, 1 << 30].as_slice();
    refuse("huge input", model(OPSET, graph(&[value("x", all)], &[], &[node("Relu", &["x"], &["y"])], &["y"])), &[]);
}

#[test]
fn attributes_without_sense_are_refused() {
    let kernel = || floats("a", &[2, 4, 3, 3], &[0.5; 72]);
    let conv = |attributes: fn(Message) -> Message| single("Conv", &[kernel()], attributes);
    let (least, most) = (i64::MIN, i64::MAX);
    for (what, bytes, part) in [
        ("type", single("Softmax", &[], |n| n.with_float("axis", 1.0)), "attribute axis must be an integer"),
        (
            "text",
            single("AveragePool", &[], |n| n.with_ints("kernel_shape", &[2, 2]).with_int("auto_pad", 1)),
            "auto_pad",
        ),
        (
            "NaN",
            single("LeakyRelu", &[], |n| n.with_float("alpha", f32::NAN)),
            "attribute alpha must be a finite number",
        ),
        ("kernel", conv(|n| n.with_ints("kernel_shape", &[3])), "kernel_shape must be 2 numbers of at least 1"),
        ("kernel 0", conv(|n| n.with_ints("kernel_shape", &[0, 3])), "kernel_shape must be 2 numbers of at least 1"),
        ("other kernel", conv(|n| n.with_ints("kernel_shape", &[5, 5])), "kernel_shape is [5, 5]"),
        ("strides", conv(|n| n.with_ints("strides", &[0, 1])), "strides must be 2 numbers of at least 1"),
        ("dilations", conv(|n| n.with_ints("dilations", &[1, i64::MIN])), "dilations must be 2 numbers"),
        ("pads", conv(|n| n.with_ints("pads", &[1, 1, 1])), "pads must be 4 numbers"),
        ("huge pads", conv(|n| n.with_ints("pads", &[i64::MAX; 4])), "pads must be 4 numbers"),
        ("group", conv(|n| n.with_int("group", 0)), "group"),
        ("group", conv(|n| n.with_int("group", i64::MIN)), "group is negative"),
        ("rank", single("Conv", &[floats("a", &[2, 4], &[0.5; 8])], unchanged), "has no kernel"),
        ("nothing", single("Conv", &[shaped("a", 1, &[2, 4, 0, 3])], unchanged), "has no kernel"),
        ("turned", single("ConvTranspose", &[shaped("a", 1, &[4, 2, 0, 3])], unchanged), "has no kernel"),
        ("flatten", single("Flatten", &[], |n| n.with_int("axis", i64::MIN)), "of 4 dimensions"),
        ("perm", single("Transpose", &[], |n| n.with_ints("perm", &[i64::MIN, 1, 2, 3])), "of 4 dimensions"),
        ("perm", single("Transpose", &[], |n| n.with_ints("perm", &[0, 1, 1, 2])), "Transpose \"y\""),
        (
            "perm",
            single("Transpose", &[], |n| n.with_ints("perm", &[0])),
            "order [0] does not name each of 4 dimensions",
        ),
        ("concat", single("Concat", &[], |n| n.with_int("axis", i64::MAX)), "of 4 dimensions"),
        ("axes", single("Squeeze", &[ints("a", &[least])], unchanged), "of 4 dimensions"),
        ("axes", single("ReduceMean", &[ints("a", &[2, -2])], unchanged), "name one twice"),
        ("pads", single("Pad", &[ints("a", &[least; 8])], unchanged), "pads"),
        ("pads", single("Pad", &[ints("a", &[most; 8])], unchanged), "pads"),
        ("groups", single("GroupNormalization", &[], |n| n.with_int("num_groups", 0)), "num_groups 0"),
        ("blocks", single("DepthToSpace", &[], |n| n.with_int("blocksize", i64::MAX)), "don't make blocks"),
        ("size", single("LRN", &[], |n| n.with_int("size", i64::MAX)), "size must be 1 to 1024"),
        ("index", single("Gather", &[ints("a", &[least])], |n| n.with_int("axis", 1)), "of 4 dimensions"),
        ("reshape", single("Reshape", &[ints("a", &[1, least])], unchanged), "reshapes to"),
        ("reshape", single("Reshape", &[ints("a", &[most, most])], unchanged), "reshapes to"),
        ("cast", single("Cast", &[], |n| n.with_int("to", i64::MIN)), "is not supported"),
    ] {
        refuse(what, bytes, &["\"y\"", part]);
    }
    // Steps that can't be taken, and the largest that can.
    let slice = |start, end, axis, step| {
        let lists = [("a", start), ("b", end), ("c", axis), ("d", step)].map(|(name, list)| ints(name, &[list]));
        single("Slice", &lists, unchanged)
    };
    refuse("step 0", slice(0, 4, 2, 0), &["steps"]);
    refuse("axis", slice(0, 4, least, 1), &["of 4 dimensions"]);
    let (_folder, path) = file(slice(most, least, 2, least));
    assert_eq!(OnnxModel::from_onnx(path).unwrap().graph.output_shape(), excite::Shape::map(4, 1, 8));
}

/// `y` is `x` reshaped to what a node makes of the integers `a` and `b`.
fn computed(op: &str, a: &[i64], b: &[i64]) -> Vec<u8> {
    let nodes = [node(op, &["a", "b"], &["shape"]), node("Reshape", &["x", "shape"], &["y"])];
    network(&[ints("a", a), ints("b", b)], &nodes, "y")
}

#[test]
fn arithmetic_of_sizes_is_checked() {
    refuse("division", computed("Div", &[256], &[0]), &["Div \"shape\"", "divides an integer by 0"]);
    refuse("rest", computed("Mod", &[256], &[0]), &["Mod \"shape\"", "divides an integer by 0"]);
    refuse("quotient", computed("Div", &[i64::MIN], &[-1]), &["Div \"shape\"", "overflows"]);
    refuse("sum", computed("Add", &[i64::MAX], &[1]), &["Add \"shape\"", "overflows"]);
    refuse("product", computed("Mul", &[i64::MAX], &[2]), &["Mul \"shape\"", "overflows"]);
    refuse("power", computed("Pow", &[2], &[64]), &["Pow \"shape\"", "overflows"]);
    refuse("shapes", computed("Add", &[1, 2], &[1, 2, 3]), &["Add \"shape\"", "don't broadcast"]);
    let range = |bounds: [Message; 3]| {
        let nodes = [node("Range", &["a", "b", "c"], &["r"]), node("Add", &["x", "r"], &["y"])];
        network(&bounds, &nodes, "y")
    };
    let whole = |values: [i64; 3]| {
        let [a, b, c] = values.map(|value| move |name| shaped(name, 7, &[]).packed(7, &[value]));
        [a("a"), b("b"), c("c")]
    };
    refuse("still", range(whole([0, 5, 0])), &["Range \"r\"", "steps by 0"]);
    refuse("endless", range(["a", "b", "c"].map(|n| floats(n, &[], &[0.0]))), &["Range \"r\"", "has no end"]);
    refuse("no bounds", range(["a", "b", "c"].map(|n| floats(n, &[0], &[]))), &["must be single numbers"]);
    // A constant pad of integers would take positions for numbers.
    let pad = [node("Pad", &["a", "b"], &["shape"]), node("Reshape", &["x", "shape"], &["y"])];
    refuse("pad", network(&[ints("a", &[256]), ints("b", &[0, 1])], &pad, "y"), &["computes with integers"]);
}

/// Of constants, it is computed while importing.
#[test]
fn convolutions_of_constants_are_checked() {
    let of = |weight: &[i64], bias: i64| {
        let ones = |name: &str, dims: &[i64]| floats(name, dims, &vec![1.0; dims.iter().product::<i64>() as usize]);
        let tensors = [ones("a", &[1, 4, 8, 8]), ones("b", weight), ones("c", &[bias])];
        network(&tensors, &[node("Conv", &["a", "b", "c"], &["k"]), node("Add", &["x", "k"], &["y"])], "y")
    };
    refuse("few channels", of(&[4, 3, 1, 1], 4), &["Conv \"k\"", "weight must be [4, 4, 1, 1]", "is [4, 3, 1, 1]"]);
    refuse("many channels", of(&[4, 5, 1, 1], 4), &["Conv \"k\"", "weight must be [4, 4, 1, 1]"]);
    refuse("short bias", of(&[4, 4, 1, 1], 3), &["Conv \"k\"", "bias must be [4]", "is [3]"]);
    let (_folder, path) = file(of(&[4, 4, 1, 1], 4));
    assert_eq!(OnnxModel::from_onnx(path).unwrap().graph.output_shape(), excite::Shape::map(4, 8, 8));
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let bytes = single("Conv", &[floats("a", &[1, 4, 1, 1], &[1.0, f32::NAN, 1.0, 1.0])], unchanged);
    let (_folder, path) = file(bytes);
    let model = OnnxModel::from_onnx(&path).unwrap();
    let error = model.graph.reference(&excite::Tensor::zeros([1, 4, 8, 8]), &model.weights).unwrap_err().to_string();
    assert!(error.contains("tensor \"a\" has NaN or infinity") && error.contains("bad.onnx"), "{error}");
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let constant = node("Constant", &[], &["c"]).with_tensor("value", floats("", &[1, 2, 8, 8], &[bad; 128]));
        let nodes = [constant, node("Concat", &["x", "c"], &["y"]).with_int("axis", 1)];
        refuse("constant", network(&[], &nodes, "y"), &["has NaN or infinity"]);
    }
}

/// `y = x + w`, where `w [8]` lies in another file.
fn external(entries: &[(&str, &str)]) -> Vec<u8> {
    let entry = |tensor: Message, (key, text): &(&str, &str)| tensor.bytes(13, message().bytes(1, key).bytes(2, text));
    let weight = entries.iter().fold(shaped("w", 1, &[8]).int(14, 1), entry);
    network(&[weight], &[node("Add", &["x", "w"], &["y"])], "y")
}

fn with_external() -> OnnxOptions {
    options().external_data(true)
}

/// Writes the file beside what `prepare` puts there, and expects external data to be refused.
fn refuse_external(entries: &[(&str, &str)], prepare: impl Fn(&Path), parts: &[&str]) {
    let (folder, path) = file(external(entries));
    prepare(folder.path());
    let error = refusal(&path, OnnxModel::from_onnx_with(&path, &with_external()));
    parts.iter().for_each(|part| assert!(error.contains(part), "{entries:?}: expected \"{part}\", got: {error}"));
}

fn data(folder: &Path) {
    fs::write(folder.join("w.bin"), [0; 32]).unwrap();
}

#[test]
fn external_data_is_off_and_then_beside_the_model_only() {
    let (folder, path) = file(external(&[("location", "w.bin")]));
    data(folder.path());
    let error = refusal(&path, OnnxModel::from_onnx_with(&path, &options()));
    assert!(error.contains("tensor \"w\": its data is in another file, \"w.bin\"") && error.contains("external_data"));
    let model = OnnxModel::from_onnx_with(&path, &with_external()).unwrap();
    model.graph.reference(&excite::Tensor::zeros([1, 4, 8, 8]), &model.weights).unwrap();

    for place in ["../w.bin", "/etc/passwd", "", "a/../w.bin", "..", ".", "a\\w.bin", "/", "w.bin/..", "C:\\w.bin"] {
        refuse_external(
            &[("location", place)],
            data,
            &["tensor \"w\"", "expected a file inside the model's directory"],
        );
    }
    refuse_external(&[], data, &["external data without a location"]);
    refuse_external(&[("location", "nowhere.bin")], data, &["can't read external data"]);
    let folder = |at: &Path| fs::create_dir(at.join("w.bin")).unwrap();
    refuse_external(&[("location", "w.bin")], folder, &["expected a regular file"]);
    refuse_external(
        &[("location", "w.bin"), ("offset", "4")],
        data,
        &["needs bytes 4 to 36 of \"w.bin\", which has 32"],
    );
    let end = u64::MAX.to_string();
    refuse_external(&[("location", "w.bin"), ("offset", &end)], data, &["of \"w.bin\", which has 32"]);
    refuse_external(&[("location", "w.bin"), ("offset", "-1")], data, &["external data has offset \"-1\""]);
    refuse_external(&[("location", "w.bin"), ("length", "16")], data, &["its shape needs 32 bytes"]);
}

#[cfg(unix)]
#[test]
fn external_data_behind_links_and_pipes_is_refused() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    data(outside.path());
    let target = outside.path().join("w.bin");
    let location = [("location", "w.bin")];
    refuse_external(&location, |at| symlink(&target, at.join("w.bin")).unwrap(), &["links are not followed"]);
    refuse_external(
        &[("location", "a/w.bin")],
        |at| symlink(outside.path(), at.join("a")).unwrap(),
        &["links are not followed"],
    );
    let linked = |at: &Path| {
        fs::write(at.join("first.bin"), [0; 32]).unwrap();
        fs::hard_link(at.join("first.bin"), at.join("w.bin")).unwrap();
    };
    refuse_external(&location, linked, &["expected a regular file without links"]);
    // Nobody writes into the pipe: whoever opens it waits for ever.
    let (folder, path) = file(external(&location));
    assert!(Command::new("mkfifo").arg(folder.path().join("w.bin")).status().unwrap().success());
    let (said, _) = read_elsewhere(&path, true);
    assert!(said.contains("expected a regular file"), "{said}");
    let pipe = folder.path().join("pipe.onnx");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (said, _) = read_elsewhere(&pipe, false);
    assert!(said.contains("expected an ONNX file, found no regular file"), "{said}");
}

#[test]
fn files_that_shrink_are_refused_when_read() {
    let check = |path: &Path, shrinks: &Path, name: &str, shape: &[usize]| {
        let model = OnnxModel::from_onnx_with(path, &with_external()).unwrap();
        fs::File::options().write(true).open(shrinks).unwrap().set_len(16).unwrap();
        let error = model.weights.get(name, shape).unwrap_err().to_string();
        assert!(error.contains(&format!("tensor \"{name}\", the file has changed")), "{error}");
    };
    let (folder, path) = file(external(&[("location", "w.bin")]));
    data(folder.path());
    check(&path, &folder.path().join("w.bin"), "w", &[8]);
    let (_folder, path) = file(sound());
    check(&path, &path, "w", &[2, 4, 3, 3]);
}

/// What the fuzzers found worth keeping, through what they call. That it ends without a panic is the assertion.
#[test]
fn nothing_in_the_corpus_panics() {
    type Target = (&'static str, fn(&[u8]));
    let targets: [Target; 4] = [
        ("onnx", crate::common::fuzzed::onnx),
        ("nodes", crate::common::fuzzed::nodes),
        ("safetensors", crate::common::fuzzed::safetensors),
        ("json", crate::common::fuzzed::json),
    ];
    for (target, run) in targets {
        let mut count = 0;
        for (name, bytes) in crate::common::corpus::files(target) {
            let done = std::panic::catch_unwind(|| run(&bytes));
            assert!(done.is_ok(), "{name} panics");
            count += 1;
        }
        assert!(count > 0, "no corpus of {target}");
    }
}
