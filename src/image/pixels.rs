//! Decoded pixels.

use super::Limits;
use crate::error::{Error, Result};
use ::image::metadata::Orientation;
use ::image::{DynamicImage, GrayImage, RgbImage};
use std::borrow::Cow;

/// Pixels: 8 bits a sample, gray or RGB, rows from the top, the samples of a pixel side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    samples: Vec<u8>,
    /// What the file says to do before the image is shown.
    pub(super) orientation: Orientation,
    /// What preparing the image may take as well.
    pub(super) limits: Limits,
}

impl Image {
    /// Wraps `samples`: gray (1 channel) or RGB (3).
    ///
    /// # Errors
    /// A side is 0 or above `u32::MAX`, there are other channels, or `samples` has another length.
    pub fn new(width: usize, height: usize, channels: usize, samples: Vec<u8>) -> Result<Self> {
        let refuse = |message: String| Err(Error::Request(format!("image: {message}")));
        let side = |side: usize| side > 0 && u32::try_from(side).is_ok();
        if !side(width) || !side(height) || !matches!(channels, 1 | 3) {
            return refuse(format!(
                "expected a width and height and 1 or 3 channels, is {width}x{height} with {channels}"
            ));
        }
        if width.checked_mul(height).and_then(|pixels| pixels.checked_mul(channels)) != Some(samples.len()) {
            let found = samples.len();
            return refuse(format!("{width}x{height} with {channels} channels, but there are {found} samples"));
        }
        Ok(Self { width, height, channels, samples, orientation: Orientation::NoTransforms, limits: Limits::default() })
    }

    /// What an image of the crate `image` has. One without pixels is refused where it is prepared.
    fn of(width: u32, height: u32, channels: usize, samples: Vec<u8>) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self { width, height, channels, samples, orientation: Orientation::NoTransforms, limits: Limits::default() }
    }

    /// Pixels of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 for gray, 3 for RGB.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The samples, row by row.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// The samples, row by row, without the image.
    pub fn into_samples(self) -> Vec<u8> {
        self.samples
    }

    /// Turns and mirrors as the file's EXIF orientation says, as viewers show it and cameras mean it.
    ///
    /// timm leaves images as they are stored, and so do [`open`](super::open) and [`decode`](super::decode). Turning
    /// takes the memory of the samples once more.
    pub fn upright(self) -> Self {
        let (width, height) = (self.width as u32, self.height as u32);
        let mut image: DynamicImage = match self.channels {
            1 => GrayImage::from_raw(width, height, self.samples).map(Into::into),
            _ => RgbImage::from_raw(width, height, self.samples).map(Into::into),
        }
        .expect("there are as many samples as pixels");
        image.apply_orientation(self.orientation);
        let (width, height) = (image.width() as usize, image.height() as usize);
        let samples = image.into_bytes();
        Self { width, height, samples, orientation: Orientation::NoTransforms, ..self }
    }

    /// The same image in gray, if it is not.
    pub(super) fn gray(&self) -> Cow<'_, Self> {
        if self.channels == 1 {
            return Cow::Borrowed(self);
        }
        let samples = self.samples.chunks_exact(3).map(|rgb| luma([rgb[0], rgb[1], rgb[2]])).collect();
        Cow::Owned(Self { channels: 1, samples, ..*self })
    }
}

/// Colour, upright as it is.
impl From<&RgbImage> for Image {
    fn from(image: &RgbImage) -> Self {
        Self::of(image.width(), image.height(), 3, image.as_raw().clone())
    }
}

/// Gray, upright as it is.
impl From<&GrayImage> for Image {
    fn from(image: &GrayImage) -> Self {
        Self::of(image.width(), image.height(), 1, image.as_raw().clone())
    }
}

/// Gray where the image is gray, else colour. Alpha is dropped and samples are rounded to 8 bits, as of files.
impl From<&DynamicImage> for Image {
    fn from(image: &DynamicImage) -> Self {
        if image.color().has_color() { (&image.to_rgb8()).into() } else { (&image.to_luma8()).into() }
    }
}

/// ITU-R 601-2 luma in 16-bit fixed point, PIL's coefficients.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_is_luma() {
        // PIL 13: Image.new("RGB", (1, 1), (255, 0, 0)).convert("L").getpixel((0, 0)) == 76, and so on.
        let pure = Image::new(4, 1, 3, vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 200, 200, 200]).unwrap();
        assert_eq!(pure.gray().samples(), [76, 150, 29, 200]);
        assert_eq!(pure.gray().gray(), pure.gray());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (width, height, channels, samples) in [
            (0, 1, 1, 0),
            (1, 0, 3, 0),
            (2, 2, 2, 8),
            (2, 2, 3, 11),
            (usize::MAX, 1, 1, 1),
            (1 << 31, 1 << 31, 3, 1 << 4),
        ] {
            let error = Image::new(width, height, channels, vec![0; samples]).unwrap_err().to_string();
            assert!(error.contains(&format!("{width}x{height}")), "{error}");
        }
        assert!(Image::new(100_000, 1, 1, vec![0; 100_000]).is_ok());
    }
}
