//! Batch norm into the layer before it.

use super::View;
use crate::graph::{NodeId, Patch, PatchNode, Source};
use crate::ops::{Act, Op};
use crate::param::{Norm, Param};

/// `conv → batch_norm` and `linear → batch_norm` become one layer when nobody else reads the layer's output.
pub(super) fn fold_batch_norm(graph: &View, id: NodeId) -> Option<Patch> {
    let Op::BatchNorm(norm) = &graph.node(id).op else { return None };
    let source = graph.sole_source(id)?;
    let layer = graph.node(source);
    let op = match &layer.op {
        Op::Conv2d(conv) if conv.act == Act::Identity && !conv.residual => {
            Op::Conv2d(crate::Conv2d { bias: true, act: norm.act, ..conv.clone() })
        }
        Op::Linear(linear) if linear.act == Act::Identity => {
            Op::Linear(crate::Linear { bias: true, act: norm.act, ..linear.clone() })
        }
        _ => return None,
    };
    let params = graph.node(id).params.clone().try_into().expect("a batch norm has four parameters");
    let norm = Norm { params: Box::new(params), eps: norm.eps };
    let weight = Box::new(layer.params[0].clone());
    let bias = layer.params.get(1).cloned().map(Box::new);
    let node = PatchNode {
        name: layer.name.clone(),
        op,
        inputs: vec![Source::Old(layer.inputs[0])],
        params: vec![Param::FoldedWeight { weight, norm: norm.clone() }, Param::FoldedBias { bias, norm }],
    };
    Some(Patch::node(graph, id, &[source], node))
}

#[cfg(test)]
mod tests {
    use crate::ops::{BatchNorm, Conv2d, Linear};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 5, 5)).unwrap();
        let x = g.conv2d("conv1", x, Conv2d::new(6, 3).bias(false)).unwrap();
        let x = g.batch_norm("bn1", x, BatchNorm::default()).unwrap();
        let y = g.conv2d("conv2", x, Conv2d::new(6, 1).groups(2)).unwrap();
        let y = g.batch_norm("bn2", y, BatchNorm::eps(1e-3)).unwrap();
        // Two readers: the sum sees the value before the norm, so nothing folds.
        let z = g.conv2d("conv3", y, Conv2d::new(6, 1)).unwrap();
        let n = g.batch_norm("bn3", z, BatchNorm::default()).unwrap();
        let x = g.sum("sum", n, z).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let x = g.linear("fc", x, Linear::new(4)).unwrap();
        let x = g.batch_norm("bn4", x, BatchNorm::default()).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::fold_batch_norm));
    }
}
