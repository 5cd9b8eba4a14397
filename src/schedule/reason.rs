//! Why SE blocks are computed as they are: numbers and names, which become text where a plan is printed.

use super::convolution::Choice;
use super::se::{Excitation, PoolOfSums, ReadAgain, ScaledAnew};
use crate::graph::{Graph, NodeId};
use crate::ops::Act;
use crate::passes::Fusion;
use crate::plan::{ChosenBy, SeBlockPlan, SeVariant};
use std::fmt;

/// What was decided of an SE block.
#[derive(Clone, Debug)]
pub(crate) struct BlockReasons {
    pub se: NodeId,
    /// Hidden values of its excitation.
    pub reduced: usize,
    pub squeeze: SqueezeReason,
    /// Whether the squeeze is hoisted over a linear 1x1 convolution, which the first layer then contains.
    pub hoisted: bool,
    pub excitation: ExcitationReason,
    /// Every map that the gates scale.
    pub scale: Vec<ScaleReason>,
}

/// Where a map is squeezed.
#[derive(Clone, Debug)]
pub(crate) enum SqueezeReason {
    /// With everything else.
    InBlock,
    /// Means and maxima, which no convolution keeps.
    MeansAndMaxima,
    /// In the convolution that makes the map.
    InProducer { producer: String, sums: u32 },
    /// A dispatch of its own.
    Own { parts: u32, because: OwnSqueeze },
    /// A dispatch of its own, on the caller's buffers.
    StandAlone,
}

/// Why a squeeze is a dispatch of its own.
#[derive(Clone, Debug)]
pub(crate) enum OwnSqueeze {
    Fusion(Fusion),
    Maxima,
    KeepsNoSums { producer: String, choice: Choice },
    NoConvolution { producer: String },
}

/// How gates are computed.
#[derive(Clone, Debug)]
pub(crate) enum ExcitationReason {
    Asked(SeVariant),
    Priced(Excitation),
    /// One dispatch for the whole block, cheaper than its parts; microseconds.
    OneForAll {
        way: f64,
        other: f64,
    },
    /// The second layer in the pool behind the block.
    InPool {
        pool: String,
    },
}

/// Where a map is scaled.
#[derive(Clone, Debug)]
pub(crate) enum ScaleReason {
    InBlock,
    InPool {
        pool: String,
    },
    /// In the epilogue of the convolution that makes the map.
    InProducer {
        producer: String,
    },
    /// On load of the convolution that reads the map.
    OnLoad {
        consumer: String,
        because: OnLoad,
    },
    /// By the convolution that reads the end of a residual block.
    InConsumer {
        consumer: String,
        because: ReadAgain,
    },
    /// A pass before the convolution that reads the map, which would scale it anew for every column of tiles.
    PassBefore {
        consumer: String,
        because: ScaledAnew,
    },
    Pass {
        residual: bool,
        act: Act,
        because: OwnPass,
    },
    /// A pass of its own, on the caller's buffers.
    StandAlone,
}

/// Why a map is scaled on load.
#[derive(Clone, Debug)]
pub(crate) enum OnLoad {
    /// Every element is loaded once.
    Once,
    /// Subgroups share the weights, which the gates scale in place of the map.
    SharedWeights,
    Priced(ScaledAnew),
}

/// Why a scale is a pass of its own.
#[derive(Clone, Debug)]
pub(crate) enum OwnPass {
    Output,
    Fusion(Fusion),
    NoPointwise { consumer: String },
    Activation,
    SeveralConsumers,
    NoBinding { consumer: String },
    Choice { consumer: String, choice: Choice },
    Priced { consumer: String, because: ReadAgain },
}

/// Why a region is as it is.
#[derive(Clone, Debug)]
pub(crate) enum Why {
    Choice { choice: Choice, by: ChosenBy },
    Squeeze(SqueezeReason),
    Gates(ExcitationReason),
    Scale(ScaleReason),
    PoolOfSums(PoolOfSums),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choice { choice, by: ChosenBy::Static } => write!(f, "{choice} is the rule for such shapes"),
            Self::Choice { choice, by: ChosenBy::Tuned } => write!(f, "{choice} was measured to be fastest"),
            Self::Choice { choice, by: ChosenBy::Forced } => write!(f, "{choice} is of the family that was asked for"),
            Self::Squeeze(reason) => write!(f, "squeeze {reason}"),
            Self::Gates(reason) => write!(f, "excitation {reason}"),
            Self::Scale(reason) => write!(f, "scale {reason}"),
            Self::PoolOfSums(prices) => prices.fmt(f),
        }
    }
}

