//! Images to tensors: decode, resize, crop, normalise, as timm prepares images for evaluation.
//!
//! What happens to an image, each as PIL's `convert` and timm's evaluation transform have it unless it says otherwise:
//! - The format (PNG, JPEG, WebP, BMP, GIF, TIFF) is known by the file's contents, never by its name. Of an animation the
//!   first frame counts.
//! - JPEGs become libjpeg-turbo's pixels, which are Pillow's. Chroma that is sampled more finely than luma, samples of other
//!   than 8 bits and several components in one of several scans are refused. In TIFFs, so is JPEG compression.
//! - Alpha is dropped: what a transparent pixel hides shows again. Nothing is composited.
//! - 16-bit samples are rounded to 8 bits. (PIL cuts them off, and clips gray ones.)
//! - CMYK becomes RGB without a colour profile; embedded profiles and gamma are ignored.
//! - EXIF orientation is not applied; [`Image::upright`] does.
//! - Gray becomes RGB by repetition, RGB becomes gray by ITU-R 601-2 luma, as the network wants it.
//! - Resizing is antialiased and rounds to 8 bits after each direction; no sample is more than 1 from Pillow 13's.
//!
//! An image is hostile until decoded. What its file, decoding and resizing take together is counted before it is
//! claimed, and refused above a budget ([`Limits`]), whatever the sides; a decoder's panic is that image's error.

mod decode;
mod jpeg;
mod pixels;
mod resize;

pub use crate::preprocess::{Interpolation, Preprocess, Resize};
pub use decode::{decode, decode_with, open, open_with};
pub use pixels::Image;

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::path::Path;

/// How much an image may take.
///
/// ```
/// use excite::image::Limits;
///
/// assert_eq!(Limits::default().memory, 1 << 30);
/// let unlimited = Limits::default().memory(u64::MAX);
/// # let _ = unlimited;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of memory for one image: its file, its samples and what decoding and resizing take beside them.
    pub memory: u64,
}

impl Default for Limits {
    /// 1 GiB, enough for photos of 108 megapixels.
    fn default() -> Self {
        Self { memory: 1 << 30 }
    }
}

impl Preprocess {
    /// A batch of one image, `[1,C,H,W]`, normalised.
    ///
    /// # Errors
    /// The settings make no sense, or resizing would take more than the [`Limits`] that the image was decoded with.
    pub fn apply(&self, image: &Image) -> Result<Tensor> {
        let samples = self.pixels(image)?;
        let [height, width] = self.size;
        let plane = height * width;
        Ok(Tensor::from_fn([1, self.channels, height, width], |i| {
            let (channel, pixel) = (i / plane, i % plane);
            let sample = f32::from(samples[pixel * self.channels + channel]) / 255.0;
            (sample - self.mean[channel]) / self.std[channel]
        }))
    }

    /// One image's samples of 8 bits, `[H,W,C]`, for an executor that normalises on the device:
    /// [`Preprocess::input_format`].
    ///
    /// # Errors
    /// As [`Preprocess::apply`].
    pub fn pixels(&self, image: &Image) -> Result<Vec<u8>> {
        self.check()?;
        resize::resize_and_crop(image, self)
    }
}

/// Decodes an image file and prepares it: a batch of one image, `[1,C,H,W]`.
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
    fn a_image_of_the_right_size_passes_unchanged() {
        let preprocess = Preprocess::for_model("digits_seresnet").unwrap();
        let samples: Vec<u8> = (0..64).map(|i| i * 4).collect();
        let input = preprocess.apply(&Image::new(8, 8, 1, samples.clone()).unwrap()).unwrap();
        let expected: Vec<f32> = samples.iter().map(|&sample| f32::from(sample) / 255.0).collect();
        assert_eq!(input.data(), expected);
    }

    #[test]
    fn settings_without_sense_are_refused() {
        let good = Preprocess::for_model("seresnet50").unwrap();
        let image = Image::new(1, 1, 3, vec![1, 2, 3]).unwrap();
        for bad in [
            Preprocess { channels: 2, ..good.clone() },
            Preprocess { size: [0, 8], ..good.clone() },
            Preprocess { size: [8, 100_000], ..good.clone() },
            Preprocess { crop_pct: 0.0, ..good.clone() },
            Preprocess { crop_pct: f64::NAN, ..good.clone() },
            Preprocess { crop_pct: 1e-9, ..good },
        ] {
            assert!(bad.apply(&image).is_err(), "{bad:?}");
        }
    }
}
