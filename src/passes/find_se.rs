//! Squeeze-and-excitation stages in graphs that spell them out, as files of other programs do: `split_se` backwards.

use super::View;
use crate::error::Result;
use crate::graph::{Graph, GraphBuilder, NodeId, Value};
use crate::ops::{Act, Add, Arithmetic, Conv2d, Op, Padding, PoolKind, SqueezeExcite};
use crate::param::Param;
use crate::tensor::Shape;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A place that looks like an SE stage, and what [`Graph::find_se`] thinks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeCandidate {
    /// The node that multiplies a map by a gate, or the pool whose gate multiplies nothing.
    pub node: String,
    /// Whether it is one.
    pub verdict: SeVerdict,
}

/// Whether something is an SE stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeVerdict {
    /// It is.
    Found {
        /// Name of the [`SqueezeExcite`] node.
        stage: String,
    },
    /// It has one layer between squeeze and gate function ("effective SE"), and stays as it is.
    OneLayer,
    /// It isn't, for this reason, and stays as it is.
    Rejected(String),
}

impl fmt::Display for SeVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { stage } => write!(f, "is SE stage \"{stage}\""),
            Self::OneLayer => f.write_str("is no SE stage: one layer makes the gate, not two"),
            Self::Rejected(reason) => write!(f, "is no SE stage: {reason}"),
        }
    }
}

impl fmt::Display for SeCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" {}", self.node, self.verdict)
    }
}

/// A stage that is spelt out.
struct Stage {
    op: SqueezeExcite,
    params: Vec<Param>,
    /// What is squeezed and scaled.
    map: NodeId,
    /// The node whose value is the gate: the stage takes its place.
    gate: NodeId,
    /// The nodes from the scale's gate back to the squeeze.
    chain: Vec<NodeId>,
    /// The first layer, then the second.
    layers: [NodeId; 2],
}

/// A fully connected layer of a stage and the function after it.
struct Layer {
    node: NodeId,
    weight: Param,
    bias: Option<Param>,
    act: Option<Act>,
    /// The node whose value comes out.
    value: NodeId,
}

impl Graph {
    /// The same network, simplified, with every SE stage that is spelt out as one [`SqueezeExcite`] node; and a verdict on
    /// every [`crate::Scale`] and on what else looks like a stage, in order of execution.
    ///
    /// A stage is `x * gate(W2 · hidden(W1 · squeeze(x) + b1) + b2)`: a global mean or maximum, or half of each, of the
    /// very map that is scaled; two [`crate::Linear`] or 1x1 convolutions, with or without biases and batch norms; any
    /// hidden activation, or none; any gate function. Nobody else may read what is computed in between.
    ///
    /// ```
    /// use excite::{Act, GraphBuilder, Linear, Shape};
    ///
    /// let mut g = GraphBuilder::new("imported");
    /// let x = g.input(Shape::map(32, 8, 8))?;
    /// let z = g.global_avg_pool("se.pool", x)?;
    /// let z = g.linear("se.fc1", z, Linear::new(2))?;
    /// let z = g.activation("se.relu", z, Act::Relu)?;
    /// let z = g.linear("se.fc2", z, Linear::new(32))?;
    /// let gate = g.activation("se.sigmoid", z, Act::Sigmoid)?;
    /// let x = g.scale("se.mul", x, gate)?;
    /// let (graph, candidates) = g.finish(&[("features", x)])?.find_se()?;
    /// assert_eq!(graph.se_stages().next().unwrap().name, "se");
    /// assert_eq!(candidates[0].to_string(), "\"se.mul\" is SE stage \"se\"");
    /// # Ok::<(), excite::Error>(())
    /// ```
    ///
    /// # Errors
    /// None for graphs as builders make them; a defect would show here and not in a wrong answer.
    pub fn find_se(&self) -> Result<(Graph, Vec<SeCandidate>)> {
        let graph = self.simplify()?;
        let view = View::new(&graph);
        let mut stages = BTreeMap::new();
        let mut gates = BTreeMap::new();
        let mut candidates = Vec::new();
        for id in graph.ids() {
            let verdict = match judge(&view, id) {
                None => continue,
                Some(Err(verdict)) => verdict,
                Some(Ok(found)) => {
                    gates.insert(id, found.gate);
                    let (name, _) = stages.entry(found.gate).or_insert_with(|| (stage_name(&view, &found), found));
                    SeVerdict::Found { stage: name.clone() }
                }
            };
            candidates.push(SeCandidate { node: graph.node(id).name.clone(), verdict });
        }
        Ok((graph.with_stages(&stages, &gates)?, candidates))
    }