pub(super) fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl BlockReasons {
    /// The record that a plan prints.
    pub fn text(&self, graph: &Graph) -> SeBlockPlan {
        let node = graph.node(self.se);
        let map = graph.node(node.inputs[0]).shape;
        let hoisted = if self.hoisted { "; the 1x1 convolution after it is in the first layer" } else { "" };
        let scales: Vec<String> = self.scale.iter().map(ToString::to_string).collect();
        let none = "none: nothing scales by its gate";
        SeBlockPlan {
            name: node.name.clone(),
            channels: node.shape.channels(),
            reduced: self.reduced,
            height: map.height(),
            width: map.width(),
            squeeze: format!("{}{hoisted}", self.squeeze),
            excitation: self.excitation.to_string(),
            scale: if scales.is_empty() { none.into() } else { scales.join("; ") },
        }
    }
}

impl fmt::Display for SqueezeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InBlock => f.write_str("in the one dispatch"),
            Self::MeansAndMaxima => f.write_str("a dispatch of its own: means and maxima"),
            Self::InProducer { producer, sums } => {
                write!(f, "in {producer}: {} a channel of an image", counted(*sums, "sum"))
            }
            Self::Own { parts, because } => {
                write!(f, "a dispatch of its own in {}: {because}", counted(*parts, "part"))
            }
            Self::StandAlone => f.write_str("a dispatch of its own"),
        }
    }
}

impl fmt::Display for OwnSqueeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fusion(fusion) => write!(f, "fusion is {fusion}"),
            Self::Maxima => f.write_str("maxima"),
            Self::KeepsNoSums { producer, choice } => write!(f, "{producer} keeps no sums by {choice}"),
            Self::NoConvolution { producer } => write!(f, "{producer} is no convolution"),
        }
    }
}

impl fmt::Display for ExcitationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(SeVariant::Spread) => f.write_str("two dispatches, as asked"),
            Self::Asked(SeVariant::Excite) => f.write_str("one dispatch, as asked"),
            Self::Asked(SeVariant::Block) => f.write_str("one dispatch for all, as asked"),
            Self::Priced(excitation) => excitation.fmt(f),
            Self::OneForAll { way, other } => {
                write!(f, "one dispatch for all, a workgroup an image: {way:.1} us against {other:.1} us apart")
            }
            Self::InPool { pool } => {
                write!(f, "the first layer a dispatch, the second in {pool}: each workgroup needs few gates")
            }
        }
    }
}

impl fmt::Display for ScaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InBlock => f.write_str("in the one dispatch"),
            Self::InPool { pool } => write!(f, "in {pool}, which alone reads the map: it is never written"),
            Self::InProducer { producer } => write!(f, "in {producer}, which makes the map"),
            Self::OnLoad { consumer, because } => write!(f, "on load of {consumer}{because}"),
            Self::InConsumer { consumer, because } => write!(f, "left to {consumer}: {because}"),
            Self::PassBefore { consumer, because } => write!(f, "a pass of its own before {consumer}: {because}"),
            Self::Pass { residual, act, because } => {
                let what = match (residual, act) {
                    (false, Act::Identity) => String::new(),
                    (false, act) => format!(" with {act}"),
                    (true, Act::Identity) => " with the residual".into(),
                    (true, act) => format!(" with the residual and {act}"),
                };
                write!(f, "a pass of its own{what}: {because}")
            }
            Self::StandAlone => f.write_str("a pass of its own"),
        }
    }
}

impl fmt::Display for OnLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => Ok(()),
            Self::SharedWeights => f.write_str(", by the weights that invocations share"),
            Self::Priced(prices) => write!(f, ": {prices}"),
        }
    }
}

impl fmt::Display for OwnPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output => f.write_str("it is an output"),
            Self::Fusion(fusion) => write!(f, "fusion is {fusion}"),
            Self::NoPointwise { consumer } => write!(f, "{consumer} reads it first and is no 1x1 convolution"),
            Self::Activation => f.write_str("an activation follows"),
            Self::SeveralConsumers => f.write_str("several read it"),
            Self::NoBinding { consumer } => write!(f, "{consumer}: it has no binding left for it"),
            Self::Choice { consumer, choice } => {
                write!(f, "{consumer}: by {choice} it would be computed for every few channels")
            }
            Self::Priced { consumer, because } => write!(f, "{consumer}: {because}"),
        }
    }
}
