//! `classify` on one image and on many: order, formats, names of classes, settings.

use crate::Case;
use crate::program::{Folder, asset, digits, program, refuse, run, succeed};
use excite::import::safetensors;
use excite::{Tensor, zoo};
use image::{ExtendedColorType, ImageEncoder};
use libtest_mimic::Failed;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

pub const CASES: &[Case] = &[
    Case::on_gpu("classify/directories", directories),
    #[cfg(unix)]
    Case::on_gpu("classify/links", links),
    Case::on_gpu("classify/many_keep_their_order", many),
    Case::on_gpu("classify/csv", csv_quotes),
    Case::on_gpu("classify/formats_agree", formats_agree),
    Case::on_gpu("classify/labels", labels),
    Case::on_gpu("classify/own_head", own_head),
    Case::on_gpu("classify/size_and_crop", size_and_crop),
    Case::on_gpu("classify/exif", exif),
    Case::on_gpu("classify/long_sides", long_sides),
    Case::on_gpu("classify/closed_pipe", closed_pipe),
];

/// The answers of `--jsonl`, whatever the exit status.
fn lines(args: &[&str]) -> Result<Vec<Value>, Failed> {
    let ran = run(program().args([&["classify", "--jsonl"], args].concat()))?;
    ran.stdout.lines().map(|line| serde_json::from_str(line).map_err(|e| format!("{e}: {line}").into())).collect()
}

/// An image with its first label, unless it has an error.
fn labelled(answer: &Value) -> Option<(String, String)> {
    Some((answer["image"].as_str()?.into(), answer["classes"][0]["label"].as_str()?.into()))
}

fn directories() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let digits = digits()?;
    let bytes = |digit: usize| std::fs::read(&digits[digit].0);
    std::fs::create_dir_all(folder.path("c/deeper"))?;
    std::fs::create_dir(folder.path(".hidden"))?;
    let mut expected = Vec::new();
    for (name, digit) in [("a.PNG", 4), ("b.jpeg", 2), ("c/deeper/x.png", 9), ("c/y.webp", 1), ("d.png", 0)] {
        expected.push((folder.file(name, bytes(digit)?)?, digits[digit].1.clone()));
    }
    for name in [".d.png", ".hidden/e.png", "f.txt", "png"] {
        folder.file(name, bytes(5)?)?;
    }
    // A file that is named is read, whatever it is called.
    expected.push((folder.path("f.txt"), digits[5].1.clone()));
    let found = lines(&["--batch", "2", &folder.path(""), &folder.path("f.txt")])?;
    let found: Vec<_> = found.iter().map(labelled).collect::<Option<_>>().ok_or("an error among the answers")?;
    let normal = |path: &str| path.replace("//", "/");
    let found: Vec<_> = found.into_iter().map(|(path, label)| (normal(&path), label)).collect();
    assert_eq!(found, expected);
    Ok(())
}

#[cfg(unix)]
fn links() -> Result<(), Failed> {
    use std::os::unix::fs::symlink;
    let folder = Folder::new()?;
    let digit = &digits()?[6];
    folder.file("a.png", std::fs::read(&digit.0)?)?;
    symlink(folder.path("a.png"), folder.path("b.png"))?;
    symlink(folder.path("."), folder.path("loop"))?;
    symlink(folder.path("nowhere"), folder.path("c.png"))?;
    symlink(folder.path("nowhere"), folder.path("d"))?;
    let ran = run(program().args(["classify", "--jsonl", &folder.path("")]))?;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("loop") && ran.stderr.ends_with("1 of 3 images could not be classified\n"));
    let answers: Vec<Value> = ran.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(answers.len(), 3);
    for answer in &answers[..2] {
        assert_eq!(labelled(answer).ok_or("no label")?.1, digit.1);
    }
    assert!(answers[2]["error"].as_str().is_some_and(|error| error.contains("c.png: can't read the image")));
    Ok(())
}

