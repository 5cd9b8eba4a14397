//! Half precision: every kernel of maps, and networks. What is refused: `half_refused.rs`. Meaning
//! `src/ops/*.rs` · how `shaders/axis/storage/f16.wgsl`
//!
//! Inputs and weights are numbers that half precision has, so that what is left of an op is the rounding of its result.

use super::{conv2d, shape};
use crate::check::{Problem, chosen, families, family, graph, kernels, one, other_family, se_variant};
use crate::common::compare::{SMALLEST_HALF, Tolerance, compare, compare_each, rounding_bounds, stored_in_half};
use crate::common::golden::Golden;
use crate::machine::Machine;
use crate::{Case, Outcome, Run, Stop, ensure};
use excite::gpu::{Executor, ExecutorOptions};
use excite::ops::{
    Act, Add, BatchNorm, ChannelShuffle, Concat, Conv2d, GlobalPool, Linear, Mul, Op, Pad, Padding, Pool, PoolKind,
    Reshape, Scale, SqueezeExcite, Unary,
};
use excite::plan::{Choice, InputFormat, Normalize, Plan, PlanOptions, SeVariant};
use excite::plan::{Family, Step};
use excite::{Graph, Precision, Shape, Tensor, Weights, verify};
use std::collections::BTreeMap;

pub fn cases() -> Vec<Case> {
    let on_half: Vec<(&str, Run)> = vec![
        ("conv2d", Box::new(convolutions)),
        ("residual", Box::new(residual)),
        ("split", Box::new(split)),
        ("elementwise", Box::new(elementwise)),
        ("moved", Box::new(moved)),
        ("concat", Box::new(parts_in_place)),
        ("channel_shuffle", Box::new(shuffled_while_loading)),
        ("pool", Box::new(pool)),
        ("pixels", Box::new(pixels)),
        ("squeeze_excite/variants", Box::new(variants)),
        ("squeeze_excite/joined", Box::new(joined)),
        ("maps_as_vectors", Box::new(maps_as_vectors)),
        ("network", Box::new(network)),
        ("verify", Box::new(verified)),
        ("verify_by_graph", Box::new(verified_by_its_graph)),
    ];
    let golden = ["legacy_seresnet18", OTHER_FAMILY, "seresnext26d_32x4d", "se_shufflenet"];
    let golden = golden.map(|file| (file, Box::new(move |machine: &Machine| golden_network(machine, file)) as Run));
    let named = on_half.into_iter().map(|(name, run)| (format!("half/{name}"), run));
    let golden = golden.into_iter().map(|(file, run)| (format!("half/golden/{file}"), run));
    named.chain(golden).map(|(name, run)| where_it_is(name, run)).collect()
}

/// A case for adapters with half precision.
pub fn where_it_is(name: String, run: Run) -> Case {
    Case::new(name, move |machine: &Machine| match machine.gpu(true).target().half {
        true => run(machine),
        false => Err(Stop::Skipped("the adapter has no SHADER_F16".into())),
    })
}

/// The golden network that runs with the kernels of the other kind of adapter, too.
const OTHER_FAMILY: &str = "efficientnet_b0";

/// What the result of a problem may be off by.
#[derive(Clone, Copy)]
pub enum Stored {
    /// Nothing: elements are only moved.
    Exact,
    /// One rounding of each element, besides what one op may be off by in `f32`.
    Once,
    /// As many roundings on the way, of values of this size at most.
    Often(f32, f32),
}

pub fn in_half(plan: PlanOptions) -> PlanOptions {
    plan.precision(Precision::F16)
}

fn plain() -> Vec<PlanOptions> {
    vec![PlanOptions::default()]
}

/// The number of half precision that is nearest.
fn rounded(tensor: &Tensor) -> Tensor {
    let round = |&x: &f32| if x.abs() < SMALLEST_HALF { 0.0 } else { half::f16::from_f32(x).to_f32() };
    Tensor::new(tensor.shape(), tensor.data().iter().map(round).collect()).expect("the count is the same")
}

