//! Rewrites of a graph that keep its meaning. Each pass looks at one node and returns an edit, or nothing.
//!
//! [`SIMPLIFY`] is the same for everyone. What follows depends on [`Fusion`]: how much work one dispatch takes in.

mod drop_no_ops;
mod find_se;
mod fold_batch_norm;
mod fold_padding;
mod fuse_activation;
mod fuse_gate;
mod fuse_output_gate;
mod fuse_residual;
mod hoist_squeeze;
mod merge_activations;
mod merge_reshapes;
mod split_se;

pub use find_se::{SeCandidate, SeVerdict};

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Patch};
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// How far ops share dispatches. Every level computes the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fusion {
    /// One dispatch per op: an SE block is pool, linear, activation, linear, activation, multiply. The honest "before".
    None,
    /// Activations in the pass of the op before; SE blocks in the SE kernels (squeeze, excite, scale).
    Kernels,
    /// Also residual sums in the pass of the op before, the squeeze in the pass of the convolution before, the scale in
    /// the 1x1 convolution after or, where that is linear, before; SE blocks in one dispatch where their planes fit,
    /// parts of a concatenation written where they belong, and shuffles in the depthwise convolution after.
    #[default]
    Full,
}

impl Fusion {
    /// All levels, least first.
    pub const ALL: [Self; 3] = [Self::None, Self::Kernels, Self::Full];
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Kernels => "kernels",
            Self::Full => "full",
        })
    }
}

impl FromStr for Fusion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|fusion| fusion.to_string() == text)
            .ok_or_else(|| Error::Request(format!("fusion must be none, kernels or full, is \"{text}\"")))
    }
}

/// A rewrite of one node of a graph.
type Pass = fn(&View, NodeId) -> Option<Patch>;

/// What every graph goes through first.
const SIMPLIFY: &[Pass] = &[
    drop_no_ops::drop_no_ops,
    merge_reshapes::merge_reshapes,
    // There and back again is no reshape at all.
    drop_no_ops::drop_no_ops,
    merge_activations::merge_activations,
    fold_batch_norm::fold_batch_norm,
    fold_padding::fold_padding,
];

/// What makes a graph ready for a device, by fusion level.
const fn fuse(fusion: Fusion) -> &'static [Pass] {
    match fusion {
        Fusion::None => &[split_se::split_se],
        Fusion::Kernels => &[fuse_activation::fuse_activation],
        Fusion::Full => &[
            fuse_gate::fuse_gate,
            hoist_squeeze::hoist_squeeze,
            fuse_output_gate::fuse_output_gate,
            // What stood behind a scale has a convolution in front now.
            fold_batch_norm::fold_batch_norm,
            fold_batch_norm::fold_multiple,
            fuse_residual::fuse_residual,
            fuse_activation::fuse_activation,
            fuse_residual::fuse_residual,
        ],
    }
}

impl Graph {
    /// The same network, simplified and fused for planning.
    ///
    /// # Errors
    /// None for graphs as builders make them; a defect in a pass would show here and not in a wrong answer.
    pub fn prepare(&self, fusion: Fusion) -> Result<Graph> {
        run_all(self.simplify()?, fuse(fusion))
    }

    /// The same network, without what every device does better without.
    fn simplify(&self) -> Result<Graph> {
        run_all(self.clone(), SIMPLIFY)
    }
}

/// Applies passes one after the other.
fn run_all(graph: Graph, passes: &[Pass]) -> Result<Graph> {
    passes.iter().try_fold(graph, |graph, pass| run(graph, *pass))
}

/// Applies a pass until it finds nothing more.
fn run(mut graph: Graph, pass: Pass) -> Result<Graph> {
    loop {
        let view = View::new(&graph);
        let mut touched = HashSet::new();
        let mut patches = Vec::new();
        for patch in graph.ids().filter_map(|id| pass(&view, id)) {
            let nodes = || patch.absorbed.iter().chain([&patch.target]);
            if nodes().all(|id| !touched.contains(id)) {
                touched.extend(nodes().copied());
                patches.push(patch);
            }
        }
        if patches.is_empty() {
            return Ok(graph);
        }
        graph = graph.apply(&patches)?;
    }
}

/// A graph with its consumers at hand.
pub(crate) struct View<'a> {
    graph: &'a Graph,
    consumers: Vec<Vec<NodeId>>,
}

impl<'a> View<'a> {
    fn new(graph: &'a Graph) -> Self {
        Self { graph, consumers: graph.consumers() }
    }

    /// Whether `id`'s value has one consumer and is no output, so that the consumer may absorb it.
    fn only_read_once(&self, id: NodeId) -> bool {
        self.consumers[id.index()].len() == 1 && !self.graph.is_output(id)
    }

    /// The single input of `id` if nothing else reads it.
    fn sole_source(&self, id: NodeId) -> Option<NodeId> {
        match *self.graph.node(id).inputs {
            [source] if self.only_read_once(source) => Some(source),
            _ => None,
        }
    }
}

impl Deref for View<'_> {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        self.graph
    }
}

/// What a pass does to a graph, as text: for snapshot tests.
#[cfg(test)]
fn before_and_after(graph: &Graph, pass: Pass) -> String {
    let after = run(graph.clone(), pass).expect("a pass builds sound graphs");
    assert_same_meaning(graph, &after);
    format!("{graph}=>\n{after}")
}

/// Fails unless both compute the same outputs.
#[cfg(test)]
fn assert_same_meaning(graph: &Graph, after: &Graph) {
    let input = crate::Tensor::from_fn(graph.input_shape().with_batch(2), |i| ((i * 7919 % 101) as f32 / 50.0) - 1.0);
    let weights = crate::Weights::seeded(3, 1.0);
    let [before, after] = [graph, after].map(|g| g.reference(&input, &weights).expect("seeded weights fit"));
    for (name, expected) in &before {
        for (a, b) in expected.data().iter().zip(after[name].data()) {
            assert!((a - b).abs() <= 1e-5 * expected.max_abs().max(1.0), "{name}: {a} before, {b} after");
        }
    }
}
