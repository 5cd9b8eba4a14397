//! An activation in the pass of the op before it.

use super::View;
use crate::graph::{NodeId, Patch};
use crate::ops::{Act, Op};

/// `op → activation` becomes one op when the op has room for it and nothing else reads the op's output.
pub(super) fn fuse_activation(graph: &View, id: NodeId) -> Option<Patch> {
    let Op::Activation(act) = graph.node(id).op else { return None };
    let source = graph.sole_source(id)?;
    let node = graph.node(source);
    if node.op.act()? != Act::Identity {
        return None;
    }
    Some(Patch::fused(graph, id, &[source], source, node.op.with_act(act)?, node.inputs.iter().copied()))
}

#[cfg(test)]
mod tests {
    use crate::ops::Act;
    use crate::ops::Conv2d;
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        let a = g.conv2d("conv1", x, Conv2d::new(3, 1)).unwrap();
        let a = g.activation("silu", a, Act::Silu).unwrap();
        // A second activation finds no room; a value with two consumers keeps its own.
        let a = g.activation("tanh", a, Act::Tanh).unwrap();
        let b = g.conv2d("conv2", a, Conv2d::new(3, 1)).unwrap();
        let c = g.activation("relu", b, Act::Relu).unwrap();
        let x = g.sum("sum", b, c).unwrap();
        let x = g.activation("gelu", x, Act::Gelu).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::fuse_activation));
    }
}
