//! Prices the ways to compute an SE block: microseconds, from bytes, dispatches and what they cost on the adapter
//! ([`Costs`]). What two ways have in common is in neither price.

use super::View;
use super::convolution::{kind, may_end_block};
use super::reason::{ExcitationReason, counted};
use crate::graph::NodeId;
use crate::kernels::{VECTOR, vec4s, word};
use crate::ops::{Conv2d, Op, PoolKind, SqueezeExcite};
use crate::plan::{Costs, Family, SeVariant, Setting, Target};
use crate::tensor::Shape;
use std::fmt;

/// The widths of an SE block's layers: channels that are squeezed, hidden values, gates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Widths {
    pub squeezed: usize,
    pub reduced: usize,
    pub gates: usize,
}

impl Widths {
    /// Bytes of each layer's weights.
    fn layers(self) -> [f64; 2] {
        [self.squeezed, self.gates].map(|width| (4 * width * self.reduced) as f64)
    }

    /// Vec4s of each.
    pub fn vec4s(self) -> [u32; 3] {
        [self.squeezed, self.reduced, self.gates].map(|width| word(width.div_ceil(4)))
    }

    /// Multiply-adds of each layer for a batch.
    pub fn macs(self, batch: usize) -> [u64; 2] {
        [self.squeezed, self.gates].map(|width| (batch * width * self.reduced) as u64)
    }
}

/// The workgroup of the kernels that run both layers for an image.
pub(crate) struct Workgroup {
    pub invocations: u32,
    /// Invocations that share a vec4 of hidden values.
    pub split: u32,
}

impl Workgroup {
    /// One vector of a software adapter, for its barriers cost by the vector; many invocations where the adapter hides
    /// latency with them.
    pub fn new(reduced: usize, family: Family) -> Self {
        let reduced_vec4s = word(reduced.div_ceil(4));
        let invocations = match family {
            Family::Direct => VECTOR,
            Family::Tiled => 256,
        };
        let split = (invocations / reduced_vec4s).max(1);
        Self { invocations, split: 1 << split.ilog2() }
    }

    /// Rows of invocations that share a squeeze of `depth` pixels or sums: what invocations the channels leave, at most a
    /// power of two near the depth.
    pub fn rows(&self, vec4s: u32, depth: u32) -> u32 {
        let wide = vec4s.next_power_of_two().min(64);
        (self.invocations / wide).clamp(1, depth.next_power_of_two())
    }

    /// Bytes of workgroup memory: squeezed channels, hidden values, a partial sum an invocation.
    pub fn memory(&self, squeezed: usize, reduced: usize) -> u64 {
        (4 * (squeezed.next_multiple_of(4) + reduced.next_multiple_of(4))) as u64 + 16 * u64::from(self.invocations)
    }
}

/// How an SE block's gates are computed where its scale doesn't join it: both layers in one dispatch, or one each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Excitation {
    /// Workgroups that share an image's gates in one dispatch; `None` for two dispatches.
    pub shares: Option<u32>,
    /// The price of one dispatch, by so many workgroups an image.
    one: (f64, u32),
    /// The price of two, beyond the first dispatch.
    two: f64,
    /// Workgroup memory that one dispatch needs and the adapter doesn't have.
    lacks: Option<u64>,
}

impl Excitation {
    /// In one dispatch each workgroup of an image streams the first layer's weights and its share of the second's; in
    /// two, one workgroup streams four rows of the first layer, another 64 vec4s of columns of the second. Of several
    /// numbers of workgroups the least will do: more only stream the first layer more often, and a software adapter has
    /// no idle cores for them.
    pub fn new(widths: Widths, family: Family, target: &Target) -> Self {
        let costs = &target.costs;
        let Widths { squeezed, reduced, gates } = widths;
        let [first, second] = widths.layers();
        let one = |shares: u32| costs.streamed(first + second / f64::from(shares));
        let (rows, columns) = (16 * squeezed, 16 * reduced * gates.div_ceil(4).min(64));
        let two = costs.dispatch + costs.streamed((rows + columns) as f64);
        let most = if family == Family::Tiled { 16 } else { 1 };
        let pays = [1, 2, 4, 8, 16].into_iter().find(|&shares| shares <= most && one(shares) <= two);
        let need = Workgroup::new(reduced, family).memory(squeezed, reduced);
        let lacks = (need > target.limits.max_compute_workgroup_storage_size.into()).then_some(need);
        let shares = pays.filter(|_| lacks.is_none());
        let priced = pays.unwrap_or(most);
        Self { shares, one: (one(priced), priced), two, lacks }
    }

