//! The rules of the schedule: what is computed where, and why.

use super::convolution::{
    self, Choice, DepthwiseTiles, FilterBlock, Kind, Problem, Tiles, WinogradTiles, filters_a_binding, kind,
    may_end_block,
};
use super::reason::{BlockReasons, ExcitationReason, OnLoad, OwnPass, OwnSqueeze, ScaleReason, SqueezeReason, Why};
use super::se::{self, Gates, pointwise, pool_end};
use super::squeeze::Cut;
use super::{Algorithm, Convolution, Gate, Load, Place, Region, Squeeze, View, Work};
use crate::error::{Error, Result};
use crate::graph::NodeId;
use crate::kernels::{vec4s, word};
use crate::ops::{Conv2d, Definition, Gating, Op, PoolKind, Scale, SqueezeExcite};
use crate::param::Param;
use crate::plan::{InputFormat, SeVariant};
use crate::tensor::Shape;
use std::collections::HashMap;

/// How the gates of every SE block are computed.
pub(super) fn gates(view: &View) -> HashMap<NodeId, Gates> {
    let blocks = view.graph.ids().filter_map(|id| match &view.node(id).op {
        Op::SqueezeExcite(op) => Some((id, Gates::new(view, id, op))),
        _ => None,
    });
    blocks.collect()
}

/// How every convolution is computed that isn't a fully connected layer, and what it loads and keeps by itself.
pub(super) fn convolutions(view: &View, gates: &HashMap<NodeId, Gates>) -> Result<HashMap<NodeId, Convolution>> {
    let mut all = HashMap::new();
    for id in view.graph.ids() {
        let Op::Conv2d(op) = &view.node(id).op else { continue };
        let Some(kind) = kind(op, view.input_shape(id, 0)) else { continue };
        check_gating(view, id, op, kind)?;
        let sums = sums_are_wanted(view, gates, id);
        let conv = convolution(view, id, op, kind, sums)?;
        let with_sums = sums_for_a_pool(view, id, op, &conv)?;
        all.insert(id, with_sums.unwrap_or(conv));
    }
    Ok(all)
}

/// How one convolution is computed, with sums of its result kept or not.
fn convolution(view: &View, id: NodeId, op: &Conv2d, kind: Kind, sums: bool) -> Result<Convolution> {
    let (input, output) = (view.input_shape(id, 0), view.node(id).shape);
    let load = load(view, id, op);
    let filters = filters_a_binding(view, op, view.node(id).params[0].shape(), input, sums);
    let block = may_end_a_residual_block(view, id, op, sums) && filters.is_none();
    let nchw = load == Load::Nchw;
    let problem = Problem { kind, op: op.clone(), input, output, batch: view.batch, sums, block, nchw };
    let (choice, by) = convolution::choose(view, &problem)?;
    let choice = filters.map_or(choice, |filters| choice.of_filters(word(filters / 4), view.family()));
    let (algorithm, kept) = match filters {
        Some(filters) => (Algorithm::FilterBlocks(FilterBlock::cut(view, &problem, choice, filters)), None),
        None => algorithm(view, &problem, choice),
    };
    let gate = gate(view, op, &problem, &algorithm, choice);
    Ok(Convolution { problem, choice, by, algorithm, load, gate, sums: kept.filter(|_| sums) })
}

/// The convolution in front of a global average pool with sums of its result, from which the pool takes its means:
/// where it is computed as it is without them, needs no binding for something else, and the sums are fewer bytes than
/// the map.
fn sums_for_a_pool(view: &View, id: NodeId, op: &Conv2d, without: &Convolution) -> Result<Option<Convolution>> {
    let averages = |pool: &NodeId| matches!(&view.node(*pool).op, Op::GlobalPool(op) if op.kind == PoolKind::Avg);
    let wanted = view.fuses_fully() && view.consumers(id).iter().any(averages);
    if !wanted || without.sums.is_some() || without.problem.block {
        return Ok(None);
    }
    let with = convolution(view, id, op, without.problem.kind, true)?;
    let pays = with.sums.is_some_and(|sums| se::pool_of_sums(view, with.problem.output, sums).pays());
    Ok(Some(with).filter(|with| pays && with.choice == without.choice))
}

