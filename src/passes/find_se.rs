//! Squeeze-and-excitation SE blocks in graphs that spell them out, as files of other programs do: `split_se` backwards.

use super::View;
use crate::error::Result;
use crate::escape::escaped;
use crate::graph::{Graph, GraphBuilder, NodeId, Value};
use crate::ops::{Act, Add, Arithmetic, Conv2d, Op, Padding, PoolKind, Reshape, SqueezeExcite};
use crate::param::Param;
use crate::tensor::Shape;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A place that looks like an SE block, and what [`Graph::find_se`] thinks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeCandidate {
    /// The node that multiplies a map by a gate, or the pool whose gate multiplies nothing.
    pub node: String,
    /// Whether it is one.
    pub verdict: SeVerdict,
}

/// Whether something is an SE block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeVerdict {
    /// It is.
    Found {
        /// Name of the [`SqueezeExcite`] node.
        se_block: String,
    },
    /// It has one layer between squeeze and gate function ("effective SE"), and stays as it is.
    OneLayer,
    /// It isn't, for this reason, and stays as it is.
    Rejected(String),
}

impl fmt::Display for SeVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { se_block } => write!(f, "is SE block \"{}\"", escaped(se_block)),
            Self::OneLayer => f.write_str("is no SE block: one layer makes the gate, not two"),
            Self::Rejected(reason) => write!(f, "is no SE block: {}", escaped(reason)),
        }
    }
}

impl fmt::Display for SeCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" {}", escaped(&self.node), self.verdict)
    }
}

/// An SE block that is decomposed.
struct SeBlock {
    op: SqueezeExcite,
    params: Vec<Param>,
    /// What is squeezed and scaled.
    map: NodeId,
    /// The node whose value is the gate: the SE block takes its place.
    gate: NodeId,
    /// The nodes from the scale's gate back to the squeeze.
    chain: Vec<NodeId>,
    /// The first layer, then the second.
    layers: [NodeId; 2],
}

/// A fully connected layer of an SE block and the function after it.
struct Layer {
    node: NodeId,
    weight: Param,
    bias: Option<Param>,
    act: Option<Act>,
    /// The node whose value comes out.
    value: NodeId,
}

impl Graph {
    /// The same network, simplified, with every SE block that is decomposed as one [`SqueezeExcite`] node; and a
    /// verdict on every [`crate::ops::Scale`] and on what else looks like an SE block, in order of execution.
    ///
    /// An SE block is `x * gate(W2 · hidden(W1 · squeeze(x) + b1) + b2)`: a global mean or maximum, or half of each, of
    /// the very map that is scaled; two [`crate::ops::Linear`] or 1x1 convolutions, with or without biases and batch
    /// norms; any hidden activation, or none; any gate function. Nothing else may read what is computed in between.
    ///
    /// ```
    /// use excite::ops::{Act, Linear};
    /// use excite::{GraphBuilder, Shape};
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
    /// assert_eq!(graph.se_blocks().next().unwrap().name, "se");
    /// assert_eq!(candidates[0].to_string(), "\"se.mul\" is SE block \"se\"");
    /// # Ok::<(), excite::Error>(())
    /// ```
    ///
    /// # Errors
    /// None for graphs as builders make them; a defect would show here and not in a wrong answer.
    pub fn find_se(&self) -> Result<(Graph, Vec<SeCandidate>)> {
        let graph = self.simplify()?;
        let view = View::new(&graph);
        let mut se_blocks = BTreeMap::new();
        let mut gates = BTreeMap::new();
        let mut candidates = Vec::new();
        for id in graph.ids() {
            let verdict = match judge(&view, id) {
                None => continue,
                Some(Err(verdict)) => verdict,
                Some(Ok(found)) => {
                    gates.insert(id, found.gate);
                    let (name, _) = se_blocks.entry(found.gate).or_insert_with(|| (block_name(&view, &found), found));
                    SeVerdict::Found { se_block: name.clone() }
                }
            };
            candidates.push(SeCandidate { node: graph.node(id).name.clone(), verdict });
        }
        Ok((graph.with_blocks(&se_blocks, &gates)?, candidates))
    }

