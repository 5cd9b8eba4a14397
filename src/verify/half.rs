//! What half precision of a graph is off by at best: on the CPU, with the roundings of a plan.

use super::{Comparison, Tolerance};
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId};
use crate::ops::Op;
use crate::schedule::convolution::is_linear;
use crate::tensor::{Shape, Tensor};
use crate::weights::Weights;
use std::collections::BTreeMap;

/// How many times the error of [`half_reference`] a device's may be in half precision: devices may cut off where the CPU
/// rounds to nearest, which is twice the error each time, and always to the same side.
pub const HALF_TIMES: f64 = 4.0;

/// Error that is always allowed in half precision: a number that is stored once, and cut off.
pub const HALF_ONCE: f64 = 1.0 / 1024.0;

/// The outputs as half precision has them at best: on the CPU as [`Graph::reference`], but with maps and the weights of
/// convolutions rounded to the nearest number of half precision, where a plan of this graph stores them so. Executors
/// plan what [`Graph::prepare`] makes of a graph.
///
/// # Errors
/// As [`Graph::reference`].
pub fn half_reference(graph: &Graph, input: &Tensor, weights: &Weights) -> Result<BTreeMap<String, Tensor>> {
    let stored = |node: &Node, param: Option<usize>, tensor: Tensor| {
        let in_half = match (&node.op, param) {
            (Op::Conv2d(conv), Some(0)) => !is_linear(conv, graph.node(node.inputs[0]).shape),
            (_, Some(_)) => false,
            (_, None) => matches!(node.shape, Shape::Map { .. }),
        };
        if in_half { in_half_precision(tensor) } else { tensor }
    };
    let mut outputs = BTreeMap::new();
    graph.reference_stored(input, weights, &stored, &mut |id, value| {
        outputs.extend(
            graph.outputs().iter().filter(|(_, output)| *output == id).map(|(name, _)| (name.clone(), value.clone())),
        );
        Ok(())
    })?;
    Ok(outputs)
}

fn in_half_precision(tensor: Tensor) -> Tensor {
    let shape = tensor.shape().to_vec();
    let data = tensor.into_data().into_iter().map(|x| half::f16::from_f32(x).to_f32()).collect();
    Tensor::new(shape, data).expect("as many numbers as before")
}

/// What half precision of the same graph is off by on the CPU.
#[derive(Default)]
pub(super) struct HalfErrors {
    /// Its values by name, until they are compared; none in other precisions.
    values: BTreeMap<String, Tensor>,
    /// Errors that are due to it, by the name of the node or output.
    pub errors: BTreeMap<String, f64>,
}

impl HalfErrors {
    /// Of these values, which are yet to be compared.
    pub fn new(values: BTreeMap<String, Tensor>) -> Self {
        Self { values, errors: BTreeMap::new() }
    }

    /// The error that half precision explains: that of the value itself, or of what it is computed from where it
    /// happens to be smaller. None in other precisions.
    pub fn explains(
        &mut self,
        graph: &Graph,
        id: NodeId,
        name: &str,
        kind: &'static str,
        expected: &Tensor,
        measure: Tolerance,
    ) -> f64 {
        if let Some(value) = self.values.remove(name) {
            let own = Comparison::new(name, kind, expected, &value, measure).error;
            let inputs = graph
                .node(id)
                .inputs
                .iter()
                .map(|input| self.errors.get(&graph.node(*input).name).copied().unwrap_or(0.0));
            self.errors.insert(name.into(), inputs.fold(own, f64::max));
        }
        self.errors.get(name).copied().unwrap_or(0.0)
    }

    /// Knows the errors of this prepared graph's outputs by their names, from its nodes'.
    pub fn of_outputs(&mut self, prepared: &Graph) {
        for (name, id) in prepared.outputs() {
            if let Some(&error) = self.errors.get(&prepared.node(*id).name) {
                self.errors.insert(name.clone(), error);
            }
        }
    }
}
