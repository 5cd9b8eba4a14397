//! Nodes whose value is their input's.

use super::View;
use crate::graph::{NodeId, Patch};
use crate::ops::{Act, Op, Pad};

/// `identity(x)`, `pad 0 (x)`, a reshape to the same shape, axes in the order that they have, `concat(x)`, a shuffle of
/// one group or of single channels, a 1x1 pool of stride 1 → `x`.
pub(super) fn drop_no_ops(graph: &View, id: NodeId) -> Option<Patch> {
    let node = graph.node(id);
    let same_shape = node.inputs.first().is_some_and(|&input| graph.node(input).shape == node.shape);
    let no_op = match &node.op {
        Op::Activation(act) => *act == Act::Identity,
        Op::Pad(pad) => *pad == Pad::default(),
        Op::Reshape(_) => true,
        Op::Permute(permute) => permute.order.is_sorted(),
        Op::Concat(_) => node.inputs.len() == 1,
        Op::ChannelShuffle(shuffle) => shuffle.groups == 1 || shuffle.groups == node.shape.channels(),
        Op::Pool(pool) => pool.kernel == [1, 1] && pool.stride == [1, 1],
        _ => false,
    };
    (no_op && same_shape).then(|| Patch::alias(id, node.inputs[0]))
}

#[cfg(test)]
mod tests {
    use crate::ops::Act;
    use crate::ops::{ChannelShuffle, Op, Pad, Permute, Pool, Reshape};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(4, 3, 3)).unwrap();
        let x = g.activation("identity", x, Act::Identity).unwrap();
        let x = g.add("pad", Op::Pad(Pad::default()), &[x]).unwrap();
        let x = g.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups: 4 }), &[x]).unwrap();
        let x = g.pool("pool1", x, Pool::max(1)).unwrap();
        let x = g.activation("relu", x, Act::Relu).unwrap();
        let x = g.concat("concat", &[x]).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let x = g.add("flatten", Op::Reshape(Reshape { shape: Shape::vector(4) }), &[x]).unwrap();
        let x = g.add("tensor", Op::Reshape(Reshape { shape: Shape::tensor(&[2, 2]) }), &[x]).unwrap();
        let x = g.add("permute", Op::Permute(Permute { order: vec![0, 1] }), &[x]).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::drop_no_ops));
    }
}
