//! No GPU: ONNX files as exporters write them, which a consumer of the definition alone would refuse. What runs on
//! devices, tests/gpu/onnx.rs proves.

use crate::common::field::{self, Field};
use crate::common::golden::Outcome;
use crate::common::onnx_bytes::{
    Message, call, floats, function, graph, ints, message, model, model_with, node, shaped, value, value_of,
};
use excite::import::onnx::{Onnx, OnnxModel, OnnxOptions};
use excite::{Shape, Tensor};
use std::fs;
use std::path::Path;

#[test]
fn field_files_are_what_onnx_runtime_computes() {
    let check = |name: &String| -> Outcome {
        let file = Field::read(name)?;
        let model = file.model()?;
        file.check(&model.graph.reference(&file.input, &model.weights)?)
    };
    let names = field::names().unwrap();
    assert!(names.len() >= 20, "{names:?}");
    let failures: Vec<String> =
        names.iter().filter_map(|name| Some(format!("{name}: {}", check(name).err()?))).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn open(bytes: Vec<u8>) -> Onnx {
    Onnx::from_bytes(bytes, "written.onnx").unwrap()
}

fn imported(bytes: Vec<u8>) -> Result<OnnxModel, String> {
    let onnx = Onnx::from_bytes(bytes, "written.onnx").map_err(|e| e.to_string())?;
    onnx.model(&OnnxOptions::default()).map_err(|e| e.to_string())
}

/// The output `y` for this input.
fn run(model: &OnnxModel, x: &[f32]) -> Vec<f32> {
    let input = Tensor::new(model.graph.input_shape().with_batch(1), x.to_vec()).unwrap();
    model.graph.reference(&input, &model.weights).unwrap().remove("y").unwrap().into_data()
}

fn answer(bytes: Vec<u8>, x: &[f32]) -> Vec<f32> {
    run(&imported(bytes).unwrap(), x)
}

/// Expects a file to be refused with these parts in the one line of the message.
fn refused(bytes: Vec<u8>, parts: &[&str]) {
    let error = imported(bytes).map(drop).expect_err("the file must be refused");
    assert!(!error.contains('\n'), "{error}");
    parts.iter().for_each(|part| assert!(error.contains(part), "expected \"{part}\", got: {error}"));
}

#[test]
fn float_constants_may_be_large() {
    // A weight of 2^20 numbers and more; each column is that of the row's number.
    let (rows, columns) = (1025, 1024);
    let weight: Vec<f32> = (0..rows * columns).map(|i| (i % columns) as f32).collect();
    let constant = || node("Constant", &[], &["w"]);
    let product = || node("MatMul", &["x", "w"], &["y"]);
    let file = |constant: Message, tensors: &[Message]| {
        model(13, graph(&[value("x", &[1, rows as i64])], tensors, &[constant, product()], &["y"]))
    };
    let mut x = vec![0.0; rows];
    (x[0], x[1024]) = (1.0, 2.0);
    let large = file(constant().with_tensor("value", floats("", &[rows as i64, columns as i64], &weight)), &[]);
    assert_eq!(open(large.clone()).parameters(), (rows * columns) as u64);
    let y = answer(large, &x);
    assert!(y.iter().enumerate().all(|(i, &y)| y == 3.0 * i as f32));
    let half = node("ConstantOfShape", &["s"], &["w"]).with_tensor("value", floats("", &[1], &[0.5]));
    assert_eq!(answer(file(half, &[ints("s", &[rows as i64, columns as i64])]), &x), [1.5; 1024]);
    // The same of integers are not sizes of any network.
    let whole = node("ConstantOfShape", &["s"], &["w"]).with_tensor("value", ints("", &[1]));
    refused(file(whole, &[ints("s", &[rows as i64, columns as i64])]), &["integers of shape [1025, 1024]"]);
}

#[test]
fn constants_of_nodes_are_parameters() {
    let constants = [
        node("Constant", &[], &["a"]).with_tensor("value", floats("", &[1, 2, 1, 1], &[2.0, 3.0])),
        node("Constant", &[], &["b"]).with_float("value_float", 10.0),
        node("Constant", &[], &["shape"]).with_ints("value_ints", &[1, -1]),
        node("Constant", &[], &["unread"]).with_tensor("value", floats("", &[3], &[0.0; 3])),
    ];
    let nodes =
        [node("Mul", &["x", "a"], &["p"]), node("Add", &["p", "b"], &["q"]), node("Reshape", &["q", "shape"], &["y"])];
    let bytes = model(13, graph(&[value("x", &[1, 2, 1, 2])], &[], &[&constants[..], &nodes].concat(), &["y"]));
    let onnx = open(bytes.clone());
    assert_eq!(onnx.parameters(), 3);
    assert_eq!(
        onnx.ops(),
        [("Constant", 3), ("Add", 1), ("Mul", 1), ("Reshape", 1)].map(|(op, n)| (op.to_string(), n))
    );
    assert_eq!(answer(bytes, &[1.0, 2.0, 3.0, 4.0]), [12.0, 14.0, 19.0, 22.0]);
}

#[test]
fn dimensions_of_minus_one_are_open() {
    let file = |dims: &[i64]| model(13, graph(&[value("x", dims)], &[], &[node("Relu", &["x"], &["y"])], &["y"]));
    let onnx = open(file(&[-1, 2, -1, -1]));
    assert_eq!(onnx.inputs(), [("x".to_string(), vec![None, Some(2), None, None])]);
    let error = onnx.model(&OnnxOptions::default()).unwrap_err().to_string();
    assert!(error.contains("leaves dimension 2 of [?, 2, ?, ?] open: choose height and width (`--size`"), "{error}");
    let model = onnx.model(&OnnxOptions::default().size([3, 5])).unwrap();
    assert_eq!((model.graph.input_shape(), model.fixed_batch), (Shape::map(2, 3, 5), None));
    refused(file(&[1, -1, 4, 4]), &["leaves dimension 1 of [1, ?, 4, 4] open", "fix it when exporting"]);
    refused(file(&[1, -2, 4, 4]), &["has a dimension of -2"]);
}

/// A network of `x [1,4,2,2]`.
fn small(opset: i64, tensors: &[Message], nodes: &[Message]) -> Vec<u8> {
    model(opset, graph(&[value("x", &[1, 4, 2, 2])], tensors, nodes, &["y"]))
}

#[test]
fn old_operator_sets() {
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    for opset in [7, 8] {
        let scales = message().bytes(1, "scales").int(20, 6);
        let scales = [1.0, 1.0, 1.0, 2.0].into_iter().fold(scales, |to, scale| to.float(7, scale));
        let larger = node("Upsample", &["x"], &["y"]).bytes(5, scales);
        let expected: Vec<f32> = x.iter().flat_map(|&x| [x, x]).collect();
        assert_eq!(answer(small(opset, &[], &[larger]), &x), expected);
        let params: Vec<Message> = [("s", 2.0), ("b", 1.0), ("m", 0.5), ("v", 4.0)]
            .map(|(name, value)| floats(name, &[4], &[value; 4]))
            .into();
        let norm = |spatial| {
            node("BatchNormalization", &["x", "s", "b", "m", "v"], &["y"])
                .with_float("epsilon", 0.0)
                .with_int("spatial", spatial)
        };
        let expected: Vec<f32> = x.iter().map(|x| (x - 0.5) + 1.0).collect();
        assert_eq!(answer(small(opset, &params, &[norm(1)]), &x), expected);
        refused(small(opset, &params, &[norm(0)]), &["spatial 0 is not supported"]);
        // Of all elements behind the axis.
        let softmax = node("Softmax", &["x"], &["y"]);
        let y = answer(small(opset, &[], &[softmax]), &[3.0; 16]);
        assert!(y.iter().all(|y| (y - 1.0 / 16.0).abs() < 1e-6), "{y:?}");
    }
    for opset in [6, 29] {
        refused(small(opset, &[], &[node("Relu", &["x"], &["y"])]), &["supported are 7 to 28"]);
    }
}

#[test]
fn new_operator_sets() {
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    for opset in [26, 27, 28] {
        assert_eq!(answer(small(opset, &[], &[node("Relu", &["x"], &["y"])]), &x), x);
    }
    // Blocks, then channels; and since 28 also channels, then blocks.
    let blocks = |mode: &str| {
        let blocks = node("SpaceToDepth", &["x"], &["y"]).with_int("blocksize", 2);
        small(28, &[], &[if mode.is_empty() { blocks } else { blocks.with_text("mode", mode) }])
    };
    let by_place = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15].map(|i| i as f32);
    assert_eq!(answer(blocks(""), &x), by_place);
    assert_eq!(answer(blocks("DCR"), &x), by_place);
    assert_eq!(answer(blocks("CRD"), &x), x);
    refused(blocks("RCD"), &["mode \"RCD\" is not known"]);
}

