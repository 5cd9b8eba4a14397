//! Files to pixels, within limits.

use super::{Image, Limits, jpeg};
use crate::error::{Error, Result};
use crate::files::{self, Kind};
use ::image::error::ImageError;
use ::image::metadata::Orientation;
use ::image::{ColorType, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What is read.
const FORMATS: &str = "PNG, JPEG, WebP, BMP, GIF or TIFF";

/// What a format's decoder gives.
pub(super) struct Decoded {
    pub width: usize,
    pub height: usize,
    /// 1 or 3.
    pub channels: usize,
    pub samples: Vec<u8>,
    pub orientation: Orientation,
}

/// Why a file is not decoded.
pub(super) enum Refusal {
    Damaged(Cause),
    Unsupported(Cause),
    /// One of both: the decoder does not tell them apart.
    Unclear(Cause),
    /// Its sides, and what decoding would take as far as that is known.
    TooLarge {
        width: u32,
        height: u32,
        bytes: Option<u64>,
    },
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Reads and decodes an image file within the default [`Limits`].
///
/// # Errors
/// There is no such file, it is no PNG, JPEG, WebP, BMP, GIF or TIFF or of a kind that can't be read, it is damaged or
/// cut short, or decoding it would take more memory than the limits allow.
pub fn open(path: impl AsRef<Path>) -> Result<Image> {
    open_with(path, Limits::default())
}

/// Reads and decodes an image file within `limits`.
///
/// # Errors
/// As [`open`].
pub fn open_with(path: impl AsRef<Path>, limits: Limits) -> Result<Image> {
    let path = path.as_ref();
    let bytes = files::read(path, &Kind { name: "image", expected: "an image", most: limits.memory })?;
    decode_with(&bytes, path, limits)
}

/// Decodes an image in memory within the default [`Limits`]; `origin` names it in messages.
///
/// # Errors
/// As [`open`].
pub fn decode(bytes: &[u8], origin: impl AsRef<Path>) -> Result<Image> {
    decode_with(bytes, origin, Limits::default())
}

/// Decodes an image in memory within `limits`; `origin` names it in messages.
///
/// # Errors
/// As [`open`].
pub fn decode_with(bytes: &[u8], origin: impl AsRef<Path>, limits: Limits) -> Result<Image> {
    let origin = origin.as_ref();
    let format = match ::image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::WebP
            | ImageFormat::Bmp
            | ImageFormat::Gif
            | ImageFormat::Tiff),
        ) => format,
        Ok(other) => return Err(Error::file(origin, format!("expected {FORMATS}, found {}", name(other)))),
        Err(_) if bytes.is_empty() => return Err(Error::file(origin, "expected an image, found an empty file")),
        Err(_) => {
            let message = format!("expected {FORMATS}, found none of them (the contents count, not the name)");
            return Err(Error::file(origin, message));
        }
    };
    let spare = limits.memory.saturating_sub(bytes.len() as u64);
    // A decoder's panic is this image's error, and not the end of the caller's other work. All that it has touched is
    // dropped with it.
    let decoded = catch_unwind(AssertUnwindSafe(|| match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, spare),
        _ => decode_as(format, bytes, spare),
    }));
    let decoded = decoded.unwrap_or_else(|_| Err(Refusal::Unclear("its decoder panicked".into())));
    let Decoded { width, height, channels, mut samples, orientation } = decoded.map_err(|refusal| {
        let (message, source) = match refusal {
            Refusal::Damaged(source) => (format!("is no sound {}", name(format)), Some(source)),
            Refusal::Unsupported(source) => {
                (format!("is a {} of a kind that can't be read", name(format)), Some(source))
            }
            Refusal::Unclear(source) => {
                (format!("is a damaged {} or one of a kind that can't be read", name(format)), Some(source))
            }
            Refusal::TooLarge { width, height, bytes: needed } => {
                let needed = needed.map_or("more".into(), |needed| mebibytes(needed + bytes.len() as u64));
                let allowed = mebibytes(limits.memory);
                (format!("decoding {width}x{height} pixels would take {needed}, {allowed} are allowed"), None)
            }
        };
        Error::File { path: origin.into(), message, source }
    })?;
    // Alpha and second bytes are gone, and are not counted where the image is resized.
    samples.shrink_to_fit();
    let mut image = Image::new(width, height, channels, samples).map_err(|e| Error::file(origin, e.to_string()))?;
    (image.orientation, image.limits) = (orientation, limits);
    Ok(image)
}

