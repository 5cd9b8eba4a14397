//! What the program does when all is well.

use crate::Case;
use crate::program::{Folder, asset, digits, program, run, succeed};
use excite::import::safetensors;
use excite::{Tensor, Weights, zoo};
use image::{DynamicImage, ImageFormat, Luma};
use libtest_mimic::Failed;
use serde_json::Value;
use std::io::{Cursor, Read};
use std::process::Stdio;

pub const CASES: &[Case] = &[
    Case::on_gpu("devices/named", devices),
    Case::new("models/listed", models),
    Case::new("models/by_name", models_by_name),
    Case::new("plan/text_and_json", plan),
    Case::new("plan/is_the_same_each_time", plan_is_the_same),
    Case::on_gpu("plan/for_an_adapter", plan_for_an_adapter),
    Case::on_gpu("classify/bundled_digits", classify),
    Case::on_gpu("classify/json", classify_json),
    Case::on_gpu("classify/one_pixel", one_pixel),
    Case::on_gpu("classify/16_bits", sixteen_bits),
    Case::on_gpu("classify/cmyk", cmyk),
    Case::on_gpu("run/round_trip", round_trip),
    Case::on_gpu("run/outputs_by_name", outputs_by_name),
    Case::on_gpu("run/another_size_and_seed", another_size),
    Case::on_gpu("run/other_channels_and_no_classifier", other_channels),
    Case::on_gpu("verify/digits", verify),
    Case::on_gpu("bench/digits", bench),
    Case::on_gpu("bench/pipelines_on_disk", bench_twice),
    Case::on_gpu("bench/start", bench_start),
    Case::on_gpu("ranges/for_half_precision", ranges),
    Case::new("output/closed_pipe", closed_pipe),
    #[cfg(target_os = "linux")]
    Case::new("devices/none", no_devices),
];

fn json(args: &[&str]) -> Result<Value, Failed> {
    Ok(serde_json::from_str(&succeed(args)?)?)
}

fn devices() -> Result<(), Failed> {
    let adapters = excite::gpu::adapters();
    let text = succeed(&["devices"])?;
    for adapter in &adapters {
        assert!(text.contains(&format!("{}: {}", adapter.index, adapter.text)), "{text}");
    }
    let document = json(&["devices", "--json"])?;
    assert_eq!(document["adapters"].as_array().map(Vec::len), Some(adapters.len()));
    assert_eq!(document["adapters"][0]["name"], adapters[0].info.name.as_str());
    Ok(())
}

fn models() -> Result<(), Failed> {
    let text = succeed(&["models"])?;
    let line = text.lines().find(|line| line.starts_with("seresnet50 ")).ok_or("no line for seresnet50")?;
    for part in ["28.09 M", "4.09 G", " 16 ", "3x224x224", "1000"] {
        assert!(line.contains(part), "{line}");
    }
    let document = json(&["models", "--json"])?;
    let models = document["models"].as_array().ok_or("no list of models")?;
    assert_eq!(models.len(), zoo::entries().len());
    let digits = models.iter().find(|model| model["name"] == "digits_seresnet").ok_or("no digits_seresnet")?;
    assert_eq!((&digits["parameters"], &digits["se_blocks"]), (&Value::from(44_338), &Value::from(4)));
    assert_eq!(digits["bundled_weights"], true);
    Ok(())
}

