//! A network on a device against its meaning: every node, every SE gate and the answer, compared with the CPU reference.
//!
//! ```no_run
//! use excite::verify::{Options, verify};
//! use excite::{Gpu, Weights, zoo};
//!
//! let graph = zoo::build("seresnet50", &zoo::Options::default().size([64, 64]))?;
//! let weights = Weights::seeded(1, 1.25);
//! let input = weights.get("input", &[1, 3, 64, 64])?;
//! let report = verify(&Gpu::new()?, &graph, &weights, &input, &Options::default())?;
//! println!("{report}");
//! assert!(report.passed());
//! # Ok::<(), excite::Error>(())
//! ```

mod half;

pub use half::{HALF_ONCE, HALF_TIMES, half_reference};

use crate::error::{Error, Result};
use crate::escape::escaped;
use crate::gpu::{Executor, ExecutorOptions, Gpu};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::plan::{PlanOptions, Precision};
use crate::ranges::LARGEST_HALF;
use crate::tensor::Tensor;
use crate::weights::Weights;
use half::HalfErrors;
use std::collections::BTreeMap;
use std::fmt;

/// Largest error that `f32` arithmetic in another order explains in networks of the size of SE-ResNet-50.
pub const F32: f64 = 2e-5;

/// Largest error that storing maps and weights of convolutions in half precision explains in small networks and single
/// convolutions. What it explains in a given network, [`half_reference`] says.
pub const F16: f64 = 1e-2;

/// The largest error that arithmetic and storage explain.
pub const fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => F32,
        Precision::F16 => F16,
    }
}

/// What to verify, and how closely.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How the network is planned.
    pub plan: PlanOptions,
    /// Largest allowed error of a value, as a fraction of its largest absolute reference. In half precision,
    /// [`HALF_TIMES`] the error of the same graph on the CPU in half precision is allowed as well.
    pub tolerance: f64,
    /// Largest allowed error of a gate, absolute; in half precision, as of other values.
    pub gate_tolerance: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self::for_plan(PlanOptions::default())
    }
}

impl Options {
    /// With the tolerances of the plan's precision.
    pub fn for_plan(plan: PlanOptions) -> Self {
        let tolerance = match plan.precision {
            Precision::F32 => F32,
            Precision::F16 => HALF_ONCE,
        };
        Self { plan, tolerance, gate_tolerance: tolerance }
    }
}

/// How an error is measured and how large it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// `max |got - expected| / max |expected|`; absolute where all that is expected is 0.
    Relative(f64),
    /// `max |got - expected|`.
    Absolute(f64),
}

/// One value on the device against the same value of the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The node, or the output.
    pub name: String,
    /// What computes it: an op, or `output`.
    pub kind: &'static str,
    /// The error. Infinite where a number is NaN or the shapes differ.
    pub error: f64,
    /// What the error may be.
    pub tolerance: Tolerance,
    /// Row-major index of the element with the largest error.
    pub worst: usize,
    /// What the reference has there.
    pub expected: f32,
    /// What the device has there.
    pub got: f32,
}

impl Comparison {
    /// Compares element by element.
    pub fn new(name: &str, kind: &'static str, expected: &Tensor, got: &Tensor, tolerance: Tolerance) -> Self {
        let mut comparison =
            Self { name: name.into(), kind, error: 0.0, tolerance, worst: 0, expected: f32::NAN, got: f32::NAN };
        if expected.shape() != got.shape() {
            comparison.error = f64::INFINITY;
            return comparison;
        }
        let mut largest = -1.0;
        for (index, (&expected, &got)) in expected.data().iter().zip(got.data()).enumerate() {
            let error = match (f64::from(got) - f64::from(expected)).abs() {
                // NaN on either side, or an infinity that the other side lacks.
                error if error.is_nan() && got != expected => f64::INFINITY,
                error if error.is_nan() => 0.0,
                error => error,
            };
            if error > largest {
                largest = error;
                comparison = Self { worst: index, expected, got, ..comparison };
            }
        }
        let scale = match tolerance {
            Tolerance::Relative(_) => f64::from(expected.max_abs()),
            Tolerance::Absolute(_) => 1.0,
        };
        let error = largest.max(0.0);
        comparison.error = if scale > 0.0 && scale.is_finite() { error / scale } else { error };
        comparison
    }

