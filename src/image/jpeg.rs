//! JPEG files to pixels: libjpeg-turbo's, to the last bit.

use super::decode::{Decoded, Refusal};
use ::image::metadata::Orientation;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, FrameHeader, JpegError, PixelFormat};

/// Decodes a file, which may take `spare` bytes.
pub(super) fn decode(bytes: &[u8], spare: u64) -> Result<Decoded, Refusal> {
    if !is_whole(bytes) {
        return Err(Refusal::Damaged("it is cut short: a JPEG without its end".into()));
    }
    let mut parsing = DecodeLimits::default();
    (parsing.max_pixels, parsing.max_memory) = (u64::MAX, Some(spare));
    let mut decoder = Decoder::new_with_limits(bytes, parsing).map_err(|e| refusal(e, None))?;
    let frame = decoder.header().clone();
    let format = output(&frame)?;
    decoder.set_output_format(format);
    decoder.set_block_smoothing(true);
    let image = decoder.decode_image().map_err(|e| refusal(e, Some(&frame)))?;
    let orientation = image.exif_orientation().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    let samples = match format {
        PixelFormat::Cmyk => to_rgb(image.data),
        _ => image.data,
    };
    let channels = if format == PixelFormat::Grayscale { 1 } else { 3 };
    Ok(Decoded { width: image.width, height: image.height, channels, samples, orientation })
}

/// What to decode to.
fn output(frame: &FrameHeader) -> Result<PixelFormat, Refusal> {
    if frame.precision != 8 {
        return Err(Refusal::Unsupported(format!("samples have {} bits, not 8", frame.precision).into()));
    }
    let sampling = |i: usize| [frame.components[i].horizontal_sampling, frame.components[i].vertical_sampling];
    let finer = |i: &usize| sampling(*i)[0] > sampling(0)[0] || sampling(*i)[1] > sampling(0)[1];
    if (1..frame.components.len()).any(|i| finer(&i)) {
        return Err(Refusal::Unsupported("its chroma is sampled more finely than its luma".into()));
    }
    if frame.components.len() == 4 && sampling(3) != sampling(0) {
        return Err(Refusal::Unsupported("its black is sampled less finely than its first colour".into()));
    }
    match frame.components.len() {
        1 => Ok(PixelFormat::Grayscale),
        3 => Ok(PixelFormat::Rgb),
        4 => Ok(PixelFormat::Cmyk),
        other => Err(Refusal::Unsupported(format!("it has {other} components").into())),
    }
}

fn refusal(e: JpegError, frame: Option<&FrameHeader>) -> Refusal {
    match (e, frame) {
        (JpegError::LimitExceeded { actual, .. }, Some(frame)) => {
            Refusal::TooLarge { width: frame.width.into(), height: frame.height.into(), bytes: Some(actual) }
        }
        (e @ JpegError::Unsupported(_), _) => Refusal::Unsupported(e.into()),
        (e @ JpegError::UnexpectedEof, _) => Refusal::Damaged(e.into()),
        (e, _) => Refusal::Unclear(e.into()),
    }
}

/// Adobe's inverted CMYK as RGB, in place, with PIL's rounding.
fn to_rgb(mut samples: Vec<u8>) -> Vec<u8> {
    let pixels = samples.len() / 4;
    for pixel in 0..pixels {
        let [c, m, y, k] = [0, 1, 2, 3].map(|i| u32::from(samples[4 * pixel + i]));
        for (i, ink) in [c, m, y].into_iter().enumerate() {
            let product = (255 - ink) * k + 128;
            samples[3 * pixel + i] = (k - (((product >> 8) + product) >> 8)) as u8;
        }
    }
    samples.truncate(3 * pixels);
    samples
}

/// Whether the markers of a JPEG lead to its end. A progressive one that lacks
/// scans is blurred, and nothing else says so.
fn is_whole(bytes: &[u8]) -> bool {
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
