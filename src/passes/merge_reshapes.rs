//! A reshape of a reshape.

use super::View;
use crate::graph::{NodeId, Patch, PatchNode, Source};
use crate::ops::Op;

/// `reshape → reshape` becomes one reshape when nothing else reads the value between: elements keep their order.
pub(super) fn merge_reshapes(graph: &View, id: NodeId) -> Option<Patch> {
    let node = graph.node(id);
    let Op::Reshape(_) = node.op else { return None };
    let source = graph.sole_source(id)?;
    let Op::Reshape(_) = graph.node(source).op else { return None };
    let merged = PatchNode {
        name: node.name.clone(),
        op: node.op.clone(),
        inputs: vec![Source::Old(graph.node(source).inputs[0])],
        params: Vec::new(),
    };
    Some(Patch::node(graph, id, &[source], merged))
}

#[cfg(test)]
mod tests {
    use crate::ops::Act;
    use crate::ops::{Op, Reshape};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let reshape = |shape: &[usize]| Op::Reshape(Reshape { shape: Shape::tensor(shape) });
        let x = g.input(Shape::map(4, 3, 2)).unwrap();
        let x = g.add("rows", reshape(&[4, 6]), &[x]).unwrap();
        let x = g.add("pairs", reshape(&[12, 2]), &[x]).unwrap();
        let x = g.flatten("flat", x).unwrap();
        // Two consumers: the value between stays.
        let y = g.add("columns", reshape(&[6, 4]), &[x]).unwrap();
        let y = g.activation("relu", y, Act::Relu).unwrap();
        let z = g.activation("tanh", x, Act::Tanh).unwrap();
        let graph = g.finish(&[("y", y), ("z", z)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::merge_reshapes));
    }
}
