//! What all families build with: a graph in the making, its batch norms, padding and squeeze-and-excitation.

use crate::error::Result;
pub(super) use crate::graph::make_divisible;
use crate::graph::{Graph, GraphBuilder, Value};
use crate::ops::{Act, BatchNorm, Concat, Conv2d, GlobalPool, Linear, Op, Padding, Pool, PoolKind, SqueezeExcite};
use crate::param::Param;
use crate::tensor::Shape;

/// A network in the making.
pub(super) struct Net {
    graph: GraphBuilder,
    /// `eps` of its batch norms.
    pub eps: f64,
    /// Whether convolutions pad as TensorFlow's `SAME`, and not by what their spec says.
    pub same: bool,
}

/// A square convolution without bias, padded so that stride 1 keeps the size.
pub(super) fn conv(channels: usize, kernel: usize) -> Conv2d {
    Conv2d::new(channels, kernel).padding(kernel / 2).bias(false)
}

/// As [`conv`], with one filter per channel.
pub(super) fn depthwise(channels: usize, kernel: usize) -> Conv2d {
    conv(channels, kernel).groups(channels)
}

impl Net {
    pub(super) fn new(graph: GraphBuilder) -> Self {
        Self { graph, eps: 1e-5, same: false }
    }

    pub(super) fn finish(self, output: &str, value: Value) -> Result<Graph> {
        self.graph.finish(&[(output, value)])
    }

    pub(super) fn shape(&self, x: Value) -> Shape {
        self.graph.shape(x)
    }

    pub(super) fn channels(&self, x: Value) -> usize {
        self.shape(x).channels()
    }

    pub(super) fn conv(&mut self, name: &str, x: Value, mut op: Conv2d) -> Result<Value> {
        if self.same {
            let shape = self.shape(x);
            op.padding = Padding::same([shape.height(), shape.width()], op.kernel, op.stride, op.dilation);
        }
        self.graph.conv2d(name, x, op)
    }

    pub(super) fn norm(&mut self, name: &str, x: Value) -> Result<Value> {
        self.graph.batch_norm(name, x, BatchNorm::eps(self.eps))
    }

    pub(super) fn act(&mut self, name: &str, x: Value, act: Act) -> Result<Value> {
        self.graph.activation(name, x, act)
    }

    pub(super) fn relu(&mut self, name: &str, x: Value) -> Result<Value> {
        self.act(name, x, Act::Relu)
    }

    pub(super) fn pool(&mut self, name: &str, x: Value, op: Pool) -> Result<Value> {
        self.graph.pool(name, x, op)
    }

    pub(super) fn sum(&mut self, name: &str, a: Value, b: Value) -> Result<Value> {
        self.graph.sum(name, a, b)
    }

    pub(super) fn concat(&mut self, name: &str, parts: &[Value]) -> Result<Value> {
        self.graph.add(name, Op::Concat(Concat::default()), parts)
    }

    pub(super) fn add(&mut self, name: &str, op: Op, x: Value) -> Result<Value> {
        self.graph.add(name, op, &[x])
    }

    /// Convolution, batch norm and, where there is one, activation under these names.
    pub(super) fn layer(&mut self, names: [&str; 3], x: Value, op: Conv2d, act: Act) -> Result<Value> {
        let x = self.conv(names[0], x, op)?;
        let x = self.norm(names[1], x)?;
        if act == Act::Identity { Ok(x) } else { self.act(names[2], x, act) }
    }

    /// A [`Net::layer`] named `<name>.conv`, `<name>.bn`, `<name>.act`.
    pub(super) fn unit(&mut self, name: &str, x: Value, op: Conv2d, act: Act) -> Result<Value> {
        let names = ["conv", "bn", "act"].map(|part| format!("{name}.{part}"));
        self.layer(names.each_ref().map(String::as_str), x, op, act)
    }

    /// Gate and scale; the parameters are named for two layers under the stage.
    pub(super) fn squeeze_excite(
        &mut self,
        name: &str,
        x: Value,
        op: SqueezeExcite,
        [reduce, expand]: [&str; 2],
    ) -> Result<Value> {
        let (c, reduced) = (self.channels(x), op.reduced);
        let tensor = |layer: &str, role: &str, shape: &[usize]| Param::Tensor {
            name: format!("{name}.{layer}.{role}"),
            shape: shape.to_vec(),
        };
        let params = vec![
            tensor(reduce, "weight", &[reduced, c, 1, 1]),
            tensor(reduce, "bias", &[reduced]),
            tensor(expand, "weight", &[c, reduced, 1, 1]),
            tensor(expand, "bias", &[c]),
        ];
        let gate = self.graph.add_with(name, Op::SqueezeExcite(op), &[x], params)?;
        self.graph.scale(&format!("{name}.scale"), x, gate)
    }

    /// `factor * x`
    pub(super) fn times(&mut self, name: &str, x: Value, factor: f32) -> Result<Value> {
        self.graph.activation(name, x, Act::affine(factor, 0.0))
    }

    pub(super) fn global_pool(&mut self, x: Value) -> Result<Value> {
        self.add("global_pool", Op::GlobalPool(GlobalPool { kind: PoolKind::Avg }), x)
    }

    /// The classifier, if there are classes.
    pub(super) fn linear(&mut self, name: &str, x: Value, classes: usize) -> Result<Value> {
        if classes == 0 { Ok(x) } else { self.graph.linear(name, x, Linear::new(classes)) }
    }

    /// A 1x1 convolution of a map that has become a vector: a linear layer with a convolution's weights.
    pub(super) fn convolve_vector(&mut self, name: &str, x: Value, features: usize) -> Result<Value> {
        let tensor = |role: &str, shape: Vec<usize>| Param::Tensor { name: format!("{name}.{role}"), shape };
        let params = vec![tensor("weight", vec![features, self.channels(x), 1, 1]), tensor("bias", vec![features])];
        self.graph.add_with(name, Op::Linear(Linear::new(features)), &[x], params)
    }

    /// The mean over the map, then the classifier.
    pub(super) fn classify(&mut self, name: &str, x: Value, classes: usize) -> Result<Value> {
        let x = self.global_pool(x)?;
        self.linear(name, x, classes)
    }
}
