//! A squeeze-and-excitation SE block as the five ops of the textbook: the unfused baseline.

use super::View;
use crate::graph::{NodeId, Patch, PatchNode, Source};
use crate::ops::{GlobalPool, Linear, Op};

/// `squeeze_excite` becomes `global_pool → linear → activation → linear → activation`; the last keeps the SE block's
/// name.
pub(super) fn split_se(graph: &View, id: NodeId) -> Option<Patch> {
    let node = graph.node(id);
    let Op::SqueezeExcite(se) = &node.op else { return None };
    let per_layer = node.params.len() / 2;
    let linear = |out_features| Op::Linear(Linear { bias: se.bias, ..Linear::new(out_features) });
    let step = |suffix: &str, op: Op, source: Source, params: &[_]| PatchNode {
        name: format!("{}{suffix}", node.name),
        op,
        inputs: vec![source],
        params: params.to_vec(),
    };
    let nodes = vec![
        step(".squeeze", Op::GlobalPool(GlobalPool { kind: se.squeeze }), Source::Old(node.inputs[0]), &[]),
        step(".fc1", linear(se.reduced), Source::New(0), &node.params[..per_layer]),
        step(".hidden", Op::Activation(se.hidden), Source::New(1), &[]),
        step(".fc2", linear(node.shape.channels()), Source::New(2), &node.params[per_layer..]),
        step("", Op::Activation(se.gate), Source::New(3), &[]),
    ];
    Some(Patch { target: id, absorbed: Vec::new(), nodes, alias: None })
}

#[cfg(test)]
mod tests {
    use crate::ops::{Act, SqueezeExcite};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(8, 4, 4)).unwrap();
        let x = g.squeeze_excite("se1", x, SqueezeExcite::new(2).hidden(Act::Silu)).unwrap();
        let x = g.squeeze_excite("se2", x, SqueezeExcite::new(3).bias(false).gate(Act::Tanh)).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap().with_gate_outputs();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::split_se));
    }
}
