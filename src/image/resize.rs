//! Resize, then crop or pad, with the sizes of torchvision and timm and the roundings of PIL.

use super::decode::{MAX_BYTES, Picture};
use super::{Interpolation, Preprocess, Resize};
use crate::error::{Error, Result};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// The picture at the size that `preprocess` wants.
pub(super) fn resize_and_crop(picture: &Picture, preprocess: &Preprocess) -> Result<Picture> {
    let [tall, wide] = resized([picture.height(), picture.width()], preprocess);
    let channels = picture.channels();
    let bytes = (tall as u64).saturating_mul(wide as u64).saturating_mul(channels as u64);
    if bytes == 0 || bytes > MAX_BYTES {
        let why = if bytes == 0 { ": nothing is left".into() } else { format!(", more than {} MiB", MAX_BYTES >> 20) };
        let (width, height) = (picture.width(), picture.height());
        let message = format!("a picture of {width}x{height} would be resized to {wide}x{tall}{why}");
        return Err(Error::Request(message));
    }
    let samples = resize(picture, [tall, wide], preprocess.interpolation);
    let [height, width] = preprocess.size;
    let (y, x) = (Placed::centred(tall, height), Placed::centred(wide, width));
    let border = preprocess.mean.map(|mean| (255.0 * f64::from(mean)).round_ties_even() as u8);
    let mut cropped: Vec<u8> = border[..channels].iter().copied().cycle().take(height * width * channels).collect();
    for row in 0..y.length {
        let from = ((y.from + row) * wide + x.from) * channels;
        let to = ((y.to + row) * width + x.to) * channels;
        let length = x.length * channels;
        cropped[to..to + length].copy_from_slice(&samples[from..from + length]);
    }
    Picture::new(width, height, channels, cropped)
}

/// Height and width before the crop. Integers where Python has them, to round as it does.
fn resized([height, width]: [usize; 2], preprocess: &Preprocess) -> [usize; 2] {
    let scaled = preprocess.size.map(|side| (side as f64 / preprocess.crop_pct).floor() as usize);
    // timm's ResizeKeepRatio: both sides are rounded, halves to even.
    let ratios = (height as f64 / scaled[0] as f64, width as f64 / scaled[1] as f64);
    let shrunk = |ratio: f64| [height, width].map(|side| (side as f64 / ratio).round_ties_even() as usize);
    match preprocess.resize {
        Resize::Squash => scaled,
        // torchvision's Resize: the longer side is cut to an integer.
        Resize::Shorter if scaled[0] == scaled[1] => match height <= width {
            true => [scaled[0], scaled[0].saturating_mul(width) / height],
            false => [scaled[0].saturating_mul(height) / width, scaled[0]],
        },
        Resize::Shorter => shrunk(ratios.0.min(ratios.1)),
        Resize::Border => shrunk(ratios.0.max(ratios.1)),
    }
}

/// Where a line of the picture comes to lie in a line of the result.
struct Placed {
    from: usize,
    to: usize,
    length: usize,
}

impl Placed {
    fn centred(side: usize, size: usize) -> Self {
        match side < size {
            true => Self { from: 0, to: (size - side) / 2, length: side },
            // torchvision's `int(round((side - size) / 2.0))`: halves go to the even number.
            false => Self { from: ((side - size) as f64 / 2.0).round_ties_even() as usize, to: 0, length: size },
        }
    }
}

/// Pillow's resize: along one side, then the other, each rounded to 8 bits.
fn resize(picture: &Picture, [height, width]: [usize; 2], interpolation: Interpolation) -> Vec<u8> {
    let (old_height, old_width, channels) = (picture.height(), picture.width(), picture.channels());
    let across = |samples: &[u8]| across(samples, [old_width, width], channels, interpolation);
    let down = |samples: &[u8], row: usize| down(samples, [old_height, height], row * channels, interpolation);
    // Pillow 13 goes down first where rows go away much faster than columns; older ones go across first always.
    let rows_gone = old_height.saturating_sub(height);
    if rows_gone > 2 * old_width.saturating_sub(width) {
        across(&down(picture.samples(), old_width))
    } else {
        down(&across(picture.samples()), width)
    }
}