    pub fn variant(&self) -> SeVariant {
        if self.shares.is_some() { SeVariant::Excite } else { SeVariant::Spread }
    }

    /// The price of what is taken.
    fn price(&self) -> f64 {
        if self.shares.is_some() { self.one.0 } else { self.two }
    }
}

impl fmt::Display for Excitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shares, one: (one, workgroups), two, lacks } = self;
        let workgroups = counted(*workgroups, "workgroup");
        match (shares, lacks) {
            (Some(_), _) => write!(f, "one dispatch, {workgroups} an image: {one:.1} us against {two:.1} us in two"),
            (None, Some(need)) => write!(f, "two dispatches: one takes {need} bytes of workgroup memory"),
            (None, None) => {
                write!(f, "two dispatches: {two:.1} us against {one:.1} us in one by {workgroups} an image")
            }
        }
    }
}

/// The prices of a way and of its alternative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Prices {
    way: f64,
    other: f64,
}

/// Prices this close are taken as equal.
const CLOSE: f64 = 1.05;

/// What an SE block in one dispatch would do, and what it would save.
struct Block {
    images: usize,
    /// Bytes of an image's map.
    map: f64,
    /// Bytes of the weights.
    weights: f64,
    /// Whether the squeeze is a dispatch of its own where the SE block is none, and the scale.
    squeeze: bool,
    scale: bool,
    /// The price of the excitation there.
    excitation: f64,
}

impl Block {
    /// One workgroup an image reads the map, the weights and the map again, no faster than one workgroup streams, and
    /// writes it without waiting; all of them no faster than memory lets them. Apart, all workgroups read the map once
    /// for each dispatch, and write it.
    fn prices(&self, costs: &Costs, fill: u32) -> Prices {
        let Self { images, map, weights, .. } = *self;
        let waves = images.div_ceil(fill as usize) as f64;
        let maps = |count: f64| costs.moved(count * map * images as f64);
        let way = (waves * costs.streamed(2.0 * map)).max(maps(3.0)) + waves * costs.streamed(weights);
        let squeeze = if self.squeeze { costs.dispatch + maps(1.0) } else { 0.0 };
        let scale = if self.scale { costs.dispatch + maps(2.0) } else { 0.0 };
        Prices { way, other: squeeze + scale + self.excitation }
    }

    /// Whether it pays; of close prices the one with fewer dispatches, which the host records faster. Maps that a
    /// workgroup doesn't stream in the time of a dispatch are for many workgroups, whatever the prices: one an image
    /// hides its waiting worse, and finds less of the map in cache when it reads it again.
    fn pays(&self, costs: &Costs, Prices { way, other }: Prices) -> bool {
        way <= CLOSE * other && costs.streamed(self.map) <= costs.dispatch
    }
}

/// How an SE block's gates are computed, and why.
pub(crate) struct Gates {
    pub variant: SeVariant,
    /// Workgroups that share an image's gates where both layers are one dispatch.
    pub shares: u32,
    pub why: ExcitationReason,
}

impl Gates {
    /// The variant in a graph. The one that is a single dispatch with its scale squeezes by mean or by maximum only.
    pub fn new(view: &View, se: NodeId, op: &SqueezeExcite) -> Self {
        let shape = view.input_shape(se, 0);
        let scale = only_scale(view, se);
        let fusible = op.squeeze != PoolKind::AvgMax && view.fuses_fully() && scale.is_some();
        let widths = view.widths(se, op);
        let excitation = Excitation::new(widths, view.family(), view.target);
        let shares = excitation.shares.unwrap_or(1);
        match (view.options.se, scale) {
            (Some(SeVariant::Block), _) if fusible => {
                Self { variant: SeVariant::Block, shares, why: ExcitationReason::Asked(SeVariant::Block) }
            }
            (None, Some(scale)) if fusible && excitation.lacks.is_none() => {
                let block = Block {
                    images: view.batch,
                    map: (view.map_bytes(shape) / view.batch as u64) as f64,
                    weights: widths.layers().iter().sum(),
                    squeeze: !may_be_squeezed_in_producer(view, se, op),
                    scale: !may_be_scaled_in_consumer(view, scale) && pool_end(view, se).is_none(),
                    excitation: excitation.price(),
                };
                let costs = &view.target.costs;
                let prices = block.prices(costs, view.target.fill);
                if !block.pays(costs, prices) {
                    return Self::apart(view, excitation);
                }
                let Prices { way, other } = prices;
                Self { variant: SeVariant::Block, shares, why: ExcitationReason::OneForAll { way, other } }
            }
            _ => Self::apart(view, excitation),
        }
    }

