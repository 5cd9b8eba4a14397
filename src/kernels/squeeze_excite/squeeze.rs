//! Squeeze: sums, maxima or both per channel, over parts of the plane. With one part it is global pooling.
//! Shader `shaders/squeeze_excite/squeeze.wgsl` · proof `tests/gpu/cases/{squeeze_excite,pool}.rs`

use super::{choice, form_in_graph, scaled_pool};
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::conv2d::kind;
use crate::kernels::{Shader, params, quads, shader, word};
use crate::ops::{GlobalPool, Op, PoolKind, SqueezeExcite};
use crate::passes::Fusion;
use crate::plan::{Family, Lowering, SeForm, Slot, StepSpec, Target};
use crate::tensor::Shape;

pub(crate) const SHADER: Shader = shader! {
    "squeeze_excite/squeeze",
    common: ["storage", "grid", "rows"],
    bindings: [read input, write output],
    halves: [input],
    overrides: [QUADS, ROWS, WORKGROUP, KIND]
};
params! { plane: u32, quads: u32, quad_blocks: u32, parts: u32, part_pixels: u32, factor: f32, count: u32 }

/// Squeezed channels, in parts that the excitation combines and multiplies by `factor`.
#[derive(Clone, Copy)]
pub(crate) struct Squeezed {
    pub value: Slot,
    /// Of every image.
    pub parts: u32,
    pub factor: f32,
    pub max: bool,
}

/// Workgroup shape and number of parts for a map.
pub(super) struct Cut {
    pub quads: u32,
    pub rows: u32,
    parts: u32,
}

impl Cut {
    /// The whole plane as one part.
    pub(super) fn whole(low: &Lowering, shape: Shape) -> Self {
        Self { parts: 1, ..cut(shape, low.batch, low.family(), low.target) }
    }

    /// Overrides of `shaders/common/rows.wgsl`.
    pub(super) fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("QUADS", f64::from(self.quads)),
            ("ROWS", f64::from(self.rows)),
            ("WORKGROUP", f64::from(self.quads * self.rows)),
        ]
    }
}

/// Parts fill the adapter when channels and batch alone do not, but leave every row some pixels to add.
fn cut(shape: Shape, batch: usize, family: Family, target: &Target) -> Cut {
    const MOST_PARTS: u32 = 16;
    let plane = word(shape.plane());
    let wide = quads(shape).next_power_of_two().min(16);
    let rows = match family {
        Family::Direct => 1,
        Family::Tiled => (256 / wide).min(plane.next_power_of_two()),
    };
    let workgroups = quads(shape).div_ceil(wide) * word(batch);
    let parts = target.fill.div_ceil(workgroups).min(plane / (8 * rows)).clamp(1, MOST_PARTS);
    Cut { quads: wide, rows, parts }
}

/// What a sum is multiplied by to be a mean: a maximum stays as it is.
pub(super) fn factor(kind: PoolKind, plane: usize) -> f32 {
    if kind == PoolKind::Max { 1.0 } else { 1.0 / plane as f32 }
}

fn step(
    low: &mut Lowering,
    id: NodeId,
    part: &'static str,
    kind: PoolKind,
    cut: &Cut,
    factor: f32,
    output: Slot,
) -> Result<()> {
    let shape = low.input_shape(id, 0);
    let quad_blocks = quads(shape).div_ceil(cut.quads);
    let count = quad_blocks * cut.parts * low.images();
    let plane = word(shape.plane());
    let part_pixels = plane.div_ceil(cut.parts);
    let params = Params { plane, quads: quads(shape), quad_blocks, parts: cut.parts, part_pixels, factor, count };
    let mut overrides = cut.overrides();
    overrides.push(("KIND", kind.code()));
    let bindings = vec![low.input(id, 0), output];
    low.step(
        id,
        StepSpec { part, shader: &SHADER, overrides, params: params.words(), workgroups: count, bindings, macs: 0 },
    )
}

