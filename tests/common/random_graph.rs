//! Random small graphs of all ops.
//!
//! A recipe is a list of numbers, so that proptest can shrink it by leaving steps out; any recipe builds a sound graph.

use excite::graph::{Param, Value};
use excite::ops::{
    Act, Arithmetic, BatchNorm, ChannelShuffle, Concat, Constant, Conv2d, GlobalPool, Linear, MatMul, Mul, Op, Pad,
    Padding, Permute, Pool, PoolKind, Reduce, Reduction, Resample, Reshape, Scale, Softmax, SqueezeExcite, Unary,
};
use excite::{Graph, GraphBuilder, Shape, Tensor};
use proptest::prelude::*;
use std::sync::Arc;

/// Where a graph comes from.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Channels, height, width.
    pub input: [usize; 3],
    pub batch: usize,
    pub steps: Vec<Step>,
    /// Whether a value in the middle is an output too, which fusion must leave alone.
    pub middle_output: bool,
}

/// One or a few nodes: what kind, and numbers for its choices.
#[derive(Clone, Debug)]
pub struct Step {
    pub kind: Kind,
    pub picks: [u8; 6],
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Conv,
    ConvNormAct,
    BatchNorm,
    Activation,
    Unary,
    Add,
    Mul,
    Concat,
    Shuffle,
    Pool,
    Pad,
    SqueezeExcite,
    SharedGate,
    GlobalPool,
    Flatten,
    Linear,
    Softmax,
    Reshape,
    Permute,
    Join,
    Arithmetic,
    Constant,
    Reduce,
    Resample,
    MatMul,
}

/// Any recipe of tensors with up to `steps` steps.
pub fn tensor_recipes(steps: usize) -> impl Strategy<Value = Recipe> {
    use Kind::*;
    let kind = prop_oneof![
        2 => Just(Reshape), 2 => Just(Permute), 2 => Just(Join), 3 => Just(Arithmetic), 1 => Just(Constant),
        2 => Just(Reduce), 2 => Just(Resample), 2 => Just(MatMul), 1 => Just(Activation), 1 => Just(Add),
        1 => Just(Mul),
    ];
    recipes_of(kind, steps)
}

/// Any recipe with up to `steps` steps.
pub fn recipes(steps: usize) -> impl Strategy<Value = Recipe> {
    use Kind::*;
    // The kinds that fusion rewrites come more often.
    let kind = prop_oneof![
        3 => Just(Conv), 3 => Just(ConvNormAct), 2 => Just(BatchNorm), 3 => Just(Activation), 4 => Just(Add),
        1 => Just(Unary), 1 => Just(Mul), 2 => Just(Concat), 1 => Just(Shuffle), 1 => Just(Pool), 2 => Just(Pad),
        4 => Just(SqueezeExcite), 1 => Just(SharedGate), 1 => Just(GlobalPool), 1 => Just(Flatten), 1 => Just(Linear),
        1 => Just(Softmax), 2 => Just(Reshape), 1 => Just(Permute), 1 => Just(Join), 2 => Just(Arithmetic),
        1 => Just(Constant), 1 => Just(Reduce), 1 => Just(Resample), 1 => Just(MatMul),
    ];
    recipes_of(kind, steps)
}

fn recipes_of(kind: impl Strategy<Value = Kind>, steps: usize) -> impl Strategy<Value = Recipe> {
    let step = (kind, any::<[u8; 6]>()).prop_map(|(kind, picks)| Step { kind, picks });
    let input = (1usize..=12, 1usize..=9, 1usize..=9).prop_map(|(c, h, w)| [c, h, w]);
    (input, 1usize..=3, prop::collection::vec(step, 1..=steps), any::<bool>())
        .prop_map(|(input, batch, steps, middle_output)| Recipe { input, batch, steps, middle_output })
}

impl Recipe {
    /// The graph: values that nothing reads are its outputs, the last one first.
    pub fn graph(&self) -> Graph {
        let [c, h, w] = self.input;
        let mut builder = GraphBuilder::new("random");
        let input = builder.input(Shape::map(c, h, w)).expect("the first input");
        let mut sketch = Sketch { builder, values: vec![input], read: vec![false], count: 0 };
        for step in &self.steps {
            sketch.step(step);
        }
        let Sketch { builder, values, read, .. } = sketch;
        let middle = values.len() / 2;
        let is_output = |i: usize| !read[i] || (self.middle_output && i == middle && i > 0);
        let outputs: Vec<(String, Value)> =
            (0..values.len()).rev().filter(|&i| is_output(i)).map(|i| (format!("out{i}"), values[i])).collect();
        let outputs: Vec<(&str, Value)> = outputs.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        builder.finish(&outputs).expect("what nothing reads is an output")
    }
}

