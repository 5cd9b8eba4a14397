//! Kernels that look at one vec4 at a time.

pub(crate) mod activation;
pub(crate) mod batch_norm;
pub(crate) mod binary;
pub(crate) mod unary;
