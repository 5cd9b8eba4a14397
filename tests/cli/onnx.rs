//! ONNX files on the command line.

use crate::Case;
use crate::onnx_file::{self, Dim, Node};
use crate::program::{Folder, asset, program, refuse, refused, run, succeed};
use excite::import::onnx::{OnnxModel, OnnxOptions};
use excite::import::safetensors;
use excite::{Tensor, image as images, zoo};
use libtest_mimic::Failed;
use serde_json::Value;

pub const CASES: &[Case] = &[
    Case::new("onnx/inspect", inspect),
    Case::new("onnx/inspect_look_alike", inspect_look_alike),
    Case::new("onnx/inspect_unsupported", inspect_unsupported),
    Case::new("onnx/inspect_open_size", inspect_open_size),
    Case::new("onnx/inspect_zoo_and_weights", inspect_zoo_and_weights),
    Case::new("onnx/inspect_channels_last", inspect_channels_last),
    Case::new("onnx/plan", plan),
    Case::new("onnx/plan_explain", plan_explain),
    Case::new("onnx/plan_wgsl", plan_wgsl),
    Case::new("onnx/plan_fixed_batch", plan_fixed_batch),
    Case::on_gpu("onnx/classify", classify),
    Case::on_gpu("onnx/classify_softmax_once", classify_softmax_once),
    Case::on_gpu("onnx/classify_configuration", classify_configuration),
    Case::on_gpu("onnx/classify_channels_last", classify_channels_last),
    Case::new("onnx/classify_refused", classify_refused),
    Case::on_gpu("onnx/run", run_tensors),
    Case::on_gpu("onnx/verify", verify),
    Case::on_gpu("onnx/bench", bench),
    Case::new("onnx/external_data", external_data),
    Case::new("onnx/no_model", no_model),
    Case::new("onnx/options_of_the_zoo", options_of_the_zoo),
];

/// An SE-ResNet for two images of 32x32, four SE blocks.
const SE_RESNET: &str = "tests/data/onnx/timm_se_resnet.torchscript.op17.onnx";
/// Batch, height and width are open; four SE blocks.
const OPEN: &str = "tests/data/onnx/dynamic_all_linear_se.dynamo.op20.onnx";
/// Pool, two layers, sigmoid, and no product.
const LOOK_ALIKE: &str = "tests/data/onnx/neg_mobilenetv3_head.dynamo.op18.onnx";
/// An image in colour.
const IMAGE: &str = "tests/data/timm/wide.png";

/// The mean of each plane, then these ops.
fn means(input: &[Dim], then: &[Node]) -> Vec<u8> {
    let pool = [Node::new("GlobalAveragePool"), Node::new("Flatten")];
    onnx_file::model(input, &[&pool, then].concat())
}

const ANY: Dim = Dim::Named("n");
const PHOTO: [Dim; 4] = [ANY, Dim::Size(3), Dim::Size(8), Dim::Size(8)];

fn json(args: &[&str]) -> Result<Value, Failed> {
    Ok(serde_json::from_str(&succeed(args)?)?)
}

fn array(value: &Value) -> Result<&Vec<Value>, Failed> {
    value.as_array().ok_or_else(|| format!("expected a list, found {value}").into())
}

fn contains(text: &str, parts: &[&str]) -> Result<(), Failed> {
    match parts.iter().find(|part| !text.contains(*part)) {
        None => Ok(()),
        Some(part) => Err(format!("\"{part}\" is not in\n{text}").into()),
    }
}

