//! Chooses how a convolution is computed: its algorithm and tile.
//! Proof: `tests/gpu/tuning.rs`

mod tiles;

pub(crate) use tiles::{DepthwiseTiles, FilterBlock, Tiles, WinogradTiles, winograd_map};

use crate::error::{Error, Result};
use crate::kernels::pack::Packing;
use crate::kernels::{VECTOR, vec4s, word};
use crate::ops::{Conv2d, Gating, Padding};
use crate::plan::{ChosenBy, Family, Setting, Target};
use crate::tensor::Shape;
use std::fmt;
use std::str::FromStr;
use tiles::{direct_rows, direct_vec4s, sharing_invocations};

/// Invocations of the smaller tiles, each way, and of the larger ones.
const SMALL: u32 = 8;
const LARGE: u32 = 16;
/// Larger tiles from which on an adapter is taken to have enough to do without sharing out the depth of one, smaller
/// tiles from which on parts of the depth in workgroups of their own have no use, and vec4s of depth for each of its
/// shares: below, adding them costs more than it saves.
const ENOUGH_TILES: u32 = 128;
const LEAST_SHARE_VEC4S: u32 = 16;

/// Least channels and multiply-adds an image from which Winograd's algorithm was faster on lavapipe. With 64 channels
/// it is slower; between that and 128 nothing was measured.
const WINOGRAD_CHANNELS: usize = 128;
const WINOGRAD_MACS: u64 = 16_000_000;

/// How a convolution is computed. As text: `tiled 16x16`, `tiled 32x16`, `tiled 8x8 split_within 4`, `tiled 8x8 split
/// 4`, `direct 2`, `depthwise 64`, `winograd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// Tiles in workgroup memory.
    Tiled {
        /// Vec4s of channels, and as many times eight pixels.
        invocations: u32,
    },
    /// The widest of those tiles: the larger one, of which an invocation computes two vec4s of channels.
    Wide,
    /// The smaller of those tiles, each by a workgroup of several times its invocations: for deep products of few tiles.
    SplitWithin {
        /// Shares of the depth.
        splits: u32,
    },
    /// The smaller of those tiles, each by several workgroups, whose sums a second dispatch adds.
    Split {
        /// Parts of the depth.
        splits: u32,
    },
    /// Tiles in registers.
    Direct {
        /// Vec4s an invocation computes.
        vec4s: u32,
    },
    /// Channels for themselves.
    Depthwise {
        /// The most invocations of a workgroup. Those of a single vector (8) compute a run of pixels each.
        invocations: u32,
    },
    /// Winograd's F(2x2, 3x3), whose products the static rule's choice among the others computes.
    Winograd,
}

impl Choice {
    /// Every one. What a shape can take of them: [`crate::plan::Plan::choices`].
    pub const ALL: [Self; 12] = [
        Self::Wide,
        Self::Tiled { invocations: LARGE },
        Self::Tiled { invocations: SMALL },
        Self::SplitWithin { splits: 4 },
        Self::Split { splits: 4 },
        Self::Direct { vec4s: 4 },
        Self::Direct { vec4s: 2 },
        Self::Direct { vec4s: 1 },
        Self::Depthwise { invocations: VECTOR },
        Self::Depthwise { invocations: 64 },
        Self::Depthwise { invocations: 256 },
        Self::Winograd,
    ];
}

/// A tile of the tiled family: `8 * invocations` pixels by `invocations * each` vec4s.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// Invocations over channels, and as many over pixels.
    pub invocations: u32,
    /// Vec4s that an invocation computes.
    pub each: u32,
    /// Times its invocations, which share the depth.
    pub splits: u32,
}

impl Choice {
    /// Workgroups that share a tile.
    pub(crate) fn splits(self) -> u32 {
        if let Self::Split { splits } = self { splits } else { 1 }
    }

    /// Whether it has a variant of cooperative matrices: the tiled family.
    pub(crate) fn multiplies_matrices(self) -> bool {
        self.tile().is_some()
    }

