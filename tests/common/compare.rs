//! How near is near enough, in one table, and what to say where it is not.

use excite::graph::{NodeId, Value};
use excite::ops::{Act, Op};
use excite::{Graph, GraphBuilder, Tensor, Weights};
use std::collections::BTreeMap;

/// How far a value may be from the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Equal numbers: what moves elements, and what IEEE rounds once.
    Exact,
    /// One op in `f32`.
    Op,
    /// A graph in `f32`.
    F32,
    /// Gates: no scale, because a gate multiplies.
    Gate,
    /// A network in half precision, as the golden suite has it: PyTorch's own logits are off by up to 9.3e-3 then.
    F16,
    /// Logits of the digits networks, of magnitude 10, against PyTorch's `f32`.
    Logits,
}

impl Tolerance {
    /// The table: the difference allowed where the largest reference is `largest`.
    pub fn allowed(self, largest: f32) -> f32 {
        // Inputs reach 2: below 1/2 a value is what cancellation has left, and its errors are those of larger terms.
        let scale = largest.max(0.5);
        match self {
            Self::Exact => 0.0,
            Self::Op => 1e-5 * scale,
            Self::F32 => 2e-5 * scale,
            Self::Gate => 2e-5,
            Self::F16 => 1e-2 * scale,
            Self::Logits => 1e-4,
        }
    }
}

/// Below, numbers of half precision have fewer digits, and devices may take them for 0.
pub const SMALLEST_HALF: f32 = 1.0 / 16384.0;

/// What storing a number in half precision may change: 2^-11 of it, and twice that where a driver cuts off.
pub fn stored_in_half(number: f32) -> f32 {
    number.abs() / 1024.0 + SMALLEST_HALF
}

/// Refuses `got` if it is not `expected` within the tolerance; says where first, and where worst.
pub fn compare(expected: &Tensor, got: &Tensor, tolerance: Tolerance) -> Result<(), String> {
    let allowed = tolerance.allowed(expected.max_abs());
    compare_each(expected, got, |_| allowed).map_err(|message| format!("{tolerance:?}: {message}"))
}

/// As [`compare`], with the difference allowed at each element.
pub fn compare_each(expected: &Tensor, got: &Tensor, allowed: impl Fn(usize) -> f32) -> Result<(), String> {
    if expected.shape() != got.shape() {
        return Err(format!("expected shape {:?}, got {:?}", expected.shape(), got.shape()));
    }
    let pairs = || expected.data().iter().copied().zip(got.data().iter().copied()).enumerate();
    // A NaN on either side is a difference.
    let near = |i: usize, a: f32, b: f32| a == b || (a - b).abs() <= allowed(i);
    let Some((first, (a, b))) = pairs().find(|&(i, (a, b))| !near(i, a, b)) else { return Ok(()) };
    let bad = pairs().filter(|&(i, (a, b))| !near(i, a, b)).count();
    let worst = pairs()
        .map(|(_, (a, b))| (a - b).abs())
        .fold(0.0, |worst: f32, difference| if difference.is_nan() { f32::NAN } else { worst.max(difference) });
    Err(format!(
        "first bad index {:?}: expected {a:e}, got {b:e}, allowed difference {:e}; {bad} of {} are bad, largest \
         difference {worst:e}",
        coordinates(first, expected.shape()),
        allowed(first),
        expected.data().len(),
    ))
}

/// As [`compare`], for all outputs of a graph.
pub fn compare_all(
    expected: &BTreeMap<String, Tensor>,
    got: &BTreeMap<String, Tensor>,
    tolerance: Tolerance,
) -> Result<(), String> {
    let names = |all: &BTreeMap<String, Tensor>| all.keys().cloned().collect::<Vec<_>>();
    if names(expected) != names(got) {
        return Err(format!("expected outputs {:?}, got {:?}", names(expected), names(got)));
    }
    expected
        .iter()
        .try_for_each(|(name, tensor)| compare(tensor, &got[name], tolerance).map_err(|e| format!("\"{name}\" {e}")))
}

