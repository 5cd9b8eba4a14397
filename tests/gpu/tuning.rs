//! Tuned plans: every candidate of every convolution gives the right answer and the same bits again, in either
//! precision, a measured tuning too, and a plan does what its tuning says.

use crate::cases::half::{self, Stored};
use crate::check::{Problem, Variant, chosen, graph, one, same_bits_of};
use crate::common::compare::{Tolerance, with_outputs};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop, ensure};
use excite::gpu::{Executor, ExecutorOptions};
use excite::graph::Node;
use excite::measure::TuneOptions;
use excite::ops::{Act, ChannelShuffle, Conv2d, Linear, Op, Padding, Scale, SqueezeExcite};
use excite::plan::Step;
use excite::plan::{Choice, Plan, PlanOptions, SeVariant};
use excite::tuning::Tuning;
use excite::{Gpu, Graph, Precision};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    let cases: [(&str, InPrecision); 2] = [("every_candidate", every_candidate), ("fused", fused)];
    let in_each = cases.into_iter().flat_map(|(name, run)| {
        Precision::ALL.map(|precision| {
            let (name, run) = (format!("tuning/{name}/{precision}"), move |machine: &Machine| run(machine, precision));
            case(name, precision, run)
        })
    });
    let others = [
        Case::new("tuning/measured", |machine| measured(machine, blocks(12), Precision::F32)),
        Case::new("tuning/measured_deep", |machine| measured(machine, deep(), Precision::F32)),
        Case::new("tuning/measured_large", |machine| measured(machine, large(), Precision::F32)),
        case("tuning/measured/f16".into(), Precision::F16, |machine| measured(machine, first(), Precision::F16)),
        Case::new("tuning/budget", budget),
        Case::new("tuning/budget_that_ends", budget_that_ends),
        Case::new("tuning/of_another_adapter", of_another_adapter),
    ];
    in_each.chain(others).collect()
}

fn case(name: String, precision: Precision, run: impl Fn(&Machine) -> Outcome + Send + Sync + 'static) -> Case {
    match precision {
        Precision::F32 => Case::new(name, run),
        Precision::F16 => half::where_it_is(name, Box::new(run)),
    }
}

type InPrecision = fn(&Machine, Precision) -> Outcome;

/// A graph with numbers that the precision has.
fn problem(graph: Graph, batch: usize, precision: Precision) -> Result<Problem, String> {
    match precision {
        Precision::F32 => Ok(Problem::new(graph, batch, Tolerance::F32)),
        Precision::F16 => half::halved(Problem::new(graph, batch, Tolerance::F16)),
    }
}

fn options(precision: Precision) -> PlanOptions {
    PlanOptions::default().precision(precision)
}

/// Odd shapes of every kind, one candidate after the other.
fn every_candidate(machine: &Machine, precision: Precision) -> Outcome {
    let rows = [
        ([5, 7, 7], 3, Conv2d::new(13, 1)),
        ([17, 7, 5], 1, Conv2d::new(72, 1)),
        // Several tiles each way, also of the widest.
        ([5, 17, 9], 2, Conv2d::new(140, 1)),
        ([5, 17, 9], 2, Conv2d::new(140, 3).padding(1)),
        // Deep ones, whose depth is no multiple of its parts.
        ([260, 7, 7], 3, Conv2d::new(70, 1)),
        ([65, 5, 7], 1, Conv2d::new(21, 3).padding(1)),
        ([136, 5, 4], 2, Conv2d::new(32, 3).stride(2).groups(2)),
        // Full tiles of the largest size.
        ([8, 32, 32], 1, Conv2d::new(128, 1)),
        ([3, 19, 17], 1, Conv2d::new(16, 7).stride(2).padding(3)),
        ([9, 11, 13], 2, Conv2d { kernel: [3, 2], dilation: [1, 2], ..Conv2d::new(70, 1) }.padding(1)),
        ([6, 7, 9], 3, Conv2d::new(10, 3).padding(1)),
        ([33, 6, 2], 1, Conv2d::new(70, 3).padding(Padding { top: 2, bottom: 0, left: 1, right: 3 })),
        ([3, 1, 1], 2, Conv2d { act: Act::Relu, ..Conv2d::new(5, 3) }.padding(1)),
        ([32, 5, 5], 1, Conv2d::new(48, 3).padding(1).groups(4)),
        ([65, 17, 9], 2, Conv2d::new(65, 3).padding(1).groups(65)),
        ([6, 13, 11], 3, Conv2d { stride: [3, 1], ..Conv2d::new(6, 5) }.padding(2).groups(6)),
    ];
    let mut seen = BTreeSet::new();
    for (shape, batch, conv) in rows {
        let graph = one(shape, Op::Conv2d(conv));
        let plans = by_every_candidate(machine.gpu(true), &graph, batch, &options(precision))?;
        seen.extend(plans.keys().copied());
        match precision {
            Precision::F32 => {
                let variants = plans.into_values().zip([true, false].into_iter().cycle());
                let variants: Vec<Variant> = variants.map(|(plan, checks)| Variant { plan, checks }).collect();
                Problem::new(graph, batch, Tolerance::Op).bounded().check(machine, &variants)?;
            }
            Precision::F16 => {
                half::check(machine, graph, batch, &plans.into_values().collect::<Vec<_>>(), Stored::Once)?;
            }
        }
    }
    ensure(seen == BTreeSet::from(Choice::ALL), format!("only {seen:?} are tried"))
}

