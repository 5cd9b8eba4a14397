//! SE as a transform: the block of the paper put after nodes of a finished network.

use super::{Graph, GraphBuilder, Node, Value};
use crate::error::{Error, Result};
use crate::ops::{Meaning, Op, ParamSpec, Scale, SqueezeExcite};
use crate::param::Param;
use crate::tensor::Shape;

/// Where the weights of inserted stages come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeInit {
    /// Tensors named for the stage: `<stage>.fc1.weight`, … (from a checkpoint, or seeded).
    #[default]
    Named,
    /// Weights 0 and a bias at which the gate is 1 in `f32`: the network's answers stay what they were.
    Identity,
}

/// How to put SE stages into a graph.
///
/// ```
/// use excite::{Conv2d, GraphBuilder, InsertSe, SeInit, Shape};
///
/// let mut g = GraphBuilder::new("plain");
/// let x = g.input(Shape::map(3, 8, 8))?;
/// let x = g.conv2d("conv", x, Conv2d::new(32, 3))?;
/// let graph = g.finish(&[("features", x)])?;
/// let se = graph.insert_se(&InsertSe { init: SeInit::Identity, ..InsertSe::ratio(16) }, |node| node.name == "conv")?;
/// assert_eq!(se.se_stages().next().unwrap().name, "conv.se");
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InsertSe {
    /// Reduced width for a map of C channels.
    pub width: SeWidth,
    /// Squeeze, hidden activation, gate function and biases; its reduced width is not read.
    pub block: SqueezeExcite,
    /// Where the weights come from.
    pub init: SeInit,
}

/// Reduced width of an inserted stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeWidth {
    /// `max(C / r, 1)`, as the paper has it.
    Ratio(usize),
    /// The same for every stage.
    Fixed(usize),
}

impl InsertSe {
    /// The paper's block with reduction ratio `r` and named weights.
    pub fn ratio(r: usize) -> Self {
        Self { width: SeWidth::Ratio(r), block: SqueezeExcite::new(1), init: SeInit::Named }
    }

    fn stage(&self, channels: usize) -> Result<SqueezeExcite> {
        let reduced = match self.width {
            SeWidth::Ratio(0) => {
                return Err(Error::Request("insert_se: ratio must be at least 1, is 0".into()));
            }
            SeWidth::Ratio(r) => (channels / r).max(1),
            SeWidth::Fixed(width) => width,
        };
        Ok(SqueezeExcite { reduced, ..self.block.clone() })
    }

    fn params(&self, name: &str, op: &SqueezeExcite, shape: Shape) -> Result<Vec<Param>> {
        let specs = op.params(&[shape]).into_iter();
        if self.init == SeInit::Named {
            let named = |spec: ParamSpec| Param::Tensor { name: format!("{name}.{}", spec.role), shape: spec.shape };
            return Ok(specs.map(named).collect());
        }
        let Some(one) = op.gate.one_at().filter(|_| op.bias) else {
            let message = format!("a {} gate{} can't be identity", op.gate, if op.bias { "" } else { " without bias" });
            return Err(Error::node("squeeze_excite", name, message));
        };
        let value = |spec: &ParamSpec| if spec.role == "fc2.bias" { one } else { 0.0 };
        Ok(specs.map(|spec| Param::Fill { value: value(&spec), shape: spec.shape }).collect())
    }
}

impl Graph {
    /// A graph with an SE stage named `<node>.se` after every node that `after` accepts; readers see the scaled map.
    ///
    /// # Errors
    /// No node is accepted, one that is has a vector for value, or the gate can't be initialised as asked.
    pub fn insert_se(&self, options: &InsertSe, after: impl Fn(&Node) -> bool) -> Result<Graph> {
        let mut builder = GraphBuilder::new(self.name.clone());
        let mut values: Vec<Value> = Vec::new();
        let mut inserted = 0;
        for node in &self.nodes {
            let inputs: Vec<Value> = node.inputs.iter().map(|id| values[id.0]).collect();
            let mut value = builder.add_with(&node.name, node.op.clone(), &inputs, node.params.clone())?;
            if after(node) {
                let name = format!("{}.se", node.name);
                if !matches!(node.shape, Shape::Map { .. }) {
                    let message = format!("expects a map to squeeze, \"{}\" is a vector of {}", node.name, node.shape);
                    return Err(Error::node("squeeze_excite", &name, message));
                }
                let op = options.stage(node.shape.channels())?;
                let params = options.params(&name, &op, node.shape)?;
                let gate = builder.add_with(&name, Op::SqueezeExcite(op), &[value], params)?;
                value = builder.scale(&format!("{name}.scale"), value, gate)?;
                inserted += 1;
            }
            values.push(value);
        }
        if inserted == 0 {
            return Err(Error::Graph { graph: self.name.clone(), message: "insert_se: no node was accepted".into() });
        }
        let outputs: Vec<(&str, Value)> = self.outputs.iter().map(|(n, id)| (n.as_str(), values[id.0])).collect();
        builder.finish(&outputs)
    }

