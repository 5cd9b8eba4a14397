//! A scale in the pass of the convolution that makes the map.

use super::View;
use crate::graph::{NodeId, Patch};
use crate::ops::{Gating, Op};

/// `1x1 conv → scale` becomes one convolution that multiplies its result, when nothing else reads the convolution's: so
/// the gate is another map's, or `hoist_squeeze` has made it that.
pub(super) fn fuse_output_gate(graph: &View, id: NodeId) -> Option<Patch> {
    let Op::Scale(scale) = &graph.node(id).op else { return None };
    let [source, gate, ref residual @ ..] = *graph.node(id).inputs else { return None };
    let node = graph.node(source);
    let Op::Conv2d(conv) = &node.op else { return None };
    if !conv.may_gate_its_result(node.params[0].shape()[1]) || !graph.only_read_once(source) {
        return None;
    }
    let op = crate::ops::Conv2d { gate: Gating::Output, residual: scale.residual, act: scale.act, ..conv.clone() };
    let inputs = [node.inputs[0], gate].into_iter().chain(residual.iter().copied());
    Some(Patch::fused(graph, id, &[source], source, Op::Conv2d(op), inputs))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Act, Conv2d, Op, Scale, SqueezeExcite};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(8, 4, 4)).unwrap();
        let gate = g.add("se", Op::SqueezeExcite(SqueezeExcite::new(2)), &[x]).unwrap();
        let y = g.conv2d("conv1", x, Conv2d::new(8, 1)).unwrap();
        let y = g.scale("scale1", y, gate).unwrap();
        let y = g.conv2d("conv2", y, Conv2d::new(8, 1)).unwrap();
        let y = g.add("scale2", Op::Scale(Scale { residual: true, act: Act::Relu }), &[y, gate, x]).unwrap();
        let y = g.conv2d("grouped", y, Conv2d::new(8, 1).groups(2)).unwrap();
        let y = g.scale("scale of grouped", y, gate).unwrap();
        // A 3x3 has no gates, nor has what squeezes itself.
        let y = g.conv2d("conv3", y, Conv2d::new(8, 3).padding(1)).unwrap();
        let y = g.scale("scale3", y, gate).unwrap();
        let y = g.conv2d("conv4", y, Conv2d::new(8, 1)).unwrap();
        let y = g.squeeze_excite("own", y, SqueezeExcite::new(2)).unwrap();
        let graph = g.finish(&[("y", y)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::fuse_output_gate));
    }
}