    /// Whether the error is within its tolerance.
    pub fn passed(&self) -> bool {
        let (Tolerance::Relative(limit) | Tolerance::Absolute(limit)) = self.tolerance;
        self.error <= limit
    }
}

/// What [`verify`] found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the network.
    pub network: String,
    /// What it ran on.
    pub adapter: String,
    /// How it was planned.
    pub plan: PlanOptions,
    /// Images of the batch.
    pub batch: usize,
    /// The largest absolute number of the reference: half precision ends at 65504.
    pub largest: f32,
    /// Every node of the prepared network, in order of execution.
    pub nodes: Vec<Comparison>,
    /// The network's outputs, then the gates of its SE blocks (`gate.<se_block>`), from a run that keeps nothing else.
    pub outputs: Vec<Comparison>,
}

impl Report {
    /// Everything that was compared: nodes in order, then outputs and gates.
    pub fn comparisons(&self) -> impl Iterator<Item = &Comparison> {
        self.nodes.iter().chain(&self.outputs)
    }

    /// Whether all errors are within their tolerances.
    pub fn passed(&self) -> bool {
        self.first_failure().is_none()
    }

    /// The first comparison over its tolerance: where to look for the cause.
    pub fn first_failure(&self) -> Option<&Comparison> {
        self.comparisons().find(|comparison| !comparison.passed())
    }

    /// The comparison with the largest error.
    pub fn worst(&self) -> Option<&Comparison> {
        self.comparisons().max_by(|a, b| a.error.total_cmp(&b.error))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "ok  " } else { "FAIL" };
        let (measure, limit) = match self.tolerance {
            Tolerance::Relative(limit) => ("relative", limit),
            Tolerance::Absolute(limit) => ("absolute", limit),
        };
        write!(f, "{verdict} {:32} {:16} {:8.1e} {measure}", escaped(&self.name), self.kind, self.error)?;
        if self.passed() {
            return Ok(());
        }
        let Self { worst, expected, got, .. } = self;
        write!(f, ", allowed {limit:.0e}; element {worst}: expected {expected}, found {got}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { adapter, batch, .. } = self;
        let network = escaped(&self.network);
        let half = if self.plan.precision == Precision::F16 { ", precision f16" } else { "" };
        writeln!(f, "{network}, batch {batch}, fusion {}{half}, on {adapter}", self.plan.fusion)?;
        writeln!(f, "every node:")?;
        self.nodes.iter().try_for_each(|node| writeln!(f, "  {node}"))?;
        writeln!(f, "outputs and gates of the plan as it runs:")?;
        self.outputs.iter().try_for_each(|output| writeln!(f, "  {output}"))?;
        if self.plan.precision == Precision::F16 {
            writeln!(
                f,
                "allowed: {HALF_TIMES} times the error of this graph in half precision on the CPU, {HALF_ONCE:.0e} at least"
            )?;
            writeln!(f, "largest |x| of the reference: {}; half precision ends at {LARGEST_HALF}", self.largest)?;
        }
        if let Some(worst) = self.worst() {
            writeln!(f, "worst: {} with {:.1e}", escaped(&worst.name), worst.error)?;
        }
        match self.first_failure() {
            None => write!(f, "passed: {} comparisons", self.comparisons().count()),
            Some(first) => write!(f, "FAILED: \"{}\" is the first to diverge", escaped(&first.name)),
        }
    }
}