fn inspect() -> Result<(), Failed> {
    let text = succeed(&["inspect", SE_RESNET])?;
    contains(&text, &["opset          17", "[2, 3, 32, 32]", "Conv 18", "SE blocks      4", "avg", "sigmoid"])?;
    assert!(!text.contains("looks like") && !text.contains("not supported"), "{text}");
    let document = json(&["inspect", SE_RESNET, "--json"])?;
    let model = OnnxModel::from_onnx(SE_RESNET)?;
    let se_blocks = array(&document["se_blocks"])?;
    let names: Vec<&str> = se_blocks.iter().filter_map(|se_block| se_block["name"].as_str()).collect();
    assert!(names.iter().copied().eq(model.graph.se_blocks().map(|node| node.name.as_str())), "{names:?}");
    let first = &se_blocks[0];
    assert_eq!(
        (&first["squeeze"], &first["hidden"], &first["gate"]),
        (&"avg".into(), &"relu".into(), &"sigmoid".into())
    );
    let (channels, reduced) = (first["channels"].as_u64(), first["reduced"].as_u64());
    assert!(channels > reduced && reduced > Some(0) && first["height"].as_u64() > Some(1), "{first}");
    assert_eq!((&document["opset"], &document["producer"]), (&17.into(), &"pytorch".into()));
    assert_eq!(document["macs"], model.graph.macs());
    assert_eq!((&document["ops"]["Conv"], &document["ops"]["Sigmoid"]), (&18.into(), &4.into()));
    assert_eq!(document["inputs"][0]["shape"], Value::from(vec![2, 3, 32, 32]));
    assert_eq!(document["outputs"][0]["shape"][0], 2);
    assert_eq!((&document["error"], &document["fixed_batch"]), (&Value::Null, &Value::Null));
    Ok(())
}

fn inspect_look_alike() -> Result<(), Failed> {
    contains(
        &succeed(&["inspect", LOOK_ALIKE])?,
        &["SE blocks      0", "\nlooks like an SE block\n", "is no SE block: "],
    )?;
    let document = json(&["inspect", LOOK_ALIKE, "--json"])?;
    assert_eq!((&document["se"][0]["verdict"], &document["se"][0]["se_block"]), (&"rejected".into(), &Value::Null));
    Ok(())
}

fn inspect_unsupported() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let nodes = [Node::new("Relu"), Node::new("Einsum"), Node::new("GridSample"), Node::new("Einsum")];
    let file = folder.file("net.onnx", onnx_file::model(&PHOTO, &nodes))?;
    let error = [&*file, "not supported", "opset 17", "Einsum (\"node1\", \"node3\")", "GridSample (\"node2\")"];
    let ran = run(program().args(["inspect", &file]))?;
    refused(&ran, &error)?;
    contains(
        &ran.stdout,
        &["producer       by hand", "x [?, 3, 8, 8]", "Einsum 2", "(opset 17)\n", "  Einsum: node1, node3\n"],
    )?;
    assert!(!ran.stdout.contains("multiply-adds"), "{}", ran.stdout);
    let ran = run(program().args(["inspect", &file, "--json"]))?;
    refused(&ran, &error)?;
    let document: Value = serde_json::from_str(&ran.stdout)?;
    assert_eq!(document["unsupported"]["Einsum"], Value::from(vec!["node1", "node3"]));
    assert_eq!((&document["macs"], &document["ops"]["Relu"]), (&Value::Null, &1.into()));
    assert!(document["error"].as_str().is_some_and(|error| error.contains("not supported")), "{document}");
    for command in [&["plan"][..], &["verify"], &["bench"], &["classify", IMAGE, "--model"]] {
        refuse(&[command, &[&file]].concat(), &error)?;
    }
    Ok(())
}

fn inspect_open_size() -> Result<(), Failed> {
    let ran = run(program().args(["inspect", OPEN]))?;
    refused(&ran, &[OPEN, "--size"])?;
    contains(&ran.stdout, &["[?, 3, ?, ?]", "opset          20", "ops  "])?;
    let se_blocks = |size: &str| -> Result<Value, Failed> {
        Ok(json(&["inspect", OPEN, "--size", size, "--json"])?["se_blocks"].take())
    };
    let (square, wide) = (se_blocks("32")?, se_blocks("32x64")?);
    assert_eq!((array(&square)?.len(), array(&wide)?.len()), (4, 4));
    assert_eq!(square[0]["height"], wide[0]["height"]);
    assert_eq!(square[0]["width"].as_u64().map(|width| width * 2), wide[0]["width"].as_u64());
    refuse(&["inspect", SE_RESNET, "--size", "64"], &[SE_RESNET, "[2, 3, 32, 32]", "can't be resized"])
}

