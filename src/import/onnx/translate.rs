//! From nodes of the file to nodes of the graph. What depends on no input is computed here, on the CPU, by the ops' own
//! references; shape arithmetic never reaches the graph.
//!
//! Dimensions are tracked with a batch of 1. Where the first dimension is the batch (`free`), nothing may look across it:
//! then the graph serves any batch.

use super::Fail;
use super::node::Node;
use super::ops;
use super::source::Source;
use super::stored::is_sound;
use super::values::{Floats, Int, Ints, Run, Val};
use crate::graph::{Graph, GraphBuilder, Value, check_params};
use crate::import::contents::Contents;
use crate::ops::{Op, broadcast};
use crate::param::{Formula, Param, Recipe};
use crate::tensor::{Dims, Shape, Tensor, element_count};
use crate::weights::Weights;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Most elements that are computed while importing, all together: this many, and so many times those of the file.
const MAX_FOLDED: usize = 1 << 26;
const MAX_FOLDED_TIMES: usize = 8;
/// Most bytes of constants, sizes and nodes that importing makes, beyond as many as the file's tensors have.
const MAX_MADE: usize = 64 << 20;
/// Bytes that a node takes, at least.
const NODE_BYTES: usize = 512;
/// Most dimensions of a value.
const MAX_RANK: usize = 16;
/// Most integers of one value.
const MAX_INTS: usize = 1 << 20;
/// Most multiply-adds of one product of constants.
const MAX_FOLDED_MACS: u64 = 1 << 30;

pub(super) struct Translator<'a> {
    pub(super) builder: GraphBuilder,
    weights: &'a Weights,
    source: &'a Source,
    pub(super) file: &'a Arc<Contents>,
    /// The batch that the file speaks of, where dimension 0 is it.
    pub(super) free: Option<usize>,
    /// Names that are taken, and the last number that was put behind each.
    names: HashMap<String, usize>,
    current: String,
    shown: HashMap<(Value, Shape), Value>,
    folded: usize,
    most_folded: usize,
    /// Bytes made so far, and the most there may be.
    made: usize,
    most: usize,
}

/// A node's inputs while it is translated.
pub(super) struct Args<'a> {
    pub node: &'a Node<'a>,
    pub vals: Vec<Option<Val>>,
    /// Which results anybody reads.
    pub wanted: Vec<bool>,
}

impl Args<'_> {
    pub(super) fn get(&self, index: usize) -> Option<&Val> {
        self.vals.get(index).and_then(Option::as_ref)
    }

    pub(super) fn x(&self, index: usize) -> Result<&Val, Fail> {
        self.get(index).ok_or_else(|| format!("input {index} is missing").into())
    }

    /// Whether anybody reads result `index`.
    pub(super) fn wants(&self, index: usize) -> bool {
        self.wanted.get(index).copied().unwrap_or(false)
    }

    /// Integers known now and no multiple of the batch.
    pub(super) fn ints(&self, index: usize, what: &str) -> Result<Option<Vec<i64>>, Fail> {
        self.get(index).map(|val| plain(val, what)).transpose()
    }

    /// The list `name`: an attribute in old operator sets, input `index` in new ones.
    pub(super) fn list(&self, name: &str, index: usize) -> Result<Option<Vec<i64>>, Fail> {
        match self.node.ints(name)? {
            Some(values) => Ok(Some(values.to_vec())),
            None => self.ints(index, name),
        }
    }
}

/// The integers of a value that is known now.
pub(super) fn plain(val: &Val, what: &str) -> Result<Vec<i64>, Fail> {
    let Val::Ints(ints) = val else { return Err(unknown(what)) };
    ints.data
        .iter()
        .map(|int| match int.batch {
            true => Err(Fail::Batch(format!("{what} depend on the batch"))),
            false => Ok(int.value),
        })
        .collect()
}

fn unknown(what: &str) -> Fail {
    format!("{what} must be integers that don't depend on the network's input").into()
}

/// An axis as ONNX counts it, from the end where negative.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Fail> {
    let from_front = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    from_front
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("axis {axis} of {rank} dimensions").into())
}

/// Axes as ONNX counts them, each once, in order.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Fail> {
    let mut axes: Vec<usize> = list.iter().map(|&a| axis(a, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    match axes.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err(format!("axes {list:?} name one twice").into()),
        false => Ok(axes),
    }
}

