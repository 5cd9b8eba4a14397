//! A graph as an ONNX file, spelt as PyTorch's TorchScript exporter spells it.

use super::onnx_bytes::{self, Message, message, shaped};
use excite::graph::{Node, Param};
use excite::import::onnx::{OnnxModel, OnnxOptions};
use excite::ops::{Act, Arithmetic, Op, PoolKind, Reduction, Unary};
use excite::{Graph, Shape, Tensor, Weights};
use std::collections::HashSet;
use std::path::Path;

type Outcome<T = ()> = Result<T, String>;

/// File beside the model that all tensors are in, where they are zeros.
pub const ZEROS: &str = "zeros";

/// Where the weights' numbers are.
#[derive(Clone, Copy)]
pub enum Numbers<'a> {
    /// In the file.
    Of(&'a Weights),
    /// Zeros, all at the beginning of the file [`ZEROS`], which is as long as the largest tensor: for plans.
    Zeros,
}

/// The file, with the batch left open.
pub fn to_onnx(graph: &Graph, numbers: Numbers) -> Outcome<Vec<u8>> {
    let dilated =
        |node: &Node| matches!(&node.op, Op::Pool(pool) if pool.kind == PoolKind::Avg && pool.dilation != [1, 1]);
    // Average pools have dilations since 19.
    let mut file = File { numbers, ..File::new(if graph.nodes().iter().any(dilated) { 19 } else { 17 }) };
    let mut values: Vec<Value> = Vec::new();
    for node in graph.nodes() {
        let inputs: Vec<Value> = node.inputs.iter().map(|id| values[id.index()].clone()).collect();
        let value = file.node(node, &inputs).map_err(|e| format!("{}: {e}", node.name))?;
        values.push(value);
    }
    let mut outputs = Vec::new();
    for (name, id) in graph.outputs() {
        let value = file.flat_if_vector(&values[id.index()])?;
        file.emit("Identity", &[&value.name], name, &[])?;
        outputs.push((name.as_str(), value.dims()));
    }
    file.model((&graph.nodes()[0].name, &graph.input_shape().dims()), &outputs)
}

/// A network of the zoo, through a file in this folder.
pub fn through_a_file(graph: &Graph, folder: &Path) -> super::golden::Outcome<OnnxModel> {
    let path = folder.join("net.onnx");
    std::fs::write(&path, to_onnx(graph, Numbers::Zeros)?)?;
    let largest = graph.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).max().unwrap_or(0);
    std::fs::File::create(folder.join(ZEROS))?.set_len(4 * largest as u64)?;
    Ok(OnnxModel::from_onnx_with(&path, &OnnxOptions::default().external_data(true))?)
}

/// A name in the file, and what it stands for. A vector is `[N,F,1,1]` behind a pool.
#[derive(Clone)]
struct Value {
    name: String,
    shape: Shape,
    flat: bool,
}

impl Value {
    fn dims(&self) -> Vec<usize> {
        match self.flat {
            true => vec![self.shape.len()],
            false => vec![self.shape.channels(), self.shape.height(), self.shape.width()],
        }
    }
}