fn inspect_zoo_and_weights() -> Result<(), Failed> {
    let text = succeed(&["inspect", "seresnet50"])?;
    contains(&text, &["[?, 3, 224, 224]", "28.09 M (28088024)", "SE blocks      16", "conv2d", "layer4.2.se"])?;
    let digits = json(&["inspect", "digits", "--json", "--size", "9x7"])?;
    assert_eq!(digits["inputs"][0]["shape"], serde_json::json!([null, 1, 9, 7]));
    assert_eq!((&digits["parameters"], array(&digits["se"])?.len()), (&44_338.into(), 4));

    let weights = asset("digits_seresnet.safetensors");
    contains(&succeed(&["inspect", &weights])?, &["(44338)", "digits_seresnet\n", "\nfc.bias ", "  [10]\n"])?;
    let document = json(&["inspect", &weights, "--json"])?;
    assert_eq!(document["networks"], Value::from(vec!["digits_seresnet"]));
    assert_eq!(document["tensors"]["fc.bias"], Value::from(vec![10]));
    let folder = Folder::new()?;
    let other = folder.tensors("other.safetensors", &[("a", Tensor::zeros([2, 3]))])?;
    contains(&succeed(&["inspect", &other])?, &["no network of `excite models`", "a  [2, 3]"])?;
    refuse(&["inspect", &other, "--size", "8"], &["--size", &other])?;
    refuse(&["inspect", &folder.path(".")], &["expected model.safetensors"])?;
    refuse(&["inspect", IMAGE], &[IMAGE, "expected a network", ".onnx"])
}

fn plan() -> Result<(), Failed> {
    let document = json(&["plan", SE_RESNET, "--json", "--batch", "3"])?;
    let full = array(&document["steps"])?.len();
    let none = json(&["plan", SE_RESNET, "--json", "--fusion", "none"])?;
    let plain = json(&["plan", SE_RESNET, "--json", "--without-se"])?;
    assert!(full < array(&none["steps"])?.len() && array(&plain["steps"])?.len() < full);
    assert_eq!((&document["batch"], &document["fixed_batch"]), (&3.into(), &Value::Null));
    // Height by width.
    contains(&succeed(&["plan", OPEN, "--size", "24x40"])?, &["dispatches"])?;
    refuse(&["plan", OPEN], &[OPEN, "--size"])
}

fn plan_explain() -> Result<(), Failed> {
    let text = succeed(&["plan", SE_RESNET, "--explain"])?;
    assert_eq!(text.matches("\" is SE block \"").count(), 4, "{text}");
    contains(&succeed(&["plan", LOOK_ALIKE, "--explain"])?, &["is no SE block: ", "planned for "])?;
    let text = succeed(&["plan", "digits", "--explain", "--without-se"])?;
    assert_eq!(text.matches("\" is SE block \"").count(), 4, "{text}");
    contains(&succeed(&["plan", "digits_resnet", "--explain"])?, &["looks like one: nothing\n"])?;
    let document = json(&["plan", SE_RESNET, "--explain", "--json"])?;
    assert!(array(&document["se"])?.iter().all(|found| found["verdict"] == "se" && found["se_block"].is_string()));
    assert_eq!(array(&document["se"])?.len(), 4);
    // Every dispatch belongs to one region, in order, but for what makes outputs dense; and each decision has its reason.
    let regions = array(&document["regions"])?;
    let mut steps = Vec::new();
    for region in regions {
        steps.extend(array(&region["dispatches"])?);
    }
    assert!(steps.iter().enumerate().all(|(index, step)| **step == index), "{steps:?}");
    assert!(array(&document["steps"])?.len() - steps.len() <= 1, "{document}");
    let ways = ["gates ", "a whole SE block ", "first layer, "];
    let of_se =
        |region: &&Value| ways.iter().any(|way| region["algorithm"].as_str().is_some_and(|a| a.starts_with(way)));
    let blocks: Vec<&Value> = regions.iter().filter(of_se).collect();
    assert_eq!(blocks.len(), 4, "{document}");
    for block in blocks {
        assert!(array(&block["because"])?.len() >= 2, "{block}");
    }
    contains(&text, &["regions: what each dispatch computes, and why\n", "       because "])?;
    // Sums in the last convolution, where reading the map again is dear.
    let text = succeed(&["plan", "resnet50", "--batch", "32", "--explain"])?;
    contains(&text, &["  global_pool: pools, of sums that layer4.2.conv3 keeps, dispatch 54\n"])?;
    Ok(())
}

