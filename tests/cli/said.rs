//! What the program says and how: names from files, messages, help, formats for programs.

use crate::Case;
use crate::onnx_file::{self, Dim, Node};
use crate::program::{Folder, asset, digits, program, refuse, run, succeed};
use excite::import::safetensors;
use excite::{Tensor, zoo};
use libtest_mimic::Failed;
use serde_json::Value;

pub const CASES: &[Case] = &[
    Case::on_gpu("said/one_logit", one_logit),
    Case::on_gpu("said/one_logit_of_the_zoo", one_logit_of_the_zoo),
    Case::new("said/names_in_weights", names_in_weights),
    Case::on_gpu("said/names_in_onnx", names_in_onnx),
    Case::on_gpu("said/labels", labels),
    #[cfg(unix)]
    Case::on_gpu("said/file_names", unix::file_names),
    #[cfg(unix)]
    Case::new("said/arguments", unix::arguments),
    Case::on_gpu("said/which_network", which_network),
    Case::on_gpu("said/start", start),
    Case::new("said/unknown_model", unknown_model),
    Case::on_gpu("said/quiet_and_verbose", quiet_and_verbose),
    Case::new("said/colours", colours),
    #[cfg(target_os = "linux")]
    Case::on_gpu("said/no_noise_of_drivers", no_noise),
    Case::new("said/help", help),
    Case::new("said/version", version),
    Case::new("said/model_as_option", model_as_option),
    Case::new("said/completions_and_pages", completions_and_pages),
    Case::on_gpu("said/schema", schema),
];

const ONE_LOGIT: &str = "tests/data/field/one_logit.onnx";
const ONE_SIGMOID: &str = "tests/data/field/one_sigmoid.onnx";
const COLOURS: &str = "tests/data/field/rgb_16x16.png";
const ESCAPES: &str = "tests/data/field/esc.safetensors";

/// Refuses text with a character that a terminal acts on.
fn is_safe(text: &str) -> Result<(), Failed> {
    match text.lines().find(|line| excite::escaped(line) != **line) {
        None => Ok(()),
        Some(line) => Err(format!("this reaches the terminal: {line:?}").into()),
    }
}

/// Standard output and standard error of a command that must not act on the terminal, whatever its exit status.
fn safe(args: &[&str]) -> Result<[String; 2], Failed> {
    let ran = run(program().args(args))?;
    is_safe(&ran.stdout)?;
    is_safe(&ran.stderr)?;
    Ok([ran.stdout, ran.stderr])
}

fn has(text: &str, parts: &[&str]) -> Result<(), Failed> {
    match parts.iter().find(|part| !text.contains(*part)) {
        None => Ok(()),
        Some(part) => Err(format!("{part:?} is not in\n{text}").into()),
    }
}

fn json(args: &[&str]) -> Result<Value, Failed> {
    Ok(serde_json::from_str(&succeed(args)?)?)
}

/// A binary classifier's logit is no softmax over one class.
fn one_logit() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let labels = folder.file("labels.txt", "faulty\n")?;
    for model in [ONE_LOGIT, ONE_SIGMOID] {
        let of = |args: &[&str]| succeed(&[&["classify", COLOURS, "--model", model], args].concat());
        has(&of(&[])?, &["class 0 28.23 %"])?;
        has(&of(&["--labels", &labels])?, &["faulty 28.23 %"])?;
        has(&of(&["--labels", &labels, "--csv"])?, &["rgb_16x16.png,1,0,faulty,0.2822"])?;
        let document: Value = serde_json::from_str(&of(&["--json"])?)?;
        let probability = document["images"][0]["classes"][0]["probability"].as_f64().ok_or("no probability")?;
        assert!((probability - 0.2823).abs() < 1e-4, "{probability}");
    }
    Ok(())
}