/// Convolutions with all that they are fused with: squeezes, gates, residuals, the ends of blocks, images as they come,
/// shuffles, concatenations. Right, the same bits again, and the same for an image wherever it is in the batch.
fn fused(machine: &Machine, precision: Precision) -> Outcome {
    // The variant of the SE blocks is the one that asks convolutions for sums.
    let shared = options(precision).se(SeVariant::Spread);
    let alone = shared.clone().subgroups(false);
    // One device for all of it: so the graphs share pipelines.
    let checks = precision == Precision::F32;
    let gpu = machine.gpu(checks);
    let mut seen = BTreeSet::new();
    let mut check = |name: &str, graph: Graph, options: &PlanOptions, counts: fn(&Plan, Choice) -> bool| {
        let problem = problem(graph, 5, precision)?;
        for (choice, plan) in by_every_candidate(gpu, &problem.graph, 5, options)? {
            let options = ExecutorOptions::default().plan(plan.clone());
            let executor = Executor::new(gpu, &problem.graph, &problem.weights, options)?;
            let planned = executor.plan(5)?;
            if counts(&planned, choice) {
                seen.insert(choice);
                let right = problem.check(machine, &[Variant { plan, checks }]);
                let found = right.and_then(|()| same_bits_of(&executor, &problem.input));
                found.map_err(|e| format!("{name} by {choice}: {e}\n{planned}"))?;
            }
        }
        Ok::<_, Stop>(())
    };
    check("blocks of 12", blocks(12), &shared, |_, _| true)?;
    check("blocks of 16", blocks(16), &shared, |_, choice| matches!(choice, Choice::Direct { .. }))?;
    check("blocks of 68", blocks(68), &shared, |_, choice| choice == Choice::Wide)?;
    check("deep", deep(), &shared, |_, _| true)?;
    check("first", first(), &shared, |_, _| true)?;
    check("bottlenecks", bottlenecks(), &shared, |_, _| true)?;
    check("joined", joined(), &shared, |_, _| true)?;
    check("gated depthwise", gated_depthwise(), &shared, |plan, _| {
        plan.steps.iter().any(|step| step.name == "depthwise" && step.overrides.contains(&("GATED", 1.0)))
    })?;
    // Subgroups make a difference to what shares weights, and to nothing else here.
    let weights: fn(&Plan, Choice) -> bool = |plan, _| plan.steps.iter().any(|step| step.shader.has_axis("weights"));
    check("first without subgroups", first(), &alone, weights)?;
    check("joined without subgroups", joined(), &alone, weights)?;
    ensure(seen == BTreeSet::from(Choice::ALL), format!("only {seen:?} are tried"))
}

