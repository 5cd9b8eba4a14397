//! SE as a transform: the block of the paper put after nodes of a finished network.

use super::{Graph, GraphBuilder, Node, NodeId, Value};
use crate::error::{Error, Result};
use crate::ops::{Act, Conv2d, Definition, Mul, Op, ParamSpec, Scale, SqueezeExcite};
use crate::param::Param;
use crate::tensor::Shape;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

/// Where the weights of inserted SE blocks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeInit {
    /// Tensors named for the SE block: `<se_block>.fc1.weight`, … (from a checkpoint, or seeded).
    #[default]
    Named,
    /// Weights 0 and a bias at which the gate is 1 in `f32`: the network's answers stay what they were.
    Identity,
}

/// How to put SE blocks into a graph.
///
/// ```
/// use excite::graph::{InsertSe, SeInit};
/// use excite::ops::Conv2d;
/// use excite::{GraphBuilder, Shape};
///
/// let mut g = GraphBuilder::new("plain");
/// let x = g.input(Shape::map(3, 8, 8))?;
/// let x = g.conv2d("conv", x, Conv2d::new(32, 3))?;
/// let graph = g.finish(&[("features", x)])?;
/// let se = graph.insert_se(&InsertSe::ratio(16).init(SeInit::Identity), |node| node.name == "conv")?;
/// assert_eq!(se.se_blocks().next().unwrap().name, "conv.se");
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InsertSe {
    /// Reduced width for a map of C channels.
    pub width: SeWidth,
    /// Squeeze, hidden activation, gate function and biases; its reduced width is not read.
    pub block: SqueezeExcite,
    /// Where the weights come from.
    pub init: SeInit,
    /// Names of the two layers under an SE block's name.
    pub layers: [&'static str; 2],
    /// The paper's control: both layers as 1x1 convolutions without a squeeze, so that every position has gates of its
    /// own. These are no SE blocks; [`Graph::se_blocks`] and [`Graph::remove_se`] don't know them.
    pub no_squeeze: bool,
}

/// Reduced width of an inserted SE block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeWidth {
    /// `max(C / r, 1)`, as the paper has it.
    Ratio(usize),
    /// The multiple of `divisor` nearest to `C / ratio`, at least one of them, as timm has it.
    Rounded {
        /// r in the paper.
        ratio: usize,
        /// 8 in most of timm's networks.
        divisor: usize,
    },
    /// The same for every SE block.
    Fixed(usize),
}

/// Where in a residual block an SE block stands: figure 5 and section 6.5 of the SENet paper (Hu et al. 2018).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SePosition {
    /// On the residual branch's end, before the sum.
    Standard,
    /// On the block's input, as the residual branch sees it.
    Pre,
    /// After the sum and its activation.
    Post,
    /// On the shortcut, after its projection if it has one.
    Identity,
    /// After the branch's first 3x3 convolution, its norm and its activation.
    After3x3,
}

/// An SE block to be put in: on this value, for these consumers or for all.
struct Site {
    se_block: String,
    value: NodeId,
    consumers: Option<Vec<NodeId>>,
}

/// A sum of two values that were one at the fork, and what the branch computed of it since.
struct ResidualBlock {
    sum: NodeId,
    fork: NodeId,
    branch: BTreeSet<NodeId>,
    branch_end: NodeId,
    shortcut_end: NodeId,
}

/// The multiple of `divisor` nearest to `value`, at least one of them, and one more where that is below
/// `limit * value`: timm's `make_divisible`.
pub(crate) fn make_divisible(value: f64, divisor: usize, limit: f64) -> usize {
    let rounded = ((value + divisor as f64 / 2.0) as usize / divisor * divisor).max(divisor);
    if (rounded as f64) < limit * value { rounded + divisor } else { rounded }
}

impl InsertSe {
    /// The paper's block with reduction ratio `r` and named weights.
    pub fn ratio(r: usize) -> Self {
        Self {
            width: SeWidth::Ratio(r),
            block: SqueezeExcite::new(1),
            init: SeInit::Named,
            layers: ["fc1", "fc2"],
            no_squeeze: false,
        }
    }

    fn se_block(&self, channels: usize) -> Result<SqueezeExcite> {
        let reduced = match self.width {
            SeWidth::Ratio(0) | SeWidth::Rounded { ratio: 0, .. } | SeWidth::Rounded { divisor: 0, .. } => {
                return Err(Error::Request("insert_se: ratio and divisor must be at least 1, one is 0".into()));
            }
            SeWidth::Ratio(r) => (channels / r).max(1),
            SeWidth::Rounded { ratio, divisor } => make_divisible(channels as f64 / ratio as f64, divisor, 0.0),
            SeWidth::Fixed(width) => width,
        };
        Ok(SqueezeExcite { reduced, ..self.block.clone() })
    }

