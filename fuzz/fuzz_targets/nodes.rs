//! See `tests/common/fuzzed.rs`.
#![no_main]

#[allow(dead_code, reason = "each target uses its part")]
#[path = "../../tests/common/fuzzed.rs"]
mod fuzzed;
#[allow(dead_code, reason = "each target uses its part")]
#[path = "../../tests/common/onnx_bytes.rs"]
mod onnx_bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::nodes(bytes));
