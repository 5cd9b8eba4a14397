//! Resize, then crop or pad, with the sizes of torchvision and timm and the roundings of PIL.
//!
//! Only what the crop keeps is computed: of a long image a line may be resized to millions of pixels, of which the crop
//! keeps hundreds.

use super::decode::mebibytes;
use super::{Image, Interpolation, Preprocess, Resize};
use crate::error::{Error, Result};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, F32x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use std::ops::Range;

/// Resizes and crops as `preprocess` says: samples of 8 bits, `[H,W,C]`.
pub(super) fn resize_and_crop(image: &Image, preprocess: &Preprocess) -> Result<Vec<u8>> {
    let (old_height, old_width) = (image.height(), image.width());
    if old_height == 0 || old_width == 0 {
        return Err(Error::Request(format!("an image of {old_width}x{old_height} has no pixels")));
    }
    let [tall, wide] = resized([old_height, old_width], preprocess);
    let sides = 1..=u32::MAX as usize;
    if !sides.contains(&tall) || !sides.contains(&wide) {
        let why = if tall == 0 || wide == 0 { "nothing is left" } else { "that is too much" };
        let message = format!("an image of {old_width}x{old_height} would be resized to {wide}x{tall}: {why}");
        return Err(Error::Request(message));
    }
    let [height, width] = preprocess.size;
    let (y, x) = (Placed::centred(tall, height), Placed::centred(wide, width));
    let kept = |place: &Placed| place.from..place.from + place.length;
    let down = Axis { old: old_height, new: tall, kept: kept(&y), interpolation: preprocess.interpolation };
    let across = Axis { old: old_width, new: wide, kept: kept(&x), interpolation: preprocess.interpolation };
    let gray = preprocess.channels == 1 && image.channels() == 3;
    let own = image.samples().len() as u64 / if gray { 3 } else { 1 };
    let needed = working_set(&down, &across, if gray { 1 } else { image.channels() })
        .saturating_add(own)
        .saturating_add(if gray { image.samples().len() as u64 } else { 0 });
    if needed > image.limits.memory {
        let (needed, allowed) = (mebibytes(needed), mebibytes(image.limits.memory));
        let message = format!(
            "resizing {old_width}x{old_height} pixels to {wide}x{tall} would take {needed}, {allowed} are allowed"
        );
        return Err(Error::Request(message));
    }
    let image = if gray { image.gray() } else { std::borrow::Cow::Borrowed(image) };
    let samples = resize(&image, &down, &across);
    // Gray becomes RGB by repetition, last, which is as good as first.
    let (channels, repeated) = (preprocess.channels, preprocess.channels / image.channels());
    let border = preprocess.mean.map(|mean| (255.0 * f64::from(mean)).round_ties_even() as u8);
    let mut cropped: Vec<u8> = border[..channels].iter().copied().cycle().take(height * width * channels).collect();
    for row in 0..y.length {
        let from = row * x.length * image.channels();
        let to = ((y.to + row) * width + x.to) * channels;
        let samples = &samples[from..from + x.length * image.channels()];
        let repeated = samples.iter().flat_map(|&sample| std::iter::repeat_n(sample, repeated));
        cropped[to..to + x.length * channels].iter_mut().zip(repeated).for_each(|(to, sample)| *to = sample);
    }
    Ok(cropped)
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

/// Where a line of the image comes to lie in a line of the result.
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

/// One direction of a resize: `old` lines become `new` ones, of which some are kept.
struct Axis {
    old: usize,
    new: usize,
    kept: Range<usize>,
    interpolation: Interpolation,
}

impl Axis {
    fn is_identity(&self) -> bool {
        self.old == self.new
    }

    /// Where a line of the new ones begins among the old ones.
    fn position(&self, line: usize) -> f64 {
        line as f64 * self.old as f64 / self.new as f64
    }

    /// Old lines on each side of a new one's centre that count.
    fn radius(&self) -> f64 {
        let support = match self.interpolation {
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
        };
        support * (self.old as f64 / self.new as f64).max(1.0)
    }

    /// The old lines that the kept ones are weighed from, and one more on each side.
    fn reads(&self) -> Range<usize> {
        if self.is_identity() {
            return self.kept.clone();
        }
        let half = 0.5 * self.old as f64 / self.new as f64;
        let first = self.position(self.kept.start) + half - self.radius();
        let last = self.position(self.kept.end) - half + self.radius();
        (first.floor() - 1.0).max(0.0) as usize..((last.ceil() + 1.0) as usize).min(self.old)
    }

    /// Bytes of the weights, as numbers of 64 bits and once more as the kernel's.
    fn weights(&self) -> u64 {
        let window = 2 * self.radius().ceil() as u64 + 1;
        window.saturating_mul(16 * self.kept.len() as u64)
    }

    /// Resizes `lines` lines from a band of floats along this direction, in pixels of one sample or of three. Only for
    /// these are the resizer's kernels compiled: asked by value, it would be all kinds of pixels, half of this crate's
    /// build.
    fn convolve<P: PixelTrait>(&self, from: &[f32], lines: usize, direction: Direction) -> Vec<f32> {
        let filter = match self.interpolation {
            Interpolation::Bilinear => FilterType::Bilinear,
            Interpolation::Bicubic => FilterType::CatmullRom,
        };
        let reads = self.reads();
        let start = self.position(self.kept.start) - reads.start as f64;
        let mut length = self.position(self.kept.end) - self.position(self.kept.start);
        while start + length > reads.len() as f64 {
            length = length.next_down();
        }
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        let (old, new, options) = match direction {
            Direction::Across => {
                ([reads.len(), lines], [self.kept.len(), lines], options.crop(start, 0.0, length, lines as f64))
            }
            Direction::Down => {
                ([lines, reads.len()], [lines, self.kept.len()], options.crop(0.0, start, lines as f64, length))
            }
        };
        let mut to = vec![0.0; self.kept.len() * (from.len() / reads.len())];
        let from = TypedImageRef::<P>::from_buffer(old[0] as u32, old[1] as u32, bytemuck::cast_slice(from))
            .expect("there are as many samples as pixels");
        let mut image = TypedImage::<P>::from_buffer(new[0] as u32, new[1] as u32, bytemuck::cast_slice_mut(&mut to))
            .expect("there are as many samples as pixels");
        Resizer::new().resize_typed(&from, &mut image, &options).expect("the crop is within the image");
        to
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Across,
    Down,
}

/// Samples of an image from `top` and `left` on.
struct Window<'a> {
    samples: &'a [u8],
    /// Samples of a row.
    stride: usize,
    top: usize,
    left: usize,
    channels: usize,
}

impl Window<'_> {
    fn row(&self, row: usize, columns: &Range<usize>) -> &[u8] {
        let start = (row - self.top) * self.stride;
        &self.samples[start + (columns.start - self.left) * self.channels..][..columns.len() * self.channels]
    }
}

