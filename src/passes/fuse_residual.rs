//! A residual sum in the pass of the op that made one of its terms.

use super::View;
use crate::graph::{NodeId, Patch};
use crate::ops::{Act, Op};

/// `add(scale(x, gate), r)` and `add(conv(x), r)` become one op with a residual. A scale is preferred: it is the pass
/// that ends an SE-ResNet block; of two convolutions the later one takes the sum.
pub(super) fn fuse_residual(graph: &View, id: NodeId) -> Option<Patch> {
    let Op::Add(add) = &graph.node(id).op else { return None };
    let terms = &graph.node(id).inputs;
    let candidates = [0, 1].into_iter().filter_map(|i| {
        let (source, residual) = (terms[i], terms[1 - i]);
        let fits = source != residual && graph.only_read_once(source);
        let op = match &graph.node(source).op {
            Op::Scale(scale) if fits && !scale.residual && scale.act == Act::Identity => {
                Op::Scale(crate::ops::Scale { residual: true, act: add.act })
            }
            Op::Conv2d(conv) if fits && !conv.residual && conv.act == Act::Identity => {
                Op::Conv2d(crate::ops::Conv2d { residual: true, act: add.act, ..conv.clone() })
            }
            _ => return None,
        };
        Some((source, residual, op))
    });
    let (source, residual, op) = candidates.max_by_key(|(source, _, op)| (matches!(op, Op::Scale(_)), *source))?;
    let inputs = graph.node(source).inputs.iter().copied().chain([residual]);
    Some(Patch::fused(graph, id, &[source], source, op, inputs))
}

#[cfg(test)]
mod tests {
    use crate::ops::{Conv2d, SqueezeExcite};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn snapshot() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(4, 4, 4)).unwrap();
        let a = g.conv2d("conv1", x, Conv2d::new(4, 3).padding(1)).unwrap();
        let a = g.squeeze_excite("se", a, SqueezeExcite::new(2)).unwrap();
        let shortcut = g.conv2d("downsample", x, Conv2d::new(4, 1)).unwrap();
        let x = g.sum("block1", a, shortcut).unwrap();
        let a = g.conv2d("conv2", x, Conv2d::new(4, 1)).unwrap();
        let x = g.sum("block2", a, x).unwrap();
        let double = g.sum("double", x, x).unwrap();
        let graph = g.finish(&[("y", double)]).unwrap();
        insta::assert_snapshot!(super::super::before_and_after(&graph, super::fuse_residual));
    }
}
