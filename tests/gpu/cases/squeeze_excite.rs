//! Meaning `src/ops/{squeeze_excite,binary}.rs` · how `src/kernels/squeeze_excite/*.rs`, `shaders/squeeze_excite/*.wgsl`.
//! The stand-alone block is in `tests/gpu/block.rs`.

use crate::check::{BOTH, Problem, Variant, families, fusions, graph, se_variant, subgroups, variants};
use crate::common::compare::Tolerance;
use crate::common::random::random;
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::ops::{Act, Conv2d, Gating, GlobalPool, Op, PoolKind, Scale, SqueezeExcite};
use excite::plan::{Costs, Family};
use excite::plan::{Fusion, Plan, PlanOptions, SeVariant};
use excite::{Error, Graph, Tensor, Weights};
use proptest::prelude::*;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("squeeze_excite/by_hand", by_hand),
        Case::new("squeeze_excite/channels", channels),
        Case::new("squeeze_excite/planes", planes),
        Case::new("squeeze_excite/reduced", reduced),
        Case::new("squeeze_excite/shared_excitation", shared_excitation),
        Case::new("squeeze_excite/attributes", attributes),
        Case::new("squeeze_excite/gates", gates),
        Case::new("squeeze_excite/residual", residual),
        Case::new("squeeze_excite/shared_gate", shared_gate),
        Case::new("squeeze_excite/in_the_convolution_before", squeezing),
        Case::new("squeeze_excite/in_the_convolution_after", gating),
        Case::new("squeeze_excite/ahead_of_the_convolution", ahead),
        Case::new("squeeze_excite/block_ended_by_the_next", ending),
        Case::new("squeeze_excite/ended_by_a_pool", ended_by_a_pool),
        Case::new("squeeze_excite/two_squeezes_of_one_map", two_squeezes),
        Case::new("squeeze_excite/too_wide_for_a_workgroup", too_wide),
        Case::new("squeeze_excite/random", random_cases),
    ]
}

const VARIANTS: [SeVariant; 3] = [SeVariant::Spread, SeVariant::Excite, SeVariant::Block];

/// An SE block and its scale; the gate is an output too.
fn se_block(shape: [usize; 3], se: SqueezeExcite) -> Graph {
    graph(shape, |g, x| g.squeeze_excite("se", x, se)).with_gate_outputs()
}

fn with(plan: PlanOptions, family: Family) -> PlanOptions {
    plan.family(family)
}

/// Every variant; spread with and without subgroups.
fn se_variants(machine: &Machine) -> Vec<PlanOptions> {
    let spread = subgroups(machine).into_iter().map(|plan| plan.se(SeVariant::Spread));
    spread.chain([SeVariant::Excite, SeVariant::Block].map(se_variant)).collect()
}

fn by_hand(machine: &Machine) -> Outcome {
    // z = [1.5, -4]; hidden = relu(1.5 * 2 - 4 * 1 + 2) = 1; gate = hard_sigmoid([3 - 3, 0 + 1.5]).
    let weights = [
        ("se.fc1.weight", Tensor::new([1, 2, 1, 1], vec![2.0, 1.0])?),
        ("se.fc1.bias", Tensor::new([1], vec![2.0])?),
        ("se.fc2.weight", Tensor::new([2, 1, 1, 1], vec![3.0, 0.0])?),
        ("se.fc2.bias", Tensor::new([2], vec![-3.0, 1.5])?),
    ];
    let graph = se_block([2, 1, 2], SqueezeExcite::new(1).gate(Act::HardSigmoid));
    let problem = Problem {
        input: Tensor::new([1, 2, 1, 2], vec![1.0, 2.0, -3.0, -5.0])?,
        weights: Weights::from_tensors(weights.map(|(name, tensor)| (name.to_string(), tensor))),
        ..Problem::new(graph, 1, Tolerance::Exact)
    };
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    ensure(expected["y"].data() == [0.5, 1.0, -2.25, -3.75], "the reference is wrong")?;
    problem.check(machine, &variants(&fusions(), &BOTH))?;
    Ok(problem.check(machine, &variants(&se_variants(machine), &BOTH))?)
}

