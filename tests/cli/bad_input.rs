//! What the program must refuse: one line that names the thing, exit status 1.

use crate::Case;
use crate::program::{Folder, asset, digits, program, refuse, refused, run, succeed};
use excite::Tensor;
use excite::import::safetensors;
use image::{DynamicImage, ImageFormat, RgbImage};
use libtest_mimic::Failed;
use std::io::Cursor;

pub const CASES: &[Case] = &[
    Case::on_gpu("classify/missing_file", missing_file),
    Case::new("classify/directory_without_images", directory),
    Case::on_gpu("classify/empty_file", empty_file),
    Case::on_gpu("classify/truncated_png", truncated_png),
    Case::on_gpu("classify/truncated_jpeg", truncated_jpeg),
    Case::on_gpu("classify/text_named_png", text_named_png),
    Case::on_gpu("classify/too_many_pixels", too_many_pixels),
    Case::on_gpu("classify/one_bad_image_among_good_ones", one_bad_image),
    Case::new("classify/no_image", no_image),
    Case::new("classify/without_weights", without_weights),
    Case::new("classify/settings_without_sense", settings_without_sense),
    Case::new("classify/labels_that_do_not_fit", labels_that_do_not_fit),
    Case::new("classify/configuration_of_another_network", configuration_of_another_network),
    Case::new("models/unknown", models_unknown),
    Case::new("model/unknown", unknown_model),
    Case::new("model/size_too_small", size_too_small),
    Case::new("model/size_too_large", size_too_large),
    Case::new("model/batch_0", batch_0),
    Case::on_gpu("model/batch_beyond_the_adapter", batch_beyond_the_adapter),
    Case::on_gpu("weights/of_another_model", weights_of_another_model),
    Case::on_gpu("weights/with_nan", weights_with_nan),
    Case::new("weights/cut_short", weights_cut_short),
    Case::new("weights/pickle", weights_pickle),
    Case::new("weights/missing_file", weights_missing),
    Case::on_gpu("device/does_not_exist", device_does_not_exist),
    Case::new("run/input_without_input", input_without_input),
    Case::new("run/input_of_another_shape", input_of_another_shape),
    Case::new("run/input_with_nan", input_with_nan),
    Case::new("run/output_cannot_be_written", output_cannot_be_written),
    Case::new("usage", usage),
];

/// Expects `classify` to refuse this image and to name it.
fn refuse_image(path: &str, parts: &[&str]) -> Result<(), Failed> {
    let parts: Vec<&str> = parts.iter().copied().chain([path]).collect();
    refuse(&["classify", path], &parts)
}

fn missing_file() -> Result<(), Failed> {
    refuse_image(&Folder::new()?.path("nowhere.png"), &["can't read the image"])
}

fn directory() -> Result<(), Failed> {
    let folder = Folder::new()?;
    folder.file("notes.txt", "This is text.")?;
    folder.file(".hidden.png", image(ImageFormat::Png)?)?;
    refuse_image(&folder.path("."), &["expected images in this directory", ".png"])
}

fn empty_file() -> Result<(), Failed> {
    let folder = Folder::new()?;
    refuse_image(&folder.file("empty.png", b"")?, &["expected an image, found an empty file"])
}

fn image(format: ImageFormat) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let image = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, (x * y) as u8]));
    DynamicImage::from(image).write_to(&mut Cursor::new(&mut bytes), format)?;
    Ok(bytes)
}

fn truncated_png() -> Result<(), Failed> {
    let (folder, bytes) = (Folder::new()?, image(ImageFormat::Png)?);
    refuse_image(&folder.file("cut.png", &bytes[..bytes.len() / 2])?, &["is no sound PNG"])
}

fn truncated_jpeg() -> Result<(), Failed> {
    let (folder, bytes) = (Folder::new()?, include_bytes!("../data/progressive.jpg"));
    refuse_image(&folder.file("cut.jpg", &bytes[..bytes.len() / 2])?, &["is no sound JPEG"])
}

fn text_named_png() -> Result<(), Failed> {
    let folder = Folder::new()?;
    refuse_image(&folder.file("notes.png", "This is text.")?, &["expected PNG, JPEG, WebP, BMP, GIF or TIFF"])
}