/// Every pipeline once, as source that parses by itself, and a list with constants.
fn plan_wgsl() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let directory = folder.path("made/wgsl");
    let document = json(&["plan", "digits", "--wgsl", &directory, "--json"])?;
    let list: Value = serde_json::from_slice(&std::fs::read(format!("{directory}/pipelines.json"))?)?;
    let pipelines = array(&list["pipelines"])?;
    assert_eq!(Some(pipelines.len() as u64), document["pipelines"].as_u64(), "{list}");
    let mut dispatches = 0;
    for pipeline in pipelines {
        let file = pipeline["file"].as_str().ok_or("a file's name")?;
        let source = std::fs::read_to_string(format!("{directory}/{file}"))?;
        let module = naga::front::wgsl::parse_str(&source).map_err(|error| error.emit_to_string(&source))?;
        let known: Vec<&str> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
        let constants = pipeline["constants"].as_object().ok_or("constants by name")?;
        assert!(constants.keys().all(|name| known.contains(&name.as_str())), "{file}: {constants:?}, {known:?}");
        dispatches += array(&pipeline["dispatches"])?.len();
    }
    assert_eq!(dispatches, array(&document["steps"])?.len());
    // A place that is none.
    let taken = folder.file("taken", b"a file")?;
    refuse(&["plan", "digits", "--wgsl", &taken], &["taken", "can't be written"])
}

/// Two images as one row: what no other batch has.
fn fixed_batch() -> Vec<u8> {
    let input = [Dim::Size(2), Dim::Size(3), Dim::Size(4), Dim::Size(4)];
    onnx_file::model(&input, &[Node::new("Flatten").with("axis", 0)])
}

fn plan_fixed_batch() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let file = folder.file("two.onnx", fixed_batch())?;
    let fixed = "fixed at 2 (Flatten \"node0\" (opset 17): ";
    contains(&succeed(&["inspect", &file])?, &[&format!("batch          {fixed}"), "x [2, 3, 4, 4]"])?;
    contains(
        &succeed(&["plan", &file, "--batch", "3"])?,
        &[fixed, "planned for 3 of the file's batches, each for itself"],
    )?;
    let document = json(&["plan", &file, "--json"])?;
    assert!(document["fixed_batch"].as_str().is_some_and(|text| text.starts_with(fixed)), "{document}");
    refuse(&["classify", IMAGE, "--model", &file], &[&file, "can't classify images one by one", fixed])
}

/// Index, name and probability.
type Class = (usize, String, f64);

/// Class, label and probability of an image, most probable first; and what is said on standard error.
fn answers(args: &[&str]) -> Result<(Vec<Class>, String), Failed> {
    let ran = run(program().args([&["classify", IMAGE, "--json", "--top", "1000"], args].concat()))?;
    if ran.code != Some(0) {
        return Err(format!("exit status {:?}, standard error: {}", ran.code, ran.stderr).into());
    }
    let document: Value = serde_json::from_str(&ran.stdout)?;
    let answer = |class: &Value| {
        let index = class["class"].as_u64()? as usize;
        Some((index, class["label"].as_str()?.to_string(), class["probability"].as_f64()?))
    };
    Ok((array(&document["images"][0]["classes"])?.iter().filter_map(answer).collect(), ran.stderr))
}

/// The same by the reference, of an image prepared so.
fn expected(model: &OnnxModel, preprocess: &images::Preprocess) -> Result<Vec<f64>, Failed> {
    let logits = model.graph.reference(&images::load(IMAGE, preprocess)?, &model.weights)?;
    let logits = logits[&model.graph.outputs()[0].0].data();
    let exps: Vec<f64> = logits.iter().map(|&logit| f64::from(logit).exp()).collect();
    let sum: f64 = exps.iter().sum();
    Ok(exps.iter().map(|exp| exp / sum).collect())
}

fn same(expected: &[f64], got: &[(usize, String, f64)]) {
    assert_eq!(expected.len(), got.len());
    for (class, _, probability) in got {
        assert!((expected[*class] - probability).abs() < 1e-5, "class {class}: {} {probability}", expected[*class]);
    }
}