/// Floats of a band: the library's resize of 8-bit samples has weights of 15 bits, which is up to 2 off, and the one of
/// floats is exact, but as floats a whole image would be four times as large.
const BAND: usize = 1 << 20;

/// How many lines make a band, of so many floats before and after.
fn lines(floats: usize, resized: usize) -> usize {
    (BAND / floats.max(resized)).max(1)
}

/// Whether the rows are resized before the columns: by Pillow 13, where they go away much faster than columns.
fn is_down_first(down: &Axis, across: &Axis) -> bool {
    down.old.saturating_sub(down.new) > 2 * across.old.saturating_sub(across.new)
}

/// Bytes that [`resize`] takes beside the image.
fn working_set(down: &Axis, across: &Axis, channels: usize) -> u64 {
    let product = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
    let (rows, columns) = (down.reads().len(), across.reads().len() * channels);
    let (kept_rows, kept_columns) = (down.kept.len(), across.kept.len() * channels);
    let (between, tall, wide) = match is_down_first(down, across) {
        true => (product(kept_rows, columns), kept_rows, columns),
        false => (product(rows, kept_columns), rows, kept_columns),
    };
    let pass = |axis: &Axis, old: usize, new: usize, count: usize| match axis.is_identity() {
        true => 0,
        false => axis.weights().saturating_add(product(4 * (old + new), lines(old, new).min(count))),
    };
    let passes = pass(down, rows, kept_rows, wide).max(pass(across, columns, kept_columns, tall));
    between.saturating_add(passes).saturating_add(product(kept_rows, kept_columns))
}

/// Pillow's resize: along one side, then the other, each rounded to 8 bits.
fn resize(image: &Image, down: &Axis, across: &Axis) -> Vec<u8> {
    let channels = image.channels();
    let whole = Window { samples: image.samples(), stride: image.width() * channels, top: 0, left: 0, channels };
    if is_down_first(down, across) {
        let columns = across.reads();
        let between = resize_columns(&whole, down, &columns);
        let stride = columns.len() * channels;
        let window = Window { samples: &between, stride, top: down.kept.start, left: columns.start, channels };
        resize_rows(&window, across, &down.kept)
    } else {
        let rows = down.reads();
        let between = resize_rows(&whole, across, &rows);
        let stride = across.kept.len() * channels;
        let window = Window { samples: &between, stride, top: rows.start, left: across.kept.start, channels };
        resize_columns(&window, down, &across.kept)
    }
}

