//! Activation functions that are decomposed in smaller ones.

use super::View;
use crate::graph::{NodeId, Patch, PatchNode, Source};
use crate::ops::{Act, Arithmetic, Op};

/// Clamps one after the other become one, by its name where it has one; `x * sigmoid(x)`, `x * hard_sigmoid(x)` and
/// `x * tanh(softplus(x))` become SiLU, HardSwish and Mish. Nothing else may read what is in between.
pub(super) fn merge_activations(graph: &View, id: NodeId) -> Option<Patch> {
    match graph.node(id).op {
        Op::Activation(act) => {
            let clamp = Clamp::of(act)?;
            hard_swish_with_the_factor_last(graph, id, clamp).or_else(|| clamps(graph, id, act, clamp))
        }
        _ => {
            let product = self_gated(graph, id)?;
            let act = match product.acts[..] {
                [Act::Sigmoid] => Act::Silu,
                [Act::HardSigmoid] => Act::HardSwish,
                [Act::Softplus, Act::Tanh] => Act::Mish,
                _ => return None,
            };
            Some(becomes(graph, id, &product.absorbed, act, product.x))
        }
    }
}

/// A clamp with the clamp before it, if there is one, or by its name.
fn clamps(graph: &View, id: NodeId, act: Act, clamp: Clamp) -> Option<Patch> {
    let input = graph.node(id).inputs[0];
    let before = match graph.node(input).op {
        Op::Activation(before) if graph.only_read_once(input) => Clamp::of(before),
        _ => None,
    };
    if let Some(before) = before {
        let x = graph.node(input).inputs[0];
        return Some(becomes(graph, id, &[input], before.then(clamp).act()?, x));
    }
    match clamp.act()? {
        Act::Identity => Some(Patch::alias(id, input)),
        named => (named != act).then(|| becomes(graph, id, &[], named, input)),
    }
}

/// `(x * relu6(x + 3)) / 6`
fn hard_swish_with_the_factor_last(graph: &View, id: NodeId, factor: Clamp) -> Option<Patch> {
    let source = graph.sole_source(id)?;
    let product = self_gated(graph, source)?;
    let [act] = product.acts[..] else { return None };
    let is_factor = factor == Clamp { scale: factor.scale, ..Clamp::IDENTITY };
    let is_hard_swish = is_factor && Clamp::of(act)?.then(factor).act()? == Act::HardSigmoid;
    let absorbed = [product.absorbed, vec![source]].concat();
    is_hard_swish.then(|| becomes(graph, id, &absorbed, Act::HardSwish, product.x))
}

/// A product of `x` and functions of `x`, the innermost first.
struct SelfGated {
    x: NodeId,
    acts: Vec<Act>,
    absorbed: Vec<NodeId>,
}

/// The product that a node is, if it is one. A function keeps a shape, so nothing is repeated, whichever op multiplies.
fn self_gated(graph: &View, id: NodeId) -> Option<SelfGated> {
    let node = graph.node(id);
    match &node.op {
        Op::Mul(_) | Op::Arithmetic(Arithmetic::Mul) => {}
        Op::Scale(scale) if *scale == crate::ops::Scale::default() => {}
        _ => return None,
    }
    [[0, 1], [1, 0]].into_iter().find_map(|[x, gate]| {
        let (x, mut at) = (node.inputs[x], node.inputs[gate]);
        let (mut acts, mut absorbed) = (Vec::new(), Vec::new());
        while at != x {
            let Op::Activation(act) = graph.node(at).op else { return None };
            if !graph.only_read_once(at) {
                return None;
            }
            acts.insert(0, act);
            absorbed.push(at);
            at = graph.node(at).inputs[0];
        }
        Some(SelfGated { x, acts, absorbed })
    })
}

fn becomes(graph: &View, id: NodeId, absorbed: &[NodeId], act: Act, x: NodeId) -> Patch {
    let name = graph.node(id).name.clone();
    let node = PatchNode { name, op: Op::Activation(act), inputs: vec![Source::Old(x)], params: Vec::new() };
    Patch::node(graph, id, absorbed, node)
}

