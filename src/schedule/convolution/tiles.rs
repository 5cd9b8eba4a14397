//! How each algorithm shares out a convolution's result among workgroups: numbers that its kernel takes as they are.

use super::{Choice, Problem, Tile, depthwise_vec4s, merged_groups};
use crate::kernels::{VECTOR, vec4s, word};
use crate::ops::Conv2d;
use crate::plan::{Family, Setting};
use crate::tensor::Shape;
use std::ops::Range;

/// Products of a tile of Winograd's algorithm.
const PRODUCTS: usize = 16;

/// How a kernel of the direct or the tiled family shares out a map: a workgroup's tile, and how many there are.
#[derive(Clone, Debug)]
pub(crate) struct Tiles {
    pub choice: Choice,
    /// Pixels of the batch, or strips of four of them in the direct family.
    pub rows: u32,
    /// Invocations over channels and over pixels; in the tiled family, of a slice.
    pub invocations: [u32; 2],
    pub pixel_blocks: u32,
    pub vec4_blocks: u32,
    /// Whether subgroups share weights,
    pub shared: bool,
    /// and have pixels of one image each, so that they share its gates as well.
    pub shares_gates: bool,
}

impl Tiles {
    /// The tiles that a choice means, for a map with so many vec4s a group. With sums, a workgroup of the direct family
    /// has pixels of one image only.
    pub fn new(setting: &Setting, choice: Choice, map: Shape, out_vec4s: u32, sums: bool) -> Self {
        match choice {
            Choice::Direct { vec4s } => Self::direct(setting, choice, map, out_vec4s.div_ceil(vec4s), sums),
            _ => Self::tiled(setting, choice, map, out_vec4s),
        }
    }

    fn tiled(setting: &Setting, choice: Choice, map: Shape, out_vec4s: u32) -> Self {
        let tile = choice.tile().expect("the others have kernels of their own");
        let rows = word(setting.batch * map.plane());
        let (pixel_blocks, vec4_blocks) = (rows.div_ceil(8 * tile.invocations), out_vec4s.div_ceil(tile.vec4s()));
        Self {
            choice,
            rows,
            invocations: [tile.invocations; 2],
            pixel_blocks,
            vec4_blocks,
            shared: false,
            shares_gates: false,
        }
    }

    /// Invocations: one subgroup over pixels where it can share its weights. Else 64, over pixels as far as there are
    /// enough (then a subgroup's weights have one address), the rest over channels. In powers of four, so that there are
    /// few pipelines.
    fn direct(setting: &Setting, choice: Choice, map: Shape, columns: u32, sums: bool) -> Self {
        let rows = direct_rows(setting.batch, map);
        // What is cut into workgroups, and how often.
        let (strips, times) = if sums { (direct_rows(1, map), setting.images()) } else { (rows, 1) };
        let shared = sharing_invocations(setting.sharing_invocations(), strips);
        let wide = shared.unwrap_or(4u32.pow(strips.min(64).ilog2() / 2));
        let high = if shared.is_some() { 1 } else { 64 / wide };
        let (pixel_blocks, vec4_blocks) = (times * strips.div_ceil(wide), columns.div_ceil(high));
        let one_image = sums || setting.batch == 1 || direct_rows(1, map).is_multiple_of(wide);
        let shared = shared.is_some();
        Self {
            choice,
            rows,
            invocations: [high, wide],
            pixel_blocks,
            vec4_blocks,
            shared,
            shares_gates: shared && one_image,
        }
    }

    /// Workgroups of a group.
    pub fn count(&self) -> u32 {
        self.pixel_blocks * self.vec4_blocks * self.choice.splits()
    }

    /// Sums a channel and image that the kernel keeps for a squeeze of such a map; `None` where it can't.
    pub fn sums(&self, setting: &Setting, map: Shape) -> Option<u32> {
        match self.choice {
            Choice::Split { .. } => None,
            Choice::Direct { .. } => Some(self.pixel_blocks / setting.images()),
            _ => Some(tiled_sums(self.invocations[1], word(map.plane()), setting.images())),
        }
    }
}

/// Filters of a convolution whose weights take a binding of their own, with the tiles of their part of the result.
#[derive(Clone, Debug)]
pub(crate) struct FilterBlock {
    pub filters: Range<usize>,
    pub tiles: Tiles,
}

impl FilterBlock {
    /// Blocks of at most `filters` filters, all of them by `choice`.
    pub fn cut(setting: &Setting, problem: &Problem, choice: Choice, filters: usize) -> Vec<Self> {
        let out_channels = problem.op.out_channels;
        let block = |first: usize| {
            let filters = first..out_channels.min(first + filters);
            let part = Shape::map(filters.len(), problem.output.height(), problem.output.width());
            Self { tiles: Tiles::new(setting, choice, part, vec4s(part), false), filters }
        };
        (0..out_channels).step_by(filters).map(block).collect()
    }
}