    fn params(&self, name: &str, op: &SqueezeExcite, shape: Shape) -> Result<Vec<Param>> {
        let specs = op.params(&[shape]).into_iter();
        if self.init == SeInit::Named {
            let named = |spec: ParamSpec| {
                let role = spec.role.replace("fc1", self.layers[0]).replace("fc2", self.layers[1]);
                Param::Tensor { name: format!("{name}.{role}"), shape: spec.shape }
            };
            return Ok(specs.map(named).collect());
        }
        let Some(one) = op.gate.one_at().filter(|_| op.bias) else {
            let message = format!("a {} gate{} can't be identity", op.gate, if op.bias { "" } else { " without bias" });
            return Err(Error::node("squeeze_excite", name, message));
        };
        let value = |spec: &ParamSpec| if spec.role == "fc2.bias" { one } else { 0.0 };
        Ok(specs.map(|spec| Param::Fill { value: value(&spec), shape: spec.shape }).collect())
    }

    /// Adds an SE block and what it scales with it; the result is the scaled map.
    fn add(&self, builder: &mut GraphBuilder, se_block: &str, x: Value) -> Result<Value> {
        let shape = builder.shape(x);
        if !matches!(shape, Shape::Map { .. }) {
            let message = format!("expects a map to squeeze, its input is a vector of {shape}");
            return Err(Error::node("squeeze_excite", se_block, message));
        }
        let op = self.se_block(shape.channels())?;
        let mut params = self.params(se_block, &op, shape)?;
        let scale = format!("{se_block}.scale");
        if !self.no_squeeze {
            let gate = builder.add_with(se_block, Op::SqueezeExcite(op), &[x], params)?;
            return builder.scale(&scale, x, gate);
        }
        let expand = params.split_off(params.len() / 2);
        let layer = |channels| Op::Conv2d(Conv2d::new(channels, 1).bias(op.bias));
        let [first, second] = self.layers.map(|layer| format!("{se_block}.{layer}"));
        let hidden = builder.add_with(&first, layer(op.reduced), &[x], params)?;
        let hidden = builder.activation(&format!("{se_block}.act"), hidden, op.hidden)?;
        let gate = builder.add_with(&second, layer(shape.channels()), &[hidden], expand)?;
        let gate = builder.activation(se_block, gate, op.gate)?;
        builder.add(&scale, Op::Mul(Mul {}), &[x, gate])
    }
}

impl Graph {
    /// A graph with an SE block named `<node>.se` after every node that `after` accepts; consumers see the scaled map.
    ///
    /// # Errors
    /// No node is accepted, one that is has a vector for value, or the gate can't be initialised as asked.
    pub fn insert_se(&self, options: &InsertSe, after: impl Fn(&Node) -> bool) -> Result<Graph> {
        self.insert_se_named(options, |node| after(node).then(|| format!("{}.se", node.name)))
    }

    /// As [`Graph::insert_se`], with an SE block of the given name after every node that has one.
    ///
    /// # Errors
    /// As [`Graph::insert_se`], and where a name is taken.
    pub fn insert_se_named(&self, options: &InsertSe, se_block: impl Fn(&Node) -> Option<String>) -> Result<Graph> {
        let site = |id| Some(Site { se_block: se_block(self.node(id))?, value: id, consumers: None });
        self.insert_se_at(options, &self.ids().filter_map(site).collect::<Vec<_>>())
    }

    /// A graph with an SE block named `<block>.se` in every residual block whose name `blocks` accepts.
    ///
    /// A residual block is a sum of two values of which one, the branch, has more convolutions since both were one. It
    /// has the sum's name, less a last `.add`.
    ///
    /// # Errors
    /// As [`Graph::insert_se`].
    ///
    /// ```
    /// use excite::graph::{InsertSe, SePosition};
    /// use excite::zoo;
    ///
    /// let plain = zoo::build("resnet50", &Default::default())?;
    /// let stage3 = |block: &str| block.starts_with("layer2.");
    /// let se = plain.insert_se_in_blocks(&InsertSe::ratio(16), SePosition::Standard, stage3)?;
    /// assert_eq!(se.se_blocks().count(), 4);
    /// # Ok::<(), excite::Error>(())
    /// ```
    pub fn insert_se_in_blocks(
        &self,
        options: &InsertSe,
        position: SePosition,
        blocks: impl Fn(&str) -> bool,
    ) -> Result<Graph> {
        let site = |id: NodeId| {
            let name = &self.node(id).name;
            let name = name.strip_suffix(".add").unwrap_or(name);
            let block = self.residual_block(id).filter(|_| blocks(name))?;
            self.site(format!("{name}.se"), &block, position)
        };
        self.insert_se_at(options, &self.ids().filter_map(site).collect::<Vec<_>>())
    }

