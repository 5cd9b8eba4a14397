//! SE blocks decomposed, as files of other programs have them, and what only looks like SE blocks.

use excite::graph::{Node, Param, Value};
use excite::ops::{Act, BatchNorm, Conv2d, GlobalPool, Linear, Mul, Op, Pool, PoolKind, Reshape, SqueezeExcite};
use excite::{Graph, GraphBuilder, Shape};

/// Numbers for the choices of one SE block.
pub type Spelling = [u8; 3];

/// A graph whose SE blocks are decomposed.
pub struct Decomposed {
    pub graph: Graph,
    /// The SE blocks that still are SE blocks.
    pub se_blocks: usize,
}

/// What is wrong with an SE block that isn't one.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// What is squeezed is not what is scaled.
    OtherMap,
    /// The network returns the hidden vector, too.
    HiddenOutput,
    OneLayer,
    /// Two ways from squeeze to gate.
    Sum,
}

/// The graph with its SE blocks decomposed: the first in the first spelling, and so on, round and round.
pub fn spell(graph: &Graph, spellings: &[Spelling]) -> Decomposed {
    let mut speller = Speller { builder: GraphBuilder::new(graph.name()), outputs: Vec::new() };
    let mut values: Vec<Value> = Vec::new();
    let (mut seen, mut se_blocks) = (0, 0);
    for node in graph.nodes() {
        let inputs: Vec<Value> = node.inputs.iter().map(|id| values[id.index()]).collect();
        let value = if let Op::SqueezeExcite(op) = &node.op {
            let spelling = spellings[seen % spellings.len()];
            seen += 1;
            let wrongs = [Wrong::OtherMap, Wrong::HiddenOutput, Wrong::OneLayer, Wrong::Sum];
            let wrong = wrongs.get(usize::from(spelling[0] % 8)).copied().unwrap_or(Wrong::Nothing);
            se_blocks += usize::from(wrong == Wrong::Nothing);
            speller.se_block(node, op, inputs[0], spelling, wrong)
        } else if matches!(node.op, Op::Scale(_)) && same_shape(&speller.builder, &inputs) {
            speller.builder.add(&node.name, Op::Mul(Mul {}), &inputs)
        } else {
            speller.builder.add_with(&node.name, node.op.clone(), &inputs, node.params.clone())
        };
        values.push(value.unwrap_or_else(|error| panic!("{error}")));
    }
    let own = graph.outputs().iter().map(|(name, id)| (name.as_str(), values[id.index()]));
    let more = speller.outputs.iter().map(|(name, value)| (name.as_str(), *value));
    let outputs: Vec<(&str, Value)> = own.chain(more).collect();
    Decomposed { graph: speller.builder.finish(&outputs).expect("all values are read as before"), se_blocks }
}

/// Whether a product needs no broadcasting.
fn same_shape(builder: &GraphBuilder, values: &[Value]) -> bool {
    values.iter().all(|&value| builder.shape(value) == builder.shape(values[0]))
}

struct Speller {
    builder: GraphBuilder,
    outputs: Vec<(String, Value)>,
}

type Made = excite::Result<Value>;

impl Speller {
    fn se_block(&mut self, node: &Node, se: &SqueezeExcite, map: Value, [_, b, c]: Spelling, wrong: Wrong) -> Made {
        let name = |part: &str| format!("{}.{part}", node.name);
        let squeezed = match wrong {
            Wrong::OtherMap => self.builder.activation(&name("other"), map, Act::Tanh)?,
            _ => map,
        };
        let shape = self.builder.shape(squeezed);
        // A pool of one window leaves a 1x1 map for convolutions, a global pool leaves a vector.
        let window = shape.plane() > 1 && b % 2 == 0 && se.squeeze != PoolKind::AvgMax;
        let mut z = if window {
            let kernel = [shape.height(), shape.width()];
            self.builder.add(&name("pool"), Op::Pool(Pool { kind: se.squeeze, kernel, ..Pool::max(1) }), &[squeezed])?
        } else if se.squeeze == PoolKind::AvgMax && b % 4 > 0 {
            self.half_of_each(&name("pool"), squeezed, b % 4 == 1)?
        } else {
            self.builder.add(&name("pool"), Op::GlobalPool(GlobalPool { kind: se.squeeze }), &[squeezed])?
        };
        if window && b % 4 == 0 {
            z = self.builder.flatten(&name("flatten"), z)?;
        }
        if !window && b / 32 % 2 == 0 {
            z = self.reshape(&name("map"), z, Shape::map(shape.channels(), 1, 1))?;
        }
        let (first, second) = node.params.split_at(node.params.len() / 2);
        let channels = shape.channels();
        if wrong == Wrong::OneLayer {
            let layer = self.builder.linear(&name("fc"), z, Linear::new(channels))?;
            return self.act(&node.name, layer, se.gate, c);
        }
        let layer = self.layer(&name("fc1"), z, first, se.reduced, b / 8 % 2 == 0)?;
        let hidden = self.act(&name("hidden"), layer, se.hidden, c)?;
        if wrong == Wrong::HiddenOutput {
            self.outputs.push((name("hidden"), hidden));
        }
        let mut layer = self.layer(&name("fc2"), hidden, second, channels, b / 16 % 2 == 0)?;
        if wrong == Wrong::Sum {
            layer = self.builder.sum(&name("sum"), layer, layer)?;
        }
        if b / 64 % 2 == 0 {
            return self.act(&node.name, layer, se.gate, c);
        }
        let gate = self.act(&name("gate"), layer, se.gate, c)?;
        self.reshape(&node.name, gate, Shape::map(channels, 1, 1))
    }