/// The options with each choice wherever it is a candidate. Their plans do as they say, and elsewhere as ever.
fn by_every_candidate(
    gpu: &Gpu,
    graph: &Graph,
    batch: usize,
    options: &PlanOptions,
) -> Result<BTreeMap<Choice, PlanOptions>, String> {
    let plan = |options: &PlanOptions| Plan::new(graph, batch, gpu.target(), options).map_err(|e| e.to_string());
    let prepared = graph.prepare(options.fusion).map_err(|e| e.to_string())?;
    let convolutions: Vec<&Node> = prepared.nodes().iter().filter(|node| matches!(node.op, Op::Conv2d(_))).collect();
    let plain: Vec<_> = plan(options)?.choices().collect();
    let candidates: BTreeSet<Choice> = plain.iter().flat_map(|(.., candidates)| candidates).copied().collect();
    let mut plans = BTreeMap::new();
    for choice in candidates {
        let tuned = chosen(gpu, graph, batch, options, choice).map_err(|e| e.to_string())?;
        let planned = plan(&tuned)?;
        let found: Vec<_> = planned.choices().collect();
        if [plain.len(), found.len()] != [convolutions.len(); 2] {
            return Err(format!("not every convolution has candidates\n{planned}"));
        }
        for ((node, (key, before, candidates)), (_, found, _)) in convolutions.iter().zip(&plain).zip(found) {
            let expected = if candidates.contains(&choice) { choice } else { *before };
            if found != expected || !computed_by(&planned, node, expected) {
                return Err(format!("\"{}\", {key}: not computed by {expected}\n{planned}", node.name));
            }
        }
        plans.insert(choice, tuned);
    }
    Ok(plans)
}

/// Whether the steps of a convolution are those that the choice means.
fn computed_by(plan: &Plan, node: &Node, choice: Choice) -> bool {
    let parts: BTreeMap<&str, &Step> = plan
        .steps
        .iter()
        .filter_map(|step| match step.name.strip_prefix(&node.name)? {
            "" => Some(("", step)),
            part => Some((part.strip_prefix('/')?, step)),
        })
        .collect();
    let Some(last) = parts.get("") else { return false };
    let number = |step: &Step, name: &str| {
        let set = step.overrides.iter().find(|(found, _)| *found == name);
        set.map_or(0, |&(_, value)| value as u32)
    };
    let by = |step: &Step, names: [&str; 2]| names.contains(&step.shader.name);
    let tiled = |step: &Step, invocations, each, splits| {
        let tile = ["INVOCATIONS_VEC4", "INVOCATIONS_ROW", "VEC4S", "SPLITS"].map(|name| number(step, name));
        by(step, ["conv2d/tiled", "conv2d/pointwise_tiled"]) && tile == [invocations, invocations, each, splits]
    };
    match choice {
        Choice::Tiled { invocations } => tiled(last, invocations, 1, 1) && !last.variant.partial_sums(),
        Choice::Wide => tiled(last, 16, 2, 1),
        Choice::SplitWithin { splits } => tiled(last, 8, 1, splits),
        Choice::Split { splits: count } => {
            let at = last.shader.params.iter().position(|(name, ..)| *name == "splits");
            let split = parts.get("splits").is_some_and(|step| tiled(step, 8, 1, 1) && step.variant.partial_sums());
            last.shader.name == "conv2d/combine" && split && at.is_some_and(|at| last.params[at] == count)
        }
        Choice::Direct { vec4s } => {
            by(last, ["conv2d/direct", "conv2d/pointwise_direct"]) && number(last, "TILE_VEC4S") == vec4s
        }
        Choice::Depthwise { invocations } => {
            let [wide, deep] = ["INVOCATIONS_VEC4", "INVOCATIONS_STRIP"].map(|name| number(last, name));
            // No deeper than there are strips of four pixels.
            let strips = node.shape.height() * node.shape.width().div_ceil(4);
            let most = (invocations / wide.max(1)).min(strips.next_power_of_two() as u32);
            last.shader.name == "conv2d/depthwise" && deep == most
        }
        Choice::Winograd => {
            let before = ["winograd/input", "winograd/products"].iter().all(|name| parts.contains_key(name));
            last.shader.name == "conv2d/winograd_output" && before
        }
    }
}

