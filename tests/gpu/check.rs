//! Runs a graph in every variant asked for and compares with the reference.

use crate::common::compare::{Tolerance, compare_all, compare_each, numbers, rounding_bounds};
use crate::machine::Machine;
use excite::gpu::{Executor, ExecutorOptions};
use excite::graph::Value;
use excite::ops::Op;
use excite::plan::{Choice, Fusion, Plan, PlanOptions, SeVariant};
use excite::plan::{Family, Target};
use excite::tuning::Tuning;
use excite::{Gpu, Graph, GraphBuilder, Shape, Tensor, Weights};
use std::sync::Arc;

/// A graph with its data.
#[derive(Clone)]
pub struct Problem {
    pub graph: Graph,
    pub input: Tensor,
    pub weights: Weights,
    pub tolerance: Tolerance,
    /// Whether the first output must also keep the bound that follows from its sums.
    pub bounded: bool,
}

/// Where and how it runs.
#[derive(Clone, Debug)]
pub struct Variant {
    pub plan: PlanOptions,
    pub checks: bool,
}

/// Both modes of the shaders.
pub const BOTH: [bool; 2] = [true, false];

impl Problem {
    /// Seeded numbers for a batch.
    pub fn new(graph: Graph, batch: usize, tolerance: Tolerance) -> Self {
        let input = numbers(11, &graph.input_shape().with_batch(batch));
        Self { graph, input, weights: Weights::seeded(11, 1.0), tolerance, bounded: false }
    }

    /// Also with the bound that follows from the sums: for graphs of convolutions and fully connected layers.
    pub fn bounded(self) -> Self {
        Self { bounded: true, ..self }
    }

    /// Runs in every variant. Values are poisoned before each run and guarded; a second run without guards has values
    /// share their buffers.
    pub fn check(&self, machine: &Machine, variants: &[Variant]) -> Result<(), String> {
        let expected = self.graph.reference(&self.input, &self.weights).map_err(|e| e.to_string())?;
        let bounds = self.bounded.then(|| rounding_bounds(&self.graph, &self.input, &self.weights)).transpose()?;
        for variant in variants {
            let gpu = machine.gpu(variant.checks);
            let result = self.outputs(gpu, variant).and_then(|runs| {
                for (how, got) in runs {
                    let near = compare_all(&expected, &got, self.tolerance).and_then(|()| {
                        let Some(bounds) = &bounds else { return Ok(()) };
                        let first = &self.graph.outputs()[0].0;
                        compare_each(&expected[first], &got[first], |i| bounds[i])
                            .map_err(|e| format!("\"{first}\" bound of its sums: {e}"))
                    });
                    near.map_err(|e| format!("{how} {e}"))?;
                }
                Ok(())
            });
            result
                .map_err(|message| format!("{message}\nbatch {}, {variant:?}\n{}", self.input.batch(), self.graph))?;
        }
        Ok(())
    }

    fn outputs(&self, gpu: &Gpu, variant: &Variant) -> Result<Vec<(&'static str, Outputs)>, String> {
        let run = |guard| {
            // What an op makes of infinity is for its cases to say.
            let allow_non_finite = true;
            let options =
                ExecutorOptions::default().plan(variant.plan.clone()).guard(guard).allow_non_finite(allow_non_finite);
            Executor::new(gpu, &self.graph, &self.weights, options)?.run_all(&self.input)
        };
        let guarded = run(true).map_err(|e| e.to_string())?;
        let shared = run(false).map_err(|e| e.to_string())?;
        Ok(vec![("guarded", guarded), ("with shared buffers", shared)])
    }
}

type Outputs = std::collections::BTreeMap<String, Tensor>;

/// A plan as the adapter would choose it.
pub fn default_variants(checks: &[bool]) -> Vec<Variant> {
    checks.iter().map(|&checks| Variant { plan: PlanOptions::default(), checks }).collect()
}