    /// `0.5 * mean + 0.5 * max`, or `0.5 * (mean + max)`.
    fn half_of_each(&mut self, name: &str, x: Value, first: bool) -> Made {
        let half = Op::Activation(Act::affine(0.5, 0.0));
        let [mean, max] = [(PoolKind::Avg, "mean"), (PoolKind::Max, "max")].map(|(kind, part)| {
            let pooled = self.builder.add(&format!("{name}.{part}"), Op::GlobalPool(GlobalPool { kind }), &[x])?;
            if !first {
                return Ok(pooled);
            }
            self.builder.add(&format!("{name}.{part}.half"), half.clone(), &[pooled])
        });
        if first {
            return self.builder.sum(name, mean?, max?);
        }
        let sum = self.builder.sum(&format!("{name}.sum"), mean?, max?)?;
        self.builder.add(name, half, &[sum])
    }

    fn reshape(&mut self, name: &str, x: Value, shape: Shape) -> Made {
        self.builder.add(name, Op::Reshape(Reshape { shape }), &[x])
    }

    /// A layer; with a bias of its own, or as a norm after it.
    fn layer(&mut self, name: &str, x: Value, params: &[Param], out: usize, own_bias: bool) -> Made {
        let bias = own_bias && params.len() == 2;
        let op = match self.builder.shape(x) {
            Shape::Map { .. } => Op::Conv2d(Conv2d::new(out, 1).bias(bias)),
            _ => Op::Linear(Linear { bias, ..Linear::new(out) }),
        };
        let own = if bias { params } else { &params[..1] };
        let layer = self.builder.add_with(name, op, &[x], own.to_vec())?;
        if bias || params.len() == 1 {
            return Ok(layer);
        }
        let fill = |value| Param::Fill { value, shape: vec![out] };
        let norm = vec![fill(1.0), params[1].clone(), fill(0.0), fill(1.0)];
        self.builder.add_with(&format!("{name}.add"), Op::BatchNorm(BatchNorm::eps(0.0)), &[layer], norm)
    }

    /// A function in one node, or in its parts.
    fn act(&mut self, name: &str, x: Value, act: Act, pick: u8) -> Made {
        let part = |suffix: &str| format!("{name}.{suffix}");
        match act {
            Act::Silu if pick.is_multiple_of(2) => {
                let gate = self.builder.activation(&part("sigmoid"), x, Act::Sigmoid)?;
                let inputs = if pick.is_multiple_of(4) { [x, gate] } else { [gate, x] };
                self.builder.add(name, Op::Mul(Mul {}), &inputs)
            }
            Act::HardSigmoid if pick.is_multiple_of(2) => {
                let x = self.builder.activation(&part("add"), x, Act::affine(1.0, 3.0))?;
                let x = self.builder.activation(&part("clip"), x, Act::clip(0.0, 6.0))?;
                self.builder.activation(name, x, Act::affine(1.0 / 6.0, 0.0))
            }
            Act::Relu if pick.is_multiple_of(2) => self.builder.activation(name, x, Act::clip(0.0, f32::INFINITY)),
            _ => self.builder.activation(name, x, act),
        }
    }
}