/// The graph with the values of these nodes as outputs too: so that what is wrong with a map is not lost in a mean.
fn showing(graph: &Graph, names: &[&str]) -> Graph {
    let shown = names.iter().map(|name| (name.to_string(), graph.find(name).expect("a node of this name")));
    with_outputs(graph, &graph.outputs().iter().cloned().chain(shown).collect::<Vec<_>>())
}

/// Residual blocks with SE inside and at their ends, on maps whose tiles run over the border of images. The last ends
/// in the pool.
fn blocks(channels: usize) -> Graph {
    let depthwise = Conv2d::new(channels, 3).padding(1).groups(channels);
    let graph = graph([3, 17, 13], |g, x| {
        let mut x = g.conv2d("stem", x, Conv2d::new(channels, 3).stride(2).padding(1))?;
        x = g.activation("stem.relu", x, Act::Relu)?;
        let mut y = g.conv2d("depthwise", x, depthwise.clone())?;
        y = g.squeeze_excite("inner", y, SqueezeExcite::new(5))?;
        y = g.conv2d("project", y, Conv2d::new(channels, 1))?;
        let gate = g.add("se", Op::SqueezeExcite(SqueezeExcite::new(3)), &[y])?;
        x = g.add("end", Op::Scale(Scale { residual: true, act: Act::Relu }), &[y, gate, x])?;
        y = g.conv2d("last", x, Conv2d::new(channels, 1))?;
        x = g.sum("sum", y, x)?;
        y = g.conv2d("spatial", x, depthwise)?;
        x = g.sum("sum of spatial", y, x)?;
        y = g.conv2d("wide", x, Conv2d::new(channels, 3).padding(1))?;
        y = g.sum("sum of wide", y, x)?;
        y = g.squeeze_excite("se of wide", y, SqueezeExcite::new(3))?;
        x = g.sum("last sum", y, x)?;
        x = g.activation("last relu", x, Act::Relu)?;
        let x = g.global_avg_pool("pool", x)?;
        g.linear("fc", x, Linear::new(10))
    });
    showing(&graph, &["end", "sum", "sum of spatial", "sum of wide"])
}

/// Convolutions that may split their depth, with all that they are fused with: gate, sums, the end of a block, residual
/// and activation.
fn deep() -> Graph {
    let graph = graph([257, 5, 3], |g, x| {
        let y = g.squeeze_excite("inner", x, SqueezeExcite::new(5))?;
        let y = g.conv2d("project", y, Conv2d::new(257, 1))?;
        let y = g.squeeze_excite("se", y, SqueezeExcite::new(3))?;
        let x = g.sum("add", y, x)?;
        let x = g.activation("end", x, Act::Relu)?;
        let y = g.conv2d("first", x, Conv2d::new(33, 1))?;
        let y = g.activation("first.act", y, Act::HardSwish)?;
        let y = g.conv2d("second", y, Conv2d::new(257, 3).padding(1))?;
        let x = g.sum("sum", y, x)?;
        let x = g.activation("act", x, Act::Relu)?;
        g.global_avg_pool("pool", x)
    });
    showing(&graph, &["end", "first.act", "act"])
}

/// SE blocks that are hoisted in front of the convolution that they scale: of few channels, and of a deep product.
fn bottlenecks() -> Graph {
    let graph = graph([3, 9, 13], |g, x| {
        let mut x = g.conv2d("stem", x, Conv2d::new(70, 3).stride(2).padding(1))?;
        for (name, inner) in [("few", 12), ("many", 260)] {
            let y = g.conv2d(&format!("{name}.conv1"), x, Conv2d::new(inner, 1))?;
            let y = g.activation(&format!("{name}.act1"), y, Act::Relu)?;
            let y = g.conv2d(&format!("{name}.conv2"), y, Conv2d::new(70, 1))?;
            let y = g.squeeze_excite(&format!("{name}.se"), y, SqueezeExcite::new(5))?;
            let y = g.sum(&format!("{name}.sum"), y, x)?;
            x = g.activation(&format!("{name}.act2"), y, Act::Relu)?;
        }
        Ok(x)
    });
    showing(&graph, &["few.act2"]).with_gate_outputs()
}