fn too_many_pixels() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let mut bytes = Vec::new();
    DynamicImage::new_luma8(1500, 1000).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    let path = folder.file("long.png", bytes)?;
    refuse(&["classify", &path, "--image-memory", "1"], &["decoding 1500x1000 pixels would take", "1 MiB are allowed"])
}

fn one_bad_image() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let bad = folder.file("notes.png", "This is text.")?;
    one_bad(&bad, "expected PNG, JPEG, WebP, BMP, GIF or TIFF")?;
    // One whose decoder panics.
    one_bad("tests/data/field/png_plte_panic.png", "is a damaged PNG or one of a kind that can't be read")
}

fn one_bad(bad: &str, why: &str) -> Result<(), Failed> {
    let digits = digits()?;
    let (first, second) = (&digits[3], &digits[7]);
    let ran = run(program().args(["classify", "--batch", "2", &first.0, bad, &second.0]))?;
    let lines: Vec<&str> = ran.stdout.lines().collect();
    if ran.code != Some(1) || lines.len() != 2 {
        return Err(format!("exit status {:?}, standard output: {}", ran.code, ran.stdout).into());
    }
    for ((path, label), line) in [first, second].into_iter().zip(lines) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..2], [path, label]);
    }
    assert!(
        ran.stderr.contains(&format!("error: {bad}: {why}")) && !ran.stderr.contains("panicked at"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.ends_with("error: 1 of 3 images could not be classified\n"), "{}", ran.stderr);
    let ran = run(program().args(["classify", "--json", bad, &first.0]))?;
    let document: serde_json::Value = serde_json::from_str(&ran.stdout)?;
    assert_eq!(ran.code, Some(1));
    assert!(document["images"][0]["error"].as_str().is_some_and(|error| error.contains(bad)), "{document}");
    assert_eq!(document["images"][1]["classes"][0]["label"], first.1.as_str());
    Ok(())
}

fn no_image() -> Result<(), Failed> {
    assert_eq!(run(program().arg("classify"))?.code, Some(2));
    Ok(())
}

fn without_weights() -> Result<(), Failed> {
    let refuse = |model: &str, parts: &[&str]| refuse(&["classify", "--model", model, "x.png"], parts);
    let hub = "https://huggingface.co/timm/seresnet50.";
    refuse("seresnet50", &["models--timm--seresnet50.a1_in1k", hub, "--weights"])?;
    refuse("seresnet50.a3_in1k", &["models--timm--seresnet50.a3_in1k", hub, "--weights"])?;
    refuse("se_vgg16", &["se_vgg16 comes without weights, and none are published", "--weights"])?;
    refuse("seresnet50.a9_in1k", &["no weights tagged", "a1_in1k, a2_in1k"])
}

fn settings_without_sense() -> Result<(), Failed> {
    for (option, value, part) in [
        ("--top", "0", "--top must be at least 1, is 0"),
        ("--crop", "0", "--crop must be above 0 and at most 1, is 0"),
        ("--crop", "1.01", "--crop must be above 0 and at most 1, is 1.01"),
        ("--crop", "NaN", "--crop must be above 0 and at most 1, is NaN"),
        ("--size", "1x8", "images must be at least 2x2, are 1x8"),
        ("--classes", "0", "--classes 0 leaves no classes to tell apart"),
        ("--channels", "4", "images have 1 or 3 channels, not 4"),
        ("--revision", "v9", "digits_seresnet has no weights on the hub"),
    ] {
        refuse(&["classify", "x.png", option, value], &[part])?;
    }
    // Before anybody is asked for weights.
    let unreadable = ["no.txt", "can't read the labels"];
    refuse(&["classify", "--model", "regnety_002", "x.png", "--crop", "2"], &["--crop must be"])?;
    refuse(&["classify", "--model", "regnety_002", "x.png", "--labels", "/nonexistent/no.txt"], &unreadable)
}

fn labels_that_do_not_fit() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let labels = folder.file("labels.txt", "cat\ndog\n")?;
    let expected = [&*labels, "expected 10 labels, one for each class, found 2"];
    refuse(&["classify", "--labels", &labels, "x.png"], &expected)?;
    refuse(&["classify", "--labels", &folder.path("no.txt"), "x.png"], &["no.txt", "can't read the labels"])?;
    #[cfg(unix)]
    {
        let pipe = folder.path("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status()?.success());
        refuse(&["classify", "--labels", &pipe, "x.png"], &[&pipe, "expected a text file, found no regular file"])?;
    }
    Ok(())
}

