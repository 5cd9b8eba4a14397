//! Image files of the command line: what they may take, and how they stand.

use crate::classify::paths::{self, STANDARD};
use crate::common::heading;
use excite::Result;
use excite::image::{self, Image, Limits};
use std::cell::Cell;
use std::path::Path;

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in a decoder, whose panics the library makes that image's error.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// How image files are read.
#[derive(clap::Args)]
pub struct Images {
    /// Turn images upright as their EXIF data say. timm does not.
    #[arg(long, help_heading = heading::IMAGES)]
    exif: bool,
    /// Most memory for one image, in MiB: its file, its samples and what decoding and resizing take beside them. A larger
    /// image is an error. Each core prepares an image at a time; with --exif an image may take its samples once more.
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().memory >> 20, help_heading = heading::IMAGES)]
    image_memory: u64,
}

impl Images {
    /// Reads an image file, or standard input.
    pub fn open(&self, path: &Path) -> Result<Image> {
        let limits = Limits::default().memory(self.image_memory.saturating_mul(1 << 20));
        DECODING.set(true);
        let image = match paths::is_standard(path) {
            // What is longer than may be, decoding refuses.
            true => paths::read_standard("image", limits.memory)
                .and_then(|bytes| image::decode_with(&bytes, STANDARD, limits)),
            false => image::open_with(path, limits),
        };
        DECODING.set(false);
        image.map(|image| if self.exif { image.upright() } else { image })
    }
}