fn models_by_name() -> Result<(), Failed> {
    let listed = succeed(&["models", "legacy_"])?;
    assert_eq!(listed.lines().count(), 1 + zoo::entries().iter().filter(|e| e.name.contains("legacy_")).count());
    assert!(listed.lines().skip(1).all(|line| line.starts_with("legacy_")), "{listed}");
    let one = succeed(&["models", "seresnet50"])?;
    for part in [
        "\nweights seresnet50.a1_in1k\n",
        "\nweights seresnet50.ra2_in1k\n",
        "https://huggingface.co/timm/seresnet50.ra2_in1k",
        "224x224, crop 0.95 (center), bicubic, mean 0.485 0.456 0.406, std 0.229 0.224 0.225; evaluated at 288x288",
        "top-1, top-5   80.26 %, 95.07 % at 224x224, crop 0.875; 81.29 %, 95.65 % at 288x288, crop 0.95",
    ] {
        assert!(one.contains(part), "{part} is not in\n{one}");
    }
    assert!(!one.contains("legacy"), "{one}");
    let tag = json(&["models", "seresnet50.a3_in1k", "--json"])?;
    let weights = &tag["models"][0]["weights"];
    assert_eq!((&weights[0]["name"], &weights[1]), (&"seresnet50.a3_in1k".into(), &Value::Null));
    assert_eq!((&weights[0]["mean"][0], &weights[0]["input_size"][2]), (&0.485.into(), &160.into()));
    let accuracy = serde_json::json!({ "top1": 75.104, "top5": 92.096, "size": 160, "crop_pct": 0.95 });
    assert_eq!(weights[0]["accuracy"][0], accuracy);
    Ok(())
}

fn plan() -> Result<(), Failed> {
    let dispatches = |args: &[&str]| -> Result<u64, Failed> {
        let document = json(&[&["plan", "digits", "--json"], args].concat())?;
        assert_eq!(document["steps"][0]["reads"][0]["from"], "input");
        assert_eq!(document["steps"][1]["reads"][0]["from"], document["steps"][0]["name"]);
        assert_eq!(document["steps"][1]["reads"][1]["from"], "weights");
        let steps = document["steps"].as_array().ok_or("no steps")?.len();
        let text = succeed(&[&["plan", "digits"], args].concat())?;
        assert!(text.contains(&format!("\n{steps} dispatches, ")), "{text}");
        Ok(steps as u64)
    };
    let full = dispatches(&[])?;
    let kernels = dispatches(&["--fusion", "kernels", "--batch", "3"])?;
    let none = dispatches(&["--fusion", "none", "--target", "software"])?;
    let plain = dispatches(&["--without-se", "--size", "16x9"])?;
    assert!(full < kernels && kernels < none && plain < full, "{full} {kernels} {none} {plain}");
    se_blocks()?;
    let half = json(&["plan", "digits", "--precision", "f16", "--json"])?;
    assert_eq!((&half["precision"], &half["steps"][1]["half"]), (&"f16".into(), &true.into()));
    let text = succeed(&["plan", "digits", "--precision", "f16"])?;
    assert!(text.contains("fusion full precision f16\n") && text.contains(" (half) groups "), "{text}");
    Ok(())
}

/// What was chosen for SE blocks and for convolutions, and why.
fn se_blocks() -> Result<(), Failed> {
    let document = json(&["plan", "seresnet50", "--json", "--target", "integrated"])?;
    let se_block = &document["se_blocks"][0];
    assert_eq!(document["se_blocks"].as_array().map(Vec::len), Some(16));
    assert_eq!(
        (&se_block["name"], &se_block["channels"], &se_block["height"]),
        (&"layer1.0.se".into(), &256.into(), &56.into())
    );
    let says = |part: &str, words: &str| se_block[part].as_str().is_some_and(|text| text.starts_with(words));
    assert!(says("squeeze", "in layer1.0.conv2: ") && says("scale", "in layer1.0.conv3, "), "{se_block}");
    let steps = document["steps"].as_array().ok_or("no steps")?;
    // For 16 SE blocks, and for the global pool.
    assert_eq!(steps.iter().filter(|step| step["sums"] == true).count(), 17);
    assert_eq!((&steps[0]["nchw"], &steps[0]["chosen_by"]), (&true.into(), &"static".into()));
    assert!(steps[0]["choice"].as_str().is_some_and(|choice| choice.starts_with("tiled ")), "{}", steps[0]);
    let text = succeed(&["plan", "seresnet50", "--target", "integrated"])?;
    assert!(text.contains("\nSE blocks: a dispatch 6 us, ") && text.contains(" static choice tiled "), "{text}");
    let none = json(&["plan", "seresnet50", "--json", "--fusion", "none"])?;
    assert_eq!(none["se_blocks"].as_array().map(Vec::len), Some(0));
    Ok(())
}