/// Resizes each of the `rows`, a band of rows at a time.
fn resize_rows(source: &Window, axis: &Axis, rows: &Range<usize>) -> Vec<u8> {
    let reads = axis.reads();
    if axis.is_identity() {
        return rows.clone().flat_map(|row| source.row(row, &reads)).copied().collect();
    }
    let mut resized = Vec::with_capacity(rows.len() * axis.kept.len() * source.channels);
    let lines = lines(reads.len() * source.channels, axis.kept.len() * source.channels);
    for start in rows.clone().step_by(lines) {
        let band = start..rows.end.min(start + lines);
        let samples: Vec<f32> =
            band.clone().flat_map(|row| source.row(row, &reads)).map(|&sample| f32::from(sample)).collect();
        let values = match source.channels {
            3 => axis.convolve::<F32x3>(&samples, band.len(), Direction::Across),
            _ => axis.convolve::<F32>(&samples, band.len(), Direction::Across),
        };
        resized.extend(values.into_iter().map(to_8_bits));
    }
    resized
}

/// Resizes each of the `columns`, a band of columns at a time.
fn resize_columns(source: &Window, axis: &Axis, columns: &Range<usize>) -> Vec<u8> {
    let (reads, width) = (axis.reads(), columns.len() * source.channels);
    if axis.is_identity() {
        return reads.flat_map(|row| source.row(row, columns)).copied().collect();
    }
    let mut whole = vec![0; axis.kept.len() * width];
    let lines = lines(reads.len(), axis.kept.len());
    for start in (0..width).step_by(lines) {
        let band = start..width.min(start + lines);
        let rows = reads.clone().flat_map(|row| &source.row(row, columns)[band.clone()]);
        let samples: Vec<f32> = rows.map(|&sample| f32::from(sample)).collect();
        let resized = axis.convolve::<F32>(&samples, band.len(), Direction::Down);
        for (row, resized) in whole.chunks_exact_mut(width).zip(resized.chunks_exact(band.len())) {
            row[band.clone()].iter_mut().zip(resized).for_each(|(sample, &value)| *sample = to_8_bits(value));
        }
    }
    whole
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
        for (image, expected) in [([480, 640], [256, 341]), ([500, 333], [384, 256]), ([1023, 97], [2699, 256])] {
            assert_eq!(resized(image, &preprocess), expected);
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
    fn an_image_that_can_not_be_resized_is_refused() {
        let preprocess = Preprocess::for_model("seresnet50").unwrap();
        let long = Image::new(8192, 1, 3, vec![0; 8192 * 3]).unwrap();
        assert!(preprocess.pixels(&long).is_ok(), "1925120x235 pixels, most of them cut away");
        let border = Preprocess { resize: Resize::Border, ..preprocess.clone() };
        let error = border.pixels(&long).unwrap_err().to_string();
        assert_eq!(error, "an image of 8192x1 would be resized to 235x0: nothing is left");
        let mut long = long;
        long.limits.memory = 100_000;
        let squash = Preprocess { resize: Resize::Squash, ..preprocess };
        let error = squash.pixels(&long).unwrap_err().to_string();
        assert!(error.starts_with("resizing 8192x1 pixels to 235x235 would take "), "{error}");
    }

    /// What is kept does not depend on what is computed beside it.
    #[test]
    fn a_crop_is_a_part_of_the_whole() {
        let mut state = 1u32;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for round in 0..300 {
            let [old_height, old_width] = [1 + random(90), 1 + random(90)];
            let [height, width] = [1 + random(120), 1 + random(120)];
            let channels = [1, 3][round % 2];
            let samples = (0..old_height * old_width * channels).map(|_| random(256) as u8).collect();
            let image = Image::new(old_width, old_height, channels, samples).unwrap();
            let interpolation = [Interpolation::Bilinear, Interpolation::Bicubic][random(2)];
            let axis = |old, new, kept| Axis { old, new, kept, interpolation };
            let mut part = |new| {
                let start = random(new);
                start..start + 1 + random(new - start)
            };
            let (rows, columns) = (part(height), part(width));
            let whole = resize(&image, &axis(old_height, height, 0..height), &axis(old_width, width, 0..width));
            let kept =
                resize(&image, &axis(old_height, height, rows.clone()), &axis(old_width, width, columns.clone()));
            let expected: Vec<u8> = rows
                .flat_map(|row| &whole[(row * width + columns.start) * channels..][..columns.len() * channels])
                .copied()
                .collect();
            assert!(kept == expected, "{old_height}x{old_width} to {height}x{width}, {columns:?}, {interpolation:?}");
        }
    }
}