/// The same problem with rounded input and weights.
pub fn halved(problem: Problem) -> Result<Problem, String> {
    let tensors = problem.graph.tensors().into_iter();
    let weights = tensors.map(|(name, shape)| Ok((name.clone(), rounded(&problem.weights.get(&name, &shape)?))));
    let weights = weights.collect::<excite::Result<Vec<_>>>().map_err(|e| e.to_string())?;
    Ok(Problem { input: rounded(&problem.input), weights: Weights::from_tensors(weights), ..problem })
}

/// Runs with guards around every value, as each of `plans` says but in half precision.
pub fn check(machine: &Machine, graph: Graph, batch: usize, plans: &[PlanOptions], stored: Stored) -> Outcome {
    let problem = halved(Problem::new(graph, batch, Tolerance::Op))?;
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    let sums = rounding_bounds(&problem.graph, &problem.input, &problem.weights)?;
    let first = &problem.graph.outputs()[0].0;
    for plan in plans {
        let plan = in_half(plan.clone());
        let executor = Executor::new(
            machine.gpu(true),
            &problem.graph,
            &problem.weights,
            ExecutorOptions::default().plan(plan.clone()).guard(true),
        )?;
        let got = executor.run_all(&problem.input)?;
        for (name, expected) in &expected {
            let op = Tolerance::Op.allowed(expected.max_abs());
            let allowed = |i: usize| match stored {
                Stored::Exact => 0.0,
                Stored::Once => {
                    let sum = if name == first { sums[i].max(op) } else { op };
                    sum + stored_in_half(expected.data()[i])
                }
                Stored::Often(times, size) => times * stored_in_half(size.max(expected.max_abs())),
            };
            compare_each(expected, &got[name], allowed)
                .map_err(|e| format!("\"{name}\" {e}\nbatch {batch}, {plan:?}\n{}", problem.graph))?;
        }
    }
    Ok(())
}

/// Every row of the tables of convolutions. The kernels take turns: compiling takes longest here, and what they compute
/// where is what it is in `f32`.
fn convolutions(machine: &Machine) -> Outcome {
    conv2d::rows().into_iter().zip(kernels(machine).iter().cycle()).try_for_each(|((shape, batch, conv), plan)| {
        check(machine, one(shape, Op::Conv2d(conv)), batch, std::slice::from_ref(plan), Stored::Once)
    })
}

fn residual(machine: &Machine) -> Outcome {
    for (conv, plan) in [
        (Conv2d::new(8, 1), family(Family::Direct)),
        (Conv2d::new(8, 3).padding(1), family(Family::Tiled)),
        (Conv2d::new(8, 3).padding(1).groups(8), family(Family::Direct)),
    ] {
        let graph = graph([8, 7, 5], |g, x| {
            let y = g.conv2d("conv", x, conv)?;
            g.add("sum", Op::Add(Add { act: Act::Relu }), &[x, y])
        });
        check(machine, graph, 3, &[plan], Stored::Once)?;
    }
    Ok(())
}

/// Convolutions whose depth is split, with and without a residual: the parts' sums are `f32`.
fn split(machine: &Machine) -> Outcome {
    for (shape, batch, conv, residual) in
        [([260, 7, 7], 2, Conv2d::new(70, 1), false), ([65, 5, 7], 3, Conv2d::new(65, 3).padding(1), true)]
    {
        let graph = graph(shape, |g, x| {
            let y = g.conv2d("conv", x, conv)?;
            if residual { g.add("sum", Op::Add(Add { act: Act::Relu }), &[x, y]) } else { Ok(y) }
        });
        let choice = Choice::Split { splits: 4 };
        let plan = chosen(machine.gpu(true), &graph, batch, &in_half(PlanOptions::default()), choice)?;
        let planned = Plan::new(&graph, batch, machine.gpu(true).target(), &plan)?;
        ensure(planned.steps.iter().any(|step| step.variant.partial_sums()), format!("nothing is split\n{planned}"))?;
        check(machine, graph, batch, &[plan], Stored::Once)?;
    }
    Ok(())
}

/// Awkward maps, with a batch.
const MAPS: [([usize; 3], usize); 5] =
    [([1, 1, 1], 1), ([3, 1, 7], 5), ([5, 7, 7], 2), ([65, 3, 2], 3), ([257, 1, 1], 2)];