fn plan_is_the_same() -> Result<(), Failed> {
    let plan = || succeed(&["plan", "seresnet50", "--batch", "2"]);
    assert_eq!(plan()?, plan()?);
    Ok(())
}

fn plan_for_an_adapter() -> Result<(), Failed> {
    let text = succeed(&["plan", "digits", "--device", "0"])?;
    assert!(text.starts_with(&format!("planned for {}", excite::gpu::adapters()[0].text)), "{text}");
    Ok(())
}

fn classify() -> Result<(), Failed> {
    let digits = digits()?;
    assert_eq!(digits.len(), 10);
    let paths: Vec<&str> = digits.iter().map(|(path, _)| path.as_str()).collect();
    for batch in ["1", "4"] {
        let ran = run(program().args([&["classify", "--batch", batch], &paths[..]].concat()))?;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains("running on "), "{}", ran.stderr);
        for ((path, label), line) in digits.iter().zip(ran.stdout.lines()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!((words[0], words[1]), (path.as_str(), label.as_str()), "{line}");
            assert!(line.ends_with(" ms"), "{line}");
        }
    }
    Ok(())
}

fn classify_json() -> Result<(), Failed> {
    let (path, label) = &digits()?[5];
    let document = json(&["classify", "--json", "--top", "3", "--model", "digits_resnet", path])?;
    assert_eq!((&document["model"], &document["images"][0]["image"]), (&"digits_resnet".into(), &path.as_str().into()));
    assert!(document["adapter"]["text"].is_string() && document["images"][0]["milliseconds"].is_number());
    let classes = document["images"][0]["classes"].as_array().ok_or("no classes")?;
    let probabilities: Vec<f64> = classes.iter().filter_map(|class| class["probability"].as_f64()).collect();
    assert_eq!(classes[0]["label"], label.as_str());
    assert!(probabilities.len() == 3 && probabilities.is_sorted_by(|a, b| a >= b), "{probabilities:?}");
    Ok(())
}

/// The label that `classify` gives an image.
fn label(path: &str) -> Result<String, Failed> {
    let document = json(&["classify", "--json", path])?;
    Ok(document["images"][0]["classes"][0]["label"].as_str().ok_or("no label")?.into())
}

fn one_pixel() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let mut bytes = Vec::new();
    DynamicImage::new_rgba16(1, 1).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    label(&folder.file("one.png", bytes)?).map(drop)
}

fn sixteen_bits() -> Result<(), Failed> {
    let folder = Folder::new()?;
    for (path, expected) in digits()? {
        let digit = image::open(&path)?.into_luma8();
        let wide = image::ImageBuffer::from_fn(8, 8, |x, y| Luma([u16::from(digit[(x, y)].0[0]) * 257]));
        let mut bytes = Vec::new();
        DynamicImage::ImageLuma16(wide).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
        assert_eq!(label(&folder.file("wide.png", bytes)?)?, expected, "{path}");
    }
    Ok(())
}

fn cmyk() -> Result<(), Failed> {
    label("tests/data/cmyk.jpg").map(drop)
}

fn close(expected: &Tensor, got: &Tensor, tolerance: f32) {
    assert_eq!(expected.shape(), got.shape());
    for (i, (a, b)) in expected.data().iter().zip(got.data()).enumerate() {
        assert!((a - b).abs() <= tolerance * expected.max_abs().max(1.0), "element {i}: expected {a}, got {b}");
    }
}

fn round_trip() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let images = Tensor::from_fn([3, 1, 8, 8], |i| (i * 37 % 256) as f32 / 255.0);
    let input = folder.tensors("in.safetensors", &[("input", images.clone())])?;
    let output = folder.path("out.safetensors");
    let graph = zoo::build("digits_seresnet", &zoo::Options::default())?.with_gate_outputs();
    let bundled = zoo::bundled_weights("digits_seresnet").ok_or("the digits network has weights")?;
    let expected = graph.reference(&images, &bundled)?;
    let weights = asset("digits_seresnet.safetensors");
    for fusion in ["none", "kernels", "full"] {
        let ran = run(program().args([
            "run",
            "digits",
            "--weights",
            &weights,
            "--input",
            &input,
            "--output",
            &output,
            "--gates",
            "--fusion",
            fusion,
        ]))?;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
        let got = safetensors::read(&output)?;
        assert!(got.keys().eq(expected.keys()), "{:?}", got.keys());
        assert!(got.contains_key("gate.layer2.1.se"));
        expected.iter().for_each(|(name, tensor)| close(tensor, &got[name], 2e-5));
    }
    assert_eq!(folder.names()?, ["in.safetensors", "out.safetensors"]);
    Ok(())
}

