//! Convolutions: which kernel, and what all of them share.
//! Meaning `ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`

pub(crate) mod combine;
pub(crate) mod depthwise;
pub(crate) mod general;
pub(crate) mod pointwise;
mod tiles;
pub(crate) mod winograd;

use super::pack::Packing;
use super::{act_overrides, flag};
use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::{Conv2d, Definition};
use crate::param::Param;
use crate::plan::{Bindings, Lowering, Side, Slot};
use crate::schedule::convolution::Kind;
use crate::schedule::{Algorithm, Convolution};

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d, conv: &Convolution) -> Result<()> {
    match (&conv.algorithm, conv.problem.kind) {
        (Algorithm::Depthwise(tiles), _) => depthwise::lower(low, id, op, conv, tiles)?,
        (Algorithm::Winograd(tiles), _) => winograd::lower(low, id, op, conv, tiles)?,
        (Algorithm::FilterBlocks(blocks), _) => general::lower_blocks(low, id, op, conv, blocks)?,
        (Algorithm::Tiles(tiles), Kind::Pointwise) => pointwise::lower(low, id, op, conv, tiles)?,
        (Algorithm::Tiles(tiles), _) => general::lower(low, id, op, conv, tiles)?,
    }
    low.chose(&conv.problem, conv.choice);
    Ok(())
}

/// Room for the sums that the kernel keeps, where a squeeze wants them.
fn side(low: &mut Lowering, id: NodeId, conv: &Convolution) -> Result<Side> {
    Ok(match conv.sums {
        Some(sums) => Side::Sums(low.keep_sums(id, sums)?),
        None => Side::Nothing,
    })
}

/// Overrides of `shaders/axis/epilogue/whole_sum.wgsl`.
fn epilogue(op: &Conv2d) -> Vec<(&'static str, f64)> {
    let mut overrides = vec![flag("RESIDUAL", op.residual)];
    overrides.extend(act_overrides(op.act));
    overrides
}

/// What every convolution kernel binds, but for its gate.
fn bindings(low: &mut Lowering, id: NodeId, op: &Conv2d, input: Slot, packing: Packing) -> Result<Bindings> {
    let node = low.node(id);
    let weight = low.stored_weight(&node.params[0], packing)?;
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_channels] };
    let bias = low.weight(&[node.params.get(1).unwrap_or(&no_bias)], Packing::Vector)?;
    let mut bindings = vec![("input", input), ("weight", weight), ("bias", bias), ("output", low.define(id)?)];
    bindings.extend(op.residual.then(|| ("residual", low.input(id, node.inputs.len() - 1))));
    Ok(bindings)
}

fn macs(low: &Lowering, id: NodeId, op: &Conv2d) -> u64 {
    low.batch as u64 * op.macs(&[low.input_shape(id, 0)], low.node(id).shape)
}
