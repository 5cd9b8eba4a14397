//! Meaning `src/ops/conv2d.rs` · how `src/kernels/conv2d/*.rs`, `shaders/conv2d/*.wgsl`

use crate::check::{BOTH, Problem, Variant, family, graph, kernels, one, variants};
use crate::common::compare::Tolerance;
use crate::common::random::random;
use crate::common::random_graph::conv;
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::ops::{Act, Add, Conv2d, Op, Padding};
use excite::plan::Family;
use excite::plan::{Fusion, Plan, PlanOptions};
use excite::{Shape, Tensor, Weights};
use proptest::prelude::*;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("conv2d/by_hand", by_hand),
        Case::new("conv2d/pointwise/sizes", |m| table(m, pointwise())),
        Case::new("conv2d/pointwise/activations", |m| activations(m, Conv2d::new(8, 1), Family::Direct)),
        Case::new("conv2d/whole_map", |m| table(m, whole_map())),
        Case::new("conv2d/general/sizes", |m| table(m, sizes())),
        Case::new("conv2d/general/attributes", |m| table(m, attributes())),
        Case::new("conv2d/general/groups", |m| table(m, groups())),
        Case::new("conv2d/depthwise/sizes", |m| table(m, depthwise())),
        Case::new("conv2d/depthwise/activations", |m| activations(m, Conv2d::new(8, 3).groups(8), Family::Direct)),
        Case::new("conv2d/from_nchw", from_nchw),
        Case::new("conv2d/residual", residual),
        Case::new("conv2d/shared_weights", shared_weights),
        Case::new("conv2d/random", random_cases),
    ]
}

/// Input `[C,H,W]`, batch, convolution.
pub type Row = ([usize; 3], usize, Conv2d);

/// The tables of all kernels.
pub fn rows() -> Vec<Row> {
    [pointwise(), whole_map(), sizes(), attributes(), groups(), depthwise()].concat()
}

fn by_hand(machine: &Machine) -> Outcome {
    // 1x3x3 counting up, a 2x2 kernel of ones with one row of padding on top.
    let conv = Conv2d::new(1, 2).padding(Padding { top: 1, ..Padding::default() });
    let weights = [("op.weight", Tensor::full([1, 1, 2, 2], 1.0)), ("op.bias", Tensor::full([1], 0.5))];
    let problem = Problem {
        input: Tensor::from_fn([1, 1, 3, 3], |i| (i + 1) as f32),
        weights: Weights::from_tensors(weights.map(|(name, tensor)| (name.to_string(), tensor))),
        ..Problem::new(one([1, 3, 3], Op::Conv2d(conv)), 1, Tolerance::Exact)
    };
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    ensure(expected["y"].data() == [3.5, 5.5, 12.5, 16.5, 24.5, 28.5], "the reference is wrong")?;
    Ok(problem.check(machine, &variants(&kernels(machine), &BOTH))?)
}

/// Every row by every kernel and in both modes.
fn table(machine: &Machine, rows: Vec<Row>) -> Outcome {
    for (shape, batch, conv) in rows {
        let problem = Problem::new(one(shape, Op::Conv2d(conv)), batch, Tolerance::Op).bounded();
        problem.check(machine, &variants(&kernels(machine), &BOTH))?;
    }
    Ok(())
}

/// First convolutions that read the images as they come, and those that must not.
fn from_nchw(machine: &Machine) -> Outcome {
    let planes = |plan: &Plan| plan.steps.iter().filter(|step| step.variant.nchw()).count();
    let seven = Conv2d::new(9, 7).stride(2).padding(3);
    for (shape, batch, conv, expected) in [
        ([1, 5, 7], 2, Conv2d::new(3, 3), 1),
        ([2, 4, 4], 1, Conv2d::new(70, 3).padding(1), 1),
        ([3, 1, 1], 2, Conv2d::new(8, 3).padding(1), 1),
        ([3, 17, 13], 3, seven, 1),
        ([4, 9, 8], 5, Conv2d::new(6, 5).padding(4).dilation(2).stride(3), 1),
        // More channels than a vec4, a matrix product, groups.
        ([5, 4, 4], 1, Conv2d::new(8, 3), 0),
        ([3, 4, 4], 1, Conv2d::new(8, 1), 0),
        ([4, 5, 5], 1, Conv2d::new(8, 3).groups(2), 0),
    ] {
        let problem = Problem::new(one(shape, Op::Conv2d(conv)), batch, Tolerance::Op).bounded();
        for options in kernels(machine) {
            let plan = Plan::new(&problem.graph, batch, machine.gpu(true).target(), &options)?;
            ensure(planes(&plan) == expected, format!("{} steps read planes\n{plan}", planes(&plan)))?;
        }
        problem.check(machine, &variants(&kernels(machine), &BOTH))?;
    }
    // The images have a second consumer; or every op is a dispatch of its own.
    let twice = graph([3, 6, 6], |g, x| {
        let y = g.conv2d("conv", x, Conv2d::new(3, 3).padding(1))?;
        g.sum("sum", x, y)
    });
    let once = one([3, 6, 6], Op::Conv2d(Conv2d::new(8, 3)));
    for (graph, options) in [(twice, PlanOptions::default()), (once, PlanOptions::default().fusion(Fusion::None))] {
        let plan = Plan::new(&graph, 2, machine.gpu(true).target(), &options)?;
        ensure(planes(&plan) == 0, format!("a step reads planes\n{plan}"))?;
        Problem::new(graph, 2, Tolerance::F32).check(machine, &variants(&[options], &[true]))?;
    }
    Ok(())
}