fn outputs_by_name() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let images = Tensor::from_fn([2, 1, 8, 8], |i| (i * 37 % 256) as f32 / 255.0);
    let input = folder.tensors("in.safetensors", &[("input", images.clone())])?;
    let output = folder.path("out.safetensors");
    let names = ["features", "gate.layer2.1.se", "layer1.0.conv1"];
    let asked = ["run", "digits", "--input", &input, "--output", &output, "--outputs"];
    succeed(&[&asked, &names[..]].concat())?;
    let got = safetensors::read(&output)?;
    let graph = zoo::build("digits_seresnet", &zoo::Options::default())?.with_outputs(&names)?;
    let weights = zoo::bundled_weights("digits_seresnet").ok_or("the digits network has weights")?;
    let expected = graph.reference(&images, &weights)?;
    assert!(got.keys().eq(expected.keys()) && got.len() == 4, "{:?}", got.keys());
    expected.iter().for_each(|(name, tensor)| close(tensor, &got[name], 2e-5));
    let parts = ["has no node \"layer1.0.konv1\"", "did you mean layer1.0.conv1"];
    crate::program::refuse(&[&asked[..], &["layer1.0.konv1"]].concat(), &parts)
}

fn another_size() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let images = Tensor::from_fn([1, 1, 11, 6], |i| (i * 37 % 256) as f32 / 255.0);
    let input = folder.tensors("in.safetensors", &[("input", images.clone())])?;
    let output = folder.path("out.safetensors");
    succeed(&["run", "digits", "--seed", "7", "--gain", "1.5", "--input", &input, "--output", &output])?;
    let got = safetensors::read(&output)?;
    let graph = zoo::build("digits_seresnet", &zoo::Options::default().size([11, 6]))?;
    close(&graph.reference(&images, &Weights::seeded(7, 1.5))?["logits"], &got["logits"], 2e-5);
    assert_eq!(got.len(), 1);
    Ok(())
}

fn other_channels() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let images = Tensor::from_fn([2, 4, 8, 8], |i| (i * 37 % 256) as f32 / 255.0);
    let input = folder.tensors("in.safetensors", &[("input", images.clone())])?;
    let output = folder.path("out.safetensors");
    let options = ["--channels", "4", "--classes", "0", "--seed", "7"];
    succeed(&[&["run", "digits", "--input", &input, "--output", &output], &options[..]].concat())?;
    let got = safetensors::read(&output)?;
    let options = zoo::Options::default().channels(4).classes(0);
    let graph = zoo::build("digits_seresnet", &options)?;
    close(&graph.reference(&images, &Weights::seeded(7, 1.0))?["features"], &got["features"], 2e-5);
    assert_eq!(got.len(), 1);
    Ok(())
}

fn verify() -> Result<(), Failed> {
    for args in [&["--fusion", "full", "--batch", "3"][..], &["--fusion", "none", "--seed", "5", "--size", "9x13"]] {
        let text = succeed(&[&["verify", "digits"], args].concat())?;
        assert!(text.contains("passed: ") && text.contains("gate.layer2.1.se"), "{text}");
    }
    let document = json(&["verify", "digits", "--fusion", "kernels", "--json"])?;
    assert_eq!((&document["passed"], &document["first_failure"]), (&Value::Bool(true), &Value::Null));
    let nodes = document["nodes"].as_array().ok_or("no nodes")?;
    assert!(nodes.iter().any(|node| node["kind"] == "squeeze_excite"), "{document}");
    Ok(())
}