    /// What computes some of the filters, so many vec4s of them at most: itself, if they have no second step and a tile
    /// is not wider.
    pub fn of_filters(self, vec4s: u32, family: Family) -> Self {
        match self {
            Self::Direct { vec4s: wide } if wide > vec4s => Self::Direct { vec4s: 1 },
            Self::Winograd if family == Family::Direct => Self::Direct { vec4s: 1 },
            Self::Winograd | Self::Split { .. } => Self::Tiled { invocations: SMALL },
            whole => whole,
        }
    }

    /// The tile, in the tiled family.
    pub(crate) fn tile(self) -> Option<Tile> {
        let plain = |invocations| Tile { invocations, each: 1, splits: 1 };
        match self {
            Self::Tiled { invocations } => Some(plain(invocations)),
            Self::Wide => Some(Tile { each: 2, ..plain(LARGE) }),
            Self::SplitWithin { splits } => Some(Tile { splits, ..plain(SMALL) }),
            Self::Split { .. } => Some(plain(SMALL)),
            Self::Direct { .. } | Self::Depthwise { .. } | Self::Winograd => None,
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tiled { invocations } => write!(f, "tiled {invocations}x{invocations}"),
            Self::Wide => write!(f, "tiled {}x{LARGE}", 2 * LARGE),
            Self::SplitWithin { splits } => write!(f, "tiled {SMALL}x{SMALL} split within {splits}"),
            Self::Split { splits } => write!(f, "tiled {SMALL}x{SMALL} split {splits}"),
            Self::Direct { vec4s } => write!(f, "direct {vec4s}"),
            Self::Depthwise { invocations } => write!(f, "depthwise {invocations}"),
            Self::Winograd => f.write_str("winograd"),
        }
    }
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|choice| choice.to_string() == text).ok_or_else(|| {
            let all = Self::ALL.map(|choice| format!("\"{choice}\"")).join(", ");
            Error::Request(format!("a choice is one of {all}, is \"{text}\""))
        })
    }
}

/// Which kernels there are for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    General,
    Pointwise,
    Depthwise,
}

/// A convolution as far as the choice depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub kind: Kind,
    pub op: Conv2d,
    pub input: Shape,
    pub output: Shape,
    pub batch: usize,
    /// Whether an SE block wants sums of the result.
    pub sums: bool,
    /// Whether it may end the residual block that it reads.
    pub block: bool,
    /// Whether it reads the images as they come.
    pub nchw: bool,
}

/// Which kernels a convolution of such an input has; `None` where it is a fully connected layer.
pub(crate) fn kind(op: &Conv2d, input: Shape) -> Option<Kind> {
    if is_linear(op, input) {
        None
    } else if op.groups > 1 && op.groups == input.channels() && op.groups == op.out_channels {
        Some(Kind::Depthwise)
    } else if op.is_pointwise() {
        Some(Kind::Pointwise)
    } else {
        Some(Kind::General)
    }
}

/// Whether the only window is the whole map: a fully connected layer on a map, as VGG's first one.
pub(crate) fn is_linear(op: &Conv2d, input: Shape) -> bool {
    let whole =
        op.kernel == [input.height(), input.width()] && op.dilation == [1, 1] && op.padding == Padding::default();
    whole && input.plane() > 1 && op.groups == 1 && !op.residual && !op.gated()
}

/// Groups as the kernels take them: PyTorch's, merged until channels of a group are whole vec4s.
pub(crate) struct Groups {
    pub groups: usize,
    pub merge: usize,
}

/// Up to four neighbouring groups become one, with zeros in the weights between them; where that does not come out
/// even, all do.
pub(crate) fn merged_groups(op: &Conv2d, in_channels: usize) -> Groups {
    let whole = |merge: &usize| {
        op.groups.is_multiple_of(*merge)
            && (op.groups == *merge
                || (in_channels / op.groups * merge).is_multiple_of(4)
                    && (op.out_channels / op.groups * merge).is_multiple_of(4))
    };
    let merge = [1, 2, 4].into_iter().find(whole).unwrap_or(op.groups);
    Groups { groups: op.groups / merge, merge }
}

