//! What moves elements and computes nothing. Meaning `src/ops/{concat,shuffle,pad,reshape}.rs` · how
//! `src/kernels/{layout.rs,shape/*.rs}`, `shaders/{layout,shape}/*.wgsl`

use crate::check::{BOTH, Problem, default_variants, families, graph, one, variants};
use crate::common::compare::Tolerance;
use crate::common::random::random;
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::graph::Value;
use excite::ops::{Act, ChannelShuffle, Concat, Conv2d, Mul, Op, Pad, Padding, Pool, Reshape, SqueezeExcite};
use excite::plan::{Fusion, Plan, PlanOptions, SeVariant};
use excite::{Graph, GraphBuilder, Shape, Tensor};
use proptest::prelude::*;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("shape/layout/sizes", layout),
        Case::new("shape/channel_shuffle/by_hand", shuffle_by_hand),
        Case::new("shape/channel_shuffle/sizes", shuffle),
        Case::new("shape/channel_shuffle/by_the_convolution_after", shuffled_while_loading),
        Case::new("shape/channel_shuffle/steps", shuffled_in_steps),
        Case::new("shape/concat/by_hand", concat_by_hand),
        Case::new("shape/concat/sizes", concat),
        Case::new("shape/concat/parts_in_place", parts_in_place),
        Case::new("shape/concat/parts_as_they_are_fused", fused_parts),
        Case::new("shape/concat/parts_that_are_copied", copied_parts),
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

/// Map, groups of the shuffle, batch, and the depthwise convolution after it; its groups are the channels.
pub const SHUFFLES: [([usize; 3], usize, usize, [usize; 3]); 7] = [
    // Kernel, stride, padding.
    ([9, 3, 5], 3, 2, [3, 1, 1]),
    ([14, 7, 7], 7, 1, [3, 2, 1]),
    ([24, 1, 7], 2, 5, [1, 1, 0]),
    ([60, 5, 4], 15, 3, [5, 1, 2]),
    ([6, 9, 6], 3, 2, [2, 3, 0]),
    ([10, 4, 4], 5, 2, [3, 1, 1]),
    ([66, 3, 3], 3, 2, [3, 1, 2]),
];

/// What pads the channels of the shuffled map is no zero.
pub fn shuffled_depthwise(row: ([usize; 3], usize, usize, [usize; 3])) -> Graph {
    let (shape, groups, _, [kernel, stride, padding]) = row;
    let channels = shape[0];
    graph(shape, |g, x| {
        let x = g.activation("before", x, Act::Sigmoid)?;
        let x = g.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups }), &[x])?;
        let conv = Conv2d::new(channels, kernel).stride(stride).padding(padding).groups(channels);
        g.conv2d("depthwise", x, conv)
    })
}

/// How many shuffles are steps, and how many are done while loading.
pub fn shuffles(plan: &Plan) -> [usize; 2] {
    let steps = plan.steps.iter().filter(|step| step.shader.name == "shape/channel_shuffle");
    [steps.count(), plan.steps.iter().filter(|step| step.variant.shuffles()).count()]
}

fn check_shuffles(
    machine: &Machine,
    graph: Graph,
    batch: usize,
    plans: &[PlanOptions],
    expected: [usize; 2],
    tolerance: Tolerance,
) -> Outcome {
    for options in plans {
        let plan = Plan::new(&graph, batch, machine.gpu(true).target(), options)?;
        ensure(shuffles(&plan) == expected, format!("{:?}, expected {expected:?}\n{plan}", shuffles(&plan)))?;
    }
    Ok(Problem::new(graph, batch, tolerance).check(machine, &variants(plans, &BOTH))?)
}

fn depthwise(channels: usize) -> Conv2d {
    Conv2d::new(channels, 3).padding(1).groups(channels)
}

