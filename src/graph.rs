//! A network as plain data: nodes in order, each with its op, inputs, parameters and shape.
//!
//! A [`GraphBuilder`] checks every node as it is added, so a wrong graph can't be built; [`Graph`] never changes.

mod builder;
mod insert_se;
mod outputs;
mod patch;
mod reference;

pub use crate::param::{Norm, Param, Recipe};
pub use crate::passes::{SeCandidate, SeVerdict};
pub use crate::tensor::Dims;
pub use crate::tensor::TensorSource;
pub use builder::{GraphBuilder, Value};
pub use insert_se::{InsertSe, SeInit, SePosition, SeWidth};

pub(crate) use builder::{check_params, same_but_for_ones};
pub(crate) use insert_se::make_divisible;
pub(crate) use outputs::FEATURES;
pub(crate) use patch::{Patch, PatchNode, Source};

use crate::escape::escaped;
use crate::ops::Op;
use crate::tensor::Shape;
use std::collections::HashSet;
use std::fmt;

/// Index of a node in its graph; inputs have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// Position among the graph's nodes.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// One operation and its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique name: the module path in PyTorch where there is one.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The nodes it reads.
    pub inputs: Vec<NodeId>,
    /// Its parameters, in the op's order.
    pub params: Vec<Param>,
    /// Shape of its value, per image.
    pub shape: Shape,
}

/// A network. Made by [`GraphBuilder::finish`] and by passes.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    outputs: Vec<(String, NodeId)>,
}

impl Graph {
    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All nodes; inputs come before their consumers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All node ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// The node with this name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name).map(NodeId)
    }

    /// Output names and their nodes; the first is the network's answer.
    pub fn outputs(&self) -> &[(String, NodeId)] {
        &self.outputs
    }

    /// Shape of the input image.
    pub fn input_shape(&self) -> Shape {
        self.nodes[0].shape
    }

    /// Shape of the first output.
    pub fn output_shape(&self) -> Shape {
        self.node(self.outputs[0].1).shape
    }

    /// The graph's squeeze-and-excitation blocks, in order of execution.
    pub fn se_blocks(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| matches!(node.op, Op::SqueezeExcite(_)))
    }

    /// Names and shapes of all checkpoint tensors, each once, in order of first use.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut seen = HashSet::new();
        let mut tensors = Vec::new();
        for param in self.nodes.iter().flat_map(|node| &node.params) {
            param.for_each_tensor(&mut |name, shape| {
                if seen.insert(name.to_string()) {
                    tensors.push((name.to_string(), shape.to_vec()));
                }
            });
        }
        tensors
    }

    /// Trainable numbers of the checkpoint, as PyTorch counts them: running statistics don't count.
    pub fn parameter_count(&self) -> u64 {
        let trainable = |name: &str| !name.ends_with("running_mean") && !name.ends_with("running_var");
        let tensors = self.tensors().into_iter().filter(|(name, _)| trainable(name));
        tensors.map(|(_, shape)| shape.iter().product::<usize>() as u64).sum()
    }

    /// Multiply-adds of one image: convolutions and fully connected layers, those of SE included.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|node| node.op.definition().macs(&self.input_shapes(node), node.shape)).sum()
    }

    /// The same graph with every SE gate as an output named `gate.<se_block>`.
    pub fn with_gate_outputs(mut self) -> Self {
        for id in self.ids() {
            if matches!(self.node(id).op, Op::SqueezeExcite(_)) {
                self.outputs.push((format!("gate.{}", self.node(id).name), id));
            }
        }
        self
    }

    /// The same graph with every node's value as an output under the node's name, in order: for comparing them all.
    pub fn with_every_output(mut self) -> Self {
        self.outputs = self.ids().skip(1).map(|id| (self.node(id).name.clone(), id)).collect();
        self
    }

    /// The same graph with these nodes' values as outputs under the nodes' names, besides its own.
    pub(crate) fn with_outputs_of(mut self, ids: &[NodeId]) -> Self {
        let own = std::mem::take(&mut self.outputs);
        let asked: Vec<_> = ids.iter().map(|&id| (self.node(id).name.clone(), id)).collect();
        let others =
            own.into_iter().filter(|(name, id)| !ids.contains(id) && asked.iter().all(|(other, _)| other != name));
        self.outputs = asked.iter().cloned().chain(others).collect();
        self
    }

    pub(crate) fn input_shapes(&self, node: &Node) -> Vec<Shape> {
        node.inputs.iter().map(|&input| self.node(input).shape).collect()
    }

    /// For every node, the nodes that read it.
    pub(crate) fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.nodes.len()];
        for id in self.ids() {
            for &input in &self.node(id).inputs {
                consumers[input.0].push(id);
            }
        }
        consumers
    }

    pub(crate) fn is_output(&self, id: NodeId) -> bool {
        self.outputs.iter().any(|&(_, output)| output == id)
    }
}

/// One line a node: name, op, inputs, shape. Two graphs compare as texts.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", escaped(&self.name))?;
        for node in &self.nodes {
            let inputs: Vec<&str> = node.inputs.iter().map(|&i| self.node(i).name.as_str()).collect();
            let attributes = node.op.definition().attributes();
            let space = if attributes.is_empty() { "" } else { " " };
            write!(
                f,
                "  {} = {}({}){space}{attributes} -> {}",
                escaped(&node.name),
                node.op.kind(),
                escaped(&inputs.join(", ")),
                node.shape
            )?;
            // Parameters named for their node go without saying.
            let own =
                |p: &&Param| matches!(p, Param::Tensor { name, .. } if name.starts_with(&format!("{}.", node.name)));
            let others: Vec<String> = node.params.iter().filter(|p| !own(p)).map(Param::to_string).collect();
            if others.is_empty() { writeln!(f)? } else { writeln!(f, " [{}]", escaped(&others.join(", ")))? }
        }
        let outputs: Vec<String> =
            self.outputs.iter().map(|(name, id)| format!("{name} = {}", self.node(*id).name)).collect();
        writeln!(f, "  return {}", escaped(&outputs.join(", ")))
    }
}