fn bench() -> Result<(), Failed> {
    let document = json(&["bench", "digits", "--without-se", "--steps", "--json"])?;
    let steps = document["steps"].as_array().ok_or("no steps")?;
    assert_eq!(Some(steps.len() as u64), document["dispatches"].as_u64(), "{document}");
    assert!(steps.iter().all(|step| step["median_ms"].as_f64().is_some_and(|ms| ms >= 0.0)), "{document}");
    let text = succeed(&["bench", "digits", "--steps"])?;
    assert!(text.contains("slowest steps") && text.contains("layer2.1.conv1"), "{text}");
    let time = |key: &str| document["run"][key].as_f64().ok_or("no time");
    assert!(time("min_ms")? <= time("median_ms")? && time("median_ms")? <= time("max_ms")?, "{document}");
    assert!(document["adapter"]["name"].is_string() && document["error"].as_f64().is_some_and(|e| e < 2e-5));
    for started in ["first", "second"] {
        let time = |key: &str| document["start"][started][key].as_f64().ok_or("no time of the start");
        assert!(time("pipelines_ms")? + time("weights_ms")? <= time("first_answer_ms")?, "{document}");
    }
    assert!(document["pipelines"].as_u64().is_some_and(|n| n > 0), "{document}");
    let bytes = |key: &str| document["memory"][key].as_u64().ok_or("no bytes");
    let parts = bytes("weight_bytes")? + bytes("activation_bytes")? + bytes("staging_bytes")?;
    assert!((parts..=parts + 100_000).contains(&bytes("device_bytes")?), "{document}");
    Ok(())
}

/// The program keeps pipelines where it is told to, and finds them again; where there are none, it says so.
fn bench_twice() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("pipelines");
    let vulkan = excite::gpu::adapters().first().is_some_and(|best| best.info.backend == excite::wgpu::Backend::Vulkan);
    let mut found = Vec::new();
    for _ in 0..2 {
        let ran = run(program().env("EXCITE_CACHE_DIR", &cache).args(["bench", "digits", "--json"]))?;
        let document: Value = serde_json::from_str(&ran.stdout)?;
        found.push(document["start"]["cached_pipeline_bytes"].as_u64());
    }
    assert_eq!(cache.exists(), vulkan);
    assert!(if vulkan { found[0] == Some(0) && found[1] > Some(0) } else { found == [None, None] }, "{found:?}");
    Ok(())
}

/// Two processes, the second with what the first has compiled; nothing is left of them.
fn bench_start() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let start = |args: &[&str]| {
        let ran = run(program().env("TMPDIR", folder.path("")).args([&["bench", "digits", "--start"], args].concat()))?;
        if ran.code == Some(0) { Ok(ran.stdout) } else { Err(Failed::from(ran.stderr)) }
    };
    let document: Value = serde_json::from_str(&start(&["--json", "--batch", "2"])?)?;
    let vulkan = excite::gpu::adapters().first().is_some_and(|best| best.info.backend == excite::wgpu::Backend::Vulkan);
    for (name, compiled) in [("cold", false), ("warm", true)] {
        let started = &document[name];
        let kept = started["cached_pipeline_bytes"].as_u64();
        assert_eq!(kept.map(|bytes| bytes > 0), vulkan.then_some(compiled), "{document}");
        let time = |key: &str| started[key].as_f64().ok_or("no time of the start");
        assert!(started["error"].as_f64().is_some_and(|error| error < 1e-3), "{document}");
        assert!(time("open_ms")? > 0.0 && time("run_ms")? > 0.0);
        let parts =
            ["pipelines_ms", "weights_ms", "run_ms", "others_ms"].map(time).into_iter().sum::<Result<f64, _>>()?;
        assert!((parts - time("first_answer_ms")?).abs() < 1e-3, "{document}");
    }
    assert_eq!(document["cold"]["pipelines"], document["warm"]["pipelines"]);
    let text = start(&[])?;
    assert!(text.contains(&format!("\n{} pipelines; checked: error ", document["cold"]["pipelines"])), "{text}");
    for named in ["cold, nothing was compiled", "warm, all was compiled before"] {
        let row = text.lines().find_map(|line| line.strip_prefix(named)).ok_or("no such row")?;
        let columns: Vec<f64> = row.split_whitespace().map_while(|word| word.parse().ok()).take(6).collect();
        assert!(columns.len() == 6 && (columns[0] - columns[1..].iter().sum::<f64>()).abs() < 0.5, "{text}");
    }
    assert!(folder.names()?.is_empty(), "{:?}", folder.names()?);
    crate::program::refuse(&["bench", "se", "--start"], &["--start is for networks"])?;
    crate::program::refuse(&["bench", "digits", "--start", "--batch", "0"], &["--batch must be at least 1"])?;
    crate::program::refuse(&["bench", "digits", "--start", "--seed", "1", "--gain=-1"], &["--gain must be above 0"])
}

