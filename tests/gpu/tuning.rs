//! Tuned plans: every candidate of every convolution gives the right answer, a measured tuning too, and a plan does what
//! its tuning says.

use crate::check::{Problem, Variant, chosen, graph, one};
use crate::common::compare::{Tolerance, compare};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::{
    Act, Choice, Conv2d, Executor, ExecutorOptions, Graph, Linear, Op, Padding, Plan, PlanOptions, Precision, Scale,
    SeForm, SqueezeExcite, TuneOptions, Tuning,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("tuning/every_candidate", every_candidate),
        Case::new("tuning/fused", fused),
        Case::new("tuning/measured", |m| measured(m, blocks())),
        Case::new("tuning/measured_deep", |m| measured(m, deep())),
        Case::new("tuning/measured_large", |m| measured(m, large())),
        Case::new("tuning/budget", budget),
        Case::new("tuning/of_another_adapter", of_another_adapter),
    ]
}

/// Odd shapes of every kind, one candidate after the other.
fn every_candidate(machine: &Machine) -> Outcome {
    let rows = [
        ([5, 7, 7], 3, Conv2d::new(13, 1)),
        ([17, 7, 5], 1, Conv2d::new(72, 1)),
        // Deep ones, whose depth is no multiple of its parts.
        ([260, 7, 7], 3, Conv2d::new(70, 1)),
        ([65, 5, 7], 1, Conv2d::new(21, 3).padding(1)),
        ([136, 5, 4], 2, Conv2d::new(32, 3).stride(2).groups(2)),
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
        let problem = Problem::new(one(shape, Op::Conv2d(conv)), batch, Tolerance::Op).bounded();
        seen.extend(check_all(machine, &problem, &PlanOptions::default())?);
    }
    ensure(seen == BTreeSet::from(Choice::ALL), format!("only {seen:?} are tried"))
}

/// Convolutions that take in squeezes, gates and the ends of blocks; the form of the stages is the one that asks them to.
fn fused(machine: &Machine) -> Outcome {
    let options = PlanOptions { se: Some(SeForm::Spread), ..PlanOptions::default() };
    let seen = check_all(machine, &Problem::new(blocks(), 3, Tolerance::F32), &options)?;
    let deep = check_all(machine, &Problem::new(deep(), 3, Tolerance::F32), &options)?;
    let seen: BTreeSet<Choice> = seen.into_iter().chain(deep).collect();
    ensure(seen == BTreeSet::from(Choice::ALL), format!("only {seen:?} are tried"))
}

/// Runs with every candidate, wherever it is one, and with shader checks on and off in turn.
fn check_all(machine: &Machine, problem: &Problem, options: &PlanOptions) -> Result<Vec<Choice>, String> {
    let gpu = machine.gpu(true);
    let batch = problem.input.batch();
    let plan = |options: &PlanOptions| {
        Plan::new(&problem.graph, batch, gpu.target(), options).map_err(|error| error.to_string())
    };
    let plain: Vec<_> = plan(options)?.choices().collect();
    let candidates: BTreeSet<Choice> = plain.iter().flat_map(|(.., candidates)| candidates).copied().collect();
    for (index, &choice) in candidates.iter().enumerate() {
        let tuned = chosen(gpu, &problem.graph, batch, options, choice).map_err(|error| error.to_string())?;
        let planned = plan(&tuned)?;
        let found = planned.steps.iter().filter(|step| computed_by(step, choice)).count();
        let expected = plain.iter().filter(|(.., candidates)| candidates.contains(&choice)).count();
        if found < expected {
            return Err(format!("{choice} is asked of {expected} convolutions, {found} steps do so\n{planned}"));
        }
        problem.check(machine, &[Variant { plan: tuned, checks: index % 2 == 0 }])?;
    }
    Ok(candidates.into_iter().collect())
}

/// Whether a step's pipeline is the one that the choice means.
fn computed_by(step: &excite::plan::Step, choice: Choice) -> bool {
    let has = |name: &'static str, value: u32| step.overrides.contains(&(name, f64::from(value)));
    let shader = |names: [&str; 2]| names.contains(&step.shader.name);
    match choice {
        Choice::Tiled { lanes } => {
            shader(["conv2d/tiled", "conv2d/pointwise_tiled"]) && has("LANES_QUAD", lanes) && has("LANES_ROW", lanes)
        }
        Choice::Split { parts } => step.form.parts && step.workgroups[0].is_multiple_of(parts),
        Choice::Direct { quads } => shader(["conv2d/direct", "conv2d/pointwise_direct"]) && has("TILE_QUADS", quads),
        Choice::Depthwise { .. } => step.shader.name == "conv2d/depthwise",
        Choice::Winograd => step.shader.name == "conv2d/winograd_output",
    }
}

