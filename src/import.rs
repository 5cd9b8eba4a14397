//! From files to weights and graphs.

mod contents;
#[cfg(feature = "onnx")]
pub mod onnx;
pub(crate) mod rename;
pub mod safetensors;
pub(crate) mod shards;
