//! What is measured on a device: tables that planning reads, and whether cooperative matrices are right.

mod cooperative;
mod ranges;
mod tuning;

pub use cooperative::cooperative_matrices;
pub use tuning::{TuneOptions, TuneProgress};
