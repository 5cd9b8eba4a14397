//! Padding into the convolution after it.

use super::View;
use crate::graph::{NodeId, Patch, PatchNode, Source};
use crate::ops::{Op, Padding};

/// `pad → conv` becomes one convolution with both paddings when nothing else reads the padded map.
pub(super) fn fold_padding(graph: &View, id: NodeId) -> Option<Patch> {
    let node = graph.node(id);
    let Op::Conv2d(conv) = &node.op else { return None };
    let source = node.inputs[0];
    let Op::Pad(pad) = &graph.node(source).op else { return None };
    if !graph.only_read_once(source) {
        return None;
    }
    let (own, more) = (conv.padding, pad.padding()?);
    let padding = Padding {
        top: own.top + more.top,
        bottom: own.bottom + more.bottom,
        left: own.left + more.left,
        right: own.right + more.right,
    };
    let mut inputs: Vec<Source> = node.inputs.iter().map(|&i| Source::Old(i)).collect();
    inputs[0] = Source::Old(graph.node(source).inputs[0]);
    let patched = PatchNode {
        name: node.name.clone(),
        op: Op::Conv2d(conv.clone().padding(padding)),
        inputs,
        params: node.params.clone(),
    };
    Some(Patch::node(graph, id, &[source], patched))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Conv2d, Op, Padding};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 5, 5)).unwrap();
        let padding = Padding { top: 0, bottom: 1, left: 2, right: 3 };
        let x = g.add("pad", Op::Pad(padding.into()), &[x]).unwrap();
        let x = g.conv2d("conv", x, Conv2d::new(2, 3).padding(1)).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::fold_padding));
    }
}
