//! What moves elements and computes nothing. Meaning `src/ops/{concat,shuffle,pad,reshape}.rs` · how
//! `src/kernels/{layout.rs,shape/*.rs}`, `shaders/{layout,shape}/*.wgsl`

use crate::check::{BOTH, Problem, default_variants, graph, one};
use crate::common::compare::Tolerance;
use crate::common::random::random;
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::{Act, ChannelShuffle, Concat, Graph, Op, Pad, Padding, Plan, PlanOptions, Pool, Reshape, Shape, Tensor};
use proptest::prelude::*;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("shape/layout/sizes", layout),
        Case::new("shape/channel_shuffle/by_hand", shuffle_by_hand),
        Case::new("shape/channel_shuffle/sizes", shuffle),
        Case::new("shape/concat/by_hand", concat_by_hand),
        Case::new("shape/concat/sizes", concat),
        Case::new("shape/flatten/sizes", flatten),
        Case::new("shape/pad/sizes", pad),
        Case::new("shape/reshape/sizes", reshape),
        Case::new("shape/random", random_cases),
    ]
}

const MAPS: [([usize; 3], usize); 7] = [
    ([1, 1, 1], 1),
    ([2, 3, 1], 2),
    ([3, 1, 7], 5),
    ([4, 7, 7], 2),
    ([5, 13, 11], 3),
    ([65, 2, 3], 1),
    ([1028, 1, 1], 2),
];

fn check(machine: &Machine, graph: Graph, batch: usize) -> Outcome {
    Ok(Problem::new(graph, batch, Tolerance::Exact).check(machine, &default_variants(&BOTH))?)
}

/// In and out again: the network that does nothing.
fn layout(machine: &Machine) -> Outcome {
    MAPS.into_iter().try_for_each(|(shape, batch)| check(machine, graph(shape, |_, x| Ok(x)), batch))
}

fn shuffle_by_hand(machine: &Machine) -> Outcome {
    let problem = Problem {
        input: Tensor::from_fn([1, 6, 1, 1], |i| i as f32),
        ..Problem::new(one([6, 1, 1], Op::ChannelShuffle(ChannelShuffle { groups: 2 })), 1, Tolerance::Exact)
    };
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    ensure(expected["y"].data() == [0.0, 3.0, 1.0, 4.0, 2.0, 5.0], "the reference is wrong")?;
    Ok(problem.check(machine, &default_variants(&BOTH))?)
}

fn shuffle(machine: &Machine) -> Outcome {
    for (shape, groups, batch) in [([9, 3, 5], 3, 2), ([14, 7, 7], 7, 1), ([24, 1, 7], 2, 5), ([60, 2, 2], 15, 3)] {
        check(machine, one(shape, Op::ChannelShuffle(ChannelShuffle { groups })), batch)?;
    }
    Ok(())
}

fn concat_by_hand(machine: &Machine) -> Outcome {
    let graph = graph([1, 1, 3], |g, x| {
        let max = g.pool("max", x, Pool { kernel: [1, 3], stride: [1, 1], padding: side(1), ..Pool::max(1) })?;
        g.concat("op", &[x, max, x])
    });
    let problem = Problem {
        input: Tensor::new([2, 1, 1, 3], vec![1.0, 2.0, 3.0, 6.0, 5.0, 4.0])?,
        ..Problem::new(graph, 2, Tolerance::Exact)
    };
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    let by_hand = [1.0, 2.0, 3.0, 2.0, 3.0, 3.0, 1.0, 2.0, 3.0, 6.0, 5.0, 4.0, 6.0, 6.0, 5.0, 6.0, 5.0, 4.0];
    ensure(expected["y"].data() == by_hand, "the reference is wrong")?;
    Ok(problem.check(machine, &default_variants(&BOTH))?)
}

fn side(width: usize) -> Padding {
    Padding { left: width, right: width, ..Padding::default() }
}

/// Offsets that are and are not whole quads; maps and vectors.
fn concat(machine: &Machine) -> Outcome {
    for (shape, batch) in MAPS {
        for parts in [2, 3, 5] {
            let graph = graph(shape, |g, x| {
                let max = g.pool("max", x, Pool::max(3).stride(1).padding(1))?;
                let parts: Vec<_> = [x, max].into_iter().cycle().take(parts).collect();
                g.concat("op", &parts)
            });
            check(machine, graph, batch)?;
        }
    }
    let vectors = graph([5, 2, 3], |g, x| {
        let flat = g.flatten("flat", x)?;
        let max = g.pool("max", x, Pool::max(2))?;
        let max = g.flatten("flat_max", max)?;
        g.concat("op", &[flat, max, flat])
    });
    check(machine, vectors, 3)
}

