//! See `tests/common/fuzzed_image.rs`.
#![no_main]

#[path = "../../tests/common/fuzzed_image.rs"]
mod fuzzed_image;

libfuzzer_sys::fuzz_target!(
    // The library makes a decoder's panic an error, so it must not end the fuzzer. A panic of the library ends it still.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| fuzzed_image::image(bytes)
);