    /// The graph with stages in place of gates, each product a scale that reads its gate, less the nodes that nobody needs
    /// any more.
    fn with_stages(
        &self,
        stages: &BTreeMap<NodeId, (String, Stage)>,
        gates: &BTreeMap<NodeId, NodeId>,
    ) -> Result<Graph> {
        let inputs = |id: NodeId| match (stages.get(&id), gates.get(&id)) {
            (Some((_, stage)), _) => vec![stage.map],
            (None, Some(gate)) => [&[stages[gate].1.map, *gate], &self.node(id).inputs[2..]].concat(),
            (None, None) => self.node(id).inputs.clone(),
        };
        let mut needed: BTreeSet<NodeId> = self.outputs().iter().map(|(_, id)| *id).collect();
        for id in (0..self.nodes().len()).rev().map(NodeId) {
            if needed.contains(&id) {
                needed.extend(inputs(id));
            }
        }
        let mut builder = GraphBuilder::new(self.name());
        let mut values: BTreeMap<NodeId, Value> = BTreeMap::new();
        for id in needed {
            let node = self.node(id);
            let read: Vec<Value> = inputs(id).iter().map(|input| values[input]).collect();
            let value = match stages.get(&id) {
                Some((name, stage)) => {
                    builder.add_with(name, Op::SqueezeExcite(stage.op.clone()), &read, stage.params.clone())?
                }
                None if gates.contains_key(&id) && matches!(node.op, Op::Mul(_)) => {
                    builder.scale(&node.name, read[0], read[1])?
                }
                None => builder.add_with(&node.name, node.op.clone(), &read, node.params.clone())?,
            };
            values.insert(id, value);
        }
        let outputs: Vec<(&str, Value)> = self.outputs().iter().map(|(n, id)| (n.as_str(), values[id])).collect();
        builder.finish(&outputs)
    }
}

/// The stage that a node is the product of, or the verdict where there is none to make; nothing for other nodes.
fn judge(graph: &View, id: NodeId) -> Option<Result<Stage, SeVerdict>> {
    let node = graph.node(id);
    match node.op {
        Op::Scale(_) => Some(stage(graph, id, [node.inputs[0], node.inputs[1]])),
        // Where a map has one number per channel, either factor may be the gate.
        Op::Mul(_) if node.shape.plane() == 1 => {
            let (a, b) = (node.inputs[0], node.inputs[1]);
            stage(graph, id, [a, b]).or_else(|_| stage(graph, id, [b, a])).ok().map(Ok)
        }
        _ => look_alike(graph, id).map(|reason| Err(SeVerdict::Rejected(reason))),
    }
}

/// The stage that makes a product's gate of its map.
fn stage(graph: &View, product: NodeId, [map, gate]: [NodeId; 2]) -> Result<Stage, SeVerdict> {
    if let Op::SqueezeExcite(_) = graph.node(gate).op {
        check_map(graph, graph.node(gate).inputs[0], map)?;
        return Err(SeVerdict::Found { stage: graph.node(gate).name.clone() });
    }
    let mut walk = Walk { graph, at: gate, chain: Vec::new(), gate: None };
    let expand = walk.layer("the second layer")?;
    let Some(gate_function) = expand.act else {
        return Err(SeVerdict::Rejected(format!("no gate function follows {}", describe(graph, expand.node))));
    };
    if let Some(squeeze) = squeeze(graph, walk.at) {
        check_map(graph, squeeze.map, map)?;
        return Err(SeVerdict::OneLayer);
    }
    let reduce = walk.layer("the first layer")?;
    if walk.at == map {
        return Err(SeVerdict::Rejected(format!(
            "nothing squeezes \"{}\" on the way to its gate",
            graph.node(map).name
        )));
    }
    let Some(squeeze) = squeeze(graph, walk.at) else { return Err(walk.not("the squeeze").into()) };
    check_map(graph, squeeze.map, map)?;
    walk.chain.extend(&squeeze.nodes);
    squeeze.nodes.iter().try_for_each(|&id| walk.check_only_read_once(id))?;
    check_readers_take_a_vector(graph, product, expand.value)?;

    let reduced = graph.node(reduce.node).shape.channels();
    let op = SqueezeExcite {
        reduced,
        squeeze: squeeze.kind,
        hidden: reduce.act.unwrap_or_default(),
        gate: gate_function,
        bias: reduce.bias.is_some() || expand.bias.is_some(),
    };
    let layers = [reduce.node, expand.node];
    let (gate, bias) = (expand.value, op.bias);
    let params = [reduce, expand].into_iter().flat_map(|layer| {
        let zeros = Param::Fill { value: 0.0, shape: vec![graph.node(layer.node).shape.channels()] };
        [Some(layer.weight), bias.then_some(layer.bias.unwrap_or(zeros))]
    });
    Ok(Stage { op, params: params.flatten().collect(), map, gate, chain: walk.chain, layers })
}

/// Refuses a squeeze of anything but the map that is scaled.
fn check_map(graph: &View, squeezed: NodeId, scaled: NodeId) -> Result<(), SeVerdict> {
    if squeezed == scaled {
        return Ok(());
    }
    let [squeezed, scaled] = [squeezed, scaled].map(|id| &graph.node(id).name);
    Err(SeVerdict::Rejected(format!("the squeeze pools \"{squeezed}\", the gate scales \"{scaled}\"")))
}

/// Refuses a 1x1 map as gate where readers other than the product tell it from the vector that a stage makes.
fn check_readers_take_a_vector(graph: &View, product: NodeId, gate: NodeId) -> Result<(), String> {
    if matches!(graph.node(gate).shape, Shape::Vector { .. }) {
        return Ok(());
    }
    let takes = |&&reader: &&NodeId| {
        let node = graph.node(reader);
        let once = node.inputs.iter().filter(|&&input| input == gate).count() == 1;
        let scales = reader == product || (matches!(node.op, Op::Scale(_)) && node.inputs[1] == gate);
        matches!(node.op, Op::Reshape(_)) || (once && scales)
    };
    match graph.readers[gate.index()].iter().find(|reader| !takes(reader)) {
        Some(&reader) => Err(format!("gate \"{}\" is also read by {}", graph.node(gate).name, describe(graph, reader))),
        None if graph.is_output(gate) => Err(format!("gate \"{}\" is an output", graph.node(gate).name)),
        None => Ok(()),
    }
}