#[test]
fn inputs_that_nothing_reads_need_no_values() {
    let inputs = |names: &[&str]| names.iter().map(|name| value(name, &[1, 2])).collect::<Vec<_>>();
    let dead = node("Neg", &["b"], &["dead"]);
    let file = |of: &[&str], node: Message| model(13, graph(&inputs(of), &[], &[node, dead.clone()], &["y"]));
    let relu = || node("Relu", &["x"], &["y"]);
    assert_eq!(answer(file(&["a", "b", "x"], relu()), &[-1.0, 2.0]), [0.0, 2.0]);
    let onnx = open(file(&["a", "b", "x"], relu()));
    assert_eq!(onnx.input(&OnnxOptions::default()).unwrap().name, "x");
    assert_eq!(onnx.inputs().len(), 3);
    refused(file(&["a", "b", "x"], node("Add", &["x", "a"], &["y"])), &["has 2 inputs (\"a\", \"x\")"]);
}

/// A network of `x [1,2,2,3]`, samples of 8 bits.
fn of_bytes(nodes: &[Message], tensors: &[Message]) -> Vec<u8> {
    model(13, graph(&[value_of("x", 2, &[1, 2, 2, 3])], tensors, nodes, &["y"]))
}

#[test]
fn inputs_of_8_bits_are_cast_before_they_are_computed_with() {
    let cast = |to| node("Cast", &["x"], &["f"]).with_int("to", to);
    let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 254.0, 255.0];
    let scale = || floats("c", &[3], &[1.0, 10.0, 100.0]);
    let bytes = of_bytes(&[cast(1), node("Mul", &["f", "c"], &["y"])], &[scale()]);
    let expected: Vec<f32> = x.iter().zip([1.0, 10.0, 100.0].into_iter().cycle()).map(|(x, c)| x * c).collect();
    assert_eq!(answer(bytes.clone(), &x), expected);
    let input = open(bytes).input(&OnnxOptions::default()).unwrap();
    assert!(input.bytes && input.channels_last);
    // Elements may be moved before.
    let moved = [
        node("Transpose", &["x"], &["t"]).with_ints("perm", &[0, 3, 1, 2]),
        node("Cast", &["t"], &["f"]).with_int("to", 6),
        node("Cast", &["f"], &["y"]).with_int("to", 1),
    ];
    assert_eq!(answer(of_bytes(&moved, &[]), &x), [0.0, 3.0, 6.0, 9.0, 1.0, 4.0, 7.0, 254.0, 2.0, 5.0, 8.0, 255.0]);
    // What integers would give is another answer than that of floats: 255 / 2, 255 + 1, -255.
    for op in ["Div", "Add", "Mul", "Sub", "Max"] {
        let two = || [shaped("c", 2, &[1]).packed(5, &[2])];
        refused(of_bytes(&[node(op, &["x", "c"], &["y"])], &two()), &[op, "computes with the input's integers"]);
        let after = [cast(6), node(op, &["f", "c"], &["y"])];
        refused(of_bytes(&after, &two()), &[op, "computes with the input's integers"]);
    }
    let chain = [node("Transpose", &["x"], &["t"]), node("Relu", &["t"], &["y"])];
    refused(of_bytes(&chain, &[]), &["Relu", "computes with the input's integers"]);
    refused(of_bytes(&[node("GlobalAveragePool", &["x"], &["y"])], &[]), &["computes with the input's integers"]);
    refused(of_bytes(&[cast(3), node("Identity", &["f"], &["y"])], &[]), &["Cast", "to integers"]);
    let words = model(13, graph(&[value_of("x", 7, &[1, 2])], &[], &[node("Relu", &["x"], &["y"])], &["y"]));
    refused(words, &["input \"x\" is of INT64, expected are floats or UINT8"]);
}

