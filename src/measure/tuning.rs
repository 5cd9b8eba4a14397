//! Times every candidate of a network's convolutions, each alone, on the device.

use crate::error::{Error, Result};
use crate::gpu::{Executor, ExecutorOptions, Gpu, GpuTimer};
use crate::graph::{Graph, GraphBuilder, NodeId, Value};
use crate::ops::{Act, Conv2d, Gating, Op, Scale, SqueezeExcite};
use crate::plan::{Choice, Plan, PlanOptions, Precision, SeVariant};
use crate::schedule::convolution::Problem;
use crate::tensor::{Shape, Tensor};
use crate::tuning::{Tuned, Tuning};
use crate::verify::{Comparison, Tolerance, tolerance};
use crate::weights::Weights;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nodes whose steps are timed; the others bring what these need.
const TIMED: [&str; 3] = ["block", "conv", "se"];
/// Multiply-adds that the reference is asked for: above, it would take longer than all that is timed.
const MOST_REFERENCE_MACS: u64 = 50_000_000;
/// A candidate's buffers are copied until they pass the last cache of most adapters, and used in turn, so that caches
/// don't flatter; but no more often than this, and all candidates' copies take no more than these bytes.
const LAST_CACHE: u64 = 64 << 20;
const MOST_COPIES: u64 = 16;
const MOST_BYTES: u64 = 1 << 30;
const MOST_CANDIDATES: u64 = 6;
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
#[non_exhaustive]
pub struct TuneOptions {
    /// The precision that is tuned for.
    pub precision: Precision,
    /// Time after which nothing more is made or timed. A shape that is not done by then is left.
    pub budget: Duration,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self { precision: Precision::F32, budget: Duration::from_secs(60) }
    }
}