fn classify() -> Result<(), Failed> {
    let assumed = zoo::Pretrained::assumed(1000).preprocess;
    let preprocess = images::Preprocess { size: [32, 32], ..assumed.clone() };
    let (answer, told) = answers(&["--model", SE_RESNET])?;
    same(&expected(&OnnxModel::from_onnx(SE_RESNET)?, &preprocess)?, &answer);
    assert_eq!(answer[0].1, format!("class {}", answer[0].0));
    contains(
        &told,
        &["images: 32x32, crop 0.875 (center), bicubic, mean 0.485 0.456 0.406, std 0.229 0.224 0.225; assumed"],
    )?;
    let options = OnnxOptions::default().size([40, 24]);
    let preprocess = images::Preprocess { size: [40, 24], crop_pct: 1.0, ..assumed };
    let (answer, told) = answers(&["--model", OPEN, "--size", "40x24", "--crop", "1", "--batch", "2"])?;
    same(&expected(&OnnxModel::from_onnx_with(OPEN, &options)?, &preprocess)?, &answer);
    contains(&told, &["images: 40x24, crop 1 "])?;
    // A line an image.
    let lines = succeed(&["classify", IMAGE, "tests/data/cmyk.jpg", "--model", SE_RESNET])?;
    assert!(lines.lines().count() == 2 && lines.starts_with(IMAGE), "{lines}");
    Ok(())
}

fn classify_softmax_once() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let logits = folder.file("logits.onnx", means(&PHOTO, &[]))?;
    let (expected, _) = answers(&["--model", &logits])?;
    assert!(expected.len() == 3 && expected[0].2 > 0.34, "{expected:?}");
    for op in ["Softmax", "LogSoftmax"] {
        let file = folder.file("softmax.onnx", means(&PHOTO, &[Node::new(op).with("axis", 1)]))?;
        for ((class, _, probability), (other, _, found)) in expected.iter().zip(answers(&["--model", &file])?.0) {
            assert!(*class == other && (probability - found).abs() < 1e-6, "{op}: {probability} {found}");
        }
    }
    // A probability for each class, which don't add up to 1.
    let file = folder.file("sigmoid.onnx", means(&PHOTO, &[Node::new("Sigmoid")]))?;
    let sigmoid = |logit: f32| 1.0 / (1.0 + (-f64::from(logit)).exp());
    let preprocess = images::Preprocess { size: [8, 8], ..zoo::Pretrained::assumed(3).preprocess };
    let image = images::load(IMAGE, &preprocess)?;
    for (class, _, probability) in answers(&["--model", &file])?.0 {
        let mean = image.data()[class * 64..][..64].iter().sum::<f32>() / 64.0;
        assert!((sigmoid(mean) - probability).abs() < 1e-5, "{} {probability}", sigmoid(mean));
    }
    Ok(())
}

fn classify_configuration() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let open = [ANY, Dim::Size(3), Dim::Named("h"), Dim::Named("w")];
    let file = folder.file("net.onnx", means(&open, &[]))?;
    refuse(&["classify", IMAGE, "--model", &file], &[&file, "--size"])?;
    let config = r#"{"architecture": "mine", "num_classes": 3, "label_names": ["red", "green", "blue"],
        "pretrained_cfg": {"input_size": [3, 20, 30], "mean": [0, 0, 0], "std": [1, 1, 1], "crop_pct": 1}}"#;
    let config = folder.file("config.json", config)?;
    let (answer, told) = answers(&["--model", &file])?;
    contains(&told, &["images: 20x30, crop 1 (center), bicubic, mean 0 0 0, std 1 1 1; as ", &config])?;
    let black = images::Preprocess {
        size: [20, 30],
        crop_pct: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
        ..zoo::Pretrained::assumed(3).preprocess
    };
    let options = OnnxOptions::default().size([20, 30]);
    same(&expected(&OnnxModel::from_onnx_with(&file, &options)?, &black)?, &answer);
    assert_eq!(answer[0].1, ["red", "green", "blue"][answer[0].0]);
    let labels = folder.file("labels.txt", "rot\ngr\u{fc}n\nblau\n")?;
    let (german, _) = answers(&["--model", &file, "--labels", &labels, "--size", "9"])?;
    assert_eq!(german[0].1, ["rot", "gr\u{fc}n", "blau"][german[0].0]);
    folder.file("config.json", r#"{"num_classes": 2}"#)?;
    refuse(&["classify", IMAGE, "--model", &file], &[&file, "has 3 classes, the config.json beside it says 2"])
}