/// Windows that are the whole map: fully connected layers.
fn whole_map() -> Vec<Row> {
    vec![
        ([5, 2, 3], 3, Conv2d { kernel: [2, 3], ..Conv2d::new(7, 1) }),
        ([6, 3, 3], 2, Conv2d::new(9, 3).stride(2).bias(false)),
        ([8, 1, 5], 1, Conv2d { kernel: [1, 5], act: Act::Relu, ..Conv2d::new(70, 1) }),
    ]
}

/// 1x1 of stride 1: matrix products of awkward sizes, and one that fills tiles of every size.
fn pointwise() -> Vec<Row> {
    vec![
        ([1, 1, 1], 1, Conv2d::new(1, 1)),
        ([3, 1, 1], 5, Conv2d::new(2, 1).bias(false)),
        ([4, 1, 7], 2, Conv2d::new(8, 1)),
        ([5, 7, 7], 3, Conv2d::new(13, 1)),
        ([17, 13, 11], 1, Conv2d::new(4, 1)),
        ([64, 7, 7], 1, Conv2d::new(67, 1)),
        ([8, 32, 32], 1, Conv2d::new(128, 1)),
    ]
}

fn sizes() -> Vec<Row> {
    vec![
        ([1, 1, 1], 1, Conv2d::new(1, 3).padding(1)),
        ([3, 7, 7], 2, Conv2d::new(5, 3).padding(1)),
        ([4, 5, 3], 5, Conv2d::new(4, 2)),
        ([5, 11, 13], 3, Conv2d::new(7, 3).stride(2).padding(1)),
        ([3, 19, 17], 1, Conv2d::new(16, 7).stride(2).padding(3).bias(false)),
        ([33, 7, 7], 1, Conv2d::new(34, 3).padding(1)),
        ([8, 32, 32], 1, Conv2d::new(128, 3).padding(1)),
    ]
}

fn attributes() -> Vec<Row> {
    let sides = Padding { top: 0, bottom: 1, left: 2, right: 3 };
    let uneven = Conv2d { kernel: [1, 5], stride: [2, 1], dilation: [1, 2], ..Conv2d::new(6, 1) };
    vec![
        ([6, 7, 9], 2, uneven.clone().padding(sides)),
        ([6, 9, 7], 1, Conv2d { kernel: [5, 2], stride: [1, 3], dilation: [2, 1], ..uneven }),
        // A kernel larger than the map, and taps that all fall into the padding.
        ([5, 2, 2], 2, Conv2d::new(3, 5).padding(2)),
        ([4, 3, 3], 1, Conv2d::new(4, 3).padding(4)),
        ([4, 9, 9], 1, Conv2d::new(5, 3).dilation(3).padding(3)),
        // 1x1, but not a plain matrix product.
        ([7, 9, 5], 2, Conv2d::new(9, 1).stride(2)),
        ([7, 3, 5], 1, Conv2d::new(9, 1).padding(Padding { top: 1, ..Padding::default() })),
        ([4, 13, 11], 1, Conv2d::new(8, 2).stride(5)),
    ]
}

/// Groups whose channels are whole vec4s, become whole when merged, and never do.
fn groups() -> Vec<Row> {
    vec![
        ([32, 5, 5], 1, Conv2d::new(48, 3).padding(1).groups(4)),
        ([60, 5, 5], 2, Conv2d::new(60, 3).padding(1).groups(15)),
        ([8, 5, 5], 3, Conv2d::new(16, 1).groups(4)),
        ([16, 7, 7], 2, Conv2d::new(64, 3).padding(1).groups(4)),
        ([24, 5, 5], 1, Conv2d::new(12, 3).groups(12)),
        ([6, 7, 7], 1, Conv2d::new(9, 3).padding(1).groups(3)),
        ([15, 5, 5], 2, Conv2d::new(10, 2).groups(5).bias(false)),
        ([5, 5, 5], 2, Conv2d::new(15, 3).groups(5).stride(2)),
    ]
}

