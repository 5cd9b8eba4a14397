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
use crate::ops::{Conv2d, Meaning};
use crate::param::Param;
use crate::plan::{Lowering, Side, Slot};
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

/// Overrides of `shaders/common/epilogue.wgsl`.
fn epilogue(op: &Conv2d) -> Vec<(&'static str, f64)> {
    let mut overrides = vec![flag("RESIDUAL", op.residual)];
    overrides.extend(act_overrides(op.act));
    overrides
}

/// The five bindings of every convolution kernel.
fn bindings(low: &mut Lowering, id: NodeId, op: &Conv2d, input: Slot, packing: Packing) -> Result<Vec<Slot>> {
    let node = low.node(id);
    let weight = low.stored_weight(&node.params[0], packing)?;
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_channels] };
    let bias = low.weight(&[node.params.get(1).unwrap_or(&no_bias)], Packing::Vector)?;
    // Without a residual the slot holds the weight, which the shader then does not read through it.
    let residual = if op.residual { low.input(id, low.node(id).inputs.len() - 1) } else { weight };
    Ok(vec![input, weight, bias, residual, low.define(id)?])
}

fn macs(low: &Lowering, id: NodeId, op: &Conv2d) -> u64 {
    low.batch as u64 * op.macs(&[low.input_shape(id, 0)], low.node(id).shape)
}
