//! Files to pixels, within limits.

use crate::error::{Error, Result};
use crate::preprocess::MAX_SIDE;
use ::image::error::ImageError;
use ::image::metadata::Orientation;
use ::image::{ColorType, DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use std::borrow::Cow;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// Most bytes of a file, and of its decoded samples.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// Pixels: 8 bits a sample, gray or RGB, rows from the top, the samples of a pixel side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    samples: Vec<u8>,
    /// What the file says to do before the picture is shown.
    orientation: Orientation,
}

impl Picture {
    /// Wraps `samples`: gray (1 channel) or RGB (3).
    ///
    /// # Errors
    /// A side is 0 or above 8192, there are other channels, or `samples` has another length.
    pub fn new(width: usize, height: usize, channels: usize, samples: Vec<u8>) -> Result<Self> {
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&width) || !sides.contains(&height) || !matches!(channels, 1 | 3) {
            let message = format!(
                "picture: expected sides of 1 to {MAX_SIDE} pixels and 1 or 3 channels, is {width}x{height} with {channels}"
            );
            return Err(Error::Request(message));
        }
        let expected = width * height * channels;
        if samples.len() != expected {
            let message = format!("picture: expected {expected} samples, there are {}", samples.len());
            return Err(Error::Request(message));
        }
        Ok(Self { width, height, channels, samples, orientation: Orientation::NoTransforms })
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

    /// The samples, row by row, without the picture.
    pub fn into_samples(self) -> Vec<u8> {
        self.samples
    }

    /// Turned and mirrored as its file's EXIF orientation says, as viewers show it and cameras mean it. timm leaves
    /// pictures as they are stored, and so do [`open`] and [`decode`].
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

    /// The same picture in gray or RGB.
    pub(super) fn with_channels(&self, channels: usize) -> Cow<'_, Self> {
        let samples = match (self.channels, channels) {
            (1, 3) => self.samples.iter().flat_map(|&gray| [gray; 3]).collect(),
            (3, 1) => self.samples.chunks_exact(3).map(|rgb| luma([rgb[0], rgb[1], rgb[2]])).collect(),
            _ => return Cow::Borrowed(self),
        };
        Cow::Owned(Self { channels, samples, ..*self })
    }
}

/// ITU-R 601-2 luma in 16-bit fixed point, PIL's coefficients.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16) as u8
}

/// Reads and decodes a picture file.
///
/// # Errors
/// There is no such file, it is no PNG, JPEG or WebP, it is damaged or cut short, or it is too large.
pub fn open(path: impl AsRef<Path>) -> Result<Picture> {
    let path = path.as_ref();
    let read = |e| Error::io(path, "read the picture", e);
    let metadata = std::fs::metadata(path).map_err(read)?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a directory" } else { "no regular file" };
        return Err(Error::file(path, format!("expected a picture, found {found}")));
    }
    if metadata.len() > MAX_BYTES {
        return Err(Error::file(path, format!("expected at most {MAX_BYTES} bytes, found {}", metadata.len())));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes)).map_err(read)?;
    decode(&bytes, path)
}

/// Decodes a picture in memory; `origin` names it in messages.
///
/// # Errors
/// As [`open`].
pub fn decode(bytes: &[u8], origin: impl AsRef<Path>) -> Result<Picture> {
    let origin = origin.as_ref();
    let format = match ::image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => format,
        Ok(other) => {
            return Err(Error::file(origin, format!("expected PNG, JPEG or WebP, found {}", name(other))));
        }
        Err(_) if bytes.is_empty() => {
            return Err(Error::file(origin, "expected a picture, found an empty file"));
        }
        Err(_) => {
            let message = "expected PNG, JPEG or WebP, found none of them (the contents count, not the name)";
            return Err(Error::file(origin, message));
        }
    };
    if format == ImageFormat::Jpeg && !is_whole_jpeg(bytes) {
        return Err(Error::file(origin, "is cut short: a JPEG without its end"));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let damaged = |e: ImageError| match e {
        ImageError::Limits(_) => too_large(origin, None),
        ImageError::Unsupported(e) => Error::File {
            path: origin.into(),
            message: format!("is a {} of a kind that can't be read", name(format)),
            source: Some(Box::new(e)),
        },
        e => Error::File {
            path: origin.into(),
            message: format!("is no sound {}", name(format)),
            source: Some(Box::new(e)),
        },
    };
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    // Pixels are sound where metadata are not.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (color, (width, height)) = (decoder.color_type(), decoder.dimensions());
    let total = decoder.total_bytes();
    let sides = 1..=MAX_SIDE as u32;
    if total > MAX_BYTES || !sides.contains(&width) || !sides.contains(&height) {
        return Err(too_large(origin, Some((width, height))));
    }
    let mut raw = vec![0; usize::try_from(total).expect("checked against 256 MiB")];
    decoder.read_image(&mut raw).map_err(damaged)?;
    let samples = match color {
        ColorType::L8 | ColorType::Rgb8 => raw,
        ColorType::La8 | ColorType::Rgba8 => without_alpha(&raw, color.channel_count().into()),
        ColorType::L16 | ColorType::Rgb16 => to_8_bits(&raw),
        ColorType::La16 | ColorType::Rgba16 => without_alpha(&to_8_bits(&raw), color.channel_count().into()),
        other => {
            return Err(Error::file(origin, format!("expected samples of 8 or 16 bits, found {other:?}")));
        }
    };
    let channels = if color.has_color() { 3 } else { 1 };
    let picture = Picture::new(width as usize, height as usize, channels, samples);
    picture.map(|picture| Picture { orientation, ..picture }).map_err(|e| Error::file(origin, e.to_string()))
}