/// From one channel to 8192.
fn channels(machine: &Machine) -> Outcome {
    for (channels, reduced, height, width, batch) in [
        (1, 1, 3, 5, 2),
        (3, 1, 1, 1, 5),
        (4, 2, 2, 3, 1),
        (5, 2, 7, 7, 2),
        (63, 4, 3, 3, 1),
        (64, 4, 7, 7, 2),
        (65, 5, 1, 7, 2),
        (257, 16, 3, 2, 5),
        (1024, 64, 2, 2, 2),
        (2048, 128, 2, 3, 1),
        (8192, 32, 2, 2, 1),
    ] {
        let graph = se_block([channels, height, width], SqueezeExcite::new(reduced));
        let problem = Problem::new(graph, batch, Tolerance::Op);
        // What one workgroup can hold with room for the rest.
        let plans = if channels <= 2048 { se_variants(machine) } else { subgroups(machine) };
        problem.check(machine, &variants(&plans, &[true]))?;
        problem.check(machine, &variants(&fusions()[..1], &[true]))?;
        if [5, 65, 2048].contains(&channels) {
            problem.check(machine, &variants(&plans, &[false]))?;
        }
    }
    Ok(())
}

/// Planes that one row takes, and planes that are cut in parts.
fn planes(machine: &Machine) -> Outcome {
    for (squeeze, checks) in [(PoolKind::Avg, true), (PoolKind::Max, false), (PoolKind::AvgMax, false)] {
        for (height, width) in [(1, 1), (1, 7), (7, 7), (13, 11), (56, 56)] {
            for batch in [1, 2, 5] {
                let graph = se_block([9, height, width], SqueezeExcite::new(3).squeeze(squeeze));
                let problem = Problem::new(graph, batch, Tolerance::Op);
                for family in [Family::Direct, Family::Tiled] {
                    let plans = VARIANTS.map(|variant| with(se_variant(variant), family));
                    problem.check(machine, &variants(&plans, &[checks]))?;
                }
            }
        }
    }
    Ok(())
}

/// Widths of the bottleneck, with and without invocations that share a hidden value.
fn reduced(machine: &Machine) -> Outcome {
    for reduced in [1, 2, 3, 4, 5, 17, 128] {
        let problem = Problem::new(se_block([20, 3, 3], SqueezeExcite::new(reduced)), 2, Tolerance::Op);
        problem.check(machine, &variants(&se_variants(machine), &[true]))?;
        problem.check(machine, &variants(&[with(se_variant(SeVariant::Block), Family::Tiled)], &[false]))?;
    }
    Ok(())
}

/// Excitation in one dispatch by several workgroups an image, and by one.
fn shared_excitation(machine: &Machine) -> Outcome {
    for (channels, reduced, batch, shares) in
        [(1152, 64, 3, 2), (1000, 107, 2, 4), (1100, 110, 1, 8), (1100, 121, 2, 16), (1100, 9, 1, 1)]
    {
        let problem = Problem::new(se_block([channels, 2, 1], SqueezeExcite::new(reduced)), batch, Tolerance::Op);
        let plan = with(se_variant(SeVariant::Excite), Family::Tiled);
        // How many depends on the adapter's prices: by the same ones on all.
        let target = machine.gpu(true).target().clone().costs(Costs::SOFTWARE);
        let planned = Plan::new(&problem.graph, batch, &target, &plan)?;
        let groups = planned.steps.iter().find(|step| step.name == "se/excite").map_or(0, |step| step.workgroups[0]);
        ensure(groups as usize == shares * batch, format!("{groups} workgroups\n{planned}"))?;
        problem.check(machine, &variants(&[plan], &BOTH))?;
    }
    Ok(())
}

fn attributes(machine: &Machine) -> Outcome {
    for se in [
        SqueezeExcite::new(3).bias(false),
        SqueezeExcite::new(3).squeeze(PoolKind::Max),
        SqueezeExcite::new(3).squeeze(PoolKind::AvgMax).hidden(Act::Silu),
        SqueezeExcite::new(3).squeeze(PoolKind::Max).bias(false).gate(Act::HardSigmoid).hidden(Act::HardSwish),
    ] {
        let problem = Problem::new(se_block([13, 5, 7], se), 2, Tolerance::Op);
        problem.check(machine, &variants(&se_variants(machine), &[true]))?;
        problem.check(machine, &variants(&fusions(), &[true]))?;
    }
    Ok(())
}