/// The activations of random graphs: one of each shape.
const ACTS: [Act; 5] = [Act::Relu, Act::Silu, Act::Sigmoid, Act::LeakyRelu(0.2), Act::HardSwish];

/// Widest value: graphs stay small.
const MOST_CHANNELS: usize = 40;

/// Most elements of a tensor that an op makes larger.
const MOST_ELEMENTS: usize = 400;

struct Sketch {
    builder: GraphBuilder,
    values: Vec<Value>,
    read: Vec<bool>,
    count: usize,
}

impl Sketch {
    fn step(&mut self, step: &Step) {
        let [a, b, c, d, e, f] = step.picks.map(usize::from);
        // The newest value, or one of the two before.
        let source = self.values.len() - 1 - (a % 5).saturating_sub(2).min(self.values.len() - 1);
        let shape = self.shape(source);
        let is_map = matches!(shape, Shape::Map { .. });
        let has_channels = |shape: Shape| !matches!(shape, Shape::Tensor(_));
        match step.kind {
            Kind::Conv if is_map => {
                let conv = conv(shape, [b, c, d, e, f]);
                self.add("conv", Op::Conv2d(conv), &[source]);
            }
            Kind::ConvNormAct if is_map => {
                let conv = conv(shape, [b, c, d, e, f]);
                let conv = self.add("conv", Op::Conv2d(conv), &[source]);
                let norm = self.add("bn", Op::BatchNorm(BatchNorm::default()), &[conv]);
                self.add("act", Op::Activation(ACTS[b % ACTS.len()]), &[norm]);
            }
            Kind::BatchNorm if has_channels(shape) => {
                self.add("bn", Op::BatchNorm(BatchNorm::eps([1e-5, 1e-3][b % 2])), &[source]);
            }
            Kind::Unary => {
                // Smooth ones, and none that leaves f32's range.
                let unary = [Unary::Abs, Unary::Neg, Unary::Sin, Unary::Cos, Unary::Erf][b % 5];
                self.add("unary", Op::Unary(unary), &[source]);
            }
            Kind::Add => {
                let other = self.other(source, b, |shape, other| shape == other);
                self.add("add", Op::Add(excite::ops::Add::default()), &[source, other]);
            }
            Kind::Mul => {
                let other = self.other(source, b, |shape, other| shape == other);
                let product = self.add("mul", Op::Mul(Mul {}), &[source, other]);
                // Products of products would leave f32's range.
                self.add("tanh", Op::Activation(Act::Tanh), &[product]);
            }
            Kind::Concat if has_channels(shape) => {
                let fits = |shape: Shape, other: Shape| {
                    has_channels(other)
                        && matches!(shape, Shape::Map { .. }) == matches!(other, Shape::Map { .. })
                        && (shape.height(), shape.width()) == (other.height(), other.width())
                        && shape.channels() + other.channels() <= MOST_CHANNELS
                };
                let other = self.other(source, b, fits);
                let parts = if 2 * shape.channels() > MOST_CHANNELS && other == source { 1 } else { 2 };
                self.add("concat", Op::Concat(Concat::default()), &[source, other][..parts]);
            }
            Kind::Shuffle if is_map => {
                let groups = divisor(shape.channels(), b);
                self.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups }), &[source]);
            }
            Kind::Pool if is_map => {
                let pool = pool(shape, [b, c, d, e]);
                self.add("pool", Op::Pool(pool), &[source]);
            }
            Kind::Pad if is_map => {
                let [top, left, bottom, right] = [b % 3, d % 2, c % 2, e % 3].map(|side| side as isize);
                // Some cut off what they add on the other side.
                let cut = if f % 4 == 0 && shape.height().min(shape.width()) > 2 { -1 } else { 1 };
                self.add("pad", Op::Pad(Pad { top, left, bottom: bottom * cut, right: right * cut }), &[source]);
            }
            Kind::SqueezeExcite if has_channels(shape) => {
                let gate = self.gate(source, [b, c, d, e, f]);
                self.scale(source, gate);
            }
            Kind::SharedGate if has_channels(shape) => {
                let fits = |shape: Shape, other: Shape| has_channels(other) && shape.channels() == other.channels();
                let other = self.other(source, b, fits);
                let gate = self.gate(source, [b, c, d, e, f]);
                self.scale(source, gate);
                self.scale(other, gate);
            }
            Kind::GlobalPool if has_channels(shape) => {
                self.add("global_pool", Op::GlobalPool(GlobalPool { kind: kind(b) }), &[source]);
            }
            Kind::Flatten if shape.len() <= 200 => {
                self.add("flatten", Op::Reshape(Reshape::flatten(shape)), &[source]);
            }
            Kind::Linear if shape.plane() == 1 && has_channels(shape) => {
                let linear = Linear { bias: b % 2 == 0, ..Linear::new(1 + c % 13) };
                self.add("linear", Op::Linear(linear), &[source]);
            }
            Kind::Softmax if matches!(shape, Shape::Vector { .. }) => {
                // Large logits would turn rounding errors into large differences.
                let small = self.add("tanh", Op::Activation(Act::Tanh), &[source]);
                self.add("softmax", Op::Softmax(Softmax {}), &[small]);
            }
            Kind::Reshape => {
                let dims = factors(shape.len(), &[b, c, d, e][..1 + f % 4]);
                let shape = match dims[..] {
                    [c, h, w] if b % 2 == 0 => Shape::map(c, h, w),
                    ref dims => Shape::tensor(dims),
                };
                self.add("reshape", Op::Reshape(Reshape { shape }), &[source]);
            }
            Kind::Permute => {
                let source = self.tensor(source);
                let mut order: Vec<usize> = (0..self.shape(source).dims().len()).collect();
                let rank = order.len();
                order.rotate_left(b % rank);
                order.swap(c % rank, d % rank);
                self.add("permute", Op::Permute(Permute { order }), &[source]);
            }
            Kind::Join if shape.len() <= MOST_ELEMENTS => {
                let source = self.tensor(source);
                let axis = c % self.shape(source).dims().len();
                let fits = |shape: Shape, other: Shape| {
                    let without = |shape: Shape| {
                        let mut dims = shape.dims();
                        (axis < dims.len()).then(|| dims.remove(axis)).map(|_| dims)
                    };
                    !has_channels(other) && without(shape) == without(other) && other.len() <= MOST_ELEMENTS
                };
                let other = self.other(source, b, fits);
                self.add("join", Op::Concat(Concat { axis }), &[source, other, source][..2 + d % 2]);
            }
            Kind::Arithmetic => {
                let source = self.tensor(source);
                let axes = self.axes(source, c);
                let other = self.add("largest", Op::Reduce(Reduce { reduction: Reduction::Max, axes }), &[source]);
                self.arithmetic(Arithmetic::ALL[b % 7], if d % 2 == 0 { [source, other] } else { [other, source] });
            }
            Kind::Constant => {
                let source = self.tensor(source);
                let dims = self.shape(source).dims();
                // Of fewer axes, and some of size 1.
                let dims: Vec<usize> = dims[b % dims.len()..]
                    .iter()
                    .enumerate()
                    .map(|(i, &dim)| if c >> i & 1 == 0 { dim } else { 1 })
                    .collect();
                let constant = self.add("constant", Op::Constant(Constant { shape: Shape::tensor(&dims) }), &[]);
                self.arithmetic(
                    Arithmetic::ALL[d % 7],
                    if e % 2 == 0 { [source, constant] } else { [constant, source] },
                );
            }
            Kind::Reduce => {
                let source = self.tensor(source);
                let reduction = Reduction::ALL[b % 5];
                let axes = self.axes(source, c);
                let reduced = self.add("reduce", Op::Reduce(Reduce { reduction, axes }), &[source]);
                self.add("tanh", Op::Activation(Act::Tanh), &[reduced]);
            }
            Kind::Resample if shape.len() <= MOST_ELEMENTS => {
                let source = self.tensor(source);
                let dims = self.shape(source).dims();
                let axis = b % dims.len();
                let (size, taps) = (1 + c % 7, 1 + d % 3);
                self.resample(source, axis, [size, taps], |i| ((i * (1 + e % 3) + f) % dims[axis]) as f32);
            }
            Kind::MatMul if shape.len() <= MOST_ELEMENTS => self.matmul(source, [b, c]),
            _ => {
                let act = if f % 16 == 0 { Act::Identity } else { ACTS[b % ACTS.len()] };
                self.add("act", Op::Activation(act), &[source]);
            }
        }
    }

    fn add(&mut self, kind: &str, op: Op, inputs: &[usize]) -> usize {
        let values: Vec<Value> = inputs.iter().map(|&i| self.values[i]).collect();
        let value = self.builder.add(&self.name(kind), op, &values).unwrap_or_else(|error| panic!("{error}"));
        self.count += 1;
        inputs.iter().for_each(|&i| self.read[i] = true);
        self.values.push(value);
        self.read.push(false);
        self.values.len() - 1
    }

    /// A map as a tensor of the same dimensions; anything else as it is.
    fn tensor(&mut self, source: usize) -> usize {
        let shape = self.shape(source);
        if !matches!(shape, Shape::Map { .. }) {
            return source;
        }
        self.add("tensor", Op::Reshape(Reshape { shape: Shape::tensor(&shape.dims()) }), &[source])
    }

    /// Any axes of a tensor, by the bits of `pick`.
    fn axes(&self, source: usize, pick: usize) -> Vec<usize> {
        (0..self.shape(source).dims().len()).filter(|axis| pick >> axis & 1 == 1).collect()
    }

    /// What keeps numbers near 1, so that rounding errors stay small.
    fn arithmetic(&mut self, op: Arithmetic, mut inputs: [usize; 2]) {
        if let Arithmetic::Div | Arithmetic::Pow = op {
            // Both from 0.26 to 0.74.
            inputs = inputs.map(|input| {
                let small = self.add("tanh", Op::Activation(Act::Tanh), &[input]);
                self.add("sigmoid", Op::Activation(Act::Sigmoid), &[small])
            });
        }
        let result = self.add("arithmetic", Op::Arithmetic(op), &inputs);
        if op == Arithmetic::Mul {
            self.add("tanh", Op::Activation(Act::Tanh), &[result]);
        }
    }

    /// Positions that the graph brings along; weights and offsets of the checkpoint.
    fn resample(&mut self, source: usize, axis: usize, [size, taps]: [usize; 2], position: impl FnMut(usize) -> f32) {
        let name = self.name("resample");
        let tensor = |role: &str, shape: Vec<usize>| Param::Tensor { name: format!("{name}.{role}"), shape };
        let values = Arc::new(Tensor::from_fn([size, taps], position));
        let index = Param::Values { name: format!("{name}.index"), values };
        let params = vec![index, tensor("weight", vec![size, taps]), tensor("offset", vec![size])];
        let op = Op::Resample(Resample { axis, size, taps });
        let value = self.builder.add_with(&name, op, &[self.values[source]], params);
        self.count += 1;
        self.read[source] = true;
        self.values.push(value.unwrap_or_else(|error| panic!("{error}")));
        self.read.push(false);
    }

    /// A matrix by itself with rows and columns exchanged.
    fn matmul(&mut self, source: usize, [b, c]: [usize; 2]) {
        let mut a = self.tensor(source);
        let mut dims = self.shape(a).dims();
        if dims.len() == 1 {
            dims.insert(c % 2, 1);
            a = self.add("matrix", Op::Reshape(Reshape { shape: Shape::tensor(&dims) }), &[a]);
        }
        let rank = dims.len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        let mut other = self.add("transpose", Op::Permute(Permute { order }), &[a]);
        if rank > 2 && b % 2 == 0 {
            other = self.add("mean", Op::Reduce(Reduce { reduction: Reduction::Mean, axes: vec![0] }), &[other]);
        }
        let small = [a, other].map(|input| self.add("tanh", Op::Activation(Act::Tanh), &[input]));
        if dims[rank - 2] * dims[rank - 2] <= MOST_ELEMENTS {
            let product = self.add("matmul", Op::MatMul(MatMul {}), &small);
            self.add("tanh", Op::Activation(Act::Tanh), &[product]);
        }
    }

    fn name(&self, kind: &str) -> String {
        format!("{kind}{}", self.count)
    }

    /// A gate is never a value of its own: nothing but scales reads it.
    fn gate(&mut self, source: usize, [b, c, d, e, f]: [usize; 5]) -> Value {
        let se_block = SqueezeExcite {
            reduced: 1 + b % 5,
            squeeze: kind(c),
            hidden: ACTS[d % 2],
            gate: [Act::Sigmoid, Act::HardSigmoid, Act::Tanh][e % 3],
            bias: f % 3 != 0,
            gates: None,
        };
        let name = self.name("se");
        self.read[source] = true;
        let gate = self.builder.add(&name, Op::SqueezeExcite(se_block), &[self.values[source]]);
        self.count += 1;
        gate.unwrap_or_else(|error| panic!("{error}"))
    }

    fn scale(&mut self, source: usize, gate: Value) {
        let name = self.name("scale");
        self.read[source] = true;
        let scaled = self.builder.add(&name, Op::Scale(Scale::default()), &[self.values[source], gate]);
        self.count += 1;
        self.values.push(scaled.unwrap_or_else(|error| panic!("{error}")));
        self.read.push(false);
    }

    /// A value that fits to `source`: another one where there is one.
    fn other(&self, source: usize, pick: usize, fits: impl Fn(Shape, Shape) -> bool) -> usize {
        let fitting = (0..self.values.len()).filter(|&i| i != source && fits(self.shape(source), self.shape(i)));
        let fitting: Vec<usize> = fitting.collect();
        if fitting.is_empty() { source } else { fitting[pick % fitting.len()] }
    }

    fn shape(&self, index: usize) -> Shape {
        self.builder.shape(self.values[index])
    }
}