/// The digits network with the first of its classes only.
fn one_logit_of_the_zoo() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let mut tensors = safetensors::read(asset("digits_seresnet.safetensors"))?;
    for name in ["fc.weight", "fc.bias"] {
        let tensor = &tensors[name];
        let shape = [&[1], &tensor.shape()[1..]].concat();
        let data = tensor.data()[..shape.iter().product()].to_vec();
        tensors.insert(name.into(), Tensor::new(shape, data)?);
    }
    let tensors: Vec<(&str, Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    let weights = folder.tensors("w.safetensors", &tensors)?;
    let graph = zoo::build("digits_seresnet", &zoo::Options::default())?;
    let bundled = zoo::bundled_weights("digits_seresnet").ok_or("the digits network has weights")?;
    let preprocess = excite::model::Preprocess::for_model("digits_seresnet")?;
    let mut likely = Vec::new();
    for (path, _) in digits()? {
        let logits = graph.reference(&excite::image::load(&path, &preprocess)?, &bundled)?;
        let expected = 1.0 / (1.0 + f64::from(-logits["logits"].data()[0]).exp());
        let document =
            json(&["classify", "--json", "--model", "digits", "--weights", &weights, "--classes", "1", &path])?;
        let got = document["images"][0]["classes"][0]["probability"].as_f64().ok_or("no probability")?;
        assert!((got - expected).abs() < 1e-4, "{path}: expected {expected}, got {got}");
        likely.push(got > 0.5);
    }
    assert!(likely.contains(&true) && likely.contains(&false), "{likely:?}");
    Ok(())
}

fn names_in_weights() -> Result<(), Failed> {
    let [text, _] = safe(&["inspect", ESCAPES])?;
    has(&text, &[r"\u{1b}[31mname\u{1b}[2J  [1]"])?;
    let [document, _] = safe(&["inspect", ESCAPES, "--json"])?;
    let document: Value = serde_json::from_str(&document)?;
    assert_eq!(document["tensors"]["\u{1b}[31mname\u{1b}[2J"][0], 1, "{document}");
    let [_, told] = safe(&["verify", "digits", "--weights", ESCAPES])?;
    has(&told, &[r"unexpected: \u{1b}[31mname"])?;
    // Line ends, DEL, C1 (a terminal of 8 bits begins a sequence with U+9B), and a mark that turns the writing.
    let folder = Folder::new()?;
    let name = "a\nerror: b\u{7f}\u{9b}2J\u{202e}";
    let weights = folder.tensors("w.safetensors", &[(name, Tensor::zeros([1])), ("plain", Tensor::zeros([1]))])?;
    let [text, _] = safe(&["inspect", &weights])?;
    assert!(text.contains(r"a\nerror: b\u{7f}\u{9b}2J\u{202e}  [1]") && !text.contains("\nerror"), "{text}");
    let [document, _] = safe(&["inspect", &weights, "--json"])?;
    assert_eq!(serde_json::from_str::<Value>(&document)?["tensors"][name][0], 1, "{document}");
    let [_, told] = safe(&["run", "digits", "--input", &weights, "--output", &folder.path("y.safetensors")])?;
    assert!(told.starts_with("error: ") && told.lines().count() == 1, "{told}");
    Ok(())
}

/// Names of nodes, values, ops and the producer.
fn names_in_onnx() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let dims = [Dim::Named("n"), Dim::Size(3), Dim::Size(8), Dim::Size(8)];
    let hostile = |nodes: &[Node]| {
        let mut bytes = onnx_file::model(&dims, nodes);
        for (plain, bad) in [(&b"node"[..], &b"n\x1b\nx"[..]), (b"by hand", b"b\x1b[2J\nd"), (b"\x01y", b"\x01\x07")] {
            for at in (0..=bytes.len() - plain.len()).rev() {
                if bytes[at..].starts_with(plain) {
                    bytes[at..at + plain.len()].copy_from_slice(bad);
                }
            }
        }
        bytes
    };
    let pool = [Node::new("GlobalAveragePool"), Node::new("Flatten")];
    let model = folder.file("good.onnx", hostile(&pool))?;
    let [text, _] = safe(&["inspect", &model])?;
    has(&text, &[r"producer       b\u{1b}[2J\nd", r"output         \u{7} "])?;
    let [text, _] = safe(&["plan", &model, "--explain"])?;
    has(&text, &[r"n\u{1b}\nx0"])?;
    let document = json(&["plan", &model, "--json"])?;
    assert!(document.to_string().contains(r"n\u001b\nx0"), "{document}");
    let [text, told] = safe(&["verify", &model])?;
    assert!(text.contains("passed: ") && text.contains(r"n\u{1b}\nx"), "{text}{told}");
    let input = folder.tensors("x.safetensors", &[("input", Tensor::zeros([1, 3, 8, 8]))])?;
    safe(&["run", &model, "--input", &input, "--output", &folder.path("y.safetensors")])?;
    safe(&["classify", COLOURS, "--model", &model, "-vv"])?;
    let model = folder.file("bad.onnx", hostile(&[Node::new("NonMaxSuppression")]))?;
    for command in ["inspect", "plan", "verify"] {
        let [text, told] = safe(&[command, &model])?;
        assert!((text + &told).contains(r"n\u{1b}\nx0"), "{told}");
    }
    Ok(())
}