fn elementwise(machine: &Machine) -> Outcome {
    let ops = [
        Op::Activation(Act::Relu),
        Op::Activation(Act::HardSwish),
        Op::Unary(Unary::Cos),
        Op::BatchNorm(BatchNorm { eps: 1e-3, act: Act::Silu }),
    ];
    for (shape, batch) in MAPS {
        for op in &ops {
            check(machine, one(shape, op.clone()), batch, &plain(), Stored::Once)?;
        }
        for op in [Op::Add(Add { act: Act::Relu }), Op::Mul(Mul {})] {
            let graph = graph(shape, |g, x| {
                let other = g.pool("other", x, Pool::max(3).stride(1).padding(1))?;
                g.add("op", op, &[other, x])
            });
            check(machine, graph, batch, &plain(), Stored::Once)?;
        }
    }
    // A vector is f32 as ever.
    let vector = graph([7, 1, 1], |g, x| {
        let x = g.global_avg_pool("pool", x)?;
        g.batch_norm("norm", x, BatchNorm::default())
    });
    check(machine, vector, 3, &plain(), Stored::Once)
}

/// What computes nothing has the same numbers, bit for bit.
fn moved(machine: &Machine) -> Outcome {
    let exact = |graph, batch| check(machine, graph, batch, &plain(), Stored::Exact);
    for (shape, batch) in MAPS {
        exact(graph(shape, |_, x| Ok(x)), batch)?;
        exact(graph(shape, |g, x| g.flatten("flatten", x)), batch)?;
        exact(one(shape, Op::Pad(Padding { top: 1, bottom: 0, left: 2, right: 1 }.into())), batch)?;
        exact(one(shape, Op::Concat(Concat::default())), batch)?;
        let parts = graph(shape, |g, x| {
            let y = g.pool("y", x, Pool::max(3).stride(1).padding(1))?;
            g.concat("concat", &[x, y, x])
        });
        exact(parts, batch)?;
        let [c, h, w] = shape;
        exact(one(shape, Op::Reshape(Reshape { shape: Shape::map(h, w, c) })), batch)?;
        exact(one(shape, Op::Reshape(Reshape { shape: Shape::map(c * h * w, 1, 1) })), batch)?;
        exact(one(shape, Op::Reshape(Reshape { shape: Shape::tensor(&[w, c, h]) })), batch)?;
    }
    exact(one([8, 5, 4], Op::Pad(Pad { top: -1, bottom: 2, left: 0, right: -2 })), 2)?;
    for (shape, groups, batch) in [([9, 3, 5], 3, 2), ([14, 7, 7], 7, 1), ([60, 2, 2], 15, 3)] {
        exact(one(shape, Op::ChannelShuffle(ChannelShuffle { groups })), batch)?;
    }
    // There and back: a vector, a map of one pixel, a convolution, a tensor.
    let there = graph([6, 2, 3], |g, x| {
        let x = g.flatten("vector", x)?;
        let x = g.add("map", Op::Reshape(Reshape { shape: Shape::map(36, 1, 1) }), &[x])?;
        let x = g.activation("relu", x, Act::Relu)?;
        let x = g.add("tensor", Op::Reshape(Reshape { shape: Shape::tensor(&[4, 9]) }), &[x])?;
        let x = g.activation("again", x, Act::LeakyRelu(0.5))?;
        g.add("back", Op::Reshape(Reshape { shape: Shape::map(6, 3, 2) }), &[x])
    });
    exact(there, 2)
}

/// Parts of concatenations, by their convolutions and pools or copied. The families take turns.
fn parts_in_place(machine: &Machine) -> Outcome {
    shape::PARTS.into_iter().zip(families().iter().cycle()).try_for_each(|((parts, copied), plan)| {
        let graph = shape::joined_parts([8, 5, 7], parts);
        let planned = Plan::new(&graph, 3, machine.gpu(true).target(), &in_half(plan.clone()))?;
        ensure(shape::copies(&planned) == copied, format!("expected {copied} copies\n{planned}"))?;
        check(machine, graph, 3, std::slice::from_ref(plan), Stored::Once)
    })
}