/// Every function as a gate, and every one as the hidden activation. The block variant has the excite variant's code.
fn gates(machine: &Machine) -> Outcome {
    for (gate, hidden) in Act::ALL.into_iter().zip(Act::ALL.into_iter().cycle().skip(3)) {
        let problem =
            Problem::new(se_block([8, 3, 3], SqueezeExcite::new(4).hidden(hidden).gate(gate)), 2, Tolerance::Op);
        problem.check(
            machine,
            &variants(&VARIANTS[..2].iter().map(|&variant| se_variant(variant)).collect::<Vec<_>>(), &[true]),
        )?;
    }
    Ok(())
}

/// What ends an SE-ResNet block: scale, sum, ReLU in one pass.
fn residual(machine: &Machine) -> Outcome {
    for (shape, batch) in [([8, 7, 7], 2), ([5, 3, 1], 3), ([68, 4, 5], 1)] {
        for act in [None, Some(Act::Relu)] {
            let graph = graph(shape, |g, x| {
                let max = g.pool("shortcut", x, excite::ops::Pool::max(3).stride(1).padding(1))?;
                let scaled = g.squeeze_excite("se", x, SqueezeExcite::new(2))?;
                let sum = g.sum("sum", scaled, max)?;
                act.map_or(Ok(sum), |act| g.activation("act", sum, act))
            });
            let problem = Problem::new(graph.with_gate_outputs(), batch, Tolerance::Op);
            problem.check(machine, &variants(&fusions(), &[true]))?;
            problem.check(
                machine,
                &variants(&[se_variant(SeVariant::Spread), se_variant(SeVariant::Block)], &[act.is_none()]),
            )?;
        }
    }
    Ok(())
}

/// A gate with two consumers, or whose consumer scales another map: one dispatch for all is no choice.
fn shared_gate(machine: &Machine) -> Outcome {
    let two = graph([6, 3, 3], |g, x| {
        let max = g.pool("max", x, excite::ops::Pool::max(3).stride(1).padding(1))?;
        let gate = g.add("se", Op::SqueezeExcite(SqueezeExcite::new(2)), &[x])?;
        let own = g.scale("own", x, gate)?;
        let other = g.scale("other", max, gate)?;
        g.sum("sum", own, other)
    });
    let foreign = graph([6, 3, 3], |g, x| {
        let max = g.pool("max", x, excite::ops::Pool::max(3).stride(1).padding(1))?;
        let gate = g.add("se", Op::SqueezeExcite(SqueezeExcite::new(2)), &[x])?;
        g.add("other", Op::Scale(Scale { residual: true, act: Act::Relu }), &[max, gate, x])
    });
    for graph in [two, foreign] {
        let problem = Problem::new(graph, 2, Tolerance::Op);
        problem.check(machine, &variants(&fusions(), &[true]))?;
        problem.check(machine, &variants(&[se_variant(SeVariant::Block)], &[true]))?;
    }
    Ok(())
}

/// Sums that the convolution before keeps: tiles that hold a part of an image, and tiles that run over several.
fn squeezing(machine: &Machine) -> Outcome {
    let depthwise = |channels| Conv2d::new(channels, 3).padding(1).groups(channels);
    for (shape, batch, conv) in [
        ([5, 7, 7], 3, Conv2d::new(9, 1)),
        ([8, 1, 1], 70, Conv2d::new(8, 1)),
        ([8, 1, 7], 5, Conv2d::new(40, 3).padding(1)),
        ([4, 8, 8], 2, Conv2d::new(6, 3).padding(1)),
        ([8, 32, 32], 1, Conv2d::new(128, 1)),
        ([6, 9, 11], 3, Conv2d::new(9, 3).groups(3)),
        ([5, 7, 7], 2, depthwise(5)),
        ([68, 13, 11], 1, depthwise(68)),
        ([68, 13, 11], 5, depthwise(68)),
    ] {
        let graph = graph(shape, |g, x| {
            let x = g.conv2d("conv", x, conv)?;
            let x = g.activation("act", x, Act::Relu)?;
            g.squeeze_excite("se", x, SqueezeExcite::new(3))
        });
        let problem = Problem::new(graph.with_gate_outputs(), batch, Tolerance::F32);
        let plans = [
            (SeVariant::Spread, Family::Tiled),
            (SeVariant::Excite, Family::Tiled),
            (SeVariant::Spread, Family::Direct),
        ];
        let plans = plans.map(|(variant, family)| with(se_variant(variant), family));
        let plan = Plan::new(&problem.graph, batch, machine.gpu(true).target(), &plans[0])?;
        ensure(plan.steps.iter().any(|step| step.variant.sums()), format!("nothing squeezes\n{plan}"))?;
        problem.check(machine, &variants(&plans, &[batch != 3]))?;
        problem.check(machine, &variants(&plans[..1], &[batch == 3]))?;
    }
    Ok(())
}