fn labels() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let names: Vec<String> = (0..10).map(|i| format!("{i}\u{1b}[31m\nno")).collect();
    folder.file("config.json", serde_json::json!({ "num_classes": 10, "label_names": names }).to_string())?;
    folder.file("model.safetensors", std::fs::read(asset("digits_seresnet.safetensors"))?)?;
    let (path, label) = &digits()?[3];
    let (directory, expected) = (folder.path(""), format!("{label}\u{1b}[31m\nno"));
    let args = ["classify", "--model", "digits", "--weights", &directory, path];
    let [text, _] = safe(&args)?;
    assert!(text.contains(r"\u{1b}[31m\nno ") && text.lines().count() == 1, "{text}");
    let document = json(&[&args[..], &["--json"]].concat())?;
    assert_eq!(document["images"][0]["classes"][0]["label"], expected.as_str());
    let text = succeed(&[&args[..], &["--csv"]].concat())?;
    let row = csv::Reader::from_reader(text.as_bytes()).records().next().ok_or("no row")??;
    assert_eq!(row[3], expected);
    Ok(())
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// Shown in text, recovered from CSV and JSON.
    pub fn file_names() -> Result<(), Failed> {
        let folder = Folder::new()?;
        let digit = std::fs::read(&digits()?[6].0)?;
        let names = [&b"a\x1b[2J.png"[..], b"b\nerror: c.png", b"d\xff\xc3.png"];
        let directory = std::path::PathBuf::from(folder.path(""));
        for name in names {
            std::fs::write(directory.join(OsStr::from_bytes(name)), &digit)?;
        }
        let classify =
            |format: &[&str]| program().args(["classify", "--model", "digits"]).args(format).arg(&directory).output();
        let text = classify(&[])?.stdout;
        let text = String::from_utf8(text)?;
        is_safe(&text)?;
        assert_eq!(text.lines().count(), 3, "{text}");
        has(&text, &[r"a\u{1b}[2J.png", r"b\nerror: c.png", r"d\xff\xc3.png"])?;
        let table = classify(&["--csv"])?.stdout;
        let rows: Vec<_> = csv::Reader::from_reader(&*table).byte_records().collect::<Result<_, _>>()?;
        let document: Value = serde_json::from_slice(&classify(&["--json"])?.stdout)?;
        for (i, name) in names.into_iter().enumerate() {
            let path = directory.join(OsStr::from_bytes(name));
            assert_eq!(&rows[i][0], path.as_os_str().as_bytes());
            let image = &document["images"][i];
            let bytes = image["image_bytes"].as_array();
            let recovered = match bytes {
                Some(bytes) => bytes.iter().map(|byte| byte.as_u64().map_or(0, |byte| byte as u8)).collect(),
                None => image["image"].as_str().ok_or("no name")?.as_bytes().to_vec(),
            };
            assert_eq!((recovered, bytes.is_some()), (path.as_os_str().as_bytes().to_vec(), i == 2));
        }
        let missing =
            program().args(["classify", "--model", "digits"]).arg(OsStr::from_bytes(b"no\x1b\xff.png")).output()?;
        let told = String::from_utf8(missing.stderr)?;
        is_safe(&told)?;
        has(&told, &[r"no\u{1b}\xff.png: can't read"])
    }

    /// A shell may have made an argument of any file's name.
    pub fn arguments() -> Result<(), Failed> {
        for argument in [&b"--\x1b[31m"[..], b"--\xff\n"] {
            let ran = program().arg("plan").arg(OsStr::from_bytes(argument)).env("CLICOLOR_FORCE", "1").output()?;
            assert_eq!(ran.status.code(), Some(2));
            is_safe(&String::from_utf8(ran.stderr)?)?;
        }
        Ok(())
    }
}