/// Channels shuffled while a depthwise convolution loads them.
fn shuffled_while_loading(machine: &Machine) -> Outcome {
    shape::SHUFFLES.into_iter().try_for_each(|row| {
        let graph = shape::shuffled_depthwise(row);
        let planned = Plan::new(&graph, row.2, machine.gpu(true).target(), &in_half(PlanOptions::default()))?;
        ensure(shape::shuffles(&planned) == [0, 1], format!("the shuffle is a step\n{planned}"))?;
        check(machine, graph, row.2, &plain(), Stored::Often(4.0, 2.0))
    })
}

fn pool(machine: &Machine) -> Outcome {
    let rows = [
        ([1, 1, 1], 1, Pool::avg(1)),
        ([3, 7, 7], 2, Pool::avg(3).stride(2).padding(1)),
        ([4, 6, 9], 5, Pool::avg(3).stride(2).ceil_mode(true)),
        ([65, 7, 7], 1, Pool::avg(7)),
        ([5, 13, 11], 2, Pool::avg(3).stride(2).dilation(2).padding(2)),
    ];
    for (shape, batch, pool) in rows {
        check(machine, one(shape, Op::Pool(pool.clone())), batch, &plain(), Stored::Once)?;
        let max = Pool { kind: PoolKind::Max, ..pool };
        check(machine, one(shape, Op::Pool(max)), batch, &plain(), Stored::Exact)?;
    }
    for kind in [PoolKind::Avg, PoolKind::Max, PoolKind::AvgMax] {
        for (shape, batch) in [([1, 1, 1], 2), ([9, 13, 11], 2), ([65, 7, 7], 3)] {
            check(machine, one(shape, Op::GlobalPool(GlobalPool { kind })), batch, &families(), Stored::Once)?;
        }
    }
    Ok(())
}

/// Samples of 8 bits are normalised before they are stored.
fn pixels(machine: &Machine) -> Outcome {
    let normalize = Normalize { mean: [0.25, 0.5, 0.75], std: [0.5, 0.25, 1.0] };
    let plan = in_half(PlanOptions::default().input(InputFormat::Pixels(normalize.clone())));
    let graph = one([3, 5, 7], Op::Activation(Act::Identity));
    let pixels: Vec<u8> = (0..2 * 3 * 35).map(|i| (i * 37) as u8).collect();
    let options = ExecutorOptions::default().plan(plan).guard(true);
    let got = Executor::new(machine.gpu(true), &graph, &Weights::seeded(1, 1.0), options)?.run_pixels(&pixels)?;
    let expected = Tensor::from_fn([2, 3, 5, 7], |i| {
        let (image, channel, pixel) = (i / 105, i / 35 % 3, i % 35);
        let sample = f32::from(pixels[(image * 35 + pixel) * 3 + channel]) / 255.0;
        (sample - normalize.mean[channel]) / normalize.std[channel]
    });
    Ok(compare_each(&expected, &got, |i| stored_in_half(expected.data()[i]))?)
}

/// An SE block and its scale in every variant, both families.
fn variants(machine: &Machine) -> Outcome {
    let tiled = |variant| se_variant(variant).family(Family::Tiled);
    let mut plans = [SeVariant::Spread, SeVariant::Excite, SeVariant::Block].map(se_variant).to_vec();
    plans.extend([SeVariant::Spread, SeVariant::Block].map(tiled));
    for (shape, reduced, batch) in [([1, 3, 5], 1, 2), ([5, 7, 7], 2, 2), ([65, 1, 7], 5, 2), ([64, 14, 14], 4, 1)] {
        let graph = graph(shape, |g, x| g.squeeze_excite("se", x, SqueezeExcite::new(reduced))).with_gate_outputs();
        check(machine, graph, batch, &plans, Stored::Once)?;
    }
    Ok(())
}