/// SE blocks behind every kind of convolution: the one that reads the images as they come, one that shuffles while it
/// loads, a general one, and a matrix product.
fn first() -> Graph {
    let graph = graph([3, 15, 17], |g, x| {
        let x = g.conv2d("stem", x, Conv2d::new(16, 3).stride(2).padding(1))?;
        let x = g.activation("stem.act", x, Act::Silu)?;
        let x = g.squeeze_excite("se1", x, SqueezeExcite::new(3))?;
        let x = g.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups: 2 }), &[x])?;
        let x = g.conv2d("depthwise", x, Conv2d::new(16, 3).padding(1).groups(16))?;
        let x = g.activation("depthwise.act", x, Act::HardSwish)?;
        let x = g.squeeze_excite("se2", x, SqueezeExcite::new(3))?;
        let x = g.conv2d("general", x, Conv2d::new(16, 2))?;
        let x = g.squeeze_excite("se3", x, SqueezeExcite::new(3))?;
        let x = g.conv2d("pointwise", x, Conv2d::new(8, 1))?;
        g.squeeze_excite("se4", x, SqueezeExcite::new(3))
    });
    showing(&graph, &["stem.act", "depthwise.act", "general", "pointwise"])
}

/// Parts of a concatenation by every kernel, each also behind another.
fn joined() -> Graph {
    graph([36, 9, 7], |g, x| {
        let parts = [
            g.conv2d("narrow", x, Conv2d::new(8, 3).padding(1))?,
            g.conv2d("pointwise", x, Conv2d::new(16, 1))?,
            g.conv2d("wide", x, Conv2d::new(16, 3).padding(1))?,
            g.conv2d("depthwise", x, Conv2d::new(36, 3).padding(1).groups(36))?,
            g.conv2d("last", x, Conv2d::new(12, 1))?,
        ];
        g.concat("concat", &parts)
    })
}

/// A depthwise convolution that scales what it reads, and squeezes for the next SE block.
fn gated_depthwise() -> Graph {
    graph([36, 9, 7], |g, x| {
        let x = g.squeeze_excite("se", x, SqueezeExcite::new(5))?;
        let x = g.conv2d("depthwise", x, Conv2d::new(36, 3).padding(1).groups(36))?;
        let x = g.activation("act", x, Act::Relu)?;
        g.squeeze_excite("next", x, SqueezeExcite::new(3))
    })
}

/// So much work that the reference is asked for a part of it only.
fn large() -> Graph {
    graph([65, 27, 29], |g, x| {
        let y = g.conv2d("conv", x, Conv2d::new(66, 3).padding(1))?;
        let y = g.squeeze_excite("se", y, SqueezeExcite::new(5))?;
        g.global_avg_pool("pool", y)
    })
}