#[test]
fn channels_last_come_first_where_asked_for() {
    let nodes = [
        node("Transpose", &["x"], &["t"]).with_ints("perm", &[0, 3, 1, 2]),
        node("Conv", &["t", "w"], &["c"]),
        node("GlobalAveragePool", &["c"], &["p"]),
        node("Flatten", &["p"], &["y"]),
    ];
    let weight = || floats("w", &[2, 3, 1, 2], &(0..12).map(|i| i as f32).collect::<Vec<_>>());
    let file = |dims: &[i64]| model(13, graph(&[value("x", dims)], &[weight()], &nodes, &["y"]));
    let onnx = open(file(&[-1, 4, 5, 3]));
    let [last, first] =
        [false, true].map(|channels_first| onnx.model(&OnnxOptions::default().channels_first(channels_first)).unwrap());
    assert_eq!((last.graph.input_shape(), first.graph.input_shape()), (Shape::map(4, 5, 3), Shape::map(3, 4, 5)));
    let x: Vec<f32> = (0..60).map(|i| (i * 7 % 11) as f32).collect();
    let planes: Vec<f32> = (0..60).map(|i| x[i % 20 * 3 + i / 20]).collect();
    assert_eq!(run(&last, &x), run(&first, &planes));
    // Height and width are where the channels are not.
    let open_sides = open(file(&[-1, -1, -1, 3]));
    let options = OnnxOptions::default().size([4, 5]);
    assert_eq!(open_sides.model(&options).unwrap().graph.input_shape(), Shape::map(4, 5, 3));
    let error = open_sides.model(&OnnxOptions::default()).unwrap_err().to_string();
    assert!(error.contains("leaves dimension 1 of [?, ?, ?, 3] open: choose height and width"), "{error}");
    // Three columns are no channels where there are channels already.
    for dims in [[1, 3, 5, 3], [1, 1, 5, 3]] {
        let relu = graph(&[value("x", &dims)], &[], &[node("Relu", &["x"], &["y"])], &["y"]);
        assert!(!open(model(13, relu)).input(&OnnxOptions::default()).unwrap().channels_last, "{dims:?}");
    }
}

