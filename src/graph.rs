//! A network as plain data: nodes in order, each with its op, inputs, parameters and shape.
//!
//! A [`GraphBuilder`] checks every node as it is added, so a wrong graph can't be built; [`Graph`] never changes.

mod insert_se;
mod reference;

pub use insert_se::{InsertSe, SeInit, SeWidth};

use crate::error::{Error, Result};
use crate::ops::{self, Act, Op};
use crate::param::Param;
use crate::tensor::Shape;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

/// A value while a graph is being built. Only the builder that gave it takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    index: u32,
    builder: u32,
}

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

    /// All nodes; inputs come before their readers.
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

    /// The graph's squeeze-and-excitation stages, in order of execution.
    pub fn se_stages(&self) -> impl Iterator<Item = &Node> {
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
        self.nodes.iter().map(|node| node.op.meaning().macs(&self.input_shapes(node), node.shape)).sum()
    }

    /// The same graph with every SE gate as an output named `gate.<stage>`.
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

    pub(crate) fn input_shapes(&self, node: &Node) -> Vec<Shape> {
        node.inputs.iter().map(|&input| self.node(input).shape).collect()
    }

    /// For every node, the nodes that read it.
    pub(crate) fn readers(&self) -> Vec<Vec<NodeId>> {
        let mut readers = vec![Vec::new(); self.nodes.len()];
        for id in self.ids() {
            for &input in &self.node(id).inputs {
                readers[input.0].push(id);
            }
        }
        readers
    }

    pub(crate) fn is_output(&self, id: NodeId) -> bool {
        self.outputs.iter().any(|&(_, output)| output == id)
    }
}

/// One line a node: name, op, inputs, shape. Two graphs compare as texts.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", self.name)?;
        for node in &self.nodes {
            let inputs: Vec<&str> = node.inputs.iter().map(|&i| self.node(i).name.as_str()).collect();
            let attributes = node.op.meaning().attributes();
            let space = if attributes.is_empty() { "" } else { " " };
            write!(f, "  {} = {}({}){space}{attributes} -> {}", node.name, node.op.kind(), inputs.join(", "), node.shape)?;
            // Parameters named for their node go without saying.
            let own = |p: &&Param| matches!(p, Param::Tensor { name, .. } if name.starts_with(&format!("{}.", node.name)));
            let others: Vec<String> = node.params.iter().filter(|p| !own(p)).map(Param::to_string).collect();
            if others.is_empty() { writeln!(f)? } else { writeln!(f, " [{}]", others.join(", "))? }
        }
        let outputs: Vec<String> =
            self.outputs.iter().map(|(name, id)| format!("{name} = {}", self.node(*id).name)).collect();
        writeln!(f, "  return {}", outputs.join(", "))
    }
}

/// Builds a [`Graph`] node by node.
///
/// ```
/// use excite::{Act, Conv2d, GraphBuilder, Linear, Shape, SqueezeExcite};
///
/// let mut g = GraphBuilder::new("tiny");
/// let x = g.input(Shape::map(3, 32, 32))?;
/// let x = g.conv2d("conv1", x, Conv2d::new(16, 3).padding(1))?;
/// let x = g.activation("relu", x, Act::Relu)?;
/// let x = g.squeeze_excite("se", x, SqueezeExcite::new(4))?;
/// let x = g.global_avg_pool("pool", x)?;
/// let x = g.linear("fc", x, Linear::new(10))?;
/// let graph = g.finish(&[("logits", x)])?;
/// assert_eq!(graph.se_stages().count(), 1);
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    names: HashSet<String>,
    id: u32,
}

