//! What the tests share: tolerances, comparison, random cases.

// Each test binary uses its part.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod compare;
pub mod corpus;
pub mod decomposed_se;
pub mod fault_layer;
pub mod field;
pub mod fuzzed;
pub mod golden;
pub mod onnx;
pub mod onnx_bytes;
pub mod random;
pub mod random_graph;
pub mod to_onnx;