/// Convolutions that squeeze what they store, that scale what they load, and that end the block before.
fn joined(machine: &Machine) -> Outcome {
    let tiled = se_variant(SeVariant::Spread).family(Family::Tiled);
    let target = machine.gpu(true).target();
    let has = |graph: &Graph, batch, wanted: fn(&excite::kernels::Variant) -> bool| {
        let plan = Plan::new(graph, batch, target, &in_half(tiled.clone()))?;
        let found = plan.steps.iter().any(|step| step.variant.half() && wanted(&step.variant));
        ensure(found, format!("no step is of the variant under test\n{plan}"))
    };
    let depthwise = |channels| Conv2d::new(channels, 3).padding(1).groups(channels);
    for (shape, batch, conv) in [
        ([5, 7, 7], 3, Conv2d::new(9, 1)),
        ([8, 1, 7], 5, Conv2d::new(40, 3).padding(1)),
        ([68, 13, 11], 1, depthwise(68)),
    ] {
        let graph = graph(shape, |g, x| {
            let x = g.conv2d("conv", x, conv)?;
            let x = g.activation("act", x, Act::Relu)?;
            g.squeeze_excite("se", x, SqueezeExcite::new(3))
        });
        let graph = graph.with_gate_outputs();
        has(&graph, batch, |variant| variant.sums())?;
        check(machine, graph, batch, std::slice::from_ref(&tiled), Stored::Often(4.0, 2.0))?;
    }
    for (shape, batch) in [([5, 7, 7], 3), ([68, 13, 11], 2), ([12, 9, 8], 1)] {
        let scaled = graph(shape, |g, x| {
            let y = g.squeeze_excite("se", x, SqueezeExcite::new(3))?;
            let y = g.conv2d("depthwise", y, depthwise(shape[0]))?;
            g.activation("act", y, Act::Relu)
        });
        let plan = Plan::new(&scaled, batch, target, &in_half(tiled.clone()))?;
        let gated = |step: &Step| step.variant.half() && step.overrides.contains(&("GATED", 1.0));
        ensure(plan.steps.iter().any(gated), format!("nothing scales what it reads\n{plan}"))?;
        check(machine, scaled, batch, &families(), Stored::Often(4.0, 2.0))?;
        let gated = graph(shape, |g, x| {
            let y = g.squeeze_excite("se", x, SqueezeExcite::new(3))?;
            let y = g.conv2d("project", y, Conv2d::new(shape[0], 1))?;
            let y = g.sum("sum", y, x)?;
            g.activation("act", y, Act::Relu)
        });
        let plans = families().into_iter().map(|plan| plan.se(SeVariant::Spread));
        check(machine, gated, batch, &plans.collect::<Vec<_>>(), Stored::Often(4.0, 2.0))?;
        let ahead = graph(shape, |g, x| {
            let y = g.conv2d("conv2", x, Conv2d::new(9, 1))?;
            let y = g.activation("act2", y, Act::Relu)?;
            let y = g.conv2d("conv3", y, Conv2d::new(shape[0], 1))?;
            let y = g.squeeze_excite("se", y, SqueezeExcite::new(3))?;
            let y = g.sum("sum", y, x)?;
            g.activation("act", y, Act::Relu)
        });
        let scaled = |plan: PlanOptions| plan.se(SeVariant::Excite);
        let plans: Vec<_> = families().into_iter().map(scaled).collect();
        let plan = Plan::new(&ahead, batch, target, &in_half(plans[0].clone()))?;
        let scales = plan.steps.iter().any(|step| step.shader.name == "squeeze_excite/scale");
        ensure(!scales, format!("something scales\n{plan}"))?;
        check(machine, ahead, batch, &plans, Stored::Often(8.0, 4.0))?;
        let ended = graph(shape, |g, x| {
            let y = g.conv2d("conv", x, Conv2d::new(shape[0], 3).padding(1))?;
            let y = g.squeeze_excite("se", y, SqueezeExcite::new(3))?;
            let block = g.sum("add", y, x)?;
            let block = g.activation("block", block, Act::Relu)?;
            let y = g.conv2d("next", block, Conv2d { act: Act::Relu, ..Conv2d::new(shape[0], 1) })?;
            let pooled = g.global_avg_pool("pooled", block)?;
            g.scale("scaled", y, pooled)
        });
        has(&ended, batch, |variant| variant.keeps_end())?;
        check(machine, ended, batch, std::slice::from_ref(&tiled), Stored::Often(8.0, 4.0))?;
        let pooled = graph(shape, |g, x| {
            let y = g.squeeze_excite("se", x, SqueezeExcite::new(3))?;
            let y = g.sum("add", y, x)?;
            let y = g.activation("act", y, Act::Relu)?;
            g.global_avg_pool("pool", y)
        });
        let plan = Plan::new(&pooled, batch, target, &in_half(tiled.clone()))?;
        let scaled =
            plan.steps.iter().any(|step| step.shader.name == "squeeze_excite/scaled_pool" && step.variant.half());
        ensure(scaled, format!("the pool does not end the SE block\n{plan}"))?;
        check(machine, pooled, batch, std::slice::from_ref(&tiled), Stored::Often(4.0, 2.0))?;
    }
    Ok(())
}

