//! What `excite run` takes: safetensors, NumPy's .npy and images, known by their contents; from a file or standard input.

use super::Args;
use crate::classify::paths::{self, STANDARD};
use crate::model::{self, Named};
use excite::import::safetensors;
use excite::model::Preprocess;
use excite::zoo::{self, Pretrained};
use excite::{Error, Result, Tensor, Weights, image};
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
        let image = [&b"\x89PNG"[..], b"\xff\xd8\xff", b"RIFF"];
        match start {
            _ if start.starts_with(super::npy::MAGIC) => Self::Npy,
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
        // A file that can't be read is an error of whatever is to read it.
        false => File::open(path).map_or_else(|_| Box::new(Cursor::new([])) as _, |file| Box::new(file) as _),
    };
    let read = |error| Error::File {
        path: path.clone(),
        message: "can't read the input".into(),
        source: Some(Box::new(error)),
    };
    // A directory opens, but can't be read: what reads safetensors says so.
    if source.by_ref().take(16).read_to_end(&mut start).is_err() {
        return safetensors::read(path).and_then(|tensors| the_one(path, tensors));
    }
    match Kind::of(&start) {
        Kind::Npy => super::npy::read(&mut Cursor::new(start).chain(source), path),
        Kind::Image => {
            let picture = match paths::is_standard(path) {
                true => image::decode(&whole(start, source).map_err(read)?, STANDARD)?,
                false => image::open(path)?,
            };
            preprocess(args)?.apply(&picture)
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

/// How the network wants an image: as `classify` has it.
fn preprocess(args: &Args) -> Result<Preprocess> {
    match model::named(args.asked.name())? {
        Named::Zoo(name) => {
            let known = zoo::pretrained(name)?;
            let known = match &args.weights.weights {
                Some(weights) => known.with_config_beside(weights)?,
                None => known,
            };
            let preprocess = known.preprocess;
            match args.weights.channels.unwrap_or(preprocess.channels) == preprocess.channels {
                true => Ok(preprocess),
                false => {
                    Err(Error::Request("--channels: give tensors and no image, whose settings are not known".into()))
                }
            }
        }
        Named::Onnx(path) => {
            let preprocess = Pretrained::assumed(1000).with_config_beside(path)?.preprocess;
            let options = args.file.onnx(None);
            let input = excite::import::onnx::Onnx::open(path, &options)?.input(&options)?;
            if input.bytes || input.channels_last {
                let message =
                    "takes bytes or channels last: give tensors and no image, or use `excite classify`".into();
                return Err(Error::File { path: path.into(), message, source: None });
            }
            // Height and width as the file declares them, where it does.
            match input.dims.as_slice() {
                &[_, _, Some(height), Some(width)] => Ok(Preprocess { size: [height, width], ..preprocess }),
                _ => Ok(preprocess),
            }
        }
    }
}
