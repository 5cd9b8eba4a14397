//! Images against PIL and timm: small ones of `tests/data`, and timm's evaluation transform where the golden
//! references are. `EXCITE_GOLDEN` names their folder; without them those tests are ignored, and fail in CI unless
//! `EXCITE_ALLOW_NO_GOLDEN=1` is set.

use ::image::ImageEncoder;
use excite::image::{self, Image, Interpolation, Limits, Preprocess, Resize};
use libtest_mimic::{Arguments, Failed, Trial};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[path = "common/corpus.rs"]
mod corpus;
#[path = "common/fuzzed_image.rs"]
mod fuzzed_image;

fn main() {
    if let Some(name) = std::env::var_os(PEAK) {
        return print_peak(Path::new(&name));
    }
    let mut trials: Vec<Trial> =
        IMAGES.iter().map(|&(name, most)| Trial::test(format!("decode/{name}"), move || decodes(name, most))).collect();
    trials.extend(FIELD.map(|name| Trial::test(format!("field/{name}"), move || decodes_or_refuses(name))));
    trials.push(Trial::test("jpeg/corpus", decodes_as_libjpeg_turbo));
    let formats = |name: &'static str| Trial::test(format!("format/{name}"), move || decodes(name, 0));
    trials.extend(FORMATS.map(formats));
    trials.push(Trial::test("format/frames.gif", || has_pixels("frames.gif", 0)));
    trials.push(Trial::test("corpus", nothing_in_the_corpus_panics));
    trials.push(Trial::test("format/jpeg_in_tiff", refuses_jpeg_in_tiff));
    #[cfg(target_os = "linux")]
    trials.push(Trial::test("memory/long", keeps_its_budget));
    #[cfg(target_os = "linux")]
    trials.push(Trial::test("memory/formats", keeps_the_budget_in_every_format));
    let transformed = |name: &'static str| Trial::test(format!("timm/{name}"), move || transforms_as_timm(name));
    trials.extend(TRANSFORMED.map(transformed));
    match golden() {
        Some(folder) => trials.extend(golden_trials(&folder)),
        None => {
            let allowed = std::env::var("EXCITE_ALLOW_NO_GOLDEN").is_ok_and(|value| value == "1");
            let required = std::env::var_os("CI").is_some() && !allowed;
            let missing = || Err("no golden references: EXCITE_GOLDEN must name their folder".into());
            trials.push(Trial::test("golden/preprocess", missing).with_ignored_flag(!required));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The folder of the golden references.
fn golden() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    let folder = std::env::var_os("EXCITE_GOLDEN").map_or_else(beside, PathBuf::from);
    folder.join("preprocess/index.json").is_file().then_some(folder)
}

/// Images of `tests/data`, and how far a sample may be from PIL's: JPEG decoders round differently.
const IMAGES: [(&str, u8); 5] =
    [("alpha.webp", 0), ("cmyk.jpg", 0), ("lossy.webp", 3), ("palette.png", 0), ("progressive.jpg", 0)];

/// Images of `tests/data` whose decoders are exact.
const FORMATS: [&str; 5] = ["bits.tiff", "lzw.tiff", "palette.bmp", "rgba.bmp", "transparent.gif"];

/// JPEGs of `tests/data/field`.
const FIELD: [&str; 6] = [
    "jpeg_420_33x17",
    "jpeg_422_24x24_edge",
    "jpeg_arithmetic",
    "jpeg_chroma_sampled_more",
    "jpeg_noninterleaved_420",
    "jpeg_scan_order_cb_cr_y",
];

/// Images of `tests/data/timm`: source, crop mode, height, width, crop in percent, interpolation.
const TRANSFORMED: [&str; 6] = [
    "tall_border_28_12_100_bicubic",
    "tall_center_24_24_100_bilinear",
    "tall_squash_21_30_80_bicubic",
    "wide_border_24_24_90_bicubic",
    "wide_center_20_20_87.5_bicubic",
    "wide_center_24_16_90_bilinear",
];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn decodes(name: &str, most: u8) -> Result<(), Failed> {
    has_pixels(name, most)?;
    let bytes = std::fs::read(data(name))?;
    // Without its last bytes, which may be padding or a mark that says the end, an image may be whole.
    for end in (0..bytes.len() - 12).step_by(7) {
        if image::decode(&bytes[..end], name).is_ok() {
            return Err(format!("decodes although it is cut after {end} of {} bytes", bytes.len()).into());
        }
    }
    Ok(())
}

/// A sound file: libjpeg-turbo's pixels, or an error that does not call it unsound.
fn decodes_or_refuses(name: &str) -> Result<(), Failed> {
    match image::open(data(&format!("field/{name}.jpg"))) {
        Ok(got) => close(&got, image::open(data(&format!("field/{name}.expected.png")))?.samples(), 0),
        Err(e) if e.to_string().contains("of a kind that can't be read") => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Compares with PIL's pixels.
fn has_pixels(name: &str, most: u8) -> Result<(), Failed> {
    let expected = image::open(data(&format!("{name}.rgb.png")))?;
    let got = image::open(data(name))?;
    let repeated = expected.channels() / got.channels();
    let samples = got.samples().iter().flat_map(|&sample| std::iter::repeat_n(sample, repeated)).collect();
    close(&Image::new(got.width(), got.height(), expected.channels(), samples)?, expected.samples(), most)
}

fn refuses_jpeg_in_tiff() -> Result<(), Failed> {
    let error = image::open(data("jpeg.tiff")).map(drop).unwrap_err().to_string();
    assert!(error.ends_with("is a TIFF of a kind that can't be read"), "{error}");
    Ok(())
}

/// What the fuzzer found worth keeping, through what it calls. That it ends without a panic is the assertion.
fn nothing_in_the_corpus_panics() -> Result<(), Failed> {
    let files = corpus::files("image");
    assert!(!files.is_empty(), "an empty corpus");
    files.iter().for_each(|(_, bytes)| fuzzed_image::image(bytes));
    Ok(())
}

/// Has a process print its peak memory for the image that it names.
const PEAK: &str = "EXCITE_TEST_PEAK";
/// Bytes that it may take.
const BUDGET: &str = "EXCITE_TEST_BUDGET";

/// Peak memory in KiB of a process that decodes and prepares an image.
#[cfg(target_os = "linux")]
fn peak(path: &Path, budget: u64) -> Result<u64, Failed> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let ran = command.env(PEAK, path).env(BUDGET, budget.to_string()).output()?;
    String::from_utf8(ran.stdout)?.trim().parse().map_err(|e| format!("{}: {e}", path.display()).into())
}

/// In a process of its own: decodes and prepares one image, and says what that took at most.
fn print_peak(path: &Path) {
    let preprocess = |resize| Preprocess { resize, ..Preprocess::for_model("seresnet50").expect("a row of the table") };
    let memory = std::env::var(BUDGET).map_or(Limits::default().memory, |bytes| bytes.parse().expect("bytes"));
    let image = image::open_with(path, Limits::default().memory(memory)).expect("within the budget");
    for resize in [Resize::Shorter, Resize::Squash] {
        let _ = preprocess(resize).pixels(&image);
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux has it");
    println!("{}", peak.trim().trim_end_matches(" kB"));
}

/// Peak memory of long images: what is counted is what is taken, and it is little where little is kept.
#[cfg(target_os = "linux")]
fn keeps_its_budget() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let gray = |name: &str, width: u32, height: u32| {
        let path = folder.path().join(name);
        ::image::GrayImage::new(width, height).save(&path).map(|()| path)
    };
    let images = [
        (data("field/tall_6x8192.png"), 64),
        (data("field/panorama_8193x10.png"), 64),
        (gray("thread.png", 1, 200_000)?, 64),
        (gray("line.png", 200_000, 1)?, 64),
        // Squashed, these take more than the budget and are refused.
        (gray("long.png", 12_000_000, 1)?, 1024),
        (gray("tall.png", 1, 12_000_000)?, 1024),
    ];
    for (path, most) in images {
        let peak = peak(&path, Limits::default().memory)?;
        println!("{}: {} MiB", path.display(), peak >> 10);
        if peak >> 10 > most {
            return Err(format!("{} takes {} MiB, at most {most} are allowed", path.display(), peak >> 10).into());
        }
    }
    Ok(())
}

/// The smallest budget that an image is decoded within bounds what that takes, whatever the format.
#[cfg(target_os = "linux")]
fn keeps_the_budget_in_every_format() -> Result<(), Failed> {
    use ::image::{DynamicImage, ImageFormat};
    use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress, compress_progressive};
    let folder = tempfile::tempdir()?;
    let (width, height) = (2000, 1500);
    let mut state = 1u32;
    let samples: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(width * height * 3)
    .collect();
    let rgb = ::image::RgbImage::from_raw(width as u32, height as u32, samples.clone()).ok_or("other sides")?;
    let mut files = vec![("lossy.webp".to_string(), std::fs::read(data("large.webp"))?)];
    for format in [ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Png, ImageFormat::Tiff, ImageFormat::WebP] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        rgb.write_to(&mut bytes, format)?;
        files.push((format!("{format:?}"), bytes.into_inner()));
    }
    // Of what is decoded, three eighths are kept.
    let wide = DynamicImage::from(rgb).into_rgba16();
    let mut bytes = std::io::Cursor::new(Vec::new());
    wide.write_to(&mut bytes, ImageFormat::Png)?;
    files.push(("16 bits.png".into(), bytes.into_inner()));
    for (name, sampling) in [("444", Subsampling::S444), ("420", Subsampling::S420)] {
        let jpeg = |compress: fn(&[u8], usize, usize, PixelFormat, u8, Subsampling) -> _| -> Result<Vec<u8>, Failed> {
            let bytes: libjpeg_turbo_rs::Result<Vec<u8>> =
                compress(&samples, width, height, PixelFormat::Rgb, 75, sampling);
            Ok(bytes?)
        };
        files.push((format!("{name}.jpeg"), jpeg(compress)?));
        files.push((format!("progressive.{name}.jpeg"), jpeg(compress_progressive)?));
    }
    let least = {
        let path = folder.path().join("least.png");
        ::image::GrayImage::new(1, 1).save(&path)?;
        peak(&path, 1 << 20)?
    };
    let mut failures = Vec::new();
    for (name, bytes) in files {
        let decodes = |memory: u64| image::decode_with(&bytes, &name, Limits::default().memory(memory)).is_ok();
        let (mut too_little, mut enough) = (0, 64 << 20);
        assert!(decodes(enough), "{name}");
        while enough - too_little > 1 << 20 {
            let middle = (too_little + enough) / 2;
            if decodes(middle) { enough = middle } else { too_little = middle }
        }
        let path = folder.path().join(&name);
        std::fs::write(&path, &bytes)?;
        let took = (peak(&path, enough)? - least) << 10;
        println!("{name}: {} bytes, a budget of {enough}, took {took}", bytes.len());
        if took > enough {
            failures.push(format!("{name} takes {took} bytes of {enough}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// The corpus of `tools/jpeg_corpus.py`: what Pillow decodes is the same here or refused, and few of them are.
fn decodes_as_libjpeg_turbo() -> Result<(), Failed> {
    let bytes = std::fs::read(data("jpeg.safetensors"))?;
    let corpus = SafeTensors::deserialize(&bytes)?;
    let (mut exact, mut refused) = (0, Vec::new());
    for name in corpus.names().into_iter().filter(|name| !name.ends_with(".rgb")) {
        let expected = corpus.tensor(&format!("{name}.rgb"))?;
        match image::decode(corpus.tensor(name)?.data(), name) {
            Ok(got) => {
                let samples: Vec<u8> = match got.channels() {
                    1 => got.samples().iter().flat_map(|&gray| [gray; 3]).collect(),
                    _ => got.samples().to_vec(),
                };
                let shape = [got.height(), got.width(), 3];
                if shape != expected.shape() || samples != expected.data() {
                    return Err(format!("{name}: is not what libjpeg-turbo decodes").into());
                }
                exact += 1;
            }
            Err(e) if e.to_string().contains("of a kind that can't be read") => refused.push(name),
            Err(e) => return Err(format!("{name}: {e}").into()),
        }
    }
    let known = |name: &&str| {
        ["chroma-wider ", "chroma-finer ", "cb-finer "].iter().any(|start| name.starts_with(start))
            || ["two scans", "Pillow CMYK 4:2:0"].contains(name)
    };
    let (unknown, known): (Vec<&str>, Vec<&str>) = refused.into_iter().partition(|name| !known(name));
    match (unknown.is_empty(), exact, known.len()) {
        (true, 80, 20) => Ok(()),
        (_, exact, known) => {
            Err(format!("{exact} are exact and {known} refused as expected, besides {unknown:?}").into())
        }
    }
}

fn transforms_as_timm(name: &str) -> Result<(), Failed> {
    let [source, mode, height, width, percent, interpolation] = name.split('_').collect::<Vec<_>>()[..] else {
        return Err("a name has six parts".into());
    };
    let preprocess = Preprocess {
        channels: 3,
        size: [height.parse()?, width.parse()?],
        resize: resize(mode)?,
        crop_pct: percent.parse::<f64>()? / 100.0,
        interpolation: self::interpolation(interpolation)?,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };
    let expected = image::open(data(&format!("timm/{name}.png")))?;
    transformed(&preprocess, &image::open(data(&format!("timm/{source}.png")))?, expected.samples())
}

/// By timm's name.
fn resize(crop_mode: &str) -> Result<Resize, Failed> {
    match crop_mode {
        "squash" => Ok(Resize::Squash),
        "center" => Ok(Resize::Shorter),
        "border" => Ok(Resize::Border),
        other => Err(format!("no crop mode is named {other}").into()),
    }
}

/// By timm's name.
fn interpolation(name: &str) -> Result<Interpolation, Failed> {
    match name {
        "bicubic" => Ok(Interpolation::Bicubic),
        "bilinear" => Ok(Interpolation::Bilinear),
        other => Err(format!("no interpolation is named {other}").into()),
    }
}

/// Compares samples: each at most `most` away, and close on average.
fn close(got: &Image, expected: &[u8], most: u8) -> Result<(), Failed> {
    if got.samples().len() != expected.len() {
        return Err(format!("expected {} samples, found {}", expected.len(), got.samples().len()).into());
    }
    let differences = || got.samples().iter().zip(expected).map(|(&a, &b)| a.abs_diff(b));
    let (index, largest) = differences().enumerate().max_by_key(|(_, d)| *d).expect("images have pixels");
    if largest > most {
        let (found, expected) = (got.samples()[index], expected[index]);
        return Err(format!("sample {index}: expected {expected}, found {found}; at most {most} is allowed").into());
    }
    Ok(())
}

/// One trial an image, and one an image and setting.
fn golden_trials(folder: &Path) -> Vec<Trial> {
    let folder = folder.join("preprocess");
    let text = std::fs::read_to_string(folder.join("index.json")).expect("the golden references can be read");
    let index: Value = serde_json::from_str(&text).expect("the index is JSON");
    let list = |key: &str| index[key].as_array().expect("the index has its lists").clone();
    let mut trials = Vec::new();
    for case in list("cases") {
        let text = |key: &str| case[key].as_str().expect("a case has its settings").to_string();
        let name = format!(
            "golden/{}/{}_{}_{}_{}_{}_{}",
            text("image"),
            text("crop_mode"),
            case["size"],
            case["crop_pct"],
            text("interpolation"),
            text("norm"),
            text("orientation")
        );
        let folder = folder.clone();
        trials.push(Trial::test(name, move || transforms(&folder, &case)));
    }
    for row in list("images") {
        let folder = folder.clone();
        let name = row["image"].as_str().expect("an image has a name").to_string();
        trials.push(Trial::test(format!("golden/{name}/decode"), move || decodes_golden(&folder, &name, &row)));
    }
    trials
}

fn decodes_golden(folder: &Path, name: &str, row: &Value) -> Result<(), Failed> {
    let image = image::open(folder.join("images").join(name))?;
    if name.ends_with("jpg") {
        let (_, decoded) = tensor(folder, &name.replace("jpg", "safetensors"), "decoded_as_stored")?;
        close(&image, &decoded, 4)?;
        let upright = image.upright();
        let expected = row["upright_size_wh"] == serde_json::json!([upright.width(), upright.height()]);
        return expected.then_some(()).ok_or_else(|| "is of another size when it stands upright".into());
    }
    let sum: u64 = image.samples().iter().map(|&sample| u64::from(sample)).sum();
    let sum = if image.channels() == 1 { 3 * sum } else { sum };
    (row["rgb_sum"] == sum)
        .then_some(())
        .ok_or_else(|| format!("samples add up to {sum}, not {}", row["rgb_sum"]).into())
}

fn tensor(folder: &Path, file: &str, name: &str) -> Result<(Vec<usize>, Vec<u8>), Failed> {
    let bytes = std::fs::read(folder.join(file))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let tensor = file.tensor(name)?;
    Ok((tensor.shape().to_vec(), tensor.data().to_vec()))
}

/// A PNG whose EXIF data say to turn it right by a quarter.
fn png_with_orientation_6(shape: &[usize], samples: &[u8]) -> Result<Vec<u8>, Failed> {
    // Little endian, one entry at 8: tag 0x112, one short integer.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut bytes = Vec::new();
    let mut encoder = ::image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif.to_vec())?;
    encoder.write_image(samples, shape[1] as u32, shape[0] as u32, ::image::ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

fn transforms(folder: &Path, case: &Value) -> Result<(), Failed> {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let three = |key: &str| [0, 1, 2].map(|i| case[key][i].as_f64().unwrap_or_default() as f32);
    let size = case["size"].as_u64().unwrap_or_default() as usize;
    let preprocess = Preprocess {
        channels: 3,
        size: [size; 2],
        resize: resize(text("crop_mode"))?,
        crop_pct: case["crop_pct"].as_f64().unwrap_or_default(),
        interpolation: interpolation(text("interpolation"))?,
        mean: three("mean"),
        std: three("std"),
    };
    let image = match text("image").strip_suffix(".jpg") {
        // Resizing is on trial here, not the decoder.
        Some(stem) => {
            let (shape, decoded) = tensor(folder, &format!("{stem}.safetensors"), "decoded_as_stored")?;
            image::decode(&png_with_orientation_6(&shape, &decoded)?, "the JPEG's pixels as PNG")?
        }
        None => image::open(folder.join("images").join(text("image")))?,
    };
    let image = match text("orientation") {
        "as_stored" => image,
        "exif_applied" => image.upright(),
        other => return Err(format!("no orientation is named {other}").into()),
    };
    let (_, expected) = tensor(folder, text("file"), text("u8"))?;
    transformed(&preprocess, &image, &expected)
}

/// The image prepared, with normalisation undone: each sample at most 1 off, 0.01 on average.
fn transformed(preprocess: &Preprocess, image: &Image, expected: &[u8]) -> Result<(), Failed> {
    let input = preprocess.apply(image)?;
    let [height, width] = preprocess.size;
    let plane = height * width;
    let mut samples = vec![0; 3 * plane];
    let mut difference = 0.0;
    for (i, &value) in input.data().iter().enumerate() {
        let (channel, pixel) = (i / plane, i % plane);
        let sample = f64::from(value) * f64::from(preprocess.std[channel]) + f64::from(preprocess.mean[channel]);
        samples[3 * pixel + channel] = (sample * 255.0).round() as u8;
        difference += (sample * 255.0 - f64::from(expected[3 * pixel + channel])).abs();
    }
    close(&Image::new(width, height, 3, samples)?, expected, 1)?;
    let mean = difference / (3 * plane) as f64;
    (mean < 0.01)
        .then_some(())
        .ok_or_else(|| format!("samples are {mean:.4} off on average, at most 0.01 is allowed").into())
}