/// Filters of which one binding holds the weights, whole vec4s of them, where it doesn't hold all; `None` where it
/// does, or where what the convolution is fused with needs all channels in one dispatch.
pub(crate) fn filters_a_binding(
    setting: &Setting,
    op: &Conv2d,
    weight: &[usize],
    input: Shape,
    sums: bool,
) -> Option<usize> {
    let limits = &setting.target.limits;
    let room = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let bytes =
        |filters: usize| setting.options.precision.bytes() * Packing::ConvFilters(0..filters).len(weight) as u64;
    if op.groups > 1 || bytes(op.out_channels) <= room {
        return None;
    }
    let vec4s = usize::try_from(room / bytes(4)).unwrap_or(usize::MAX);
    // Tiles of the direct family have 4, 2 or 1 vec4s, and come out even.
    let vec4s = if vec4s >= 4 { vec4s / 4 * 4 } else { vec4s.min(2) };
    let alone = !op.residual && !op.gated() && !sums && !is_linear(op, input);
    (alone && vec4s > 0).then_some(4 * vec4s)
}

/// Whether neither its residual nor sums need the bindings that a residual end takes.
pub(crate) fn may_end_block(op: &Conv2d, inputs: usize, sums: bool) -> bool {
    op.is_pointwise() && !op.gated() && !op.residual && inputs == 1 && !sums
}

/// What is forced, else what tuning has found, else what the static rule says; and which of them said it.
///
/// # Errors
/// Tuning says what this convolution can't be computed by.
pub(crate) fn choose(setting: &Setting, problem: &Problem) -> Result<(Choice, ChosenBy)> {
    let by_rule = || problem.static_choice(setting.options.family, setting.target, setting.sharing_invocations());
    if setting.options.family.is_some() {
        return Ok((by_rule(), ChosenBy::Forced));
    }
    let shape = problem.key();
    let Some(choice) = setting.options.tuning.as_ref().and_then(|tuning| tuning.choice(&shape)) else {
        return Ok((by_rule(), ChosenBy::Static));
    };
    let candidates = problem.candidates();
    if candidates.contains(&choice) {
        return Ok((choice, ChosenBy::Tuned));
    }
    let candidates: Vec<String> = candidates.iter().map(ToString::to_string).collect();
    let message = format!("expects one of {}, found {choice}", candidates.join(", "));
    Err(Error::Request(format!("tuning of \"{shape}\": {message}; tune again")))
}

impl Problem {
    /// A convolution of its own, that nothing is fused with.
    fn plain(op: Conv2d, input: Shape, output: Shape, batch: usize) -> Self {
        Self { kind: Kind::General, op, input, output, batch, sums: false, block: false, nchw: false }
    }

    /// Equal keys have equal candidates, and the same one suits them: activations, padding and names don't count.
    pub fn key(&self) -> String {
        let Self { op, input, output, batch, .. } = self;
        let [sy, sx] = op.stride;
        let attributes = match self.kind {
            Kind::Pointwise => "conv2d/pointwise".into(),
            Kind::Depthwise => format!("conv2d/depthwise {}x{} stride {sy}x{sx}", op.kernel[0], op.kernel[1]),
            Kind::General => format!("conv2d/general {}x{} stride {sy}x{sx}", op.kernel[0], op.kernel[1]),
        };
        let dilation = match op.dilation {
            [1, 1] => String::new(),
            [dy, dx] => format!(" dilation {dy}x{dx}"),
        };
        let groups = match self.kind {
            Kind::General if op.groups > 1 => format!(" groups {}", op.groups),
            _ => String::new(),
        };
        let fused = [
            (op.gate == Gating::Input, " +gate"),
            (op.gate == Gating::Output, " +output_gate"),
            (op.residual, " +residual"),
            (self.sums, " +sums"),
            (self.block, " +residual_end"),
            (self.nchw, " +nchw"),
        ];
        let fused: String = fused.into_iter().filter_map(|(on, text)| on.then_some(text)).collect();
        format!("{attributes}{dilation}{groups} {input} to {output} batch {batch}{fused}")
    }

