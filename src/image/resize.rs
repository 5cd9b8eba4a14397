//! Resize and central crop, with the roundings of torchvision and PIL.

use super::decode::{MAX_BYTES, Picture};
use super::{Interpolation, Preprocess, Resize};
use crate::error::{Error, Result};

/// The picture at the size that `preprocess` wants.
pub(super) fn resize_and_crop(picture: &Picture, preprocess: &Preprocess) -> Result<Picture> {
    if preprocess.resize == Resize::Border {
        return Err(Error::Request("preprocess: resizing with a border is not there yet".into()));
    }
    let [height, width] = preprocess.size;
    let [tall, wide] = resized([picture.height(), picture.width()], preprocess);
    let bytes = (tall as u64).saturating_mul(wide as u64).saturating_mul(picture.channels() as u64);
    if bytes > MAX_BYTES {
        let message = format!(
            "a picture of {}x{} would be resized to {wide}x{tall}, more than {} MiB",
            picture.width(),
            picture.height(),
            MAX_BYTES >> 20
        );
        return Err(Error::Request(message));
    }
    let samples = resize(picture, [tall, wide], preprocess.interpolation);
    let (top, left) = (crop_offset(tall, height), crop_offset(wide, width));
    let channels = picture.channels();
    let rows = (top..top + height).flat_map(|y| {
        let start = (y * wide + left) * channels;
        &samples[start..start + width * channels]
    });
    Picture::new(width, height, channels, rows.copied().collect())
}

/// Height and width before the crop. Integers where Python has them, to round as it does.
fn resized([height, width]: [usize; 2], preprocess: &Preprocess) -> [usize; 2] {
    let scaled = preprocess.size.map(|side| (side as f64 / preprocess.crop_pct).floor() as usize);
    match preprocess.resize {
        Resize::Squash => scaled,
        Resize::Border => unreachable!("resize_and_crop refuses it"),
        // torchvision's Resize: the longer side is cut to an integer.
        Resize::Shorter if scaled[0] == scaled[1] => match height <= width {
            true => [scaled[0], scaled[0].saturating_mul(width) / height],
            false => [scaled[0].saturating_mul(height) / width, scaled[0]],
        },
        // timm's ResizeKeepRatio: both sides are rounded, halves to even.
        Resize::Shorter => {
            let ratio = (height as f64 / scaled[0] as f64).min(width as f64 / scaled[1] as f64);
            [height, width].map(|side| (side as f64 / ratio).round_ties_even() as usize)
        }
    }
}

/// torchvision's `int(round((side - crop) / 2.0))`: halves go to the even number.
fn crop_offset(side: usize, crop: usize) -> usize {
    ((side - crop) as f64 / 2.0).round_ties_even() as usize
}

/// Pillow's resize: along one side, then the other, each rounded to 8 bits.
fn resize(picture: &Picture, [height, width]: [usize; 2], interpolation: Interpolation) -> Vec<u8> {
    let (old_height, old_width, channels) = (picture.height(), picture.width(), picture.channels());
    let across = |samples: &[u8]| match old_width == width {
        true => samples.to_vec(),
        false => {
            let taps = Taps::new(old_width, width, interpolation);
            samples.chunks_exact(old_width * channels).flat_map(|row| taps.apply(row, channels)).collect()
        }
    };
    // A picture is a line of rows.
    let down = |samples: &[u8], row: usize| match old_height == height {
        true => samples.to_vec(),
        false => Taps::new(old_height, height, interpolation).apply(samples, row * channels),
    };
    // Pillow 13 goes down first where rows go away much faster than columns; older ones go across first always.
    let rows_gone = old_height.saturating_sub(height);
    if rows_gone > 2 * old_width.saturating_sub(width) {
        across(&down(picture.samples(), old_width))
    } else {
        down(&across(picture.samples()), width)
    }
}

/// For every position of a resized line, where its source begins and the weights of what follows, in fixed point.
struct Taps(Vec<(usize, Vec<i32>)>);

/// Binary digits of a weight behind the point: PIL's `PRECISION_BITS`, which leave room for 8 bits and overshoot.
const POINT: u32 = 32 - 8 - 2;

impl Taps {
    fn new(from: usize, to: usize, interpolation: Interpolation) -> Self {
        let step = from as f64 / to as f64;
        // Reduction widens the filter, so that every source pixel counts.
        let stretch = step.max(1.0);
        let reach = interpolation.reach() * stretch;
        let taps = |position| {
            let centre = (f64::from(position) + 0.5) * step;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(from);
            let weights: Vec<f64> =
                (first..end).map(|i| interpolation.weight((i as f64 - centre + 0.5) / stretch)).collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |weight: f64| (weight / sum * f64::from(1 << POINT)).round() as i32;
            (first, weights.into_iter().map(fixed).collect())
        };
        Self((0..to as u32).map(taps).collect())
    }

    /// The resized line, whose elements are `stride` samples each.
    fn apply(&self, line: &[u8], stride: usize) -> Vec<u8> {
        let mut resized = Vec::with_capacity(self.0.len() * stride);
        let mut sums = vec![0; stride];
        for (first, weights) in &self.0 {
            sums.fill(1 << (POINT - 1));
            for (weight, element) in weights.iter().zip(line[first * stride..].chunks_exact(stride)) {
                for (sum, &sample) in sums.iter_mut().zip(element) {
                    *sum += weight * i32::from(sample);
                }
            }
            resized.extend(sums.iter().map(|sum| (sum >> POINT).clamp(0, 255) as u8));
        }
        resized
    }
}

impl Interpolation {
    /// Source pixels to each side that count, without reduction.
    fn reach(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// Weight of a source pixel at this distance.
    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Bicubic => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_torchvisions() {
        let preprocess = Preprocess::for_model("legacy_seresnet50").unwrap();
        // 256 * 500 / 333 = 384.38…; 256 * 1023 / 97 = 2699.8…
        for (picture, expected) in [([480, 640], [256, 341]), ([500, 333], [384, 256]), ([1023, 97], [2699, 256])] {
            assert_eq!(resized(picture, &preprocess), expected);
        }
        let oblong = Preprocess { size: [224, 112], ..preprocess };
        assert_eq!(resized([300, 300], &oblong), [256, 256]);
        // Python: [round((h - 224) / 2.0) for h in (225, 227, 229)] == [0, 2, 2]
        assert_eq!([225, 227, 229].map(|side| crop_offset(side, 224)), [0, 2, 2]);
    }

    #[test]
    fn a_picture_too_long_is_refused() {
        let preprocess = Preprocess::for_model("seresnet50").unwrap();
        let thread = Picture::new(8192, 1, 3, vec![0; 8192 * 3]).unwrap();
        let error = preprocess.apply(&thread).unwrap_err().to_string();
        assert_eq!(error, "a picture of 8192x1 would be resized to 1925120x235, more than 256 MiB");
    }
}
