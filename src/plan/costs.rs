//! What the decisions about SE blocks are priced with.

use std::fmt;

/// What an adapter's time goes into, as far as it decides how SE blocks are computed. Assumed for a class of adapters,
/// and only as good as that: prices rank ways to do one thing, they predict no run. 1 GB/s is 1000 bytes a microsecond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Microseconds of a dispatch that waits for the one before and does next to nothing.
    pub dispatch: f64,
    /// GB/s that one workgroup streams from cache.
    pub workgroup: f64,
    /// GB/s that all workgroups together stream from memory.
    pub memory: f64,
    /// What it costs to read a map again while neighbouring workgroups read it, as a share of reading it from memory: it
    /// comes from cache, and products of the tile go on meanwhile.
    pub reread: f64,
}

impl Costs {
    /// A discrete GPU: 85 % of 4.3 TB/s. Cache has twice that, and a 1x1 convolution in `f32` computes for several
    /// times as long as it loads from there; together about 16.
    pub const DISCRETE: Self = Self { dispatch: 2.5, workgroup: 100.0, memory: 3655.0, reread: 1.0 / 16.0 };

    /// A GPU that shares the host's memory: 80 % of 50 GB/s. Cache has five times that.
    pub const INTEGRATED: Self = Self { dispatch: 6.0, workgroup: 60.0, memory: 40.0, reread: 1.0 / 16.0 };

    /// Mesa's lavapipe on two cores, as seen there: 24 µs for each dispatch of a network of next to nothing, but 50 to
    /// 100 for each that SE adds to EfficientNet-B0 (docs/performance.md), copies of up to 10 GB/s. A load costs what
    /// it costs, wherever it comes from.
    pub const SOFTWARE: Self = Self { dispatch: 45.0, workgroup: 10.0, memory: 10.0, reread: 1.0 };

    /// Microseconds in which one workgroup streams so many bytes.
    pub(crate) fn streamed(&self, bytes: f64) -> f64 {
        bytes / (1e3 * self.workgroup)
    }

    /// Microseconds in which all workgroups move so many bytes.
    pub(crate) fn moved(&self, bytes: f64) -> f64 {
        bytes / (1e3 * self.memory)
    }

    /// Microseconds in which all workgroups read so many bytes again.
    pub(crate) fn read_again(&self, bytes: f64) -> f64 {
        self.reread * self.moved(bytes)
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dispatch, workgroup, memory, reread } = self;
        write!(f, "a dispatch {dispatch} us, a workgroup {workgroup} GB/s, memory {memory} GB/s, ")?;
        write!(f, "reading again {:.0} % of reading", 100.0 * reread)
    }
}
