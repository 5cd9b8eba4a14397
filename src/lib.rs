//! Squeeze-and-Excitation networks on any GPU.
#![deny(unsafe_code, missing_docs)]

pub mod import;
#[doc(hidden)]
pub mod kernels;
pub mod plan;
pub mod zoo;

mod error;
mod gpu;
mod graph;
mod ops;
mod param;
mod passes;
mod tensor;
mod weights;

pub use error::{Error, Result};
pub use gpu::{
    AdapterDescription, Executor, ExecutorOptions, Gpu, GpuOptions, GpuTimer, SeBinding, SeBlock, Timing, adapters,
};
pub use graph::{Graph, GraphBuilder, InsertSe, Node, NodeId, SeInit, SeWidth, Value};
pub use ops::{
    Act, Add, BatchNorm, ChannelShuffle, Concat, Conv2d, Flatten, GlobalPool, Linear, Mul, Op, Pad, Padding, Pool,
    PoolKind, Scale, Softmax, SqueezeExcite,
};
pub use passes::Fusion;
pub use plan::{Plan, PlanOptions, SeBlockOptions, SeForm, SeLayout};
pub use param::{Norm, Param};
pub use tensor::{Shape, Tensor};
pub use weights::Weights;
pub use wgpu;