/// `x [1,2]` and functions.
fn calling(nodes: &[Message], functions: &[Message]) -> Vec<u8> {
    model_with(18, graph(&[value("x", &[1, 2])], &[], nodes, &["y"]), functions)
}

#[test]
fn functions_become_their_nodes() {
    let x = [-1.0, 2.0];
    // Twice the same function: its names are those of each call.
    let double = || function("Double", &["a"], &["b"], &[node("Add", &["a", "a"], &["b"])]);
    let square = || {
        let nodes = [node("Mul", &["p", "p"], &["q"]), call("Double", &["q"], &["r"])];
        function("TwiceTheSquare", &["p"], &["r"], &nodes)
    };
    let nodes = [call("TwiceTheSquare", &["x"], &["q"]), call("TwiceTheSquare", &["q"], &["y"])];
    let bytes = calling(&nodes, &[square(), double()]);
    assert_eq!(answer(bytes.clone(), &x), [8.0, 128.0]);
    assert_eq!(open(bytes).ops(), [("Add".to_string(), 2), ("Mul".to_string(), 2)]);

    // Attributes of the call, of the function, and of neither.
    let leaky = || {
        let nodes = [node("LeakyRelu", &["a"], &["b"]).with_reference("alpha", 1, "slope")];
        function("Leaky", &["a"], &["b"], &nodes)
    };
    let default = |value: f32| message().bytes(1, "slope").int(20, 1).float(2, value);
    let plain = [call("Leaky", &["x"], &["y"])];
    assert_eq!(answer(calling(&plain, &[leaky()]), &x), [-0.01, 2.0]);
    assert_eq!(answer(calling(&plain, &[leaky().bytes(11, default(0.5))]), &x), [-0.5, 2.0]);
    let given = [call("Leaky", &["x"], &["y"]).with_float("slope", 0.25)];
    assert_eq!(answer(calling(&given, &[leaky().bytes(11, default(0.5))]), &x), [-0.25, 2.0]);
    // A reference through two functions.
    let outer =
        function("Outer", &["a"], &["b"], &[call("Leaky", &["a"], &["b"]).with_reference("slope", 1, "outer_slope")]);
    let given = [call("Outer", &["x"], &["y"]).with_float("outer_slope", 4.0)];
    assert_eq!(answer(calling(&given, &[outer, leaky()]), &x), [-4.0, 2.0]);
    let outside = [node("LeakyRelu", &["x"], &["y"]).with_reference("alpha", 1, "slope")];
    refused(calling(&outside, &[]), &["attribute alpha must be"]);

    // Inputs left out, outputs left out, an input as output, outputs of one name.
    let clip = function("Upto", &["a", "least", "most"], &["b"], &[node("Clip", &["a", "least", "most"], &["b"])]);
    let nodes =
        [node("Constant", &[], &["one"]).with_float("value_float", 1.0), call("Upto", &["x", "", "one"], &["y"])];
    assert_eq!(answer(calling(&nodes, &[clip]), &x), [-1.0, 1.0]);
    let both = || function("Both", &["a"], &["a", "n", "n"], &[node("Neg", &["a"], &["n"])]);
    for (outputs, expected) in
        [(["y", "", ""], [-1.0, 2.0]), (["", "y", ""], [1.0, -2.0]), (["u", "v", "y"], [1.0, -2.0])]
    {
        assert_eq!(answer(calling(&[call("Both", &["x"], &outputs)], &[both()]), &x), expected, "{outputs:?}");
    }
    // Names of the graph are not seen from within, and those within not from without.
    let inner = || function("Inner", &["a"], &["b"], &[node("Neg", &["a"], &["n"]), node("Neg", &["n"], &["b"])]);
    let nodes = [node("Relu", &["x"], &["n"]), call("Inner", &["x"], &["m"]), node("Add", &["n", "m"], &["y"])];
    assert_eq!(answer(calling(&nodes, &[inner()]), &x), [-1.0, 4.0]);
    let outsider = || function("Outsider", &["a"], &["b"], &[node("Add", &["a", "x"], &["b"])]);
    refused(calling(&[call("Outsider", &["x"], &["y"])], &[outsider()]), &["nothing makes \"y/x\""]);
    // A name that is taken already.
    let nodes = [node("Relu", &["x"], &["m/n"]), call("Inner", &["x"], &["m"]), node("Add", &["m/n", "m"], &["y"])];
    assert_eq!(answer(calling(&nodes, &[inner()]), &x), [-1.0, 4.0]);
}