/// A walk from a gate back to what it was made of.
struct Walk<'a> {
    graph: &'a View<'a>,
    at: NodeId,
    /// The nodes walked over.
    chain: Vec<NodeId>,
    /// The gate, once it is reached: what is further back belongs to the stage alone.
    gate: Option<NodeId>,
}

/// A map's planes as a number each.
struct Squeeze {
    kind: PoolKind,
    map: NodeId,
    nodes: Vec<NodeId>,
}

impl Walk<'_> {
    /// Over a layer and the function after it, or says why that isn't one.
    fn layer(&mut self, what: &str) -> Result<Layer, String> {
        self.skip_reshapes()?;
        let value = self.at;
        self.gate.get_or_insert(value);
        let after = if let Op::Activation(act) = self.graph.node(self.at).op { Some(act) } else { None };
        if after.is_some() {
            self.step()?;
            self.skip_reshapes()?;
        }
        let node = self.graph.node(self.at);
        let own = match &node.op {
            Op::Linear(linear) => linear.act,
            Op::Conv2d(conv) => {
                self.check_fully_connected(conv)?;
                conv.act
            }
            _ => return Err(self.not(what)),
        };
        let act = match (after, own) {
            (None, Act::Identity) => None,
            (None, act) | (Some(act), Act::Identity) => Some(act),
            (Some(_), _) => return Err(format!("two functions follow {}", describe(self.graph, self.at))),
        };
        let (weight, bias) = (node.params[0].clone(), node.params.get(1).cloned());
        let layer = Layer { node: self.at, weight, bias, act, value };
        self.step()?;
        self.skip_reshapes()?;
        Ok(layer)
    }

    /// Refuses a convolution that is no fully connected layer.
    fn check_fully_connected(&self, conv: &Conv2d) -> Result<(), String> {
        let input = self.graph.node(self.graph.node(self.at).inputs[0]).shape;
        let message = if conv.groups != 1 {
            format!("has {} groups", conv.groups)
        } else if conv.gate || conv.residual {
            "has more than one input".into()
        } else if input.plane() != 1 || conv.kernel != [1, 1] || conv.padding != Padding::default() {
            format!("is a {}x{} over {input}, not a layer over channels", conv.kernel[0], conv.kernel[1])
        } else {
            return Ok(());
        };
        Err(format!("{} {message}", describe(self.graph, self.at)))
    }

    fn skip_reshapes(&mut self) -> Result<(), String> {
        while same_elements(self.graph, self.at) {
            self.step()?;
        }
        Ok(())
    }

    /// Over the node that the walk is at.
    fn step(&mut self) -> Result<(), String> {
        if self.gate.is_some_and(|gate| gate != self.at) {
            self.check_only_read_once(self.at)?;
        }
        self.chain.push(self.at);
        self.at = self.graph.node(self.at).inputs[0];
        Ok(())
    }

    fn check_only_read_once(&self, id: NodeId) -> Result<(), String> {
        let graph = self.graph;
        if graph.is_output(id) {
            return Err(format!("{} is an output", describe(graph, id)));
        }
        match graph.readers[id.index()].iter().find(|reader| !self.chain.contains(reader)) {
            Some(&reader) => Err(format!("{} is also read by {}", describe(graph, id), describe(graph, reader))),
            None => Ok(()),
        }
    }

    /// What to say of a node that is not `what`.
    fn not(&self, what: &str) -> String {
        let node = describe(self.graph, self.at);
        match self.graph.node(self.at).inputs.len() {
            0 => format!("the gate is made of {node}, not of the map"),
            1 if matches!(self.graph.node(self.at).op, Op::Reshape(_)) => {
                let [from, to] = [self.graph.node(self.at).inputs[0], self.at].map(|id| self.graph.node(id).shape);
                format!("{node} makes {to} of {from}, which is not one number per channel")
            }
            1 => format!("{node} stands where {what} is expected"),
            count => format!("the gate is made of {node}, which has {count} inputs"),
        }
    }
}

impl From<String> for SeVerdict {
    fn from(reason: String) -> Self {
        Self::Rejected(reason)
    }
}

/// The squeeze that a node is the end of: a pool over whole planes, or half of the mean and half of the maximum.
fn squeeze(graph: &View, id: NodeId) -> Option<Squeeze> {
    let (at, factor, mut nodes) = over_factors(graph, id);
    nodes.push(at);
    if let Some((kind, map)) = pool(graph, at) {
        return (factor == 1.0).then_some(Squeeze { kind, map, nodes });
    }
    if graph.node(at).op != Op::Add(Add::default()) {
        return None;
    }
    let mut halves = Vec::new();
    for &term in &graph.node(at).inputs {
        let (at, own_factor, more) = over_factors(graph, term);
        let (kind, map) = pool(graph, at).filter(|_| factor * own_factor == 0.5)?;
        nodes.extend(more);
        nodes.push(at);
        halves.push((kind, map));
    }
    match halves[..] {
        [(PoolKind::Avg, map), (PoolKind::Max, other)] | [(PoolKind::Max, other), (PoolKind::Avg, map)]
            if map == other =>
        {
            Some(Squeeze { kind: PoolKind::AvgMax, map, nodes })
        }
        _ => None,
    }
}