/// What is measured is used, gives the right answer and the same bits each time, and comes back from a file as it was.
fn measured(machine: &Machine, graph: Graph, precision: Precision) -> Outcome {
    let gpu = machine.gpu(false);
    let options = TuneOptions::default().precision(precision).budget(Duration::from_secs(600));
    let mut reported = Vec::new();
    let tuning = Tuning::measure(gpu, &graph, 2, &options, &mut |at| reported.push((at.done, at.total)))?;
    let plain = PlanOptions::default().precision(precision);
    let plain: Vec<_> = Plan::new(&graph, 2, gpu.target(), &plain)?.choices().collect();
    let distinct: BTreeSet<&str> = plain.iter().map(|(key, ..)| key.as_str()).collect();
    ensure(tuning.left().next().is_none(), format!("some were left: {tuning:?}"))?;
    ensure(tuning.shapes().map(|(key, _)| key).eq(distinct.iter().copied()), format!("{tuning:?}"))?;
    let steps: Vec<_> = (0..distinct.len()).map(|done| (done, distinct.len())).collect();
    ensure(reported == steps, format!("progress was {reported:?}"))?;
    for (key, _, candidates) in &plain {
        let (_, tuned) = tuning.shapes().find(|(found, _)| found == key).ok_or("a shape is missing")?;
        // All were right, so all were timed.
        let timed = tuned.milliseconds.keys().copied().collect::<BTreeSet<_>>();
        ensure(timed == candidates.iter().copied().collect(), format!("{key}: {tuned:?}, of {candidates:?}"))?;
        ensure(tuned.speed_up().is_some_and(|times| times >= 1.0), format!("{key}: {tuned:?}"))?;
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(Tuning::file_name(gpu, precision));
    tuning.save(&path)?;
    ensure(Tuning::load(&path)? == tuning, "the file says something else")?;
    let plan = PlanOptions::default().precision(precision).tuning(Arc::new(tuning));
    let problem = problem(graph, 2, precision)?;
    problem.check(machine, &[Variant { plan: plan.clone(), checks: true }])?;
    let executor = Executor::new(gpu, &problem.graph, &problem.weights, ExecutorOptions::default().plan(plan))?;
    Ok(same_bits_of(&executor, &problem.input)?)
}

/// Without time nothing is tuned, and the plan is the static one.
fn budget(machine: &Machine) -> Outcome {
    let (gpu, graph) = (machine.gpu(true), blocks(12));
    let options = TuneOptions::default().budget(Duration::ZERO);
    let tuning = Tuning::measure(gpu, &graph, 1, &options, &mut |_| {})?;
    ensure(tuning.shapes().next().is_none() && tuning.left().count() == 6, format!("{tuning:?}"))?;
    let plan = |tuning| Plan::new(&graph, 1, gpu.target(), &PlanOptions::default().tuning(tuning));
    let [tuned, plain] = [plan(Some(Arc::new(tuning)))?, plan(None)?].map(|plan| plan.choices().collect::<Vec<_>>());
    ensure(tuned == plain, format!("{tuned:?} is not {plain:?}"))
}

/// A budget that ends within a shape leaves this and the others as they are: nothing more of it is made or timed.
fn budget_that_ends(machine: &Machine) -> Outcome {
    let (gpu, graph) = (machine.gpu(true), first());
    let options = TuneOptions::default().budget(Duration::from_secs(3));
    let mut begun = Vec::new();
    let mut made = 0;
    let tuning = Tuning::measure(gpu, &graph, 1, &options, &mut |at| {
        begun.push(at.shape.to_string());
        std::thread::sleep(options.budget);
        made = gpu.objects_created();
    })?;
    ensure(begun.len() == 1 && tuning.shapes().next().is_none(), format!("{begun:?}, {tuning:?}"))?;
    // One executor at most, of the static choice.
    let plan = Plan::new(&graph, 1, gpu.target(), &PlanOptions::default())?;
    let all: BTreeSet<String> = plan.choices().map(|(key, ..)| key).collect();
    ensure(tuning.left().eq(all.iter()) && all.len() > 3, format!("{tuning:?}"))?;
    let few = gpu.objects_created() - made;
    ensure(few < 100, format!("{few} objects were made when the time was over"))
}

/// A tuning of another adapter or precision is refused, and says whose it is.
fn of_another_adapter(machine: &Machine) -> Outcome {
    let gpu = machine.gpu(true);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tuning.json");
    Tuning::new(gpu, Precision::F32).save(&path)?;
    let text = std::fs::read_to_string(&path)?;
    let other = text.replacen("\"name\": \"", "\"name\": \"Another ", 1);
    ensure(other != text, "the file names no adapter")?;
    std::fs::write(&path, other)?;
    let problem = Problem::new(blocks(12), 1, Tolerance::F32);
    let refused = |tuning: Tuning, part: &str| {
        let plan = PlanOptions::default().tuning(Arc::new(tuning));
        let options = ExecutorOptions::default().plan(plan);
        let made = Executor::new(gpu, &problem.graph, &problem.weights, options);
        let message = made.err().map(|error| error.to_string()).unwrap_or_default();
        ensure(message.contains(part), format!("\"{part}\" is not in \"{message}\""))
    };
    refused(Tuning::load(&path)?, "expects the adapter Another ")?;
    refused(Tuning::new(gpu, Precision::F16), "is for precision f16, the plan's is f32")
}
