//! What `run` and `classify` take in and where results go.

use crate::Case;
use crate::program::{Folder, Ran, digits, program, refuse, refused, run, succeed};
use excite::import::safetensors;
use excite::model::Preprocess;
use excite::{Tensor, image as images, zoo};
use libtest_mimic::Failed;
use std::fs::File;
use std::process::Stdio;

pub const CASES: &[Case] = &[
    Case::on_gpu("inputs/formats", formats),
    Case::on_gpu("inputs/types_of_npy", types_of_npy),
    Case::new("inputs/unsound_npy", unsound_npy),
    Case::on_gpu("inputs/outputs", outputs),
    Case::on_gpu("inputs/classify_standard_input", classify_standard_input),
    Case::on_gpu("inputs/onnx_image", onnx_image),
    Case::on_gpu("inputs/onnx_image_of_bytes_channels_last", onnx_image_of_bytes_channels_last),
    Case::on_gpu("inputs/image_formats", image_formats),
    Case::on_gpu("inputs/labels_from_standard_input", labels_from_standard_input),
    Case::new("inputs/inspect_standard_input", inspect_standard_input),
    Case::new("inputs/no_network_from_standard_input", no_network_from_standard_input),
    Case::on_gpu("inputs/ranges_and_tunings_to_standard_output", ranges_and_tunings_to_standard_output),
    #[cfg(unix)]
    Case::new("inputs/pipe", pipe),
];

/// Runs with a file as standard input.
fn run_with(args: &[&str], input: Option<&str>) -> Result<(Ran, Vec<u8>), Failed> {
    let mut command = program();
    command.args(args).stdin(match input {
        Some(path) => Stdio::from(File::open(path)?),
        None => Stdio::null(),
    });
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ran = Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
    Ok((ran, output.stdout))
}

/// The digits network's answer to an input, from a file and from standard input.
fn logits(folder: &Folder, input: &str) -> Result<Vec<f32>, Failed> {
    let output = folder.path("y.safetensors");
    let mut answers = Vec::new();
    for (name, standard) in [(input, None), ("-", Some(input))] {
        let (ran, _) = run_with(&["run", "digits", "--input", name, "--output", &output], standard)?;
        assert_eq!(ran.code, Some(0), "{input} as {name}: {}", ran.stderr);
        answers.push(safetensors::read(&output)?["logits"].data().to_vec());
    }
    assert_eq!(answers[0], answers[1], "{input}");
    Ok(answers.remove(0))
}

/// An .npy file, header and all.
fn npy(kind: &str, shape: &str, fortran: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    tensor.data().iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The same pixels as tensors, .npy and image give the same answer.
fn formats() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (path, _) = &digits()?[4];
    let tensor = images::load(path, &Preprocess::for_model("digits_seresnet")?)?;
    let bundled = zoo::bundled_weights("digits_seresnet").ok_or("the digits network has weights")?;
    let expected = zoo::build("digits_seresnet", &zoo::Options::default())?.reference(&tensor, &bundled)?;
    let named = folder.tensors("a.safetensors", &[("input", tensor.clone()), ("more", Tensor::zeros([1]))])?;
    let alone = folder.tensors("b.safetensors", &[("x", tensor.clone())])?;
    let array = folder.file("c.npy", npy("<f4", "(1, 1, 8, 8)", "False", &bytes(&tensor)))?;
    for input in [&named, &alone, &array, path] {
        for (got, expected) in logits(&folder, input)?.iter().zip(expected["logits"].data()) {
            assert!((got - expected).abs() < 1e-3, "{input}: {got} is not {expected}");
        }
    }
    Ok(())
}

fn types_of_npy() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let numbers: Vec<u8> = (0..64).map(|i| i * 3 % 7).collect();
    let all = |write: &dyn Fn(u8) -> Vec<u8>| numbers.iter().flat_map(|&number| write(number)).collect::<Vec<u8>>();
    let half = |number: u8| half::f16::from_f32(f32::from(number));
    let kinds = [
        ("|u1", numbers.clone()),
        ("|i1", numbers.clone()),
        ("<f2", all(&|x| half(x).to_le_bytes().to_vec())),
        (">f2", all(&|x| half(x).to_be_bytes().to_vec())),
        ("<f4", all(&|x| f32::from(x).to_le_bytes().to_vec())),
        (">f4", all(&|x| f32::from(x).to_be_bytes().to_vec())),
        ("<f8", all(&|x| f64::from(x).to_le_bytes().to_vec())),
        (">f8", all(&|x| f64::from(x).to_be_bytes().to_vec())),
        ("<i2", all(&|x| i16::from(x).to_le_bytes().to_vec())),
        (">u2", all(&|x| u16::from(x).to_be_bytes().to_vec())),
        ("<u4", all(&|x| u32::from(x).to_le_bytes().to_vec())),
        ("<i8", all(&|x| i64::from(x).to_le_bytes().to_vec())),
        (">i8", all(&|x| i64::from(x).to_be_bytes().to_vec())),
    ];
    let mut first = None;
    for (kind, data) in kinds {
        let input = folder.file("x.npy", npy(kind, "(1, 1, 8, 8)", "False", &data))?;
        let answer = logits(&folder, &input)?;
        assert_eq!(first.get_or_insert(answer.clone()), &answer, "{kind}");
    }
    // Versions 2 and 3 have a longer length.
    let old = npy("|u1", "(1,1,8,8)", "False", &numbers);
    for version in [2, 3] {
        let new = [&old[..6], &[version, 0], &old[8..10], &[0, 0], &old[10..]].concat();
        assert_eq!(first, Some(logits(&folder, &folder.file("x.npy", new)?)?), "version {version}");
    }
    Ok(())
}