/// `min(max(scale * x + shift, min), max)` with `min <= max`, infinite for none.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Clamp {
    scale: f64,
    shift: f64,
    min: f64,
    max: f64,
}

impl Clamp {
    const IDENTITY: Self = Self { scale: 1.0, shift: 0.0, min: f64::NEG_INFINITY, max: f64::INFINITY };
    const RELU: Self = Self { min: 0.0, ..Self::IDENTITY };
    const RELU6: Self = Self { max: 6.0, ..Self::RELU };
    const HARD_SIGMOID: Self = Self { scale: 1.0 / 6.0, shift: 0.5, min: 0.0, max: 1.0 };

    /// The clamps that have names.
    const NAMED: [(Self, Act); 4] = [
        (Self::IDENTITY, Act::Identity),
        (Self::RELU, Act::Relu),
        (Self::RELU6, Act::Relu6),
        (Self::HARD_SIGMOID, Act::HardSigmoid),
    ];

    /// An activation as a clamp, if it is one.
    fn of(act: Act) -> Option<Self> {
        if let Act::Clamp { scale, shift, min, max } = act {
            let max = if max == f32::MAX { f64::INFINITY } else { max.into() };
            let min = if min == f32::MIN { f64::NEG_INFINITY } else { f64::from(min).min(max) };
            return Some(Self { scale: scale.into(), shift: shift.into(), min, max });
        }
        Self::NAMED.iter().find(|(_, named)| *named == act).map(|(clamp, _)| *clamp)
    }

    /// The activation, by name where the numbers are those of a name to 1e-6 of each, or `None` where `f32` has no such
    /// numbers.
    fn act(self) -> Option<Act> {
        if let Some((_, act)) = Self::NAMED.iter().find(|(named, _)| self.is_near(named)) {
            return Some(*act);
        }
        let [scale, shift] = [self.scale as f32, self.shift as f32];
        let [min, max] = [self.min, self.max].map(|bound| (bound as f32).clamp(f32::MIN, f32::MAX));
        (scale.is_finite() && shift.is_finite()).then_some(Act::Clamp { scale, shift, min, max })
    }

    /// `after(self(x))`
    fn then(self, after: Self) -> Self {
        let through = |y: f64| (after.scale * y + after.shift).max(after.min).min(after.max);
        let [scale, shift] = [after.scale * self.scale, after.scale * self.shift + after.shift];
        // Without a slope, infinite ends lead nowhere.
        let ends = if after.scale == 0.0 { [through(0.0); 2] } else { [self.min, self.max].map(through) };
        Self { scale, shift, min: ends[0].min(ends[1]), max: ends[0].max(ends[1]) }
    }