/// Decodes by the `image` crate, which may take `spare` bytes.
fn decode_as(format: ImageFormat, bytes: &[u8], spare: u64) -> std::result::Result<Decoded, Refusal> {
    if format == ImageFormat::Tiff {
        refuse_jpeg_in_tiff(bytes)?;
    }
    let refusal = |e: ImageError, [width, height]: [u32; 2]| match e {
        ImageError::Limits(_) => Refusal::TooLarge { width, height, bytes: None },
        ImageError::Unsupported(e) => Refusal::Unsupported(e.into()),
        e => Refusal::Damaged(e.into()),
    };
    // What a PNG's decoder keeps beside the pixels: rows, a colour profile.
    let beside = spare / 16;
    let mut limits = ::image::Limits::no_limits();
    limits.max_alloc = Some(beside);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|e| refusal(e, [0, 0]))?;
    let (color, (width, height)) = (decoder.color_type(), decoder.dimensions());
    let (total, pixels) = (decoder.total_bytes(), u64::from(width) * u64::from(height));
    let needed = total.saturating_add(match format {
        ImageFormat::Png => beside,
        // Four samples a pixel, before they are copied.
        ImageFormat::WebP => 4 * pixels,
        // A buffer of its own, with a sample more where it holds CMYK.
        ImageFormat::Tiff => total.saturating_add(total / 3),
        // An index a pixel, before colours are looked up.
        ImageFormat::Gif => pixels,
        _ => 0,
    });
    if needed > spare {
        return Err(Refusal::TooLarge { width, height, bytes: Some(needed) });
    }
    limits.max_alloc = Some(match format {
        // A frame of other sides has four samples a pixel, and its indices are not counted.
        ImageFormat::Gif => (spare - total) / 5 * 4,
        _ => spare - total,
    });
    decoder.set_limits(limits).map_err(|e| refusal(e, [width, height]))?;
    // Pixels are sound where metadata are not.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut samples = vec![0; usize::try_from(total).map_err(|e| Refusal::Unsupported(e.into()))?];
    decoder.read_image(&mut samples).map_err(|e| refusal(e, [width, height]))?;
    match color {
        ColorType::L8 | ColorType::Rgb8 => {}
        ColorType::La8 | ColorType::Rgba8 => drop_alpha(&mut samples, color.channel_count().into()),
        ColorType::L16 | ColorType::Rgb16 => round_to_8_bits(&mut samples),
        ColorType::La16 | ColorType::Rgba16 => {
            round_to_8_bits(&mut samples);
            drop_alpha(&mut samples, color.channel_count().into());
        }
        other => return Err(Refusal::Unsupported(format!("samples are {other:?}, not of 8 or 16 bits").into())),
    }
    let channels = if color.has_color() { 3 } else { 1 };
    Ok(Decoded { width: width as usize, height: height as usize, channels, samples, orientation })
}

/// JPEGs in TIFFs go to another decoder, which has some layouts wrong.
fn refuse_jpeg_in_tiff(bytes: &[u8]) -> std::result::Result<(), Refusal> {
    use tiff::decoder::Decoder;
    use tiff::tags::{CompressionMethod, Tag};
    let damaged = |e: tiff::TiffError| Refusal::Damaged(e.into());
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let method = decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(damaged)?;
    match method.map(CompressionMethod::from_u16_exhaustive) {
        Some(CompressionMethod::JPEG | CompressionMethod::ModernJPEG) => {
            Err(Refusal::Unsupported("it is compressed as JPEG".into()))
        }
        _ => Ok(()),
    }
}

fn name(format: ImageFormat) -> String {
    format!("{format:?}").to_uppercase().replace("WEBP", "WebP")
}

/// A size in MiB, rounded up.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Rounds 16-bit samples, which decoders give in the machine's byte order, to the nearest of 8 bits.
fn round_to_8_bits(samples: &mut Vec<u8>) {
    let count = samples.len() / 2;
    for i in 0..count {
        let sample = u16::from_ne_bytes([samples[2 * i], samples[2 * i + 1]]);
        samples[i] = ((u32::from(sample) + 128) / 257) as u8;
    }
    samples.truncate(count);
}