/// Scales that a 1x1 convolution takes in while it loads, with all that may follow its sum: of its input, or of the
/// weights that invocations share, where those have pixels of one image.
fn gating(machine: &Machine) -> Outcome {
    // Many columns of the direct family don't each scale the map, where they are dearer than a dispatch.
    const MANY: usize = 896;
    let pointwise = |out: usize| Conv2d::new(out, 1);
    let depthwise = |out: usize| Conv2d::new(out, 3).padding(1).groups(out);
    // A convolution that squeezes for the next SE block has workgroups of one image each. Else these are of one image
    // where there is but one, or where its strips of four pixels fill them.
    for (shape, batch, conv, residual, next, one_image) in [
        ([5, 7, 7], 3, pointwise(5), false, true, true),
        ([8, 1, 1], 5, pointwise(8), true, true, false),
        ([68, 13, 11], 2, pointwise(68), true, true, true),
        ([68, 13, 11], 2, pointwise(68), true, false, false),
        ([72, 16, 12], 2, pointwise(72), true, false, true),
        ([20, 48, 48], 2, pointwise(MANY), false, true, true),
        ([20, 46, 50], 2, pointwise(MANY), false, false, false),
        ([5, 7, 7], 1, pointwise(5), true, true, true),
        ([68, 13, 11], 1, pointwise(72), false, true, true),
        ([68, 13, 11], 1, pointwise(72), false, false, true),
        ([5, 7, 9], 3, depthwise(5), true, true, false),
        ([70, 13, 11], 2, Conv2d { stride: [2, 2], ..depthwise(70) }, false, true, false),
    ] {
        let graph = graph(shape, |g, x| {
            let y = g.squeeze_excite("se", x, SqueezeExcite::new(3))?;
            let y = g.conv2d("project", y, conv.clone())?;
            let y = if residual { g.sum("sum", y, x)? } else { y };
            let y = g.activation("act", y, Act::Relu)?;
            // The convolution that scales may squeeze for the next SE block, too.
            if next { g.squeeze_excite("next", y, SqueezeExcite::new(2)) } else { Ok(y) }
        });
        let problem = Problem::new(graph.with_gate_outputs(), batch, Tolerance::F32);
        let gated = |node: &excite::graph::Node| matches!(&node.op, Op::Conv2d(conv) if conv.gate == Gating::Input);
        let prepared = problem.graph.prepare(Fusion::Full)?;
        ensure(prepared.nodes().iter().any(gated), format!("no gate in a convolution\n{prepared}"))?;
        let plans = families().into_iter().map(|plan| plan.se(SeVariant::Spread));
        let plans = plans.collect::<Vec<_>>();
        for options in &plans {
            let target = machine.gpu(true).target();
            let direct = options.family == Some(Family::Direct);
            let shared = direct && one_image && target.sharing_invocations().is_some();
            let many = target.family == Family::Direct && direct && conv.out_channels == MANY;
            let plan = Plan::new(&problem.graph, batch, target, options)?;
            let scaled = plan.steps.iter().any(|step| step.name == "project/scale");
            ensure(scaled == (many && !shared), format!("the map is scaled before: {scaled}\n{plan}"))?;
            let in_weights = plan.steps.iter().any(|step| step.overrides.contains(&("GATED_WEIGHTS", 1.0)));
            ensure(in_weights == shared, format!("gates multiply shared weights: {in_weights}\n{plan}"))?;
        }
        problem.check(machine, &variants(&plans, &BOTH))?;
    }
    Ok(())
}