fn many() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let bad = folder.file("bad.png", b"")?;
    let digits = digits()?;
    // Every seventh is bad, among them the first and the last two.
    let images: Vec<(&str, Option<&str>)> = (0..71)
        .map(|i| match i % 7 == 0 || i == 69 {
            true => (bad.as_str(), None),
            false => (digits[i * 3 % 10].0.as_str(), Some(digits[i * 3 % 10].1.as_str())),
        })
        .collect();
    let paths: Vec<&str> = images.iter().map(|(path, _)| *path).collect();
    let mut probabilities = Vec::new();
    for batch in ["1", "4", "64", "1000"] {
        let answers = lines(&[&["--batch", batch], &paths[..]].concat())?;
        assert_eq!(answers.len(), images.len());
        for (answer, (path, label)) in answers.iter().zip(&images) {
            assert_eq!((&answer["image"], answer["classes"][0]["label"].as_str()), (&Value::from(*path), *label));
            assert_eq!(answer["error"].is_string(), label.is_none(), "{answer}");
        }
        let of = |answer: &Value| answer["classes"][0]["probability"].as_f64().unwrap_or(-1.0);
        probabilities.push(answers.iter().map(of).collect::<Vec<_>>());
    }
    for other in &probabilities[1..] {
        for (a, b) in probabilities[0].iter().zip(other) {
            assert!((a - b).abs() < 1e-5, "the batch size changes {a} to {b}");
        }
    }
    Ok(())
}

fn csv_quotes() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let digit = &digits()?[8];
    let odd = folder.file("a, \"b\".png", std::fs::read(&digit.0)?)?;
    let bad = folder.file("bad.png", b"")?;
    let labels: String = (0..10).map(|i| format!("number \"{i}\", written\n")).collect();
    let labels = folder.file("labels.txt", labels)?;
    let ran = run(program().args(["classify", "--csv", "--top", "2", "--labels", &labels, &odd, &bad]))?;
    assert_eq!(ran.code, Some(1));
    let mut reader = csv::Reader::from_reader(ran.stdout.as_bytes());
    let header = reader.headers()?.iter().collect::<Vec<_>>().join(" ");
    assert_eq!(header, "image rank class label probability milliseconds error");
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    assert_eq!(rows.len(), 3);
    let label = format!("number \"{}\", written", digit.1);
    assert_eq!(rows[0].iter().take(4).collect::<Vec<_>>(), [&*odd, "1", &digit.1, &label]);
    let probability = |row: usize| rows[row][4].parse::<f64>();
    assert!(probability(0)? > 0.5 && probability(0)? + probability(1)? <= 1.0 + 1e-6);
    assert_eq!((&rows[1][1], &rows[1][6]), ("2", ""));
    assert!(rows[2][0] == bad && rows[2][2].is_empty() && rows[2][6].contains("found an empty file"), "{:?}", rows[2]);
    Ok(())
}

fn formats_agree() -> Result<(), Failed> {
    let digits = digits()?;
    let paths: Vec<&str> = digits.iter().map(|(path, _)| path.as_str()).collect();
    // More labels than there are classes: all of them.
    let args = [&["--top", "99"], &paths[..]].concat();
    let of_lines = lines(&args)?;
    let document: Value = serde_json::from_str(&succeed(&[&["classify", "--json"], &args[..]].concat())?)?;
    assert_eq!(document["images"].as_array().map(Vec::len), Some(10));
    let text = succeed(&[&["classify"], &args[..]].concat())?;
    for ((line, answer), text) in of_lines.iter().zip(document["images"].as_array().ok_or("no list")?).zip(text.lines())
    {
        assert_eq!((&line["image"], &line["classes"]), (&answer["image"], &answer["classes"]));
        let classes = line["classes"].as_array().ok_or("no classes")?;
        let sum: f64 = classes.iter().filter_map(|class| class["probability"].as_f64()).sum();
        assert!(classes.len() == 10 && (sum - 1.0).abs() < 1e-5, "{line}");
        let (label, probability) = (&classes[1]["label"], &classes[1]["probability"]);
        let part = format!(", {} {:.2} %", label.as_str().ok_or("no label")?, probability.as_f64().ok_or("")? * 100.0);
        assert!(text.contains(&part), "{part} is not in {text}");
    }
    Ok(())
}