    /// The residual block that ends with this node, if it is a sum of one.
    fn residual_block(&self, sum: NodeId) -> Option<ResidualBlock> {
        let Op::Add(_) = self.node(sum).op else { return None };
        let ends = [0, 1].map(|i| self.node(sum).inputs[i]);
        let from = ends.map(|end| self.ancestors(end));
        let fork = *from[0].intersection(&from[1]).last()?;
        let shared = self.ancestors(fork);
        let nodes = from.map(|from| from.difference(&shared).copied().collect::<BTreeSet<NodeId>>());
        let is_conv = |id: &&NodeId| matches!(self.node(**id).op, Op::Conv2d(_));
        let convs = nodes.each_ref().map(|nodes| nodes.iter().filter(is_conv).count());
        // Equal sides are two branches: of Shake-Shake, say.
        let side = match convs[0].cmp(&convs[1]) {
            Ordering::Less => 1,
            Ordering::Equal => return None,
            Ordering::Greater => 0,
        };
        let [first, second] = nodes;
        let branch = if side == 0 { first } else { second };
        Some(ResidualBlock { sum, fork, branch, branch_end: ends[side], shortcut_end: ends[1 - side] })
    }

    /// Where an SE block of this name stands in a block; nowhere after a 3x3 convolution that there isn't.
    fn site(&self, se_block: String, block: &ResidualBlock, position: SePosition) -> Option<Site> {
        let consumers = self.consumers();
        let next = |id: NodeId| if let [consumer] = consumers[id.0][..] { Some(consumer) } else { None };
        let (value, only) = match position {
            SePosition::Standard => (block.branch_end, Some(vec![block.sum])),
            SePosition::Identity => (block.shortcut_end, Some(vec![block.sum])),
            SePosition::Pre => {
                let in_branch = consumers[block.fork.0].iter().filter(|consumer| block.branch.contains(consumer));
                (block.fork, Some(in_branch.copied().collect()))
            }
            SePosition::Post => {
                let act = next(block.sum).filter(|&id| matches!(self.node(id).op, Op::Activation(_)));
                (act.unwrap_or(block.sum), None)
            }
            SePosition::After3x3 => {
                let is_3x3 = |id: &NodeId| matches!(&self.node(*id).op, Op::Conv2d(conv) if conv.kernel == [3, 3]);
                let part_of_it = |id: &NodeId| matches!(self.node(*id).op, Op::BatchNorm(_) | Op::Activation(_));
                let mut value = block.branch.iter().copied().find(is_3x3)?;
                while let Some(id) = next(value).filter(|id| block.branch.contains(id)).filter(part_of_it) {
                    value = id;
                }
                (value, None)
            }
        };
        Some(Site { se_block, value, consumers: only })
    }

    /// All nodes this one's value depends on, itself included.
    fn ancestors(&self, id: NodeId) -> BTreeSet<NodeId> {
        let mut found = BTreeSet::from([id]);
        // Inputs come before their consumers, so one walk backwards sees them all.
        for index in (0..=id.0).rev().map(NodeId) {
            if found.contains(&index) {
                found.extend(&self.node(index).inputs);
            }
        }
        found
    }

    fn insert_se_at(&self, options: &InsertSe, sites: &[Site]) -> Result<Graph> {
        if sites.is_empty() {
            return Err(Error::Graph { graph: self.name.clone(), message: "insert_se: no node was accepted".into() });
        }
        let mut builder = GraphBuilder::new(self.name.clone());
        let mut values: Vec<Value> = Vec::new();
        let mut scaled_for: HashMap<(NodeId, NodeId), Value> = HashMap::new();
        for id in self.ids() {
            let node = self.node(id);
            let input = |source: &NodeId| scaled_for.get(&(id, *source)).copied().unwrap_or(values[source.0]);
            let inputs: Vec<Value> = node.inputs.iter().map(input).collect();
            let mut value = builder.add_with(&node.name, node.op.clone(), &inputs, node.params.clone())?;
            for site in sites.iter().filter(|site| site.value == id) {
                let scaled = options.add(&mut builder, &site.se_block, value)?;
                match &site.consumers {
                    None => value = scaled,
                    Some(consumers) => scaled_for.extend(consumers.iter().map(|&consumer| ((consumer, id), scaled))),
                }
            }
            values.push(value);
        }
        let outputs: Vec<(&str, Value)> = self.outputs.iter().map(|(n, id)| (n.as_str(), values[id.0])).collect();
        builder.finish(&outputs)
    }

