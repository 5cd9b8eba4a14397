//! What a network gives besides its answer: gates, the vector before the classifier, any node's value.

use super::{Graph, GraphBuilder, NodeId, Value};
use crate::error::{Error, Result, near_names};
use crate::ops::{Act, Op};
use std::collections::HashSet;

/// The output that has the vector before the classifier.
pub(crate) const FEATURES: &str = "features";

/// What the gates' outputs begin with.
const GATE: &str = "gate.";

impl Graph {
    /// Adds outputs by name, behind its own: `features` for the vector that the classifier reads, `gate.<SE block>` for a
    /// gate, else a node's name for its value. Names that it has as outputs already add nothing.
    ///
    /// ```
    /// let graph = excite::zoo::build("digits_seresnet", &Default::default())?;
    /// let se_block = graph.se_blocks().next().unwrap().name.clone();
    /// let graph = graph.with_outputs(&[format!("gate.{se_block}"), "features".into()])?;
    /// assert_eq!(graph.outputs().len(), 3);
    /// # Ok::<(), excite::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such node, or `features` is asked of a network without a classifier.
    pub fn with_outputs(mut self, names: &[impl AsRef<str>]) -> Result<Self> {
        for name in names.iter().map(AsRef::as_ref) {
            if self.outputs.iter().all(|(own, _)| own != name) {
                let id = self.output_node(name)?;
                self.outputs.push((name.into(), id));
            }
        }
        Ok(self)
    }

    /// The network without its classifier: its one output is `features`, the vector that the classifier reads.
    ///
    /// # Errors
    /// It has no classifier.
    pub fn without_classifier(&self) -> Result<Self> {
        let end = self.output_node(FEATURES)?;
        let mut needed = HashSet::from([NodeId(0), end]);
        for id in self.ids().collect::<Vec<_>>().into_iter().rev() {
            if needed.contains(&id) {
                needed.extend(&self.node(id).inputs);
            }
        }
        let mut builder = GraphBuilder::new(self.name.clone());
        let mut values: Vec<Option<Value>> = vec![None; self.nodes.len()];
        for id in self.ids().filter(|id| needed.contains(id)) {
            let node = self.node(id);
            let inputs: Vec<Value> =
                node.inputs.iter().map(|i| values[i.0].expect("what a needed node reads is needed")).collect();
            values[id.0] = Some(builder.add_node(&node.name, node.op.clone(), &inputs, node.params.clone())?);
        }
        builder.finish(&[(FEATURES, values[end.0].expect("the end is needed"))])
    }

    fn output_node(&self, name: &str) -> Result<NodeId> {
        if let Some((_, id)) = self.outputs.iter().find(|(own, _)| own == name) {
            return Ok(*id);
        }
        if let Some(id) = self.find(name) {
            return Ok(id);
        }
        let refuse = |message: String| Err(Error::Graph { graph: self.name.clone(), message });
        if name == FEATURES {
            let Some(id) = self.classifier() else {
                return refuse("has no classifier that reads features: no fully connected layer at its end".into());
            };
            return Ok(self.node(id).inputs[0]);
        }
        let se_block = name.strip_prefix(GATE).and_then(|se_block| self.find(se_block));
        if let Some(id) = se_block.filter(|&id| matches!(self.node(id).op, Op::SqueezeExcite(_))) {
            return Ok(id);
        }
        let gates = self.se_blocks().map(|node| format!("{GATE}{}", node.name)).collect::<Vec<_>>();
        let known = self.nodes.iter().map(|node| node.name.as_str()).chain(gates.iter().map(String::as_str));
        let near = near_names(name, known);
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
        refuse(format!("has no node \"{name}\"{hint}"))
    }

    /// The fully connected layer that the answer comes from, by no more than a softmax or a sigmoid.
    fn classifier(&self) -> Option<NodeId> {
        let mut id = self.outputs.first()?.1;
        loop {
            let node = self.node(id);
            match node.op {
                Op::Linear(_) => return Some(id),
                Op::Reshape(_) | Op::Softmax(_) | Op::Activation(Act::Sigmoid | Act::HardSigmoid) => {
                    id = *node.inputs.first()?;
                }
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Linear, SqueezeExcite};
    use crate::{Shape, Tensor, Weights};

    fn graph() -> Graph {
        let mut g = GraphBuilder::new("net");
        let x = g.input(Shape::map(4, 2, 2)).unwrap();
        let x = g.squeeze_excite("se", x, SqueezeExcite::new(2)).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let x = g.linear("fc", x, Linear::new(3)).unwrap();
        let x = g.activation("probabilities", x, Act::Sigmoid).unwrap();
        g.finish(&[("answer", x)]).unwrap()
    }

    #[test]
    fn outputs_come_behind_the_networks_own() {
        let found = graph().with_outputs(&["gate.se", "features", "fc", "answer", "fc"]).unwrap();
        let names: Vec<&str> = found.outputs().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["answer", "gate.se", "features", "fc"]);
        let node = |at: usize| found.node(found.outputs()[at].1).name.as_str();
        assert_eq!([node(0), node(1), node(2), node(3)], ["probabilities", "se", "pool", "fc"]);
        let error = graph().with_outputs(&["gate.sf"]).unwrap_err().to_string();
        assert_eq!(error, "graph \"net\": has no node \"gate.sf\"; did you mean gate.se?");
    }

    #[test]
    fn features_are_what_the_classifier_reads() {
        let (whole, headless) = (graph(), graph().without_classifier().unwrap());
        assert_eq!(headless.outputs()[0].0, "features");
        assert_eq!(headless.output_shape(), Shape::vector(4));
        let (input, weights) = (Tensor::from_fn([1, 4, 2, 2], |i| i as f32), Weights::seeded(1, 1.0));
        let features = |graph: &Graph| graph.reference(&input, &weights).unwrap().remove("features").unwrap();
        assert_eq!(features(&headless), features(&whole.with_outputs(&["features"]).unwrap()));
        // There is nothing more to leave out.
        assert_eq!(headless.without_classifier().unwrap(), headless);
        let mut g = GraphBuilder::new("none");
        let x = g.input(Shape::map(3, 2, 2)).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let error = g.finish(&[("y", x)]).unwrap().without_classifier().unwrap_err().to_string();
        assert!(error.starts_with("graph \"none\": has no classifier"), "{error}");
    }
}
