//! Batch norms, and other multiples with a shift, into the layer before them.

use super::View;
use crate::graph::{NodeId, Patch, PatchNode, Source};
use crate::ops::{Act, Conv2d, Gating, Linear, Op};
use crate::param::{Norm, Param};

/// `conv → batch_norm` and `linear → batch_norm` become one layer when nothing else reads the layer's output.
pub(super) fn fold_batch_norm(graph: &View, id: NodeId) -> Option<Patch> {
    let node = graph.node(id);
    let Op::BatchNorm(op) = &node.op else { return None };
    let params = node.params.clone().try_into().expect("a batch norm has four parameters");
    fold(graph, id, Norm { params: Box::new(params), eps: op.eps }, op.act)
}

/// The same for an activation that is a multiple and a shift.
pub(super) fn fold_multiple(graph: &View, id: NodeId) -> Option<Patch> {
    let node = graph.node(id);
    let Op::Activation(Act::Clamp { scale, shift, min: f32::MIN, max: f32::MAX }) = node.op else { return None };
    let fill = |value: f32| Param::Fill { value, shape: vec![node.shape.channels()] };
    fold(graph, id, Norm { params: Box::new([scale, shift, 0.0, 1.0].map(fill)), eps: 0.0 }, Act::Identity)
}

/// A norm and an activation into the layer before.
fn fold(graph: &View, id: NodeId, norm: Norm, act: Act) -> Option<Patch> {
    let source = graph.sole_source(id)?;
    let layer = graph.node(source);
    let op = match &layer.op {
        Op::Conv2d(conv) if conv.act == Act::Identity && !conv.residual && may_come_first(&norm, conv) => {
            Op::Conv2d(Conv2d { bias: true, act, ..conv.clone() })
        }
        Op::Linear(linear) if linear.act == Act::Identity => Op::Linear(Linear { bias: true, act, ..linear.clone() }),
        _ => return None,
    };
    let weight = Box::new(layer.params[0].clone());
    let bias = layer.params.get(1).cloned().map(Box::new);
    let node = PatchNode {
        name: layer.name.clone(),
        op,
        inputs: layer.inputs.iter().map(|&i| Source::Old(i)).collect(),
        params: vec![Param::FoldedWeight { weight, norm: norm.clone() }, Param::FoldedBias { bias, norm }],
    };
    Some(Patch::node(graph, id, &[source], node))
}

/// Whether a norm after a convolution may as well stand before its gate: in front of one that multiplies the result,
/// only what has no shift.
fn may_come_first(norm: &Norm, conv: &Conv2d) -> bool {
    let is_zero = |param: &Param| matches!(param, Param::Fill { value: 0.0, .. });
    conv.gate != Gating::Output || norm.params[1..3].iter().all(is_zero)
}

#[cfg(test)]
mod tests {
    use crate::ops::{Act, BatchNorm, Conv2d, Gating, Linear, Op};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 5, 5)).unwrap();
        let x = g.conv2d("conv1", x, Conv2d::new(6, 3).bias(false)).unwrap();
        let x = g.batch_norm("bn1", x, BatchNorm::default()).unwrap();
        let y = g.conv2d("conv2", x, Conv2d::new(6, 1).groups(2)).unwrap();
        let y = g.batch_norm("bn2", y, BatchNorm::eps(1e-3)).unwrap();
        // Two consumers: the sum sees the value before the norm, so nothing folds.
        let z = g.conv2d("conv3", y, Conv2d::new(6, 1)).unwrap();
        let n = g.batch_norm("bn3", z, BatchNorm::default()).unwrap();
        let x = g.sum("sum", n, z).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let x = g.linear("fc", x, Linear::new(4)).unwrap();
        let x = g.batch_norm("bn4", x, BatchNorm::default()).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::fold_batch_norm));
    }

    /// What a gate multiplies may be multiplied before, but not shifted.
    #[test]
    fn multiples_snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 5, 5)).unwrap();
        let gate = g.add("se", Op::SqueezeExcite(crate::ops::SqueezeExcite::new(2)), &[x]).unwrap();
        let gated = || Op::Conv2d(Conv2d { gate: Gating::Output, ..Conv2d::new(3, 1) });
        let x = g.add("conv1", gated(), &[x, gate]).unwrap();
        let x = g.activation("times", x, Act::affine(0.17, 0.0)).unwrap();
        let x = g.add("conv2", gated(), &[x, gate]).unwrap();
        let x = g.activation("shift", x, Act::affine(0.17, 0.5)).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let x = g.linear("fc", x, Linear::new(4)).unwrap();
        let x = g.activation("twice", x, Act::affine(2.0, 0.5)).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::fold_multiple));
    }

    #[test]
    fn a_shift_stays_behind_a_gate() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 5, 5)).unwrap();
        let gate = g.add("se", Op::SqueezeExcite(crate::ops::SqueezeExcite::new(2)), &[x]).unwrap();
        let x = g.add("conv", Op::Conv2d(Conv2d { gate: Gating::Output, ..Conv2d::new(3, 1) }), &[x, gate]).unwrap();
        let x = g.batch_norm("norm", x, BatchNorm::default()).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        let after = super::super::run(graph.clone(), super::fold_batch_norm).unwrap();
        assert_eq!(graph.to_string(), after.to_string());
    }
}
