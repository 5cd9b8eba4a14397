//! Everything that needs no GPU, in one program: the library is linked once. A test is named after its file:
//! `cargo test --test host shaders::`.

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "hub")]
mod hub;
mod layers;
mod onnx;
mod onnx_bad;
mod onnx_field;
mod onnx_ops;
#[cfg(feature = "cli")]
mod paper;
mod passes;
mod plan_snapshots;
mod plans;
#[cfg(feature = "cli")]
mod reference;
mod shaders;
mod weights;
mod zoo;
