//! Squeeze-and-Excitation networks on any GPU, through wgpu.
//!
//! Files become a [`Graph`], passes simplify and fuse it, a [`Plan`] decides every dispatch and buffer, an [`Executor`]
//! runs it. [`Graph::reference`] computes the same on the CPU, slowly and obviously; every kernel is proved against it.
//!
//! - A network by name: [`zoo::build`] and [`Weights::open`], then [`Executor::run`].
//! - From any exporter, its SE stages found: [`OnnxModel::from_onnx`].
//! - Your own: [`GraphBuilder`]; SE put into it: [`Graph::insert_se`].
//! - Only the SE stage, on your `wgpu::Device`, in your encoder: [`SeBlock`].
//!
//! Images at the edges are dense `[N,C,H,W]` `f32`; vectors and tensors have their dimensions after N. An SE stage is two nodes: [`SqueezeExcite`] makes the gate of a map,
//! [`Scale`] multiplies by it (Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018).
//!
//! Features: `hub` (downloads from the Hugging Face hub), `image` (decode, resize, normalise pictures), `cli` (the
//! binary `excite`). [`wgpu`] is re-exported.
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