fn labels() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let names = "null\r\neins\r\nzwei\r\ndrei\r\nvier\r\nfünf\r\nsechs\r\nsieben\r\nacht\r\nneun\r\n";
    let labels = folder.file("labels.txt", names)?;
    let (path, label) = &digits()?[5];
    assert_eq!(label, "5");
    let text = succeed(&["classify", "--labels", &labels, path])?;
    assert_eq!(text.split_whitespace().nth(1), Some("fünf"));
    Ok(())
}

/// The digits network with only the first three of its classes.
fn own_head() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let mut tensors = safetensors::read(asset("digits_seresnet.safetensors"))?;
    for name in ["fc.weight", "fc.bias"] {
        let tensor = &tensors[name];
        let shape = [&[3], &tensor.shape()[1..]].concat();
        let data = tensor.data()[..shape.iter().product()].to_vec();
        tensors.insert(name.into(), Tensor::new(shape, data)?);
    }
    let tensors: Vec<(&str, Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    let file = folder.tensors("model.safetensors", &tensors)?;
    let directory = folder.path("");
    let digits = digits()?;
    let paths = [digits[0].0.as_str(), &digits[1].0, &digits[2].0];
    let first = |weights: &str, args: &[&str]| -> Result<Vec<String>, Failed> {
        let answers = lines(&[&["--weights", weights, "--top", "9"], args, &paths].concat())?;
        let all_three = answers.iter().all(|answer| answer["classes"].as_array().map(Vec::len) == Some(3));
        assert!(answers.len() == 3 && all_three, "{answers:?}");
        Ok(answers.iter().filter_map(labelled).map(|(_, label)| label).collect())
    };
    refuse(&["classify", "--weights", &file, paths[0]], &["3 classes and not 10", "--classes 3"])?;
    // The same network for colour: gray images have the same answers.
    let colour: Vec<(&str, Tensor)> = tensors.iter().map(|(name, tensor)| (*name, coloured(name, tensor))).collect();
    let colour = folder.tensors("colour.safetensors", &colour)?;
    let options = ["--classes", "3", "--channels", "3"];
    let asked = &["classify", "--weights", &colour, paths[0]];
    refuse(
        asked,
        &["3 classes and not 10, and conv1, which takes 3 channels and not 1", "`--classes 3 --channels 3`"],
    )?;
    assert_eq!(first(&colour, &options)?, first(&file, &["--classes", "3"])?);
    assert_eq!(first(&file, &["--classes", "3"])?, ["class 0", "class 1", "class 2"]);
    folder.file("config.json", r#"{"num_classes": 3, "label_names": ["none", "one", "a pair"]}"#)?;
    assert_eq!(first(&directory, &[])?, ["none", "one", "a pair"]);
    let labels = folder.file("labels.txt", "x\ny\nz")?;
    assert_eq!(first(&file, &["--labels", &labels])?, ["x", "y", "z"]);
    Ok(())
}

/// The first convolution for three equal channels, which come to what the one was.
fn coloured(name: &str, tensor: &Tensor) -> Tensor {
    let &[out, 1, height, width] = tensor.shape() else { return tensor.clone() };
    if name != "conv1.weight" {
        return tensor.clone();
    }
    let plane = height * width;
    Tensor::from_fn([out, 3, height, width], |i| tensor.data()[i / (3 * plane) * plane + i % plane] / 3.0)
}

/// The library's own steps give the same probabilities.
fn size_and_crop() -> Result<(), Failed> {
    let (path, _) = &digits()?[7];
    let preprocess = excite::model::Preprocess {
        size: [12, 10],
        crop_pct: 0.75,
        ..excite::model::Preprocess::for_model("digits_resnet")?
    };
    let graph = zoo::build("digits_resnet", &zoo::Options::default().size([12, 10]))?;
    let weights = zoo::bundled_weights("digits_resnet").ok_or("the digits network has weights")?;
    let logits =
        graph.reference(&excite::image::load(path, &preprocess)?, &weights)?.remove("logits").ok_or("no logits")?;
    let exps: Vec<f64> = logits.data().iter().map(|&logit| f64::from(logit).exp()).collect();
    let answers = lines(&["--model", "digits_resnet", "--size", "12x10", "--crop", "0.75", "--top", "10", path])?;
    let classes = answers[0]["classes"].as_array().ok_or("no classes")?;
    assert_eq!(classes.len(), 10);
    for class in classes {
        let index = class["class"].as_u64().ok_or("no class")? as usize;
        let expected = exps[index] / exps.iter().sum::<f64>();
        let got = class["probability"].as_f64().ok_or("no probability")?;
        assert!((expected - got).abs() < 1e-5, "class {index}: expected {expected}, got {got}");
    }
    // These weights have no other size for evaluation.
    let probability = |args: &[&str]| Ok::<_, Failed>(lines(&[args, &[path]].concat())?[0]["classes"].clone());
    assert_eq!(probability(&["--test-size"])?, probability(&[])?);
    assert_ne!(probability(&["--crop", "0.5"])?, probability(&[])?);
    Ok(())
}

/// A digit lying on its side, with EXIF data that say so.
fn exif() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let (path, label) = &digits()?[4];
    let upright = image::open(path)?.into_luma8();
    let lying = image::imageops::rotate270(&upright);
    // Little endian, one entry at 8: tag 0x112, one short integer, 6: turn it right by a quarter.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif.to_vec())?;
    encoder.write_image(&lying, lying.width(), lying.height(), ExtendedColorType::L8)?;
    let image = folder.file("lying.png", bytes)?;
    let classes = |args: &[&str]| Ok::<_, Failed>(lines(args)?[0]["classes"][0].clone());
    assert_eq!(classes(&["--exif", &image])?, classes(&[path])?);
    assert_eq!(classes(&["--exif", path])?["label"], label.as_str());
    assert_ne!(classes(&[&image])?, classes(&[path])?);
    Ok(())
}