/// Drops the last sample of each pixel.
fn drop_alpha(samples: &mut Vec<u8>, channels: usize) {
    let pixels = samples.len() / channels;
    for pixel in 1..pixels {
        let from = pixel * channels;
        samples.copy_within(from..from + channels - 1, pixel * (channels - 1));
    }
    samples.truncate(pixels * (channels - 1));
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
        use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
        let raw: Vec<u8> = (0..32 * 32 * 3).map(|i| (i * 7 % 251) as u8).collect();
        compress(&raw, 32, 32, PixelFormat::Rgb, 75, Subsampling::S420).unwrap()
    }

    #[test]
    fn alpha_is_dropped_and_16_bits_are_rounded() {
        let rgba = png(2, 1, ExtendedColorType::Rgba8, &[1, 2, 3, 0, 4, 5, 6, 255]);
        assert_eq!(decode(&rgba, "rgba").unwrap(), Image::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6]).unwrap());
        let wide: Vec<u8> = [0u16, 128, 129, 257, 65_406, 65_407].iter().flat_map(|x| x.to_ne_bytes()).collect();
        let gray = decode(&png(6, 1, ExtendedColorType::L16, &wide), "16 bits").unwrap();
        assert_eq!(gray.samples(), [0, 0, 1, 1, 254, 255]);
    }

    #[test]
    fn every_cut_of_a_file_is_an_error() {
        let image = png(5, 4, ExtendedColorType::L8, &(0..20).collect::<Vec<u8>>());
        // The last 12 bytes are the chunk that says the end; all pixels are there without it.
        for (bytes, least) in [(jpeg(), 0), (image, 12)] {
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
        // 65536 x 65536, 8192 x 16384 x 4 samples of 16 bits.
        for (header, size, needed) in [
            ([0, 1, 0, 0, 0, 1, 0, 0, 8, 0], "65536x65536", "4161 MiB"),
            ([0, 0, 32, 0, 0, 0, 64, 0, 16, 6], "8192x16384", "1089 MiB"),
        ] {
            bomb[16..26].copy_from_slice(&header);
            let crc = crc32(&bomb[12..29]).to_be_bytes();
            bomb[29..33].copy_from_slice(&crc);
            let error = decode(&bomb, "bomb.png").unwrap_err().to_string();
            let expected = format!("bomb.png: decoding {size} pixels would take {needed}, 1024 MiB are allowed");
            assert_eq!(error, expected);
        }
    }

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        ::image::RgbImage::new(width, height).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn large_images_are_refused_in_every_format() {
        let mut jpeg = jpeg();
        let start_of_frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
        jpeg[start_of_frame + 5..start_of_frame + 9].copy_from_slice(&[0x40, 0x00, 0x40, 0x00]);
        let mut webp = Vec::new();
        codecs::webp::WebPEncoder::new_lossless(&mut webp)
            .write_image(&[1, 2, 3], 1, 1, ExtendedColorType::Rgb8)
            .unwrap();
        let sides = webp.windows(4).position(|tag| tag == b"VP8L").unwrap() + 9;
        // 14 bits of width - 1, 14 bits of height - 1.
        webp[sides..sides + 4].copy_from_slice(&(0x3FFEu32 | 0x3FFE << 14).to_le_bytes());
        let mut gif = encoded(1, 1, ImageFormat::Gif);
        gif[6..10].copy_from_slice(&[0, 0x40, 0, 0x80]);
        for (bytes, size) in [(jpeg, "16384x16384"), (webp, "16383x16383"), (gif, "16384x32768")] {
            let error = decode(&bytes, "bomb").unwrap_err().to_string();
            assert!(error.starts_with(&format!("bomb: decoding {size} pixels would take ")), "{error}");
            assert!(error.ends_with(", 1024 MiB are allowed"), "{error}");
        }
    }

    #[test]
    fn the_budget_is_the_callers() {
        for format in [ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Png, ImageFormat::Tiff, ImageFormat::WebP] {
            let bytes = encoded(300, 200, format);
            let limits = |memory| Limits { memory: bytes.len() as u64 + memory };
            let error = decode_with(&bytes, "x", limits(100_000)).unwrap_err().to_string();
            assert!(error.starts_with("x: decoding 300x200 pixels would take "), "{error}");
            assert!(decode_with(&bytes, "x", limits(600_000)).is_ok(), "{format:?}");
        }
        let bytes = png(300, 200, ExtendedColorType::Rgb8, &[7; 300 * 200 * 3]);
        let error = decode_with(&bytes, "x.png", Limits { memory: 100_000 }).unwrap_err().to_string();
        assert_eq!(error, "x.png: decoding 300x200 pixels would take 1 MiB, 1 MiB are allowed");
        assert!(decode_with(&bytes, "x.png", Limits { memory: 1 << 20 }).is_ok());
        assert!(decode_with(&bytes, "x.png", Limits { memory: u64::MAX }).is_ok());
        assert!(decode_with(&jpeg(), "x.jpg", Limits { memory: u64::MAX }).is_ok());
        let sides = |width, height| png(width, height, ExtendedColorType::L8, &vec![9; (width * height) as usize]);
        for (width, height) in [(70_000, 1), (1, 70_000), (8193, 3)] {
            let image = decode(&sides(width, height), "long.png").unwrap();
            assert_eq!((image.width(), image.height()), (width as usize, height as usize));
        }
    }

    #[test]
    fn long_files_are_refused_unread() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let limits = Limits { memory: 1000 };
        file.as_file().set_len(1001).unwrap();
        let error = open_with(file.path(), limits).unwrap_err().to_string();
        assert!(error.ends_with("expected an image of at most 1000 bytes, found 1001"), "{error}");
    }

    #[test]
    fn a_panic_of_a_decoder_is_an_error() {
        // A palette whose length is no multiple of 3.
        let bytes = include_bytes!("../../tests/data/field/png_plte_panic.png");
        let error = decode(bytes, "x.png").unwrap_err().to_string();
        assert!(error == "x.png: is a damaged PNG or one of a kind that can't be read", "{error}");
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
            (&b""[..], "x.png: expected an image, found an empty file"),
            (
                b"hello, this is text",
                "x.png: expected PNG, JPEG, WebP, BMP, GIF or TIFF, found none of them (the contents count, not the name)",
            ),
            (b"qoif\x01\x00\x01\x00", "x.png: expected PNG, JPEG, WebP, BMP, GIF or TIFF, found QOI"),
        ] {
            assert_eq!(decode(bytes, "x.png").unwrap_err().to_string(), expected);
        }
    }
}