/// Refuses a gate where no kernel takes one.
fn check_gating(view: &View, id: NodeId, op: &Conv2d, kind: Kind) -> Result<()> {
    let refuse = |message: &str| Err(Error::node(op.kind(), &view.node(id).name, message));
    match (op.gate, kind) {
        (Gating::Input, Kind::General) => {
            refuse("only a depthwise one, or a 1x1 of stride 1 without groups, has a gate of its input")
        }
        (Gating::Output, Kind::Depthwise) => refuse("a depthwise convolution has no gate of its result"),
        _ => Ok(()),
    }
}

/// Whether an SE block wants the sums of a convolution's result from the convolution itself.
fn sums_are_wanted(view: &View, gates: &HashMap<NodeId, Gates>, id: NodeId) -> bool {
    let wants = |consumer: &NodeId| match &view.node(*consumer).op {
        Op::SqueezeExcite(se) => se.squeeze == PoolKind::Avg && gates[consumer].variant != SeVariant::Block,
        _ => false,
    };
    view.fuses_fully() && view.consumers(id).iter().any(wants)
}

/// What a convolution loads, as far as its own choice doesn't matter.
fn load(view: &View, id: NodeId, op: &Conv2d) -> Load {
    let source = view.node(id).inputs[0];
    match &view.node(source).op {
        Op::Input(_) if reads_nchw(view, source, id, op) => Load::Nchw,
        // Only depthwise convolutions: they load an element once a tap. Others load it for every column of their tiles as
        // well, and four numbers from four places are four loads.
        Op::ChannelShuffle(shuffle) => {
            let depthwise = kind(op, view.node(source).shape) == Some(Kind::Depthwise);
            let alone = view.only_consumer(source) == Some(id) && !view.is_output(source);
            match depthwise && alone && view.fuses_fully() {
                true => Load::Shuffled { shuffle: source, groups: shuffle.groups },
                false => Load::Vec4,
            }
        }
        _ => Load::Vec4,
    }
}

/// Whether the network's first convolution can read the images as they come: dense planes, at most a vec4 of them.
fn reads_nchw(view: &View, input: NodeId, id: NodeId, op: &Conv2d) -> bool {
    let shape = view.node(input).shape;
    let general = kind(op, shape) == Some(Kind::General) && op.groups == 1 && !op.residual;
    let alone = view.only_consumer(input) == Some(id) && !view.is_output(input);
    let floats = view.options.input == InputFormat::Floats;
    general && alone && floats && shape.channels() <= 4 && view.fuses_fully()
}

/// Whether a 1x1 convolution reads the end of a residual block first, and has the bindings to compute it.
fn may_end_a_residual_block(view: &View, id: NodeId, op: &Conv2d, sums: bool) -> bool {
    let source = view.node(id).inputs[0];
    let ends = matches!(&view.node(source).op, Op::Scale(scale) if scale.residual);
    let first = view.consumers(source).iter().min() == Some(&id);
    may_end_block(op, view.node(id).inputs.len(), sums) && ends && first && view.fuses_fully()
}

/// How a choice shares out the result, and the sums a channel and image that it can keep.
fn algorithm(view: &View, problem: &Problem, choice: Choice) -> (Algorithm, Option<u32>) {
    let output = problem.output;
    match choice {
        Choice::Depthwise { invocations } => {
            let tiles = DepthwiseTiles::new(view, invocations, output);
            let sums = tiles.strip_blocks;
            (Algorithm::Depthwise(tiles), Some(sums))
        }
        Choice::Winograd => {
            let tiles = WinogradTiles::new(view, problem);
            let sums = tiles.tile_blocks;
            (Algorithm::Winograd(Box::new(tiles)), Some(sums))
        }
        _ => {
            let tiles = Tiles::new(view, choice, output, problem.out_vec4s(), problem.sums);
            let sums = tiles.sums(view, output);
            (Algorithm::Tiles(tiles), sums)
        }
    }
}