/// Over reshapes and factors: where they lead, the product of the factors, and the nodes between.
fn over_factors(graph: &View, mut at: NodeId) -> (NodeId, f32, Vec<NodeId>) {
    let (mut product, mut nodes) = (1.0, Vec::new());
    loop {
        match graph.node(at).op {
            Op::Activation(act @ Act::Clamp { scale, .. }) if act == Act::affine(scale, 0.0) => product *= scale,
            _ if same_elements(graph, at) => {}
            _ => return (at, product, nodes),
        }
        nodes.push(at);
        at = graph.node(at).inputs[0];
    }
}

/// The kind of a pool over whole planes, and what it pools.
fn pool(graph: &View, id: NodeId) -> Option<(PoolKind, NodeId)> {
    let node = graph.node(id);
    let map = *node.inputs.first()?;
    match &node.op {
        Op::GlobalPool(pool) => Some((pool.kind, map)),
        Op::Pool(pool) => {
            let shape = graph.node(map).shape;
            let whole = pool.kernel == [shape.height(), shape.width()] && pool.padding == Padding::default();
            whole.then_some((pool.kind, map))
        }
        _ => None,
    }
}

/// Whether a node only says that a vector is a 1x1 map, or the other way round.
fn same_elements(graph: &View, id: NodeId) -> bool {
    let node = graph.node(id);
    let reshapes = matches!(node.op, Op::Reshape(_));
    reshapes && node.shape.plane() == 1 && graph.node(node.inputs[0]).shape.plane() == 1
}

fn describe(graph: &View, id: NodeId) -> String {
    let node = graph.node(id);
    format!("{} \"{}\"", node.op.kind(), node.name)
}

/// The module that holds both layers and nothing but the stage, or the gate's own name.
fn stage_name(graph: &View, stage: &Stage) -> String {
    let [first, second] = stage.layers.map(|id| graph.node(id).name.as_str());
    let common = first.bytes().zip(second.bytes()).take_while(|(a, b)| a == b).count();
    let end = first.as_bytes()[..common].iter().rposition(|byte| b"./".contains(byte));
    let gate = &graph.node(stage.gate).name;
    let Some(module) = end.map(|end| &first[..end]).filter(|module| !module.is_empty()) else { return gate.clone() };
    let stands_in_the_way = |id: NodeId| match graph.node(id).name.strip_prefix(module) {
        // The gate and what is behind it make room, reshapes on the way to the scale may stay.
        Some("") => !stage.chain.iter().skip_while(|&&at| at != stage.gate).any(|&at| at == id),
        Some(rest) if rest.starts_with(['.', '/']) => {
            let reads_it = graph.node(id).inputs.iter().any(|input| stage.chain.contains(input));
            !reads_it && !stage.chain.contains(&id)
        }
        _ => false,
    };
    if graph.ids().any(stands_in_the_way) { gate.clone() } else { module.into() }
}

/// Why something that is no scale, but looks like an SE stage, is none.
fn look_alike(graph: &View, id: NodeId) -> Option<String> {
    let node = graph.node(id);
    match node.op {
        Op::Mul(_) | Op::Arithmetic(Arithmetic::Mul) => {
            let gate =
                node.inputs.iter().copied().map(|input| reshaped(graph, input)).find(|&id| is_gate(graph, id))?;
            let Shape::Map { channels, height, width } = graph.node(gate).shape else { return None };
            let message = format!(
                "gate \"{}\" is {channels}x{height}x{width}, not one number per channel",
                graph.node(gate).name
            );
            (height * width > 1).then_some(message)
        }
        Op::GlobalPool(_) => {
            let end = excitation_after(graph, id)?;
            (!multiplies_anything(graph, end)).then(|| format!("no map is multiplied by {}", describe(graph, end)))
        }
        _ => None,
    }
}

/// What a value is a reshape of, or itself.
fn reshaped(graph: &View, id: NodeId) -> NodeId {
    let node = graph.node(id);
    if let Op::Reshape(_) = node.op { reshaped(graph, node.inputs[0]) } else { id }
}

/// Whether a value comes from a function that gates are made with.
fn is_gate(graph: &View, id: NodeId) -> bool {
    let op = &graph.node(id).op;
    let act = if let Op::Activation(act) = op { Some(*act) } else { op.act() };
    match act {
        Some(Act::Sigmoid | Act::HardSigmoid | Act::Tanh) => true,
        Some(Act::Clamp { min, max, .. }) => min > f32::MIN && max < f32::MAX,
        _ => false,
    }
}

/// The end of two layers or more after a pool, with functions or not, where nobody else reads what is in between.
fn excitation_after(graph: &View, pool: NodeId) -> Option<NodeId> {
    let (mut at, mut layers) = (pool, 0);
    while let [reader] = graph.readers[at.index()][..] {
        match graph.node(reader).op {
            Op::Linear(_) | Op::Conv2d(_) => layers += 1,
            Op::Activation(_) => {}
            _ if same_elements(graph, reader) => {}
            _ => break,
        }
        at = reader;
    }
    (layers >= 2).then_some(at)
}