impl<'a> Translator<'a> {
    pub(super) fn new(name: &str, weights: &'a Weights, source: &'a Source, free: Option<usize>) -> Self {
        Self {
            builder: GraphBuilder::new(name),
            weights,
            source,
            file: &source.contents,
            free,
            names: HashMap::new(),
            current: String::new(),
            shown: HashMap::new(),
            folded: 0,
            most_folded: MAX_FOLDED.saturating_add(MAX_FOLDED_TIMES.saturating_mul(source.tensor_bytes() / 4)),
            made: 0,
            most: MAX_MADE.saturating_add(source.tensor_bytes()),
        }
    }

    /// The network's input, of these dimensions with a batch of 1. Where its channels come first for the network's user
    /// and last in the file (`transposed`), the graph transposes it.
    pub(super) fn input(&mut self, dims: &[usize], transposed: bool, bytes: bool) -> Result<Val, Fail> {
        self.names.insert("input".into(), 1);
        let input = match (dims, transposed) {
            (&[n, h, w, c], true) => {
                let value = self.builder.input(outer_shape(&[n, c, h, w])?)?;
                self.current = "input.transposed".into();
                ops::permuted(self, &Val::run(value, [n, c, h, w]), &[0, 2, 3, 1])?
            }
            _ => Val::run(self.builder.input(outer_shape(dims)?)?, dims),
        };
        match input {
            Val::Run(run) => Ok(Val::Run(Run { bytes, ..run })),
            input => Ok(input),
        }
    }

    /// A tensor of the file.
    pub(super) fn stored(&mut self, name: &str) -> Result<Option<Val>, Fail> {
        let Some(stored) = self.source.stored.get(name) else { return Ok(None) };
        // A short constant is known while importing, as what is computed is.
        let known = stored.of_node && stored.len() <= MAX_INTS;
        Ok(Some(if stored.element.is_float() && known {
            self.current = name.into();
            self.affords(stored.bytes())?;
            Val::Floats(self.folded(stored.floats(name)?))
        } else if stored.element.is_float() {
            let param = Param::Tensor { name: name.into(), shape: stored.dims.clone() };
            Val::Floats(Floats { dims: stored.dims.clone(), param })
        } else {
            check_ints(&stored.dims)?;
            let val = Val::ints(stored.dims.clone(), stored.ints(name)?.into_iter().map(Int::from).collect::<Vec<_>>());
            self.check(&val)?;
            val
        }))
    }

    /// The results of a node.
    pub(super) fn node(&mut self, mut args: Args) -> Result<Vec<Val>, Fail> {
        let node = args.node;
        let handler = ops::handler(node.op()).ok_or_else(|| format!("op {} is not supported", node.op()))?;
        self.current = node.name().to_string();
        let bytes = args.vals.iter().flatten().any(Val::is_bytes);
        if bytes && !ops::takes_bytes(node.op()) {
            return Err("computes with the input's integers, which is not supported: cast them to floats first".into());
        }
        if !ops::repeats_by_itself(node.op()) {
            for val in args.vals.iter_mut().flatten() {
                *val = self.settled(val)?;
            }
        }
        if !ops::knows_the_batch(node.op()) && args.vals.iter().flatten().any(|val| val.batch() != 0) {
            self.keeps_batch(&[0])?;
        }
        let mut results = handler(self, &args)?;
        results.iter().try_for_each(|val| self.check(val))?;
        if bytes && !ops::casts(node.op()) {
            for val in &mut results {
                if let Val::Run(run) = val {
                    run.bytes = true;
                }
            }
        }
        Ok(results)
    }

    /// Refuses results that no network needs, before there are more of them.
    fn check(&mut self, val: &Val) -> Result<(), Fail> {
        if val.dims().len() > MAX_RANK {
            return Err(format!("has a result of {} dimensions, the limit is {MAX_RANK}", val.dims().len()).into());
        }
        if !is_sound(val.dims()) {
            return Err(format!("{:?} has more elements than memory can hold", val.dims()).into());
        }
        if let Val::Ints(ints) = val {
            self.made = self.made.saturating_add(ints.data.len() * size_of::<Int>());
        }
        self.affords(0)
    }

    /// Refuses to make a table of so many taps.
    pub(super) fn affords_taps(&self, count: usize) -> Result<(), Fail> {
        // Lists of indices, of taps and of the numbers of three tensors.
        self.affords(count.saturating_mul(32))
    }