/// How far tuning has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
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
    /// the residual block before it. A candidate is timed only if its answer is right: as the CPU reference has it.
    /// Where all of that would take too long, the reference has some thousand elements spread over the last image, and
    /// the static choice, once it has these right, has the rest. One that is wrong is left out and logged; a shape that
    /// can't be had alone is left as it is. Times are medians of rounds over all candidates, by the device's clock
    /// where it has one.
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
        let is_over = || start.elapsed() >= options.budget;
        let plan = PlanOptions { precision: options.precision, ..Default::default() };
        // A batch that passes a limit runs in parts, whose shapes are those to tune.
        let (_, plan) = Plan::in_parts(graph, batch, gpu.target(), &plan)?;
        let problems = distinct(&plan);
        let total = problems.len();
        let mut tuning = Self::new(gpu, options.precision);
        for (done, (shape, problem)) in problems.iter().enumerate() {
            if is_over() {
                tuning.left.insert(shape.clone());
                continue;
            }
            progress(TuneProgress { done, total, shape });
            let found = match Bench::new(gpu, problem, options.precision)?.measure(gpu, &is_over) {
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
        let untuned = problem.static_choice(None, gpu.target(), gpu.target().sharing_invocations());
        Ok(Self { problem, precision, untuned, graph, weights, input })
    }

    /// What suits the shape; `None` where the answer of the static choice itself is wrong, or the time is over before
    /// it is known.
    fn measure(&self, gpu: &Gpu, is_over: &dyn Fn() -> bool) -> Result<Option<Tuned>> {
        let key = self.problem.key();
        let first = self.executor(gpu, self.untuned)?;
        let planned = first.plan(self.problem.batch)?;
        if !planned.convolutions.iter().any(|(problem, choice)| problem.key() == key && *choice == self.untuned) {
            // Nothing would be learnt of it.
            log::warn!("{key}: not tuned, it can't be had alone");
            return Ok(None);
        }
        let computed = first.run_all(&self.input)?;
        if is_over() {
            return Ok(None);
        }
        let expected = expected(&self.graph, &self.weights, &self.input, &computed, MOST_REFERENCE_MACS)?;
        if let Some(wrong) = wrong(self.precision, &expected, &computed) {
            log::warn!("{key}: not tuned, the answer of {} is wrong: {wrong}", self.untuned);
            return Ok(None);
        }
        let copies = copies(planned.weight_bytes() + planned.activation_bytes(), planned.device_bytes());
        let mut runners = vec![Runner::new(self.untuned, first)];
        let others = self.problem.candidates().into_iter().filter(|choice| *choice != self.untuned);
        let others = others.take_while(|_| !is_over());
        let made = right(&key, others, self.precision, &expected, |choice| {
            let executor = self.executor(gpu, choice)?;
            Ok((executor.run_all(&self.input)?, executor))
        })?;
        runners.extend(made.into_iter().map(|(choice, executor)| Runner::new(choice, executor)));
        let Some((milliseconds, once)) = self.time(gpu, &mut runners, copies, is_over)? else { return Ok(None) };
        let timed = milliseconds.iter().filter(|(choice, _)| !once.contains(choice));
        let best = timed.min_by(|a, b| a.1.total_cmp(b.1)).map(|(choice, _)| *choice);
        let worth_it = |choice: &Choice| milliseconds[choice] <= WORTH_IT * milliseconds[&self.untuned];
        let choice = best.filter(worth_it).unwrap_or(self.untuned);
        Ok(Some(Tuned { choice, untuned: self.untuned, milliseconds, once }))
    }

    /// One that computes the convolution by this choice.
    fn executor(&self, gpu: &Gpu, choice: Choice) -> Result<Executor> {
        let mut tuning = Tuning::new(gpu, self.precision);
        tuning.set(&self.problem.key(), choice);
        // The variant of the SE block in which the convolution can keep sums for it.
        let (tuning, se) = (Some(Arc::new(tuning)), Some(SeVariant::Spread));
        let plan = PlanOptions { precision: self.precision, tuning, se, ..Default::default() };
        Executor::new(gpu, &self.graph, &self.weights, ExecutorOptions { plan, ..Default::default() })
    }

    /// Medians in milliseconds, and whose are of one run only. Rounds go over all candidates, so that what slows the
    /// device for a while slows all of them. The first is the static choice, which is always timed in full. `None`
    /// where the time is over before the fewest rounds are.
    fn time(
        &self,
        gpu: &Gpu,
        runners: &mut [Runner],
        copies: usize,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Option<Medians>> {
        let (timer, batch) = (GpuTimer::new(gpu), self.problem.batch);
        let copied = gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("copied"),
            size: 4,
            usage: wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        for runner in runners.iter_mut() {
            if is_over() {
                return Ok(None);
            }
            let once = runner.once(&timer, batch, &copied)?.max(Duration::from_nanos(1));
            runner.times.push(milliseconds(once));
            let wanted = (ROUND.as_secs_f64() / once.as_secs_f64()) as usize;
            runner.repeats = wanted.clamp(1, MOST_REPEATS);
        }
        let fastest = runners.iter().map(|runner| runner.times[0]).fold(f64::INFINITY, f64::min);
        let untuned = runners[0].choice;
        let is_near = |runner: &Runner| runner.choice == untuned || runner.times[0] <= HOPELESS * fastest;
        let once = runners.iter().filter(|runner| !is_near(runner)).map(|runner| runner.choice).collect();
        let mut near: Vec<&mut Runner> = runners.iter_mut().filter(|runner| is_near(runner)).collect();
        for runner in &mut near {
            runner.times.clear();
            for _ in 1..copies {
                if is_over() {
                    return Ok(None);
                }
                let executor = self.executor(gpu, runner.choice)?;
                executor.run_all(&self.input)?;
                runner.copies.push(executor);
            }
        }
        let start = Instant::now();
        for round in 0..MOST_ROUNDS {
            if round >= FEWEST_ROUNDS && (start.elapsed() >= PER_SHAPE || is_over()) {
                break;
            }
            for runner in near.iter_mut() {
                if round < FEWEST_ROUNDS && is_over() {
                    return Ok(None);
                }
                let once = runner.once(&timer, batch, &copied)?;
                runner.times.push(milliseconds(once));
            }
        }
        let median = |runner: &mut Runner| {
            runner.times.sort_by(f64::total_cmp);
            (runner.choice, runner.times[runner.times.len() / 2])
        };
        Ok(Some((runners.iter_mut().map(median).collect(), once)))
    }
}

/// How often a candidate has its buffers: what its steps read and write of one, and all bytes of one.
fn copies(touched: u64, all: u64) -> usize {
    let affordable = MOST_BYTES / (MOST_CANDIDATES * all.max(1));
    LAST_CACHE.div_ceil(touched.max(1)).clamp(3, MOST_COPIES).min(affordable).max(1) as usize
}

type Outputs = BTreeMap<String, Tensor>;
/// Milliseconds of candidates, and whose are of one run only.
type Medians = (BTreeMap<Choice, f64>, BTreeSet<Choice>);

/// What all candidates must answer: the reference, if `most` multiply-adds are enough for it. Else what `computed` has,
/// which is the static choice's answer, with the last image as the reference has it: of the convolution's result as
/// many elements as `most` is enough for, and what follows from the result as it follows from `computed`'s.
fn expected(graph: &Graph, weights: &Weights, input: &Tensor, computed: &Outputs, most: u64) -> Result<Outputs> {
    if graph.macs() * input.batch() as u64 <= most {
        return graph.reference(input, weights);
    }
    let last = |tensor: &Tensor, shape: Shape| {
        Tensor::new(shape.with_batch(1), tensor.image(tensor.batch() - 1).to_vec()).expect("an image has its shape")
    };
    let mut values: Vec<Tensor> = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let params = node.params.iter().map(|param| param.resolve(weights)).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.0]).collect();
        let value = match &node.op {
            Op::Input(_) => last(input, node.shape),
            Op::Conv2d(op) => {
                let wanted = (most * node.shape.len() as u64 / graph.macs()).max(1);
                let known = computed.get("y").filter(|_| node.name == "conv");
                let known = known.map_or_else(|| Tensor::zeros(node.shape.with_batch(1)), |y| last(y, node.shape));
                sampled(op, &inputs, &params, known, wanted)
            }
            op => op.definition().reference(&inputs, &params),
        };
        values.push(value);
    }
    let output = |(name, id): &(String, NodeId)| {
        let (shape, images) = (graph.node(*id).shape, &computed[name]);
        let mut data = images.data().to_vec();
        let start = data.len() - shape.len();
        data[start..].copy_from_slice(values[id.0].data());
        Ok((name.clone(), Tensor::new(images.shape(), data)?))
    };
    graph.outputs().iter().map(output).collect()
}

