//! Times every candidate of a network's convolutions, each alone, on the device.

use super::{Tuned, Tuning};
use crate::error::{Error, Result};
use crate::gpu::{Executor, ExecutorOptions, Gpu, GpuTimer};
use crate::graph::{Graph, GraphBuilder, Value};
use crate::kernels::conv2d::Problem;
use crate::ops::{Act, Op, Scale, SqueezeExcite};
use crate::plan::{Choice, Plan, PlanOptions, Precision, SeForm};
use crate::tensor::Tensor;
use crate::verify::{Comparison, Tolerance, tolerance};
use crate::weights::Weights;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nodes whose steps are timed; the others bring what these need.
const TIMED: [&str; 3] = ["block", "conv", "se"];
/// Multiply-adds that the reference is asked for: above, it would take longer than all that is timed.
const MOST_REFERENCE_MACS: u64 = 50_000_000;
/// Copies of a shape's buffers, used in turn so that caches don't flatter, and bytes that all of them may take.
const COPIES: u64 = 3;
const MOST_BYTES: u64 = 1 << 30;
/// Rounds over the candidates. Each gives every candidate one time, over as many repeats as fill it.
const FEWEST_ROUNDS: usize = 5;
const MOST_ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(4);
const MOST_REPEATS: usize = 60;
/// What rounds of one shape may take, past the fewest.
const PER_SHAPE: Duration = Duration::from_millis(500);
/// A candidate whose first time is so many times that of the fastest is not timed again.
const HOPELESS: f64 = 4.0;
/// A candidate replaces the static choice if it takes at most this part of its time: less is noise.
const WORTH_IT: f64 = 0.97;

/// How to tune.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneOptions {
    /// The precision that is tuned for.
    pub precision: Precision,
    /// Time after which no other shape is begun.
    pub budget: Duration,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self { precision: Precision::F32, budget: Duration::from_secs(60) }
    }
}

/// How far tuning has come.
#[derive(Clone, Copy, Debug)]
pub struct TuneProgress<'a> {
    /// Shapes that are done.
    pub done: usize,
    /// Shapes of the network.
    pub total: usize,
    /// The shape that comes.
    pub shape: &'a str,
}

impl Tuning {
    /// Times up to 6 candidates for each distinct convolution of a network, for batches of `batch` images, those with the
    /// most work first, until `budget` is spent.
    ///
    /// Each convolution runs alone, with random weights, and with what it is fused with: the squeeze after it, the end of
    /// the residual block before it. A candidate is timed only if its answer is right: as the CPU reference has it, or,
    /// where that would take too long, as the static choice has it, whose kernels the tests of this crate prove. One that
    /// is wrong is left out and logged; a shape that can't be had alone is left as it is. Times are medians of rounds over all candidates, by the device's clock where
    /// it has one.
    ///
    /// # Errors
    /// The network can't be planned for the adapter, or the device fails.
    pub fn measure(
        gpu: &Gpu,
        graph: &Graph,
        batch: usize,
        options: &TuneOptions,
        progress: &mut dyn FnMut(TuneProgress<'_>),
    ) -> Result<Self> {
        let start = Instant::now();
        let plan = PlanOptions { precision: options.precision, ..Default::default() };
        let problems = distinct(&Plan::new(graph, batch, gpu.target(), &plan)?);
        let total = problems.len();
        let mut tuning = Self::new(gpu, options.precision);
        for (done, (shape, problem)) in problems.iter().enumerate() {
            if start.elapsed() >= options.budget {
                tuning.left.insert(shape.clone());
                continue;
            }
            progress(TuneProgress { done, total, shape });
            let found = match Bench::new(gpu, problem, options.precision)?.measure(gpu) {
                // Alone, its answer comes back as a network's does, which may be too large.
                Err(Error::Limit { place, limit, .. }) => {
                    log::warn!("{shape}: not tuned, {place} passes {limit} of the adapter");
                    None
                }
                found => found?,
            };
            match found {
                Some(found) => drop(tuning.shapes.insert(shape.clone(), found)),
                None => drop(tuning.left.insert(shape.clone())),
            }
        }
        Ok(tuning)
    }
}

/// The different problems of a plan by their keys, the most work of all that share one first.
fn distinct(plan: &Plan) -> Vec<(String, Problem)> {
    let mut found: HashMap<String, (u64, &Problem)> = HashMap::new();
    for (problem, _) in &plan.convolutions {
        found.entry(problem.key()).or_insert((0, problem)).0 += problem.macs();
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by(|(a, (more, _)), (b, (less, _))| less.cmp(more).then_with(|| a.cmp(b)));
    found.into_iter().map(|(key, (_, problem))| (key, problem.clone())).collect()
}

/// A convolution with what it is fused with, as a network of its own.
struct Bench<'a> {
    problem: &'a Problem,
    precision: Precision,
    untuned: Choice,
    graph: Graph,
    weights: Weights,
    input: Tensor,
}

impl<'a> Bench<'a> {
    fn new(gpu: &Gpu, problem: &'a Problem, precision: Precision) -> Result<Self> {
        let graph = alone(problem)?;
        let weights = Weights::seeded(1, 1.0);
        let input = weights.get("input", &graph.input_shape().with_batch(problem.batch))?;
        let untuned = problem.static_choice(None, gpu.target(), gpu.target().subgroup_size);
        Ok(Self { problem, precision, untuned, graph, weights, input })
    }