fn classify_refused() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let gray = folder.file("gray.onnx", means(&[ANY, Dim::Size(1), Dim::Size(8), Dim::Size(8)], &[]))?;
    let map = folder.file("map.onnx", onnx_file::model(&PHOTO, &[Node::new("Relu")]))?;
    let row = folder.file("row.onnx", onnx_file::model(&[ANY, Dim::Size(7)], &[Node::new("Relu")]))?;
    let refuse = |model: &str, parts: &[&str]| refuse(&["classify", IMAGE, "--model", model], parts);
    refuse(&gray, &[&gray, "expected an input for images, 3xHxW, found 1x8x8"])?;
    refuse(&row, &[&row, "expected an input for images, 3xHxW, found 7"])?;
    refuse(&map, &[&map, "is no classifier", "\"y\"", "found 3x8x8"])
}

fn run_tensors() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let images = Tensor::from_fn([3, 3, 24, 20], |i| (i * 37 % 256) as f32 / 255.0);
    let input = folder.tensors("in.safetensors", &[("input", images.clone())])?;
    let output = folder.path("out.safetensors");
    succeed(&["run", OPEN, "--input", &input, "--output", &output, "--gates"])?;
    let options = OnnxOptions::default().size([24, 20]);
    let model = OnnxModel::from_onnx_with(OPEN, &options)?;
    let expected = model.graph.with_gate_outputs().reference(&images, &model.weights)?;
    let got = safetensors::read(&output)?;
    assert!(expected.len() == 5 && got.keys().eq(expected.keys()), "{:?}", got.keys());
    for (name, tensor) in &expected {
        let allowed = 2e-5 * tensor.max_abs().max(1.0);
        let close = tensor.data().iter().zip(got[name].data()).all(|(a, b)| (a - b).abs() <= allowed);
        assert!(close && tensor.shape() == got[name].shape(), "{name}");
    }
    let narrow = folder.tensors("narrow.safetensors", &[("input", Tensor::zeros([1, 2, 24, 20]))])?;
    let ran = run(program().args(["run", OPEN, "--input", &narrow, "--output", &output]))?;
    assert!(ran.code == Some(1) && ran.stderr.contains("3, 24, 20"), "{}", ran.stderr);
    refuse(&["run", SE_RESNET, "--input", &input, "--output", &output], &[SE_RESNET, "fixed at"])?;

    // Channels last, as the file has them.
    let values = safetensors::read(CHANNELS_LAST.replace(".onnx", ".values.safetensors"))?;
    let one = |of: &str| values.iter().find(|(name, _)| name.starts_with(of)).ok_or("values of the file");
    let (images, (name, expected)) = (one("in.")?.1, one("out.")?);
    let input = folder.tensors("last.safetensors", &[("input", images.clone())])?;
    succeed(&["run", CHANNELS_LAST, "--input", &input, "--output", &output])?;
    let got = &safetensors::read(&output)?[&name["out.".len()..]];
    assert!(expected.shape() == got.shape() && expected.data().len() == 10);
    assert!(expected.data().iter().zip(got.data()).all(|(a, b)| (a - b).abs() <= 2e-5), "{expected:?} {got:?}");

    // A network that looks across images gets the file's whole batch, and no other.
    let file = folder.file("two.onnx", fixed_batch())?;
    let two = Tensor::from_fn([2, 3, 4, 4], |i| i as f32);
    let input = folder.tensors("two.safetensors", &[("input", two.clone())])?;
    succeed(&["run", &file, "--input", &input, "--output", &output])?;
    assert_eq!(safetensors::read(&output)?["y"].data(), two.data());
    let input = folder.tensors("three.safetensors", &[("input", Tensor::zeros([3, 3, 4, 4]))])?;
    refuse(
        &["run", &file, "--input", &input, "--output", &output],
        &["three.safetensors", "has 3 images", "fixed at 2 (Flatten"],
    )
}