fn name(format: ImageFormat) -> String {
    format!("{format:?}").to_uppercase().replace("WEBP", "WebP")
}

fn too_large(origin: &Path, size: Option<(u32, u32)>) -> Error {
    let found = size.map(|(width, height)| format!(", is {width}x{height}")).unwrap_or_default();
    let limit = MAX_BYTES >> 20;
    Error::file(origin, format!("expected at most {MAX_SIDE}x{MAX_SIDE} pixels and {limit} MiB decoded{found}"))
}

/// The nearest 8-bit values of 16-bit ones, which decoders give in the machine's byte order.
fn to_8_bits(raw: &[u8]) -> Vec<u8> {
    let nearest = |sample: u16| ((u32::from(sample) + 128) / 257) as u8;
    raw.chunks_exact(2).map(|pair| nearest(u16::from_ne_bytes([pair[0], pair[1]]))).collect()
}

/// Pixels without their last sample.
fn without_alpha(raw: &[u8], channels: usize) -> Vec<u8> {
    raw.chunks_exact(channels).flat_map(|pixel| &pixel[..channels - 1]).copied().collect()
}

/// Whether the markers of a JPEG lead to its end. The decoder fills what is missing with gray, and says nothing.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    const END: u8 = 0xD9;
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        // A marker is 0xFF, any number of times, and a byte that is neither 0 nor 0xFF. In the data of a scan, which
        // follow its header, 0xFF is followed by 0, so the search passes over them.
        let Some(at) = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF)) else {
            return false;
        };
        let marker = rest[at + 1];
        rest = &rest[at + 2..];
        match marker {
            END => return true,
            // Restart markers and TEM have no length.
            0xD0..=0xD8 | 0x01 => {}
            _ => {
                let Some(&[high, low]) = rest.first_chunk() else { return false };
                let Some(after) = rest.get(usize::from(u16::from_be_bytes([high, low]))..) else {
                    return false;
                };
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{ExtendedColorType, ImageEncoder, codecs};

    fn png(width: u32, height: u32, color: ExtendedColorType, raw: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        codecs::png::PngEncoder::new(&mut bytes).write_image(raw, width, height, color).unwrap();
        bytes
    }

    fn jpeg() -> Vec<u8> {
        let mut bytes = Vec::new();
        let raw: Vec<u8> = (0..32 * 32 * 3).map(|i| (i * 7 % 251) as u8).collect();
        codecs::jpeg::JpegEncoder::new(&mut bytes).write_image(&raw, 32, 32, ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    #[test]
    fn alpha_is_dropped_and_16_bits_are_rounded() {
        let rgba = png(2, 1, ExtendedColorType::Rgba8, &[1, 2, 3, 0, 4, 5, 6, 255]);
        assert_eq!(decode(&rgba, "rgba").unwrap(), Picture::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6]).unwrap());
        let wide: Vec<u8> = [0u16, 128, 129, 257, 65_406, 65_407].iter().flat_map(|x| x.to_ne_bytes()).collect();
        let gray = decode(&png(6, 1, ExtendedColorType::L16, &wide), "16 bits").unwrap();
        assert_eq!(gray.samples(), [0, 0, 1, 1, 254, 255]);
    }

    #[test]
    fn gray_and_rgb_become_each_other() {
        let gray = Picture::new(2, 1, 1, vec![0, 200]).unwrap();
        assert_eq!(gray.with_channels(3).samples(), [0, 0, 0, 200, 200, 200]);
        assert_eq!(*gray.with_channels(3).with_channels(1), gray);
        // PIL 13: Image.new("RGB", (1, 1), (255, 0, 0)).convert("L").getpixel((0, 0)) == 76, and so on.
        let pure = Picture::new(3, 1, 3, vec![255, 0, 0, 0, 255, 0, 0, 0, 255]).unwrap();
        assert_eq!(pure.with_channels(1).samples(), [76, 150, 29]);
    }

    #[test]
    fn every_cut_of_a_file_is_an_error() {
        let picture = png(5, 4, ExtendedColorType::L8, &(0..20).collect::<Vec<u8>>());
        // The last 12 bytes are the chunk that says the end; all pixels are there without it.
        for (bytes, least) in [(jpeg(), 0), (picture, 12)] {
            assert!(decode(&bytes, "whole").is_ok());
            for end in 0..bytes.len() - least {
                let error = decode(&bytes[..end], "cut.jpg").unwrap_err().to_string();
                assert!(error.starts_with("cut.jpg: "), "{end}: {error}");
            }
        }
    }

    #[test]
    fn bombs_are_refused_before_memory_is_claimed() {
        let mut bomb = png(1, 1, ExtendedColorType::L8, &[0]);
        bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let crc = crc32(&bomb[12..29]).to_be_bytes();
        bomb[29..33].copy_from_slice(&crc);
        let error = decode(&bomb, "bomb.png").unwrap_err().to_string();
        assert_eq!(error, "bomb.png: expected at most 8192x8192 pixels and 256 MiB decoded");
        // Sides within the limit, bytes not: 8192 x 8192 x 4 samples of 16 bits.
        bomb[16..26].copy_from_slice(&[0, 0, 32, 0, 0, 0, 32, 0, 16, 6]);
        let crc = crc32(&bomb[12..29]).to_be_bytes();
        bomb[29..33].copy_from_slice(&crc);
        let error = decode(&bomb, "bomb.png").unwrap_err().to_string();
        assert_eq!(error, "bomb.png: expected at most 8192x8192 pixels and 256 MiB decoded, is 8192x8192");
    }

    #[test]
    fn large_sides_are_refused_in_every_format() {
        let mut jpeg = jpeg();
        let start_of_frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
        jpeg[start_of_frame + 5..start_of_frame + 9].copy_from_slice(&[0x20, 0x01, 0x20, 0x01]);
        let mut webp = Vec::new();
        codecs::webp::WebPEncoder::new_lossless(&mut webp)
            .write_image(&[1, 2, 3], 1, 1, ExtendedColorType::Rgb8)
            .unwrap();
        let sides = webp.windows(4).position(|tag| tag == b"VP8L").unwrap() + 9;
        // 14 bits of width - 1, 14 bits of height - 1.
        webp[sides..sides + 4].copy_from_slice(&(0x2000u32 | 0x2000 << 14).to_le_bytes());
        for bytes in [jpeg, webp] {
            let error = decode(&bytes, "bomb").unwrap_err().to_string();
            let limit = "bomb: expected at most 8192x8192 pixels and 256 MiB decoded";
            assert!(error == limit || error == format!("{limit}, is 8193x8193"), "{error}");
        }
    }

    #[test]
    fn long_files_are_refused_unread() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        let error = open(file.path()).unwrap_err().to_string();
        assert!(error.ends_with("expected at most 268435456 bytes, found 268435457"), "{error}");
    }

    #[test]
    fn upright_is_what_exif_says() {
        // Rows 1 2 3 and 4 5 6; what the tag's values 1 to 8 make of them.
        let all = [
            (3, [1, 2, 3, 4, 5, 6]),
            (3, [3, 2, 1, 6, 5, 4]),
            (3, [6, 5, 4, 3, 2, 1]),
            (3, [4, 5, 6, 1, 2, 3]),
            (2, [1, 4, 2, 5, 3, 6]),
            (2, [4, 1, 5, 2, 6, 3]),
            (2, [6, 3, 5, 2, 4, 1]),
            (2, [3, 6, 2, 5, 1, 4]),
        ];
        for (tag, (width, expected)) in (1..).zip(all) {
            // Big endian, one entry at 8: tag 0x112, one short integer.
            let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0?\0\0\0\0\0\0".to_vec();
            exif[19] = tag;
            let mut bytes = Vec::new();
            let mut encoder = codecs::png::PngEncoder::new(&mut bytes);
            encoder.set_exif_metadata(exif).unwrap();
            encoder.write_image(&[1, 2, 3, 4, 5, 6], 3, 2, ExtendedColorType::L8).unwrap();
            let stored = decode(&bytes, "x.png").unwrap();
            assert_eq!((stored.width(), stored.samples()), (3, &[1, 2, 3, 4, 5, 6][..]), "{tag}");
            let upright = stored.upright();
            assert_eq!(
                (upright.width(), upright.height(), upright.samples()),
                (width, 6 / width, &expected[..]),
                "{tag}"
            );
            assert_eq!(upright.clone().upright(), upright, "{tag}");
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        };
        !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
    }

    #[test]
    fn contents_count_and_not_names() {
        for (bytes, expected) in [
            (&b""[..], "x.png: expected a picture, found an empty file"),
            (
                b"hello, this is text",
                "x.png: expected PNG, JPEG or WebP, found none of them (the contents count, not the name)",
            ),
            (b"GIF89a\x01\x00\x01\x00", "x.png: expected PNG, JPEG or WebP, found GIF"),
        ] {
            assert_eq!(decode(bytes, "x.png").unwrap_err().to_string(), expected);
        }
    }
}