/// A residual block with SE inside and at its end, on maps whose tiles run over the border of images.
fn blocks() -> Graph {
    graph([3, 17, 13], |g, x| {
        let mut x = g.conv2d("stem", x, Conv2d::new(12, 3).stride(2).padding(1))?;
        x = g.activation("stem.relu", x, Act::Relu)?;
        let mut y = g.conv2d("expand", x, Conv2d::new(32, 1))?;
        y = g.activation("expand.relu", y, Act::Relu)?;
        y = g.conv2d("depthwise", y, Conv2d::new(32, 3).padding(1).groups(32))?;
        y = g.squeeze_excite("inner", y, SqueezeExcite::new(5))?;
        y = g.conv2d("project", y, Conv2d::new(12, 1))?;
        let gate = g.add("se", Op::SqueezeExcite(SqueezeExcite::new(3)), &[y])?;
        x = g.add("end", Op::Scale(Scale { residual: true, act: Act::Relu }), &[y, gate, x])?;
        let y = g.conv2d("last", x, Conv2d::new(12, 1))?;
        let mut x = g.sum("sum", y, x)?;
        let y = g.conv2d("wide", x, Conv2d::new(12, 3).padding(1))?;
        x = g.sum("sum of wide", y, x)?;
        x = g.squeeze_excite("se of wide", x, SqueezeExcite::new(3))?;
        let x = g.global_avg_pool("pool", x)?;
        g.linear("fc", x, Linear::new(10))
    })
}

/// Convolutions that may split their depth, with all that they are fused with: gate, sums, the end of a block, residual
/// and activation.
fn deep() -> Graph {
    graph([257, 5, 3], |g, x| {
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
fn measured(machine: &Machine, graph: Graph) -> Outcome {
    let gpu = machine.gpu(false);
    let options = TuneOptions { budget: Duration::from_secs(600), ..TuneOptions::default() };
    let mut reported = Vec::new();
    let tuning = Tuning::measure(gpu, &graph, 2, &options, &mut |at| reported.push((at.done, at.total)))?;
    let plain: Vec<_> = Plan::new(&graph, 2, gpu.target(), &PlanOptions::default())?.choices().collect();
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
    let path = folder.path().join(Tuning::file_name(gpu, Precision::F32));
    tuning.save(&path)?;
    ensure(Tuning::load(&path)? == tuning, "the file says something else")?;
    let plan = PlanOptions { tuning: Some(Arc::new(tuning)), ..PlanOptions::default() };
    let problem = Problem::new(graph, 2, Tolerance::F32);
    problem.check(machine, &[Variant { plan: plan.clone(), checks: true }])?;
    let executor = Executor::new(gpu, &problem.graph, &problem.weights, ExecutorOptions { plan, guard: false })?;
    let first = executor.run(&problem.input)?;
    for _ in 0..3 {
        compare(&first, &executor.run(&problem.input)?, Tolerance::Exact)?;
    }
    Ok(())
}

/// Without time nothing is tuned, and the plan is the static one.
fn budget(machine: &Machine) -> Outcome {
    let (gpu, graph) = (machine.gpu(true), blocks());
    let options = TuneOptions { budget: Duration::ZERO, ..TuneOptions::default() };
    let tuning = Tuning::measure(gpu, &graph, 1, &options, &mut |_| {})?;
    ensure(tuning.shapes().next().is_none() && tuning.left().count() == 6, format!("{tuning:?}"))?;
    let plan = |tuning| Plan::new(&graph, 1, gpu.target(), &PlanOptions { tuning, ..PlanOptions::default() });
    let [tuned, plain] = [plan(Some(Arc::new(tuning)))?, plan(None)?].map(|plan| plan.choices().collect::<Vec<_>>());
    ensure(tuned == plain, format!("{tuned:?} is not {plain:?}"))
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
    let problem = Problem::new(blocks(), 1, Tolerance::F32);
    let refused = |tuning: Tuning, part: &str| {
        let plan = PlanOptions { tuning: Some(Arc::new(tuning)), ..PlanOptions::default() };
        let options = ExecutorOptions { plan, guard: false };
        let made = Executor::new(gpu, &problem.graph, &problem.weights, options);
        let message = made.err().map(|error| error.to_string()).unwrap_or_default();
        ensure(message.contains(part), format!("\"{part}\" is not in \"{message}\""))
    };
    refused(Tuning::load(&path)?, "expects the adapter Another ")?;
    refused(Tuning::new(gpu, Precision::F16), "is for precision f16, the plan's is f32")
}