fn configuration_of_another_network() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let config = folder.file("config.json", r#"{"architecture": "seresnet50"}"#)?;
    let weights = folder.file("w.safetensors", std::fs::read(asset("digits_seresnet.safetensors"))?)?;
    refuse(&["classify", "--weights", &weights, "x.png"], &[&config, "seresnet50", "digits_seresnet"])
}

fn models_unknown() -> Result<(), Failed> {
    refuse(&["models", "seresnet5O"], &["no model is named \"seresnet5O\"", "did you mean"])
}

fn unknown_model() -> Result<(), Failed> {
    let message = &["no model is named \"seresnet5O\"", "did you mean", "seresnet50"];
    refuse(&["plan", "seresnet5O"], message)?;
    refuse(&["classify", "--model", "seresnet5O", "x.png"], message)?;
    refuse(&["verify", "seresnet5O"], message)?;
    refuse(&["bench", "seresnet5O"], message)
}

fn size_too_small() -> Result<(), Failed> {
    refuse(&["plan", "seresnet50", "--size", "31x64"], &["seresnet50", "at least 32x32", "31x64"])?;
    refuse(&["verify", "digits", "--size", "1"], &["digits_seresnet", "at least 2x2", "1x1"])?;
    refuse(&["plan", "digits", "--size", "0x8"], &["at least 2x2", "0x8"])
}

fn size_too_large() -> Result<(), Failed> {
    refuse(&["plan", "seresnet50", "--size", "65536x65536"], &["max_storage_buffer_binding_size"])?;
    let ran = run(program().args(["plan", "digits", "--size", "99999999999x9"]))?;
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("99999999999x9"), "{}", ran.stderr);
    Ok(())
}

fn batch_0() -> Result<(), Failed> {
    for command in [&["plan", "digits"][..], &["verify", "digits"], &["bench", "digits"], &["classify", "x.png"]] {
        refuse(&[command, &["--batch", "0"]].concat(), &["--batch must be at least 1, is 0"])?;
    }
    refuse(&["plan", "digits", "--batch", "10000000000000000000"], &["--batch must be at most"])
}

fn batch_beyond_the_adapter() -> Result<(), Failed> {
    // A batch runs in parts; one image that is too large is refused.
    let planned = succeed(&["plan", "seresnet50", "--batch", "65536"])?;
    let parts = "65536 images pass a limit: they run in 1599 parts of 41, the last of 18, each as follows\n";
    assert!(planned.contains(parts), "{}", planned.lines().take(3).collect::<Vec<_>>().join("\n"));
    let args = ["plan", "seresnet50", "--batch", "2", "--size", "4096"];
    refuse(&args, &["input", "max_storage_buffer_binding_size", "a smaller image"])
}

fn weights_of_another_model() -> Result<(), Failed> {
    let weights = asset("digits_resnet.safetensors");
    let digit = &digits()?[0].0;
    refuse(
        &["classify", "--weights", &weights, digit],
        &[
            &weights,
            "not those of digits_seresnet",
            "these look like those of digits_resnet; name it (`--model digits_resnet`)",
        ],
    )
}

fn weights_with_nan() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let mut tensors = safetensors::read(asset("digits_seresnet.safetensors"))?;
    tensors.get_mut("fc.bias").ok_or("the digits network has fc.bias")?.data_mut()[3] = f32::NAN;
    let tensors: Vec<(&str, Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    let weights = folder.tensors("nan.safetensors", &tensors)?;
    refuse(&["verify", "digits", "--weights", &weights], &[&weights, "NaN", "fc.bias"])
}

fn weights_cut_short() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let bytes = std::fs::read(asset("digits_seresnet.safetensors"))?;
    for (name, end) in [("a.safetensors", 0), ("b.safetensors", 5), ("c.safetensors", 600), ("d.safetensors", 100_000)]
    {
        let weights = folder.file(name, &bytes[..end])?;
        refuse(&["verify", "digits", "--weights", &weights], &[&weights, "safetensors file"])?;
    }
    Ok(())
}