/// SE blocks that are hoisted in front of their 1x1 convolution, which scales what it makes: with all that may follow, few and
/// many channels on each side, in every variant of the excitation.
fn ahead(machine: &Machine) -> Outcome {
    for (shape, batch, channels, groups, bias, residual) in [
        ([5, 7, 7], 3, [6, 5], 1, [true, true], true),
        ([8, 1, 1], 5, [3, 70], 1, [true, false], false),
        ([68, 13, 11], 2, [9, 68], 1, [false, true], true),
        ([3, 12, 5], 1, [70, 3], 1, [false, false], true),
        ([24, 9, 7], 3, [16, 24], 2, [false, true], true),
        ([6, 5, 9], 2, [9, 6], 3, [true, true], true),
        ([8, 3, 7], 2, [8, 8], 4, [true, false], false),
    ] {
        let graph = graph(shape, |g, x| {
            let y = g.conv2d("conv2", x, Conv2d::new(channels[0], 3).padding(1))?;
            let y = g.activation("act2", y, Act::Relu)?;
            let y = g.conv2d("conv3", y, Conv2d::new(channels[1], 1).groups(groups).bias(bias[0]))?;
            let y = g.squeeze_excite("se", y, SqueezeExcite::new(3).bias(bias[1]))?;
            let y = if residual { g.sum("sum", y, x)? } else { y };
            g.activation("act", y, Act::HardSwish)
        });
        let problem = Problem::new(graph.with_gate_outputs(), batch, Tolerance::F32);
        let se_variants = [SeVariant::Spread, SeVariant::Excite];
        let of = |variant: SeVariant| families().into_iter().map(move |plan| plan.se(variant));
        let plans = se_variants.into_iter().flat_map(of).collect::<Vec<_>>();
        for options in &plans {
            let plan = Plan::new(&problem.graph, batch, machine.gpu(true).target(), options)?;
            let squeezes = plan.steps.iter().any(|step| step.variant.sums() && step.name.starts_with("conv2"));
            let scales = plan.steps.iter().any(|step| step.shader.name.contains("scale"));
            ensure(squeezes && !scales, format!("conv2 does not squeeze, or something scales\n{plan}"))?;
        }
        problem.check(machine, &variants(&plans, &BOTH))?;
    }
    Ok(())
}

/// Blocks whose scale, sum and activation the first convolution of the next block does, for itself and for all others
/// that read the block; and blocks that it must leave alone.
fn ending(machine: &Machine) -> Outcome {
    let ended = |plan: &Plan| plan.steps.iter().filter(|step| step.variant.keeps_end()).count();
    for (shape, batch, next, act, expected) in [
        ([5, 7, 7], 3, Conv2d::new(9, 1), Act::Relu, 1),
        ([8, 1, 1], 70, Conv2d::new(8, 1), Act::Identity, 1),
        ([68, 13, 11], 2, Conv2d::new(70, 1), Act::HardSwish, 1),
        ([12, 5, 3], 1, Conv2d::new(500, 1).bias(false), Act::Relu, 1),
        // However many columns of tiles read so small a map again, it is less than a dispatch.
        ([12, 5, 3], 1, Conv2d::new(600, 1), Act::Relu, 1),
        // Another stride reads too little of it, another kernel too often.
        ([8, 6, 6], 2, Conv2d::new(8, 1).stride(2), Act::Relu, 0),
        ([8, 6, 6], 2, Conv2d::new(8, 3).padding(1), Act::Relu, 0),
    ] {
        let graph = graph(shape, |g, x| {
            let y = g.conv2d("conv", x, Conv2d::new(shape[0], 3).padding(1))?;
            let y = g.squeeze_excite("se", y, SqueezeExcite::new(3))?;
            let block = g.sum("add", y, x)?;
            let block = g.activation("block", block, act)?;
            let y = g.conv2d("next", block, next)?;
            let pooled = g.global_avg_pool("pooled", block)?;
            let scaled = g.conv2d("back", y, Conv2d::new(shape[0], 1))?;
            g.scale("scaled", scaled, pooled)
        });
        let problem = Problem::new(graph.with_gate_outputs(), batch, Tolerance::F32);
        let tiled = with(se_variant(SeVariant::Spread), Family::Tiled);
        let plan = Plan::new(&problem.graph, batch, machine.gpu(true).target(), &tiled)?;
        ensure(ended(&plan) == expected, format!("{} blocks are ended by the next\n{plan}", ended(&plan)))?;
        problem.check(machine, &variants(&[tiled], &BOTH))?;
    }
    // A convolution whose own sums are wanted has no room for the block; one that is the block's second consumer is late.
    let graph = graph([8, 5, 5], |g, x| {
        let y = g.squeeze_excite("se1", x, SqueezeExcite::new(3))?;
        let x = g.sum("block1", y, x)?;
        let y = g.conv2d("conv1", x, Conv2d { act: Act::Relu, ..Conv2d::new(8, 1) })?;
        let y = g.squeeze_excite("se2", y, SqueezeExcite::new(3))?;
        let x = g.sum("block2", y, x)?;
        let y = g.pool("pool", x, excite::ops::Pool::max(3).stride(1).padding(1))?;
        let x = g.conv2d("conv2", x, Conv2d::new(8, 1))?;
        g.sum("sum", x, y)
    });
    let problem = Problem::new(graph, 2, Tolerance::F32);
    let tiled = with(se_variant(SeVariant::Spread), Family::Tiled);
    let plan = Plan::new(&problem.graph, 2, machine.gpu(true).target(), &tiled)?;
    ensure(ended(&plan) == 0, format!("a block is ended by the next\n{plan}"))?;
    Ok(problem.check(machine, &variants(&[tiled], &BOTH))?)
}