    /// What can compute it, at most 6. A new variant is a line here, and where its kernel looks at the choice.
    pub fn candidates(&self) -> Vec<Choice> {
        let dense = self.kind != Kind::Depthwise;
        let split_within = dense && self.splits_within(4);
        let fits = |choice: &Choice| match *choice {
            // Where there are too few of the smaller tiles already, larger ones have no use.
            Choice::Wide => dense && !split_within && self.out_vec4s() > LARGE,
            Choice::Tiled { invocations } => dense && !(split_within && invocations == LARGE),
            Choice::SplitWithin { .. } => split_within,
            Choice::Split { splits } => split_within && self.splits_over_workgroups(splits),
            // The two largest tiles that come out even: of 4, 2 and 1 vec4s.
            Choice::Direct { vec4s } => {
                let even = |vec4s| self.out_vec4s().is_multiple_of(vec4s);
                self.kind != Kind::Depthwise && even(vec4s) && !(vec4s == 1 && even(4))
            }
            Choice::Depthwise { invocations } => {
                self.kind == Kind::Depthwise && (invocations < 256 || self.strips() > self.depth(64))
            }
            Choice::Winograd => self.has_winograd(),
        };
        Choice::ALL.into_iter().filter(fits).collect()
    }

    /// By adapter class and shape.
    pub fn static_choice(&self, forced: Option<Family>, target: &Target, sharing: Option<u32>) -> Choice {
        let family = forced.unwrap_or(target.family);
        if self.kind == Kind::Depthwise {
            if family == Family::Direct {
                return Choice::Depthwise { invocations: VECTOR };
            }
            // Sums of deeper workgroups are fewer to keep and to read.
            let blocks = vec4s(self.output).div_ceil(depthwise_vec4s(self.output, 256)) * word(self.batch);
            let deep = |invocations| self.depth(invocations).min(self.strips().next_power_of_two());
            let sums = self.sums && self.strips() > self.depth(64);
            let enough = blocks * self.strips().div_ceil(deep(256)) >= target.fill;
            return Choice::Depthwise { invocations: if sums && enough { 256 } else { 64 } };
        }
        // Grouped convolutions with few channels a group would leave most of a tile empty.
        let narrow = forced.is_none() && self.groups() > 1 && self.out_vec4s() < 4;
        if forced.is_none() && family == Family::Direct && self.winograd_pays(target) {
            return Choice::Winograd;
        }
        if narrow || family == Family::Direct {
            let rows = direct_rows(if self.sums { 1 } else { self.batch }, self.output);
            let shared = sharing_invocations(sharing, rows).is_some();
            return Choice::Direct { vec4s: direct_vec4s(self.out_vec4s(), shared) };
        }
        // The largest tile that gives the adapter enough workgroups; where none does, more invocations for each where
        // they have enough to do.
        let enough = |choice: &Choice| self.tiles(*choice) >= target.fill;
        let wide = Some(Choice::Wide).filter(|_| target.wide_tiles && self.out_vec4s() > LARGE);
        let large = wide.into_iter().chain([Choice::Tiled { invocations: LARGE }]).find(enough);
        let split_within = Some(Choice::SplitWithin { splits: 4 }).filter(|_| self.splits_within(4));
        large.or(split_within).unwrap_or(Choice::Tiled { invocations: SMALL })
    }

    /// Whether there are few tiles, and each is deep enough for so many shares. The images as they come are never deep.
    fn splits_within(&self, splits: u32) -> bool {
        let [height, width] = self.op.kernel;
        let depth = word(height * width) * (vec4s(self.input) / self.groups());
        let few = self.tiles(Choice::Tiled { invocations: LARGE }) < ENOUGH_TILES;
        !self.nchw && few && depth >= splits * LEAST_SHARE_VEC4S
    }