/// A convolution that fits to `input`.
pub fn conv(input: Shape, [b, c, d, e, f]: [usize; 5]) -> Conv2d {
    let channels = input.channels();
    let groups = if b % 3 == 0 { divisor(channels, c) } else { 1 };
    // Depthwise, the same width, or another.
    let out = if b % 2 == 0 { channels } else { groups * (1 + d % (MOST_CHANNELS / 3 / groups).max(1)) };
    let dilation = [1 + e / 4 % 2, 1 + e / 8 % 2];
    let padding = Padding { top: d % 3, bottom: e % 3, left: f % 3, right: c % 2 };
    let sizes = [input.height() + padding.top + padding.bottom, input.width() + padding.left + padding.right];
    let kernel = [[1, 1], [3, 3], [3, 3], [1, 3], [5, 2], [2, 2]][c % 6];
    // Smaller where it would not fit.
    let kernel = [0, 1].map(|i: usize| kernel[i].min((sizes[i] - 1) / dilation[i] + 1));
    let stride = [1 + e % 2, 1 + f % 2];
    let conv = Conv2d { kernel, stride, dilation, padding, ..Conv2d::new(out, 1).groups(groups).bias(f % 3 != 0) };
    // As often as not a plain 1x1.
    if c % 6 == 0 && d % 2 == 0 { Conv2d::new(out, 1).groups(groups).bias(f % 3 != 0) } else { conv }
}