    /// Refuses to make so many bytes more.
    pub(super) fn affords(&self, bytes: usize) -> Result<(), Fail> {
        if self.made.saturating_add(bytes) <= self.most {
            return Ok(());
        }
        Err(format!("constants and nodes of more than {} MiB would have to be made", self.most >> 20).into())
    }

    /// The graph, with these outputs.
    pub(super) fn finish(mut self, outputs: &[(String, Val)]) -> Result<Graph, Fail> {
        let mut named = Vec::new();
        for (name, val) in outputs {
            self.current = format!("output.{name}");
            if val.batch() != 0 {
                self.keeps_batch(&[0])?;
            }
            let dims = val.dims().to_vec();
            let value = match self.settled(val)? {
                Val::Run(run) => run.value,
                known => {
                    if dims.first() != Some(&1) {
                        self.keeps_batch(&[0])?;
                    }
                    self.tensor(&known)?
                }
            };
            named.push((name.as_str(), self.show(value, outer_shape(&dims)?)?));
        }
        let graph = self.builder.finish_reachable(&named)?;
        let mut seen = HashSet::new();
        for (node, param) in graph.nodes().iter().flat_map(|node| node.params.iter().map(move |param| (node, param))) {
            if let Some(values) = literal_of(param)
                && seen.insert(Arc::as_ptr(values))
                && !values.data().iter().all(|x| x.is_finite())
            {
                return Err(format!("a constant of \"{}\" has NaN or infinity", node.name).into());
            }
        }
        Ok(graph)
    }

    /// Refuses to work across images.
    pub(super) fn keeps_batch(&self, axes: &[usize]) -> Result<(), Fail> {
        match self.free {
            Some(_) if axes.contains(&0) => Err(Fail::Batch("works across images".into())),
            _ => Ok(()),
        }
    }

    /// Refuses to work across the images of a value, which are apart in a dimension of its own.
    pub(super) fn keeps_batch_of(&self, val: &Val, axes: &[usize]) -> Result<(), Fail> {
        match val.is_run() && axes.contains(&val.batch()) {
            true => self.keeps_batch(&[0]),
            false => Ok(()),
        }
    }

    /// Adds a node; the first of an ONNX node has its name.
    pub(super) fn add(&mut self, op: Op, inputs: &[Value], params: Vec<Param>) -> Result<Value, Fail> {
        let name = self.fresh(if let Op::Reshape(_) | Op::Constant(_) = op { op.kind() } else { "" });
        self.affords(0)?;
        Ok(self.builder.add_with(&name, op, inputs, params)?)
    }

    fn fresh(&mut self, suffix: &str) -> String {
        let base = if suffix.is_empty() { self.current.clone() } else { format!("{}.{suffix}", self.current) };
        let mut name = base.clone();
        let mut last = self.names.get(&base).copied().unwrap_or(0);
        while self.names.contains_key(&name) {
            last += 1;
            name = format!("{base}.{}", last + 1);
        }
        self.names.insert(base, last);
        self.names.insert(name.clone(), 0);
        // Graph, builder and this keep it.
        self.made = self.made.saturating_add(3 * name.len() + NODE_BYTES);
        name
    }

    /// A value of the graph under another shape.
    pub(super) fn show(&mut self, value: Value, shape: Shape) -> Result<Value, Fail> {
        if self.builder.shape(value) == shape {
            return Ok(value);
        }
        if let Some(&shown) = self.shown.get(&(value, shape)) {
            return Ok(shown);
        }
        let shown = self.add(Op::Reshape(crate::ops::Reshape { shape }), &[value], Vec::new())?;
        self.shown.insert((value, shape), shown);
        Ok(shown)
    }

    /// A value as a tensor of its own dimensions; numbers become a node.
    pub(super) fn tensor(&mut self, val: &Val) -> Result<Value, Fail> {
        match self.settled(val)? {
            Val::Run(run) => {
                let shape = tensor_shape(&run.dims)?;
                self.show(run.value, shape)
            }
            val => {
                let floats = self.floats(&val)?;
                let shape = tensor_shape(&floats.dims)?;
                self.add(Op::Constant(crate::ops::Constant { shape }), &[], vec![floats.param])
            }
        }
    }

