//! How a network wants its images: plain data, whether or not images can be read (feature `image`).

use crate::error::{Error, Result};
use crate::plan::{InputFormat, Normalize};
#[cfg(feature = "zoo")]
use crate::zoo;
use std::fmt;

/// Longest side of the result, in pixels.
const MAX_SIDE: usize = 8192;

/// How images become a network's input.
///
/// ```
/// let preprocess = excite::model::Preprocess::for_model("seresnet50")?;
/// assert_eq!(preprocess.size, [224, 224]);
/// assert_eq!(preprocess.crop_pct, 0.95);
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// 1 for gray, 3 for RGB.
    pub channels: usize,
    /// Height and width of the result.
    pub size: [usize; 2],
    /// How the image's shape becomes the result's.
    pub resize: Resize,
    /// Share of the resized image's shorter side that the central crop keeps: above 0, at most 1.
    pub crop_pct: f64,
    /// How pixels are weighed.
    pub interpolation: Interpolation,
    /// Subtracted from samples in 0 to 1, by channel.
    pub mean: [f32; 3],
    /// What the difference is divided by, by channel.
    pub std: [f32; 3],
}

/// How an image's shape becomes the network's, before the central crop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Both sides to `floor(size / crop_pct)`, whatever the image's shape (timm's `squash`).
    Squash,
    /// The shorter side to `floor(size / crop_pct)`; the longer follows (timm's `center`).
    Shorter,
    /// The longer side to `floor(size / crop_pct)`; the shorter follows and is padded (timm's `border`).
    Border,
}

/// How pixels are weighed when resizing. Both widen with the factor of reduction, as PIL's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// A triangle.
    Bilinear,
    /// Catmull-Rom (`a = -0.5`).
    Bicubic,
}

impl Preprocess {
    /// What weights of [`zoo`] were trained with: `seresnet50.a3_in1k`, or timm's default ones for `seresnet50`.
    /// [`zoo::pretrained`] has the sizes for evaluation as well.
    ///
    /// # Errors
    /// There are none of this name.
    #[cfg(feature = "zoo")]
    pub fn for_model(name: &str) -> Result<Self> {
        Ok(zoo::pretrained(name)?.preprocess)
    }

    /// How a plan takes images of this size as samples of 8 bits and normalises them on the device, for
    /// [`PlanOptions::input`](crate::plan::PlanOptions::input) and
    /// [`Executor::run_pixels`](crate::gpu::Executor::run_pixels).
    pub fn input_format(&self) -> InputFormat {
        InputFormat::Pixels(self.normalize())
    }

    /// Refuses settings without sense.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Request(format!("preprocess: {message}")));
        if !matches!(self.channels, 1 | 3) {
            return refuse(format!("channels must be 1 (gray) or 3 (RGB), are {}", self.channels));
        }
        if self.size.contains(&0) || self.size.iter().any(|&side| side > MAX_SIDE) {
            let [height, width] = self.size;
            return refuse(format!("size must be 1 to {MAX_SIDE} a side, is {height}x{width}"));
        }
        if !(self.crop_pct > 0.0 && self.crop_pct <= 1.0) {
            return refuse(format!("crop_pct must be above 0 and at most 1, is {}", self.crop_pct));
        }
        self.normalize().check().or_else(refuse)
    }

    pub(crate) fn normalize(&self) -> Normalize {
        Normalize { mean: self.mean, std: self.std }
    }
}

/// As text: size, crop, interpolation by timm's name, mean and deviation by channel.
impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.size;
        let Self { crop_pct, resize, interpolation, .. } = self;
        let numbers =
            |values: &[f32; 3]| values.iter().take(self.channels).map(f32::to_string).collect::<Vec<_>>().join(" ");
        let (mean, std) = (numbers(&self.mean), numbers(&self.std));
        write!(f, "{height}x{width}, crop {crop_pct} ({resize}), {interpolation}, mean {mean}, std {std}")
    }
}

/// timm's name of the crop mode.
impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shorter => "center",
            Self::Squash => "squash",
            Self::Border => "border",
        })
    }
}

/// timm's name.
impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
        })
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_the_zoo_has_its_settings() {
        for entry in zoo::entries() {
            let preprocess = Preprocess::for_model(entry.name).unwrap();
            assert_eq!(preprocess.channels, entry.input.channels(), "{}", entry.name);
        }
        for name in zoo::pretrained_names() {
            assert!(Preprocess::for_model(name).is_ok(), "{name}");
        }
        assert!(Preprocess::for_model("seresnet5O").is_err());
    }
}
