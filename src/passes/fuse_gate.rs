//! A scale in the pass of the convolution that reads it.

use super::View;
use crate::graph::{NodeId, Patch};
use crate::ops::{Act, Gating, Op};

/// `scale(x, gate) → conv` becomes one convolution that multiplies by the gate, when nothing else reads the scaled map:
/// a 1x1 while it loads, the projection of an MBConv block; a depthwise one its sums, which comes to the same.
pub(super) fn fuse_gate(graph: &View, id: NodeId) -> Option<Patch> {
    let node = graph.node(id);
    let Op::Conv2d(conv) = &node.op else { return None };
    let source = node.inputs[0];
    let scale = graph.node(source);
    let Op::Scale(op) = &scale.op else { return None };
    let plain = !op.residual && op.act == Act::Identity && graph.only_read_once(source);
    if !plain || conv.gated() || !(conv.is_pointwise() || conv.is_depthwise(node.params[0].shape()[1])) {
        return None;
    }
    let op = Op::Conv2d(crate::ops::Conv2d { gate: Gating::Input, ..conv.clone() });
    let inputs = scale.inputs.iter().chain(&node.inputs[1..]).copied();
    Some(Patch::fused(graph, id, &[source], id, op, inputs))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Conv2d, SqueezeExcite};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(8, 4, 4)).unwrap();
        let x = g.conv2d("depthwise", x, Conv2d::new(8, 3).padding(1).groups(8)).unwrap();
        let x = g.squeeze_excite("se1", x, SqueezeExcite::new(2)).unwrap();
        let x = g.conv2d("project", x, Conv2d::new(6, 1)).unwrap();
        let x = g.squeeze_excite("se3", x, SqueezeExcite::new(2)).unwrap();
        let x = g.conv2d("separable", x, Conv2d::new(6, 3).padding(1).groups(6)).unwrap();
        // Other 3x3 read every element nine times, so their scale stays a pass.
        let y = g.squeeze_excite("se2", x, SqueezeExcite::new(2)).unwrap();
        let y = g.conv2d("conv", y, Conv2d::new(6, 3).padding(1)).unwrap();
        let x = g.sum("sum", x, y).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::fuse_gate));
    }
}