/// What is found of images lets half precision run, and one too large value stops it everywhere.
fn ranges() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let file = folder.path("ranges.json");
    let text = succeed(&["ranges", "assets/digits", "--output", &file])?;
    assert!(text.starts_with("largest values of digits_seresnet, of 10 images:\n"), "{text}");
    assert!(text.contains("\n0 values above 16376,") && text.ends_with("ranges.json\n"), "{text}");
    let with = |file: &str| ["--precision", "f16", "--ranges", file].map(String::from);
    let input = folder.tensors("in.safetensors", &[("input", Tensor::zeros([1, 1, 8, 8]))])?;
    let output = folder.path("out.safetensors");
    let commands = [
        vec!["plan", "digits"],
        vec!["verify", "digits"],
        vec!["classify", "assets/digits/digit_1_16.png"],
        vec!["run", "digits", "--input", &input, "--output", &output],
        vec!["bench", "digits"],
    ];
    let text = std::fs::read_to_string(&file)?;
    let mut document: Value = serde_json::from_str(&text)?;
    document["largest"]["layer2.1.conv1"] = 20000.0.into();
    let large = folder.file("large.json", document.to_string())?;
    let half =
        excite::gpu::adapters().first().is_some_and(|best| best.features.contains(excite::wgpu::Features::SHADER_F16));
    for command in &commands {
        let of = |file: &str| run(program().args(command).args(with(file)));
        let ran = of(&file)?;
        assert_eq!(ran.code == Some(0), half || command[0] == "plan", "{command:?}: {}", ran.stderr);
        let reason = if half || command[0] == "plan" { "\"layer2.1.conv1\" reaches 20000" } else { "SHADER_F16" };
        crate::program::refused(&of(&large)?, &[reason])?;
        let refused = run(program().args(command).args(["--ranges", &file]))?;
        crate::program::refused(&refused, &["--ranges is for --precision f16"])?;
    }
    crate::program::refuse(&["plan", "digits", "--precision", "f16", "--ranges", &input], &["in.safetensors"])?;
    crate::program::refuse(&["bench", "se", "--precision", "f16", "--ranges", &file], &["--ranges is for networks"])?;
    crate::program::refuse(&["ranges", "Cargo.toml", "--output", &file], &["Cargo.toml"])?;
    let nowhere = folder.path("none/ranges.json");
    crate::program::refuse(&["ranges", "assets/digits", "--output", &nowhere], &["can't write"])
}

fn closed_pipe() -> Result<(), Failed> {
    let mut child = program().args(["plan", "seresnet50"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    let mut told = String::new();
    child.stderr.take().ok_or("no standard error")?.read_to_string(&mut told)?;
    assert_eq!((child.wait()?.code(), told.as_str()), (Some(0), ""));
    Ok(())
}

/// A machine without any driver, as far as the program can see.
#[cfg(target_os = "linux")]
fn no_devices() -> Result<(), Failed> {
    let blind = |args: &[&str]| {
        let mut command = program();
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
            command.env(variable, "/nowhere");
        }
        run(command.env("LIBGL_DRIVERS_PATH", "/nowhere").args(args))
    };
    for args in [&["devices"][..], &["classify", "x.png"]] {
        crate::program::refused(&blind(args)?, &["no GPU adapter found", "install", "mesa-vulkan-drivers"])?;
    }
    assert_eq!(blind(&["plan", "digits"])?.code, Some(0));
    Ok(())
}
