//! A squeeze in front of the convolution whose result it is of.

use super::View;
use crate::graph::{Node, NodeId, Patch, PatchNode, Source};
use crate::ops::{Op, PoolKind, SqueezeExcite};
use crate::param::Param;

/// `conv → squeeze_excite` becomes a `squeeze_excite` of the convolution's input, where the convolution is a 1x1
/// without an activation. The mean over pixels of `W x + b` is `W mean(x) + b`, and the SE block's first layer takes in
/// `W` and `b`. So the gates are there before the convolution is, which can apply them itself (`fuse_output_gate`): the
/// end of a bottleneck block of SE-ResNet.
pub(super) fn hoist_squeeze(graph: &View, id: NodeId) -> Option<Patch> {
    let se_block = graph.node(id);
    let Op::SqueezeExcite(op) = &se_block.op else { return None };
    let squeezed = se_block.inputs[0];
    let conv = graph.node(squeezed);
    let Op::Conv2d(conv_op) = &conv.op else { return None };
    let linear = conv_op.may_gate_its_result(conv.params[0].shape()[1]);
    if op.squeeze != PoolKind::Avg || !linear || !only_scaled(graph, squeezed, id) {
        return None;
    }
    // The squeeze of others is a dispatch of its own, which reads the map: it pays for a scale that reads and writes
    // another.
    let channels = graph.node(conv.inputs[0]).shape.channels();
    if !is_made_by_convolution(graph, conv.inputs[0]) && channels > 2 * conv.shape.channels() {
        return None;
    }
    let node = PatchNode {
        name: se_block.name.clone(),
        op: Op::SqueezeExcite(SqueezeExcite {
            bias: op.bias || conv_op.bias,
            gates: Some(se_block.shape.channels()),
            ..op.clone()
        }),
        inputs: vec![Source::Old(conv.inputs[0])],
        params: params(se_block, op, conv, conv_op.groups),
    };
    Some(Patch::node(graph, id, &[], node))
}

/// Whether nothing reads a convolution but an SE block and what the SE block scales.
fn only_scaled(graph: &View, conv: NodeId, se_block: NodeId) -> bool {
    let consumers = &graph.consumers[conv.index()];
    let scales =
        |id: NodeId| matches!(graph.node(id).op, Op::Scale(_)) && graph.node(id).inputs[..2] == [conv, se_block];
    consumers.len() == 2 && !graph.is_output(conv) && consumers.iter().all(|&id| id == se_block || scales(id))
}

/// Whether a convolution's kernel, perhaps with an activation, has the value and may keep its sums.
fn is_made_by_convolution(graph: &View, id: NodeId) -> bool {
    let node = graph.node(id);
    let source = if let Op::Activation(_) = node.op { graph.node(node.inputs[0]) } else { node };
    matches!(source.op, Op::Conv2d(_))
}

/// The SE block's parameters with the convolution in its first layer.
fn params(se_block: &Node, op: &SqueezeExcite, conv: &Node, groups: usize) -> Vec<Param> {
    let [(weight1, bias1), (weight2, bias2)] = SqueezeExcite::layers(&se_block.params);
    let product = |of: &Param, groups, plus: Option<&Param>, shape: Vec<usize>| Param::Product {
        weight: Box::new(weight1.clone()),
        of: Box::new(of.clone()),
        groups,
        plus: plus.cloned().map(Box::new),
        shape,
    };
    let channels = groups * conv.params[0].shape()[1];
    let weight = product(&conv.params[0], groups, None, vec![op.reduced, channels, 1, 1]);
    let zeros = |len| Param::Fill { value: 0.0, shape: vec![len] };
    let bias = match conv.params.get(1) {
        Some(bias) => product(bias, 1, bias1, vec![op.reduced]),
        None if op.bias => bias1.cloned().unwrap_or_else(|| zeros(op.reduced)),
        None => return vec![weight, weight2.clone()],
    };
    vec![weight, bias, weight2.clone(), bias2.cloned().unwrap_or_else(|| zeros(se_block.shape.channels()))]
}

#[cfg(test)]
mod tests {
    use crate::graph::Value;
    use crate::ops::{Act, Conv2d, Op, PoolKind, SqueezeExcite};
    use crate::{Graph, GraphBuilder, Shape};

