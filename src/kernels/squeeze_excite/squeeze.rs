//! Squeeze: sums, maxima or both per channel, over parts of the plane. With one part it is global pooling.
//! Shader `shaders/squeeze_excite/squeeze.wgsl` · proof `tests/gpu/cases/{squeeze_excite,pool}.rs`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{Shader, params, shader, vec4s, word};
use crate::ops::{GlobalPool, PoolKind};
use crate::plan::{Lowering, Slot, StepSpec};
use crate::schedule::{Cut, Squeeze, mean_factor};
use crate::tensor::Shape;

pub(crate) const SHADER: Shader = shader! {
    "squeeze_excite/squeeze",
    bindings: [read input, write output],
    halves: [input],
    overrides: [VEC4S, ROWS, WORKGROUP, KIND]
};
params! { plane: u32, vec4s: u32, vec4_blocks: u32, parts: u32, part_pixels: u32, factor: f32, count: u32 }

/// Squeezed channels, in parts that the excitation combines and multiplies by `factor`.
#[derive(Clone, Copy)]
pub(crate) struct Squeezed {
    pub value: Slot,
    /// Of every image.
    pub parts: u32,
    pub factor: f32,
    pub max: bool,
}

/// Overrides of `shaders/lib/row_reductions.wgsl`.
pub(super) fn rows(cut: &Cut) -> Vec<(&'static str, f64)> {
    vec![("VEC4S", f64::from(cut.vec4s)), ("ROWS", f64::from(cut.rows)), ("WORKGROUP", f64::from(cut.vec4s * cut.rows))]
}

/// A map that is squeezed, and how.
struct Task<'a> {
    input: Slot,
    output: Slot,
    shape: Shape,
    kind: PoolKind,
    cut: &'a Cut,
    factor: f32,
}

fn step(low: &mut Lowering, id: NodeId, part: &'static str, task: Task) -> Result<()> {
    let Task { input, output, shape, kind, cut, factor } = task;
    let vec4_blocks = vec4s(shape).div_ceil(cut.vec4s);
    let count = vec4_blocks * cut.parts * low.images();
    let plane = word(shape.plane());
    let part_pixels = plane.div_ceil(cut.parts);
    let params =
        Params { plane, vec4s: vec4s(shape), vec4_blocks, parts: cut.parts, part_pixels, factor, count }.words();
    let mut overrides = rows(cut);
    overrides.push(("KIND", kind.code()));
    let bindings = vec![("input", input), ("output", output)];
    low.step(id, StepSpec { part, shader: &SHADER, overrides, params, workgroups: count, bindings, macs: 0 })
}

/// The squeeze of an SE block: what its producer has kept, or a step of its own.
pub(crate) fn lower(low: &mut Lowering, id: NodeId, kind: PoolKind, squeeze: &Squeeze) -> Result<Squeezed> {
    let shape = low.input_shape(id, 0);
    let (max, mean) = (kind == PoolKind::Max, mean_factor(kind, shape.plane()));
    let cut = match squeeze {
        Squeeze::InProducer { producer, sums } => {
            return Ok(Squeezed { value: low.sums_of(*producer), parts: *sums, factor: mean, max });
        }
        Squeeze::Own(cut) => cut,
    };
    let value = low.scratch(id, "squeezed", vec4s(shape) * cut.parts)?;
    // A value of two parts that combine differently is finished by the kernel.
    let (own, left) = if kind == PoolKind::AvgMax { (mean, 1.0) } else { (1.0, mean) };
    let input = low.input(id, 0);
    step(low, id, "squeeze", Task { input, output: value, shape, kind, cut, factor: own })?;
    Ok(Squeezed { value, parts: cut.parts, factor: left, max })
}

/// A global pool: a squeeze in one part, of the map or of the sums that its producer has kept.
pub(crate) fn lower_global_pool(low: &mut Lowering, id: NodeId, op: &GlobalPool, squeeze: &Squeeze) -> Result<()> {
    let map = low.input_shape(id, 0);
    let factor = mean_factor(op.kind, map.plane());
    let output = low.define(id)?;
    let (input, shape) = match squeeze {
        Squeeze::InProducer { producer, sums } => {
            (low.sums_of(*producer), Shape::map(map.channels(), *sums as usize, 1))
        }
        Squeeze::Own(_) => (low.input(id, 0), map),
    };
    let cut = Cut::whole(low, shape);
    step(low, id, "", Task { input, output, shape, kind: op.kind, cut: &cut, factor })
}