    /// What suits the shape; `None` where the answer of the static choice itself is wrong.
    fn measure(&self, gpu: &Gpu) -> Result<Option<Tuned>> {
        let key = self.problem.key();
        let first = self.executor(gpu, self.untuned)?;
        let planned = first.plan(self.problem.batch)?;
        if !planned.convolutions.iter().any(|(problem, choice)| problem.key() == key && *choice == self.untuned) {
            // Nothing would be learnt of it.
            log::warn!("{key}: not tuned, it can't be had alone");
            return Ok(None);
        }
        let computed = first.run_all(&self.input)?;
        let expected = match self.graph.macs() * self.problem.batch as u64 <= MOST_REFERENCE_MACS {
            true => self.graph.reference(&self.input, &self.weights)?,
            false => computed.clone(),
        };
        if let Some(wrong) = wrong(self.precision, &expected, &computed) {
            log::warn!("{key}: not tuned, the answer of {} is wrong: {wrong}", self.untuned);
            return Ok(None);
        }
        let copies = (MOST_BYTES / (6 * planned.device_bytes()).max(1)).clamp(1, COPIES) as usize;
        let mut runners = vec![Runner::new(self, gpu, self.untuned, first, copies)?];
        let others = self.problem.candidates().into_iter().filter(|choice| *choice != self.untuned);
        let made = right(&key, others, self.precision, &expected, |choice| {
            let executor = self.executor(gpu, choice)?;
            Ok((executor.run_all(&self.input)?, executor))
        })?;
        for (choice, executor) in made {
            runners.push(Runner::new(self, gpu, choice, executor, copies)?);
        }
        let milliseconds = time(gpu, &mut runners, self.problem.batch)?;
        let best = milliseconds.iter().min_by(|a, b| a.1.total_cmp(b.1)).map(|(choice, _)| *choice);
        let worth_it = |choice: &Choice| milliseconds[choice] <= WORTH_IT * milliseconds[&self.untuned];
        let choice = best.filter(worth_it).unwrap_or(self.untuned);
        Ok(Some(Tuned { choice, untuned: self.untuned, milliseconds }))
    }

