//! Kernels that move elements and compute nothing.

pub(crate) mod channel_shuffle;
pub(crate) mod concat;
pub(crate) mod flatten;
pub(crate) mod pad;

use crate::error::Result;
use crate::graph::NodeId;
use crate::plan::{Lowering, Precision};

/// No step at all where both sides have the same bytes: 1x1 maps, vectors and tensors among each other (in half precision
/// 1x1 maps among each other), and maps that keep their channels. From one map to another the way leads through a vector.
pub(super) fn lower_reshape(low: &mut Lowering, id: NodeId) -> Result<()> {
    let (input, output) = (low.input_shape(id, 0), low.node(id).shape);
    let (stored, wanted) = (low.stored(low.input(id, 0)), low.precision_of(output));
    if input.channels() == output.channels() && stored == wanted {
        low.alias(id);
        return Ok(());
    }
    if output.plane() == 1 && wanted == Precision::F32 {
        let vector = low.define(id)?;
        return flatten::lower(low, id, 0, vector);
    }
    let vector = match input.plane() {
        1 => flatten::unless_f32(low, id, 0)?,
        _ => flatten::to_scratch(low, id, 0)?,
    };
    // A vector's images are padded to whole vec4s.
    super::layout::pack(low, id, "unflatten", vector, input.len().next_multiple_of(4))
}