fn weights_pickle() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let weights = folder.file("model.pth", b"\x80\x04K\x01.")?;
    refuse(&["verify", "digits", "--weights", &weights], &[&weights, "is a pickle"])
}

fn weights_missing() -> Result<(), Failed> {
    let weights = Folder::new()?.path("nowhere.safetensors");
    refuse(&["verify", "digits", "--weights", &weights], &[&weights, "can't read the weights"])
}

fn device_does_not_exist() -> Result<(), Failed> {
    let digit = &digits()?[0].0;
    for device in ["99", "no such adapter"] {
        let message = &[&*format!("no adapter is like \"{device}\""), "there are 0: "];
        refuse(&["classify", "--device", device, digit], message)?;
        refuse(&["plan", "digits", "--device", device], message)?;
        refuse(&["verify", "digits", "--device", device], message)?;
        refuse(&["bench", "se", "--device", device], message)?;
        refused(&run(program().args(["verify", "digits"]).env("EXCITE_DEVICE", device))?, message)?;
    }
    Ok(())
}

fn input_without_input() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let two = [("image", Tensor::zeros([1, 1, 8, 8])), ("other", Tensor::zeros([1]))];
    let input = folder.tensors("in.safetensors", &two)?;
    refuse(
        &["run", "digits", "--input", &input, "--output", &folder.path("out")],
        &[&input, "expected a tensor \"input\", or only one, found image, other"],
    )
}

fn input_of_another_shape() -> Result<(), Failed> {
    let folder = Folder::new()?;
    for (shape, part) in [
        (vec![1, 3, 8, 8], "[N,1,H,W]"),
        (vec![8, 8], "[N,1,H,W]"),
        (vec![0, 1, 8, 8], "N at least 1"),
        (vec![1, 1, 1, 8], "images must be at least 2x2, are 1x8"),
    ] {
        let input = folder.tensors("in.safetensors", &[("input", Tensor::zeros(shape))])?;
        refuse(&["run", "digits", "--input", &input, "--output", &folder.path("out")], &[part])?;
    }
    Ok(())
}

fn input_with_nan() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let input = folder.tensors("in.safetensors", &[("input", Tensor::full([1, 1, 8, 8], f32::INFINITY))])?;
    refuse(&["run", "digits", "--input", &input, "--output", &folder.path("out")], &[&input, "finite", "inf"])
}

fn output_cannot_be_written() -> Result<(), Failed> {
    let folder = Folder::new()?;
    let input = folder.tensors("in.safetensors", &[("input", Tensor::zeros([1, 1, 8, 8]))])?;
    let refuse = |output: &str, part: &str| {
        refuse(&["run", "digits", "--input", &input, "--output", output], &[output, "can't write", part])
    };
    refuse(&folder.path("no/such/folder/out.safetensors"), "is no directory")?;
    refuse(&folder.path("."), "a directory")?;
    refuse(&format!("{input}/out.safetensors"), "is no directory")?;
    if cfg!(target_os = "linux") {
        // Not even root can make a file here.
        refuse("/proc/out.safetensors", "")?;
    }
    #[cfg(unix)]
    {
        let socket = folder.path("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket)?;
        refuse(&socket, "no regular file")?;
        assert!(!std::fs::metadata(&socket)?.is_file(), "the socket is still there");
    }
    Ok(())
}

fn usage() -> Result<(), Failed> {
    for args in [
        &[][..],
        &["frobnicate"],
        &["plan"],
        &["plan", "digits", "--size", "8by8"],
        &["plan", "digits", "--fusion", "half"],
        &["plan", "digits", "--precision", "half"],
        &["plan", "digits", "--batch", "-1"],
        &["models", "seresnet", "--paper"],
        &["classify", "x.png", "--csv", "--json"],
        &["classify", "x.png", "--size", "8", "--test-size"],
        &["classify", "x.png", "--top", "many"],
        &["verify", "digits", "--seed", "1", "--weights", "x"],
    ] {
        assert_eq!(run(program().args(args))?.code, Some(2), "{args:?}");
    }
    assert!(succeed(&["--help"])?.contains("classify"));
    assert!(succeed(&["--version"])?.starts_with("excite "));
    Ok(())
}