/// Maps of one pixel where kernels read vectors: gates, and what fully connected layers read.
fn maps_as_vectors(machine: &Machine) -> Outcome {
    let gate = |residual: bool| {
        graph([6, 5, 3], |g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.add("map", Op::Reshape(Reshape { shape: Shape::map(6, 1, 1) }), &[z])?;
            let z = g.conv2d("fc", z, Conv2d::new(6, 1))?;
            let z = g.activation("gate", z, Act::Sigmoid)?;
            let inputs: &[_] = if residual { &[x, z, x] } else { &[x, z] };
            let y = g.add("scale", Op::Scale(Scale { residual, act: Act::Identity }), inputs)?;
            g.conv2d("next", y, Conv2d::new(9, 1))
        })
    };
    for residual in [true, false] {
        check(machine, gate(residual), 2, &families(), Stored::Often(8.0, 4.0))?;
    }
    let linear = graph([10, 1, 1], |g, x| {
        let x = g.conv2d("conv", x, Conv2d::new(7, 1))?;
        g.linear("fc", x, Linear::new(5))
    });
    check(machine, linear, 3, &plain(), Stored::Often(4.0, 4.0))?;
    check(machine, one([10, 1, 1], Op::Linear(Linear::new(5))), 3, &plain(), Stored::Once)
}

/// As VGG ends: convolutions, pooling, the whole map as a vector, fully connected layers. Twice the same bits.
fn network(machine: &Machine) -> Outcome {
    let graph = graph([3, 20, 24], |g, x| {
        let mut x = g.conv2d("conv1", x, Conv2d::new(16, 3).padding(1))?;
        x = g.activation("relu1", x, Act::Relu)?;
        x = g.pool("pool1", x, Pool::max(2))?;
        x = g.conv2d("conv2", x, Conv2d::new(24, 3).padding(1).bias(false))?;
        x = g.batch_norm("norm2", x, BatchNorm::default())?;
        x = g.activation("relu2", x, Act::Relu)?;
        x = g.pool("pool2", x, Pool::max(2))?;
        let whole = Conv2d { kernel: [5, 6], ..Conv2d::new(32, 1) };
        let y = g.conv2d("whole", x, whole)?;
        let y = g.activation("relu3", y, Act::Relu)?;
        let y = g.flatten("flatten", y)?;
        let y = g.linear("fc1", y, Linear::new(20))?;
        let z = g.flatten("flatten2", x)?;
        let z = g.linear("fc2", z, Linear::new(20))?;
        g.sum("sum", y, z)
    });
    let problem = Problem::new(graph, 3, Tolerance::F16);
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    for plan in families() {
        let run = |guard| {
            let options = ExecutorOptions::default().plan(in_half(plan.clone())).guard(guard);
            let executor = Executor::new(machine.gpu(false), &problem.graph, &problem.weights, options)?;
            let first = executor.run(&problem.input)?;
            compare(&first, &executor.run(&problem.input)?, Tolerance::Exact).map_err(excite::Error::Request)?;
            Ok::<_, excite::Error>(first)
        };
        let (guarded, shared) = (run(true)?, run(false)?);
        compare(&guarded, &shared, Tolerance::Exact)?;
        compare(&expected["y"], &guarded, problem.tolerance)?;
    }
    Ok(())
}