    /// Whether there are so few that parts of the depth may be workgroups of their own. The sum of these has no gates.
    fn splits_over_workgroups(&self, splits: u32) -> bool {
        let few = self.tiles(Choice::Tiled { invocations: SMALL }) <= ENOUGH_TILES;
        few && self.splits_within(splits) && self.op.gate != Gating::Output
    }

    /// Tiles of the tiled family.
    fn tiles(&self, choice: Choice) -> u32 {
        let tile = choice.tile().expect("asked of the tiled family only");
        let pixel_blocks = word(self.batch * self.output.plane()).div_ceil(8 * tile.invocations);
        pixel_blocks * self.out_vec4s().div_ceil(tile.vec4s()) * self.groups()
    }

    /// Whether it is one that Winograd's algorithm is for.
    fn has_winograd(&self) -> bool {
        let op = &self.op;
        let plain = op.kernel == [3, 3] && op.stride == [1, 1] && op.dilation == [1, 1] && op.groups == 1;
        self.kind == Kind::General && plain && !self.nchw && !op.gated()
    }

    /// Whether it saves a software adapter more than its two transforms cost, and its values fit the adapter.
    fn winograd_pays(&self, target: &Target) -> bool {
        let channels = self.input.channels().min(self.output.channels());
        let largest = self.input.channels().max(self.output.channels());
        let bytes = 4 * (self.batch * winograd_map(self.output, largest).len()) as u64;
        let weight = 4 * Packing::Winograd.len(&[self.output.channels(), self.input.channels()]) as u64;
        let fits = bytes.max(weight) <= target.limits.max_storage_buffer_binding_size;
        self.has_winograd() && channels >= WINOGRAD_CHANNELS && self.macs() >= WINOGRAD_MACS * self.batch as u64 && fits
    }

    /// Multiply-adds for the batch.
    pub fn macs(&self) -> u64 {
        crate::ops::Definition::macs(&self.op, &[self.input], self.output) * self.batch as u64
    }

    pub fn groups(&self) -> u32 {
        word(merged_groups(&self.op, self.input.channels()).groups)
    }

    /// Vec4s of a group.
    pub fn out_vec4s(&self) -> u32 {
        vec4s(self.output) / self.groups()
    }

    /// Invocations of a depthwise workgroup over strips of four pixels.
    fn depth(&self, invocations: u32) -> u32 {
        invocations / depthwise_vec4s(self.output, invocations)
    }

    fn strips(&self) -> u32 {
        word(self.output.height()) * word(self.output.width().div_ceil(4))
    }
}