/// Runs a batch of images on the device and compares with the CPU reference.
///
/// First, every node of the prepared network: all values of a run on the device against the same values on the CPU, each
/// computed from the CPU's own. Then the answer and the SE gates of the network as it was given against those of its plan
/// with all fusions in place, so that a wrong fusion shows too.
///
/// The reference is slow: a minute for SE-ResNet-50 at 224 x 224 is usual. Smaller images verify the same kernels.
///
/// # Errors
/// The weights or the input are not the network's, or the device fails. A wrong result is no error but in the report.
pub fn verify(gpu: &Gpu, graph: &Graph, weights: &Weights, input: &Tensor, options: &Options) -> Result<Report> {
    let weights = &weights.fit(graph)?;
    let executor = |graph: &Graph| {
        Executor::new(gpu, graph, weights, ExecutorOptions { plan: options.plan.clone(), ..Default::default() })
    };
    // Its weights leave the device before the next ones come.
    let mut largest = input.max_abs();
    let mut half = HalfErrors::default();
    let nodes = {
        let every = graph.prepare(options.plan.fusion)?.with_every_output();
        if options.plan.precision == Precision::F16 {
            half = HalfErrors::new(half_reference(&every, input, weights)?);
        }
        let every = executor(&every)?;
        compare(every.graph(), every.run_all(input)?, weights, input, options, &mut largest, &mut half)?
    };
    // A gate that is an output keeps its SE block from ending in a pool: the answer is that of the plan without.
    let gated = graph.clone().with_gate_outputs();
    let mut got = executor(&gated)?.run_all(input)?;
    got.extend(executor(graph)?.run_all(input)?);
    half.of_outputs(&gated.prepare(options.plan.fusion)?);
    let outputs = compare(&gated, got, weights, input, options, &mut largest, &mut half)?;
    Ok(Report {
        network: graph.name().into(),
        adapter: gpu.describe(),
        plan: options.plan.clone(),
        batch: input.batch(),
        largest,
        nodes,
        outputs,
    })
}

/// All outputs of a network, as the device has them, against those of the graph that it was made from.
fn compare(
    graph: &Graph,
    mut got: BTreeMap<String, Tensor>,
    weights: &Weights,
    input: &Tensor,
    options: &Options,
    largest: &mut f32,
    half: &mut HalfErrors,
) -> Result<Vec<Comparison>> {
    let mut compared = BTreeMap::new();
    graph.reference_each(input, weights, &mut |id, expected| {
        *largest = largest.max(expected.max_abs());
        for (position, (name, _)) in graph.outputs().iter().enumerate().filter(|(_, (_, output))| *output == id) {
            let missing =
                || Error::Graph { graph: graph.name().into(), message: format!("the run lacks output {name}") };
            let got = got.remove(name).ok_or_else(missing)?;
            let is_gate = is_gate(graph, id);
            let measure: fn(f64) -> Tolerance = if is_gate { Tolerance::Absolute } else { Tolerance::Relative };
            let named_for_its_node = *name == graph.node(id).name;
            let kind = match (named_for_its_node, is_gate) {
                (true, _) => graph.node(id).op.kind(),
                (false, true) => "gate",
                (false, false) => "output",
            };
            let explained = HALF_TIMES * half.explains(graph, id, name, kind, expected, measure(0.0));
            let tolerance = measure(explained.max(if is_gate { options.gate_tolerance } else { options.tolerance }));
            compared.insert(position, Comparison::new(name, kind, expected, &got, tolerance));
        }
        Ok(())
    })?;
    Ok(compared.into_values().collect())
}