    /// The variant of a block that may not become one dispatch with its scale.
    pub fn apart(setting: &Setting, excitation: Excitation) -> Self {
        let shares = excitation.shares.unwrap_or(1);
        let asked = |variant| Self { variant, shares, why: ExcitationReason::Asked(variant) };
        match setting.options.se {
            Some(SeVariant::Block) => asked(SeVariant::Excite),
            Some(variant) => asked(variant),
            None => Self { variant: excitation.variant(), shares, why: ExcitationReason::Priced(excitation) },
        }
    }
}

impl View<'_> {
    pub(super) fn widths(&self, se: NodeId, op: &SqueezeExcite) -> Widths {
        let (squeezed, gates) = (self.input_shape(se, 0).channels(), self.node(se).shape.channels());
        Widths { squeezed, reduced: op.reduced, gates }
    }
}

/// The scale that multiplies the block's own input by its gate, if nothing else in the graph reads the gate.
pub(super) fn only_scale(view: &View, se: NodeId) -> Option<NodeId> {
    let consumer = view.only_consumer(se)?;
    let node = view.node(consumer);
    (matches!(node.op, Op::Scale(_)) && node.inputs[0] == view.node(se).inputs[0] && node.inputs[1] == se)
        .then_some(consumer)
}

/// Whether the convolution in front of a block may keep its sums. Some ways to compute one don't, but how it is computed
/// depends on whether sums are wanted.
fn may_be_squeezed_in_producer(view: &View, se: NodeId, op: &SqueezeExcite) -> bool {
    let source = view.node(se).inputs[0];
    let kept = matches!(&view.node(source).op, Op::Conv2d(op) if kind(op, view.input_shape(source, 0)).is_some());
    kept && op.squeeze == PoolKind::Avg && view.fuses_fully()
}

/// Whether a scale may be computed by the convolution that reads it, as far as it doesn't depend on how that is computed.
fn may_be_scaled_in_consumer(view: &View, scale: NodeId) -> bool {
    let residual = matches!(&view.node(scale).op, Op::Scale(op) if op.residual);
    let first = view.consumers(scale).iter().min().filter(|_| residual && view.family() == Family::Tiled);
    let has_room = |&first: &NodeId| {
        pointwise(view, first).is_some_and(|conv| may_end_block(conv, view.node(first).inputs.len(), false))
    };
    view.fuses_fully() && first.is_some_and(has_room)
}

/// The 1x1 convolution that a node is.
pub(super) fn pointwise<'a>(view: &View<'a>, id: NodeId) -> Option<&'a Conv2d> {
    if let Op::Conv2d(conv) = &view.node(id).op { Some(conv).filter(|conv| conv.is_pointwise()) } else { None }
}

/// The scale and the pool behind a block whose gates and scaled map only that pool needs: nothing else reads the gate or
/// what it scales, and neither is an output.
pub(super) fn pool_end(view: &View, se: NodeId) -> Option<[NodeId; 2]> {
    let scale = only_scale(view, se)?;
    let pool = view.only_consumer(scale)?;
    let pools = matches!(&view.node(pool).op, Op::GlobalPool(op) if op.kind != PoolKind::AvgMax);
    let hidden = !view.is_output(se) && !view.is_output(scale);
    // A variant that is asked for by name is taken.
    let free = !matches!(view.options.se, Some(SeVariant::Excite | SeVariant::Block)) && view.fuses_fully();
    (pools && hidden && free).then_some([scale, pool])
}

