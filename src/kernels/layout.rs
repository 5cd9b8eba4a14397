//! Between dense `[N,C,H,W]` at the edges and channels-last vec4s inside.
//! Shaders `shaders/layout/{pack,pack_pixels,unpack}.wgsl` · proof `tests/gpu/cases/shape.rs`

use super::{Shader, invocations_for, params, shader, vec4s, word};
use crate::error::Result;
use crate::graph::NodeId;
use crate::plan::{InputFormat, Lowering, Precision, Slot, StepSpec};
use crate::tensor::Shape;

pub(crate) const PACK: Shader = shader! {
    "layout/pack",
    bindings: [read input, write output],
    halves: [output],
    overrides: [WORKGROUP]
};
pub(crate) const UNPACK: Shader = shader! {
    "layout/unpack",
    bindings: [read input, write output],
    halves: [input],
    overrides: [WORKGROUP]
};
params! { channels: u32, plane: u32, image: u32, vec4s: u32, count: u32 }

/// Samples of 8 bits, for a network that wants them normalised.
pub(crate) mod pixels {
    use crate::error::{Error, Result};
    use crate::graph::NodeId;
    use crate::kernels::{Shader, invocations_for, params, shader, word};
    use crate::plan::{Lowering, Normalize, StepSpec};
    use crate::tensor::Shape;

    pub(crate) const PACK: Shader = shader! {
        "layout/pack_pixels",
        bindings: [read input, write output],
        halves: [output],
        overrides: [WORKGROUP]
    };
    params! {
        channels: u32, count: u32, mean_0: f32, mean_1: f32, mean_2: f32, std_0: f32, std_1: f32, std_2: f32,
    }

    pub(crate) fn pack(low: &mut Lowering, id: NodeId, normalize: &Normalize) -> Result<()> {
        let shape = low.node(id).shape;
        let refuse = |message| Error::Input { network: low.network().into(), shape, message };
        if shape.channels() > 3 || !matches!(shape, Shape::Map { .. }) {
            let message = format!("pixels are maps of at most 3 channels, the network's images are {shape}");
            return Err(refuse(message));
        }
        normalize.check().map_err(refuse)?;
        let count = word(low.batch * shape.plane());
        let (overrides, workgroups) = invocations_for(count);
        let output = low.define(id)?;
        let ([mean_0, mean_1, mean_2], [std_0, std_1, std_2]) = (normalize.mean, normalize.std);
        let channels = word(shape.channels());
        let params = Params { channels, count, mean_0, mean_1, mean_2, std_0, std_1, std_2 };
        let bindings = vec![("input", low.plan_input()), ("output", output)];
        let spec =
            StepSpec { part: "pack", shader: &PACK, overrides, params: params.words(), workgroups, bindings, macs: 0 };
        low.step(id, spec)
    }
}

/// Packs the network's input: the first step of a plan, unless its first convolution reads the images as they come.
pub(crate) fn pack_input(low: &mut Lowering, id: NodeId) -> Result<()> {
    if let InputFormat::Pixels(normalize) = &low.options.input {
        return pixels::pack(low, id, normalize);
    }
    let shape = low.node(id).shape;
    pack(low, id, "pack", low.plan_input(), shape.len())
}

/// Makes the node's value of images that lie row-major, `image` elements apart.
pub(crate) fn pack(low: &mut Lowering, id: NodeId, part: &'static str, input: Slot, image: usize) -> Result<()> {
    let count = low.vec4_count(low.node(id).shape);
    let (overrides, workgroups) = invocations_for(count);
    let params = params_of(low.node(id).shape, image, count);
    let bindings = vec![("input", input), ("output", low.define(id)?)];
    low.step(id, StepSpec { part, shader: &PACK, overrides, params: params.words(), workgroups, bindings, macs: 0 })
}

fn params_of(shape: Shape, image: usize, count: u32) -> Params {
    let [channels, plane, image] = [shape.channels(), shape.plane(), image].map(word);
    Params { channels, plane, image, vec4s: vec4s(shape), count }
}

/// Makes a node's value an output of the plan, dense. A vector of whole vec4s is dense as it is.
pub(crate) fn unpack_output(low: &mut Lowering, name: &str, id: NodeId) -> Result<()> {
    let shape = low.node(id).shape;
    let value = low.value_of(id);
    if shape.plane() == 1 && shape.channels().is_multiple_of(4) && low.stored(value) == Precision::F32 {
        low.output(name, value, shape);
        return Ok(());
    }
    let count = low.vec4_count(shape);
    let (overrides, workgroups) = invocations_for(count);
    let dense = low.dense(name, shape)?;
    let params = params_of(shape, shape.len(), count);
    let bindings = vec![("input", value), ("output", dense)];
    let spec =
        StepSpec { part: "unpack", shader: &UNPACK, overrides, params: params.words(), workgroups, bindings, macs: 0 };
    low.step(id, spec)?;
    low.output(name, dense, shape);
    Ok(())
}
