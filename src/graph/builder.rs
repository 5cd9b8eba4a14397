//! Builds graphs node by node, and refuses wrong ones.

use super::{Graph, Node, NodeId};
use crate::error::{Error, Result};
use crate::ops::{self, Act, Op};
use crate::param::Param;
use crate::tensor::Shape;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

/// A value while a graph is being built. Only the builder that gave it takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    index: u32,
    builder: u32,
}

/// Builds a [`Graph`] node by node.
///
/// ```
/// use excite::ops::{Act, Conv2d, Linear, SqueezeExcite};
/// use excite::{GraphBuilder, Shape};
///
/// let mut g = GraphBuilder::new("tiny");
/// let x = g.input(Shape::map(3, 32, 32))?;
/// let x = g.conv2d("conv1", x, Conv2d::new(16, 3).padding(1))?;
/// let x = g.activation("relu", x, Act::Relu)?;
/// let x = g.squeeze_excite("se", x, SqueezeExcite::new(4))?;
/// let x = g.global_avg_pool("pool", x)?;
/// let x = g.linear("fc", x, Linear::new(10))?;
/// let graph = g.finish(&[("logits", x)])?;
/// assert_eq!(graph.se_blocks().count(), 1);
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
        let specs = op.definition().params(&self.checked_shapes(name, &op, inputs)?);
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
        let specs = op.definition().params(&self.checked_shapes(name, &op, inputs)?);
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

    pub(super) fn add_node(&mut self, name: &str, op: Op, inputs: &[Value], params: Vec<Param>) -> Result<Value> {
        let kind = op.kind();
        let shapes = self.checked_shapes(name, &op, inputs)?;
        let shape = op.definition().shape(&shapes).map_err(|message| Error::node(kind, name, message))?;
        match crate::tensor::element_count(&shape.dims()) {
            None => return Err(Error::node(kind, name, "the result has more elements than memory can hold")),
            Some(0) => return Err(Error::node(kind, name, format!("shape {shape} has a dimension of 0"))),
            Some(_) => {}
        }
        check_params(&op, &shapes, &params).map_err(|message| Error::node(kind, name, message))?;
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
        self.add(name, Op::Concat(ops::Concat::default()), parts)
    }

    /// Adds a map or tensor as a vector.
    ///
    /// # Errors
    /// As [`GraphBuilder::add`].
    ///
    /// # Panics
    /// The value is of another builder.
    pub fn flatten(&mut self, name: &str, x: Value) -> Result<Value> {
        self.add(name, Op::Reshape(ops::Reshape::flatten(self.shape(x))), &[x])
    }

    /// Adds a whole SE block: squeeze and excitation (node `name`, its value is the gate), then scale (`name.scale`).
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
        let consumers = graph.consumers();
        let dangling = graph.ids().filter(|i| consumers[i.0].is_empty() && named.iter().all(|(_, output)| output != i));
        let dangling: Vec<&str> = dangling.map(|i| graph.node(i).name.as_str()).collect();
        if !dangling.is_empty() {
            return fail(format!("nothing reads {dangling:?}, and they are no outputs"));
        }
        graph.outputs = named;
        Ok(graph)
    }

    /// As [`GraphBuilder::finish`], without the nodes that no output needs.
    pub(crate) fn finish_reachable(mut self, outputs: &[(&str, Value)]) -> Result<Graph> {
        let nodes = std::mem::take(&mut self.graph.nodes);
        let mut needed = vec![false; nodes.len()];
        outputs.iter().for_each(|(_, value)| needed[value.index as usize] = true);
        for (i, node) in nodes
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, node)| matches!(node.op, Op::Input(_)) || !node.inputs.is_empty())
        {
            if needed[i] {
                node.inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        if !needed[0] {
            let message = "no output depends on the input".into();
            return Err(Error::Graph { graph: self.graph.name, message });
        }
        let mut place = vec![0; nodes.len()];
        for (i, mut node) in nodes.into_iter().enumerate().filter(|(i, _)| needed[*i]) {
            node.inputs.iter_mut().for_each(|input| input.0 = place[input.0]);
            place[i] = self.graph.nodes.len();
            self.graph.nodes.push(node);
        }
        let moved = |value: &Value| Value { index: place[value.index as usize] as u32, ..*value };
        let outputs: Vec<(&str, Value)> = outputs.iter().map(|(name, value)| (*name, moved(value))).collect();
        self.finish(&outputs)
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
        let rule = op.definition().shape(&shapes).map(drop);
        let checked = op.acts().into_iter().try_for_each(Act::check).and(rule);
        checked.map_err(|message| Error::node(op.kind(), name, message))?;
        Ok(shapes)
    }
}

/// Refuses parameters that an op doesn't take with inputs of these shapes, and says why.
pub(crate) fn check_params(op: &Op, inputs: &[Shape], params: &[Param]) -> std::result::Result<(), String> {
    let specs = op.definition().params(inputs);
    if specs.len() != params.len() {
        return Err(format!("expects {} parameters, is given {}", specs.len(), params.len()));
    }
    match specs.iter().zip(params).find(|(spec, param)| !same_but_for_ones(&spec.shape, param.shape())) {
        None => Ok(()),
        Some((spec, param)) => Err(format!("{} must be {:?}, {param} is {:?}", spec.role, spec.shape, param.shape())),
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
        let infinite = g.conv2d("infinite", x, Conv2d { act: Act::LeakyRelu(f32::INFINITY), ..Conv2d::new(8, 3) });
        let message = "conv2d \"infinite\": the numbers of an activation must be finite, it is leaky_relu(inf)";
        assert_eq!(infinite.unwrap_err().to_string(), message);
        let nan = g.squeeze_excite("nan", x, crate::ops::SqueezeExcite::new(1).gate(Act::affine(1.0, f32::NAN)));
        assert!(nan.is_err());
        let relu = g.activation("relu", x, Act::Relu).unwrap();
        let dangling = g.finish(&[("logits", relu)]).unwrap_err();
        assert_eq!(dangling.to_string(), "graph \"g\": nothing reads [\"conv\"], and they are no outputs");
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
    fn the_text_variant_has_one_line_a_node() {
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
