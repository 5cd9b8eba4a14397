//! Image files of the command line: what they may take, and how they stand.

use crate::classify::paths::{self, STANDARD};
use crate::common::heading;
use excite::image::{self, Limits, Picture};
use excite::{Error, Result};
use std::cell::Cell;
use std::io::Read;
use std::path::Path;

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
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
    pub fn open(&self, path: &Path) -> Result<Picture> {
        let limits = Limits::default().memory(self.image_memory.saturating_mul(1 << 20));
        DECODING.set(true);
        let picture = match paths::is_standard(path) {
            true => from_standard_input(limits),
            false => image::open_with(path, limits),
        };
        DECODING.set(false);
        picture.map(|picture| if self.exif { picture.upright() } else { picture })
    }
}

fn from_standard_input(limits: Limits) -> Result<Picture> {
    let mut bytes = Vec::new();
    // A byte more than may be, so that decoding refuses it.
    let read = std::io::stdin().take(limits.memory.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| Error::File {
        path: STANDARD.into(),
        message: "can't read the image".into(),
        source: Some(Box::new(error)),
    })?;
    image::decode_with(&bytes, STANDARD, limits)
}

/// Prints no panic of a decoder: the library makes it that image's error.
pub fn quieten_decoders() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !DECODING.get() {
            report(panic);
        }
    }));
}