/// Depthwise convolutions that load the channels in their new order: every size, then with all they are fused with.
fn shuffled_while_loading(machine: &Machine) -> Outcome {
    for row in SHUFFLES {
        check_shuffles(machine, shuffled_depthwise(row), row.2, &families(), [0, 1], Tolerance::Op)?;
    }
    let shuffle = |groups| Op::ChannelShuffle(ChannelShuffle { groups });
    // As ShuffleNet has it, with a residual, and as a part of a concatenation.
    let unit = graph([18, 7, 5], |g, x| {
        let y = g.conv2d("compress", x, Conv2d::new(18, 1).groups(3))?;
        let y = g.activation("relu", y, Act::Relu)?;
        let y = g.add("shuffle", shuffle(3), &[y])?;
        let y = g.conv2d("depthwise", y, depthwise(18))?;
        let y = g.sum("sum", y, x)?;
        let y = g.conv2d("expand", y, Conv2d::new(12, 1).groups(3))?;
        let z = g.add("again", shuffle(6), &[x])?;
        let z = g.conv2d("beside", z, depthwise(18))?;
        g.concat("cat", &[y, z])
    });
    check_shuffles(machine, unit, 3, &families(), [0, 2], Tolerance::F32)?;
    // An SE block that takes its sums from the convolution.
    let squeezed = graph([20, 13, 11], |g, x| {
        let y = g.add("shuffle", shuffle(4), &[x])?;
        let y = g.conv2d("depthwise", y, depthwise(20))?;
        g.squeeze_excite("se", y, SqueezeExcite::new(3))
    });
    let plans = families().into_iter().map(|plan| plan.se(SeVariant::Spread));
    check_shuffles(machine, squeezed, 2, &plans.collect::<Vec<_>>(), [0, 1], Tolerance::F32)
}

/// Shuffles that something else reads too, that another kernel reads, and those of the other fusion levels.
fn shuffled_in_steps(machine: &Machine) -> Outcome {
    let shuffled = |finish: fn(&mut GraphBuilder, Value) -> excite::Result<Value>| {
        graph([9, 5, 4], |g, x| {
            let x = g.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups: 3 }), &[x])?;
            finish(g, x)
        })
    };
    for graph in [
        shuffled(|g, x| g.conv2d("conv", x, Conv2d::new(8, 1))),
        shuffled(|g, x| g.conv2d("conv", x, Conv2d::new(8, 3).padding(1))),
        shuffled(|g, x| g.conv2d("conv", x, Conv2d::new(9, 3).padding(1).groups(3))),
        shuffled(|g, x| {
            let y = g.conv2d("conv", x, depthwise(9))?;
            g.sum("sum", y, x)
        }),
        shuffled(|g, x| {
            let [y, z] = [g.conv2d("conv", x, depthwise(9))?, g.conv2d("other", x, depthwise(9))?];
            g.add("product", Op::Mul(Mul {}), &[y, z])
        }),
    ] {
        check_shuffles(machine, graph, 2, &families(), [1, 0], Tolerance::F32)?;
    }
    // The residual is shuffled, and not what the convolution reads.
    let residual = graph([9, 5, 4], |g, x| {
        let y = g.conv2d("conv", x, depthwise(9))?;
        let z = g.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups: 3 }), &[x])?;
        g.sum("sum", y, z)
    });
    check_shuffles(machine, residual, 2, &families(), [1, 0], Tolerance::F32)?;
    let mut g = GraphBuilder::new("case");
    let x = g.input(Shape::map(9, 5, 4))?;
    let kept = g.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups: 3 }), &[x])?;
    let y = g.conv2d("conv", kept, depthwise(9))?;
    check_shuffles(machine, g.finish(&[("y", y), ("kept", kept)])?, 2, &families(), [1, 0], Tolerance::F32)?;
    let lower = [Fusion::None, Fusion::Kernels].map(|fusion| PlanOptions::default().fusion(fusion));
    check_shuffles(machine, shuffled_depthwise(SHUFFLES[0]), 2, &lower, [1, 0], Tolerance::Op)
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

/// Offsets that are and are not whole vec4s; maps and vectors.
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

/// A part of a concatenation, as it is computed from a map of 8 channels.
#[derive(Clone, Copy)]
pub enum Part {
    /// 3x3 to this many channels.
    Conv(usize),
    /// 1x1 to this many channels.
    Pointwise(usize),
    Grouped(usize),
    Depthwise,
    Max,
    Avg,
    /// An activation, which no kernel writes elsewhere.
    Act,
}

