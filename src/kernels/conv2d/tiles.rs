//! Tiles of the direct and the tiled family: how a choice shares out a map.

use super::choice::{Choice, Tile};
use super::combine;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::squeeze_excite::squeeze;
use crate::kernels::{Shader, word};
use crate::ops::Conv2d;
use crate::plan::{Also, Lowering, StepSpec};
use crate::tensor::Shape;

/// How a kernel of the direct or the tiled family shares out a map: a workgroup's tile, and how many there are.
pub(super) struct Tiles {
    choice: Choice,
    /// Pixels of the batch, or strips of four of them in the direct family.
    pub rows: u32,
    /// Lanes over channels and over pixels; in the tiled family, of a slice.
    lanes: [u32; 2],
    pub pixel_blocks: u32,
    pub quad_blocks: u32,
    /// Whether subgroups share weights,
    pub shared: bool,
    /// and have pixels of one image each, so that they share its gates as well.
    pub shares_gates: bool,
}

impl Tiles {
    /// The tiles that a choice means, for a map with so many quads a group. With sums, a workgroup of the direct family has pixels
    /// of one image only.
    pub fn new(low: &Lowering, choice: Choice, map: Shape, out_quads: u32, sums: bool) -> Self {
        match choice {
            Choice::Direct { quads } => Self::direct(low, choice, map, out_quads.div_ceil(quads), sums),
            _ => Self::tiled(low, choice, map, out_quads),
        }
    }

    fn tiled(low: &Lowering, choice: Choice, map: Shape, out_quads: u32) -> Self {
        let tile = choice.tile().expect("the others have kernels of their own");
        let rows = word(low.batch * map.plane());
        let (pixel_blocks, quad_blocks) = (rows.div_ceil(8 * tile.lanes), out_quads.div_ceil(tile.quads()));
        Self { choice, rows, lanes: [tile.lanes; 2], pixel_blocks, quad_blocks, shared: false, shares_gates: false }
    }

    /// Lanes: one subgroup over pixels where it can share its weights. Else 64, over pixels as far as there are enough (then
    /// a subgroup's weights have one address), the rest over channels. In powers of four, so that there are few pipelines.
    fn direct(low: &Lowering, choice: Choice, map: Shape, columns: u32, sums: bool) -> Self {
        let rows = direct_rows(low.batch, map);
        // What is cut into workgroups, and how often.
        let (strips, times) = if sums { (direct_rows(1, map), low.images()) } else { (rows, 1) };
        let shared = sharing_lanes(low.sharing_lanes(), strips);
        let wide = shared.unwrap_or(4u32.pow(strips.min(64).ilog2() / 2));
        let high = if shared.is_some() { 1 } else { 64 / wide };
        let (pixel_blocks, quad_blocks) = (times * strips.div_ceil(wide), columns.div_ceil(high));
        let one_image = sums || low.batch == 1 || direct_rows(1, map).is_multiple_of(wide);
        let shared = shared.is_some();
        Self { choice, rows, lanes: [high, wide], pixel_blocks, quad_blocks, shared, shares_gates: shared && one_image }
    }

    /// The kernel's shader.
    pub fn of(&self, direct: &'static Shader, tiled: &'static Shader) -> &'static Shader {
        if matches!(self.choice, Choice::Direct { .. }) { direct } else { tiled }
    }

    /// Workgroups of a group.
    pub fn count(&self) -> u32 {
        self.pixel_blocks * self.quad_blocks * self.choice.parts()
    }

    /// Overrides of the tile in `shaders/common/{direct,tiled}.wgsl`.
    pub fn overrides(&self) -> Vec<(&'static str, f64)> {
        let [quad, pixel] = self.lanes.map(f64::from);
        match self.choice {
            Choice::Direct { quads } => {
                vec![("LANES_PIXEL", pixel), ("LANES_QUAD", quad), ("TILE_QUADS", f64::from(quads))]
            }
            _ => {
                let Tile { each, slices, .. } = self.choice.tile().expect("made of one");
                let (each, slices) = (f64::from(each), f64::from(slices));
                vec![("LANES_QUAD", quad), ("LANES_ROW", pixel), ("QUADS", each), ("SLICES", slices)]
            }
        }
    }

    /// Room for the sums that the kernel keeps for a squeeze; nothing where nobody wants them, or it can't.
    pub fn sums(&self, low: &mut Lowering, id: NodeId) -> Result<Also> {
        let parts = match self.choice {
            Choice::Split { .. } => return Ok(Also::Nothing),
            Choice::Direct { .. } => self.pixel_blocks / low.images(),
            _ => tiled_parts(self.lanes[1], word(low.node(id).shape.plane()), low.images()),
        };
        Ok(Also::sums(squeeze::in_parts(low, id, parts)?))
    }

    /// Adds the kernel's step, or both where its depth is split.
    pub fn add(&self, low: &mut Lowering, id: NodeId, op: &Conv2d, spec: StepSpec, also: Also) -> Result<()> {
        match self.choice {
            Choice::Split { parts } => combine::lower(low, id, op, parts, spec),
            _ => low.step_in(id, spec, also, self.shared),
        }
    }
}

/// Four pixels of an image side by side, over the whole batch: the rows of the direct family.
pub(super) fn direct_rows(batch: usize, shape: Shape) -> u32 {
    word(batch * shape.plane().div_ceil(4))
}

/// Lanes that share weights, of so many if they may: where half of them have a row at least.
pub(super) fn sharing_lanes(lanes: Option<u32>, rows: u32) -> Option<u32> {
    lanes.filter(|lanes| rows >= lanes / 2)
}

/// Sums that a squeezing convolution of the tiled family keeps of an image: of the chunks that
/// `shaders/common/chunks.wgsl` cuts it into.
fn tiled_parts(lanes: u32, plane: u32, images: u32) -> u32 {
    let tile = 8 * lanes;
    if images == 1 { plane.div_ceil(tile) } else { plane / tile + (plane % tile).count_ones() }
}

/// Quads an invocation of the direct family computes: the more, the further a load of the input goes; but each needs loads
/// of its own where weights aren't shared.
pub(super) fn direct_quads(out_quads: u32, shared: bool) -> u32 {
    let most = if shared { 4 } else { 2 };
    [4, 2, 1].into_iter().find(|&quads| quads <= most && out_quads.is_multiple_of(quads)).unwrap_or(1)
}