/// Every choice of `plans` in every mode of `checks`.
pub fn variants(plans: &[PlanOptions], checks: &[bool]) -> Vec<Variant> {
    let each =
        |plan: &PlanOptions| checks.iter().map(|&checks| Variant { plan: plan.clone(), checks }).collect::<Vec<_>>();
    plans.iter().flat_map(each).collect()
}

/// Both families.
pub fn families() -> Vec<PlanOptions> {
    [Family::Direct, Family::Tiled].map(family).to_vec()
}

/// The family that the adapter does not take by itself.
pub fn other_family(target: &Target) -> Family {
    if target.family == Family::Direct { Family::Tiled } else { Family::Direct }
}

pub fn family(family: Family) -> PlanOptions {
    PlanOptions::default().family(family)
}

/// With subgroups where the adapter has them, and without.
pub fn subgroups(machine: &Machine) -> Vec<PlanOptions> {
    let has = machine.gpu(true).target().subgroups;
    let choices: &[bool] = if has { &[true, false] } else { &[false] };
    choices.iter().map(|&on| PlanOptions::default().subgroups(on)).collect()
}

/// Both families; the direct one also without shared weights, where the adapter's subgroups share them.
pub fn kernels(machine: &Machine) -> Vec<PlanOptions> {
    let alone = family(Family::Direct).subgroups(false);
    let shares = machine.gpu(true).target().sharing_invocations().is_some();
    families().into_iter().chain(shares.then_some(alone)).collect()
}

pub fn fusions() -> Vec<PlanOptions> {
    Fusion::ALL.map(|fusion| PlanOptions::default().fusion(fusion)).to_vec()
}

/// The options with this choice for every convolution that can take it.
pub fn chosen(
    gpu: &Gpu,
    graph: &Graph,
    batch: usize,
    options: &PlanOptions,
    choice: Choice,
) -> excite::Result<PlanOptions> {
    let mut tuning = Tuning::new(gpu, options.precision);
    for (key, _, candidates) in Plan::new(graph, batch, gpu.target(), options)?.choices() {
        if candidates.contains(&choice) {
            tuning.set(&key, choice);
        }
    }
    Ok(options.clone().tuning(Arc::new(tuning)))
}

/// Five runs have the same bits, and an image has them at another place of the batch.
pub fn same_bits_of(executor: &Executor, input: &Tensor) -> Result<(), String> {
    let run = |input: &Tensor| executor.run_all(input).map_err(|e| e.to_string());
    let first = run(input)?;
    for again in 2..=5 {
        compare_all(&first, &run(input)?, Tolerance::Exact).map_err(|e| format!("run {again}: {e}"))?;
    }
    let batch = input.batch();
    assert!(!batch.is_multiple_of(3), "some images would be nowhere");
    let order: Vec<usize> = (0..batch).map(|place| (3 * place + 2) % batch).collect();
    let shuffled = order.iter().flat_map(|&i| input.image(i).to_vec()).collect();
    let shuffled = run(&Tensor::new(input.shape().to_vec(), shuffled).map_err(|e| e.to_string())?)?;
    for (name, first) in &first {
        for (place, &image) in order.iter().enumerate() {
            if shuffled[name].image(place) != first.image(image) {
                return Err(format!("\"{name}\" of image {image} has other bits at place {place}"));
            }
        }
    }
    Ok(())
}

pub fn se_variant(variant: SeVariant) -> PlanOptions {
    PlanOptions::default().se(variant)
}

/// A graph of one op, named `op`.
pub fn one(shape: [usize; 3], op: Op) -> Graph {
    graph(shape, |g, x| g.add("op", op, &[x]))
}

/// A graph whose output is what `build` makes of the input.
pub fn graph(
    [channels, height, width]: [usize; 3],
    build: impl FnOnce(&mut GraphBuilder, Value) -> excite::Result<Value>,
) -> Graph {
    let made = || {
        let mut g = GraphBuilder::new("case");
        let x = g.input(Shape::map(channels, height, width))?;
        let y = build(&mut g, x)?;
        g.finish(&[("y", y)])
    };
    made().unwrap_or_else(|error| panic!("{error}"))
}