fn unsound_npy() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let good = npy("<f4", "(1, 1, 8, 8)", "False", &[0; 256]);
    for (bytes, part) in [
        (good[..9].to_vec(), "cut short"),
        (good[..40].to_vec(), "cut short"),
        (good[..good.len() - 1].to_vec(), "expected 256 bytes for <f4 [1, 1, 8, 8], found 255"),
        ([&good[..], &[0]].concat(), "found more"),
        (npy("<f4", "(1, 1, 8, 8)", "True", &[0; 256]), "Fortran's order"),
        (npy("<c8", "(1, 1, 8, 8)", "False", &[0; 256]), "found \"<c8\""),
        (npy("<f4", "(1, 1, -8, 8)", "False", &[0; 256]), "unsound .npy header"),
        (npy("<f4", "(99999999999, 99999999999)", "False", &[]), "unsound .npy header"),
        (npy("<f4", "(99999999999,)", "False", &[0; 4]), "found 4"),
        (npy("<f4", "(8, 8)", "False", &[0; 256]), "[N,1,H,W]"),
        ([b"\x93NUMPY\x04\x00", &good[8..]].concat(), "version 1 to 3"),
        (npy("<f4", "(1, 1, 2, 2)", "False", &[255; 16]), "expected finite numbers"),
    ] {
        let input = folder.file("x.npy", bytes)?;
        refuse(&["run", "digits", "--input", &input, "--output", &folder.path("y")], &[&input, part])?;
    }
    let (ran, _) = run_with(&["run", "digits", "--input", "-", "--output", &folder.path("y")], None)?;
    refused(&ran, &["standard input", "safetensors"])
}

fn outputs() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (path, _) = &digits()?[2];
    let expected = logits(&folder, path)?;
    let (ran, out) = run_with(&["run", "digits", "--input", path, "--output", "-"], None)?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(safetensors::read(folder.file("z.safetensors", out)?)?["logits"].data(), expected);
    let array = folder.path("y.npy");
    let (ran, _) = run_with(&["run", "digits", "--input", path, "--output", &array], None)?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let array = std::fs::read(array)?;
    let header = String::from_utf8_lossy(&array[10..128]);
    assert!(array.len() == 128 + 40 && header.starts_with("{'descr': '<f4', ") && header.ends_with(" \n"), "{header}");
    assert!(header.contains("'shape': (1, 10,)"), "{header}");
    let numbers: Vec<f32> = array[128..].chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!(numbers, expected);
    let many = ["run", "digits", "--gates", "--input", path, "--output", &folder.path("y.npy")];
    refuse(&many, &["holds one output, there are 5"])
}

fn classify_standard_input() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (path, label) = &digits()?[7];
    let (ran, _) = run_with(&["classify", "--model", "digits", "-"], Some(path))?;
    assert!(ran.code == Some(0) && ran.stdout.starts_with(&format!("-  {label} ")), "{}{}", ran.stdout, ran.stderr);
    let text = folder.file("x.txt", "no image")?;
    let (ran, _) = run_with(&["classify", "--model", "digits", "-"], Some(&text))?;
    refused(&ran, &["standard input: expected PNG, JPEG, WebP, BMP, GIF or TIFF"])
}

/// An image is prepared for the size that an ONNX file declares.
fn onnx_image() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (image, model) = ("tests/data/field/rgb_16x16.png", "tests/data/field/one_sigmoid.onnx");
    let output = folder.path("y.safetensors");
    let (ran, _) = run_with(&["run", model, "--input", image, "--output", &output], None)?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let outputs = safetensors::read(&output)?;
    let got = outputs.values().next().ok_or("no output")?.data()[0];
    assert!((got - 0.2823).abs() < 1e-4, "{got}");
    Ok(())
}