/// Resizes every row, some rows at a time: as floats, a whole picture would be four times as large.
fn across(samples: &[u8], [old, new]: [usize; 2], channels: usize, interpolation: Interpolation) -> Vec<u8> {
    const ROWS: usize = 64;
    if old == new {
        return samples.to_vec();
    }
    let pixel = if channels == 3 { PixelType::F32x3 } else { PixelType::F32 };
    let bands = samples.chunks(ROWS * old * channels).flat_map(|band| {
        let rows = band.len() / (old * channels);
        let band: Vec<f32> = band.iter().map(|&sample| f32::from(sample)).collect();
        let mut resized = vec![0.0; rows * new * channels];
        convolve(&band, [rows, old], &mut resized, [rows, new], pixel, interpolation);
        resized
    });
    bands.map(to_8_bits).collect()
}

/// Resizes every column, some columns at a time.
fn down(samples: &[u8], [old, new]: [usize; 2], row: usize, interpolation: Interpolation) -> Vec<u8> {
    const COLUMNS: usize = 1024;
    if old == new {
        return samples.to_vec();
    }
    let mut whole = vec![0; new * row];
    for start in (0..row).step_by(COLUMNS) {
        let columns = start..row.min(start + COLUMNS);
        let band: Vec<f32> =
            samples.chunks_exact(row).flat_map(|row| &row[columns.clone()]).map(|&sample| f32::from(sample)).collect();
        let mut resized = vec![0.0; new * columns.len()];
        convolve(&band, [old, columns.len()], &mut resized, [new, columns.len()], PixelType::F32, interpolation);
        for (row, resized) in whole.chunks_exact_mut(row).zip(resized.chunks_exact(columns.len())) {
            row[columns.clone()].iter_mut().zip(resized).for_each(|(sample, &value)| *sample = to_8_bits(value));
        }
    }
    whole
}

/// The library's resize of 8-bit samples has weights of 15 bits, which is up to 2 off; the one of floats is exact.
fn convolve(
    from: &[f32],
    [old_height, old_width]: [usize; 2],
    to: &mut [f32],
    [height, width]: [usize; 2],
    pixel: PixelType,
    interpolation: Interpolation,
) {
    let filter = match interpolation {
        Interpolation::Bilinear => FilterType::Bilinear,
        Interpolation::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    let from = ImageRef::new(old_width as u32, old_height as u32, bytemuck::cast_slice(from), pixel)
        .expect("there are as many samples as pixels");
    let mut to = Image::from_slice_u8(width as u32, height as u32, bytemuck::cast_slice_mut(to), pixel)
        .expect("there are as many samples as pixels");
    Resizer::new().resize(&from, &mut to, &options).expect("both are of the same pixels");
}

fn to_8_bits(sample: f32) -> u8 {
    sample.round() as u8
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
        assert_eq!([225, 227, 229].map(|side| Placed::centred(side, 224).from), [0, 2, 2]);
        // Python: round(333 * 256 / 500) == 170; a thread has nothing left.
        let border = Preprocess { resize: Resize::Border, size: [224, 224], ..oblong };
        assert_eq!([[500, 333], [1, 8192]].map(|size| resized(size, &border)), [[256, 170], [0, 256]]);
    }

    #[test]
    fn a_picture_too_long_is_refused() {
        let preprocess = Preprocess::for_model("seresnet50").unwrap();
        let thread = Picture::new(8192, 1, 3, vec![0; 8192 * 3]).unwrap();
        let error = preprocess.apply(&thread).unwrap_err().to_string();
        assert_eq!(error, "a picture of 8192x1 would be resized to 1925120x235, more than 256 MiB");
        let error = Preprocess { resize: Resize::Border, ..preprocess }.apply(&thread).unwrap_err().to_string();
        assert_eq!(error, "a picture of 8192x1 would be resized to 235x0: nothing is left");
    }
}