impl GraphBuilder {
    /// An empty graph of this name.
    pub fn new(name: impl Into<String>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self {
            graph: Graph { name: name.into(), nodes: Vec::new(), outputs: Vec::new() },
            names: HashSet::new(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The image batch. Comes first, once.
    ///
    /// # Errors
    /// There is an input already, or a dimension is 0.
    pub fn input(&mut self, shape: Shape) -> Result<Value> {
        self.add("input", Op::Input(shape), &[])
    }

    /// Adds a node whose parameters are named `<node>.<role>`, as PyTorch names them.
    ///
    /// # Errors
    /// The name is taken, an input is not of this builder, or attributes and shapes don't fit.
    pub fn add(&mut self, name: &str, op: Op, inputs: &[Value]) -> Result<Value> {
        let specs = op.meaning().params(&self.checked_shapes(name, &op, inputs)?);
        let params = specs
            .into_iter()
            .map(|spec| Param::Tensor { name: format!("{name}.{}", spec.role), shape: spec.shape })
            .collect();
        self.add_with(name, op, inputs, params)
    }

    /// Another input, for graphs that never leave the crate: plans of whole networks have one.
    pub(crate) fn second_input(&mut self, name: &str, shape: Shape) -> Result<Value> {
        self.add_node(name, Op::Input(shape), &[], Vec::new())
    }

    /// Adds a node whose parameters are named for their role alone.
    pub(crate) fn add_bare(&mut self, name: &str, op: Op, inputs: &[Value]) -> Result<Value> {
        let specs = op.meaning().params(&self.checked_shapes(name, &op, inputs)?);
        let params = specs.into_iter().map(|s| Param::Tensor { name: s.role.into(), shape: s.shape }).collect();
        self.add_with(name, op, inputs, params)
    }

    /// Adds a node with the given parameters, in the op's order.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`], and where a parameter's shape is not the op's.
    pub fn add_with(&mut self, name: &str, op: Op, inputs: &[Value], params: Vec<Param>) -> Result<Value> {
        if matches!(op, Op::Input(_)) && !self.graph.nodes.is_empty() {
            return Err(Error::node("input", name, "the input comes first, once"));
        }
        self.add_node(name, op, inputs, params)
    }

    fn add_node(&mut self, name: &str, op: Op, inputs: &[Value], params: Vec<Param>) -> Result<Value> {
        let kind = op.kind();
        let shapes = self.checked_shapes(name, &op, inputs)?;
        let shape = op.meaning().shape(&shapes).map_err(|message| Error::node(kind, name, message))?;
        if shape.is_empty() {
            return Err(Error::node(kind, name, format!("shape {shape} has a dimension of 0")));
        }
        if crate::tensor::element_count(&[shape.channels(), shape.height(), shape.width()]).is_none() {
            return Err(Error::node(kind, name, "the result has more elements than memory can hold"));
        }
        let specs = op.meaning().params(&shapes);
        if specs.len() != params.len() {
            let message = format!("expects {} parameters, is given {}", specs.len(), params.len());
            return Err(Error::node(kind, name, message));
        }
        for (spec, param) in specs.iter().zip(&params) {
            if !same_but_for_ones(&spec.shape, param.shape()) {
                let message = format!("{} must be {:?}, {param} is {:?}", spec.role, spec.shape, param.shape());
                return Err(Error::node(kind, name, message));
            }
        }
        if !self.names.insert(name.to_string()) {
            return Err(Error::node(kind, name, "the name is taken by another node"));
        }
        let inputs = inputs.iter().map(|v| NodeId(v.index as usize)).collect();
        let index = u32::try_from(self.graph.nodes.len()).expect("fewer than 2^32 nodes fit in memory");
        self.graph.nodes.push(Node { name: name.into(), op, inputs, params, shape });
        Ok(Value { index, builder: self.id })
    }

    /// Adds a convolution.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn conv2d(&mut self, name: &str, x: Value, op: ops::Conv2d) -> Result<Value> {
        self.add(name, Op::Conv2d(op), &[x])
    }

    /// Adds a fully connected layer.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn linear(&mut self, name: &str, x: Value, op: ops::Linear) -> Result<Value> {
        self.add(name, Op::Linear(op), &[x])
    }

    /// Adds a batch norm.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn batch_norm(&mut self, name: &str, x: Value, op: ops::BatchNorm) -> Result<Value> {
        self.add(name, Op::BatchNorm(op), &[x])
    }