/// Parts of one concatenation, and how many of them are copied.
pub const PARTS: [(&[Part], usize); 10] = {
    use Part::*;
    [
        (&[Conv(4), Pointwise(8), Grouped(8), Depthwise, Max, Avg, Conv(12)], 0),
        (&[Conv(8)], 0),
        (&[Conv(3), Conv(5)], 1),
        (&[Pointwise(7), Depthwise, Max], 2),
        (&[Grouped(6), Avg, Pointwise(2), Conv(5)], 2),
        (&[Pointwise(5), Conv(3), Max], 1),
        (&[Pointwise(1), Conv(1), Conv(1), Pointwise(1), Depthwise, Conv(2)], 3),
        (&[Act, Conv(5)], 1),
        (&[Depthwise, Act, Act, Pointwise(3)], 2),
        (&[Conv(9), Act, Conv(3)], 2),
    ]
};

/// The parts computed and joined. What pads their channels is no zero before it is written over.
pub fn joined_parts(shape: [usize; 3], parts: &[Part]) -> Graph {
    graph(shape, |g, x| {
        let channels = shape[0];
        let mut values = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let conv = |g: &mut GraphBuilder, conv: Conv2d| {
                let y = g.conv2d(&format!("part{i}"), x, conv)?;
                g.activation(&format!("act{i}"), y, Act::Sigmoid)
            };
            values.push(match *part {
                Part::Conv(out) => conv(g, Conv2d::new(out, 3).padding(1))?,
                Part::Pointwise(out) => conv(g, Conv2d::new(out, 1))?,
                Part::Grouped(out) => conv(g, Conv2d::new(out, 1).groups(2))?,
                Part::Depthwise => conv(g, Conv2d::new(channels, 3).padding(1).groups(channels))?,
                Part::Max => g.pool(&format!("part{i}"), x, Pool::max(3).stride(1).padding(1))?,
                Part::Avg => g.pool(&format!("part{i}"), x, Pool::avg(3).stride(1).padding(1))?,
                Part::Act => g.activation(&format!("part{i}"), x, Act::LeakyRelu(0.5))?,
            });
        }
        g.concat("op", &values)
    })
}

/// Steps that copy a part.
pub fn copies(plan: &Plan) -> usize {
    plan.steps.iter().filter(|step| step.shader.name == "shape/concat").count()
}

/// Checks every family, and how many parts are copied.
fn check_copies(machine: &Machine, graph: Graph, batch: usize, expected: usize, tolerance: Tolerance) -> Outcome {
    for options in families() {
        let plan = Plan::new(&graph, batch, machine.gpu(true).target(), &options)?;
        ensure(copies(&plan) == expected, format!("{} copies, expected {expected}\n{plan}", copies(&plan)))?;
    }
    Ok(Problem::new(graph, batch, tolerance).check(machine, &variants(&families(), &BOTH))?)
}

/// Convolutions of every kernel and pools write into the concatenation where whole vec4s are in front of them.
fn parts_in_place(machine: &Machine) -> Outcome {
    for ((parts, copied), (height, width, batch)) in PARTS.into_iter().zip([(5, 7, 3), (1, 1, 2)].into_iter().cycle()) {
        check_copies(machine, joined_parts([8, height, width], parts), batch, copied, Tolerance::Op)?;
    }
    // Each of the other fusion levels copies every part.
    for fusion in [Fusion::None, Fusion::Kernels] {
        let (options, graph) = (PlanOptions::default().fusion(fusion), joined_parts([8, 5, 7], PARTS[0].0));
        let plan = Plan::new(&graph, 3, machine.gpu(true).target(), &options)?;
        ensure(copies(&plan) == PARTS[0].0.len(), format!("fusion {fusion}\n{plan}"))?;
        Problem::new(graph, 3, Tolerance::Op).check(machine, &variants(&[options], &[true]))?;
    }
    Ok(())
}