    /// A bottleneck block without its sum: what its last convolution and its SE block are.
    fn block(g: &mut GraphBuilder, name: &str, x: Value, last: Conv2d, se: SqueezeExcite) -> Value {
        let x = g.conv2d(&format!("{name}.conv2"), x, Conv2d::new(5, 3).padding(1)).unwrap();
        let x = g.activation(&format!("{name}.relu"), x, Act::Relu).unwrap();
        let x = g.conv2d(&format!("{name}.conv3"), x, last).unwrap();
        g.squeeze_excite(&format!("{name}.se"), x, se).unwrap()
    }

    fn graph(build: impl FnOnce(&mut GraphBuilder, Value) -> Value) -> Graph {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        let y = build(&mut g, x);
        g.finish(&[("y", y)]).unwrap()
    }

    #[test]
    fn snapshot() {
        let graph = graph(|g, x| {
            let x = block(g, "all", x, Conv2d::new(8, 1), SqueezeExcite::new(2));
            let x = block(g, "conv", x, Conv2d::new(8, 1), SqueezeExcite::new(2).bias(false));
            let x = block(g, "se_block", x, Conv2d::new(8, 1).bias(false), SqueezeExcite::new(2));
            let x = block(g, "none", x, Conv2d::new(8, 1).bias(false), SqueezeExcite::new(2).bias(false));
            let x = g.conv2d("last", x, Conv2d::new(6, 1)).unwrap();
            // No convolution makes the input, but it is small.
            let x = g.concat("concat", &[x, x]).unwrap();
            let x = g.conv2d("grouped", x, Conv2d::new(9, 1).groups(3)).unwrap();
            g.squeeze_excite("se of grouped", x, SqueezeExcite::new(2)).unwrap()
        });
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::hoist_squeeze));
    }

    #[test]
    fn what_is_not_linear_or_read_by_others_stays() {
        let se = || SqueezeExcite::new(2);
        let stays = [
            graph(|g, x| block(g, "b", x, Conv2d::new(8, 1), se().squeeze(PoolKind::Max))),
            graph(|g, x| block(g, "b", x, Conv2d::new(8, 1), se().squeeze(PoolKind::AvgMax))),
            graph(|g, x| block(g, "b", x, Conv2d { act: Act::Relu, ..Conv2d::new(8, 1) }, se())),
            graph(|g, x| block(g, "b", x, Conv2d::new(8, 3), se())),
            graph(|g, x| block(g, "b", x, Conv2d::new(8, 1).stride(2), se())),
            graph(|g, x| block(g, "b", x, Conv2d::new(8, 1).padding(1), se())),
            graph(|g, x| {
                // No convolution makes the input, which is large.
                let x = g.concat("concat", &[x; 6]).unwrap();
                let x = g.conv2d("conv", x, Conv2d::new(8, 1)).unwrap();
                g.squeeze_excite("se", x, se()).unwrap()
            }),
            graph(|g, x| {
                // Channels for themselves.
                let x = g.conv2d("conv", x, Conv2d::new(3, 1).groups(3)).unwrap();
                g.squeeze_excite("se", x, se()).unwrap()
            }),
            graph(|g, x| {
                let x = g.conv2d("conv2", x, Conv2d::new(8, 1)).unwrap();
                let x = g.conv2d("conv3", x, Conv2d::new(8, 1)).unwrap();
                let y = g.squeeze_excite("se", x, se()).unwrap();
                g.sum("sum", x, y).unwrap()
            }),
            graph(|g, x| {
                let x = g.conv2d("conv2", x, Conv2d::new(8, 1)).unwrap();
                let x = g.conv2d("conv3", x, Conv2d::new(8, 1)).unwrap();
                let gate = g.add("se", Op::SqueezeExcite(se()), &[x]).unwrap();
                let other = g.conv2d("other", x, Conv2d::new(8, 1)).unwrap();
                g.scale("scale", other, gate).unwrap()
            }),
        ];
        for graph in stays {
            let after = super::super::run(graph.clone(), super::hoist_squeeze).unwrap();
            assert_eq!(graph.to_string(), after.to_string());
        }
    }

    #[test]
    fn the_convolution_as_an_output_stays() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        let x = g.conv2d("conv2", x, Conv2d::new(8, 1)).unwrap();
        let x = g.conv2d("conv3", x, Conv2d::new(8, 1)).unwrap();
        let y = g.squeeze_excite("se", x, SqueezeExcite::new(2)).unwrap();
        let graph = g.finish(&[("conv", x), ("y", y)]).unwrap();
        let after = super::super::run(graph.clone(), super::hoist_squeeze).unwrap();
        assert_eq!(graph.to_string(), after.to_string());
    }
}