    /// One that computes the convolution by this choice.
    fn executor(&self, gpu: &Gpu, choice: Choice) -> Result<Executor> {
        let mut tuning = Tuning::new(gpu, self.precision);
        tuning.set(&self.problem.key(), choice);
        // The form of the stage in which the convolution can keep sums for it.
        let (tuning, se) = (Some(Arc::new(tuning)), Some(SeForm::Spread));
        let plan = PlanOptions { precision: self.precision, tuning, se, ..Default::default() };
        Executor::new(gpu, &self.graph, &self.weights, ExecutorOptions { plan, guard: false })
    }
}

type Outputs = BTreeMap<String, Tensor>;

/// The choices whose answer is right, each with what `compute` made besides. Those that pass a limit of the adapter are
/// left out as well.
fn right<T>(
    key: &str,
    choices: impl Iterator<Item = Choice>,
    precision: Precision,
    expected: &Outputs,
    mut compute: impl FnMut(Choice) -> Result<(Outputs, T)>,
) -> Result<Vec<(Choice, T)>> {
    let mut right = Vec::new();
    for choice in choices {
        match compute(choice).map(|(computed, made)| (wrong(precision, expected, &computed), made)) {
            Ok((None, made)) => right.push((choice, made)),
            Ok((Some(wrong), _)) => log::warn!("{key}: {choice} is left out, its answer is wrong: {wrong}"),
            Err(Error::Limit { .. }) => log::info!("{key}: {choice} passes a limit of the adapter"),
            Err(error) => return Err(error),
        }
    }
    Ok(right)
}

/// What is wrong with an answer.
fn wrong(precision: Precision, expected: &Outputs, computed: &Outputs) -> Option<String> {
    let allowed = Tolerance::Relative(tolerance(precision));
    let compared =
        expected.iter().map(|(name, tensor)| Comparison::new(name, "output", tensor, &computed[name], allowed));
    let first = compared.into_iter().find(|compared| !compared.passed())?;
    Some(format!("\"{}\" is off by {:.1e} at element {}", first.name, first.error, first.worst))
}

/// The graph of a convolution: what it reads comes from an activation, which is as networks have it and keeps the images
/// from being read as they come, where the problem's are not.
fn alone(problem: &Problem) -> Result<Graph> {
    let Problem { op, input, output, .. } = problem;
    let stage = |channels: usize| Op::SqueezeExcite(SqueezeExcite::new((channels / 16).max(1)));
    let mut g = GraphBuilder::new(problem.key());
    let mut x = g.input(*input)?;
    if !problem.planes {
        x = g.activation("activation", x, Act::Relu)?;
    }
    let mut outputs: Vec<(&str, Value)> = Vec::new();
    if problem.block {
        let gate = g.add("gate", stage(input.channels()), &[x])?;
        x = g.add("block", Op::Scale(Scale { residual: true, act: Act::Relu }), &[x, gate, x])?;
        outputs.push(("block", x));
    }
    let mut inputs = vec![x];
    if op.gate {
        inputs.push(g.add("gate", stage(input.channels()), &[x])?);
    }
    if op.residual {
        let other = crate::ops::Conv2d { gate: false, residual: false, ..op.clone() };
        inputs.push(g.conv2d("other", x, other)?);
    }
    let y = g.add("conv", Op::Conv2d(op.clone()), &inputs)?;
    outputs.push(("y", y));
    if problem.sums {
        let gate = g.add("se", stage(output.channels()), &[y])?;
        outputs.push(("scaled", g.scale("scaled", y, gate)?));
    }
    g.finish(&outputs)
}

/// A candidate with its copies, and its times so far.
struct Runner {
    choice: Choice,
    copies: Vec<Executor>,
    repeats: usize,
    times: Vec<f64>,
}

impl Runner {
    fn new(bench: &Bench, gpu: &Gpu, choice: Choice, first: Executor, copies: usize) -> Result<Self> {
        let mut all = vec![first];
        for _ in 1..copies {
            let executor = bench.executor(gpu, choice)?;
            executor.run_all(&bench.input)?;
            all.push(executor);
        }
        Ok(Self { choice, copies: all, repeats: 1, times: Vec::new() })
    }

