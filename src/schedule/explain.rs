//! Puts the regions of a schedule into words: what `excite plan --explain` prints.

use super::{Algorithm, Convolution, Gate, Load, Region, Schedule, Squeeze, Work};
use crate::escape::escaped;
use crate::graph::{Graph, NodeId};
use crate::plan::SeVariant;
use std::fmt;
use std::ops::Range;

/// What one region of the schedule computes, how and why, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionPlan {
    /// The node that gives its dispatches their name.
    pub name: String,
    /// Every node that is computed in it, in order: name and op.
    pub covers: Vec<(String, &'static str)>,
    /// By which algorithm.
    pub algorithm: String,
    /// What it loads, where that isn't its inputs as they are.
    pub load: Option<String>,
    /// What it does with its result before it writes it, and what it writes besides.
    pub finish: Vec<String>,
    /// Where it writes, where that is in a larger map.
    pub place: Option<String>,
    /// Why it is so, with the numbers that decided.
    pub why: Vec<String>,
    /// Its dispatches, as indices of [`crate::plan::Plan::steps`]. None where nothing is computed.
    pub steps: Range<usize>,
}

impl RegionPlan {
    /// Puts a region that became these steps into words.
    pub(crate) fn new(graph: &Graph, schedule: &Schedule, region: &Region, steps: Range<usize>) -> Self {
        let name = |id: NodeId| graph.node(id).name.as_str();
        let place = schedule.places[region.anchor.index()];
        let in_place = place.whole != region.anchor;
        let mut finish = Vec::new();
        let mut load = None;
        if let Work::Convolution(conv) = &region.work {
            load = loaded(conv, name);
            finish = finished(conv);
        }
        Self {
            name: name(region.anchor).into(),
            covers: region.covers.iter().map(|&id| (name(id).into(), graph.node(id).op.kind())).collect(),
            algorithm: algorithm(graph, region, name),
            load,
            finish,
            place: in_place.then(|| format!("in {}, from channel {} on", name(place.whole), 4 * place.offset)),
            why: region.why.iter().map(ToString::to_string).collect(),
            steps,
        }
    }
}

fn algorithm<'a>(graph: &Graph, region: &Region, name: impl Fn(NodeId) -> &'a str) -> String {
    let squeezed = |squeeze: &Squeeze| match squeeze {
        Squeeze::InProducer { producer, .. } => format!("of sums that {} keeps", name(*producer)),
        Squeeze::Own(cut) if cut.parts > 1 => format!("of the map in {} parts", cut.parts),
        Squeeze::Own(_) => "of the map".into(),
    };
    match &region.work {
        Work::Input => "packs the images".into(),
        Work::Plain => graph.node(region.anchor).op.kind().into(),
        Work::Convolution(conv) => match &conv.algorithm {
            Algorithm::FilterBlocks(blocks) => format!("{}, in {} blocks of filters", conv.choice, blocks.len()),
            Algorithm::Tiles(tiles) => format!("{}, {} workgroups a group", conv.choice, tiles.count()),
            Algorithm::Depthwise(_) | Algorithm::Winograd(_) => conv.choice.to_string(),
        },
        Work::Filters => "a fully connected layer: the window is the whole map".into(),
        Work::Concat { copied } => {
            format!("copies {} of {} parts", copied.len(), graph.node(region.anchor).inputs.len())
        }
        Work::Excitation { squeeze, variant, shares } => {
            let how = match variant {
                SeVariant::Spread => "in two dispatches".into(),
                SeVariant::Excite | SeVariant::Block => format!("in one dispatch, workgroups an image: {shares}"),
            };
            format!("gates {how}, {}", squeezed(squeeze))
        }
        Work::Pool { squeeze } => format!("pools, {}", squeezed(squeeze)),
        Work::SeBlock { .. } => "a whole SE block in one dispatch".into(),
        Work::PoolEnd { squeeze, .. } => format!("first layer, then gates, scale and pool; {}", squeezed(squeeze)),
    }
}

fn loaded<'a>(conv: &Convolution, name: impl Fn(NodeId) -> &'a str) -> Option<String> {
    let gated = (conv.gate == Gate::OnLoad).then_some("its input, times the gate");
    match conv.load {
        Load::Vec4 => gated.map(String::from),
        Load::Nchw => Some("the images as the caller gives them, NCHW".into()),
        Load::Shuffled { shuffle, groups } => {
            Some(format!("the input of {}, shuffled in {groups} groups", name(shuffle)))
        }
        Load::ResidualEnd { scale } => {
            Some(format!("the residual end {}: input * gate + shortcut, activated", name(scale)))
        }
    }
}

fn finished(conv: &Convolution) -> Vec<String> {
    let mut all = Vec::new();
    let op = &conv.problem.op;
    match conv.gate {
        Gate::Result => all.push("multiplies by the gate".into()),
        Gate::InWeights => all.push("multiplies its weights by the gate".into()),
        Gate::PassBefore => all.push("reads the gated map that a pass before makes".into()),
        Gate::None | Gate::OnLoad => {}
    }
    if op.residual {
        all.push("adds the shortcut".into());
    }
    if op.act != crate::ops::Act::Identity {
        all.push(op.act.to_string());
    }
    if let Some(sums) = conv.sums {
        all.push(format!("keeps sums of its result, a channel and image: {sums}"));
    }
    if let Load::ResidualEnd { .. } = conv.load {
        all.push("keeps the value of the residual end".into());
    }
    all
}

/// Several lines: the name with its dispatches, what is computed, how, and why.
impl fmt::Display for RegionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, covers, algorithm, load, finish, place, why, steps } = self;
        let dispatches = match steps.len() {
            0 => "no dispatch".into(),
            1 => format!("dispatch {}", steps.start),
            _ => format!("dispatches {} to {}", steps.start, steps.end - 1),
        };
        write!(f, "  {}: {}, {dispatches}", escaped(name), escaped(algorithm))?;
        if covers.len() > 1 {
            let covers: Vec<String> = covers.iter().map(|(name, op)| format!("{} ({op})", escaped(name))).collect();
            write!(f, "\n       computes {}", covers.join(", "))?;
        }
        if let Some(load) = load {
            write!(f, "\n       loads {}", escaped(load))?;
        }
        if !finish.is_empty() {
            write!(f, "\n       then {}", escaped(&finish.join(", ")))?;
        }
        if let Some(place) = place {
            write!(f, "\n       writes {}", escaped(place))?;
        }
        why.iter().try_for_each(|why| write!(f, "\n       because {}", escaped(why)))
    }
}
