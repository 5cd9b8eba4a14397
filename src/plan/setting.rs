//! What a plan is made for: a batch on a target, with options.

use super::{Family, PlanOptions, Precision, Target};
use crate::kernels;
use crate::passes::Fusion;
use crate::tensor::Shape;

/// A batch, the adapter that will run it, and how to plan it.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub batch: usize,
    pub target: &'a Target,
    pub options: &'a PlanOptions,
}

impl Setting<'_> {
    /// Whether every fusion may be used.
    pub fn fuses_fully(&self) -> bool {
        self.options.fusion == Fusion::Full
    }

    pub fn family(&self) -> Family {
        self.options.family.unwrap_or(self.target.family)
    }

    pub fn subgroups(&self) -> bool {
        self.target.subgroups && self.options.subgroups.unwrap_or(true)
    }

    /// Invocations of a subgroup that may share weights, where subgroups may be used.
    pub fn sharing_invocations(&self) -> Option<u32> {
        self.target.sharing_invocations().filter(|_| self.subgroups())
    }

    /// The batch as shaders have it.
    pub fn images(&self) -> u32 {
        kernels::word(self.batch)
    }

    /// Vec4s of a value over the whole batch.
    pub fn vec4_count(&self, shape: Shape) -> u32 {
        kernels::word(self.batch * shape.plane() * shape.channels().div_ceil(4))
    }

    /// How values of a shape are stored: in the plan's precision if they are maps.
    pub fn precision_of(&self, shape: Shape) -> Precision {
        match shape {
            Shape::Map { .. } => self.options.precision,
            Shape::Vector { .. } | Shape::Tensor(_) => Precision::F32,
        }
    }

    /// Bytes of a value: channels-last, channels padded to 4.
    pub fn map_bytes(&self, shape: Shape) -> u64 {
        4 * self.precision_of(shape).bytes() * self.elements(shape.channels().div_ceil(4), shape.plane())
    }

    pub fn elements(&self, channels: usize, plane: usize) -> u64 {
        (self.batch as u64).saturating_mul(channels as u64).saturating_mul(plane as u64)
    }
}