/// One image's result with so many of its elements computed, all over it, and the others as they were.
fn sampled(op: &Conv2d, inputs: &[&Tensor], params: &[Tensor], known: Tensor, wanted: u64) -> Tensor {
    /// A prime beyond all sizes: its multiples meet every element once.
    const STEP: u64 = 2_654_435_761;
    let [_, _, height, width] = known.nchw();
    let (shape, mut data) = (known.shape().to_vec(), known.into_data());
    let len = data.len() as u64;
    for k in 0..wanted.min(len) {
        let index = (k * STEP % len) as usize;
        let at = [0, index / (height * width), index / width % height, index % width];
        data[index] = op.element(inputs, params, at);
    }
    Tensor::new(shape, data).expect("as many numbers as before")
}

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
    let se_block = |gates: usize| {
        Op::SqueezeExcite(SqueezeExcite { gates: Some(gates), ..SqueezeExcite::new((gates / 16).max(1)) })
    };
    let mut g = GraphBuilder::new(problem.key());
    let mut x = g.input(*input)?;
    if !problem.nchw {
        x = g.activation("activation", x, Act::Relu)?;
    }
    let mut outputs: Vec<(&str, Value)> = Vec::new();
    if problem.block {
        let gate = g.add("gate", se_block(input.channels()), &[x])?;
        x = g.add("block", Op::Scale(Scale { residual: true, act: Act::Relu }), &[x, gate, x])?;
        outputs.push(("block", x));
    }
    let mut inputs = vec![x];
    match op.gate {
        Gating::None => {}
        Gating::Input => inputs.push(g.add("gate", se_block(input.channels()), &[x])?),
        Gating::Output => inputs.push(g.add("gate", se_block(output.channels()), &[x])?),
    }
    if op.residual {
        let other = Conv2d { gate: Gating::None, residual: false, ..op.clone() };
        inputs.push(g.conv2d("other", x, other)?);
    }
    let y = g.add("conv", Op::Conv2d(op.clone()), &inputs)?;
    outputs.push(("y", y));
    if problem.sums {
        let gate = g.add("se", se_block(output.channels()), &[y])?;
        outputs.push(("scaled", g.scale("scaled", y, gate)?));
    }
    g.finish(&outputs)
}

/// A candidate with its copies, and its times so far.
struct Runner {
    choice: Choice,
    copies: Vec<Executor>,
    /// The copy whose turn it is.
    next: usize,
    repeats: usize,
    times: Vec<f64>,
}

impl Runner {
    fn new(choice: Choice, first: Executor) -> Self {
        Self { choice, copies: vec![first], next: 0, repeats: 1, times: Vec::new() }
    }

    /// Time of one repeat.
    fn once(&mut self, timer: &GpuTimer, batch: usize, copied: &wgpu::Buffer) -> Result<Duration> {
        let timing = timer.time(|encoder| {
            let mut copies = self.copies.iter().cycle().skip(self.next).take(self.repeats);
            copies.try_for_each(|copy| copy.encode_nodes(encoder, batch, &TIMED, copied))
        })?;
        self.next = (self.next + self.repeats) % self.copies.len();
        Ok(timing.device.unwrap_or(timing.wall) / self.repeats as u32)
    }
}

