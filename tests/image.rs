//! Pictures against PIL and timm: small ones of `tests/data`, and timm's evaluation transform where the golden
//! references are. `EXCITE_GOLDEN` names their folder; without them those tests are ignored, and fail in CI unless
//! `EXCITE_ALLOW_NO_GOLDEN=1` is set.

use ::image::ImageEncoder;
use excite::image::{self, Interpolation, Picture, Preprocess, Resize};
use libtest_mimic::{Arguments, Failed, Trial};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn main() {
    let mut trials: Vec<Trial> = PICTURES
        .iter()
        .map(|&(name, most)| Trial::test(format!("decode/{name}"), move || decodes(name, most)))
        .collect();
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

/// Pictures of `tests/data`, and how far a sample may be from PIL's: JPEG decoders round differently.
const PICTURES: [(&str, u8); 5] =
    [("alpha.webp", 0), ("cmyk.jpg", 3), ("lossy.webp", 3), ("palette.png", 0), ("progressive.jpg", 4)];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn decodes(name: &str, most: u8) -> Result<(), Failed> {
    let got = image::open(data(name))?;
    let expected = image::open(data(&format!("{name}.rgb.png")))?;
    close(&got, expected.samples(), most)?;
    let bytes = std::fs::read(data(name))?;
    // Without its last bytes, which may be padding or a mark that says the end, a picture may be whole.
    for end in (0..bytes.len() - 12).step_by(7) {
        if image::decode(&bytes[..end], name).is_ok() {
            return Err(format!("decodes although it is cut after {end} of {} bytes", bytes.len()).into());
        }
    }
    Ok(())
}

/// Compares samples: each at most `most` away, and close on average.
fn close(got: &Picture, expected: &[u8], most: u8) -> Result<(), Failed> {
    if got.samples().len() != expected.len() {
        return Err(format!("expected {} samples, found {}", expected.len(), got.samples().len()).into());
    }
    let differences = || got.samples().iter().zip(expected).map(|(&a, &b)| a.abs_diff(b));
    let (index, largest) = differences().enumerate().max_by_key(|(_, d)| *d).expect("pictures have pixels");
    if largest > most {
        let (found, expected) = (got.samples()[index], expected[index]);
        return Err(format!("sample {index}: expected {expected}, found {found}; at most {most} is allowed").into());
    }
    Ok(())
}

/// One trial a picture, and one a picture and setting.
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
        let name = row["image"].as_str().expect("a picture has a name").to_string();
        trials.push(Trial::test(format!("golden/{name}/decode"), move || decodes_golden(&folder, &name, &row)));
    }
    trials
}

fn decodes_golden(folder: &Path, name: &str, row: &Value) -> Result<(), Failed> {
    let picture = image::open(folder.join("images").join(name))?;
    if name.ends_with("jpg") {
        let (_, decoded) = tensor(folder, &name.replace("jpg", "safetensors"), "decoded_as_stored")?;
        close(&picture, &decoded, 4)?;
        let upright = picture.upright();
        let expected = row["upright_size_wh"] == serde_json::json!([upright.width(), upright.height()]);
        return expected.then_some(()).ok_or_else(|| "is of another size when it stands upright".into());
    }
    let sum: u64 = picture.samples().iter().map(|&sample| u64::from(sample)).sum();
    let sum = if picture.channels() == 1 { 3 * sum } else { sum };
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
        resize: match text("crop_mode") {
            "squash" => Resize::Squash,
            "center" => Resize::Shorter,
            "border" => Resize::Border,
            other => return Err(format!("no crop mode is named {other}").into()),
        },
        crop_pct: case["crop_pct"].as_f64().unwrap_or_default(),
        interpolation: match text("interpolation") {
            "bicubic" => Interpolation::Bicubic,
            "bilinear" => Interpolation::Bilinear,
            other => return Err(format!("no interpolation is named {other}").into()),
        },
        mean: three("mean"),
        std: three("std"),
    };
    let picture = match text("image").strip_suffix(".jpg") {
        // Resizing is on trial here, not the decoder.
        Some(stem) => {
            let (shape, decoded) = tensor(folder, &format!("{stem}.safetensors"), "decoded_as_stored")?;
            image::decode(&png_with_orientation_6(&shape, &decoded)?, "the JPEG's pixels as PNG")?
        }
        None => image::open(folder.join("images").join(text("image")))?,
    };
    let picture = match text("orientation") {
        "as_stored" => picture,
        "exif_applied" => picture.upright(),
        other => return Err(format!("no orientation is named {other}").into()),
    };
    let input = preprocess.apply(&picture)?;
    let (_, expected) = tensor(folder, text("file"), text("u8"))?;
    let plane = size * size;
    let mut samples = vec![0; 3 * plane];
    let mut difference = 0.0;
    for (i, &value) in input.data().iter().enumerate() {
        let (channel, pixel) = (i / plane, i % plane);
        let sample = f64::from(value) * f64::from(preprocess.std[channel]) + f64::from(preprocess.mean[channel]);
        samples[3 * pixel + channel] = (sample * 255.0).round() as u8;
        difference += (sample * 255.0 - f64::from(expected[3 * pixel + channel])).abs();
    }
    close(&Picture::new(size, size, 3, samples)?, &expected, 1)?;
    let mean = difference / (3 * plane) as f64;
    (mean < 0.01)
        .then_some(())
        .ok_or_else(|| format!("samples are {mean:.4} off on average, at most 0.01 is allowed").into())
}