/// Samples as they are and channels last, where the file wants them so.
fn onnx_image_of_bytes_channels_last() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (image, output) = ("tests/data/field/rgb_16x16.png", folder.path("y.safetensors"));
    for (model, bytes) in [("uint8_nhwc_input", true), ("se_nhwc_dense", false)] {
        let file = format!("tests/data/field/{model}.onnx");
        let model = excite::import::onnx::OnnxModel::from_onnx(&file)?;
        let &[height, width, 3] = model.graph.input_shape().dims().as_slice() else { return Err("not NHWC".into()) };
        let preprocess = Preprocess { size: [height, width], ..zoo::Pretrained::assumed(8).preprocess };
        let samples = preprocess.pixels(&images::open(image)?)?;
        let normalised = |i: usize| {
            let sample = f32::from(samples[i]);
            if bytes { sample } else { (sample / 255.0 - preprocess.mean[i % 3]) / preprocess.std[i % 3] }
        };
        let input = Tensor::from_fn([1, height, width, 3], normalised);
        let expected = model.graph.reference(&input, &model.weights)?;
        succeed(&["run", &file, "--input", image, "--output", &output])?;
        for (name, got) in safetensors::read(&output)? {
            assert_eq!(got.shape(), expected[&name].shape());
            for (got, expected) in got.data().iter().zip(expected[&name].data()) {
                assert!((got - expected).abs() < 1e-4, "{file}: {got} is not {expected}");
            }
        }
    }
    Ok(())
}

/// Whatever `classify` reads, `run` takes.
fn image_formats() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (path, _) = &digits()?[6];
    let expected = logits(&folder, path)?;
    let image = image::open(path)?;
    for name in ["x.bmp", "x.gif", "x.tiff", "x.webp"] {
        let file = folder.path(name);
        // Pixels that are gray stay what they are in colour.
        image.to_rgb8().save(&file)?;
        assert_eq!(logits(&folder, &file)?, expected, "{name}");
    }
    Ok(())
}

fn labels_from_standard_input() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (path, label) = &digits()?[5];
    let names: Vec<String> = (0..10).map(|digit| format!("name-of-{digit}")).collect();
    let labels = folder.file("labels.txt", names.join("\n"))?;
    let (ran, _) = run_with(&["classify", path, "--labels", "-"], Some(&labels))?;
    assert!(ran.code == Some(0) && ran.stdout.contains(&format!("  name-of-{label} ")), "{}{}", ran.stdout, ran.stderr);
    let short = folder.file("short.txt", "one\ntwo")?;
    let (ran, _) = run_with(&["classify", path, "--labels", "-"], Some(&short))?;
    refused(&ran, &["standard input: expected 10 labels, one for each class, found 2"])?;
    let (ran, _) = run_with(&["classify", "-", "--labels", "-"], Some(&labels))?;
    refused(&ran, &["standard input can't be both an image and the --labels"])
}

/// ONNX files and weights, told apart by their contents.
fn inspect_standard_input() -> Result<(), Failed> {
    for file in ["tests/data/onnx/timm_se_resnet.torchscript.op17.onnx", "assets/digits/digits_seresnet.safetensors"] {
        let (ran, _) = run_with(&["inspect", "-"], Some(file))?;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let of_file = succeed(&["inspect", file])?;
        assert_eq!(ran.stdout.split_once('\n'), of_file.split_once('\n').map(|(_, rest)| ("-", rest)));
        let (ran, _) = run_with(&["inspect", "-", "--json"], Some(file))?;
        let of_file = succeed(&["inspect", file, "--json"])?;
        assert_eq!(ran.stdout, of_file.replace(&format!("\"name\": \"{file}\""), "\"name\": \"-\""));
    }
    let (ran, _) = run_with(&["inspect", "-"], Some("Cargo.toml"))?;
    refused(&ran, &["standard input: "])?;
    refused(&run_with(&["inspect", "-"], None)?.0, &["standard input: "])
}

fn no_network_from_standard_input() -> Result<(), Failed> {
    for command in [&["plan", "-"][..], &["verify", "-"], &["tune", "-"], &["classify", "x.png", "--model", "-"]] {
        refuse(command, &["-: a network is no standard input", "`excite inspect -`"])?;
    }
    Ok(())
}

fn ranges_and_tunings_to_standard_output() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (path, _) = &digits()?[3];
    let file = folder.path("ranges.json");
    succeed(&["ranges", path, "--output", &file])?;
    let (ran, out) = run_with(&["ranges", "-", "--output", "-"], Some(path))?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(out, std::fs::read(file)?);
    let ran = run(program().args(["tune", "digits", "--seconds", "0.1", "--output", "-"]))?;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let file = folder.file("tuning.json", ran.stdout)?;
    assert!(succeed(&["plan", "digits", "--tuning", &file])?.contains("fusion full tuned\n"));
    refuse(&["tune", "digits", "--output", "-", "--json"], &["--json: with --output -, standard output holds the file"])
}

/// A pipe is not waited for.
#[cfg(unix)]
fn pipe() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (pipe, output) = (folder.path("pipe"), folder.path("y.safetensors"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status()?.success());
    refuse(&["run", "digits", "--input", &pipe, "--output", &output], &["pipe: ", "found no regular file"])
}