/// How the depthwise kernel shares out a map.
#[derive(Clone, Debug)]
pub(crate) struct DepthwiseTiles {
    /// Invocations over channels, and over strips of four pixels.
    pub invocations: [u32; 2],
    /// Strips that an invocation computes.
    pub run: u32,
    pub vec4_blocks: u32,
    pub strip_blocks: u32,
}

impl DepthwiseTiles {
    pub fn new(setting: &Setting, invocations: u32, map: Shape) -> Self {
        let strips = word(map.height()) * word(map.width().div_ceil(4));
        let wide = depthwise_vec4s(map, invocations);
        let vec4_blocks = vec4s(map).div_ceil(wide);
        let deep = (invocations / wide).min(strips.next_power_of_two());
        let columns = vec4_blocks * setting.images();
        let run = if invocations == VECTOR { run(strips.div_ceil(deep), columns, setting.target.fill) } else { 1 };
        Self { invocations: [wide, deep], run, vec4_blocks, strip_blocks: strips.div_ceil(deep * run) }
    }
}

/// How the three steps of Winograd's algorithm share out their maps.
#[derive(Clone, Debug)]
pub(crate) struct WinogradTiles {
    /// The convolution of the transformed tiles, whose groups are the products.
    pub product: Conv2d,
    pub tiles: Tiles,
    /// Of the output transform: invocations over channels, and over tiles.
    pub invocations: [u32; 2],
    /// Tiles that an invocation transforms.
    pub run: u32,
    pub vec4_blocks: u32,
    pub tile_blocks: u32,
}

impl WinogradTiles {
    pub fn new(setting: &Setting, problem: &Problem) -> Self {
        let [input, output] = [problem.input, problem.output].map(|map| winograd_map(problem.output, map.channels()));
        let product = Conv2d::new(output.channels(), 1).groups(PRODUCTS);
        let inner = Problem::plain(product.clone(), input, output, setting.batch);
        let choice = inner.static_choice(setting.options.family, setting.target, setting.sharing_invocations());
        let groups = word(merged_groups(&product, input.channels()).groups);
        let tiles = Tiles::new(setting, choice, output, vec4s(output) / groups, false);
        // A software adapter's one vector of invocations, without barriers, adds up runs of tiles: `Choice::Depthwise`
        // says why.
        let invocations = if setting.family() == Family::Direct { VECTOR } else { 64 };
        let wide = vec4s(problem.output).next_power_of_two().min(16).min(invocations);
        let deep = (invocations / wide).min(word(output.plane()).next_power_of_two());
        let (vec4_blocks, runs) = (vec4s(problem.output).div_ceil(wide), word(output.plane()).div_ceil(deep));
        let columns = vec4_blocks * setting.images();
        let run = if invocations == VECTOR { run(runs, columns, setting.target.fill) } else { 1 };
        Self { product, tiles, invocations: [wide, deep], run, vec4_blocks, tile_blocks: runs.div_ceil(run) }
    }
}

/// The products of all tiles of a map, as a map whose pixels are tiles and whose groups are products.
pub(crate) fn winograd_map(map: Shape, channels: usize) -> Shape {
    Shape::map(PRODUCTS * channels.next_multiple_of(4), map.height().div_ceil(2), map.width().div_ceil(2))
}

/// Strips, or tiles, that an invocation of a single vector computes, of so many: its sums, kept in registers, are then of
/// as many pixels and as few as leave the adapter `fill` workgroups, where there are `columns` for each run.
fn run(strips: u32, columns: u32, fill: u32) -> u32 {
    let blocks = fill.div_ceil(columns).min(strips);
    strips.div_ceil(blocks)
}

/// Four pixels of an image side by side, over the whole batch: the rows of the direct family.
pub(super) fn direct_rows(batch: usize, shape: Shape) -> u32 {
    word(batch * shape.plane().div_ceil(4))
}

/// Invocations that share weights, of so many if they may: where half of them have a row at least.
pub(super) fn sharing_invocations(invocations: Option<u32>, rows: u32) -> Option<u32> {
    invocations.filter(|invocations| rows >= invocations / 2)
}

/// Sums that a convolution of the tiled family keeps of an image: of the chunks that `shaders/lib/ordered_rows.wgsl`
/// cuts it into.
fn tiled_sums(invocations: u32, plane: u32, images: u32) -> u32 {
    let tile = 8 * invocations;
    if images == 1 { plane.div_ceil(tile) } else { plane / tile + (plane % tile).count_ones() }
}

/// Vec4s an invocation of the direct family computes: the more, the further a load of the input goes; but each needs
/// loads of its own where weights aren't shared.
pub(super) fn direct_vec4s(out_vec4s: u32, shared: bool) -> u32 {
    let most = if shared { 4 } else { 2 };
    [4, 2, 1].into_iter().find(|&vec4s| vec4s <= most && out_vec4s.is_multiple_of(vec4s)).unwrap_or(1)
}

impl Tile {
    pub fn vec4s(self) -> u32 {
        self.invocations * self.each
    }
}