    /// The graph with SE blocks in place of gates, each product a scale that reads its gate, less the nodes that
    /// nothing needs any more.
    fn with_blocks(
        &self,
        se_blocks: &BTreeMap<NodeId, (String, SeBlock)>,
        gates: &BTreeMap<NodeId, NodeId>,
    ) -> Result<Graph> {
        let inputs = |id: NodeId| match (se_blocks.get(&id), gates.get(&id)) {
            (Some((_, se_block)), _) => vec![se_block.map],
            (None, Some(gate)) => [&[se_blocks[gate].1.map, *gate], &self.node(id).inputs[2..]].concat(),
            (None, None) => self.node(id).inputs.clone(),
        };
        let mut needed: BTreeSet<NodeId> = self.outputs().iter().map(|(_, id)| *id).collect();
        for id in (0..self.nodes().len()).rev().map(NodeId) {
            if needed.contains(&id) {
                needed.extend(inputs(id));
            }
        }
        // An SE block's gate is a vector. Where it was a 1x1 map, only scales and reshapes take that as well.
        let takes_vector = |id: NodeId, position: usize| match self.node(id).op {
            Op::Reshape(_) => true,
            Op::Scale(_) => position == 1,
            _ => position == 1 && gates.contains_key(&id),
        };
        let wants_map = |gate: NodeId| {
            let reads = |&id: &NodeId| (0..).zip(inputs(id)).any(|(i, input)| input == gate && !takes_vector(id, i));
            matches!(self.node(gate).shape, Shape::Map { .. }) && (self.is_output(gate) || needed.iter().any(reads))
        };
        let free_name = |gate: NodeId| {
            let own = &self.node(gate).name;
            let taken = |name: &str| {
                se_blocks.values().any(|(se_block, _)| se_block == name) || (name != own && self.find(name).is_some())
            };
            let mut name = own.clone();
            while taken(&name) {
                name.push_str(".map");
            }
            name
        };
        let mut builder = GraphBuilder::new(self.name());
        let mut values: BTreeMap<NodeId, Value> = BTreeMap::new();
        let mut vectors: BTreeMap<NodeId, Value> = BTreeMap::new();
        for &id in &needed {
            let node = self.node(id);
            let value_of = |(i, input): (usize, NodeId)| match vectors.get(&input) {
                Some(&vector) if takes_vector(id, i) => vector,
                _ => values[&input],
            };
            let read: Vec<Value> = (0..).zip(inputs(id)).map(value_of).collect();
            let value = match se_blocks.get(&id) {
                Some((name, se_block)) => {
                    let op = Op::SqueezeExcite(se_block.op.clone());
                    let gate = builder.add_with(name, op, &read, se_block.params.clone())?;
                    if wants_map(id) {
                        vectors.insert(id, gate);
                        builder.add(&free_name(id), Op::Reshape(Reshape { shape: node.shape }), &[gate])?
                    } else {
                        gate
                    }
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

/// The SE block that a node is the product of, or the verdict where there is none to make; nothing for other nodes.
fn judge(graph: &View, id: NodeId) -> Option<Result<SeBlock, SeVerdict>> {
    let node = graph.node(id);
    match node.op {
        Op::Scale(_) => Some(se_block(graph, [node.inputs[0], node.inputs[1]])),
        // Where a map has one number per channel, either factor may be the gate.
        Op::Mul(_) if node.shape.plane() == 1 => {
            let (a, b) = (node.inputs[0], node.inputs[1]);
            se_block(graph, [a, b]).or_else(|_| se_block(graph, [b, a])).ok().map(Ok)
        }
        _ => look_alike(graph, id).map(|reason| Err(SeVerdict::Rejected(reason))),
    }
}

/// The SE block that makes a product's gate of its map.
fn se_block(graph: &View, [map, gate]: [NodeId; 2]) -> Result<SeBlock, SeVerdict> {
    if let Op::SqueezeExcite(_) = graph.node(gate).op {
        check_map(graph, graph.node(gate).inputs[0], map)?;
        return Err(SeVerdict::Found { se_block: graph.node(gate).name.clone() });
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

    let reduced = graph.node(reduce.node).shape.channels();
    let op = SqueezeExcite {
        reduced,
        squeeze: squeeze.kind,
        hidden: reduce.act.unwrap_or_default(),
        gate: gate_function,
        bias: reduce.bias.is_some() || expand.bias.is_some(),
        gates: None,
    };
    let layers = [reduce.node, expand.node];
    let (gate, bias) = (expand.value, op.bias);
    let params = [reduce, expand].into_iter().flat_map(|layer| {
        let zeros = Param::Fill { value: 0.0, shape: vec![graph.node(layer.node).shape.channels()] };
        [Some(layer.weight), bias.then_some(layer.bias.unwrap_or(zeros))]
    });
    Ok(SeBlock { op, params: params.flatten().collect(), map, gate, chain: walk.chain, layers })
}

/// Refuses a squeeze of anything but the map that is scaled.
fn check_map(graph: &View, squeezed: NodeId, scaled: NodeId) -> Result<(), SeVerdict> {
    if squeezed == scaled {
        return Ok(());
    }
    let [squeezed, scaled] = [squeezed, scaled].map(|id| &graph.node(id).name);
    Err(SeVerdict::Rejected(format!("the squeeze pools \"{squeezed}\", the gate scales \"{scaled}\"")))
}

/// A walk from a gate back to what it was made of.
struct Walk<'a> {
    graph: &'a View<'a>,
    at: NodeId,
    /// The nodes walked over.
    chain: Vec<NodeId>,
    /// The gate, once it is reached: what is further back belongs to the SE block alone.
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
        } else if conv.gated() || conv.residual {
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
        match graph.consumers[id.index()].iter().find(|consumer| !self.chain.contains(consumer)) {
            Some(&consumer) => Err(format!("{} is also read by {}", describe(graph, id), describe(graph, consumer))),
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

/// The module that holds both layers and nothing but the SE block, or the gate's own name.
fn block_name(graph: &View, se_block: &SeBlock) -> String {
    let [first, second] = se_block.layers.map(|id| graph.node(id).name.as_str());
    let common = first.bytes().zip(second.bytes()).take_while(|(a, b)| a == b).count();
    let end = first.as_bytes()[..common].iter().rposition(|byte| b"./".contains(byte));
    let gate = &graph.node(se_block.gate).name;
    let Some(module) = end.map(|end| &first[..end]).filter(|module| !module.is_empty()) else { return gate.clone() };
    let stands_in_the_way = |id: NodeId| match graph.node(id).name.strip_prefix(module) {
        // The gate and what is behind it make room, reshapes on the way to the scale may stay.
        Some("") => !se_block.chain.iter().skip_while(|&&at| at != se_block.gate).any(|&at| at == id),
        Some(rest) if rest.starts_with(['.', '/']) => {
            let reads_it = graph.node(id).inputs.iter().any(|input| se_block.chain.contains(input));
            !reads_it && !se_block.chain.contains(&id)
        }
        _ => false,
    };
    if graph.ids().any(stands_in_the_way) { gate.clone() } else { module.into() }
}

/// Why something that is no scale, but looks like an SE block, is none.
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

/// The end of two layers or more after a pool, with functions or not, where nothing else reads what is in between.
fn excitation_after(graph: &View, pool: NodeId) -> Option<NodeId> {
    let (mut at, mut layers) = (pool, 0);
    while let [consumer] = graph.consumers[at.index()][..] {
        match graph.node(consumer).op {
            Op::Linear(_) | Op::Conv2d(_) => layers += 1,
            Op::Activation(_) => {}
            _ if same_elements(graph, consumer) => {}
            _ => break,
        }
        at = consumer;
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
mod tests;
