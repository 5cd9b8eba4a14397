//! How a squeeze in a dispatch of its own shares out a map.

use crate::kernels::{vec4s, word};
use crate::ops::PoolKind;
use crate::plan::{Family, Setting};
use crate::tensor::Shape;

/// Workgroup shape and number of parts for a map.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub vec4s: u32,
    pub rows: u32,
    /// Of every image.
    pub parts: u32,
}

impl Cut {
    /// Parts fill the adapter when channels and batch alone do not, but leave every row some pixels to add. They are
    /// equal, so that the last one is never empty.
    pub fn new(setting: &Setting, shape: Shape) -> Self {
        const MOST_PARTS: u32 = 16;
        let whole = Self::whole(setting, shape);
        let plane = word(shape.plane());
        let workgroups = vec4s(shape).div_ceil(whole.vec4s) * setting.images();
        let parts = setting.target.fill.div_ceil(workgroups).min(plane / (8 * whole.rows)).clamp(1, MOST_PARTS);
        Self { parts: plane.div_ceil(plane.div_ceil(parts)), ..whole }
    }

    /// The whole plane as one part.
    pub fn whole(setting: &Setting, shape: Shape) -> Self {
        let wide = vec4s(shape).next_power_of_two().min(16);
        let rows = match setting.family() {
            Family::Direct => 1,
            Family::Tiled => (256 / wide).min(word(shape.plane()).next_power_of_two()),
        };
        Self { vec4s: wide, rows, parts: 1 }
    }
}

/// What a sum is multiplied by to be a mean: a maximum stays as it is.
pub(crate) fn mean_factor(kind: PoolKind, plane: usize) -> f32 {
    if kind == PoolKind::Max { 1.0 } else { 1.0 / plane as f32 }
}