/// Where a convolution multiplies by its gate: a gated map is made before where every column of tiles would scale it
/// anew.
fn gate(view: &View, op: &Conv2d, problem: &Problem, algorithm: &Algorithm, choice: Choice) -> Gate {
    match (op.gate, algorithm) {
        (Gating::None, _) => Gate::None,
        (Gating::Output, _) => Gate::Result,
        (Gating::Input, Algorithm::Tiles(tiles)) if tiles.shares_gates => Gate::InWeights,
        (Gating::Input, _) => match scaled_anew(view, problem, choice) {
            Some(prices) if !prices.pays() => Gate::PassBefore,
            _ => Gate::OnLoad,
        },
    }
}

/// What scaling on load costs where every column of tiles scales the map anew: in the direct family.
fn scaled_anew(view: &View, problem: &Problem, choice: Choice) -> Option<se::ScaledAnew> {
    let Choice::Direct { vec4s: tile } = choice else { return None };
    let columns = vec4s(problem.output).div_ceil(tile);
    Some(se::scale_on_load(&view.target.costs, view.map_bytes(problem.input), columns))
}

/// Where a scale is computed.
pub(super) enum ScaleEnd {
    /// With its SE block, in one dispatch.
    InBlock { se: NodeId },
    /// With its SE block, in the global pool behind them.
    InPool { se: NodeId, pool: NodeId },
    /// By the convolution that reads it first, which keeps it for all others.
    InConsumer { consumer: NodeId, because: se::ReadAgain },
    /// In a dispatch of its own.
    Pass(OwnPass),
}

/// Where every scale is computed.
pub(super) fn scale_ends(
    view: &View,
    gates: &HashMap<NodeId, Gates>,
    convolutions: &HashMap<NodeId, Convolution>,
) -> HashMap<NodeId, ScaleEnd> {
    let mut ends = HashMap::new();
    for id in view.graph.ids() {
        let Op::Scale(op) = &view.node(id).op else { continue };
        let se = view.node(id).inputs[1];
        let end = match gates.get(&se) {
            Some(gates) if gates.variant == SeVariant::Block => ScaleEnd::InBlock { se },
            Some(_) if let Some([_, pool]) = pool_end(view, se) => ScaleEnd::InPool { se, pool },
            _ => residual_end(view, convolutions, id, op),
        };
        ends.insert(id, end);
    }
    ends
}

/// In the tiled family a 1x1 convolution loads every element once for a column of tiles, so that it can compute the end
/// of the residual block that it reads, where neither its residual nor sums need the bindings.
fn residual_end(view: &View, convolutions: &HashMap<NodeId, Convolution>, id: NodeId, op: &Scale) -> ScaleEnd {
    let consumers = view.consumers(id);
    let Some(&first) = consumers.iter().min() else { return ScaleEnd::Pass(OwnPass::Output) };
    if !view.fuses_fully() {
        return ScaleEnd::Pass(OwnPass::Fusion(view.options.fusion));
    }
    let consumer = view.node(first).name.clone();
    if pointwise(view, first).is_none() {
        return ScaleEnd::Pass(OwnPass::NoPointwise { consumer });
    }
    if !op.residual {
        // Else the convolution has the gate: `passes/fuse_gate.rs`.
        let several = consumers.len() > 1;
        return ScaleEnd::Pass(if several { OwnPass::SeveralConsumers } else { OwnPass::Activation });
    }
    let Some(conv) = convolutions.get(&first).filter(|conv| conv.problem.block) else {
        return ScaleEnd::Pass(OwnPass::NoBinding { consumer });
    };
    let choice = conv.choice;
    let Some(tile) = choice.tile().filter(|_| choice.splits() == 1) else {
        return ScaleEnd::Pass(OwnPass::Choice { consumer, choice });
    };
    let map = view.map_bytes(conv.problem.input);
    let because = se::end_in_consumer(&view.target.costs, map, vec4s(conv.problem.output).div_ceil(tile.vec4s()));
    match because.pays() {
        true => ScaleEnd::InConsumer { consumer: first, because },
        false => ScaleEnd::Pass(OwnPass::Priced { consumer, because }),
    }
}

