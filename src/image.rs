//! Pictures to tensors: decode, resize, crop, normalise, as timm prepares pictures for evaluation.
//!
//! What happens to a picture, each as PIL's `convert` and timm's evaluation transform have it unless it says otherwise:
//! - The format (PNG, JPEG, WebP) is known by the file's contents, never by its name. Of an animation the first frame
//!   counts.
//! - Alpha is dropped: what a transparent pixel hides shows again. Nothing is composited.
//! - 16-bit samples are rounded to 8 bits. (PIL cuts them off, and clips gray ones.)
//! - CMYK becomes RGB without a colour profile; embedded profiles and gamma are ignored.
//! - EXIF orientation is not applied.
//! - Gray becomes RGB by repetition, RGB becomes gray by ITU-R 601-2 luma, as the network wants it.
//! - Resizing is antialiased and rounds to 8 bits after each direction; the results are Pillow 13's to the bit.
//!
//! A picture is hostile until decoded: sides over 8192 pixels, more than 256 MiB of samples and files over 256 MiB are
//! refused before memory is claimed for them, and compressed text is never unpacked.

mod decode;
mod resize;

pub use decode::{Picture, decode, open};

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::zoo;
use std::path::Path;

/// How pictures become a network's input.
///
/// ```
/// use excite::image::{Preprocess, Picture};
///
/// let preprocess = Preprocess::for_model("seresnet50")?;
/// let gray = Picture::new(640, 480, 1, vec![128; 640 * 480])?;
/// assert_eq!(preprocess.apply(&gray)?.shape(), [1, 3, 224, 224]);
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// 1 for gray, 3 for RGB.
    pub channels: usize,
    /// Height and width of the result.
    pub size: [usize; 2],
    /// How the picture's shape becomes the result's.
    pub resize: Resize,
    /// Share of the resized picture's shorter side that the central crop keeps: above 0, at most 1.
    pub crop_pct: f64,
    /// How pixels are weighed.
    pub interpolation: Interpolation,
    /// Subtracted from samples in 0 to 1, by channel.
    pub mean: [f32; 3],
    /// What the difference is divided by, by channel.
    pub std: [f32; 3],
}

/// How a picture's shape becomes the network's, before the central crop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Both sides to `floor(size / crop_pct)`, whatever the picture's shape (timm's `squash`).
    Squash,
    /// The shorter side to `floor(size / crop_pct)`; the longer follows (timm's `center`).
    Shorter,
}

/// How pixels are weighed when resizing. Both widen with the factor of reduction, as PIL's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// A triangle.
    Bilinear,
    /// Catmull-Rom (`a = -0.5`).
    Bicubic,
}

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

impl Preprocess {
    /// What a network of [`zoo`] was trained for, at the size of its entry.
    ///
    /// | network | source | resize | crop | values |
    /// |---|---|---|---|---|
    /// | `digits_*` | `assets/digits/README.md` | squash, bilinear | none | gray / 255 |
    /// | `legacy_seresnet50` | timm 1.0 `senet.py`, `in1k` | shorter side, bilinear | 0.875 | ImageNet mean and std |
    /// | `seresnet50` | timm 1.0 `resnet.py`, `a1_in1k` | shorter side, bicubic | 0.95 | ImageNet mean and std |
    ///
    /// # Errors
    /// There is no network of this name, or it takes no pictures.
    pub fn for_model(name: &str) -> Result<Self> {
        let shape = zoo::entry(name)?.input;
        let size = [shape.height(), shape.width()];
        let imagenet = |interpolation, crop_pct| Self {
            channels: 3,
            size,
            resize: Resize::Shorter,
            crop_pct,
            interpolation,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        };
        match name {
            "digits_seresnet" | "digits_resnet" => Ok(Self {
                channels: 1,
                size,
                resize: Resize::Squash,
                crop_pct: 1.0,
                interpolation: Interpolation::Bilinear,
                mean: [0.0; 3],
                std: [1.0; 3],
            }),
            "legacy_seresnet50" => Ok(imagenet(Interpolation::Bilinear, 0.875)),
            "seresnet50" => Ok(imagenet(Interpolation::Bicubic, 0.95)),
            other => Err(Error::Request(format!("{other}: how it wants its pictures is not known"))),
        }
    }