/// Whoever reads stops after a line.
/// Panoramas, threads and photos of 108 megapixels: no side is too long, and what the budget refuses is named by its
/// size.
fn long_sides() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let field = |name: &str| format!("tests/data/field/{name}.png");
    let mut paths = vec![field("tall_6x8192"), field("panorama_8193x10")];
    for (name, width, height) in [("photo.png", 12_000, 9_000), ("wide.png", 70_000, 3), ("thread.png", 3, 70_000)] {
        let path = folder.path(name);
        image::GrayImage::from_fn(width, height, |x, y| image::Luma([(x / 50 + y / 70) as u8])).save(&path)?;
        paths.push(path);
    }
    let args: Vec<&str> = paths.iter().map(String::as_str).collect();
    let network = zoo::build("digits_seresnet", &zoo::Options::default())?;
    let weights = zoo::bundled_weights("digits_seresnet").ok_or("the digits network has weights")?;
    let preprocess = excite::model::Preprocess::for_model("digits_seresnet")?;
    let answers = lines(&args)?;
    assert_eq!(answers.len(), paths.len());
    for (path, answer) in paths.iter().zip(&answers) {
        let logits = network.reference(&excite::image::load(path, &preprocess)?, &weights)?;
        let logits = logits["logits"].data();
        let best = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).ok_or("no logits")?;
        assert_eq!(labelled(answer), Some((path.clone(), best.to_string())), "{answer}");
    }
    let photo = &paths[2];
    refuse(
        &["classify", "--image-memory", "100", photo],
        &["decoding 12000x9000 pixels would take ", "100 MiB are allowed"],
    )
}

fn closed_pipe() -> Result<(), Failed> {
    let images = vec!["assets/digits/digit_3_2.png"; 2000];
    for format in [&["--csv"][..], &["--jsonl"], &[]] {
        let mut command = program();
        command.arg("classify").args(format).args(&images).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
        assert!(line.contains("digit_3_2.png") || line.starts_with("image,rank"), "{line}");
        let mut told = String::new();
        child.stderr.take().ok_or("no standard error")?.read_to_string(&mut told)?;
        assert_eq!((child.wait()?.code(), told.lines().count()), (Some(0), 2), "{told}");
        assert!(told.starts_with("running on ") && told.contains("\nnetwork: digits_seresnet"), "{told}");
    }
    Ok(())
}
