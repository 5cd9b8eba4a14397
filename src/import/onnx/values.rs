//! What a name of the file stands for while nodes are translated: numbers, sizes, or a value of the graph.

use crate::graph::Value;
use crate::param::Param;
use std::sync::Arc;

/// The value of a name.
#[derive(Clone, Debug)]
pub(super) enum Val {
    /// Depends on the network's input.
    Run(Run),
    /// Numbers known now.
    Floats(Floats),
    /// Integers, sizes and truth values known now.
    Ints(Ints),
}

/// A value of the graph. `dims` are the file's dimensions with a batch of 1; the graph may show the same elements, in the
/// same order, in another shape.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub value: Value,
    pub dims: Vec<usize>,
    /// The dimension that images are apart in. In the graph they lie one after the other, whichever it is.
    pub batch: usize,
    /// Dimensions that it is to be repeated to: most readers repeat by themselves.
    pub expanded: Option<Vec<usize>>,
    /// Whether its elements are integers of 8 bits, with which nothing is computed before they are cast.
    pub bytes: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Floats {
    pub dims: Vec<usize>,
    pub param: Param,
}

#[derive(Clone, Debug)]
pub(super) struct Ints {
    pub dims: Vec<usize>,
    pub data: Arc<[Int]>,
}

/// An integer; times the batch where `batch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int {
    pub value: i64,
    pub batch: bool,
}

impl From<i64> for Int {
    fn from(value: i64) -> Self {
        Self { value, batch: false }
    }
}

impl Val {
    pub(super) fn run(value: Value, dims: impl Into<Vec<usize>>) -> Self {
        Self::Run(Run { value, dims: dims.into(), batch: 0, expanded: None, bytes: false })
    }

    pub(super) fn ints(dims: impl Into<Vec<usize>>, data: Vec<Int>) -> Self {
        Self::Ints(Ints { dims: dims.into(), data: data.into() })
    }

    /// Dimensions as the file means them.
    pub(super) fn dims(&self) -> &[usize] {
        match self {
            Self::Run(run) => run.expanded.as_ref().unwrap_or(&run.dims),
            Self::Floats(floats) => &floats.dims,
            Self::Ints(ints) => &ints.dims,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.dims().iter().product()
    }

    pub(super) fn is_run(&self) -> bool {
        matches!(self, Self::Run(_))
    }

    /// Whether it is made of integers of 8 bits that the network's input holds.
    pub(super) fn is_bytes(&self) -> bool {
        matches!(self, Self::Run(Run { bytes: true, .. }))
    }

    /// The dimension that images are apart in.
    pub(super) fn batch(&self) -> usize {
        if let Self::Run(run) = self { run.batch } else { 0 }
    }

    /// The same, with the images apart in this dimension.
    pub(super) fn with_batch(mut self, axis: usize) -> Self {
        if let Self::Run(run) = &mut self {
            run.batch = axis;
        }
        self
    }

    /// The same elements under other dimensions.
    pub(super) fn viewed(&self, dims: Vec<usize>) -> Self {
        match self {
            Self::Run(run) => Self::run(run.value, dims),
            Self::Ints(ints) => Self::Ints(Ints { dims, data: ints.data.clone() }),
            Self::Floats(floats) => Self::Floats(floats.viewed(dims)),
        }
    }
}

impl Floats {
    pub(super) fn viewed(&self, dims: Vec<usize>) -> Self {
        let param = match self.param.clone() {
            param if param.shape() == dims => param,
            Param::Reshaped { of, .. } => Param::Reshaped { of, shape: dims.clone() },
            param => Param::Reshaped { of: Box::new(param), shape: dims.clone() },
        };
        Self { dims, param }
    }
}