/// Whether a map is scaled by this value.
fn is_gate(graph: &Graph, id: NodeId) -> bool {
    let scales_by = |node: &crate::graph::Node| match &node.op {
        Op::Scale(_) => node.inputs[1] == id,
        Op::Conv2d(conv) => conv.gated() && node.inputs[1] == id,
        _ => false,
    };
    graph.nodes().iter().any(scales_by)
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::ops::{Act, Conv2d};
    use crate::passes::Fusion;
    use crate::plan::{Plan, Target};
    use crate::zoo;
    use crate::{GraphBuilder, Shape};

    fn compare(expected: &[f32], got: &[f32], tolerance: Tolerance) -> Comparison {
        let [expected, got] = [expected, got].map(|x| Tensor::new([x.len()], x.to_vec()).unwrap());
        Comparison::new("node", "conv2d", &expected, &got, tolerance)
    }

    #[test]
    fn errors_are_measured_against_the_largest_reference() {
        let found = compare(&[1.0, -4.0, 0.0], &[1.0, -4.0, 0.5], Tolerance::Relative(0.1));
        assert_eq!((found.error, found.worst, found.expected, found.got), (0.125, 2, 0.0, 0.5));
        assert!(!found.passed());
        assert!(compare(&[1.0, -4.0], &[1.0, -4.25], Tolerance::Relative(0.1)).passed());
        assert_eq!(compare(&[1.0, -4.0], &[1.0, -4.25], Tolerance::Absolute(0.1)).error, 0.25);
        assert_eq!(compare(&[0.0], &[1e-6], Tolerance::Relative(0.1)).error, f64::from(1e-6f32));
    }

    #[test]
    fn what_is_no_number_never_passes() {
        let nan = compare(&[1.0, 2.0], &[1.0, f32::NAN], Tolerance::Relative(1.0));
        assert_eq!((nan.error, nan.worst), (f64::INFINITY, 1));
        assert!(!compare(&[f32::NAN], &[f32::NAN], Tolerance::Absolute(1.0)).passed());
        assert!(!compare(&[f32::INFINITY], &[f32::NEG_INFINITY], Tolerance::Relative(1.0)).passed());
        assert!(compare(&[f32::INFINITY], &[f32::INFINITY], Tolerance::Relative(1.0)).passed());
        let other = Comparison::new("n", "add", &Tensor::zeros([2]), &Tensor::zeros([3]), Tolerance::Relative(1.0));
        assert!(!other.passed());
    }

    /// A bias that the next layer takes off again: what is left is off by more than any constant for single layers
    /// allows.
    #[test]
    fn half_precision_is_judged_by_that_of_the_same_graph() {
        let mut g = GraphBuilder::new("offset");
        let x = g.input(Shape::map(1, 5, 7)).unwrap();
        let up = g.conv2d("up", x, Conv2d::new(1, 1)).unwrap();
        let up = g.activation("relu", up, Act::Relu).unwrap();
        let down = g.conv2d("down", up, Conv2d::new(1, 1)).unwrap();
        let graph = g.finish(&[("y", down)]).unwrap();
        let tensor = |shape: &[usize], x: f32| Tensor::full(shape.to_vec(), x);
        let biases = [("up", 100.0), ("down", -100.0)];
        let weights = biases.into_iter().flat_map(|(name, bias)| {
            let [weight, bias] = [tensor(&[1, 1, 1, 1], 1.0), tensor(&[1], bias)];
            [(format!("{name}.weight"), weight), (format!("{name}.bias"), bias)]
        });
        let weights = Weights::from_tensors(weights);
        let input = Tensor::from_fn([2, 1, 5, 7], |i| (i * 37 % 71) as f32 / 71.0);
        let plan = PlanOptions { precision: Precision::F16, ..Default::default() };
        let options = Options::for_plan(plan.clone());
        let every = graph.prepare(plan.fusion).unwrap().with_every_output();
        let values = half_reference(&every, &input, &weights).unwrap();
        let judged = |got: BTreeMap<String, Tensor>| {
            let mut half = HalfErrors::new(values.clone());
            super::compare(&every, got, &weights, &input, &options, &mut 0.0, &mut half).unwrap()
        };
        let own = judged(values.clone());
        assert!(own.iter().all(Comparison::passed));
        let worst = own.iter().map(|row| row.error).fold(0.0, f64::max);
        assert!(worst > F16, "{worst} is no more than a constant allowed");
        // What is off by several times as much is found, and where.
        let mut wrong = values.clone();
        let last = every.outputs().last().unwrap().0.clone();
        let exact = &every.reference(&input, &weights).unwrap()[&last];
        let off = |at: usize| exact.data()[at] + 10.0 * (values[&last].data()[at] - exact.data()[at]);
        wrong.insert(last.clone(), Tensor::from_fn(exact.shape(), off));
        let failed: Vec<_> = judged(wrong).into_iter().filter(|row| !row.passed()).map(|row| row.name).collect();
        assert_eq!(failed, [last]);
        // In f32, nothing but arithmetic is explained.
        let exact = every.reference(&input, &weights).unwrap();
        let f32 =
            super::compare(&every, exact, &weights, &input, &Options::default(), &mut 0.0, &mut HalfErrors::default());
        assert!(
            f32.unwrap().iter().all(|row| matches!(row.tolerance, Tolerance::Relative(F32) | Tolerance::Absolute(F32)))
        );
    }

    #[test]
    fn half_precision_by_hand() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(1, 1, 2)).unwrap();
        let y = g.conv2d("conv", x, Conv2d::new(1, 1)).unwrap();
        let y = g.flatten("flat", y).unwrap();
        let graph = g.finish(&[("y", y)]).unwrap();
        let tensor = |shape: &[usize], data: &[f32]| Tensor::new(shape.to_vec(), data.to_vec()).unwrap();
        // 2049 is between two numbers of half precision, as is 1 + 1/2048; a bias stays as it is.
        let weights =
            [("conv.weight", tensor(&[1, 1, 1, 1], &[1.0 + 1.0 / 2048.0])), ("conv.bias", tensor(&[1], &[0.25]))];
        let weights = Weights::from_tensors(weights.map(|(name, tensor)| (name.to_string(), tensor)));
        let half = half_reference(&graph, &tensor(&[1, 1, 1, 2], &[2049.0, 3.0]), &weights).unwrap();
        assert_eq!(half["y"].data(), [2048.0, 3.25]);
    }

    #[test]
    fn a_report_names_the_first_to_diverge() {
        let node = |name: &str, got: f32| Comparison {
            name: name.into(),
            ..compare(&[1.0], &[got], Tolerance::Relative(F32))
        };
        let mut report = Report {
            network: "net".into(),
            adapter: "some adapter".into(),
            plan: PlanOptions::default(),
            batch: 1,
            largest: 3.0,
            nodes: vec![node("conv1", 1.0), node("conv2", 1.5), node("conv3", 3.0)],
            outputs: vec![],
        };
        assert_eq!(report.first_failure().unwrap().name, "conv2");
        assert_eq!(report.worst().unwrap().name, "conv3");
        assert!(report.to_string().ends_with("FAILED: \"conv2\" is the first to diverge"), "{report}");
        report.nodes.truncate(1);
        assert!(report.to_string().ends_with("passed: 1 comparisons"), "{report}");
    }

    #[test]
    fn gates_as_outputs_leave_the_other_steps_as_they_are() {
        // The last SE blocks end in the pool, unless their gates are outputs.
        for (name, last) in [("digits_seresnet", "layer2.1.se"), ("seresnet50", "layer4.2.se")] {
            let last = [last, "global_pool"];
            let graph = zoo::build(name, &zoo::Options::default()).unwrap();
            let steps = |graph: &Graph| -> Vec<_> {
                let plan = Plan::new(graph, 1, &Target::gpu(), &PlanOptions::default()).unwrap();
                let computing = plan.steps.into_iter().filter(|step| !step.shader.name.ends_with("unpack"));
                let others = computing.filter(|step| !last.iter().any(|node| step.name.starts_with(node)));
                others.map(|step| (step.name, step.shader.name, step.overrides, step.workgroups)).collect()
            };
            assert_eq!(steps(&graph), steps(&graph.clone().with_gate_outputs()), "{name}");
        }
    }

    #[test]
    fn a_gate_is_what_scales() {
        let graph = zoo::build("digits_seresnet", &zoo::Options::default()).unwrap();
        for fusion in Fusion::ALL {
            let prepared = graph.prepare(fusion).unwrap();
            let gates: Vec<&str> =
                prepared.ids().filter(|&id| is_gate(&prepared, id)).map(|id| prepared.node(id).name.as_str()).collect();
            assert_eq!(gates, ["layer1.0.se", "layer1.1.se", "layer2.0.se", "layer2.1.se"], "{fusion}");
        }
    }
}