fn coordinates(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut at: Vec<usize> = shape.iter().rev().map(|&dim| (index % dim, index /= dim).0).collect();
    at.reverse();
    at
}

/// Reproducible numbers in [-2, 2).
pub fn numbers(seed: u64, shape: &[usize]) -> Tensor {
    Weights::seeded(seed, 1.0).get("input", shape).expect("seeded numbers have any shape")
}

/// Rounding errors that the sums of a graph may leave in its first output, per element: `4 eps sqrt(K) sum |a * b|`
/// with K the longest sum, for activations with slopes up to 1.13 and errors of their own.
pub fn rounding_bounds(graph: &Graph, input: &Tensor, weights: &Weights) -> Result<Vec<f32>, String> {
    let absolute = |tensor: Tensor| {
        Tensor::new(tensor.shape(), tensor.data().iter().map(|x| x.abs()).collect()).expect("the count is the same")
    };
    let magnitudes = graph.tensors().into_iter().map(|(name, shape)| {
        let tensor = weights.get(&name, &shape)?;
        Ok((name, absolute(tensor)))
    });
    let magnitudes: BTreeMap<_, _> = magnitudes.collect::<excite::Result<_>>().map_err(|e| e.to_string())?;
    let linear = map_ops(graph, |op| match op {
        Op::Activation(_) => Op::Activation(Act::Identity),
        Op::Conv2d(op) => Op::Conv2d(excite::ops::Conv2d { act: Act::Identity, ..op.clone() }),
        Op::Linear(op) => Op::Linear(excite::ops::Linear { act: Act::Identity, ..op.clone() }),
        Op::Add(_) => Op::Add(excite::ops::Add { act: Act::Identity }),
        other => other.clone(),
    });
    let outputs = linear.reference(&absolute(input.clone()), &Weights::from_tensors(magnitudes));
    let sums = outputs.map_err(|e| e.to_string())?.remove(&graph.outputs()[0].0).expect("the first output");
    let longest = graph.nodes().iter().map(|node| sum_length(graph, node)).max().unwrap_or(1);
    let factor = 1.13 * 4.0 * 0.5 * f32::EPSILON * (longest as f32).sqrt();
    Ok(sums.data().iter().map(|sum| factor * sum + 4e-7 * sum.max(1.0)).collect())
}

/// Products that one element of a node's value adds up.
fn sum_length(graph: &Graph, node: &excite::graph::Node) -> usize {
    match &node.op {
        Op::Conv2d(op) => graph.node(node.inputs[0]).shape.channels() / op.groups * op.kernel[0] * op.kernel[1] + 2,
        Op::Linear(_) => graph.node(node.inputs[0]).shape.channels() + 1,
        _ => 2,
    }
}

/// The same graph with other ops.
fn map_ops(graph: &Graph, change: impl Fn(&Op) -> Op) -> Graph {
    finish(copy(graph, change), graph.outputs())
}

/// The same graph with these outputs.
pub fn with_outputs(graph: &Graph, outputs: &[(String, NodeId)]) -> Graph {
    finish(copy(graph, Op::clone), outputs)
}

fn finish((builder, values): (GraphBuilder, Vec<Value>), outputs: &[(String, NodeId)]) -> Graph {
    let named: Vec<_> = outputs.iter().map(|(name, id)| (name.as_str(), values[id.index()])).collect();
    builder.finish(&named).expect("the outputs reach every node")
}

fn copy(graph: &Graph, change: impl Fn(&Op) -> Op) -> (GraphBuilder, Vec<Value>) {
    let mut builder = GraphBuilder::new(graph.name());
    let mut values: Vec<Value> = Vec::new();
    for node in graph.nodes() {
        let inputs: Vec<Value> = node.inputs.iter().map(|id| values[id.index()]).collect();
        let value = builder.add_with(&node.name, change(&node.op), &inputs, node.params.clone());
        values.push(value.expect("a copy is as sound"));
    }
    (builder, values)
}