/// Parts with a residual, a gate and the end of a block; concatenations in concatenations; an SE block that squeezes one.
fn fused_parts(machine: &Machine) -> Outcome {
    let conv = |out| Conv2d::new(out, 3).padding(1);
    let residual = graph([8, 7, 5], |g, x| {
        let mut parts = Vec::new();
        for (i, conv) in [Conv2d::new(8, 1), conv(8), conv(8).groups(8)].into_iter().enumerate() {
            let y = g.conv2d(&format!("conv{i}"), x, conv)?;
            let y = g.sum(&format!("sum{i}"), x, y)?;
            parts.push(g.activation(&format!("relu{i}"), y, Act::Relu)?);
        }
        g.concat("op", &parts)
    });
    check_copies(machine, residual, 3, 0, Tolerance::Op)?;
    let gated = graph([8, 7, 7], |g, x| {
        let y = g.squeeze_excite("se", x, SqueezeExcite::new(3))?;
        let first = g.conv2d("first", x, Conv2d::new(12, 1))?;
        let project = g.conv2d("project", y, Conv2d::new(10, 1))?;
        g.concat("op", &[first, project])
    });
    check_copies(machine, gated, 2, 0, Tolerance::F32)?;
    let ended = graph([8, 7, 7], |g, x| {
        let y = g.conv2d("conv", x, conv(8))?;
        let y = g.squeeze_excite("se", y, SqueezeExcite::new(3))?;
        let y = g.sum("add", y, x)?;
        let block = g.activation("block", y, Act::Relu)?;
        let first = g.conv2d("first", block, Conv2d::new(4, 1))?;
        let second = g.conv2d("second", block, conv(6))?;
        g.concat("op", &[first, second, block])
    });
    check_copies(machine, ended, 3, 1, Tolerance::F32)?;
    let squeezed = graph([8, 7, 7], |g, x| {
        let first = g.conv2d("first", x, conv(8))?;
        let second = g.conv2d("second", x, Conv2d::new(7, 1))?;
        let y = g.concat("op", &[first, second])?;
        let y = g.squeeze_excite("se", y, SqueezeExcite::new(3))?;
        g.conv2d("next", y, Conv2d::new(9, 1))
    });
    check_copies(machine, squeezed, 3, 0, Tolerance::F32)?;
    // Widths of the first part, of two in a concatenation of their own, and of the last; what is copied.
    for ([first, a, b, last], copied) in [
        ([4, 8, 4, 5], 0),
        ([4, 3, 5, 4], 1),
        ([4, 4, 3, 2], 1),
        // The inner one is copied as a whole.
        ([3, 8, 5, 9], 1),
        ([3, 2, 3, 4], 2),
    ] {
        let nested = graph([8, 5, 3], |g, x| {
            let first = g.conv2d("first", x, conv(first))?;
            let a = g.conv2d("a", x, Conv2d::new(a, 1))?;
            let b = g.conv2d("b", x, conv(b))?;
            let last = g.conv2d("last", x, Conv2d::new(last, 1))?;
            let inner = g.concat("inner", &[a, b])?;
            let y = g.concat("op", &[first, inner, last])?;
            g.conv2d("next", y, Conv2d::new(5, 1))
        });
        check_copies(machine, nested, 2, copied, Tolerance::F32)?;
    }
    Ok(())
}

/// Parts that something else wants: a consumer, the caller, the same concatenation once more.
fn copied_parts(machine: &Machine) -> Outcome {
    let conv = |out| Conv2d::new(out, 3).padding(1);
    let twice = graph([8, 5, 7], |g, x| {
        let [a, b] = [g.conv2d("a", x, conv(4))?, g.conv2d("b", x, conv(8))?];
        g.concat("op", &[a, b, a])
    });
    check_copies(machine, twice, 2, 2, Tolerance::Op)?;
    let read = graph([8, 5, 7], |g, x| {
        let [a, b] = [g.conv2d("a", x, conv(8))?, g.conv2d("b", x, conv(8))?];
        let y = g.concat("op", &[a, b])?;
        let y = g.conv2d("next", y, Conv2d::new(8, 1))?;
        let y = g.activation("relu", y, Act::Relu)?;
        g.add("product", Op::Mul(Mul {}), &[y, b])
    });
    check_copies(machine, read, 2, 1, Tolerance::F32)?;
    // The window is the whole map: a fully connected layer.
    let whole = graph([8, 2, 3], |g, x| {
        let a = g.conv2d("a", x, Conv2d { kernel: [2, 3], ..Conv2d::new(4, 1) })?;
        let b = g.conv2d("b", x, Conv2d { kernel: [1, 3], stride: [2, 1], ..Conv2d::new(8, 1) })?;
        g.concat("op", &[a, b])
    });
    check_copies(machine, whole, 2, 1, Tolerance::Op)?;
    let mut g = GraphBuilder::new("case");
    let x = g.input(Shape::map(8, 5, 7))?;
    let [a, b] = [g.conv2d("a", x, conv(4))?, g.conv2d("b", x, conv(8))?];
    let y = g.concat("op", &[a, b])?;
    check_copies(machine, g.finish(&[("y", y), ("b", b)])?, 2, 1, Tolerance::Op)
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