    /// The plain network: every scale by the gate of an SE stage gives way to its input.
    ///
    /// # Errors
    /// A gate has another reader than its scale.
    pub fn remove_se(&self) -> Result<Graph> {
        let mut builder = GraphBuilder::new(self.name.clone());
        let mut values: Vec<Option<Value>> = Vec::new();
        for node in &self.nodes {
            let gated_by_se =
                |node: &Node| matches!(self.node(node.inputs[1]).op, Op::SqueezeExcite(_)) && node.inputs.len() == 2;
            let value = match &node.op {
                Op::SqueezeExcite(_) => None,
                Op::Scale(Scale { residual: false, .. }) if gated_by_se(node) => values[node.inputs[0].0],
                _ => {
                    let inputs: Option<Vec<Value>> = node.inputs.iter().map(|id| values[id.0]).collect();
                    let inputs = inputs.ok_or_else(|| Error::Graph {
                        graph: self.name.clone(),
                        message: format!("remove_se: \"{}\" reads a gate", node.name),
                    })?;
                    Some(builder.add_with(&node.name, node.op.clone(), &inputs, node.params.clone())?)
                }
            };
            values.push(value);
        }
        let outputs: Option<Vec<(&str, Value)>> =
            self.outputs.iter().map(|(n, id)| Some((n.as_str(), values[id.0]?))).collect();
        let outputs = outputs.ok_or_else(|| Error::Graph {
            graph: self.name.clone(),
            message: "remove_se: a gate is an output".into(),
        })?;
        builder.finish(&outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Act, Conv2d, Linear};
    use crate::{Tensor, Weights};

    fn plain() -> Graph {
        let mut g = GraphBuilder::new("plain");
        let x = g.input(Shape::map(3, 5, 5)).unwrap();
        let x = g.conv2d("conv1", x, Conv2d::new(6, 3)).unwrap();
        let x = g.activation("relu", x, Act::Relu).unwrap();
        let x = g.conv2d("conv2", x, Conv2d::new(4, 1)).unwrap();
        let x = g.global_avg_pool("pool", x).unwrap();
        let x = g.linear("fc", x, Linear::new(3)).unwrap();
        g.finish(&[("logits", x)]).unwrap()
    }

    fn convs(node: &Node) -> bool {
        matches!(node.op, Op::Conv2d(_))
    }

    #[test]
    fn identity_stages_change_no_bit() {
        let input = Tensor::from_fn([2, 3, 5, 5], |i| (i as f32 * 0.37).sin());
        let weights = Weights::seeded(7, 1.0);
        for gate in [Act::Sigmoid, Act::HardSigmoid, Act::Tanh, Act::Relu] {
            let options =
                InsertSe { block: SqueezeExcite::new(1).gate(gate), init: SeInit::Identity, ..InsertSe::ratio(2) };
            let se = plain().insert_se(&options, convs).unwrap();
            assert_eq!(se.se_stages().count(), 2);
            let [with, without] = [&se, &plain()].map(|g| g.reference(&input, &weights).unwrap());
            assert_eq!(with, without, "{gate}");
        }
    }

    #[test]
    fn removing_gives_the_plain_network_back() {
        let se = plain().insert_se(&InsertSe::ratio(2), convs).unwrap();
        assert_eq!(se.find("conv1.se").map(|id| se.node(id).params.len()), Some(4));
        assert_eq!(se.remove_se().unwrap(), plain());
    }

    #[test]
    fn what_cannot_be_inserted_is_said() {
        let none = plain().insert_se(&InsertSe::ratio(2), |_| false).unwrap_err();
        assert_eq!(none.to_string(), "graph \"plain\": insert_se: no node was accepted");
        assert!(plain().insert_se(&InsertSe::ratio(2), |node| node.name == "fc").is_err());
        let options =
            InsertSe { block: SqueezeExcite::new(1).bias(false), init: SeInit::Identity, ..InsertSe::ratio(2) };
        let error = plain().insert_se(&options, convs).unwrap_err();
        assert!(error.to_string().ends_with("a sigmoid gate without bias can't be identity"), "{error}");
    }
}