    /// The same network with every SE block `max(C / ratio, 1)` wide, as the paper has it, under the same names.
    ///
    /// # Errors
    /// The ratio is 0, or an SE block's parameters are no tensors of their own.
    ///
    /// ```
    /// let graph = excite::zoo::build("se_vgg16", &Default::default())?.with_se_ratio(8)?;
    /// assert!(graph.tensors().contains(&("features.2.se.fc1.weight".into(), vec![8, 64, 1, 1])));
    /// # Ok::<(), excite::Error>(())
    /// ```
    pub fn with_se_ratio(&self, ratio: usize) -> Result<Graph> {
        if ratio == 0 {
            return Err(Error::Request("with_se_ratio: the ratio must be at least 1, is 0".into()));
        }
        let mut builder = GraphBuilder::new(self.name.clone());
        let mut values: Vec<Value> = Vec::new();
        for node in &self.nodes {
            let (mut op, mut params) = (node.op.clone(), node.params.clone());
            if let Op::SqueezeExcite(se_block) = &mut op {
                let shape = self.node(node.inputs[0]).shape;
                se_block.reduced = (shape.channels() / ratio).max(1);
                for (param, spec) in params.iter_mut().zip(se_block.params(&[shape])) {
                    match param {
                        Param::Tensor { shape, .. } | Param::Fill { shape, .. } => *shape = spec.shape,
                        _ => return Err(Error::node("squeeze_excite", &node.name, "has folded parameters")),
                    }
                }
            }
            let inputs: Vec<Value> = node.inputs.iter().map(|id| values[id.0]).collect();
            values.push(builder.add_with(&node.name, op, &inputs, params)?);
        }
        let outputs: Vec<(&str, Value)> = self.outputs.iter().map(|(n, id)| (n.as_str(), values[id.0])).collect();
        builder.finish(&outputs)
    }

