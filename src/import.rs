//! From files to weights and graphs.

pub(crate) mod rename;
pub mod safetensors;
pub(crate) mod shards;
