//! SE stages: which form, and the steps of each.
//!
//! | form | dispatches | when |
//! |---|---|---|
//! | spread | squeeze, reduce, expand, scale | weights too large for one workgroup an image |
//! | excite | squeeze, excite, scale | weights that a workgroup streams in the time of a dispatch |
//! | block | one | small weights and a map that one workgroup reads twice from cache (full fusion only) |
//!
//! Behind a network's last stage stands a global pool, which takes the second layer and the scale (`scaled_pool`).
//!
//! Meaning `ops/squeeze_excite.rs`, `ops/binary.rs` · proof `tests/gpu/cases/squeeze_excite.rs`

pub(crate) mod block;
pub(crate) mod dense;
pub(crate) mod excite;
pub(crate) mod scale;
pub(crate) mod scaled_pool;
pub(crate) mod squeeze;
pub(crate) mod strided;

use super::word;
use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::{Op, PoolKind, Scale, SqueezeExcite};
use crate::passes::Fusion;
use crate::plan::{Family, Lowering, SeForm, Target};
use crate::tensor::Shape;

/// What one workgroup may stream from cache in about the time of a dispatch: at 100 GB/s for one core and 2.5 µs for a
/// dependent dispatch, 250 KB for each dispatch that it saves.
const BYTES_PER_SAVED_DISPATCH: usize = 250_000;

/// Bytes of both layers' weights for one image.
fn weight_bytes(channels: usize, reduced: usize) -> usize {
    2 * 4 * channels * reduced
}

/// The workgroup of the kernels that run both layers for an image.
struct Workgroup {
    lanes: u32,
    /// Lanes that share a quad of hidden values.
    split: u32,
}

impl Workgroup {
    /// As many lanes as have a quad to do, or more where the adapter hides latency with them.
    fn new(channels: usize, reduced: usize, family: Family) -> Self {
        let (quads, reduced_quads) = (word(channels.div_ceil(4)), word(reduced.div_ceil(4)));
        let lanes = match family {
            Family::Direct => quads.next_power_of_two().clamp(8, 64),
            Family::Tiled => 256,
        };
        let split = (lanes / reduced_quads).max(1);
        Self { lanes, split: 1 << split.ilog2() }
    }

    /// Bytes of workgroup memory: squeezed channels, hidden values, a partial sum a lane.
    fn memory(&self, channels: usize, reduced: usize) -> u64 {
        (4 * (channels.next_multiple_of(4) + reduced.next_multiple_of(4))) as u64 + 16 * u64::from(self.lanes)
    }
}

/// Whether a stage's squeezed channels and hidden values fit the workgroup memory.
fn fits_workgroup(channels: usize, reduced: usize, family: Family, target: &Target) -> bool {
    let need = Workgroup::new(channels, reduced, family).memory(channels, reduced);
    need <= target.limits.max_compute_workgroup_storage_size.into()
}

/// Workgroups that share an image's gates in one dispatch, where it saves time against two. Of one dispatch, each
/// workgroup streams the first layer's weights and its share of the second's; of two, one workgroup streams four rows of
/// the first layer, the next 64 quads of columns of the second. A software adapter has no idle cores to share with.
fn shares(channels: usize, reduced: usize, family: Family) -> Option<u32> {
    let most = if family == Family::Tiled { 8 } else { 1 };
    let layer = weight_bytes(channels, reduced) / 2;
    let spread = 4 * 4 * channels + 16 * reduced * channels.div_ceil(4).min(64);
    let one_dispatch = |n: u32| layer + layer.div_ceil(n as usize);
    [1, 2, 4, 8].into_iter().find(|&n| n <= most && one_dispatch(n) <= BYTES_PER_SAVED_DISPATCH + spread)
}

/// The form for a stage that may not become one dispatch with its scale.
pub(crate) fn excite_form(channels: usize, reduced: usize, family: Family, target: &Target) -> SeForm {
    let small = shares(channels, reduced, family).is_some();
    if small && fits_workgroup(channels, reduced, family, target) { SeForm::Excite } else { SeForm::Spread }
}

/// The form for a stage whose scale may join it.
fn form(low: &Lowering, shape: Shape, reduced: usize) -> SeForm {
    let form = excite_form(shape.channels(), reduced, low.family(), low.target);
    // Squeeze and scale are saved as well, but one workgroup an image reads the map twice and writes it: on an adapter
    // that a batch does not fill, only small maps are worth it.
    let map_bytes = low.precision_of(shape).bytes() as usize * shape.len();
    let streamed = 3 * map_bytes + weight_bytes(shape.channels(), reduced);
    let alone = streamed <= 2 * BYTES_PER_SAVED_DISPATCH;
    let small = map_bytes.max(weight_bytes(shape.channels(), reduced)) <= BYTES_PER_SAVED_DISPATCH;
    let busy = low.batch >= low.target.fill as usize && small;
    if form == SeForm::Excite && (alone || busy) { SeForm::Block } else { form }
}

/// The form of a stage in a graph. The block form squeezes by mean or by maximum only.
fn form_in_graph(low: &Lowering, stage: NodeId, op: &SqueezeExcite) -> SeForm {
    let shape = low.input_shape(stage, 0);
    let squeezes = op.squeeze != PoolKind::AvgMax;
    let fusible = squeezes && low.options.fusion == Fusion::Full && only_scale(low, stage).is_some();
    match low.options.se {
        Some(SeForm::Block) if !fusible => SeForm::Excite,
        Some(form) => form,
        None if fusible => form(low, shape, op.reduced),
        None => excite_form(shape.channels(), op.reduced, low.family(), low.target),
    }
}

/// The scale that multiplies the stage's own input by its gate, if nothing else in the graph reads the gate.
fn only_scale(low: &Lowering, stage: NodeId) -> Option<NodeId> {
    let [reader] = *low.readers(stage) else { return None };
    let node = low.node(reader);
    (matches!(node.op, Op::Scale(_)) && node.inputs[0] == low.node(stage).inputs[0] && node.inputs[1] == stage)
        .then_some(reader)
}

/// Steps of the gate; none where the scale's step or the pool's computes it.
pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &SqueezeExcite) -> Result<()> {
    if scaled_pool::ending(low, id).is_some() {
        return Ok(());
    }
    let form = form_in_graph(low, id, op);
    if form == SeForm::Block {
        low.define(id)?;
        return Ok(());
    }
    let squeezed = squeeze::lower(low, id, op.squeeze)?;
    match form {
        SeForm::Excite => excite::lower_excite(low, id, op, &squeezed),
        _ => excite::lower_spread(low, id, op, &squeezed),
    }
}

/// The scale, or the whole stage.
pub(crate) fn lower_scale(low: &mut Lowering, id: NodeId, op: &Scale) -> Result<()> {
    let stage = low.node(id).inputs[1];
    match &low.node(stage).op {
        Op::SqueezeExcite(_) if scaled_pool::ending(low, stage).is_some() => Ok(()),
        Op::SqueezeExcite(se) if form_in_graph(low, stage, se) == SeForm::Block => block::lower(low, id, stage, op, se),
        _ => scale::lower(low, id, op),
    }
}
