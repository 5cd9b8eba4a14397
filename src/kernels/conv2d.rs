//! Convolutions: which kernel, and what all of them share.
//! Meaning `ops/conv2d.rs` · proof `tests/gpu/cases/conv2d.rs`

mod choice;
pub(crate) mod combine;
pub(crate) mod depthwise;
pub(crate) mod general;
pub(crate) mod pointwise;
mod tiles;
pub(crate) mod winograd;

pub use choice::Choice;
pub(crate) use choice::{Kind, Problem, kind};

use super::pack::Packing;
use super::shape::flatten;
use super::{act_overrides, flag, linear, word};
use crate::error::{Error, Result};
use crate::graph::NodeId;
use crate::ops::{Conv2d, Gating, Meaning, Padding};
use crate::param::Param;
use crate::plan::{ChosenBy, Lowering, Slot};
use crate::tensor::Shape;
use tiles::Tiles;

pub(crate) fn lower(low: &mut Lowering, id: NodeId, op: &Conv2d) -> Result<()> {
    let Some(problem) = choice::problem(low, id, op) else {
        return linear::lower_filters(low, id, op.act);
    };
    let refuse = |message: &str| Err(Error::node(op.kind(), &low.node(id).name, message));
    match (op.gate, problem.kind) {
        (Gating::Input, Kind::General) => {
            return refuse("only a depthwise one, or a 1x1 of stride 1 without groups, has a gate of its input");
        }
        (Gating::Output, Kind::Depthwise) => return refuse("a depthwise convolution has no gate of its result"),
        _ => {}
    }
    let filters = general::filters_a_binding(low, id, op);
    let choice = choice::choose(low, &problem)?;
    let choice = filters.map_or(choice, |filters| choice.of_filters(word(filters / 4), low.family()));
    let steps = low.step_count();
    match (filters, problem.kind) {
        (Some(filters), _) => general::lower_filters(low, id, op, choice, filters)?,
        (None, Kind::Depthwise) => depthwise::lower(low, id, op, choice)?,
        (None, Kind::Pointwise) => pointwise::lower(low, id, op, choice)?,
        (None, Kind::General) if choice == Choice::Winograd => winograd::lower(low, id, op)?,
        (None, Kind::General) => general::lower(low, id, op, choice)?,
    }
    let tuned = || low.options.tuning.as_ref().is_some_and(|tuning| tuning.choice(&problem.key()).is_some());
    let by = if low.options.family.is_some() {
        ChosenBy::Forced
    } else if tuned() {
        ChosenBy::Tuned
    } else {
        ChosenBy::Static
    };
    low.chose(id, steps, problem, choice, by);
    Ok(())
}

/// Whether the only window is the whole map: a fully connected layer on a map, as VGG's first one.
pub(crate) fn is_linear(op: &Conv2d, input: Shape) -> bool {
    let whole =
        op.kernel == [input.height(), input.width()] && op.dilation == [1, 1] && op.padding == Padding::default();
    whole && input.plane() > 1 && op.groups == 1 && !op.residual && !op.gated()
}

/// Overrides of `shaders/common/epilogue.wgsl`.
fn epilogue(op: &Conv2d) -> Vec<(&'static str, f64)> {
    let mut overrides = vec![flag("RESIDUAL", op.residual)];
    overrides.extend(act_overrides(op.act));
    overrides
}

/// The five bindings of every convolution kernel.
fn bindings(low: &mut Lowering, id: NodeId, op: &Conv2d, packing: Packing) -> Result<Vec<Slot>> {
    let node = low.node(id);
    let weight = low.stored_weight(&node.params[0], packing)?;
    let no_bias = Param::Fill { value: 0.0, shape: vec![op.out_channels] };
    let bias = low.weight(&[node.params.get(1).unwrap_or(&no_bias)], Packing::Vector)?;
    // Without a residual the slot holds the weight, which the shader then does not read through it.
    let residual = if op.residual { low.input(id, low.node(id).inputs.len() - 1) } else { weight };
    Ok(vec![low.input(id, 0), weight, bias, residual, low.define(id)?])
}

/// The gate of a convolution that multiplies its result, which the stage's record then says.
fn result_gate(low: &mut Lowering, id: NodeId) -> Result<Slot> {
    let node = low.node(id);
    low.note_scale(node.inputs[1], format!("in {}, which makes the map", node.name));
    flatten::unless_f32(low, id, 1)
}

fn macs(low: &Lowering, id: NodeId, op: &Conv2d) -> u64 {
    low.batch as u64 * op.macs(&[low.input_shape(id, 0)], low.node(id).shape)
}

/// Groups as the kernels take them: PyTorch's, merged until channels of a group are whole quads.
struct Groups {
    groups: usize,
    merge: usize,
}

/// Up to four neighbouring groups become one, with zeros in the weights between them; where that does not come out
/// even, all do.
fn merged_groups(op: &Conv2d, in_channels: usize) -> Groups {
    let whole = |merge: &usize| {
        op.groups.is_multiple_of(*merge)
            && (op.groups == *merge
                || (in_channels / op.groups * merge).is_multiple_of(4)
                    && (op.out_channels / op.groups * merge).is_multiple_of(4))
    };
    let merge = [1, 2, 4].into_iter().find(whole).unwrap_or(op.groups);
    Groups { groups: op.groups / merge, merge }
}