    /// Time of one repeat.
    fn once(&self, timer: &GpuTimer, batch: usize, copied: &wgpu::Buffer) -> Result<Duration> {
        let timing = timer.time(|encoder| {
            let copies = self.copies.iter().cycle().take(self.repeats);
            copies.into_iter().try_for_each(|copy| copy.encode_nodes(encoder, batch, &TIMED, copied))
        })?;
        Ok(timing.device.unwrap_or(timing.wall) / self.repeats as u32)
    }
}

/// In whole nanoseconds: what a file says is what was measured.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e6
}

/// Medians in milliseconds. Rounds go over all candidates, so that what slows the device for a while slows all of them.
fn time(gpu: &Gpu, runners: &mut [Runner], batch: usize) -> Result<BTreeMap<Choice, f64>> {
    let timer = GpuTimer::new(gpu);
    let copied = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("copied"),
        size: 4,
        usage: wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    for runner in runners.iter_mut() {
        let once = runner.once(&timer, batch, &copied)?.max(Duration::from_nanos(1));
        runner.times.push(milliseconds(once));
        let wanted = (ROUND.as_secs_f64() / once.as_secs_f64()) as usize;
        runner.repeats = wanted.clamp(1, MOST_REPEATS).next_multiple_of(runner.copies.len());
    }
    let fastest = runners.iter().map(|runner| runner.times[0]).fold(f64::INFINITY, f64::min);
    let near = runners.iter_mut().filter(|runner| runner.times[0] <= HOPELESS * fastest);
    let mut near: Vec<&mut Runner> = near.collect();
    near.iter_mut().for_each(|runner| runner.times.clear());
    let start = Instant::now();
    for round in 0..MOST_ROUNDS {
        if round >= FEWEST_ROUNDS && start.elapsed() >= PER_SHAPE {
            break;
        }
        for runner in near.iter_mut() {
            let once = runner.once(&timer, batch, &copied)?;
            runner.times.push(milliseconds(once));
        }
    }
    let median = |runner: &mut Runner| {
        runner.times.sort_by(f64::total_cmp);
        (runner.choice, runner.times[runner.times.len() / 2])
    };
    Ok(runners.iter_mut().map(median).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_wrongly_is_left_out() {
        let outputs = |y: [f32; 3]| {
            let tensors = [("block", [1.0, 2.0, 3.0]), ("y", y)];
            let tensor = |numbers: [f32; 3]| Tensor::new([3], numbers.to_vec()).unwrap();
            tensors.map(|(name, numbers)| (name.to_string(), tensor(numbers))).into_iter().collect::<Outputs>()
        };
        let limit = || Error::Limit { place: "y".into(), limit: "max_buffer_size", need: 2, has: 1, hint: None };
        let [near, far] = [0.5, 2.0].map(|times| 100.0 + 100.0 * times * tolerance(Precision::F32) as f32);
        let answers = |choice| match choice {
            Choice::Tiled { lanes: 16 } => Ok((outputs([1.0, -100.0, 0.0]), 16)),
            Choice::Tiled { .. } => Ok((outputs([1.0, -far, 0.0]), 8)),
            Choice::Split { .. } => Ok((outputs([f32::NAN, -100.0, 0.0]), 4)),
            Choice::Direct { quads: 2 } => Ok((outputs([1.0, -near, 0.0]), 2)),
            Choice::Direct { .. } => Ok((outputs([1.0, 100.0, 0.0]), 1)),
            Choice::Wide | Choice::Sliced { .. } | Choice::Depthwise { .. } | Choice::Winograd => Err(limit()),
        };
        let expected = outputs([1.0, -100.0, 0.0]);
        let found = right("shape", Choice::ALL.into_iter(), Precision::F32, &expected, answers).unwrap();
        assert_eq!(found, [(Choice::Tiled { lanes: 16 }, 16), (Choice::Direct { quads: 2 }, 2)]);

        let lost = |_| Err::<(Outputs, ()), _>(Error::Request("lost".into()));
        assert!(right("shape", Choice::ALL.into_iter(), Precision::F32, &expected, lost).is_err());
    }
}