fn depthwise() -> Vec<Row> {
    let depthwise = |channels, kernel| Conv2d::new(channels, kernel).groups(channels);
    let uneven = Conv2d { kernel: [2, 4], stride: [3, 1], dilation: [1, 2], ..depthwise(6, 1) };
    vec![
        ([2, 1, 1], 1, depthwise(2, 1)),
        ([3, 1, 7], 5, depthwise(3, 3).padding(1)),
        ([5, 7, 7], 2, depthwise(5, 3).padding(1).bias(false)),
        ([65, 7, 7], 1, depthwise(65, 5).padding(2)),
        ([8, 13, 11], 3, depthwise(8, 3).stride(2).padding(1)),
        ([6, 9, 13], 1, uneven.padding(Padding { top: 3, bottom: 0, left: 1, right: 2 })),
        ([4, 2, 2], 2, depthwise(4, 7).padding(3)),
        ([4, 9, 9], 1, depthwise(4, 3).dilation(3).padding(3)),
    ]
}

/// Every activation behind a sum. Its code is one for all kernels: one mode and one family are enough.
fn activations(machine: &Machine, conv: Conv2d, family_: Family) -> Outcome {
    for act in Act::ALL.into_iter().chain([Act::LeakyRelu(0.25)]) {
        let conv = Conv2d { act, ..conv.clone() };
        let problem = Problem::new(one([8, 5, 7], Op::Conv2d(conv)), 2, Tolerance::Op).bounded();
        problem.check(machine, &variants(&[family(family_)], &[true]))?;
    }
    Ok(())
}

/// A residual in the convolution's pass, with and without an activation.
fn residual(machine: &Machine) -> Outcome {
    for conv in [Conv2d::new(8, 1), Conv2d::new(8, 3).padding(1), Conv2d::new(8, 3).padding(1).groups(8)] {
        for act in [Act::Identity, Act::Relu] {
            let graph = graph([8, 7, 5], |g, x| {
                let y = g.conv2d("conv", x, conv.clone())?;
                g.add("sum", Op::Add(Add { act }), &[x, y])
            });
            let problem = Problem::new(graph, 3, Tolerance::Op).bounded();
            problem.check(machine, &variants(&kernels(machine), &[act == Act::Relu]))?;
        }
    }
    Ok(())
}

/// Subgroups share weights where the adapter has subgroups of a size that suits and a map has enough rows of pixels for
/// half of their invocations, in tiles of as many vec4s as come out even.
fn shared_weights(machine: &Machine) -> Outcome {
    let target = machine.gpu(true).target();
    let suits = target.sharing_invocations().is_some();
    let least = target.sharing_invocations().unwrap_or(8) as usize / 2;
    for (rows, out, vec4s) in [(least, 16, 4.0), (least, 24, 2.0), (least, 12, 1.0), (9, 64, 4.0), (least - 1, 16, 2.0)]
    {
        for kernel in [1, 3] {
            let conv = Conv2d::new(out, kernel).padding(kernel / 2);
            let graph = one([5, 1, 4 * rows], Op::Conv2d(conv));
            for subgroups in [None, Some(false)] {
                let options = family(Family::Direct).subgroups(subgroups);
                let plan = Plan::new(&graph, 1, target, &options)?;
                let step = plan.steps.iter().find(|step| step.name == "op").expect("the convolution");
                let shared = suits && subgroups.is_none() && rows >= least;
                let has = |name: &'static str, value: f64| step.overrides.contains(&(name, value));
                let vec4s = if shared { vec4s } else { f64::min(vec4s, 2.0) };
                let invocations =
                    !shared || (has("INVOCATIONS_PIXEL", 2.0 * least as f64) && has("INVOCATIONS_VEC4", 1.0));
                let right = step.variant.subgroups() == shared && has("TILE_VEC4S", vec4s) && invocations;
                ensure(right, format!("{rows} rows to {out} channels, {subgroups:?}\n{plan}"))?;
            }
        }
    }
    Ok(())
}

/// Any convolution, in the graph before fusion: alone, with an activation, with a residual.
fn random_cases(machine: &Machine) -> Outcome {
    let shape = (1usize..=24, 1usize..=13, 1usize..=13).prop_map(|(c, h, w)| [c, h, w]);
    let how = (1usize..=5, any::<[bool; 3]>(), any::<bool>(), any::<bool>());
    let strategy = (shape, any::<[u8; 5]>(), how);
    type Pick = ([usize; 3], [u8; 5], (usize, [bool; 3], bool, bool));
    let run = |(shape, picks, how): Pick| {
        let (batch, [tiled, subgroups, checks], relu, residual) = how;
        let op = conv(Shape::map(shape[0], shape[1], shape[2]), picks.map(usize::from));
        let graph = graph(shape, |g, x| {
            let mut y = g.conv2d("conv", x, op.clone())?;
            if residual {
                let other = g.conv2d("other", x, op)?;
                y = g.sum("sum", y, other)?;
            }
            if relu { g.activation("relu", y, Act::Relu) } else { Ok(y) }
        });
        let family = if tiled { Family::Tiled } else { Family::Direct };
        let plan = PlanOptions::default().family(family).subgroups(subgroups);
        let variant = Variant { plan, checks };
        Problem::new(graph, batch, Tolerance::Op).bounded().check(machine, &[variant])
    };
    Ok(random("conv2d", 24, strategy, run)?)
}
