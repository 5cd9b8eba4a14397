//! A whole graph on the CPU, node by node: what every plan is proved against.

use super::{Graph, Node, NodeId};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::tensor::{Tensor, TensorSource};
use std::collections::BTreeMap;

impl Graph {
    /// The outputs for a batch of images `[N,C,H,W]`, in `f64` sums on the CPU: slow and obvious. The weights have the
    /// graph's names ([`crate::Weights::fit`]).
    ///
    /// # Errors
    /// The input has another shape, or a weight is missing.
    pub fn reference(&self, input: &Tensor, weights: &dyn TensorSource) -> Result<BTreeMap<String, Tensor>> {
        let mut outputs = BTreeMap::new();
        self.reference_each(input, weights, &mut |id, value| {
            for (name, _) in self.outputs.iter().filter(|(_, output)| *output == id) {
                outputs.insert(name.clone(), value.clone());
            }
            Ok(())
        })?;
        Ok(outputs)
    }

    /// Calls `each` with every node's value as it is computed. Values are dropped after their last consumer.
    ///
    /// # Errors
    /// As [`Graph::reference`], and what `each` returns.
    pub fn reference_each(
        &self,
        input: &Tensor,
        weights: &dyn TensorSource,
        each: &mut dyn FnMut(NodeId, &Tensor) -> Result<()>,
    ) -> Result<()> {
        self.reference_stored(input, weights, &|_, _, tensor| tensor, each)
    }

    /// As [`Graph::reference_each`], with what `stored` makes of every node's parameters, by their index, and of its
    /// value.
    ///
    /// # Errors
    /// As [`Graph::reference_each`].
    pub(crate) fn reference_stored(
        &self,
        input: &Tensor,
        weights: &dyn TensorSource,
        stored: &dyn Fn(&Node, Option<usize>, Tensor) -> Tensor,
        each: &mut dyn FnMut(NodeId, &Tensor) -> Result<()>,
    ) -> Result<()> {
        self.check_input(input)?;
        let consumers = self.consumers();
        let mut values: Vec<Option<Tensor>> = vec![None; self.nodes.len()];
        for id in self.ids() {
            let node = self.node(id);
            let value = if let Op::Input(_) = node.op {
                input.clone()
            } else {
                let params = node.params.iter().enumerate();
                let params = params.map(|(i, param)| Ok(stored(node, Some(i), param.resolve(weights)?)));
                let params = params.collect::<Result<Vec<_>>>()?;
                let inputs: Vec<&Tensor> = node
                    .inputs
                    .iter()
                    .map(|i| values[i.0].as_ref().expect("a value lives until its last consumer"))
                    .collect();
                let value = node.op.definition().reference(&inputs, &params);
                if let Op::Constant(_) = node.op { value.repeated(input.batch()) } else { value }
            };
            let value = stored(node, None, value);
            each(id, &value)?;
            values[id.0] = Some(value);
            for &input in &node.inputs {
                if consumers[input.0].last() == Some(&id) {
                    values[input.0] = None;
                }
            }
        }
        Ok(())
    }

    /// Refuses an input that is not a batch of this graph's images.
    pub(crate) fn check_input(&self, input: &Tensor) -> Result<()> {
        let (shape, batch) = (self.input_shape(), input.batch());
        if batch == 0 || input.shape() != shape.with_batch(batch) {
            let mut expected: Vec<String> = shape.with_batch(1).iter().map(usize::to_string).collect();
            expected[0] = "N".into();
            let message =
                format!("expects images [{}], N at least 1, is given {:?}", expected.join(", "), input.shape());
            return Err(self.bad_input(message));
        }
        Ok(())
    }

    /// The error for images that are not this network's.
    pub(crate) fn bad_input(&self, message: impl Into<String>) -> Error {
        Error::Input { network: self.name.clone(), shape: self.input_shape(), message: message.into() }
    }
}