/// Of the invocations of a depthwise workgroup, those over channels.
fn depthwise_vec4s(output: Shape, invocations: u32) -> u32 {
    vec4s(output).next_power_of_two().min(16).min(invocations)
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::graph::GraphBuilder;
    use crate::ops::{Op, SqueezeExcite};
    use crate::plan::{Plan, PlanOptions, Precision};
    use crate::tuning::Tuning;
    use crate::zoo;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for choice in Choice::ALL {
            assert_eq!(choice.to_string().parse::<Choice>().unwrap(), choice);
        }
        let message = "tiled".parse::<Choice>().unwrap_err().to_string();
        assert!(message.ends_with("is \"tiled\""), "{message}");
    }

    /// Each candidate of each convolution in turn: the plan takes it, whatever it is fused with, and the others stay.
    #[test]
    fn plans_take_what_tuning_says() {
        let options = zoo::Options { size: Some([64, 64]), ..Default::default() };
        let graphs =
            ["seresnet50", "seresnext50_32x4d", "efficientnet_b0"].map(|name| zoo::build(name, &options).unwrap());
        let mut seen = BTreeSet::new();
        for (graph, target) in graphs.iter().flat_map(|graph| [(graph, Target::gpu()), (graph, Target::software())]) {
            let plain = Plan::new(graph, 2, &target, &PlanOptions::default()).unwrap();
            let keys: BTreeSet<String> = plain.choices().map(|(key, ..)| key).collect();
            for choice in Choice::ALL {
                let mut tuning = Tuning::untied(Precision::F32);
                plain.convolutions.iter().for_each(|(problem, _)| {
                    if problem.candidates().contains(&choice) {
                        tuning.set(&problem.key(), choice);
                    }
                });
                let options = PlanOptions { tuning: Some(Arc::new(tuning)), ..Default::default() };
                let tuned = Plan::new(graph, 2, &target, &options).unwrap();
                assert_eq!(tuned.convolutions.len(), plain.convolutions.len());
                for ((key, got, candidates), (_, before, _)) in tuned.choices().zip(plain.choices()) {
                    let expected = if candidates.contains(&choice) { choice } else { before };
                    assert_eq!(got, expected, "{} {key}", graph.name());
                    assert!(keys.contains(&key) && candidates.len() <= 6 && candidates.contains(&before), "{key}");
                    seen.insert(got);
                    seen.insert(before);
                }
            }
        }
        assert_eq!(seen, BTreeSet::from(Choice::ALL));
    }

    /// What adds up parts of a depth has no gates, nor have the kernels of other convolutions.
    #[test]
    fn gates_are_for_those_who_have_them() {
        let plan = |conv: Conv2d, gates: usize| {
            let mut g = GraphBuilder::new("g");
            let x = g.input(Shape::map(264, 3, 3)).unwrap();
            let se_block = SqueezeExcite { gates: Some(gates), ..SqueezeExcite::new(4) };
            let gate = g.add("se", Op::SqueezeExcite(se_block), &[x]).unwrap();
            let y = g.add("conv", Op::Conv2d(conv), &[x, gate]).unwrap();
            let graph = g.finish(&[("y", y)]).unwrap();
            Plan::new(&graph, 1, &Target::gpu(), &PlanOptions::default())
        };
        let split = |gate| {
            let plan = plan(Conv2d { gate, ..Conv2d::new(264, 1) }, 264).unwrap();
            plan.choices().any(|(.., candidates)| candidates.contains(&Choice::Split { splits: 4 }))
        };
        assert!(split(Gating::Input) && !split(Gating::Output));
        let general = Conv2d { gate: Gating::Input, ..Conv2d::new(8, 3) };
        let message = plan(general, 264).unwrap_err().to_string();
        assert!(message.ends_with("has a gate of its input"), "{message}");
        let depthwise = Conv2d { gate: Gating::Output, ..Conv2d::new(264, 3) }.groups(264);
        let message = plan(depthwise, 264).unwrap_err().to_string();
        assert!(message.ends_with("has no gate of its result"), "{message}");
    }

    #[test]
    fn what_is_no_candidate_is_an_error_and_what_is_forced_goes_first() {
        let graph = zoo::build("digits_seresnet", &zoo::Options::default()).unwrap();
        let plan = |options: &PlanOptions| Plan::new(&graph, 1, &Target::gpu(), options);
        let plain = plan(&PlanOptions::default()).unwrap();
        let (key, ..) = plain.choices().next().unwrap();
        let mut tuning = Tuning::untied(Precision::F32);
        tuning.set(&key, Choice::Depthwise { invocations: 64 });
        let tuned = PlanOptions { tuning: Some(Arc::new(tuning)), ..Default::default() };
        let message = plan(&tuned).unwrap_err().to_string();
        assert!(message.contains(&key) && message.contains("found depthwise 64"), "{message}");
        let forced = |tuning| PlanOptions { family: Some(Family::Direct), tuning, ..Default::default() };
        let steps = |options| plan(&options).unwrap().choices().collect::<Vec<_>>();
        assert_eq!(steps(forced(tuned.tuning)), steps(forced(None)));
    }
}