    /// Adds an activation.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn activation(&mut self, name: &str, x: Value, act: Act) -> Result<Value> {
        self.add(name, Op::Activation(act), &[x])
    }

    /// Adds a pool over windows.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn pool(&mut self, name: &str, x: Value, op: ops::Pool) -> Result<Value> {
        self.add(name, Op::Pool(op), &[x])
    }

    /// Adds the mean over whole planes: `[C,H,W] → [C]`.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn global_avg_pool(&mut self, name: &str, x: Value) -> Result<Value> {
        self.add(name, Op::GlobalPool(ops::GlobalPool { kind: ops::PoolKind::Avg }), &[x])
    }

    /// Adds the sum of two values.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn sum(&mut self, name: &str, a: Value, b: Value) -> Result<Value> {
        self.add(name, Op::Add(ops::Add::default()), &[a, b])
    }

    /// Adds channels one after the other.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn concat(&mut self, name: &str, parts: &[Value]) -> Result<Value> {
        self.add(name, Op::Concat(ops::Concat {}), parts)
    }

    /// Adds a whole SE stage: squeeze and excitation (node `name`, its value is the gate), then scale (`name.scale`).
    /// Parameters are `name.fc1.weight`, `name.fc1.bias`, `name.fc2.weight`, `name.fc2.bias`.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn squeeze_excite(&mut self, name: &str, x: Value, op: ops::SqueezeExcite) -> Result<Value> {
        let gate = self.add(name, Op::SqueezeExcite(op), &[x])?;
        self.scale(&format!("{name}.scale"), x, gate)
    }

    /// Adds the per-channel product of a map and its gate.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    pub fn scale(&mut self, name: &str, x: Value, gate: Value) -> Result<Value> {
        self.add(name, Op::Scale(ops::Scale::default()), &[x, gate])
    }

    /// Shape of a value, per image.
    ///
    /// # Panics
    /// The value is of another builder.
    pub fn shape(&self, value: Value) -> Shape {
        assert_eq!(value.builder, self.id, "the value belongs to another graph");
        self.graph.nodes[value.index as usize].shape
    }

    /// Ends building: names the outputs, the network's answer first.
    ///
    /// # Errors
    /// There is no output, two have one name, or a value leads nowhere.
    pub fn finish(self, outputs: &[(&str, Value)]) -> Result<Graph> {
        let Self { mut graph, id, .. } = self;
        let fail = |message: String| Err(Error::Graph { graph: graph.name.clone(), message });
        if outputs.is_empty() {
            return fail("has no output".into());
        }
        let mut names = HashSet::new();
        for &(name, value) in outputs {
            if value.builder != id {
                return fail(format!("output \"{name}\" belongs to another graph"));
            }
            if !names.insert(name) {
                return fail(format!("two outputs are named \"{name}\""));
            }
        }
        let named: Vec<_> = outputs.iter().map(|&(name, v)| (name.to_string(), NodeId(v.index as usize))).collect();
        let readers = graph.readers();
        let dangling = graph.ids().filter(|i| readers[i.0].is_empty() && named.iter().all(|(_, output)| output != i));
        let dangling: Vec<&str> = dangling.map(|i| graph.node(i).name.as_str()).collect();
        if !dangling.is_empty() {
            return fail(format!("nobody reads {dangling:?}, and they are no outputs"));
        }
        graph.outputs = named;
        Ok(graph)
    }

    fn checked_shapes(&self, name: &str, op: &Op, inputs: &[Value]) -> Result<Vec<Shape>> {
        if self.graph.nodes.is_empty() && !matches!(op, Op::Input(_)) {
            return Err(Error::node(op.kind(), name, "the graph has no input yet"));
        }
        let shapes: Vec<Shape> = inputs
            .iter()
            .map(|v| match v.builder == self.id {
                true => Ok(self.graph.nodes[v.index as usize].shape),
                false => Err(Error::node(op.kind(), name, "an input belongs to another graph")),
            })
            .collect::<Result<_>>()?;
        // Parameter shapes follow from input shapes, so the rule comes first.
        op.meaning().shape(&shapes).map_err(|message| Error::node(op.kind(), name, message))?;
        Ok(shapes)
    }
}

/// Whether two shapes are one but for trailing dimensions of 1.
pub(crate) fn same_but_for_ones(a: &[usize], b: &[usize]) -> bool {
    let trimmed = |shape: &[usize]| {
        let end = shape.iter().rposition(|&dim| dim != 1).map_or(0, |last| last + 1);
        shape[..end].to_vec()
    };
    trimmed(a) == trimmed(b)
}

/// Edits of a graph, for passes: what takes a node's place.
#[derive(Debug)]
pub struct Patch {
    /// The node whose value is now another's.
    pub(crate) target: NodeId,
    /// Nodes that only the target's old computation needed.
    pub(crate) absorbed: Vec<NodeId>,
    /// What computes the value now; the last one's value is the target's. Empty: `alias` is the value.
    pub(crate) nodes: Vec<PatchNode>,
    /// The older node that already has the value.
    pub(crate) alias: Option<NodeId>,
}

/// A node of a patch.
#[derive(Debug)]
pub(crate) struct PatchNode {
    pub name: String,
    pub op: Op,
    pub inputs: Vec<Source>,
    pub params: Vec<Param>,
}

/// What a patch's node reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// A node of the graph before the edit.
    Old(NodeId),
    /// An earlier node of the patch.
    New(usize),
}

impl Patch {
    /// `target`'s value is `alias`'s.
    pub(crate) fn alias(target: NodeId, alias: NodeId) -> Self {
        Self { target, absorbed: Vec::new(), nodes: Vec::new(), alias: Some(alias) }
    }