/// The squeeze of an SE stage.
pub(crate) fn lower(low: &mut Lowering, id: NodeId, kind: PoolKind) -> Result<Squeezed> {
    let shape = low.input_shape(id, 0);
    let max = kind == PoolKind::Max;
    let plane = word(shape.plane());
    if kind == PoolKind::AvgMax {
        note(low, id, "a dispatch of its own: means and maxima".into());
        // A value of two parts that combine differently is finished by the kernel.
        let value = low.scratch(id, "squeezed", quads(shape))?;
        let cut = Cut::whole(low, shape);
        step(low, id, "squeeze", kind, &cut, factor(kind, shape.plane()), value)?;
        return Ok(Squeezed { value, parts: 1, factor: 1.0, max });
    }
    let source = low.node(id).inputs[0];
    if let Some(squeezed) = low.squeezed(source).filter(|squeezed| squeezed.max == max) {
        let parts = choice::counted(squeezed.parts, "sum");
        note(low, id, format!("in {}: {parts} a channel of an image", low.node(source).name));
        return Ok(squeezed);
    }
    let mut cut = cut(shape, low.batch, low.family(), low.target);
    // Equal parts, so that the last one is never empty.
    cut.parts = plane.div_ceil(plane.div_ceil(cut.parts));
    let why = if low.options.fusion != Fusion::Full {
        format!("fusion is {}", low.options.fusion)
    } else if max {
        "maxima".into()
    } else if let Some(choice) = low.choice_of(source) {
        format!("{} keeps no sums by {choice}", low.node(source).name)
    } else {
        format!("{} is no convolution", low.node(source).name)
    };
    note(low, id, format!("a dispatch of its own in {}: {why}", choice::counted(cut.parts, "part")));
    let value = low.scratch(id, "squeezed", quads(shape) * cut.parts)?;
    step(low, id, "squeeze", kind, &cut, 1.0, value)?;
    Ok(Squeezed { value, parts: cut.parts, factor: factor(kind, shape.plane()), max })
}

/// Says where a stage is squeezed.
fn note(low: &mut Lowering, stage: NodeId, words: String) {
    if let Some(record) = low.stage(stage) {
        record.squeeze = words;
    }
}

/// Whether the convolution in front of a stage may keep its sums. Some ways to compute one don't, but how it is computed
/// depends on whether sums are wanted.
pub(super) fn may_be_kept(low: &Lowering, stage: NodeId, op: &SqueezeExcite) -> bool {
    let source = low.node(stage).inputs[0];
    let kept = matches!(&low.node(source).op, Op::Conv2d(op) if kind(op, low.input_shape(source, 0)).is_some());
    kept && op.squeeze == PoolKind::Avg && low.options.fusion == Fusion::Full
}

/// Whether an SE stage wants the sums of a convolution's result from the convolution itself.
pub(crate) fn wanted(low: &Lowering, id: NodeId) -> bool {
    low.options.fusion == Fusion::Full
        && low.readers(id).iter().any(|&reader| match &low.node(reader).op {
            Op::SqueezeExcite(se) => se.squeeze == PoolKind::Avg && form_in_graph(low, reader, se) != SeForm::Block,
            _ => false,
        })
}

/// Room for the sums that a convolution keeps of `parts` parts of every image. `None` where nobody wants them.
pub(crate) fn in_parts(low: &mut Lowering, id: NodeId, parts: u32) -> Result<Option<Slot>> {
    if !wanted(low, id) {
        return Ok(None);
    }
    let shape = low.node(id).shape;
    let value = low.scratch(id, "partials", parts * quads(shape))?;
    low.keep_squeezed(id, Squeezed { value, parts, factor: factor(PoolKind::Avg, shape.plane()), max: false });
    Ok(Some(value))
}

/// A global pool is a squeeze in one part; behind the last SE stage it ends that stage.
pub(crate) fn lower_global_pool(low: &mut Lowering, id: NodeId, op: &GlobalPool) -> Result<()> {
    if let Some(stage) = scaled_pool::stage_of(low, id) {
        return scaled_pool::lower(low, id, op, stage);
    }
    let shape = low.input_shape(id, 0);
    let cut = Cut::whole(low, shape);
    let output = low.define(id)?;
    step(low, id, "", op.kind, &cut, factor(op.kind, shape.plane()), output)
}
