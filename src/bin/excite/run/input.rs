//! What `excite run` takes: safetensors, NumPy's .npy and images, known by their contents; from a file or standard input.

use super::Args;
use crate::classify::paths::{self, STANDARD};
use crate::model::{self, Named};
use excite::image::{self, Image, Limits};
use excite::import::safetensors;
use excite::zoo::{self, Pretrained};
use excite::{Error, Result, Tensor, Weights};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// What a file is, as it begins.
enum Kind {
    Npy,
    Image,
    Safetensors,
}

impl Kind {
    fn of(start: &[u8]) -> Self {
        let image = [&b"\x89PNG"[..], b"\xff\xd8\xff", b"RIFF", b"BM", b"GIF8", b"II*\0", b"MM\0*"];
        match start {
            _ if start.starts_with(super::npy::MAGIC) => Self::Npy,
            // A length may look as an image's first bytes do.
            _ if model::is_safetensors(start) => Self::Safetensors,
            _ if image.iter().any(|magic| start.starts_with(magic)) => Self::Image,
            _ => Self::Safetensors,
        }
    }
}

/// The input, whatever it is in.
pub fn read(args: &Args) -> Result<Tensor> {
    let path = &args.input;
    let mut start = Vec::new();
    let mut source: Box<dyn Read> = match paths::is_standard(path) {
        true => Box::new(std::io::stdin()),
        // What is no file, or can't be read, is an error of what reads safetensors. A pipe is not waited for.
        false => match path.metadata().is_ok_and(|found| found.is_file()).then(|| File::open(path)) {
            Some(Ok(file)) => Box::new(file),
            _ => Box::new(Cursor::new([])),
        },
    };
    let read = |error| Error::File {
        path: path.clone(),
        message: "can't read the input".into(),
        source: Some(Box::new(error)),
    };
    if source.by_ref().take(16).read_to_end(&mut start).is_err() {
        return safetensors::read(path).and_then(|tensors| the_one(path, tensors));
    }
    match Kind::of(&start) {
        Kind::Npy => super::npy::read(&mut Cursor::new(start).chain(source), path),
        Kind::Image => {
            let image = match paths::is_standard(path) {
                true => {
                    let limits = Limits::default();
                    // What is longer than may be, decoding refuses.
                    let bytes = whole(start, source.take(limits.memory)).map_err(read)?;
                    image::decode_with(&bytes, STANDARD, limits)?
                }
                false => image::open(path)?,
            };
            prepared(args, &image)
        }
        Kind::Safetensors if paths::is_standard(path) => {
            let weights = Weights::from_safetensors_bytes(whole(start, source).map_err(read)?, STANDARD)?;
            let tensors =
                weights.tensors().into_iter().map(|(name, shape)| Ok((name.clone(), weights.get(&name, &shape)?)));
            the_one(Path::new(STANDARD), tensors.collect::<Result<_>>()?)
        }
        Kind::Safetensors => the_one(path, safetensors::read(path)?),
    }
}

fn whole(mut start: Vec<u8>, mut rest: impl Read) -> std::io::Result<Vec<u8>> {
    rest.read_to_end(&mut start)?;
    Ok(start)
}

/// The tensor `input`, else the only one.
fn the_one(path: &Path, mut tensors: std::collections::BTreeMap<String, Tensor>) -> Result<Tensor> {
    if let Some(input) = tensors.remove("input") {
        return Ok(input);
    }
    match tensors.pop_first() {
        Some((_, only)) if tensors.is_empty() => Ok(only),
        first => {
            let names: Vec<&str> =
                first.iter().map(|(name, _)| name).chain(tensors.keys()).take(8).map(String::as_str).collect();
            let found = if names.is_empty() { "none".into() } else { names.join(", ") };
            let message = format!("expected a tensor \"input\", or only one, found {found}");
            Err(Error::File { path: path.into(), message, source: None })
        }
    }
}

/// The image as the network wants it, which is as `classify` prepares it.
fn prepared(args: &Args, image: &Image) -> Result<Tensor> {
    let path = match model::named(args.asked.name())? {
        Named::Zoo(name) => {
            let known = zoo::pretrained(name)?;
            let known = match &args.weights.weights {
                Some(weights) => known.with_config_beside(weights)?,
                None => known,
            };
            let preprocess = known.preprocess;
            return match args.weights.channels.unwrap_or(preprocess.channels) == preprocess.channels {
                true => preprocess.apply(image),
                false => {
                    Err(Error::Request("--channels: give tensors and no image, whose settings are not known".into()))
                }
            };
        }
        Named::Onnx(path) => path,
    };
    let mut preprocess = Pretrained::assumed(1000).with_config_beside(path)?.preprocess;
    let options = args.file.onnx(None);
    let input = excite::import::onnx::Onnx::open(path, &options)?.input(&options)?;
    // Height and width as the file declares them, where it does.
    let sides = if input.channels_last { input.dims.get(1..3) } else { input.dims.get(2..4) };
    if let Some(&[Some(height), Some(width)]) = sides {
        preprocess.size = [height, width];
    }
    if input.bytes {
        (preprocess.mean, preprocess.std) = ([0.0; 3], [1.0; 3]);
    }
    let image = preprocess.apply(image)?;
    // Samples 0 to 255, whole.
    let image = if input.bytes {
        Tensor::new(image.shape(), image.data().iter().map(|x| (x * 255.0).round()).collect())?
    } else {
        image
    };
    if !input.channels_last {
        return Ok(image);
    }
    let [height, width] = preprocess.size;
    let (channels, plane) = (preprocess.channels, height * width);
    Ok(Tensor::from_fn([1, height, width, channels], |i| image.data()[i % channels * plane + i / channels]))
}