    /// A value of four dimensions as a map, or of three with a height of 1.
    pub(super) fn map(&mut self, val: &Val) -> Result<(Value, [usize; 3]), Fail> {
        let Val::Run(run) = self.settled(val)? else { return Err("must depend on the network's input".into()) };
        let dims = match *run.dims {
            [1, c, h, w] => [c, h, w],
            [1, c, l] => [c, 1, l],
            [n, _, _, _] | [n, _, _] if n > 1 => {
                let message = format!("works on a batch of {n} inside one image, which is not supported");
                return Err(if self.free.is_some() { Fail::Batch(message) } else { message.into() });
            }
            _ => return Err(format!("expects 3 or 4 dimensions, input is {:?}", run.dims).into()),
        };
        let [c, h, w] = dims;
        Ok((self.show(run.value, Shape::map(c, h, w))?, dims))
    }

    /// All elements but the batch as a vector.
    pub(super) fn vector(&mut self, run: &Run) -> Result<Value, Fail> {
        let shape = Shape::vector(run.dims.iter().product());
        self.show(run.value, shape)
    }

    /// The value with its repetition carried out.
    pub(super) fn settled(&mut self, val: &Val) -> Result<Val, Fail> {
        let Val::Run(Run { value, dims, expanded: Some(expanded), .. }) = val else { return Ok(val.clone()) };
        self.repeated(&Val::run(*value, dims.clone()), expanded)
    }

    /// A value repeated to these dimensions, which it broadcasts to. Integers become floats.
    pub(super) fn repeated(&mut self, val: &Val, dims: &[usize]) -> Result<Val, Fail> {
        let val = match self.settled(val)? {
            ints @ Val::Ints(_) => Val::Floats(self.floats(&ints)?),
            val => val,
        };
        let mut repeated = val.viewed(padded(val.dims(), dims.len()));
        for (axis, &size) in dims.iter().enumerate() {
            if repeated.dims()[axis] != size {
                self.affords_taps(size)?;
                repeated = self.taken(&repeated, axis, &vec![0; size])?;
            }
        }
        Ok(repeated)
    }

    /// Positions `index` along an axis.
    pub(super) fn taken(&mut self, val: &Val, axis: usize, index: &[usize]) -> Result<Val, Fail> {
        let taps: Vec<(f32, f32)> = index.iter().map(|&i| (i as f32, 1.0)).collect();
        self.resampled(val, axis, 1, &taps, &vec![0.0; index.len()])
    }

    /// [`crate::ops::Resample`] with these taps (index and weight), `offset.len()` times as many as `count`.
    pub(super) fn resampled(
        &mut self,
        val: &Val,
        axis: usize,
        count: usize,
        taps: &[(f32, f32)],
        offset: &[f32],
    ) -> Result<Val, Fail> {
        if let Val::Ints(ints) = val {
            if count != 1 || taps.iter().any(|tap| tap.1 != 1.0) || offset.iter().any(|&x| x != 0.0) {
                return Err("computes with integers, which is not supported".into());
            }
            return self.moved(ints, |this, positions| this.resampled(positions, axis, count, taps, offset));
        }
        self.keeps_batch_of(val, &[axis])?;
        let size = offset.len();
        if size == 0 {
            return Err("leaves nothing".into());
        }
        let table = |of: fn(&(f32, f32)) -> f32| Tensor::new([size, count], taps.iter().map(of).collect());
        let tables = [table(|tap| tap.0)?, table(|tap| tap.1)?, Tensor::new([size], offset.to_vec())?];
        let params = ["index", "weight", "offset"].into_iter().zip(tables);
        let params = params.map(|(role, values)| self.literal(role, values)).collect();
        let resampled =
            self.tensor_op(Op::Resample(crate::ops::Resample { axis, size, taps: count }), &[val], params)?;
        Ok(resampled.with_batch(val.batch()))
    }

    /// Numbers that the graph brings along.
    pub(super) fn literal(&mut self, role: &str, values: Tensor) -> Param {
        let name = self.fresh(role);
        self.made = self.made.saturating_add(4 * values.data().len());
        Param::Values { name, values: Arc::new(values) }
    }

    /// An op on tensors of any rank. Of numbers, the result is numbers.
    pub(super) fn tensor_op(&mut self, op: Op, inputs: &[&Val], params: Vec<Param>) -> Result<Val, Fail> {
        if inputs.iter().all(|val| !val.is_run()) {
            return self.evaluated(&op, inputs, &params);
        }
        let values: Vec<Value> = inputs.iter().map(|val| self.tensor(val)).collect::<Result<_, _>>()?;
        let value = self.add(op, &values, params)?;
        let dims = self.builder.shape(value).dims();
        Ok(Val::run(value, dims))
    }