/// Last SE blocks whose second layer and scale are the pool's; and SE blocks that it must leave alone.
fn ended_by_a_pool(machine: &Machine) -> Outcome {
    let scaled_pools =
        |plan: &Plan| plan.steps.iter().filter(|step| step.shader.name == "squeeze_excite/scaled_pool").count();
    let target = machine.gpu(true).target();
    for (shape, batch, reduced, residual, kind, act) in [
        ([5, 7, 7], 3, 3, true, PoolKind::Avg, Act::Relu),
        ([1, 1, 1], 2, 1, true, PoolKind::Max, Act::Identity),
        ([70, 3, 5], 2, 17, false, PoolKind::Max, Act::Identity),
        ([264, 13, 11], 1, 16, true, PoolKind::Max, Act::HardSwish),
        ([130, 1, 2], 5, 9, false, PoolKind::Avg, Act::Identity),
    ] {
        let se_block = SqueezeExcite::new(reduced).gate(if batch == 5 { Act::HardSigmoid } else { Act::Sigmoid });
        let graph = graph(shape, |g, x| {
            let y = g.conv2d("conv", x, Conv2d { act: Act::Relu, ..Conv2d::new(shape[0], 1) })?;
            let y =
                g.squeeze_excite("se", y, se_block.squeeze(if batch == 3 { PoolKind::AvgMax } else { PoolKind::Avg }))?;
            let y = if residual { g.sum("sum", y, x)? } else { y };
            let y = g.activation("act", y, act)?;
            g.add("pool", Op::GlobalPool(GlobalPool { kind }), &[y])
        });
        let problem = Problem::new(graph, batch, Tolerance::F32);
        let plans = [Family::Tiled, Family::Direct].map(|family| with(se_variant(SeVariant::Spread), family));
        for plan in &plans {
            let plan = Plan::new(&problem.graph, batch, target, plan)?;
            ensure(scaled_pools(&plan) == 1, format!("the pool does not end the SE block\n{plan}"))?;
        }
        problem.check(machine, &variants(&plans, &BOTH))?;
    }
    // The gate is an output, the map has another consumer, the pool is of both kinds.
    let build = |kind, read_twice: bool| {
        graph([8, 5, 5], |g, x| {
            let y = g.squeeze_excite("se", x, SqueezeExcite::new(3))?;
            let sum = g.sum("sum", y, x)?;
            let pooled = g.add("pool", Op::GlobalPool(GlobalPool { kind }), &[sum])?;
            if read_twice { g.scale("scaled", sum, pooled) } else { Ok(pooled) }
        })
    };
    let spread = se_variant(SeVariant::Spread);
    for (graph, expected) in [
        (build(PoolKind::Avg, false), 1),
        (build(PoolKind::Avg, false).with_gate_outputs(), 0),
        (build(PoolKind::Avg, true), 0),
        (build(PoolKind::AvgMax, false), 0),
    ] {
        let plan = Plan::new(&graph, 2, target, &spread)?;
        ensure(
            scaled_pools(&plan) == expected,
            format!("{} of {expected} SE blocks end in a pool\n{plan}", scaled_pools(&plan)),
        )?;
        Problem::new(graph, 2, Tolerance::F32).check(machine, &variants(std::slice::from_ref(&spread), &[true]))?;
    }
    Ok(())
}