fn flatten(machine: &Machine) -> Outcome {
    MAPS.into_iter().try_for_each(|(shape, batch)| check(machine, graph(shape, |g, x| g.flatten("op", x)), batch))
}

/// Between maps, vectors and tensors; a step only where elements change places, named for what it does.
fn reshape(machine: &Machine) -> Outcome {
    for ([c, h, w], batch) in MAPS {
        let (map, vector, tensor) = (Shape::map(c, h, w), Shape::vector(c * h * w), Shape::tensor(&[h, 1, w, c]));
        let turned = Shape::map(h, w, c);
        for shapes in
            [[vector, map], [tensor, map], [vector, tensor], [turned, vector], [turned, map], [tensor, turned]]
        {
            // An op between them, so that they don't become one.
            let graph = graph([c, h, w], |g, x| {
                let x = g.add("first", Op::Reshape(Reshape { shape: shapes[0] }), &[x])?;
                let x = g.activation("act", x, Act::LeakyRelu(0.5))?;
                g.add("second", Op::Reshape(Reshape { shape: shapes[1] }), &[x])
            });
            let plan = Plan::new(&graph, batch, machine.gpu(true).target(), &PlanOptions::default())?;
            let mut expected = Vec::new();
            for (name, from, to) in [("first", map, shapes[0]), ("second", shapes[0], shapes[1])] {
                let steps = [("flatten", from.plane() > 1), ("unflatten", to.plane() > 1)];
                let moved = from.channels() != to.channels();
                let steps = steps.into_iter().filter(|(_, larger)| moved && *larger);
                expected.extend(steps.map(|(part, _)| format!("{name}/{part}")));
            }
            let moves = plan.steps.iter().filter(|step| step.name.ends_with("flatten"));
            let steps: Vec<String> = moves.map(|step| step.name.clone()).collect();
            ensure(steps == expected, format!("{steps:?}, expected {expected:?}\n{graph}"))?;
            check(machine, graph, batch)?;
        }
    }
    Ok(())
}

fn pad(machine: &Machine) -> Outcome {
    for (shape, batch) in MAPS {
        for pad in [
            Padding::all(1).into(),
            Pad { top: 0, bottom: 3, left: 2, right: 1 },
            Pad { top: 1, bottom: 1 - shape[1] as isize, left: 0, right: 2 },
            Pad { top: 1 - shape[1] as isize, bottom: 0, left: 1 - shape[2] as isize, right: 0 },
        ] {
            check(machine, one(shape, Op::Pad(pad)), batch)?;
        }
    }
    Ok(())
}

/// Shuffles, pads and concatenations one after the other, then flat or not.
fn random_cases(machine: &Machine) -> Outcome {
    let shape = (1usize..=13, 1usize..=7, 1usize..=7).prop_map(|(c, h, w)| [c, h, w]);
    let strategy = (shape, 1usize..=5, any::<[u8; 4]>(), any::<bool>(), any::<bool>());
    let run = |(shape, batch, [a, b, c, d], flat, checks): ([usize; 3], usize, [u8; 4], bool, bool)| {
        let [a, b, c, d] = [a, b, c, d].map(usize::from);
        let graph = graph(shape, |g, x| {
            let [top, bottom, left, right] = [a % 3, b % 3, c % 3, d % 3].map(|side| side as isize);
            let padded = g.add("pad", Op::Pad(Pad { top, bottom, left, right }), &[x])?;
            let parts = vec![padded; 1 + a % 4];
            let wide = g.add("concat", Op::Concat(Concat::default()), &parts)?;
            let groups = if b % 2 == 0 { parts.len() } else { shape[0] };
            let y = g.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups }), &[wide])?;
            if flat { g.flatten("flatten", y) } else { Ok(y) }
        });
        Problem::new(graph, batch, Tolerance::Exact).check(machine, &default_variants(&[checks]))
    };
    Ok(random("shape", 40, strategy, run)?)
}