/// Prices the end of a residual block in the 1x1 convolution behind it, whose every column of tiles then reads a map and
/// its shortcut in place of their sum; the first column's reads are in both prices. Else a pass of its own writes the
/// sum, which the convolution reads: a dispatch and one map more.
pub(crate) fn end_in_consumer(costs: &Costs, map: u64, columns: u32) -> ReadAgain {
    let (map, again) = (map as f64, f64::from(columns - 1) * map as f64);
    let prices = Prices { way: costs.read_again(again), other: costs.dispatch + costs.moved(map) };
    ReadAgain { columns, again, map, prices }
}

/// What a residual end in its consumer costs: the figures of [`end_in_consumer`].
#[derive(Clone, Debug)]
pub(crate) struct ReadAgain {
    columns: u32,
    /// Bytes that are read again, and of the map.
    again: f64,
    map: f64,
    prices: Prices,
}

impl ReadAgain {
    pub fn pays(&self) -> bool {
        self.prices.way <= self.prices.other
    }
}

impl fmt::Display for ReadAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { columns, again, map, prices: Prices { way, other } } = self;
        let (columns, again, map) = (counted(*columns, "column"), again / 1e6, map / 1e6);
        write!(f, "{columns} of tiles would read {again:.1} MB again in {way:.1} us, ")?;
        write!(f, "for {map:.1} MB and a dispatch less, {other:.1} us")
    }
}

/// Prices the scale of a gated map by the convolution of the direct family that reads it: every column of tiles scales it
/// anew, a load of the gate for every four of the map. That was too little to be seen on lavapipe: a sixteenth of reading
/// the map is room for it. Else a pass of its own is a dispatch that reads and writes the map.
pub(crate) fn scale_on_load(costs: &Costs, map: u64, columns: u32) -> ScaledAnew {
    let map = map as f64;
    let (way, other) = (costs.moved(map * f64::from(columns) / 16.0), costs.dispatch + costs.moved(2.0 * map));
    ScaledAnew { columns, prices: Prices { way, other } }
}

/// What scaling on load costs: the figures of [`scale_on_load`].
#[derive(Clone, Debug)]
pub(crate) struct ScaledAnew {
    columns: u32,
    prices: Prices,
}

impl ScaledAnew {
    pub fn pays(&self) -> bool {
        self.prices.way <= self.prices.other
    }
}

impl fmt::Display for ScaledAnew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { columns, prices: Prices { way, other } } = self;
        write!(f, "{way:.1} us for {} of tiles, {other:.1} us for a pass before", counted(*columns, "column"))
    }
}

/// Prices the means of a global pool from sums that the convolution in front of it keeps, so many a channel and image:
/// these are written and read. Else the pool reads the map. A convolution that keeps sums adds them up in every tile,
/// and may be one more pipeline to compile: a quarter of a dispatch is room for that.
pub(super) fn pool_of_sums(setting: &Setting, map: Shape, sums: u32) -> PoolOfSums {
    let costs = &setting.target.costs;
    let kept = 2.0 * 16.0 * f64::from(sums) * f64::from(vec4s(map)) * setting.batch as f64;
    let way = costs.dispatch / 4.0 + costs.moved(kept);
    let prices = Prices { way, other: costs.moved(setting.map_bytes(map) as f64) };
    PoolOfSums { prices }
}

/// What a global pool of sums costs: the figures of [`pool_of_sums`].
#[derive(Clone, Debug)]
pub(crate) struct PoolOfSums {
    prices: Prices,
}

impl PoolOfSums {
    pub fn pays(&self) -> bool {
        self.prices.way <= self.prices.other
    }
}