    fn is_near(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-6 * a.abs().min(b.abs());
        near(self.scale, other.scale)
            && near(self.shift, other.shift)
            && near(self.min, other.min)
            && near(self.max, other.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Linear, Mul, Scale};
    use crate::passes::before_and_after;
    use crate::{GraphBuilder, Shape};

    /// Numbers at which clamps may differ.
    const PLACES: [f64; 13] = [-1e30, -30.0, -6.0, -3.0, -1.0, -0.25, 0.0, 0.25, 1.0, 3.0, 6.0, 30.0, 1e30];

    #[test]
    fn composed_clamps_compute_the_same() {
        let numbers = [-2.0, -0.5, 0.0, 1.0, 3.0];
        let mut all: Vec<Clamp> = Clamp::NAMED.iter().map(|(clamp, _)| *clamp).collect();
        for scale in numbers {
            for shift in numbers {
                for (min, max) in [(f32::MIN, f32::MAX), (-1.0, f32::MAX), (f32::MIN, 2.0), (-1.0, 2.0), (2.0, -1.0)] {
                    all.push(Clamp::of(Act::Clamp { scale, shift, min, max }).unwrap());
                }
            }
        }
        let apply = |clamp: Clamp, x: f64| (clamp.scale * x + clamp.shift).max(clamp.min).min(clamp.max);
        for &first in &all {
            for &second in &all {
                let both = first.then(second);
                assert!(both.min <= both.max, "{first:?}, {second:?}");
                for x in PLACES {
                    let (expected, got) = (apply(second, apply(first, x)), apply(both, x));
                    assert!(
                        (expected - got).abs() <= 1e-12 * expected.abs().max(1.0),
                        "{first:?}, {second:?}: {both:?} at {x}"
                    );
                }
            }
        }
    }

    #[test]
    fn names_come_back_where_they_are_exact() {
        let clamp = |scale, shift, min, max| Clamp { scale, shift, min, max }.act().unwrap();
        assert_eq!(clamp(1.0 / 6.0 + 1e-8, 0.5, 0.0, 1.0), Act::HardSigmoid);
        assert_eq!(clamp(0.2, 0.5, 0.0, 1.0), Act::Clamp { scale: 0.2, shift: 0.5, min: 0.0, max: 1.0 });
        assert_eq!(clamp(1.0, 0.0, 0.0, f64::INFINITY), Act::Relu);
        assert_eq!(
            clamp(1.0, 1e-9, 0.0, f64::INFINITY),
            Act::Clamp { scale: 1.0, shift: 1e-9, min: 0.0, max: f32::MAX }
        );
        let infinite = Clamp { scale: 1e300, ..Clamp::RELU };
        assert_eq!(infinite.act(), None);
        assert_eq!(Clamp::of(Act::clip(2.0, 1.0)).unwrap().act(), Some(Act::clip(1.0, 1.0)));
    }

    #[test]
    fn clamps_one_after_the_other() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        let x = g.activation("mul", x, Act::affine(2.0, 0.0)).unwrap();
        let x = g.activation("neg", x, Act::affine(-1.0, 0.5)).unwrap();
        let x = g.activation("relu6", x, Act::Relu6).unwrap();
        let x = g.activation("hard_sigmoid", x, Act::HardSigmoid).unwrap();
        let x = g.activation("tanh", x, Act::Tanh).unwrap();
        let x = g.activation("clip", x, Act::clip(0.0, f32::INFINITY)).unwrap();
        // Two consumers.
        let y = g.activation("add_3", x, Act::affine(1.0, 3.0)).unwrap();
        let y = g.activation("clip_6", y, Act::clip(0.0, 6.0)).unwrap();
        let y = g.activation("div_6", y, Act::affine(1.0 / 6.0, 0.0)).unwrap();
        let x = g.sum("sum", x, y).unwrap();
        let x = g.activation("twice", x, Act::affine(2.0, -3.0)).unwrap();
        let x = g.activation("half", x, Act::affine(0.5, 1.5)).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(before_and_after(&graph, merge_activations));
    }

    #[test]
    fn products_with_a_function_of_oneself() {
        let mut g = GraphBuilder::new("g");
        let mul = Op::Mul(Mul {});
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        let a = g.activation("sigmoid", x, Act::Sigmoid).unwrap();
        let x = g.add("silu", mul.clone(), &[x, a]).unwrap();
        let a = g.activation("softplus", x, Act::Softplus).unwrap();
        let a = g.activation("tanh", a, Act::Tanh).unwrap();
        let x = g.add("mish", mul.clone(), &[a, x]).unwrap();
        let a = g.activation("add_3", x, Act::affine(1.0, 3.0)).unwrap();
        let a = g.activation("clip", a, Act::clip(0.0, 6.0)).unwrap();
        let x = g.add("product", mul.clone(), &[x, a]).unwrap();
        let x = g.activation("hard_swish", x, Act::affine(1.0 / 6.0, 0.0)).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let a = g.activation("hard_sigmoid", x, Act::HardSigmoid).unwrap();
        let x = g.add("hard_swish_of_a_vector", Op::Scale(Scale::default()), &[x, a]).unwrap();
        // Others read the function, too, or it is another value's.
        let a = g.activation("read_twice", x, Act::Sigmoid).unwrap();
        let y = g.add("product_of_both", mul.clone(), &[x, a]).unwrap();
        let a = g.linear("fc", a, Linear::new(3)).unwrap();
        let a = g.activation("gate", a, Act::Sigmoid).unwrap();
        let x = g.add("gated", mul, &[y, a]).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        insta::assert_snapshot!(before_and_after(&graph, merge_activations));
    }
}