/// In whole nanoseconds: what a file says is what was measured.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Target;

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
            Choice::Tiled { invocations: 16 } => Ok((outputs([1.0, -100.0, 0.0]), 16)),
            Choice::Tiled { .. } => Ok((outputs([1.0, -far, 0.0]), 8)),
            Choice::Split { .. } => Ok((outputs([f32::NAN, -100.0, 0.0]), 4)),
            Choice::Direct { vec4s: 2 } => Ok((outputs([1.0, -near, 0.0]), 2)),
            Choice::Direct { .. } => Ok((outputs([1.0, 100.0, 0.0]), 1)),
            Choice::Wide | Choice::SplitWithin { .. } | Choice::Depthwise { .. } | Choice::Winograd => Err(limit()),
        };
        let expected = outputs([1.0, -100.0, 0.0]);
        let found = right("shape", Choice::ALL.into_iter(), Precision::F32, &expected, answers).unwrap();
        assert_eq!(found, [(Choice::Tiled { invocations: 16 }, 16), (Choice::Direct { vec4s: 2 }, 2)]);

        let lost = |_| Err::<(Outputs, ()), _>(Error::Request("lost".into()));
        assert!(right("shape", Choice::ALL.into_iter(), Precision::F32, &expected, lost).is_err());
    }

    #[test]
    fn small_shapes_have_more_copies() {
        let mib = |mib: u64| mib << 20;
        for (touched, all, expected) in [
            (1, 1, 16),
            (mib(4), mib(5), 16),
            (mib(5), mib(6), 13),
            (mib(20), mib(24), 4),
            (mib(50), mib(55), 3),
            (mib(100), mib(120), 1),
            (mib(3000), mib(4000), 1),
            (0, 0, 16),
        ] {
            assert_eq!(copies(touched, all), expected, "{touched} of {all} bytes");
        }
    }

    /// Where the reference may take a few multiply-adds only, what it has computed is right, the rest is as it was, and
    /// what follows from the result is as it follows.
    #[test]
    fn of_large_shapes_the_reference_has_a_sample() {
        let mut g = GraphBuilder::new("net");
        let mut x = g.input(Shape::map(8, 6, 5)).unwrap();
        let se_block = |channels| Op::SqueezeExcite(SqueezeExcite::new(channels));
        x = g.conv2d("stem", x, Conv2d::new(12, 3).padding(1)).unwrap();
        let gate = g.add("se1", se_block(3), &[x]).unwrap();
        let y = g.add("end", Op::Scale(Scale { residual: true, act: Act::Relu }), &[x, gate, x]).unwrap();
        x = g.conv2d("expand", y, Conv2d::new(24, 1)).unwrap();
        x = g.conv2d("grouped", x, Conv2d::new(24, 3).stride(2).padding(1).groups(3)).unwrap();
        let y = g.squeeze_excite("se2", x, SqueezeExcite::new(5)).unwrap();
        let y = g.conv2d("project", y, Conv2d::new(24, 1)).unwrap();
        x = g.sum("sum", y, x).unwrap();
        x = g.squeeze_excite("se3", x, SqueezeExcite::new(5)).unwrap();
        let graph = g.finish(&[("y", x)]).unwrap();
        let options = PlanOptions { se: Some(SeVariant::Spread), ..Default::default() };
        let problems = distinct(&Plan::new(&graph, 3, &Target::gpu(), &options).unwrap());
        let (mut gates, mut residuals, mut sums, mut blocks) = (0, 0, 0, 0);
        for (key, problem) in &problems {
            gates += usize::from(problem.op.gated());
            residuals += usize::from(problem.op.residual);
            sums += usize::from(problem.sums);
            blocks += usize::from(problem.block);
            let (graph, weights) = (alone(problem).unwrap(), Weights::seeded(1, 1.0));
            let input = weights.get("input", &graph.input_shape().with_batch(3)).unwrap();
            let right = graph.reference(&input, &weights).unwrap();
            // All of the last image is wrong.
            let mut computed = right.clone();
            for tensor in computed.values_mut() {
                let wrong = |i: usize| tensor.data()[i] + if i / tensor.image(0).len() == 2 { 1.0 } else { 0.0 };
                let wrong: Vec<f32> = (0..tensor.data().len()).map(wrong).collect();
                *tensor = Tensor::new(tensor.shape(), wrong).unwrap();
            }
            let all = graph.macs();
            assert_eq!(expected(&graph, &weights, &input, &computed, all).unwrap(), right, "{key}");
            assert_eq!(expected(&graph, &weights, &input, &computed, 3 * all).unwrap(), right, "{key}");
            let some = expected(&graph, &weights, &input, &computed, all / 3).unwrap();
            let equal = |from: &Outputs| some["y"].data().iter().zip(from["y"].data()).filter(|(a, b)| a == b).count();
            let (image, images) = (right["y"].image(0).len(), right["y"].data().len());
            let wanted = (all / 3 * image as u64 / all) as usize;
            assert_eq!((equal(&right), equal(&computed)), (images - image + wanted, images - wanted), "{key}");
            assert_eq!(some.get("block"), right.get("block"), "{key}");
            assert!(!problem.sums || some["scaled"] != computed["scaled"], "{key}");
        }
        assert!(gates > 0 && residuals > 0 && sums > 0 && blocks > 0, "{gates} {residuals} {sums} {blocks}");
    }
}
