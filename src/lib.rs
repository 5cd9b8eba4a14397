//! Squeeze-and-Excitation networks on any GPU, through wgpu.
//!
//! ```
//! use excite::{Gpu, Model, Options};
//!
//! # if excite::gpu::adapters().is_empty() { return Ok(()) }
//! # #[cfg(feature = "bundled")] {
//! let model = Model::zoo("digits_seresnet")?; // or Model::pretrained("seresnet50.a1_in1k"), Model::onnx("net.onnx")
//! let network = model.compile(&Gpu::new()?, Options::default().gates(true))?;
//! let image = [0u8; 64]; // 8x8 samples of gray; images, tensors, slices and buffers of the device do as well
//! for class in network.classify(&image)?.top(3) {
//!     println!("{:5.1} %  {}", 100.0 * class.probability, class.label);
//! }
//! let outputs = network.run(&image)?;
//! assert_eq!(outputs["gate.layer1.0.se"].batch(), 1);
//! # }
//! # Ok::<(), excite::Error>(())
//! ```
//!
//! A [`Model`] is a [`Graph`] with its [`Weights`], of a name, of an ONNX file or your own ([`GraphBuilder`]; SE is put
//! into it by [`Graph::insert_se`]). Passes simplify and fuse the graph, a [`Plan`](plan::Plan) decides every dispatch
//! and buffer, an [`Executor`](gpu::Executor) runs it. [`Graph::reference`] computes the same on the CPU, slowly and
//! obviously; every kernel is proved against it. Only the SE block, on your `wgpu::Device`, in your encoder, is an
//! [`SeBlock`].
//!
//! Images at the edges are dense `[N,C,H,W]` `f32`; vectors and tensors have their dimensions after N. An SE block is two
//! nodes: [`SqueezeExcite`](ops::SqueezeExcite) makes the gate of a map, [`Scale`](ops::Scale) multiplies by it (Hu et
//! al., "Squeeze-and-Excitation Networks", CVPR 2018).
//!
//! | feature | what it brings | by default |
//! |---|---|---|
//! | `onnx` | `Model::onnx`: networks from files of any exporter | yes |
//! | `zoo` | `Model::zoo`, `Model::pretrained`: networks by name, settings of images, names of classes | yes |
//! | `bundled` | the weights of two networks of handwritten digits | yes |
//! | `hub` | downloads from the Hugging Face hub | no |
//! | `image` | decodes and resizes images | no |
//! | `ndarray` | views of tensors as arrays | no |
//! | `cli` | the binary `excite` | no |
//!
//! Without any, the graph, the plan, the kernels and the SE block are there. [`wgpu`] is re-exported.
#![cfg_attr(
    not(all(feature = "onnx", feature = "zoo", feature = "image")),
    allow(dead_code, unused_imports, reason = "some of what all features need is idle without one of them")
)]
#![deny(unsafe_code, missing_docs, missing_debug_implementations)]

pub mod gpu;
pub mod graph;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "image")]
pub mod image;
pub mod import;
#[doc(hidden)]
pub mod kernels;
pub mod measure;
pub mod model;
pub mod ops;
pub mod plan;
pub mod tuning;
pub mod verify;
#[cfg(feature = "zoo")]
pub mod zoo;

mod error;
mod escape;
mod files;
mod labels;
mod options;
mod param;
mod passes;
mod preprocess;
mod ranges;
mod schedule;
mod tensor;
mod weights;

pub use error::{Error, Result};
#[doc(hidden)]
pub use escape::escaped;
#[doc(hidden)]
pub use files::write as write_whole_file;
pub use gpu::{Gpu, GpuOptions, SeBlock};
pub use graph::{Graph, GraphBuilder};
pub use model::{Input, Model, Network, Options, Outputs};
pub use plan::{Precision, SeBlockOptions, SeLayout};
pub use tensor::{Shape, Tensor};
pub use weights::Weights;
pub use wgpu;

/// What threads may share.
const fn _shared<T: Send + Sync>() {}
const _: () = {
    _shared::<(Gpu, Graph, Weights, Model, Network, gpu::Executor, SeBlock)>();
    _shared::<(
        Input<'_>,
        Outputs,
        model::Classes,
        Options,
        model::ModelOptions,
        Tensor,
        plan::Plan,
        model::Labels,
        Error,
    )>();
};

/// The programs of the README and of the guide compile.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/guide/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../docs/guide/half-precision.md")]
    struct HalfPrecision;
    #[doc = include_str!("../docs/guide/onnx.md")]
    struct Onnx;
    #[doc = include_str!("../docs/guide/own-networks.md")]
    struct OwnNetworks;
    #[doc = include_str!("../docs/guide/se-block-in-your-encoder.md")]
    struct SeBlockInYourEncoder;
}
