//! SE blocks: which variant, and the steps of each.
//!
//! | variant | dispatches | when |
//! |---|---|---|
//! | spread | squeeze, reduce, expand, scale | weights too large for a few workgroups an image |
//! | excite | squeeze, excite, scale | weights that a few workgroups (one on software adapters) stream in the time of a dispatch |
//! | block | one | small weights and a map that one workgroup reads twice from cache (full fusion only) |
//!
//! There is no scale where a convolution multiplies by the gates: the one behind the map (`passes/fuse_gate.rs`), or
//! the one that makes it (`passes/fuse_output_gate.rs`). Behind a network's last SE block may stand a global pool,
//! which takes the second layer and the scale (`scaled_pool`).
//!
//! Meaning `ops/squeeze_excite.rs`, `ops/binary.rs` · proof `tests/gpu/cases/squeeze_excite.rs`

pub(crate) mod block;
pub(crate) mod dense;
pub(crate) mod excite;
pub(crate) mod scale;
pub(crate) mod scaled_pool;
pub(crate) mod squeeze;
pub(crate) mod strided;

use crate::error::Result;
use crate::graph::NodeId;
use crate::ops::SqueezeExcite;
use crate::plan::{Lowering, SeVariant};
use crate::schedule::{Squeeze, Widths};

/// The widths of an SE block's layers.
fn widths(low: &Lowering, se: NodeId, op: &SqueezeExcite) -> Widths {
    let (squeezed, gates) = (low.input_shape(se, 0).channels(), low.node(se).shape.channels());
    Widths { squeezed, reduced: op.reduced, gates }
}

/// Steps of the gates of an SE block.
pub(crate) fn lower(
    low: &mut Lowering,
    id: NodeId,
    op: &SqueezeExcite,
    squeeze: &Squeeze,
    variant: SeVariant,
    shares: u32,
) -> Result<()> {
    let squeezed = squeeze::lower(low, id, op.squeeze, squeeze)?;
    match variant {
        SeVariant::Spread => excite::lower_spread(low, id, op, &squeezed),
        SeVariant::Excite | SeVariant::Block => excite::lower_excite(low, id, op, &squeezed, shares),
    }
}