    /// An elementwise op, in whatever shape the graph has the value.
    pub(super) fn elementwise(&mut self, op: Op, val: &Val) -> Result<Val, Fail> {
        match val {
            Val::Run(run) => {
                let value = self.add(op, &[run.value], Vec::new())?;
                Ok(Val::Run(Run { value, ..run.clone() }))
            }
            val => self.evaluated(&op, &[val], &[]),
        }
    }

    fn evaluated(&mut self, op: &Op, inputs: &[&Val], params: &[Param]) -> Result<Val, Fail> {
        if inputs.iter().any(|val| val.len() == 0) {
            return Err("computes with a value of no elements".into());
        }
        let (mut of, mut shapes) = (Vec::new(), Vec::new());
        for val in inputs {
            let floats = self.floats(val)?;
            shapes.push(tensor_shape(&floats.dims)?);
            of.push(floats.param);
        }
        let shape = op.definition().shape(&shapes)?;
        check_params(op, &shapes, params)?;
        if op.definition().macs(&shapes, shape) > MAX_FOLDED_MACS {
            return Err("is a product of constants too large to compute while importing".into());
        }
        self.computed(Recipe::new(Formula::Op(op.clone(), params.to_vec()), of, shape.dims()))
    }

    /// What a recipe makes: large numbers when they are read, others now.
    pub(super) fn computed(&mut self, recipe: Recipe) -> Result<Val, Fail> {
        let dims = recipe.shape().to_vec();
        self.spend(&dims)?;
        if recipe.may_wait() {
            let name = self.fresh("folded");
            return Ok(Val::Floats(Floats { dims, param: Param::Computed { name, recipe: Arc::new(recipe) } }));
        }
        let bytes = recipe.inputs().map(Param::shape).chain([dims.as_slice()]);
        let bytes = bytes.map(|dims| element_count(dims).unwrap_or(usize::MAX).saturating_mul(4));
        self.affords(bytes.fold(0, usize::saturating_add))?;
        let values = recipe.resolve(self.weights)?;
        Ok(Val::Floats(self.folded(values)))
    }

    /// An op of one map, of numbers known now.
    pub(super) fn evaluated_map(&mut self, op: &Op, x: &Val, dims: [usize; 4], params: &[Param]) -> Result<Val, Fail> {
        let [batch, channels, height, width] = dims;
        let map = Shape::map(channels, height, width);
        let shape = op.definition().shape(&[map])?;
        check_params(op, &[map], params)?;
        let result = shape.with_batch(batch);
        self.spend(&result)?;
        if op.definition().macs(&[map], shape).saturating_mul(batch as u64) > MAX_FOLDED_MACS {
            return Err("is a product of constants too large to compute while importing".into());
        }
        let x = self.numbers(x, "its input")?.reshape(dims)?;
        let params: Vec<Tensor> = params.iter().map(|p| p.resolve(self.weights)).collect::<Result<_, _>>()?;
        Ok(Val::Floats(self.folded(op.definition().reference(&[&x], &params))))
    }

    /// Accounts for numbers that are computed now.
    fn spend(&mut self, dims: &[usize]) -> Result<(), Fail> {
        let count = element_count(dims).unwrap_or(usize::MAX);
        self.folded = self.folded.saturating_add(count);
        if self.folded <= self.most_folded {
            return Ok(());
        }
        Err(format!("constants of more than {} elements would have to be computed", self.most_folded).into())
    }

    pub(super) fn folded(&mut self, values: Tensor) -> Floats {
        let dims = values.shape().to_vec();
        Floats { dims, param: self.literal("folded", values) }
    }

    /// Numbers known now, as floats.
    pub(super) fn floats(&mut self, val: &Val) -> Result<Floats, Fail> {
        match val {
            Val::Floats(floats) => Ok(floats.clone()),
            Val::Ints(ints) => {
                let data = plain(val, "its numbers")?.into_iter().map(|value| value as f32).collect();
                Ok(self.folded(Tensor::new(ints.dims.clone(), data)?))
            }
            Val::Run(_) => Err("must not depend on the network's input".into()),
        }
    }