#[test]
fn functions_have_operator_sets_of_their_own() {
    // Softmax of all that is behind the axis before 13, along the axis since.
    let softmax = |opset| {
        let nodes = [node("Softmax", &["a"], &["b"]).with_int("axis", 1)];
        function("Share", &["a"], &["b"], &nodes).bytes(9, message().int(2, opset))
    };
    let file = |opset, function: Message| {
        let nodes = [call("Share", &["x"], &["y"])];
        model_with(opset, graph(&[value("x", &[1, 2, 2])], &[], &nodes, &["y"]), &[function])
    };
    let near = |bytes, share: f32| answer(bytes, &[1.0; 4]).iter().all(|y| (y - share).abs() < 1e-6);
    assert!(near(file(18, softmax(11)), 0.25) && near(file(11, softmax(18)), 0.5));
    refused(file(18, softmax(5)), &["function \"own.Share\", called by \"y\", uses operator set 5"]);
    // A function that stands for an op of ONNX goes before it; and overloads are told apart.
    let own_relu = function("Relu", &["a"], &["b"], &[node("Neg", &["a"], &["b"])]).bytes(10, "");
    assert_eq!(answer(calling(&[node("Relu", &["x"], &["y"])], &[own_relu]), &[1.0, 2.0]), [-1.0, -2.0]);
    let overloads = ["Neg", "Abs"].map(|op| function("F", &["a"], &["b"], &[node(op, &["a"], &["b"])]).bytes(13, op));
    let calls = [call("F", &["x"], &["m"]).bytes(8, "Abs"), call("F", &["m"], &["y"]).bytes(8, "Neg")];
    assert_eq!(answer(calling(&calls, &overloads), &[1.0, -2.0]), [-1.0, -2.0]);
}