/// One convolution whose result is squeezed by mean, by maximum and by both, and pooled.
fn two_squeezes(machine: &Machine) -> Outcome {
    for conv in [Conv2d::new(8, 1), Conv2d::new(8, 3).groups(8)] {
        let graph = graph([8, 5, 5], |g, x| {
            let x = g.conv2d("conv", x, conv)?;
            let mean = g.squeeze_excite("mean", x, SqueezeExcite::new(3))?;
            let max = g.squeeze_excite("max", x, SqueezeExcite::new(3).squeeze(PoolKind::Max))?;
            let both = g.squeeze_excite("both", x, SqueezeExcite::new(3).squeeze(PoolKind::AvgMax))?;
            let sum = g.sum("sum", mean, max)?;
            let sum = g.sum("sums", sum, both)?;
            let pooled = g.add("pool", Op::GlobalPool(GlobalPool { kind: PoolKind::Max }), &[x])?;
            g.scale("scale", sum, pooled)
        });
        let problem = Problem::new(graph.with_gate_outputs(), 2, Tolerance::F32);
        problem.check(machine, &variants(&[with(se_variant(SeVariant::Excite), Family::Tiled)], &[true]))?;
    }
    Ok(())
}

/// A variant that needs more workgroup memory than there is can only be forced, and says so.
fn too_wide(machine: &Machine) -> Outcome {
    let target = machine.gpu(true).target();
    let memory = target.limits.max_compute_workgroup_storage_size as usize;
    let graph = se_block([memory / 4, 1, 1], SqueezeExcite::new(1));
    Plan::new(&graph, 1, target, &PlanOptions::default())?;
    for variant in [SeVariant::Excite, SeVariant::Block] {
        let refusal = Plan::new(&graph, 1, target, &se_variant(variant)).err();
        let named = |e: &Error| matches!(e, Error::Limit { limit: "max_compute_workgroup_storage_size", .. });
        ensure(refusal.as_ref().is_some_and(named), format!("{variant:?}: {refusal:?}"))?;
    }
    Ok(())
}

fn random_cases(machine: &Machine) -> Outcome {
    let shape = (1usize..=70, 1usize..=12, 1usize..=12).prop_map(|(c, h, w)| [c, h, w]);
    let acts = [Act::Relu, Act::Silu, Act::HardSwish];
    let gates = [Act::Sigmoid, Act::HardSigmoid, Act::Tanh];
    let se = (
        1usize..=20,
        prop::sample::select(vec![PoolKind::Avg, PoolKind::Max, PoolKind::AvgMax]),
        any::<bool>(),
        prop::sample::select(acts.to_vec()),
        prop::sample::select(gates.to_vec()),
    );
    let se = se.prop_map(|(reduced, squeeze, bias, hidden, gate)| SqueezeExcite {
        reduced,
        squeeze,
        hidden,
        gate,
        bias,
        gates: None,
    });
    let variant =
        prop::sample::select(&[None, Some(SeVariant::Spread), Some(SeVariant::Excite), Some(SeVariant::Block)][..]);
    let how = (1usize..=5, any::<bool>(), any::<bool>(), any::<bool>(), 0usize..3);
    type Random = ([usize; 3], SqueezeExcite, Option<SeVariant>, (usize, bool, bool, bool, usize));
    let run = |(shape, se, variant, (batch, residual, subgroups, checks, fusion)): Random| {
        let graph = graph(shape, |g, x| {
            let y = g.squeeze_excite("se", x, se)?;
            if !residual {
                return Ok(y);
            }
            let sum = g.sum("sum", x, y)?;
            g.activation("relu", sum, Act::Relu)
        });
        let plan = fusions()[fusion].clone().se(variant).subgroups(subgroups);
        // Small SE blocks in the family for GPUs, too.
        let plan = if shape[0] % 2 == 0 { families()[batch % 2].clone() } else { plan };
        let problem = Problem::new(graph.with_gate_outputs(), batch, Tolerance::Op);
        problem.check(machine, &[Variant { plan, checks }])
    };
    Ok(random("squeeze_excite", 20, (shape, se, variant, how), run)?)
}
