//! Kernels that move elements and compute nothing.

pub(crate) mod channel_shuffle;
pub(crate) mod concat;
pub(crate) mod flatten;
pub(crate) mod pad;

use crate::error::Result;
use crate::graph::NodeId;
use crate::plan::Lowering;

/// No step at all where both sides have the same bytes: 1x1 maps, vectors and tensors among each other, and maps that keep
/// their channels. From one map to another the way leads through a vector.
pub(super) fn lower_reshape(low: &mut Lowering, id: NodeId) -> Result<()> {
    let (input, output) = (low.input_shape(id, 0), low.node(id).shape);
    if input.channels() == output.channels() {
        low.alias(id);
        return Ok(());
    }
    if output.plane() == 1 {
        let vector = low.define(id)?;
        return flatten::lower(low, id, vector);
    }
    let vector = match input.plane() {
        1 => low.input(id, 0),
        _ => {
            let vector = low.scratch(id, "vector", super::word(input.len().div_ceil(4)))?;
            flatten::lower(low, id, vector)?;
            vector
        }
    };
    // A vector's images are padded to whole quads.
    super::layout::pack(low, id, "unflatten", vector, input.len().next_multiple_of(4))
}