    /// A batch of one image, `[1,C,H,W]`.
    ///
    /// # Errors
    /// The settings make no sense, or the picture is so long that resizing it would take more than 256 MiB.
    pub fn apply(&self, picture: &Picture) -> Result<Tensor> {
        self.check()?;
        let [height, width] = self.size;
        let picture = resize::resize_and_crop(&picture.with_channels(self.channels), self)?;
        let plane = height * width;
        Ok(Tensor::from_fn([1, self.channels, height, width], |i| {
            let (channel, pixel) = (i / plane, i % plane);
            let sample = f32::from(picture.samples()[pixel * self.channels + channel]) / 255.0;
            (sample - self.mean[channel]) / self.std[channel]
        }))
    }

    fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Request(format!("preprocess: {message}")));
        if !matches!(self.channels, 1 | 3) {
            return refuse(format!("channels must be 1 or 3, are {}", self.channels));
        }
        if self.size.contains(&0) || self.size.iter().any(|&side| side > decode::MAX_SIDE) {
            let [height, width] = self.size;
            return refuse(format!("size must be 1 to {} a side, is {height}x{width}", decode::MAX_SIDE));
        }
        if !(self.crop_pct > 0.0 && self.crop_pct <= 1.0) {
            return refuse(format!("crop_pct must be above 0 and at most 1, is {}", self.crop_pct));
        }
        Ok(())
    }
}

/// Decodes a picture file and prepares it: a batch of one image, `[1,C,H,W]`.
///
/// ```no_run
/// use excite::image::{self, Preprocess};
///
/// let input = image::load("digit.png", &Preprocess::for_model("digits_seresnet")?)?;
/// assert_eq!(input.shape(), [1, 1, 8, 8]);
/// # Ok::<(), excite::Error>(())
/// ```
///
/// # Errors
/// As [`open`] and [`Preprocess::apply`]; the message names the file.
pub fn load(path: impl AsRef<Path>, preprocess: &Preprocess) -> Result<Tensor> {
    let path = path.as_ref();
    preprocess.apply(&open(path)?).map_err(|e| Error::file(path, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_the_zoo_has_its_settings() {
        for entry in zoo::entries() {
            let preprocess = Preprocess::for_model(entry.name).unwrap();
            assert_eq!(preprocess.channels, entry.input.channels(), "{}", entry.name);
        }
        assert!(Preprocess::for_model("seresnet5O").is_err());
    }

    #[test]
    fn a_picture_of_the_right_size_passes_unchanged() {
        let preprocess = Preprocess::for_model("digits_seresnet").unwrap();
        let samples: Vec<u8> = (0..64).map(|i| i * 4).collect();
        let input = preprocess.apply(&Picture::new(8, 8, 1, samples.clone()).unwrap()).unwrap();
        let expected: Vec<f32> = samples.iter().map(|&sample| f32::from(sample) / 255.0).collect();
        assert_eq!(input.data(), expected);
    }

    #[test]
    fn settings_without_sense_are_refused() {
        let good = Preprocess::for_model("seresnet50").unwrap();
        let picture = Picture::new(1, 1, 3, vec![1, 2, 3]).unwrap();
        for bad in [
            Preprocess { channels: 2, ..good.clone() },
            Preprocess { size: [0, 8], ..good.clone() },
            Preprocess { size: [8, 100_000], ..good.clone() },
            Preprocess { crop_pct: 0.0, ..good.clone() },
            Preprocess { crop_pct: f64::NAN, ..good.clone() },
            Preprocess { crop_pct: 1e-9, ..good },
        ] {
            assert!(bad.apply(&picture).is_err(), "{bad:?}");
        }
    }
}