/// A pool that fits to `input`.
pub fn pool(input: Shape, [b, c, d, e]: [usize; 4]) -> Pool {
    let kernel = [1 + b % 3, 1 + c % 3];
    let kernel = [kernel[0].min(input.height()), kernel[1].min(input.width())];
    // Elements apart where the window still fits.
    let fits = |i: usize, size: usize| if (kernel[i] - 1) * 2 < size { 1 + (b + e) % 2 } else { 1 };
    let dilation = [fits(0, input.height()), fits(1, input.width())];
    let padding = Padding { top: d % kernel[0], bottom: e % kernel[0], left: e % kernel[1], right: d % kernel[1] };
    let pool = Pool { kernel, stride: [1 + d % 2, 1 + e % 3], padding, dilation, ..Pool::max(1) };
    Pool {
        kind: [PoolKind::Avg, PoolKind::Max][(b + c) % 2],
        ceil_mode: d % 3 == 0,
        count_include_pad: e % 2 == 0,
        ..pool
    }
}

fn kind(pick: usize) -> PoolKind {
    [PoolKind::Avg, PoolKind::Max, PoolKind::AvgMax][pick % 3]
}

/// As many factors of `number` as there are picks; the last one is what is left.
fn factors(mut number: usize, picks: &[usize]) -> Vec<usize> {
    let next = |&pick: &usize| {
        let factor = divisor(number, pick);
        number /= factor;
        factor
    };
    let mut factors: Vec<usize> = picks[1..].iter().map(next).collect();
    factors.push(number);
    factors
}

/// One of the divisors of `number`.
fn divisor(number: usize, pick: usize) -> usize {
    let divisors: Vec<usize> = (1..=number).filter(|d| number.is_multiple_of(*d)).collect();
    divisors[pick % divisors.len()]
}
