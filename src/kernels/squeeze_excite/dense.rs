//! Squeeze and scale of dense `[N,C,H,W]` maps by vec4s, which cross the borders of planes. Only the stand-alone block
//! uses them. Shaders `shaders/squeeze_excite/{squeeze,scale}_dense.wgsl`

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{INVOCATIONS, Shader, act_overrides, flag, vec4s, word};
use crate::ops::{PoolKind, Scale};
use crate::plan::{Bindings, Family, Lowering, SeLayout, Slot, StepSpec};
use crate::tensor::Shape;

pub(crate) const SQUEEZE: Shader = squeeze::SHADER;
pub(crate) const SCALE: Shader = scale::SHADER;

/// Whether maps can be read so: every image begins with a vec4, or its bits would depend on its place in the batch, and
/// no vec4 lies in more than two planes.
pub(super) fn suits(layout: SeLayout, shape: Shape) -> bool {
    layout == SeLayout::Nchw && shape.len().is_multiple_of(4) && shape.plane() >= 3
}

pub(super) fn squeeze(low: &mut Lowering, se_block: NodeId, kind: PoolKind, value: Slot) -> Result<()> {
    let shape = low.input_shape(se_block, 0);
    let count = 4 * vec4s(shape) * low.images();
    // Neighbouring invocations of a GPU read neighbouring vec4s; software adapters rather wait for no one else.
    let [planes, rows] = match low.family() {
        Family::Direct => [16, 1],
        Family::Tiled => {
            let rows = vec4s_of_plane(shape).next_power_of_two().min(INVOCATIONS);
            [INVOCATIONS / rows, rows]
        }
    };
    let overrides = [("VEC4S", planes), ("ROWS", rows), ("WORKGROUP", planes * rows)];
    let mut overrides: Vec<_> = overrides.into_iter().map(|(name, value)| (name, f64::from(value))).collect();
    overrides.push(("KIND", kind.code()));
    let spec = StepSpec {
        part: "squeeze",
        shader: &SQUEEZE,
        overrides,
        params: squeeze::params(shape, count),
        workgroups: count.div_ceil(planes),
        bindings: vec![("input", low.input(se_block, 0)), ("output", value)],
        macs: 0,
    };
    low.step(se_block, spec)
}

pub(super) fn scale(low: &mut Lowering, id: NodeId, op: &Scale, output: Slot) -> Result<()> {
    let shape = low.input_shape(id, 0);
    let planes = word(shape.channels()) * low.images();
    let invocations = vec4s_of_plane(shape).next_power_of_two().clamp(16, INVOCATIONS);
    let mut overrides = vec![("WORKGROUP", f64::from(invocations)), flag("RESIDUAL", op.residual)];
    overrides.extend(act_overrides(op.act));
    let spec = StepSpec {
        part: "",
        shader: &SCALE,
        overrides,
        params: scale::params(shape, planes),
        workgroups: planes,
        bindings: scale_bindings(low, id, op, output),
        macs: 0,
    };
    low.step(id, spec)
}

/// What the scale of a map in a caller's layout binds.
pub(super) fn scale_bindings(low: &Lowering, id: NodeId, op: &Scale, output: Slot) -> Bindings {
    // Without a residual its binding holds the input, which the shader then does not read again.
    let residual = low.input(id, if op.residual { 2 } else { 0 });
    vec![("input", low.input(id, 0)), ("gate", low.input(id, 1)), ("residual", residual), ("output", output)]
}

fn vec4s_of_plane(shape: Shape) -> u32 {
    word(shape.plane().div_ceil(4))
}

mod squeeze {
    use crate::kernels::{Shader, params, shader, word};
    use crate::tensor::Shape;
    pub(super) const SHADER: Shader = shader! {
        "squeeze_excite/squeeze_dense",
        bindings: [read input, write output],
        overrides: [VEC4S, ROWS, WORKGROUP, KIND]
    };
    params! { channels: u32, padded: u32, plane: u32, count: u32 }
    pub(super) fn params(shape: Shape, count: u32) -> Vec<u32> {
        let channels = word(shape.channels());
        Params { channels, padded: channels.next_multiple_of(4), plane: word(shape.plane()), count }.words()
    }
}

mod scale {
    use crate::kernels::{Shader, params, shader, word};
    use crate::tensor::Shape;
    pub(super) const SHADER: Shader = shader! {
        "squeeze_excite/scale_dense",
        bindings: [read input, read gate, read residual, write output],
        overrides: [WORKGROUP, RESIDUAL, ACT, ACT_A, ACT_B, ACT_C, ACT_D]
    };
    params! { channels: u32, padded: u32, plane: u32, count: u32 }
    pub(super) fn params(shape: Shape, count: u32) -> Vec<u32> {
        let channels = word(shape.channels());
        Params { channels, padded: channels.next_multiple_of(4), plane: word(shape.plane()), count }.words()
    }
}