/// Where every value lies, and which parts of each concatenation of maps are copied there.
///
/// A convolution, a pool or a concatenation writes its part where it belongs if whole vec4s are in front of it and
/// nothing else wants the value. What its last vec4 has beyond the part, the next part writes over: it begins inside a
/// vec4, so it is copied, and that is after all kernels that write where they belong.
pub(super) fn concatenations(view: &View) -> (Vec<Place>, HashMap<NodeId, Vec<usize>>) {
    let own = |id: NodeId| Place { whole: id, stride: vec4s(view.node(id).shape), offset: 0 };
    let mut places: Vec<Place> = view.graph.ids().map(own).collect();
    let mut copied = HashMap::new();
    // A whole comes after its parts, and where it lies decides where they do.
    let joined: Vec<NodeId> = view.graph.ids().filter(|&id| is_concat_of_channels(view, id)).collect();
    for &whole in joined.iter().rev() {
        let mut channel = 0;
        let mut others = Vec::new();
        for (index, &part) in view.node(whole).inputs.iter().enumerate() {
            let alone = view.only_consumer(part) == Some(whole) && !view.is_output(part);
            let map = matches!(view.node(whole).shape, Shape::Map { .. });
            if map && alone && view.fuses_fully() && writes_parts(view, part) && channel % 4 == 0 {
                let Place { offset, .. } = places[whole.index()];
                places[part.index()] = Place { offset: offset + word(channel / 4), ..places[whole.index()] };
            } else {
                others.push(index);
            }
            channel += view.node(part).shape.channels();
        }
        copied.insert(whole, others);
    }
    (places, copied)
}

/// Whether it is one of maps or vectors: those of tensors of any rank are copied along strides.
fn is_concat_of_channels(view: &View, id: NodeId) -> bool {
    matches!((&view.node(id).op, view.node(id).shape), (Op::Concat(_), Shape::Map { .. } | Shape::Vector { .. }))
}

/// Whether a node's kernel can write its value into a larger one.
fn writes_parts(view: &View, id: NodeId) -> bool {
    match &view.node(id).op {
        Op::Conv2d(op) => kind(op, view.input_shape(id, 0)).is_some(),
        Op::Pool(_) | Op::Concat(_) => true,
        _ => false,
    }
}

/// Makes the regions of a graph, and says why its SE blocks are as they are.
pub(super) struct Builder<'v, 'a> {
    view: &'v View<'a>,
    gates: HashMap<NodeId, Gates>,
    convolutions: HashMap<NodeId, Convolution>,
    ends: HashMap<NodeId, ScaleEnd>,
    /// The anchor of every node that is computed where another is.
    fused: HashMap<NodeId, NodeId>,
}

impl<'v, 'a> Builder<'v, 'a> {
    pub fn new(
        view: &'v View<'a>,
        gates: HashMap<NodeId, Gates>,
        mut convolutions: HashMap<NodeId, Convolution>,
        ends: HashMap<NodeId, ScaleEnd>,
    ) -> Self {
        let mut fused = HashMap::new();
        for (&scale, end) in &ends {
            match *end {
                ScaleEnd::InBlock { se } => _ = fused.insert(se, scale),
                ScaleEnd::InPool { se, pool } => fused.extend([(se, pool), (scale, pool)]),
                ScaleEnd::InConsumer { consumer, .. } => {
                    let conv = convolutions.get_mut(&consumer).expect("the consumer is a convolution");
                    conv.load = Load::ResidualEnd { scale };
                    fused.insert(scale, consumer);
                }
                ScaleEnd::Pass(_) => {}
            }
        }
        for (&id, conv) in &convolutions {
            match conv.load {
                Load::Nchw => _ = fused.insert(view.node(id).inputs[0], id),
                Load::Shuffled { shuffle, .. } => _ = fused.insert(shuffle, id),
                Load::Vec4 | Load::ResidualEnd { .. } => {}
            }
        }
        Self { view, gates, convolutions, ends, fused }
    }