impl fmt::Display for PoolOfSums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prices: Prices { way, other } } = self;
        write!(f, "{way:.2} us to keep and read the sums, {other:.2} us to read the map")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Graph, GraphBuilder};
    use crate::ops::{Act, Conv2d};
    use crate::plan::{Plan, PlanOptions, SeBlockPlan};

    const FREE: Costs = Costs { dispatch: 0.0, ..Costs::DISCRETE };

    fn with(costs: Costs) -> Target {
        Target { costs, ..Target::gpu() }
    }

    /// 512 KB of weights: more than a workgroup streams in the time of a dispatch, less than it would with slow
    /// dispatches.
    #[test]
    fn excitation() {
        let widths = |channels, reduced| Widths { squeezed: channels, reduced, gates: channels };
        let excitation = |family, costs| Excitation::new(widths(1024, 64), family, &with(costs));
        let shares = |costs| excitation(Family::Tiled, costs).shares;
        assert_eq!(shares(Costs::DISCRETE), Some(4));
        assert_eq!(shares(Costs { dispatch: 5.0, ..Costs::DISCRETE }), Some(1));
        assert_eq!(shares(FREE), None);
        assert_eq!(shares(Costs { workgroup: 50.0, ..Costs::DISCRETE }), None);
        // A software adapter has nothing to share with, whatever is asked of it.
        assert_eq!(excitation(Family::Direct, Costs::DISCRETE).shares, None);

        let text = excitation(Family::Tiled, Costs::DISCRETE).to_string();
        assert_eq!(text, "one dispatch, 4 workgroups an image: 3.3 us against 3.3 us in two");
        let text = excitation(Family::Tiled, FREE).to_string();
        assert_eq!(text, "two dispatches: 0.8 us against 2.8 us in one by 16 workgroups an image");
        let wide = Excitation::new(widths(4096, 4), Family::Tiled, &Target::gpu());
        assert_eq!((wide.shares, wide.variant()), (None, SeVariant::Spread));
        assert_eq!(wide.to_string(), "two dispatches: one takes 20496 bytes of workgroup memory");
    }

    #[test]
    fn ends_of_blocks() {
        // SE-ResNet-50's last SE block at a batch of 32 and of 1: 16 columns of tiles read a map again.
        let left = |costs: Costs, map, columns| end_in_consumer(&costs, map, columns).pays();
        let (large, small) = (12_845_056, 401_408);
        assert!(left(Costs::DISCRETE, large, 16) && left(Costs::DISCRETE, small, 16));
        // Where cache is as slow as memory, one column more is worth it, and several where a dispatch is most of the
        // price.
        let slow = Costs { reread: 1.0, ..Costs::DISCRETE };
        assert!(!left(slow, large, 16) && left(slow, large, 2) && left(slow, small, 16));
        assert!(!left(Costs { dispatch: 0.0, ..slow }, small, 3));
        assert!(!left(Costs::DISCRETE, large, 64));
        // One column reads nothing again.
        assert!(left(Costs { reread: 1e9, ..FREE }, large, 1));

        let why = end_in_consumer(&Costs::DISCRETE, large, 16).to_string();
        let expected =
            "16 columns of tiles would read 192.7 MB again in 3.3 us, for 12.8 MB and a dispatch less, 6.0 us";
        assert_eq!(why, expected);
    }

    #[test]
    fn scales_on_load() {
        // EfficientNet-B0's 7x7 SE blocks: 1152 channels to 320 in 20 columns of tiles.
        let on_load = |costs: Costs, map, columns| scale_on_load(&costs, map, columns).pays();
        assert!(on_load(Costs::SOFTWARE, 225_792, 20));
        assert!(on_load(Costs::SOFTWARE, 225_792, 63) && !on_load(Costs::SOFTWARE, 225_792, 64));
        let free = Costs { dispatch: 0.0, ..Costs::SOFTWARE };
        assert!(on_load(free, 225_792, 32) && !on_load(free, 225_792, 33));
        let slow = Costs { dispatch: 100.0, ..Costs::SOFTWARE };
        assert!(on_load(slow, 225_792, 102) && !on_load(slow, 225_792, 103));
    }

    #[test]
    fn blocks() {
        let pays = |block: Block, costs: Costs| block.pays(&costs, block.prices(&costs, 128));
        let block = |change: fn(&mut Block)| {
            let mut block = Block { images: 1, map: 1e5, weights: 1e5, squeeze: true, scale: true, excitation: 1.0 };
            change(&mut block);
            block
        };
        assert_eq!(block(|_| ()).prices(&Costs::DISCRETE, 128).way, 3.0);
        assert!(pays(block(|_| ()), Costs::DISCRETE));
        assert!(!pays(block(|_| ()), FREE));
        assert!(!pays(block(|_| ()), Costs { workgroup: 25.0, ..Costs::DISCRETE }));
        // Where others squeeze, one dispatch less is saved; where others scale as well, none.
        assert!(pays(block(|b| b.squeeze = false), Costs::DISCRETE));
        assert!(!pays(block(|b| (b.squeeze, b.map) = (false, 2e5)), Costs::DISCRETE));
        assert!(!pays(block(|b| (b.squeeze, b.scale) = (false, false)), Costs::DISCRETE));
        // Twice as many images as keep the adapter busy take two turns; larger maps are for many workgroups.
        assert_eq!(block(|b| b.images = 129).prices(&Costs { memory: 1e9, ..Costs::DISCRETE }, 128).way, 6.0);
        assert!(!pays(block(|b| (b.images, b.map) = (512, 3e5)), Costs::DISCRETE));
    }

    /// ResNet-50's head on a discrete GPU: worth it from some ten images on.
    #[test]
    fn pools_of_sums() {
        let pays = |batch, sums| {
            let (target, options) = (Target::gpu(), PlanOptions::default());
            pool_of_sums(&Setting { batch, target: &target, options: &options }, Shape::map(2048, 7, 7), sums).pays()
        };
        assert!(!pays(1, 2) && !pays(5, 2) && pays(16, 2) && pays(64, 2));
        // As many sums as half of the pixels save nothing.
        assert!(!pays(64, 25));
        let (target, options) = (Target::gpu(), PlanOptions::default());
        let setting = Setting { batch: 32, target: &target, options: &options };
        let why = pool_of_sums(&setting, Shape::map(2048, 7, 7), 2).to_string();
        assert_eq!(why, "0.91 us to keep and read the sums, 3.51 us to read the map");
    }

    /// A block whose squeeze can't be hoisted, and the next one's convolution to so many channels.
    fn graph(size: usize, next: usize, kernel: usize) -> Graph {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(64, size, size)).unwrap();
        let y = g.conv2d("conv", x, Conv2d::new(64, 3).padding(1)).unwrap();
        let y = g.squeeze_excite("se", y, SqueezeExcite::new(4)).unwrap();
        let y = g.sum("sum", y, x).unwrap();
        let y = g.activation("relu", y, Act::Relu).unwrap();
        let y = g.conv2d("next", y, Conv2d::new(next, kernel).padding(kernel / 2)).unwrap();
        g.finish(&[("y", y)]).unwrap()
    }

    fn block_of(graph: &Graph, target: &Target) -> SeBlockPlan {
        let plan = Plan::new(graph, 2, target, &PlanOptions::default()).unwrap();
        let [se_block] = plan.se_blocks.as_slice() else { panic!("one SE block\n{plan}") };
        se_block.clone()
    }

    #[test]
    fn plans_follow_the_figures_and_say_so() {
        let large = graph(56, 512, 1);
        let se_block = block_of(&large, &Target::gpu());
        assert_eq!((se_block.channels, se_block.reduced, se_block.height, se_block.width), (64, 4, 56, 56));
        assert!(se_block.squeeze.starts_with("in conv: "), "{se_block}");
        assert!(se_block.excitation.starts_with("one dispatch, 1 workgroup an image: "), "{se_block}");
        assert!(se_block.scale.starts_with("left to next: "), "{se_block}");
        let slow = block_of(&large, &with(Costs { reread: 10.0, ..Costs::DISCRETE }));
        assert!(slow.scale.starts_with("a pass of its own with the residual and relu: next: "), "{slow}");
        let direct = block_of(&large, &Target::software());
        assert!(direct.scale.ends_with("it would be computed for every few channels"), "{direct}");
        let other = block_of(&graph(56, 64, 3), &Target::gpu());
        assert!(other.scale.ends_with("next reads it first and is no 1x1 convolution"), "{other}");
        // A small map is scaled in the one dispatch, unless a dispatch costs nothing.
        let small = graph(7, 64, 3);
        let se_block = block_of(&small, &Target::gpu());
        assert!(se_block.excitation.starts_with("one dispatch for all, a workgroup an image: "), "{se_block}");
        assert_eq!(
            (se_block.squeeze.as_str(), se_block.scale.as_str()),
            ("in the one dispatch", "in the one dispatch")
        );
        let free = block_of(&small, &with(FREE));
        assert!(free.scale.starts_with("a pass of its own with the residual and relu: "), "{free}");
    }
}
