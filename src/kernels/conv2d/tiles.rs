//! Steps of the direct and the tiled family: what their kernels take of a region's tiles.

use super::combine;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::Shader;
use crate::ops::Conv2d;
use crate::plan::{Fused, Lowering, StepSpec};
use crate::schedule::convolution::{Choice, Tile, Tiles};

/// The kernel's shader.
pub(super) fn shader_of(tiles: &Tiles, direct: &'static Shader, tiled: &'static Shader) -> &'static Shader {
    if matches!(tiles.choice, Choice::Direct { .. }) { direct } else { tiled }
}

/// Overrides of the tile in `shaders/common/{direct,tiled}.wgsl`.
pub(super) fn overrides(tiles: &Tiles) -> Vec<(&'static str, f64)> {
    let [vec4, pixel] = tiles.invocations.map(f64::from);
    match tiles.choice {
        Choice::Direct { vec4s } => {
            vec![("INVOCATIONS_PIXEL", pixel), ("INVOCATIONS_VEC4", vec4), ("TILE_VEC4S", f64::from(vec4s))]
        }
        choice => {
            let Tile { each, splits, .. } = choice.tile().expect("made of one");
            let (each, splits) = (f64::from(each), f64::from(splits));
            vec![("INVOCATIONS_VEC4", vec4), ("INVOCATIONS_ROW", pixel), ("VEC4S", each), ("SPLITS", splits)]
        }
    }
}

/// Overrides of the kernel's epilogue: none where its depth is split, and a second step has it.
pub(super) fn epilogue(tiles: &Tiles, op: &Conv2d) -> Vec<(&'static str, f64)> {
    if matches!(tiles.choice, Choice::Split { .. }) { Vec::new() } else { super::epilogue(op) }
}

/// Adds the kernel's step, or both where its depth is split.
pub(super) fn add(
    low: &mut Lowering,
    id: NodeId,
    op: &Conv2d,
    tiles: &Tiles,
    spec: StepSpec,
    fused: Fused,
) -> Result<()> {
    match tiles.choice {
        Choice::Split { splits } => combine::lower(low, id, op, splits, spec, fused),
        _ => low.step_with(id, spec, Fused { shares_weights: tiles.shared, ..fused }),
    }
}