    /// Where the map that a node reads is squeezed, and why there.
    fn squeeze(&self, consumer: NodeId, kind: PoolKind) -> (Squeeze, SqueezeReason) {
        let view = self.view;
        let shape = view.input_shape(consumer, 0);
        if kind == PoolKind::AvgMax {
            // A value of two parts that combine differently is finished by the kernel.
            return (Squeeze::Own(Cut::whole(view, shape)), SqueezeReason::MeansAndMaxima);
        }
        let source = view.node(consumer).inputs[0];
        let producer = view.node(source).name.clone();
        let conv = self.convolutions.get(&source);
        let max = kind == PoolKind::Max;
        if let Some(sums) = conv.and_then(|conv| conv.sums).filter(|_| !max) {
            return (Squeeze::InProducer { producer: source, sums }, SqueezeReason::InProducer { producer, sums });
        }
        let because = if !view.fuses_fully() {
            OwnSqueeze::Fusion(view.options.fusion)
        } else if max {
            OwnSqueeze::Maxima
        } else if let Some(conv) = conv {
            OwnSqueeze::KeepsNoSums { producer, choice: conv.choice }
        } else {
            OwnSqueeze::NoConvolution { producer }
        };
        // No consumer of a pool adds up parts.
        let pool = matches!(view.node(consumer).op, Op::GlobalPool(_));
        let cut = if pool { Cut::whole(view, shape) } else { Cut::new(view, shape) };
        let parts = cut.parts;
        (Squeeze::Own(cut), SqueezeReason::Own { parts, because })
    }

    /// Why the graph's SE blocks are computed as they are, in order.
    pub fn reasons(&self) -> Vec<BlockReasons> {
        let mut blocks: Vec<BlockReasons> = Vec::new();
        let mut index = HashMap::new();
        for id in self.view.graph.ids() {
            let node = self.view.node(id);
            let scaled = match &node.op {
                Op::SqueezeExcite(op) => {
                    index.insert(id, blocks.len());
                    blocks.push(self.reasons_of(id, op));
                    continue;
                }
                Op::Scale(op) => self.scale_reason(id, op),
                Op::Conv2d(_) => self.convolutions.get(&id).and_then(|conv| self.gate_reason(id, conv)),
                _ => None,
            };
            if let Some((reason, &block)) = scaled.zip(node.inputs.get(1).and_then(|gate| index.get(gate))) {
                blocks[block].scale.push(reason);
            }
        }
        blocks
    }

    fn reasons_of(&self, se: NodeId, op: &SqueezeExcite) -> BlockReasons {
        let Gates { variant, why, .. } = &self.gates[&se];
        let anchor = self.fused.get(&se);
        let (squeeze, excitation, hoisted) = match anchor {
            Some(_) if *variant == SeVariant::Block => (SqueezeReason::InBlock, why.clone(), false),
            Some(&pool) => {
                let pool = self.view.node(pool).name.clone();
                (self.squeeze(se, op.squeeze).1, ExcitationReason::InPool { pool }, false)
            }
            None => {
                let hoisted = matches!(self.view.node(se).params[0], Param::Product { .. });
                (self.squeeze(se, op.squeeze).1, why.clone(), hoisted)
            }
        };
        BlockReasons { se, reduced: op.reduced, squeeze, hoisted, excitation, scale: Vec::new() }
    }

    fn scale_reason(&self, id: NodeId, op: &Scale) -> Option<ScaleReason> {
        let name = |id: NodeId| self.view.node(id).name.clone();
        Some(match &self.ends[&id] {
            ScaleEnd::InBlock { .. } => ScaleReason::InBlock,
            ScaleEnd::InPool { pool, .. } => ScaleReason::InPool { pool: name(*pool) },
            ScaleEnd::InConsumer { consumer, because } => {
                ScaleReason::InConsumer { consumer: name(*consumer), because: because.clone() }
            }
            ScaleEnd::Pass(because) => {
                ScaleReason::Pass { residual: op.residual, act: op.act, because: because.clone() }
            }
        })
    }

