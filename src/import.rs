//! From files to weights and graphs.

pub mod safetensors;