/// PyTorch's logits and the class it finds.
fn golden_network(machine: &Machine, file: &str) -> Outcome {
    let golden = Golden::read(file)?;
    let (graph, weights, input) = (golden.build()?, golden.weights()?, golden.input()?);
    let run = |precision, family| {
        let options = ExecutorOptions::default().plan(PlanOptions::default().precision(precision).family(family));
        let executor = Executor::new(machine.gpu(false), &graph, &weights, options)?;
        let first = executor.run(&input)?;
        Ok::<_, excite::Error>((executor.run(&input)?, first))
    };
    let (expected, _) = run(Precision::F32, None)?;
    golden.values()?.check(&BTreeMap::from([("logits".to_string(), expected.clone())]))?;
    let best = |logits: &Tensor, image| {
        let classes = logits.image(image).iter().enumerate();
        classes.max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class)
    };
    let other = other_family(machine.gpu(false).target());
    for family in [None].into_iter().chain((file == OTHER_FAMILY).then_some(Some(other))) {
        let (got, again) = run(Precision::F16, family)?;
        compare(&got, &again, Tolerance::Exact).map_err(|e| format!("another run: {e}"))?;
        compare(&expected, &got, Tolerance::F16).map_err(|e| format!("family {family:?}: {e}"))?;
        for image in 0..input.batch() {
            let (expected, got) = (best(&expected, image), best(&got, image));
            ensure(expected == got, format!("image {image}: class {got:?} in half precision, {expected:?} in f32"))?;
        }
    }
    Ok(())
}

/// The tolerances of `verify` suit a network with all kinds of SE kernels, node by node.
fn verified(machine: &Machine) -> Outcome {
    let graph = excite::zoo::build("efficientnet_b0", &excite::zoo::Options::default().size([64, 64]))?;
    let weights = Weights::seeded(1, 1.75);
    let input = weights.get("input", &[1, 3, 64, 64])?;
    let options = verify::Options::for_plan(in_half(PlanOptions::default()));
    let report = verify::verify(machine.gpu(false), &graph, &weights, &input, &options)?;
    ensure(report.passed(), &report)?;
    let worst = report.worst().map_or(0.0, |worst| worst.error);
    ensure(worst > 2.0 * verify::F32, format!("too good to be in half precision: {worst:e}"))?;
    ensure(report.largest > 1.0, "the largest number of the reference is among its values")
}

/// A bias that the next layer takes off again: what is left is off by more than a constant allows, as it must be.
fn verified_by_its_graph(machine: &Machine) -> Outcome {
    let options = verify::Options::for_plan(in_half(PlanOptions::default()));
    let graph = graph([1, 5, 7], |g, x| {
        let up = g.conv2d("up", x, Conv2d::new(1, 1))?;
        let up = g.activation("relu", up, Act::Relu)?;
        g.conv2d("down", up, Conv2d::new(1, 1))
    });
    let weights = [("up", 100.0), ("down", -100.0)].into_iter().flat_map(|(name, bias)| {
        let [weight, bias] = [Tensor::full(vec![1, 1, 1, 1], 1.0), Tensor::full(vec![1], bias)];
        [(format!("{name}.weight"), weight), (format!("{name}.bias"), bias)]
    });
    let weights = Weights::from_tensors(weights);
    let input = Tensor::from_fn([2, 1, 5, 7], |i| (i * 37 % 71) as f32 / 71.0);
    let report = verify::verify(machine.gpu(false), &graph, &weights, &input, &options)?;
    let worst = report.worst().map_or(0.0, |worst| worst.error);
    ensure(report.passed() && worst > verify::F16, format!("{worst:e}\n{report}"))?;
    // A device that is off as much in f32 is not excused by half precision.
    let single = verify::Options::for_plan(PlanOptions::default());
    let report = verify::verify(machine.gpu(false), &graph, &weights, &input, &single)?;
    let worst = report.worst().map_or(0.0, |worst| worst.error);
    ensure(report.passed() && worst < verify::F32, format!("{worst:e}\n{report}"))
}
