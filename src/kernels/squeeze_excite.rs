//! SE stages: which form, and the steps of each.
//!
//! | form | dispatches | when |
//! |---|---|---|
//! | spread | squeeze, reduce, expand, scale | weights too large for a few workgroups an image |
//! | excite | squeeze, excite, scale | weights that a few workgroups (one on software adapters) stream in the time of a dispatch |
//! | block | one | small weights and a map that one workgroup reads twice from cache (full fusion only) |
//!
//! There is no scale where a convolution multiplies by the gates: the one behind the map (`passes/fuse_gate.rs`), or the one
//! that makes it (`passes/fuse_output_gate.rs`). Behind a network's last stage may stand a global pool, which takes the second
//! layer and the scale (`scaled_pool`).
//!
//! Meaning `ops/squeeze_excite.rs`, `ops/binary.rs` · proof `tests/gpu/cases/squeeze_excite.rs`

pub(crate) mod block;
pub(crate) mod choice;
pub(crate) mod dense;
pub(crate) mod excite;
pub(crate) mod scale;
pub(crate) mod scaled_pool;
pub(crate) mod squeeze;
pub(crate) mod strided;

use super::{VECTOR, word};
use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::{Op, Scale, SqueezeExcite};
use crate::param::Param;
use crate::plan::{Family, Lowering, SeForm};

/// The widths of a stage's layers: channels that are squeezed, hidden values, gates.
#[derive(Clone, Copy, Debug)]
struct Widths {
    squeezed: usize,
    reduced: usize,
    gates: usize,
}

impl Widths {
    fn of(low: &Lowering, stage: NodeId, op: &SqueezeExcite) -> Self {
        let (squeezed, gates) = (low.input_shape(stage, 0).channels(), low.node(stage).shape.channels());
        Self { squeezed, reduced: op.reduced, gates }
    }

    /// Bytes of each layer's weights.
    fn layers(self) -> [f64; 2] {
        [self.squeezed, self.gates].map(|width| (4 * width * self.reduced) as f64)
    }

    /// Quads of each.
    fn quads(self) -> [u32; 3] {
        [self.squeezed, self.reduced, self.gates].map(|width| word(width.div_ceil(4)))
    }

    /// Multiply-adds of each layer for a batch.
    fn macs(self, low: &Lowering) -> [u64; 2] {
        [self.squeezed, self.gates].map(|width| (low.batch * width * self.reduced) as u64)
    }
}

/// The workgroup of the kernels that run both layers for an image.
struct Workgroup {
    lanes: u32,
    /// Lanes that share a quad of hidden values.
    split: u32,
}

impl Workgroup {
    /// One vector of a software adapter, for its barriers cost by the vector; many lanes where the adapter hides latency with
    /// them.
    fn new(reduced: usize, family: Family) -> Self {
        let reduced_quads = word(reduced.div_ceil(4));
        let lanes = match family {
            Family::Direct => VECTOR,
            Family::Tiled => 256,
        };
        let split = (lanes / reduced_quads).max(1);
        Self { lanes, split: 1 << split.ilog2() }
    }

    /// Rows of lanes that share a squeeze of `depth` pixels or parts: what lanes the channels leave, at most a power of two
    /// near the depth.
    fn rows(&self, quads: u32, depth: u32) -> u32 {
        let wide = quads.next_power_of_two().min(64);
        (self.lanes / wide).clamp(1, depth.next_power_of_two())
    }

    /// Bytes of workgroup memory: squeezed channels, hidden values, a partial sum a lane.
    fn memory(&self, squeezed: usize, reduced: usize) -> u64 {
        (4 * (squeezed.next_multiple_of(4) + reduced.next_multiple_of(4))) as u64 + 16 * u64::from(self.lanes)
    }
}

/// The form of a stage in a graph.
fn form_in_graph(low: &Lowering, stage: NodeId, op: &SqueezeExcite) -> SeForm {
    choice::stage(low, stage, op).taken
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
    let choice::Decision { taken, why } = choice::stage(low, id, op);
    low.begin_stage(id, op.reduced, why);
    if scaled_pool::ending(low, id).is_some() {
        return Ok(());
    }
    if taken == SeForm::Block {
        low.define(id)?;
        return Ok(());
    }
    let squeezed = squeeze::lower(low, id, op.squeeze)?;
    let takes_in = matches!(low.node(id).params[0], Param::Product { .. });
    if let Some(record) = low.stage(id).filter(|_| takes_in) {
        record.squeeze.push_str("; the 1x1 convolution after it is in the first layer");
    }
    match taken {
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