    /// One node, reading old ones, takes the place of `target` and of `absorbed`.
    pub(crate) fn node(graph: &Graph, target: NodeId, absorbed: &[NodeId], node: PatchNode) -> Self {
        debug_assert!(absorbed.iter().all(|&id| !graph.is_output(id)), "an output can't be absorbed");
        Self { target, absorbed: absorbed.to_vec(), nodes: vec![node], alias: None }
    }
}

impl Graph {
    /// Applies patches that touch different nodes. Shapes are checked again: a pass can't build a wrong graph.
    pub(crate) fn apply(&self, patches: &[Patch]) -> Result<Self> {
        let mut builder = GraphBuilder::new(self.name.clone());
        let mut values: Vec<Option<Value>> = vec![None; self.nodes.len()];
        let absorbed: HashSet<NodeId> = patches.iter().flat_map(|p| p.absorbed.iter().copied()).collect();
        let at = |values: &[Option<Value>], id: NodeId| {
            values[id.0].expect("passes absorb only nodes that nobody else reads")
        };
        for id in self.ids() {
            if absorbed.contains(&id) {
                continue;
            }
            let Some(patch) = patches.iter().find(|p| p.target == id) else {
                let node = self.node(id);
                let inputs: Vec<Value> = node.inputs.iter().map(|&i| at(&values, i)).collect();
                values[id.0] =
                    Some(builder.add_node(&node.name, node.op.clone(), &inputs, node.params.clone())?);
                continue;
            };
            let mut new = Vec::new();
            for node in &patch.nodes {
                let inputs: Vec<Value> = node
                    .inputs
                    .iter()
                    .map(|source| match *source {
                        Source::Old(id) => at(&values, id),
                        Source::New(index) => new[index],
                    })
                    .collect();
                new.push(builder.add_with(&node.name, node.op.clone(), &inputs, node.params.clone())?);
            }
            values[id.0] = new.last().copied().or_else(|| patch.alias.map(|alias| at(&values, alias)));
        }
        let outputs: Vec<(&str, Value)> =
            self.outputs.iter().map(|(name, id)| (name.as_str(), at(&values, *id))).collect();
        builder.finish(&outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Conv2d;

    #[test]
    fn a_wrong_graph_cannot_be_built() {
        let mut g = GraphBuilder::new("g");
        assert!(g.activation("early", Value { index: 0, builder: g.id }, Act::Relu).is_err());
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        assert!(g.input(Shape::map(3, 4, 4)).is_err());
        let y = g.conv2d("conv", x, Conv2d::new(8, 3)).unwrap();
        let taken = g.conv2d("conv", x, Conv2d::new(8, 3)).unwrap_err();
        assert_eq!(taken.to_string(), "conv2d \"conv\": the name is taken by another node");
        let mismatch = g.sum("sum", x, y).unwrap_err();
        assert_eq!(mismatch.to_string(), "add \"sum\": expects two inputs of one shape, has 3x4x4 and 8x2x2");
        let mut other = GraphBuilder::new("other");
        let foreign = other.input(Shape::map(3, 4, 4)).unwrap();
        assert!(g.activation("foreign", foreign, Act::Relu).is_err());
        let relu = g.activation("relu", x, Act::Relu).unwrap();
        let dangling = g.finish(&[("logits", relu)]).unwrap_err();
        assert_eq!(dangling.to_string(), "graph \"g\": nobody reads [\"conv\"], and they are no outputs");
    }

    #[test]
    fn parameters_must_have_the_ops_shape() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        let params = vec![Param::Fill { value: 0.0, shape: vec![8, 4, 3, 3] }];
        let error = g.add_with("conv", Op::Conv2d(Conv2d::new(8, 3).bias(false)), &[x], params).unwrap_err();
        assert_eq!(
            error.to_string(),
            "conv2d \"conv\": weight must be [8, 3, 3, 3], fill(0, [8, 4, 3, 3]) is [8, 4, 3, 3]"
        );
    }

    #[test]
    fn the_text_form_has_one_line_a_node() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(3, 4, 4)).unwrap();
        let y = g.conv2d("conv", x, Conv2d::new(8, 3).stride(2).padding(1)).unwrap();
        let graph = g.finish(&[("y", y)]).unwrap();
        assert_eq!(
            graph.to_string(),
            "graph g\n  input = input() -> 3x4x4\n  conv = conv2d(input) 3x3 stride 2 padding 1 bias -> 8x2x2\n  return y = conv\n"
        );
        assert_eq!(graph.macs(), 8 * 2 * 2 * 3 * 9);
        assert_eq!(graph.parameter_count(), 8 * 27 + 8);
    }
}
