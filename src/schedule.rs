//! What every dispatch will compute: decided once, as plain data, between the graph and its kernels.
//!
//! The only code that looks at a node's neighbours. Each rule is a function over a read-only [`View`]; [`schedule`]
//! asks them in the order in which one's answer depends on another's, and makes a [`Region`] of each node and what is
//! fused with it. A kernel sees its region (`src/kernels`), and no graph.

pub(crate) mod convolution;
mod explain;
mod reason;
mod rules;
mod se;
mod squeeze;
mod view;

pub use convolution::Choice;
pub use explain::RegionPlan;
pub(crate) use reason::{BlockReasons, ScaleReason, SqueezeReason, Why};
pub(crate) use se::{Excitation, Gates, Widths, Workgroup};
pub(crate) use squeeze::{Cut, mean_factor};
pub(crate) use view::View;

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::plan::{ChosenBy, SeVariant};
use convolution::{DepthwiseTiles, FilterBlock, Problem, Tiles, WinogradTiles};

/// What a graph becomes, in the order of execution.
pub(crate) struct Schedule {
    pub regions: Vec<Region>,
    /// Where every node's value lies, by index.
    pub places: Vec<Place>,
    /// What was decided of the graph's SE blocks, in order.
    pub blocks: Vec<BlockReasons>,
}

/// A node with all that is computed where it is: by one dispatch, or by the few of its algorithm.
#[derive(Debug)]
pub(crate) struct Region {
    /// The node that gives the dispatches their name.
    pub anchor: NodeId,
    /// Every node that is computed here. Each node of a graph is in exactly one region.
    pub covers: Vec<NodeId>,
    pub work: Work,
    /// Why it is computed so.
    pub why: Vec<Why>,
}

/// What a region's kernel does.
#[derive(Debug)]
pub(crate) enum Work {
    /// Packs the network's input.
    Input,
    /// Computes the op alone, in the one way there is.
    Plain,
    Convolution(Box<Convolution>),
    /// Computes a convolution whose window is the whole map as the fully connected layer that it is.
    Filters,
    /// Copies the parts of a concatenation, by index, that their own kernels don't write where they belong.
    Concat {
        copied: Vec<usize>,
    },
    /// Squeezes, and computes the gates: of two layers in one dispatch by `shares` workgroups an image, or each in its
    /// own.
    Excitation {
        squeeze: Squeeze,
        variant: SeVariant,
        shares: u32,
    },
    /// Pools the whole map.
    Pool {
        squeeze: Squeeze,
    },
    /// Computes an SE block and its scale, which is the anchor, in one dispatch.
    SeBlock {
        se: NodeId,
    },
    /// Computes an SE block and its scale within the global pool behind them, which is the anchor.
    PoolEnd {
        se: NodeId,
        scale: NodeId,
        squeeze: Squeeze,
    },
}

/// A convolution with what is fused with it.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    pub problem: Problem,
    pub choice: Choice,
    pub by: ChosenBy,
    pub algorithm: Algorithm,
    pub load: Load,
    pub gate: Gate,
    /// Sums a channel and image that it keeps for the squeeze of its result.
    pub sums: Option<u32>,
}

/// How a convolution is computed.
#[derive(Clone, Debug)]
pub(crate) enum Algorithm {
    /// By tiles of the direct or the tiled family, with the depth split or not.
    Tiles(Tiles),
    /// By such tiles, a dispatch for every block of filters whose weights one binding holds.
    FilterBlocks(Vec<FilterBlock>),
    Depthwise(DepthwiseTiles),
    Winograd(Box<WinogradTiles>),
}

/// What a convolution loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Its input, channels-last.
    Vec4,
    /// The network's input as the caller gives it.
    Nchw,
    /// The input of the shuffle before it, in shuffled order.
    Shuffled { shuffle: NodeId, groups: usize },
    /// `act(input * gate + shortcut)`: the scale that ends the residual block before it, which it also keeps.
    ResidualEnd { scale: NodeId },
}

/// Where a convolution multiplies by its gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    None,
    /// In the epilogue: its result.
    Result,
    /// Its input, on load.
    OnLoad,
    /// The weights that subgroups share, in place of the input.
    InWeights,
    /// Its input, in a dispatch before.
    PassBefore,
}

/// Where a map is squeezed.
#[derive(Clone, Debug)]
pub(crate) enum Squeeze {
    /// In the convolution that makes the map, which keeps so many sums a channel and image.
    InProducer { producer: NodeId, sums: u32 },
    /// In a dispatch of its own.
    Own(Cut),
}

/// Where in a map the kernel of a node writes: `stride` vec4s a pixel, its own from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The node whose map it is.
    pub whole: NodeId,
    pub stride: u32,
    pub offset: u32,
}

/// Decides what computes every node of a prepared graph.
///
/// # Errors
/// Tuning names an algorithm that a convolution can't have; a gate where no kernel takes one; a node in no region or in
/// two, which is a defect of a rule.
pub(crate) fn schedule(view: &View) -> Result<Schedule> {
    let gates = rules::gates(view);
    let convolutions = rules::convolutions(view, &gates)?;
    let ends = rules::scale_ends(view, &gates, &convolutions);
    let (places, copied) = rules::concatenations(view);
    let builder = rules::Builder::new(view, gates, convolutions, ends);
    let blocks = builder.reasons();
    let regions = builder.regions(copied);
    check_coverage(view.graph, &regions)?;
    Ok(Schedule { regions, places, blocks })
}

/// Refuses a node that no region computes, or two.
fn check_coverage(graph: &Graph, regions: &[Region]) -> Result<()> {
    let mut computed = vec![0; graph.nodes().len()];
    regions.iter().flat_map(|region| &region.covers).for_each(|id| computed[id.index()] += 1);
    match graph.ids().find(|id| computed[id.index()] != 1) {
        None => Ok(()),
        Some(id) => {
            let node = graph.node(id);
            let message =
                format!("is in {} regions of the schedule, not in one: a defect of a rule", computed[id.index()]);
            Err(Error::node(node.op.kind(), &node.name, message))
        }
    }
}

/// The SE block of a graph that is nothing but one, as the stand-alone kernels for maps in the caller's layouts compute
/// it.
pub(crate) fn stand_alone(view: &View, se: NodeId) -> (Gates, BlockReasons) {
    let Op::SqueezeExcite(op) = &view.node(se).op else { unreachable!("the graph's gate is of an SE block") };
    let excitation = Excitation::new(view.widths(se, op), view.family(), view.target);
    let gates = Gates::apart(view, excitation);
    let reasons = BlockReasons {
        se,
        reduced: op.reduced,
        squeeze: SqueezeReason::StandAlone,
        hoisted: false,
        excitation: gates.why.clone(),
        scale: vec![ScaleReason::StandAlone],
    };
    (gates, reasons)
}