#[test]
fn functions_without_sense_are_refused() {
    let own = [call("F", &["x"], &["y"])];
    let function = |nodes: &[Message]| function("F", &["a"], &["b"], nodes);
    refused(
        calling(&own, &[function(&[call("F", &["a"], &["b"])])]),
        &["function \"own.F\", called by", "calls itself"],
    );
    let other = crate::common::onnx_bytes::function("G", &["a"], &["b"], &[call("F", &["a"], &["b"])]);
    refused(calling(&own, &[function(&[call("G", &["a"], &["b"])]), other]), &["\"own.F\"", "calls itself"]);
    // One that nothing calls does no harm.
    let relu = [node("Relu", &["x"], &["y"])];
    assert_eq!(answer(calling(&relu, &[function(&[call("F", &["a"], &["b"])])]), &[1.0, -1.0]), [1.0, 0.0]);
    let neg = || function(&[node("Neg", &["a"], &["b"])]);
    refused(calling(&own, &[neg(), neg()]), &["has function \"own.F\" twice"]);
    refused(calling(&[call("F", &["x", "x"], &["y"])], &[neg()]), &["has 1 inputs and 1 outputs, 2 and 1 are given"]);
    refused(calling(&[call("F", &["x"], &["y", "z"])], &[neg()]), &["has 1 inputs and 1 outputs, 1 and 2 are given"]);
    refused(calling(&own, &[function(&[node("Neg", &["a"], &["a"])])]), &["makes values twice: \"x\""]);
    refused(calling(&own, &[function(&[])]), &["nothing makes output \"y\""]);
    refused(calling(&own, &[function(&[node("Foo", &["a"], &["b"])])]), &["Foo (\"y/b\")"]);
}

/// `y = relu(x w + b)`, with its weights in another file.
fn with_data(weight: &str, bias: &str) -> Vec<u8> {
    let entry = |tensor: Message, (key, text): (&str, &str)| tensor.bytes(13, message().bytes(1, key).bytes(2, text));
    let external = |name: &str, dims: &[i64], file: &str, offset: &str| {
        let entries = [("location", file), ("offset", offset)];
        entries.into_iter().fold(shaped(name, 1, dims).int(14, 1), entry)
    };
    let tensors = [external("w", &[2, 3], weight, "0"), external("b", &[3], bias, "24")];
    let nodes = [node("Gemm", &["x", "w", "b"], &["g"]), node("Relu", &["g"], &["y"])];
    model(18, graph(&[value("x", &[1, 2])], &tensors, &nodes, &["y"]))
}

#[test]
fn a_look_and_a_plan_need_no_data_of_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, with_data("model.onnx.data", "model.onnx.data")).unwrap();
    let closed = OnnxOptions::default();
    let onnx = Onnx::open(&path, &closed).unwrap();
    assert_eq!((onnx.parameters(), onnx.unread_files()), (9, vec!["model.onnx.data".to_string()]));
    let model = onnx.model(&closed).unwrap();
    excite::plan::Plan::new(&model.graph, 1, &excite::plan::Target::gpu(), &Default::default()).unwrap();
    let sentence = "tensor \"b\" and 1 more: their data is in another file, \"model.onnx.data\", which is read only when \
                    asked for (`--external-data`, `OnnxOptions::external_data`)";
    for error in [onnx.check_data().unwrap_err(), OnnxModel::from_onnx(&path).map(drop).unwrap_err()] {
        assert_eq!(error.to_string(), format!("{}: {sentence}", path.display()));
    }
    // Numbers that aren't there are none.
    let error = model.graph.reference(&Tensor::zeros([1, 2]), &model.weights).unwrap_err().to_string();
    assert!(error.contains("its data is in another file, \"model.onnx.data\""), "{error}");

    let allowed = OnnxOptions::default().external_data(true);
    let missing = Onnx::open(&path, &allowed).map(drop).unwrap_err().to_string();
    assert!(missing.contains("tensor \"w\" and 1 more: can't read external data"), "{missing}");
    assert_eq!(missing.matches("can't read").count(), 1, "{missing}");
    let numbers: Vec<u8> =
        [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0, 0.5, -20.0, 0.0].into_iter().flat_map(f32::to_le_bytes).collect();
    fs::write(folder.path().join("model.onnx.data"), numbers).unwrap();
    let model = OnnxModel::from_onnx_with(&path, &allowed).unwrap();
    assert_eq!(run(&model, &[1.0, 2.0]), [9.5, 0.0, 15.0]);
    assert!(Onnx::open(&path, &allowed).unwrap().check_data().is_ok());

    fs::write(&path, with_data("a.bin", "b.bin")).unwrap();
    let error = Onnx::open(Path::new(&path), &closed).unwrap().check_data().unwrap_err().to_string();
    assert!(error.contains("their data is in other files, \"a.bin\" and 1 more, which are read only"), "{error}");
}