/// Whether anything is multiplied by what becomes of a value, as long as that is one number per channel.
fn multiplies_anything(graph: &View, id: NodeId) -> bool {
    let mut made = BTreeSet::from([id]);
    for id in graph.ids().skip(id.index() + 1) {
        let node = graph.node(id);
        if !node.inputs.iter().any(|input| made.contains(input)) {
            continue;
        }
        match node.op {
            Op::Mul(_) | Op::Arithmetic(Arithmetic::Mul) => return true,
            Op::Scale(_) if made.contains(&node.inputs[1]) => return true,
            _ => {}
        }
        if node.shape.plane() == 1 {
            made.insert(id);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{BatchNorm, Constant, GlobalPool, Linear, Mul, Pool, Reshape};
    use crate::passes::assert_same_meaning;
    use std::fmt::Write;

    type Made = Result<Value>;

    /// What `find_se` says of the graph that `build` makes of a map of 8 channels, and the graph that it makes.
    fn found(build: impl FnOnce(&mut GraphBuilder, Value) -> Made) -> String {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(8, 4, 3)).unwrap();
        let y = build(&mut g, x).unwrap();
        let graph = g.finish(&[("y", y)]).unwrap();
        text(&graph)
    }

    fn text(graph: &Graph) -> String {
        let (after, candidates) = graph.find_se().unwrap();
        assert_same_meaning(graph, &after);
        let mut text = String::new();
        candidates.iter().for_each(|candidate| writeln!(text, "{candidate}").unwrap());
        format!("{text}{after}")
    }

    /// The only verdict on the graph that `build` makes, which stays as it is.
    fn rejected(build: impl FnOnce(&mut GraphBuilder, Value) -> Made) -> String {
        let text = found(build);
        assert!(!text.contains("squeeze_excite("), "{text}");
        let (verdict, _) = text.split_once("\ngraph g").expect("there is a verdict");
        verdict.into()
    }

    fn pool(g: &mut GraphBuilder, name: &str, x: Value, kind: PoolKind) -> Made {
        g.add(name, Op::GlobalPool(GlobalPool { kind }), &[x])
    }

    /// The usual way from a squeeze to a gate.
    fn excite(g: &mut GraphBuilder, module: &str, z: Value, [hidden, gate]: [Act; 2]) -> Made {
        let z = g.linear(&format!("{module}.fc1"), z, Linear::new(3))?;
        let z = g.activation(&format!("{module}.relu"), z, hidden)?;
        let z = g.linear(&format!("{module}.fc2"), z, Linear::new(8))?;
        g.activation(&format!("{module}.sigmoid"), z, gate)
    }

    const USUAL: [Act; 2] = [Act::Relu, Act::Sigmoid];

    #[test]
    fn linear_layers() {
        let text = found(|g, x| {
            let z = g.global_avg_pool("layer1.0.se.avg_pool", x)?;
            let gate = excite(g, "layer1.0.se", z, [Act::Silu, Act::HardSigmoid])?;
            let x = g.scale("layer1.0.se.mul", x, gate)?;
            // Neither layer has a bias, and the map has more readers.
            let z = pool(g, "layer1.1.se.max_pool", x, PoolKind::Max)?;
            let z = g.linear("layer1.1.se.fc1", z, Linear { bias: false, ..Linear::new(2) })?;
            let z = g.linear("layer1.1.se.fc2", z, Linear { bias: false, ..Linear::new(8) })?;
            let gate = g.activation("layer1.1.se.gate", z, Act::Tanh)?;
            let y = g.scale("layer1.1.se.mul", x, gate)?;
            g.sum("layer1.1.add", x, y)
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn convolutions_on_a_pooled_map() {
        let text = found(|g, x| {
            let x = g.activation("act", x, Act::Silu)?;
            let z = g.add("pool", Op::Pool(Pool { kernel: [4, 3], ..Pool::avg(1) }), &[x])?;
            let z = g.conv2d("se/reduce", z, Conv2d::new(3, 1))?;
            let z = g.activation("hidden", z, Act::LeakyRelu(0.1))?;
            let z = g.flatten("flatten", z)?;
            let z = g.linear("se/expand", z, Linear { act: Act::Sigmoid, ..Linear::new(8) })?;
            g.scale("scale", x, z)
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_gate_as_a_map() {
        let text = found(|g, x| {
            let z = g.add("pool", Op::Pool(Pool { kernel: [4, 3], ..Pool::avg(1) }), &[x])?;
            let z = g.conv2d("conv1", z, Conv2d::new(3, 1))?;
            let z = g.conv2d("conv2", z, Conv2d::new(8, 1))?;
            let gate = g.activation("sigmoid", z, Act::Sigmoid)?;
            let vector = g.flatten("flatten", gate)?;
            let a = g.scale("scale1", x, gate)?;
            let b = g.scale("scale2", x, vector)?;
            g.sum("sum", a, b)
        });
        insta::assert_snapshot!(text);
        let also_read = rejected(|g, x| {
            let z = g.add("pool", Op::Pool(Pool { kernel: [4, 3], ..Pool::avg(1) }), &[x])?;
            let z = g.conv2d("conv1", z, Conv2d::new(3, 1))?;
            let z = g.conv2d("conv2", z, Conv2d::new(8, 1))?;
            let gate = g.activation("sigmoid", z, Act::Sigmoid)?;
            let y = g.scale("scale", x, gate)?;
            g.scale("twice", gate, gate).and_then(|twice| g.scale("again", y, twice))
        });
        insta::assert_snapshot!(also_read);
    }

    /// `left * mean + right * max`, then times `last`.
    fn mean_and_max(g: &mut GraphBuilder, [a, b]: [Value; 2], [left, right, last]: [f32; 3]) -> Made {
        let mean = g.global_avg_pool("mean", a)?;
        let mean = g.activation("mean.factor", mean, Act::affine(left, 0.0))?;
        let max = pool(g, "max", b, PoolKind::Max)?;
        let max = g.activation("max.factor", max, Act::affine(right, 0.0))?;
        let sum = g.sum("sum", max, mean)?;
        g.activation("squeeze", sum, Act::affine(last, 0.0))
    }

    #[test]
    fn half_of_the_mean_and_half_of_the_maximum() {
        for factors in [[0.5, 0.5, 1.0], [1.0, 1.0, 0.5], [0.25, 0.25, 2.0]] {
            let text = found(|g, x| {
                let z = mean_and_max(g, [x, x], factors)?;
                let gate = excite(g, "se", z, USUAL)?;
                g.scale("scale", x, gate)
            });
            insta::allow_duplicates! { insta::assert_snapshot!("half_of_each", text) };
        }
        for factors in [[0.5, 0.25, 1.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]] {
            let verdict = rejected_gate(|g, x| {
                let z = mean_and_max(g, [x, x], factors)?;
                excite(g, "se", z, USUAL)
            });
            assert!(
                verdict.ends_with(", which has 2 inputs") || verdict.ends_with("the squeeze is expected"),
                "{verdict}"
            );
        }
        let two_maps = rejected_gate(|g, x| {
            let other = g.activation("other", x, Act::Tanh)?;
            let z = mean_and_max(g, [x, other], [0.5, 0.5, 1.0])?;
            excite(g, "se", z, USUAL)
        });
        assert_eq!(two_maps, "\"scale\" is no SE stage: the gate is made of add \"sum\", which has 2 inputs");
        let half_a_mean = rejected_gate(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.activation("half", z, Act::affine(0.5, 0.0))?;
            excite(g, "se", z, USUAL)
        });
        assert_eq!(half_a_mean, "\"scale\" is no SE stage: activation \"half\" stands where the squeeze is expected");
        let read_twice = rejected(|g, x| {
            let z = mean_and_max(g, [x, x], [0.5, 0.5, 1.0])?;
            let gate = excite(g, "se", z, USUAL)?;
            let x = g.scale("scale", x, gate)?;
            g.scale("again", x, z)
        });
        assert!(
            read_twice.starts_with("\"scale\" is no SE stage: add \"sum\" is also read by scale \"again\""),
            "{read_twice}"
        );
    }

    #[test]
    fn reshapes_on_the_way() {
        let text = found(|g, x| {
            let reshape = |shape| Op::Reshape(Reshape { shape });
            let z = g.global_avg_pool("pool", x)?;
            let z = g.add("to_map", reshape(Shape::map(8, 1, 1)), &[z])?;
            let z = g.conv2d("se.fc1", z, Conv2d::new(3, 1))?;
            let z = g.add("to_tensor", reshape(Shape::tensor(&[3, 1, 1])), &[z])?;
            let sigmoid = g.activation("sigmoid", z, Act::Sigmoid)?;
            let z = g.add("swish", Op::Arithmetic(Arithmetic::Mul), &[z, sigmoid])?;
            let z = g.flatten("to_vector", z)?;
            let z = g.linear("se.fc2", z, Linear::new(8))?;
            let z = g.add("back_to_tensor", reshape(Shape::tensor(&[8, 1])), &[z])?;
            let z = g.activation("gate", z, Act::Sigmoid)?;
            let gate = g.add("back_to_map", reshape(Shape::map(8, 1, 1)), &[z])?;
            g.scale("scale", x, gate)
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_product_of_1x1_maps() {
        let text = found(|g, x| {
            let x = g.conv2d("conv", x, Conv2d { kernel: [4, 3], ..Conv2d::new(8, 1) })?;
            let z = g.global_avg_pool("pool", x)?;
            let gate = excite(g, "se", z, USUAL)?;
            let gate = g.add("to_map", Op::Reshape(Reshape { shape: Shape::map(8, 1, 1) }), &[gate])?;
            let y = g.add("product", Op::Mul(Mul {}), &[gate, x])?;
            // No stage, and nothing unusual.
            let z = g.activation("tanh", y, Act::Tanh)?;
            g.add("other", Op::Mul(Mul {}), &[y, z])
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_bias_of_its_own() {
        let text = found(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.linear("se.fc1", z, Linear { bias: false, ..Linear::new(2) })?;
            let z = g.batch_norm("se.bn", z, BatchNorm::default())?;
            let z = g.activation("se.relu", z, Act::Relu6)?;
            let z = g.linear("se.fc2", z, Linear { bias: false, ..Linear::new(8) })?;
            let gate = g.activation("se", z, Act::Sigmoid)?;
            g.scale("se.scale", x, gate)
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn stages_that_are_there_already() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(8, 4, 3)).unwrap();
        let y = g.squeeze_excite("se", x, SqueezeExcite::new(2)).unwrap();
        let graph = g.finish(&[("y", y)]).unwrap();
        let (after, candidates) = graph.find_se().unwrap();
        assert_eq!(after, graph);
        assert_eq!(candidates[0].to_string(), "\"se.scale\" is SE stage \"se\"");
    }

    #[test]
    fn modules_that_hold_more_do_not_name_the_stage() {
        let text = found(|g, x| {
            let x = g.conv2d("features.0", x, Conv2d::new(8, 1))?;
            let z = g.global_avg_pool("features.1", x)?;
            let z = g.linear("features.2", z, Linear::new(8))?;
            let z = g.linear("features.3", z, Linear::new(8))?;
            let gate = g.activation("features.4", z, Act::Sigmoid)?;
            g.scale("features.5", x, gate)
        });
        assert!(text.starts_with("\"features.5\" is SE stage \"features.4\"\n"), "{text}");
    }

    #[test]
    fn a_scale_or_reshape_with_the_modules_name_keeps_it() {
        let text = found(|g, x| {
            let z = g.global_avg_pool("se.pool", x)?;
            let gate = excite(g, "se", z, USUAL)?;
            let y = g.scale("se", x, gate)?;
            let z = g.global_avg_pool("other.pool", y)?;
            let gate = excite(g, "other", z, USUAL)?;
            let gate = g.add("other", Op::Reshape(Reshape { shape: Shape::map(8, 1, 1) }), &[gate])?;
            let z = g.scale("other.scale", y, gate)?;
            // Not the map that was squeezed.
            g.scale("more", z, gate)
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn one_layer() {
        let text = found(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.linear("fc", z, Linear::new(8))?;
            let gate = g.activation("hard_sigmoid", z, Act::HardSigmoid)?;
            g.scale("scale", x, gate)
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn outputs_on_the_way() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(8, 4, 3)).unwrap();
        let z = g.global_avg_pool("pool", x).unwrap();
        let gate = excite(&mut g, "se", z, USUAL).unwrap();
        let y = g.scale("scale", x, gate).unwrap();
        let of_gate = g.finish(&[("y", y), ("gate", gate)]).unwrap();
        insta::assert_snapshot!(text(&of_gate));
        let pooled = of_gate.clone().with_every_output();
        assert!(text(&pooled).starts_with("\"scale\" is no SE stage: linear \"se.fc2\" is an output\n"));
    }

    /// Verdicts on a map of 8 channels scaled by what `gate` makes of it.
    fn rejected_gate(gate: impl FnOnce(&mut GraphBuilder, Value) -> Made) -> String {
        rejected(|g, x| {
            let gate = gate(g, x)?;
            g.scale("scale", x, gate)
        })
    }

    /// The mean of a map, as a 1x1 map.
    fn mean_map(g: &mut GraphBuilder, x: Value) -> Made {
        g.add("mean", Op::Pool(Pool { kernel: [4, 3], ..Pool::avg(1) }), &[x])
    }

    #[test]
    fn gates_that_are_made_otherwise() {
        let no_gate_function = rejected_gate(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            excite(g, "se", z, [Act::Relu, Act::Identity])
        });
        let no_layer = rejected_gate(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            g.activation("sigmoid", z, Act::Sigmoid)
        });
        let three_layers = rejected_gate(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.linear("fc0", z, Linear::new(5))?;
            excite(g, "se", z, USUAL)
        });
        let no_squeeze = rejected(|g, x| {
            let x = g.global_avg_pool("pool", x)?;
            let gate = excite(g, "se", x, USUAL)?;
            g.scale("scale", x, gate)
        });
        // The channel attention of CBAM: both squeezes through one MLP, then a sum.
        let cbam = rejected_gate(|g, x| {
            let a = g.global_avg_pool("avg_pool", x)?;
            let a = excite(g, "mlp_avg", a, [Act::Relu, Act::Identity])?;
            let m = pool(g, "max_pool", x, PoolKind::Max)?;
            let m = excite(g, "mlp_max", m, [Act::Relu, Act::Identity])?;
            let sum = g.sum("sum", a, m)?;
            g.activation("sigmoid", sum, Act::Sigmoid)
        });
        let groups = rejected_gate(|g, x| {
            let z = mean_map(g, x)?;
            let z = g.conv2d("se.conv1", z, Conv2d::new(4, 1))?;
            let z = g.activation("relu", z, Act::Relu)?;
            let z = g.conv2d("se.conv2", z, Conv2d::new(8, 1).groups(4))?;
            g.activation("sigmoid", z, Act::Sigmoid)
        });
        // Efficient channel attention: a convolution along the channels.
        let eca = rejected_gate(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.add("row", Op::Reshape(Reshape { shape: Shape::map(1, 1, 8) }), &[z])?;
            let padding = Padding { left: 1, right: 1, ..Padding::default() };
            let z = g.conv2d("conv", z, Conv2d { kernel: [1, 3], padding, ..Conv2d::new(1, 1) })?;
            let z = g.activation("sigmoid", z, Act::Sigmoid)?;
            g.flatten("gate", z)
        });
        let layer_scale = rejected_gate(|g, _| g.add("gamma", Op::Constant(Constant { shape: Shape::vector(8) }), &[]));
        let two_functions = rejected_gate(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.linear("fc1", z, Linear::new(3))?;
            let z = g.linear("fc2", z, Linear { act: Act::Silu, ..Linear::new(8) })?;
            g.activation("sigmoid", z, Act::Sigmoid)
        });
        let norm_of_the_squeeze = rejected_gate(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.batch_norm("bn", z, BatchNorm::default())?;
            excite(g, "se", z, USUAL)
        });
        let verdicts = [
            no_gate_function,
            no_layer,
            three_layers,
            no_squeeze,
            cbam,
            groups,
            eca,
            layer_scale,
            two_functions,
            norm_of_the_squeeze,
        ];
        insta::assert_snapshot!(verdicts.join("\n"));
    }

    #[test]
    fn squeezes_of_something_else() {
        let of_the_input = rejected(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let gate = excite(g, "se", z, USUAL)?;
            let y = g.conv2d("conv", x, Conv2d::new(8, 1))?;
            g.scale("scale", y, gate)
        });
        let one_layer_of_the_input = rejected(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let z = g.linear("fc", z, Linear::new(8))?;
            let gate = g.activation("sigmoid", z, Act::Sigmoid)?;
            let y = g.conv2d("conv", x, Conv2d::new(8, 1))?;
            g.scale("scale", y, gate)
        });
        // Each branch is scaled by what the other says.
        let crossed = rejected(|g, x| {
            let a = g.conv2d("conv_a", x, Conv2d::new(8, 1))?;
            let b = g.conv2d("conv_b", x, Conv2d::new(8, 1))?;
            let z = g.global_avg_pool("pool_a", a)?;
            let gate_a = excite(g, "se_a", z, USUAL)?;
            let z = g.global_avg_pool("pool_b", b)?;
            let gate_b = excite(g, "se_b", z, USUAL)?;
            let a = g.scale("scale_a", a, gate_b)?;
            let b = g.scale("scale_b", b, gate_a)?;
            g.sum("sum", a, b)
        });
        let of_a_part = rejected_gate(|g, x| {
            let z = g.add("part", Op::Pool(Pool { kernel: [3, 3], ..Pool::avg(1) }), &[x])?;
            let z = g.add("second", Op::Pool(Pool { kernel: [2, 1], ..Pool::max(1) }), &[z])?;
            let z = g.conv2d("fc1", z, Conv2d::new(8, 1))?;
            let z = g.conv2d("fc2", z, Conv2d::new(8, 1))?;
            g.activation("sigmoid", z, Act::Sigmoid)
        });
        let by_a_convolution = rejected_gate(|g, x| {
            let z = g.conv2d("whole", x, Conv2d { kernel: [4, 3], ..Conv2d::new(4, 1) })?;
            let z = g.conv2d("fc2", z, Conv2d::new(8, 1))?;
            g.activation("sigmoid", z, Act::Sigmoid)
        });
        let verdicts = [of_the_input, one_layer_of_the_input, crossed, of_a_part, by_a_convolution];
        insta::assert_snapshot!(verdicts.join("\n"));
    }

    #[test]
    fn other_readers() {
        let pool_read_twice = rejected(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let gate = excite(g, "se", z, USUAL)?;
            let x = g.scale("scale", x, gate)?;
            g.scale("by_the_mean", x, z)
        });
        let hidden_read_twice = rejected(|g, x| {
            let z = g.global_avg_pool("pool", x)?;
            let hidden = g.linear("fc1", z, Linear { act: Act::Relu, ..Linear::new(8) })?;
            let z = g.linear("fc2", hidden, Linear::new(8))?;
            let gate = g.activation("sigmoid", z, Act::Sigmoid)?;
            let x = g.scale("scale", x, gate)?;
            g.scale("by_hidden", x, hidden)
        });
        insta::assert_snapshot!([pool_read_twice, hidden_read_twice].join("\n"));
    }

    #[test]
    fn what_is_no_scale() {
        // The paper's control without a squeeze, and the head of MobileNetV3.
        let verdicts = rejected(|g, x| {
            let y = g.conv2d("spatial", x, Conv2d::new(8, 1))?;
            let y = g.activation("sigmoid", y, Act::Sigmoid)?;
            let x = g.add("product", Op::Mul(Mul {}), &[x, y])?;
            let x = g.global_avg_pool("head.pool", x)?;
            let x = g.linear("head.fc1", x, Linear::new(5))?;
            let x = g.activation("head.act", x, Act::HardSwish)?;
            g.linear("head.fc2", x, Linear::new(3))
        });
        insta::assert_snapshot!(verdicts);
        // Spatial attention, repeated over the channels.
        let verdict = rejected(|g, x| {
            let y = g.conv2d("spatial", x, Conv2d::new(1, 1))?;
            let y = g.activation("sigmoid", y, Act::Sigmoid)?;
            let [x, y] = [(x, 8, "x"), (y, 1, "y")].map(|(value, channels, name)| {
                g.add(name, Op::Reshape(Reshape { shape: Shape::tensor(&[channels, 4, 3]) }), &[value])
            });
            g.add("product", Op::Arithmetic(Arithmetic::Mul), &[x?, y?])
        });
        assert_eq!(verdict, "\"product\" is no SE stage: gate \"sigmoid\" is 1x4x3, not one number per channel");
        // SiLU is no gate, and a classifier of one layer is nothing unusual.
        let nothing = found(|g, x| {
            let y = g.activation("sigmoid", x, Act::Sigmoid)?;
            let x = g.add("silu", Op::Mul(Mul {}), &[x, y])?;
            let x = g.global_avg_pool("pool", x)?;
            g.linear("fc", x, Linear::new(3))
        });
        assert!(nothing.starts_with("graph g\n"), "{nothing}");
    }
}
