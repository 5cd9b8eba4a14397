//! Squeeze-and-Excitation networks on any GPU, through wgpu.
//!
//! ```
//! use excite::{Gpu, Model, Options};
//!
//! # if excite::adapters().is_empty() { return Ok(()) }
//! # #[cfg(feature = "bundled")] {
//! let model = Model::zoo("digits_seresnet")?; // or Model::pretrained("seresnet50.a1_in1k"), Model::onnx("net.onnx")
//! let network = model.compile(&Gpu::new()?, Options::default().gates(true))?;
//! let image = [0u8; 64]; // 8x8 samples of gray; pictures, tensors, slices and buffers of the device do as well
//! for class in network.classify(&image)?.top(3) {
//!     println!("{:5.1} %  {}", 100.0 * class.probability, class.label);
//! }
//! let outputs = network.run(&image)?;
//! assert_eq!(outputs["gate.layer1.0.se"].batch(), 1);
//! # }
//! # Ok::<(), excite::Error>(())
//! ```
//!
//! A [`Model`] is a [`Graph`] with its [`Weights`], of a name, of an ONNX file or your own ([`GraphBuilder`]; SE is put into
//! it by [`Graph::insert_se`]). Passes simplify and fuse the graph, a [`Plan`] decides every dispatch and buffer, an
//! [`Executor`] runs it. [`Graph::reference`] computes the same on the CPU, slowly and obviously; every kernel is proved
//! against it. Only the SE stage, on your `wgpu::Device`, in your encoder, is an [`SeBlock`].
//!
//! Images at the edges are dense `[N,C,H,W]` `f32`; vectors and tensors have their dimensions after N. An SE stage is two
//! nodes: [`SqueezeExcite`] makes the gate of a map, [`Scale`] multiplies by it (Hu et al., "Squeeze-and-Excitation
//! Networks", CVPR 2018).
//!
//! | feature | what it brings | by default |
//! |---|---|---|
//! | `onnx` | `Model::onnx`: networks from files of any exporter | yes |
//! | `zoo` | `Model::zoo`, `Model::pretrained`: networks by name, settings of images, names of classes | yes |
//! | `bundled` | the weights of two networks of handwritten digits | yes |
//! | `hub` | downloads from the Hugging Face hub | no |
//! | `image` | decodes and resizes pictures | no |
//! | `ndarray` | views of tensors as arrays | no |
//! | `cli` | the binary `excite` | no |
//!
//! Without any, the graph, the plan, the kernels and the SE block are there. [`wgpu`] is re-exported.
#![cfg_attr(
    not(all(feature = "onnx", feature = "zoo", feature = "image")),
    allow(dead_code, unused_imports, reason = "some of what all features need is idle without one of them")
)]
#![deny(unsafe_code, missing_docs, missing_debug_implementations)]

#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "image")]
pub mod image;
pub mod import;
#[doc(hidden)]
pub mod kernels;
pub mod plan;
pub mod verify;
#[cfg(feature = "zoo")]
pub mod zoo;

mod error;
mod escape;
mod files;
mod gpu;
mod graph;
mod labels;
mod model;
mod ops;
mod options;
mod param;
mod passes;
mod preprocess;
mod ranges;
mod schedule;
mod tensor;
mod tuning;
mod weights;

pub use error::{Error, Mismatch, Result};
pub use escape::escaped;
#[doc(hidden)]
pub use files::write as write_whole_file;
pub use gpu::{
    AdapterDescription, Executor, ExecutorOptions, Gpu, GpuOptions, GpuTimer, SeBinding, SeBlock, Timing, WarmUp,
    adapters, user_cache_dir,
};
pub use graph::{Graph, GraphBuilder, InsertSe, Node, NodeId, SeInit, SePosition, SeWidth, Value};
#[cfg(feature = "onnx")]
pub use import::onnx::{Onnx, OnnxInput, OnnxModel, OnnxOptions};
pub use labels::Labels;
pub use model::{Class, Classes, Input, Model, ModelOptions, Network, Options, Outputs};
pub use ops::{
    Act, Add, Arithmetic, BatchNorm, ChannelShuffle, Concat, Constant, Conv2d, Gating, GlobalPool, Linear, MatMul, Mul,
    Op, Pad, Padding, Permute, Pool, PoolKind, Reduce, Reduction, Resample, Reshape, Scale, Softmax, SqueezeExcite,
    Unary,
};
pub use param::{Norm, Param, Recipe};
pub use passes::{Fusion, SeCandidate, SeVerdict};
pub use plan::{Choice, InputFormat, Normalize, Plan, PlanOptions, Precision, SeBlockOptions, SeForm, SeLayout};
pub use preprocess::{Interpolation, Preprocess, Resize};
pub use ranges::Ranges;
pub use tensor::{Dims, Shape, Tensor};
pub use tuning::{TuneOptions, TuneProgress, Tuned, Tuning};
pub use weights::Weights;
pub use wgpu;

/// What threads may share.
const fn _shared<T: Send + Sync>() {}
const _: () = {
    _shared::<(Gpu, Graph, Weights, Model, Network, Executor, SeBlock)>();
    _shared::<(Input<'_>, Outputs, Classes, Options, ModelOptions, Tensor, Plan, Labels, Error)>();
};

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