fn verify() -> Result<(), Failed> {
    let document = json(&["verify", OPEN, "--size", "16x12", "--batch", "2", "--json"])?;
    assert_eq!((&document["passed"], &document["weights"]), (&true.into(), &OPEN.into()));
    let nodes = array(&document["nodes"])?;
    assert!(nodes.iter().any(|node| node["kind"] == "squeeze_excite"), "{document}");
    let folder = Folder::new()?;
    let file = folder.file("two.onnx", fixed_batch())?;
    let ran = run(program().args(["verify", &file, "--batch", "3"]))?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    contains(&ran.stderr, &["--batch 3 runs that many of the file's batches, each for itself: the batch is fixed at 2"])
}

fn bench() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let file = folder.file("means.onnx", means(&PHOTO, &[]))?;
    let document = json(&["bench", &file, "--json"])?;
    assert_eq!((&document["network"], &document["size"]), (&file.as_str().into(), &Value::from(vec![8, 8])));
    assert!(document["run"]["median_ms"].as_f64() > Some(0.0) && document["error"].as_f64() < Some(2e-5));
    refuse(&["bench", &file, "--without-se"], &["--without-se", &file, "has no SE block"])
}

fn external_data() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let file = folder.file("net.onnx", onnx_file::with_external_bias(&PHOTO, "net.onnx.data"))?;
    // Shapes are enough for a look and a plan.
    contains(
        &succeed(&["inspect", &file])?,
        &["\n  data           in net.onnx.data, not read without --external-data\n"],
    )?;
    assert_eq!(json(&["inspect", &file, "--json"])?["unread_files"], Value::from(vec!["net.onnx.data"]));
    succeed(&["plan", &file])?;
    let sentence =
        "its data is in another file, \"net.onnx.data\", which is read only when asked for (`--external-data`, ";
    let commands: [&[&str]; 3] = [&["verify"], &["bench"], &["classify", IMAGE, "--model"]];
    for command in commands {
        refuse(&[command, &[&file]].concat(), &[&file, sentence])?;
    }
    refuse(&["plan", &file, "--external-data"], &[&file, "can't read external data", "net.onnx.data"])?;
    folder.file("net.onnx.data", [0u8; 12])?;
    for command in [&["inspect"][..], &["plan"]] {
        let text = succeed(&[command, &[&file, "--external-data"]].concat())?;
        assert!(!text.contains("not read"), "{text}");
    }
    Ok(())
}

/// A network for images of 16x16 with their channels last, of 8 bits; it normalises them itself.
const BYTES: &str = "tests/data/field/uint8_nhwc_input.onnx";
/// One of floats with their channels last, for images of 16x14.
const CHANNELS_LAST: &str = "tests/data/field/se_keras_tf2onnx.onnx";

fn inspect_channels_last() -> Result<(), Failed> {
    contains(
        &succeed(&["inspect", BYTES])?,
        &["x [?, 16, 16, 3], channels last (NHWC), samples of 8 bits that the file normalises itself\n"],
    )?;
    let given = json(&["inspect", BYTES, "--json"])?["given"].take();
    assert_eq!(given, serde_json::json!({ "name": "x", "channels_last": true, "bytes": true }));
    contains(&succeed(&["inspect", CHANNELS_LAST])?, &["16, 14, 3], channels last (NHWC)\n"])?;
    contains(
        &succeed(&["inspect", "tests/data/field/unused_input.onnx"])?,
        &["x [?, 3, 9, 7]\n", "unused [1], given no value: nothing reads it\n"],
    )
}

