//! What the fuzzer of images in fuzz/ calls, and the test with its corpus. Nothing here may panic, whatever the bytes.

use excite::image::{Interpolation, Limits, Preprocess, Resize, decode_with};

/// A file of an image: decoded, turned upright, resized and cropped.
pub fn image(bytes: &[u8]) {
    let limits = Limits::default().memory(64 << 20);
    let Ok(image) = decode_with(bytes, "fuzzed", limits) else { return };
    let settings = |channels, resize| Preprocess {
        channels,
        size: [32, 24],
        resize,
        crop_pct: 0.9,
        interpolation: Interpolation::Bicubic,
        mean: [0.5; 3],
        std: [0.5; 3],
    };
    let _ = settings(3, Resize::Shorter).pixels(&image);
    let _ = settings(1, Resize::Squash).pixels(&image);
    let _ = settings(3, Resize::Border).pixels(&image.upright());
}