pub enum Attribute<'a> {
    Int(&'a str, usize),
    Float(&'a str, f32),
    Ints(&'a str, Vec<i64>),
    Text(&'a str, &'a str),
    Tensor(&'a str, Vec<u8>),
}

use Attribute::{Float, Int, Ints};

/// A tensor in the file; the numbers are `raw_data`.
fn tensor(name: &str, dims: &[usize], data_type: i64, raw: &[u8]) -> Vec<u8> {
    shaped(name, data_type, &whole(dims)).bytes(9, raw).0
}

fn whole(dims: &[usize]) -> Vec<i64> {
    dims.iter().map(|&dim| dim as i64).collect()
}

fn floats(name: &str, values: &Tensor, dims: &[usize]) -> Vec<u8> {
    onnx_bytes::floats(name, &whole(dims), values.data()).0
}

/// A tensor in the file [`ZEROS`].
fn zeros(name: &str, dims: &[usize]) -> Vec<u8> {
    let length = (4 * dims.iter().product::<usize>()).to_string();
    let entries = [("location", ZEROS), ("offset", "0"), ("length", &length)];
    let entry = |tensor: Message, (key, text)| tensor.bytes(13, message().bytes(1, key).bytes(2, text));
    entries.into_iter().fold(shaped(name, 1, &whole(dims)), entry).int(14, 1).0
}

/// An input or output of floats, after the batch.
fn declared(name: &str, batch: Option<usize>, dims: &[usize]) -> Message {
    let batch = match batch {
        Some(size) => message().int(1, size as i64),
        None => message().bytes(2, "batch"),
    };
    let dims = dims.iter().map(|&dim| message().int(1, dim as i64));
    let shape = std::iter::once(batch).chain(dims).fold(message(), |shape, dim| shape.bytes(1, dim));
    message().bytes(1, name).bytes(2, message().bytes(1, message().int(1, 1).bytes(2, shape)))
}

impl Attribute<'_> {
    fn of(&self, node: Message) -> Message {
        match self {
            Self::Float(name, value) => node.with_float(name, *value),
            Self::Int(name, value) => node.with_int(name, *value as i64),
            Self::Tensor(name, bytes) => node.with_tensor(name, Message(bytes.clone())),
            Self::Ints(name, values) => node.with_ints(name, values),
            Self::Text(name, text) => node.with_text(name, text),
        }
    }
}

/// A file while it is written.
pub struct File<'a> {
    opset: i64,
    /// The batch, where the file is made for one.
    pub batch: Option<usize>,
    numbers: Numbers<'a>,
    nodes: Vec<Message>,
    tensors: Vec<Vec<u8>>,
    stored: HashSet<String>,
    count: usize,
}

impl File<'_> {
    pub fn new(opset: i64) -> Self {
        Self {
            opset,
            batch: None,
            numbers: Numbers::Zeros,
            nodes: Vec::new(),
            tensors: Vec::new(),
            stored: HashSet::new(),
            count: 0,
        }
    }

    /// The file, with an input and outputs of these dimensions after the batch.
    pub fn model(&self, input: (&str, &[usize]), outputs: &[(&str, Vec<usize>)]) -> Outcome<Vec<u8>> {
        let body = self.nodes.iter().fold(message(), |body, node| body.bytes(1, node)).bytes(2, "main_graph");
        let body = self.tensors.iter().fold(body, |body, tensor| body.bytes(5, tensor));
        let body = body.bytes(11, declared(input.0, self.batch, input.1));
        let body = outputs.iter().fold(body, |body, (name, dims)| body.bytes(12, declared(name, self.batch, dims)));
        let opset = message().int(2, self.opset);
        Ok(message().int(1, 8).bytes(2, "pytorch").bytes(7, body).bytes(8, opset).0)
    }

    /// A node.
    pub fn emit(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[Attribute]) -> Outcome<String> {
        self.emit_all(op, inputs, &[output], attributes)
    }

    /// A node of several results: the name of the first.
    pub fn emit_all(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Attribute],
    ) -> Outcome<String> {
        let node = onnx_bytes::node(op, inputs, outputs).bytes(3, format!("/{}/{op}", outputs[0]));
        self.nodes.push(attributes.iter().fold(node, |node, attribute| attribute.of(node)));
        Ok(outputs[0].into())
    }

    /// A node whose result gets a name of its own.
    pub fn add(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute]) -> Outcome<String> {
        self.count += 1;
        let name = format!("/{op}_{}", self.count);
        self.emit(op, inputs, &name, attributes)
    }

    /// A tensor of the file.
    pub fn store(&mut self, name: &str, values: &Tensor) -> Outcome<String> {
        self.tensors.push(floats(name, values, values.shape()));
        Ok(name.into())
    }

    /// A tensor in the file [`ZEROS`].
    pub fn store_zeros(&mut self, name: &str, dims: &[usize]) -> Outcome<String> {
        self.tensors.push(zeros(name, dims));
        Ok(name.into())
    }

    /// A tensor of the file, of this type's number and these bytes.
    pub fn store_raw(&mut self, name: &str, dims: &[usize], data_type: i64, raw: &[u8]) -> Outcome<String> {
        self.tensors.push(tensor(name, dims, data_type, raw));
        Ok(name.into())
    }

    /// A number, as a node.
    fn number(&mut self, value: f32) -> Outcome<String> {
        let value = floats("", &Tensor::full([1], value), &[]);
        self.add("Constant", &[], &[Attribute::Tensor("value", value)])
    }

    /// Integers, as a node.
    pub fn integers(&mut self, values: &[i64]) -> Outcome<String> {
        let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let value = tensor("", &[values.len()], 7, &raw);
        self.add("Constant", &[], &[Attribute::Tensor("value", value)])
    }

    /// A parameter, as a tensor of these dimensions.
    fn param(&mut self, param: &Param, dims: &[usize]) -> Outcome<String> {
        let (name, values) = match (param, self.numbers) {
            (Param::Tensor { name, .. }, Numbers::Zeros) => (name.clone(), None),
            (Param::Tensor { name, shape }, Numbers::Of(weights)) => {
                (name.clone(), Some(weights.get(name, shape).map_err(|e| e.to_string())?))
            }
            (Param::Fill { value, shape }, _) => {
                self.count += 1;
                (format!("fill_{}", self.count), Some(Tensor::full(shape.clone(), *value)))
            }
            (other, _) => return Err(format!("no file has {other:?}")),
        };
        if self.stored.insert(name.clone()) {
            self.tensors.push(match values {
                Some(values) => floats(&name, &values, dims),
                None => zeros(&name, dims),
            });
        }
        Ok(name)
    }

    fn params(&mut self, params: &[Param], weight: &[usize]) -> Outcome<Vec<String>> {
        let dims = |i: usize, param: &Param| if i == 0 { weight.to_vec() } else { param.shape().to_vec() };
        params.iter().enumerate().map(|(i, param)| self.param(param, &dims(i, param))).collect()
    }

    fn act(&mut self, act: Act, x: &str) -> Outcome<String> {
        Ok(match act {
            Act::Identity => x.into(),
            Act::Relu => self.add("Relu", &[x], &[])?,
            Act::Relu6 => self.clip(x, 0.0, 6.0)?,
            Act::LeakyRelu(slope) => self.add("LeakyRelu", &[x], &[Float("alpha", slope)])?,
            Act::Sigmoid => self.add("Sigmoid", &[x], &[])?,
            Act::HardSigmoid => self.add("HardSigmoid", &[x], &[Float("alpha", 1.0 / 6.0)])?,
            Act::HardSwish => self.add("HardSwish", &[x], &[])?,
            Act::Tanh => self.add("Tanh", &[x], &[])?,
            Act::Elu(alpha) => self.add("Elu", &[x], &[Float("alpha", alpha)])?,
            Act::Softplus => self.add("Softplus", &[x], &[])?,
            Act::Silu => {
                let gate = self.add("Sigmoid", &[x], &[])?;
                self.add("Mul", &[x, &gate], &[])?
            }
            Act::Mish => {
                let inner = self.add("Softplus", &[x], &[])?;
                let inner = self.add("Tanh", &[&inner], &[])?;
                self.add("Mul", &[x, &inner], &[])?
            }
            Act::Gelu => {
                let inner = self.with_number("Div", x, 2.0f32.sqrt())?;
                let inner = self.add("Erf", &[&inner], &[])?;
                let inner = self.with_number("Add", &inner, 1.0)?;
                let product = self.add("Mul", &[x, &inner], &[])?;
                self.with_number("Mul", &product, 0.5)?
            }
            Act::Clamp { scale, shift, min, max } => {
                let mut y = x.to_string();
                if scale != 1.0 {
                    y = self.with_number("Mul", &y, scale)?;
                }
                if shift != 0.0 {
                    y = self.with_number("Add", &y, shift)?;
                }
                if min > f32::MIN || max < f32::MAX { self.clip(&y, min, max)? } else { y }
            }
            other => return Err(format!("{other:?} is not spelt")),
        })
    }

    /// Whole planes as a number each.
    fn pooled(&mut self, kind: PoolKind, x: &str) -> Outcome<String> {
        match kind {
            PoolKind::Avg => self.add("GlobalAveragePool", &[x], &[]),
            PoolKind::Max => self.add("GlobalMaxPool", &[x], &[]),
            PoolKind::AvgMax => {
                let [mean, largest] = [self.pooled(PoolKind::Avg, x)?, self.pooled(PoolKind::Max, x)?];
                let [mean, largest] = [self.with_number("Mul", &mean, 0.5)?, self.with_number("Mul", &largest, 0.5)?];
                self.add("Add", &[&mean, &largest], &[])
            }
        }
    }

    /// Two tensors of one rank: the file has the batch before their dimensions, where broadcasting must leave it.
    fn of_one_rank(&mut self, inputs: &[Value]) -> Outcome<[String; 2]> {
        let rank = inputs.iter().map(|x| x.shape.dims().len()).max().unwrap_or(0);
        let mut names = Vec::new();
        for x in inputs {
            let dims = x.shape.dims();
            let ones = std::iter::repeat_n(1, rank - dims.len());
            let padded: Vec<i64> = std::iter::once(-1).chain(ones).chain(dims.iter().map(|&d| d as i64)).collect();
            names.push(if dims.len() == rank { self.flat_if_vector(x)?.name } else { self.reshape(&x.name, &padded)? });
        }
        names.try_into().map_err(|_| "expects two inputs".into())
    }

    fn with_number(&mut self, op: &str, x: &str, number: f32) -> Outcome<String> {
        let number = self.number(number)?;
        self.add(op, &[x, &number], &[])
    }

    fn clip(&mut self, x: &str, min: f32, max: f32) -> Outcome<String> {
        let (min, max) = (self.number(min)?, self.number(max)?);
        self.add("Clip", &[x, &min, &max], &[])
    }

    fn reshape(&mut self, x: &str, dims: &[i64]) -> Outcome<String> {
        let dims = self.integers(dims)?;
        self.add("Reshape", &[x, &dims], &[])
    }

    /// `[N,F]` where it is a vector.
    fn flat_if_vector(&mut self, x: &Value) -> Outcome<Value> {
        match x.shape {
            Shape::Vector { .. } if !x.flat => {
                Ok(Value { name: self.add("Flatten", &[&x.name], &[Int("axis", 1)])?, flat: true, ..x.clone() })
            }
            _ => Ok(x.clone()),
        }
    }

    /// Four dimensions.
    fn map(&mut self, x: &Value) -> Outcome<String> {
        let [c, h, w] = [x.shape.channels(), x.shape.height(), x.shape.width()].map(|size| size as i64);
        if x.flat { self.reshape(&x.name, &[-1, c, h, w]) } else { Ok(x.name.clone()) }
    }

    fn node(&mut self, node: &Node, inputs: &[Value]) -> Outcome<Value> {
        let shape = node.shape;
        let is_vector = matches!(shape, Shape::Vector { .. });
        let mut flat = is_vector;
        let name = match &node.op {
            Op::Input(_) => node.name.clone(),
            Op::Conv2d(op) if op.gate == excite::ops::Gating::None && !op.residual => {
                let own = inputs[0].shape.channels() / op.groups;
                let params = self.params(&node.params, &[op.out_channels, own, op.kernel[0], op.kernel[1]])?;
                let [x, params] = [vec![self.map(&inputs[0])?], params];
                let p = op.padding;
                let y = self.add(
                    "Conv",
                    &x.iter().chain(&params).map(String::as_str).collect::<Vec<_>>(),
                    &[
                        Ints("dilations", op.dilation.map(|d| d as i64).to_vec()),
                        Int("group", op.groups),
                        Ints("kernel_shape", op.kernel.map(|k| k as i64).to_vec()),
                        Ints("pads", [p.top, p.left, p.bottom, p.right].map(|p| p as i64).to_vec()),
                        Ints("strides", op.stride.map(|s| s as i64).to_vec()),
                    ],
                )?;
                self.act(op.act, &y)?
            }
            Op::Linear(op) => {
                let x = match inputs[0].shape {
                    Shape::Map { .. } => self.add("Flatten", &[&inputs[0].name], &[Int("axis", 1)])?,
                    _ => self.flat_if_vector(&inputs[0])?.name,
                };
                let params = self.params(&node.params, &[op.out_features, inputs[0].shape.len()])?;
                let args: Vec<&str> = std::iter::once(&x).chain(&params).map(String::as_str).collect();
                let y = self.add("Gemm", &args, &[Float("alpha", 1.0), Float("beta", 1.0), Int("transB", 1)])?;
                self.act(op.act, &y)?
            }
            Op::BatchNorm(op) => {
                let params = self.params(&node.params, &[shape.channels()])?;
                let args: Vec<&str> = std::iter::once(&inputs[0].name).chain(&params).map(String::as_str).collect();
                flat = inputs[0].flat;
                let y = self.add("BatchNormalization", &args, &[Float("epsilon", op.eps as f32)])?;
                self.act(op.act, &y)?
            }
            Op::Pool(op) => {
                let x = self.map(&inputs[0])?;
                let p = op.padding;
                let mut attributes = vec![
                    Int("ceil_mode", op.ceil_mode.into()),
                    Ints("kernel_shape", op.kernel.map(|k| k as i64).to_vec()),
                    Ints("pads", [p.top, p.left, p.bottom, p.right].map(|p| p as i64).to_vec()),
                    Ints("strides", op.stride.map(|s| s as i64).to_vec()),
                ];
                if op.dilation != [1, 1] || op.kind == PoolKind::Max {
                    attributes.push(Ints("dilations", op.dilation.map(|d| d as i64).to_vec()));
                }
                if op.kind == PoolKind::Avg {
                    attributes.push(Int("count_include_pad", op.count_include_pad.into()));
                }
                self.add(if op.kind == PoolKind::Max { "MaxPool" } else { "AveragePool" }, &[&x], &attributes)?
            }
            Op::GlobalPool(op) => {
                let x = self.map(&inputs[0])?;
                flat = false;
                self.pooled(op.kind, &x)?
            }
            Op::Activation(act) => {
                flat = inputs[0].flat;
                self.act(*act, &inputs[0].name)?
            }
            Op::Unary(op) => {
                flat = inputs[0].flat;
                let x = &inputs[0].name;
                match op {
                    Unary::Power(power) => self.with_number("Pow", x, *power)?,
                    op => self.add(&format!("{op:?}"), &[x], &[])?,
                }
            }
            Op::Add(excite::ops::Add { act }) => {
                let [a, b] = [self.flat_if_vector(&inputs[0])?, self.flat_if_vector(&inputs[1])?];
                let y = self.add("Add", &[&a.name, &b.name], &[])?;
                self.act(*act, &y)?
            }
            Op::Mul(_) => {
                let [a, b] = [self.flat_if_vector(&inputs[0])?, self.flat_if_vector(&inputs[1])?];
                self.add("Mul", &[&a.name, &b.name], &[])?
            }
            Op::Scale(op) if !op.residual => {
                let (x, gate) = (self.map(&inputs[0])?, self.map(&inputs[1])?);
                flat = false;
                let y = self.add("Mul", &[&x, &gate], &[])?;
                self.act(op.act, &y)?
            }
            Op::SqueezeExcite(op) => {
                let (channels, reduced) = (inputs[0].shape.channels(), op.reduced);
                let x = self.map(&inputs[0])?;
                let mut y = match op.squeeze {
                    PoolKind::Avg => self.add("ReduceMean", &[&x], &[Ints("axes", vec![2, 3]), Int("keepdims", 1)])?,
                    kind => self.pooled(kind, &x)?,
                };
                let (first, second) = node.params.split_at(node.params.len() / 2);
                let layers =
                    [(first, [reduced, channels, 1, 1], op.hidden), (second, [channels, reduced, 1, 1], op.gate)];
                for (params, weight, act) in layers {
                    let params = self.params(params, &weight)?;
                    let args: Vec<&str> = std::iter::once(&y).chain(&params).map(String::as_str).collect();
                    let layer = self.add("Conv", &args, &[Ints("kernel_shape", vec![1, 1])])?;
                    y = self.act(act, &layer)?;
                }
                flat = false;
                y
            }
            Op::Concat(excite::ops::Concat { axis: 0 }) => {
                let parts = inputs.iter().map(|part| self.flat_if_vector(part)).collect::<Outcome<Vec<_>>>()?;
                let parts: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
                self.add("Concat", &parts, &[Int("axis", 1)])?
            }
            // As PyTorch says `x.view(n, groups, c // groups, h, w)`.
            Op::ChannelShuffle(op) => {
                let x = &inputs[0].name;
                let [c, h, w, groups] = [shape.channels(), shape.height(), shape.width(), op.groups].map(|n| n as i64);
                let sizes = self.add("Shape", &[x], &[])?;
                let zero = self.integers(&[0])?;
                let batch = self.add("Gather", &[&sizes, &zero], &[Int("axis", 0)])?;
                let shaped = |file: &mut Self, x: &str, dims: &[i64]| {
                    let dims = file.integers(dims)?;
                    let dims = file.add("Concat", &[&batch, &dims], &[Int("axis", 0)])?;
                    file.add("Reshape", &[x, &dims], &[Int("allowzero", 0)])
                };
                let y = shaped(self, x, &[groups, c / groups, h, w])?;
                let y = self.add("Transpose", &[&y], &[Ints("perm", vec![0, 2, 1, 3, 4])])?;
                shaped(self, &y, &[c, h, w])?
            }
            Op::Reshape(_) => {
                let x = &inputs[0].name;
                match shape {
                    Shape::Vector { .. } => self.add("Flatten", &[x], &[Int("axis", 1)])?,
                    shape => {
                        let dims: Vec<i64> =
                            std::iter::once(-1).chain(shape.dims().iter().map(|&d| d as i64)).collect();
                        self.reshape(x, &dims)?
                    }
                }
            }
            Op::Pad(op) => {
                let x = self.map(&inputs[0])?;
                let sides = [0, 0, op.top, op.left, 0, 0, op.bottom, op.right].map(|side| side as i64);
                let sides = self.integers(&sides)?;
                let zero = self.number(0.0)?;
                self.add("Pad", &[&x, &sides, &zero], &[])?
            }
            Op::Softmax(_) => {
                let x = self.flat_if_vector(&inputs[0])?;
                self.add("Softmax", &[&x.name], &[Int("axis", 1)])?
            }
            Op::Permute(op) => {
                let order = std::iter::once(0).chain(op.order.iter().map(|&axis| axis as i64 + 1)).collect();
                let x = self.flat_if_vector(&inputs[0])?;
                self.add("Transpose", &[&x.name], &[Ints("perm", order)])?
            }
            Op::Arithmetic(op) => {
                let [a, b] = self.of_one_rank(inputs)?;
                let name = match op {
                    Arithmetic::Add => "Add",
                    Arithmetic::Sub => "Sub",
                    Arithmetic::Mul => "Mul",
                    Arithmetic::Div => "Div",
                    Arithmetic::Pow => "Pow",
                    Arithmetic::Min => "Min",
                    Arithmetic::Max => "Max",
                    other => return Err(format!("{other} is not spelt")),
                };
                self.add(name, &[&a, &b], &[])?
            }
            Op::MatMul(_) => {
                let [a, b] = self.of_one_rank(inputs)?;
                self.add("MatMul", &[&a, &b], &[])?
            }
            Op::Reduce(op) => {
                let x = self.flat_if_vector(&inputs[0])?;
                let name = match op.reduction {
                    Reduction::Mean => "ReduceMean",
                    Reduction::Sum => "ReduceSum",
                    Reduction::Prod => "ReduceProd",
                    Reduction::Max => "ReduceMax",
                    Reduction::Min => "ReduceMin",
                };
                // No axes mean all of them in a file.
                if op.axes.is_empty() {
                    return Err(format!("{op:?} is not spelt"));
                }
                let axes: Vec<i64> = op.axes.iter().map(|&axis| axis as i64 + 1).collect();
                if op.reduction == Reduction::Sum {
                    let axes = self.integers(&axes)?;
                    self.add(name, &[&x.name, &axes], &[Int("keepdims", 1)])?
                } else {
                    self.add(name, &[&x.name], &[Ints("axes", axes), Int("keepdims", 1)])?
                }
            }
            Op::Concat(op) if !matches!(shape, Shape::Map { .. }) => {
                let parts = inputs.iter().map(|part| self.flat_if_vector(part)).collect::<Outcome<Vec<_>>>()?;
                let parts: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
                self.add("Concat", &parts, &[Int("axis", op.axis + 1)])?
            }
            other => return Err(format!("{} is not spelt", other.kind())),
        };
        Ok(Value { name, shape, flat })
    }
}