    fn gate_reason(&self, id: NodeId, conv: &Convolution) -> Option<ScaleReason> {
        let name = self.view.node(id).name.clone();
        let prices = || scaled_anew(self.view, &conv.problem, conv.choice);
        let on_load = |because| ScaleReason::OnLoad { consumer: name.clone(), because };
        match conv.gate {
            Gate::None => None,
            Gate::Result => Some(ScaleReason::InProducer { producer: name }),
            Gate::InWeights => Some(on_load(OnLoad::SharedWeights)),
            Gate::OnLoad => Some(on_load(prices().map_or(OnLoad::Once, OnLoad::Priced))),
            Gate::PassBefore => prices().map(|because| ScaleReason::PassBefore { consumer: name, because }),
        }
    }

    /// The regions, in the order of their anchors.
    pub fn regions(self, mut copied: HashMap<NodeId, Vec<usize>>) -> Vec<Region> {
        let mut covers: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for id in self.view.graph.ids() {
            covers.entry(self.fused.get(&id).copied().unwrap_or(id)).or_default().push(id);
        }
        let mut regions = Vec::new();
        for anchor in self.view.graph.ids().filter(|id| !self.fused.contains_key(id)) {
            let (covers, work) = (covers.remove(&anchor).unwrap_or_default(), self.work(anchor, &mut copied));
            let why = covers.iter().flat_map(|&id| self.why(id)).collect();
            regions.push(Region { anchor, covers, work, why });
        }
        regions
    }

    /// Why a node is computed where and as it is, as far as there was a choice.
    fn why(&self, id: NodeId) -> Vec<Why> {
        match &self.view.node(id).op {
            Op::Conv2d(_) => {
                let conv = self.convolutions.get(&id);
                let choice = conv.map(|conv| Why::Choice { choice: conv.choice, by: conv.by });
                choice.into_iter().chain(conv.and_then(|conv| self.gate_reason(id, conv)).map(Why::Scale)).collect()
            }
            Op::SqueezeExcite(op) => {
                let BlockReasons { squeeze, excitation, .. } = self.reasons_of(id, op);
                vec![Why::Squeeze(squeeze), Why::Gates(excitation)]
            }
            Op::Scale(op) => self.scale_reason(id, op).map(Why::Scale).into_iter().collect(),
            Op::GlobalPool(op) if !self.ends_block(id) => {
                let (squeeze, reason) = self.squeeze(id, op.kind);
                let shape = self.view.input_shape(id, 0);
                let prices = match squeeze {
                    Squeeze::InProducer { sums, .. } => Some(se::pool_of_sums(self.view, shape, sums)),
                    Squeeze::Own(_) => None,
                };
                [Why::Squeeze(reason)].into_iter().chain(prices.map(Why::PoolOfSums)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a global pool ends an SE block.
    fn ends_block(&self, pool: NodeId) -> bool {
        self.fused.values().any(|&anchor| anchor == pool)
    }

    fn work(&self, id: NodeId, copied: &mut HashMap<NodeId, Vec<usize>>) -> Work {
        match &self.view.node(id).op {
            Op::Input(_) => Work::Input,
            Op::Conv2d(_) => match self.convolutions.get(&id) {
                Some(conv) => Work::Convolution(Box::new(conv.clone())),
                None => Work::Filters,
            },
            Op::Concat(_) => copied.remove(&id).map_or(Work::Plain, |copied| Work::Concat { copied }),
            Op::SqueezeExcite(op) => {
                let Gates { variant, shares, .. } = self.gates[&id];
                Work::Excitation { squeeze: self.squeeze(id, op.squeeze).0, variant, shares }
            }
            Op::Scale(_) => match self.ends[&id] {
                ScaleEnd::InBlock { se } => Work::SeBlock { se },
                _ => Work::Plain,
            },
            Op::GlobalPool(op) => {
                self.pool_end(id).unwrap_or_else(|| Work::Pool { squeeze: self.squeeze(id, op.kind).0 })
            }
            _ => Work::Plain,
        }
    }

    /// The SE block that a global pool ends.
    fn pool_end(&self, id: NodeId) -> Option<Work> {
        let scale = self.view.node(id).inputs[0];
        let Some(&ScaleEnd::InPool { se, .. }) = self.ends.get(&scale) else { return None };
        let Op::SqueezeExcite(op) = &self.view.node(se).op else { return None };
        Some(Work::PoolEnd { se, scale, squeeze: self.squeeze(se, op.squeeze).0 })
    }
}