fn which_network() -> Result<(), Failed> {
    let digit = &digits()?[0].0;
    let ran = run(program().args(["classify", digit]))?;
    has(
        &ran.stderr,
        &["\nnetwork: digits_seresnet, which knows handwritten digits only; choose another one with --model\n"],
    )?;
    let ran = run(program().args(["classify", digit, "--model", "digits_resnet"]))?;
    has(&ran.stderr, &["\nnetwork: digits_resnet, 10 outputs\n"])?;
    assert!(!ran.stderr.contains("--model"), "{}", ran.stderr);
    Ok(())
}

/// Compilation has a field of its own.
fn start() -> Result<(), Failed> {
    let digit = &digits()?[0].0;
    let document = json(&["classify", digit, "--json"])?;
    let (start, run) = (&document["start"], &document["images"][0]["milliseconds"]);
    assert!(start["pipelines"].as_u64().is_some_and(|count| count > 3), "{document}");
    // The start has a whole run in it.
    assert!(start["milliseconds"].as_f64() > run.as_f64(), "{document}");
    let ran = run_of(&["classify", digit])?;
    has(&ran, &[" s to start, ", " pipelines\n"])
}

fn run_of(args: &[&str]) -> Result<String, Failed> {
    Ok(run(program().args(args))?.stderr)
}

fn unknown_model() -> Result<(), Failed> {
    for (name, wrong, near) in [
        ("seresnet5O", "\"seresnet5O\"", "did you mean seresnet50"),
        ("zzz", "\"zzz\"", "none of the 97"),
        ("seresnet50.zzz", "\"zzz\"", "a1_in1k, a2_in1k"),
    ] {
        let told = run_of(&["plan", name])?;
        assert!(told.len() < 200, "{told}");
        refuse(&["plan", name], &[wrong, near, "`excite models` lists all"])?;
        refuse(&["classify", "x.png", "--model", name], &[wrong, near, "`excite models` lists all"])?;
    }
    refuse(&["models", "zzz"], &["zzz", "`excite models` lists all"])
}

fn quiet_and_verbose() -> Result<(), Failed> {
    let digit = &digits()?[0].0;
    let args = ["classify", "--model", "digits", digit];
    assert_eq!(run_of(&[&args[..], &["-q"]].concat())?, "");
    let plain = run_of(&args)?;
    assert!(!plain.contains("INFO"), "{plain}");
    let story = run_of(&[&args[..], &["-v"]].concat())?;
    has(&story, &["44.3 k parameters", "images: 8x8", "opened ", "dispatches move", "is ready after", "1 image in "])?;
    assert!(story.lines().count() <= 12, "{story}");
    let mut debug = program();
    let told = run(debug.args(args).env("RUST_LOG", "debug"))?.stderr;
    assert!(told.contains("dispatches move") && !told.contains("wgpu_core") && told.lines().count() < 40, "{told}");
    let named = run(program().args(args).env("RUST_LOG", "wgpu_core=debug"))?.stderr;
    assert!(named.contains("wgpu_core"), "{named}");
    let refused = run(program().args(["plan", "zzz", "-q"]))?;
    assert!(refused.stderr.starts_with("error: "), "{}", refused.stderr);
    assert_eq!(run(program().args(["plan", "digits", "-q", "-v"]))?.code, Some(2));
    Ok(())
}