    /// The plain network: every scale by the gate of an SE block gives way to its input.
    ///
    /// # Errors
    /// A gate has another consumer than its scale.
    pub fn remove_se(&self) -> Result<Graph> {
        let mut builder = GraphBuilder::new(self.name.clone());
        let mut values: Vec<Option<Value>> = Vec::new();
        for node in &self.nodes {
            let gated_by_se =
                |node: &Node| matches!(self.node(node.inputs[1]).op, Op::SqueezeExcite(_)) && node.inputs.len() == 2;
            let value = match &node.op {
                Op::SqueezeExcite(_) => None,
                Op::Scale(Scale { residual: false, act: Act::Identity }) if gated_by_se(node) => {
                    values[node.inputs[0].0]
                }
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
    use crate::ops::{Act, BatchNorm, Linear};
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
    fn identity_blocks_change_no_bit() {
        let input = Tensor::from_fn([2, 3, 5, 5], |i| (i as f32 * 0.37).sin());
        let weights = Weights::seeded(7, 1.0);
        for gate in [Act::Sigmoid, Act::HardSigmoid, Act::Tanh, Act::Relu] {
            let options =
                InsertSe { block: SqueezeExcite::new(1).gate(gate), init: SeInit::Identity, ..InsertSe::ratio(2) };
            let se = plain().insert_se(&options, convs).unwrap();
            assert_eq!(se.se_blocks().count(), 2);
            let [with, without] = [&se, &plain()].map(|g| g.reference(&input, &weights).unwrap());
            assert_eq!(with, without, "{gate}");
        }
    }

    /// Two residual blocks; the first one changes the channels.
    fn residual() -> Graph {
        let mut g = GraphBuilder::new("residual");
        let mut x = g.input(Shape::map(3, 5, 5)).unwrap();
        for (block, channels) in [("a", 8), ("b", 8)] {
            let name = |part: &str| format!("{block}.{part}");
            let y = g.conv2d(&name("conv1"), x, Conv2d::new(4, 1)).unwrap();
            let y = g.conv2d(&name("conv2"), y, Conv2d::new(4, 3).padding(1)).unwrap();
            let y = g.batch_norm(&name("bn2"), y, BatchNorm::default()).unwrap();
            let y = g.activation(&name("relu2"), y, Act::Relu).unwrap();
            let y = g.conv2d(&name("conv3"), y, Conv2d::new(channels, 1)).unwrap();
            if g.shape(x).channels() != channels {
                x = g.conv2d(&name("project"), x, Conv2d::new(channels, 1)).unwrap();
            }
            let sum = g.sum(&name("add"), x, y).unwrap();
            x = g.activation(block, sum, Act::Relu).unwrap();
        }
        g.finish(&[("y", x)]).unwrap()
    }

    #[test]
    fn every_position_in_a_residual_block() {
        for (position, squeezed, consumers) in [
            (SePosition::Standard, ["a.conv3", "b.conv3"], ["a.add", "b.add"]),
            (SePosition::Pre, ["input", "a"], ["a.conv1", "b.conv1"]),
            (SePosition::Post, ["a", "b"], ["b.conv1, b.add", ""]),
            (SePosition::Identity, ["a.project", "a"], ["a.add", "b.add"]),
            (SePosition::After3x3, ["a.relu2", "b.relu2"], ["a.conv3", "b.conv3"]),
        ] {
            let se = residual().insert_se_in_blocks(&InsertSe::ratio(2), position, |_| true).unwrap();
            let se_blocks: Vec<&Node> = se.se_blocks().collect();
            assert_eq!(se_blocks.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a.se", "b.se"], "{position:?}");
            assert_eq!(
                se_blocks.iter().map(|s| &se.node(s.inputs[0]).name).collect::<Vec<_>>(),
                squeezed,
                "{position:?}"
            );
            let reading = ["a.se.scale", "b.se.scale"].map(|scale| {
                let consumers = &se.consumers()[se.find(scale).unwrap().0];
                consumers.iter().map(|&id| se.node(id).name.as_str()).collect::<Vec<_>>().join(", ")
            });
            assert_eq!(reading, consumers, "{position:?}");
            assert_eq!(se.remove_se().unwrap(), residual(), "{position:?}");
        }
        let only_b = residual().insert_se_in_blocks(&InsertSe::ratio(2), SePosition::Post, |block| block == "b");
        assert_eq!(only_b.unwrap().se_blocks().count(), 1);
        assert!(plain().insert_se_in_blocks(&InsertSe::ratio(2), SePosition::Standard, |_| true).is_err());
    }

    #[test]
    fn another_ratio_is_another_insertion() {
        let at = |ratio| plain().insert_se(&InsertSe::ratio(ratio), convs).unwrap();
        assert_eq!(at(2).with_se_ratio(3).unwrap(), at(3));
        assert_eq!(at(2).with_se_ratio(100).unwrap().se_blocks().count(), 2);
        assert_eq!(plain().with_se_ratio(3).unwrap(), plain());
        let error = at(2).with_se_ratio(0).unwrap_err().to_string();
        assert_eq!(error, "with_se_ratio: the ratio must be at least 1, is 0");
    }

    #[test]
    fn the_control_has_gates_for_every_position() {
        let control = InsertSe { no_squeeze: true, ..InsertSe::ratio(2) };
        let named = plain().insert_se(&control, |node| node.name == "conv1").unwrap();
        assert_eq!((named.se_blocks().count(), named.node(named.find("conv1.se").unwrap()).shape.plane()), (0, 9));
        let added = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"].map(|role| format!("conv1.se.{role}"));
        let tensors: Vec<String> = named.tensors().into_iter().map(|(name, _)| name).collect();
        assert_eq!(tensors[2..6], added);
        let input = Tensor::from_fn([1, 3, 5, 5], |i| (i as f32 * 0.37).sin());
        let identity = plain().insert_se(&InsertSe { init: SeInit::Identity, ..control }, convs).unwrap();
        let [with, without] = [&identity, &plain()].map(|g| g.reference(&input, &Weights::seeded(7, 1.0)).unwrap());
        assert_eq!(with, without);
    }

    #[test]
    fn widths() {
        for (width, channels, reduced) in [
            (SeWidth::Ratio(16), 216, 13),
            (SeWidth::Ratio(16), 8, 1),
            (SeWidth::Rounded { ratio: 16, divisor: 8 }, 64, 8),
            (SeWidth::Rounded { ratio: 16, divisor: 8 }, 320, 24),
            (SeWidth::Fixed(5), 64, 5),
        ] {
            let se_block = InsertSe { width, ..InsertSe::ratio(1) }.se_block(channels).unwrap();
            assert_eq!(se_block.reduced, reduced, "{width:?} of {channels}");
        }
        assert!(InsertSe::ratio(0).se_block(8).is_err());
        // One more step where rounding down would lose over a tenth.
        assert_eq!((make_divisible(10.0, 8, 0.0), make_divisible(10.0, 8, 0.9)), (8, 16));
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