fn classify_channels_last() -> Result<(), Failed> {
    let options = OnnxOptions::default().channels_first(true);
    let model = OnnxModel::from_onnx_with(CHANNELS_LAST, &options)?;
    let preprocess = images::Preprocess { size: [16, 14], ..zoo::Pretrained::assumed(5).preprocess };
    let (answer, told) = answers(&["--model", CHANNELS_LAST])?;
    contains(&told, &["images: 16x14, ", "mean 0.485 0.456 0.406"])?;
    let logits = model.graph.reference(&images::load(IMAGE, &preprocess)?, &model.weights)?;
    let found = &logits[&model.graph.outputs()[0].0];
    let sum: f32 = found.data().iter().sum();
    match (sum - 1.0).abs() < 1e-5 {
        true => same(&found.data().iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), &answer),
        false => same(&expected(&model, &preprocess)?, &answer),
    }

    // Samples as they are: what the file makes of 0 to 255.
    let model = OnnxModel::from_onnx_with(BYTES, &options)?;
    let preprocess = images::Preprocess { size: [16, 16], ..zoo::Pretrained::assumed(8).preprocess };
    let samples = preprocess.pixels(&images::open(IMAGE)?)?;
    let planes = Tensor::from_fn([1, 3, 16, 16], |i| f32::from(samples[i % 256 * 3 + i / 256]));
    let logits = model.graph.reference(&planes, &model.weights)?["y"].clone();
    let exps: Vec<f64> = logits.data().iter().map(|&logit| f64::from(logit).exp()).collect();
    let sum: f64 = exps.iter().sum();
    let (answer, told) = answers(&["--model", BYTES])?;
    same(&exps.iter().map(|exp| exp / sum).collect::<Vec<_>>(), &answer);
    contains(&told, &["samples 0 to 255 as they are, which the file normalises itself"])
}

/// Runs every command that takes a model with this one.
fn refuse_model(model: &str, parts: &[&str]) -> Result<(), Failed> {
    for command in [&["plan"][..], &["inspect"], &["verify"], &["bench"], &["classify", IMAGE, "--model"]] {
        refuse(&[command, &[model]].concat(), parts)?;
    }
    refuse(
        &["run", model, "--input", IMAGE, "--output", "/nonexistent/x"],
        if model.ends_with(".onnx") { &[] } else { parts },
    )
}

fn no_model() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let missing = folder.path("nowhere.onnx");
    refuse_model(&missing, &[&missing, "can't read the model"])?;
    let directory = folder.path("dir.onnx");
    std::fs::create_dir(&directory)?;
    refuse_model(&directory, &[&directory, "expected an ONNX file, found a directory"])?;
    let text = folder.file("notes.onnx", "This is text, and no network at all.\n")?;
    refuse_model(&text, &[&text, "ONNX file"])?;
    let empty = folder.file("empty.onnx", b"")?;
    refuse_model(&empty, &[&empty, "ONNX file"])?;
    let bytes = std::fs::read(SE_RESNET)?;
    let cut = folder.file("cut.ONNX", &bytes[..bytes.len() / 2])?;
    refuse(&["plan", &cut], &[&cut])?;
    for (name, part) in [("net.pt", "torch.onnx.export"), ("net.pth", "torch.onnx.export"), ("net.pb", "tf2onnx")] {
        let file = folder.file(name, &bytes[..100])?;
        refuse_model(&file, &[&file, part])?;
    }
    let other = folder.file("net.txt", "x")?;
    refuse_model(&other, &[&other, "expected a network of `excite models` or a file named .onnx"])?;
    let weights = asset("digits_seresnet.safetensors");
    refuse(&["plan", &weights], &[&weights, "holds weights and no network"])?;
    refuse(&["plan", "tests"], &["tests", "found a directory"])
}

fn options_of_the_zoo() -> Result<(), Failed> {
    let weights = asset("digits_seresnet.safetensors");
    let own = [SE_RESNET, "has its own weights"];
    for command in [&["verify", SE_RESNET][..], &["bench", SE_RESNET], &["classify", IMAGE, "--model", SE_RESNET]] {
        refuse(&[command, &["--weights", &weights]].concat(), &[&own[..], &["--weights"]].concat())?;
        refuse(&[command, &["--classes", "3"]].concat(), &["--classes", SE_RESNET, "exported with"])?;
    }
    refuse(&["verify", SE_RESNET, "--seed", "1"], &[&own[..], &["--seed"]].concat())?;
    refuse(&["classify", IMAGE, "--model", SE_RESNET, "--revision", "v1"], &[&own[..], &["--revision"]].concat())
}