fn colours() -> Result<(), Failed> {
    let told = |variable: &str| Ok::<_, Failed>(run(program().args(["plan", "zzz"]).env(variable, "1"))?.stderr);
    let coloured = told("CLICOLOR_FORCE")?;
    assert!(coloured.starts_with("\u{1b}[") && coloured.contains("error:"), "{coloured:?}");
    is_safe(&told("NO_COLOR")?)?;
    is_safe(&run_of(&["plan", "zzz"])?)
}

#[cfg(target_os = "linux")]
fn no_noise() -> Result<(), Failed> {
    for value in [None, Some(""), Some("here")] {
        let mut command = program();
        command.args(["devices"]).env_remove("XDG_RUNTIME_DIR");
        if let Some(value) = value {
            command.env("XDG_RUNTIME_DIR", value);
        }
        assert_eq!(run(&mut command)?.stderr, "");
    }
    Ok(())
}

const COMMANDS: [&str; 12] = [
    "devices",
    "models",
    "classify",
    "inspect",
    "plan",
    "run",
    "verify",
    "bench",
    "tune",
    "ranges",
    "completions",
    "man",
];

fn help() -> Result<(), Failed> {
    let all = succeed(&["--help"])?;
    has(&all, &["Examples:\n", "Messages:\n", "--verbose", "--quiet"])?;
    for command in COMMANDS {
        has(&all, &[&format!("\n  {command} ")])?;
        for help in ["-h", "--help"] {
            let text = succeed(&[command, help])?;
            assert!(text.contains("\nExample") && text.contains(&format!("\n  excite {command}")), "{text}");
        }
    }
    let text = succeed(&["classify", "-h"])?;
    has(
        &text,
        &["\nNetwork:\n", "\nImages:\n", "\nPrecision and kernels:\n", "\nDevice:\n", "\nOutput:\n", "\nMessages:\n"],
    )
}

fn version() -> Result<(), Failed> {
    let text = succeed(&["--version"])?;
    has(&text, &[&format!("excite {} (wgpu 30.", env!("CARGO_PKG_VERSION"))])?;
    assert_eq!(text.contains("git "), std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".git").exists(), "{text}");
    Ok(())
}

fn model_as_option() -> Result<(), Failed> {
    assert_eq!(succeed(&["plan", "--model", "digits"])?, succeed(&["plan", "digits"])?);
    assert_eq!(succeed(&["inspect", "--model", "digits"])?, succeed(&["inspect", "digits"])?);
    for command in ["plan", "verify", "bench", "tune", "inspect"] {
        refuse(&[command, "--model", "zzz"], &["no model is named \"zzz\""])?;
        assert_eq!(run(program().args([command, "digits", "--model", "digits"]))?.code, Some(2));
    }
    refuse(&["run", "--model", "zzz", "--input", "x", "--output", "y"], &["no model is named \"zzz\""])?;
    assert_eq!(run(program().args(["run", "--input", "x", "--output", "y"]))?.code, Some(2));
    Ok(())
}

fn completions_and_pages() -> Result<(), Failed> {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        has(&succeed(&["completions", shell])?, &["classify", "jsonl", "verbose"])?;
    }
    let folder = Folder::new()?;
    succeed(&["man", &folder.path("")])?;
    let names = folder.names()?;
    for command in COMMANDS {
        let page = std::fs::read_to_string(folder.path(&format!("excite-{command}.1")))?;
        assert!(page.contains(".SH SYNOPSIS") && page.contains("Example"), "{names:?}: {page}");
    }
    has(&std::fs::read_to_string(folder.path("excite.1"))?, &["wgpu 30."])?;
    refuse(&["man", &folder.path("nowhere")], &["nowhere", "can't write the manual pages"])
}

fn schema() -> Result<(), Failed> {
    let digit = &digits()?[0].0;
    for args in [
        &["devices"][..],
        &["models", "digits"],
        &["models", "--paper"],
        &["inspect", "digits"],
        &["inspect", ESCAPES],
        &["plan", "digits"],
        &["classify", digit],
        &["verify", "digits"],
    ] {
        assert_eq!(json(&[args, &["--json"]].concat())?["schema"], 1, "{args:?}");
    }
    assert_eq!(json(&["classify", digit, "--jsonl"])?["schema"], 1);
    Ok(())
}