    /// The numbers of a value known now.
    pub(super) fn numbers(&mut self, val: &Val, what: &str) -> Result<Tensor, Fail> {
        if val.is_run() {
            return Err(format!("{what} must not depend on the network's input").into());
        }
        let floats = self.floats(val)?;
        self.spend(&floats.dims)?;
        Ok(floats.param.resolve(self.weights)?)
    }

    /// Whether its numbers are in a file that may not be read.
    pub(super) fn is_unread(&self, floats: &Floats) -> bool {
        let mut unread = false;
        let stored = |name: &str| self.source.stored.get(name);
        floats.param.for_each_tensor(&mut |name, _| unread |= stored(name).is_some_and(|s| s.elsewhere().is_some()));
        unread
    }

    /// As [`Translator::numbers`], of numbers that may be infinite.
    pub(super) fn bounds(&mut self, val: &Val, what: &str) -> Result<Tensor, Fail> {
        if let Val::Floats(Floats { param: Param::Tensor { name, .. }, .. }) = val
            && let Some(values) = self.source.floats(name)?
        {
            return Ok(values);
        }
        self.numbers(val, what)
    }

    /// Integers moved the way that `how` moves floats.
    pub(super) fn moved(
        &mut self,
        ints: &Ints,
        how: impl FnOnce(&mut Self, &Val) -> Result<Val, Fail>,
    ) -> Result<Val, Fail> {
        let positions = Tensor::from_fn(ints.dims.clone(), |i| i as f32);
        let positions = Val::Floats(self.folded(positions));
        let moved = how(self, &positions)?;
        check_ints(moved.dims())?;
        let Val::Floats(floats) = &moved else { return Err(unknown("its elements")) };
        let found = floats.param.resolve(self.weights)?;
        let data: Vec<Int> = found.data().iter().map(|&at| ints.data[at as usize]).collect();
        Ok(Val::ints(floats.dims.clone(), data))
    }

    /// Two lists of integers element by element, broadcast.
    pub(super) fn zipped(
        &mut self,
        a: &Ints,
        b: &Ints,
        mut f: impl FnMut(Int, Int) -> Result<Int, Fail>,
    ) -> Result<Val, Fail> {
        let dims =
            broadcast(&a.dims, &b.dims).ok_or_else(|| format!("{:?} and {:?} don't broadcast", a.dims, b.dims))?;
        check_ints(&dims)?;
        let data = (0..dims.iter().product()).map(|i| {
            let at = crate::tensor::coordinates(i, &dims);
            f(a.data[crate::ops::broadcast_index(&a.dims, &at)], b.data[crate::ops::broadcast_index(&b.dims, &at)])
        });
        let data = data.collect::<Result<Vec<Int>, Fail>>()?;
        Ok(Val::ints(dims, data))
    }
}

/// The numbers that a parameter brings along.
fn literal_of(param: &Param) -> Option<&Arc<Tensor>> {
    match param {
        Param::Values { values, .. } => Some(values),
        Param::Reshaped { of, .. } | Param::Transposed { of, .. } => literal_of(of),
        _ => None,
    }
}

/// Refuses lists of integers that no network's shapes need.
pub(super) fn check_ints(dims: &[usize]) -> Result<(), Fail> {
    match element_count(dims) {
        Some(count) if count <= MAX_INTS => Ok(()),
        _ => Err(format!("integers of shape {dims:?}: more than {MAX_INTS}").into()),
    }
}

/// Dimensions with ones put before them up to `rank`.
pub(super) fn padded(dims: &[usize], rank: usize) -> Vec<usize> {
    let mut padded = vec![1; rank.saturating_sub(dims.len())];
    padded.extend(dims);
    padded
}

fn tensor_shape(dims: &[usize]) -> Result<Shape, Fail> {
    let dims = Dims::new(dims).ok_or_else(|| format!("{dims:?} has more than {} dimensions", Dims::MAX))?;
    Ok(Shape::Tensor(dims))
}

/// How a network's input or output shows itself to its user: without the batch.
fn outer_shape(dims: &[usize]) -> Result<Shape, Fail> {
    match *dims {
        [1, c, h, w] => Ok(Shape::map(c, h, w)),
        [1, f] => Ok(Shape::vector(f)),
        [1, ref rest @ ..] => tensor_shape(rest),
        ref dims => tensor_shape(dims),
    }
}
