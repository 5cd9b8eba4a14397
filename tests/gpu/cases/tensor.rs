//! Tensors of any rank. Meaning `src/ops/{arithmetic,concat,matmul,permute,reduce,resample,reshape}.rs` · how
//! `src/kernels/tensor/*.rs`, `shaders/tensor/*.wgsl`

use crate::check::{BOTH, Problem, Variant, default_variants, fusions};
use crate::common::compare::{Tolerance, numbers};
use crate::common::random::random;
use crate::common::random_graph::{Recipe, tensor_recipes};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::graph::{Param, Value};
use excite::ops::{
    Act, Add, Arithmetic, Concat, Constant, Conv2d, Linear, MatMul, Mul, Op, Permute, Reduce, Reduction, Resample,
    Reshape, SqueezeExcite,
};
use excite::plan::{InputFormat, Normalize, Plan, PlanOptions};
use excite::verify::{Options, verify};
use excite::{Graph, GraphBuilder, Shape, Tensor};
use proptest::prelude::*;
use std::ops::Range;
use std::sync::Arc;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("tensor/layout/sizes", layout),
        Case::new("tensor/elementwise/sizes", elementwise),
        Case::new("tensor/arithmetic/by_hand", arithmetic_by_hand),
        Case::new("tensor/arithmetic/comparisons", comparisons),
        Case::new("tensor/arithmetic/sizes", arithmetic),
        Case::new("tensor/arithmetic/powers", powers),
        Case::new("tensor/permute/sizes", permute),
        Case::new("tensor/concat/sizes", concat),
        Case::new("tensor/constant/sizes", constant),
        Case::new("tensor/reduce/sizes", reduce),
        Case::new("tensor/reduce/many", reduce_many),
        Case::new("tensor/resample/by_hand", resample_by_hand),
        Case::new("tensor/resample/sizes", resample),
        Case::new("tensor/matmul/by_hand", matmul_by_hand),
        Case::new("tensor/matmul/sizes", matmul),
        Case::new("tensor/padding", padding),
        Case::new("tensor/attention", attention),
        Case::new("tensor/random", random_cases),
    ]
}

/// Awkward tensors of all ranks, with a batch.
const TENSORS: [(&[usize], usize); 8] = [
    (&[], 3),
    (&[1], 1),
    (&[7], 5),
    (&[5, 13], 2),
    (&[3, 1, 9], 3),
    (&[2, 5, 1, 7], 4),
    (&[3, 2, 1, 5, 3], 1),
    (&[2, 3, 2, 1, 4, 3], 2),
];

/// A graph whose output is what `build` makes of an input of any shape.
fn graph(shape: Shape, build: impl FnOnce(&mut GraphBuilder, Value) -> excite::Result<Value>) -> Graph {
    let made = || {
        let mut g = GraphBuilder::new("case");
        let x = g.input(shape)?;
        let y = build(&mut g, x)?;
        g.finish(&[("y", y)])
    };
    made().unwrap_or_else(|error| panic!("{error}"))
}

fn one(dims: &[usize], op: Op) -> Graph {
    graph(Shape::tensor(dims), |g, x| g.add("op", op, &[x]))
}

fn check(machine: &Machine, graph: Graph, batch: usize, tolerance: Tolerance) -> Outcome {
    Ok(Problem::new(graph, batch, tolerance).check(machine, &default_variants(&BOTH))?)
}

/// Elements of a vector as a tensor.
fn part(g: &mut GraphBuilder, name: &str, x: Value, range: Range<usize>, dims: &[usize]) -> excite::Result<Value> {
    let size = range.len();
    let index = Tensor::new([size], range.map(|i| i as f32).collect())?;
    let params = vec![
        Param::Values { name: format!("{name}.index"), values: Arc::new(index) },
        Param::Fill { value: 1.0, shape: vec![size] },
        Param::Fill { value: 0.0, shape: vec![size] },
    ];
    let slice = Op::Resample(Resample { axis: 0, size, taps: 1 });
    let slice = g.add_with(&format!("{name}.slice"), slice, &[x], params)?;
    g.add(name, Op::Reshape(Reshape { shape: Shape::tensor(dims) }), &[slice])
}

/// An op of two tensors that are both different for every image.
fn two(a: &[usize], b: &[usize], op: Op) -> Graph {
    let [a_len, b_len] = [a, b].map(|dims| dims.iter().product::<usize>());
    graph(Shape::vector(a_len + b_len), |g, x| {
        let a = part(g, "a", x, 0..a_len, a)?;
        let b = part(g, "b", x, a_len..a_len + b_len, b)?;
        g.add("op", op, &[a, b])
    })
}

/// In and out again: the network that does nothing, and one that only reads the shape anew.
fn layout(machine: &Machine) -> Outcome {
    for (dims, batch) in TENSORS {
        let shape = Shape::tensor(dims);
        check(machine, graph(shape, |_, x| Ok(x)), batch, Tolerance::Exact)?;
        let flat = graph(shape, |g, x| g.flatten("flatten", x));
        check(machine, flat, batch, Tolerance::Exact)?;
        let vector = graph(Shape::vector(shape.len()), |g, x| g.add("op", Op::Reshape(Reshape { shape }), &[x]));
        check(machine, vector, batch, Tolerance::Exact)?;
    }
    let pixels = InputFormat::Pixels(Normalize { mean: [0.0; 3], std: [1.0; 3] });
    let options = PlanOptions::default().input(pixels);
    let refusal = Plan::new(&one(&[3], Op::Activation(Act::Relu)), 1, machine.gpu(true).target(), &options);
    ensure(refusal.is_err(), "pixels make no tensor")
}

/// What works on any shape. A sigmoid's padding is not 0, which a sum over it would show.
fn elementwise(machine: &Machine) -> Outcome {
    for (dims, batch) in TENSORS {
        let ops = graph(Shape::tensor(dims), |g, x| {
            let y = g.activation("sigmoid", x, Act::Sigmoid)?;
            let y = g.add("mul", Op::Mul(Mul {}), &[y, x])?;
            let y = g.add("add", Op::Add(Add { act: Act::Relu }), &[y, x])?;
            let y = g.flatten("flatten", y)?;
            g.add("op", Op::Reduce(Reduce { reduction: Reduction::Mean, axes: vec![0] }), &[y])
        });
        let variants: Vec<_> = fusions().into_iter().map(|plan| Variant { plan, checks: true }).collect();
        Problem::new(ops, batch, Tolerance::F32).check(machine, &variants)?;
    }
    Ok(())
}

/// What the reference must say as well.
fn by_hand(machine: &Machine, graph: Graph, input: Vec<f32>, expected: &[f32], tolerance: Tolerance) -> Outcome {
    let input = Tensor::new(graph.input_shape().with_batch(1), input)?;
    let problem = Problem { input, ..Problem::new(graph, 1, tolerance) };
    let reference = problem.graph.reference(&problem.input, &problem.weights)?;
    ensure(reference["y"].data() == expected, format!("the reference is wrong: {:?}", reference["y"]))?;
    Ok(problem.check(machine, &default_variants(&BOTH))?)
}

fn arithmetic_by_hand(machine: &Machine) -> Outcome {
    for (op, expected) in [
        (Arithmetic::Add, [3.0, 5.0, 0.0, 2.0]),
        (Arithmetic::Sub, [-1.0, -3.0, -4.0, -6.0]),
        (Arithmetic::Mul, [2.0, 4.0, -4.0, -8.0]),
        (Arithmetic::Div, [0.5, 0.25, -1.0, -0.5]),
        (Arithmetic::Pow, [1.0, 1.0, 4.0, 16.0]),
        (Arithmetic::Min, [1.0, 1.0, -2.0, -2.0]),
        (Arithmetic::Max, [2.0, 4.0, 2.0, 4.0]),
        (Arithmetic::Equal, [0.0, 0.0, 0.0, 0.0]),
        (Arithmetic::Less, [1.0, 1.0, 1.0, 1.0]),
        (Arithmetic::Mask, [1.0, 1.0, -2.0, -2.0]),
    ] {
        let graph = two(&[2, 1], &[2], Op::Arithmetic(op));
        by_hand(machine, graph, vec![1.0, -2.0, 2.0, 4.0], &expected, Tolerance::Exact)?;
    }
    Ok(())
}

/// Equal elements, both zeros, and what is kept or not, were it infinite.
fn comparisons(machine: &Machine) -> Outcome {
    let (a, b) = ([3.0, -0.0, 2.0, f32::INFINITY, 1e-30], [3.0, 0.0, 2.5, 0.0, -0.0]);
    for (op, expected) in [
        (Arithmetic::Equal, [1.0, 1.0, 0.0, 0.0, 0.0]),
        (Arithmetic::Less, [0.0, 0.0, 1.0, 0.0, 0.0]),
        (Arithmetic::Mask, [3.0, 0.0, 2.0, 0.0, 0.0]),
    ] {
        by_hand(machine, two(&[5], &[5], Op::Arithmetic(op)), [a, b].concat(), &expected, Tolerance::Exact)?;
    }
    Ok(())
}

/// Equal, repeated along any axes, and of fewer axes, on either side.
fn arithmetic(machine: &Machine) -> Outcome {
    let pairs: [(&[usize], &[usize], usize); 10] = [
        (&[7], &[7], 3),
        (&[2, 3, 5], &[2, 3, 5], 2),
        (&[], &[], 2),
        (&[5, 3], &[], 3),
        (&[5, 3], &[1], 1),
        (&[4, 5], &[5], 5),
        (&[4, 1, 5], &[3, 1], 2),
        (&[3, 1, 2, 1, 5, 1], &[1, 2, 1, 3, 1, 3], 2),
        (&[2, 3, 2, 3, 2, 3], &[3, 1, 3], 2),
        (&[1, 70], &[9, 1], 3),
    ];
    for (a, b, batch) in pairs {
        for op in Arithmetic::ALL {
            let exact = !matches!(op, Arithmetic::Div | Arithmetic::Pow);
            let tolerance = if exact { Tolerance::Exact } else { Tolerance::Op };
            for (a, b) in [(a, b), (b, a)] {
                let graph = two(a, b, Op::Arithmetic(op));
                // Powers of negative numbers have a case of their own; nothing is divided by nearly 0.
                let mut problem = Problem::new(graph, batch, tolerance);
                if !exact {
                    problem.input.data_mut().iter_mut().for_each(|x| *x = 0.1 + x.abs());
                }
                problem.check(machine, &default_variants(&BOTH))?;
            }
        }
    }
    Ok(())
}

/// Negative numbers to whole powers, roots, zeros.
fn powers(machine: &Machine) -> Outcome {
    let table = [
        (-2.0, 2.0, 4.0),
        (-2.0, 3.0, -8.0),
        (-2.0, -1.0, -0.5),
        (-2.0, 0.0, 1.0),
        (2.0, -2.0, 0.25),
        (9.0, 0.5, 3.0),
        (-1.0, 65.0, -1.0),
        (-1.0, 66.0, 1.0),
        (-1.0, 1e9, 1.0),
        (0.0, 0.0, 1.0),
        (0.0, 3.0, 0.0),
        (0.0, 2.5, 0.0),
        (1.5, 1.0, 1.5),
    ];
    // Each alone, so that large ones don't set the scale of the others.
    for (base, exponent, expected) in table {
        let graph = two(&[1], &[1], Op::Arithmetic(Arithmetic::Pow));
        by_hand(machine, graph, vec![base, exponent], &[expected], Tolerance::Op)?;
    }
    Ok(())
}

/// Orders that move every axis, some of them, or only axes of size 1, which takes no step.
fn permute(machine: &Machine) -> Outcome {
    let orders: [(&[usize], &[usize], usize); 10] = [
        (&[7], &[0], 2),
        (&[5, 13], &[1, 0], 2),
        (&[70, 33], &[1, 0], 1),
        (&[3, 1, 9], &[2, 1, 0], 3),
        (&[3, 1, 9], &[1, 0, 2], 3),
        (&[1, 3, 1, 9, 1], &[1, 0, 4, 2, 3], 2),
        (&[2, 5, 3, 7], &[0, 2, 1, 3], 4),
        (&[2, 5, 3, 7], &[3, 0, 1, 2], 1),
        (&[2, 3, 2, 2, 3, 3], &[5, 4, 3, 2, 1, 0], 2),
        (&[2, 3, 2, 1, 4, 3], &[4, 0, 2, 1, 5, 3], 5),
    ];
    for (dims, order, batch) in orders {
        let graph = one(dims, Op::Permute(Permute { order: order.to_vec() }));
        let plan = Plan::new(&graph, batch, machine.gpu(true).target(), &PlanOptions::default())?;
        let large: Vec<usize> = order.iter().copied().filter(|&axis| dims[axis] != 1).collect();
        let steps = plan.steps.iter().filter(|step| step.shader.name == "tensor/copy").count();
        ensure(steps == usize::from(!large.is_sorted()), format!("{steps} steps\n{graph}"))?;
        check(machine, graph, batch, Tolerance::Exact)?;
    }
    Ok(())
}

/// Along every axis; two and three parts of different sizes.
fn concat(machine: &Machine) -> Outcome {
    for (dims, batch) in TENSORS.into_iter().filter(|(dims, _)| !dims.is_empty()) {
        for axis in 0..dims.len() {
            let mut other = dims.to_vec();
            other[axis] += 2;
            let [own_len, other_len] = [dims, &other].map(|dims| dims.iter().product::<usize>());
            let graph = graph(Shape::vector(own_len + other_len), |g, x| {
                let a = part(g, "a", x, 0..own_len, dims)?;
                let b = part(g, "b", x, own_len..own_len + other_len, &other)?;
                let parts = [a, b, a];
                g.add("op", Op::Concat(Concat { axis }), &parts[..2 + axis % 2])
            });
            check(machine, graph, batch, Tolerance::Exact)?;
        }
    }
    Ok(())
}

/// The same for every image: alone, and beside the image.
fn constant(machine: &Machine) -> Outcome {
    for (dims, batch) in TENSORS {
        let shape = Shape::tensor(dims);
        let graph = graph(shape, |g, x| {
            let constant = g.add("constant", Op::Constant(Constant { shape }), &[])?;
            let constant = g.activation("relu", constant, Act::Relu)?;
            g.add("op", Op::Arithmetic(Arithmetic::Sub), &[x, constant])
        });
        check(machine, graph.with_every_output(), batch, Tolerance::Exact)?;
    }
    let vector = graph(Shape::vector(5), |g, x| {
        let constant = g.add("constant", Op::Constant(Constant { shape: Shape::vector(5) }), &[])?;
        g.sum("op", x, constant)
    });
    check(machine, vector, 3, Tolerance::Exact)
}

/// Every set of axes.
fn reduce(machine: &Machine) -> Outcome {
    for (dims, batch) in TENSORS {
        for set in 0..1usize << dims.len() {
            let axes: Vec<usize> = (0..dims.len()).rev().filter(|axis| set >> axis & 1 == 1).collect();
            // All of them for some sets, one in turn for the many others.
            let all = Reduction::ALL.into_iter().enumerate();
            let chosen = all.filter(|(i, _)| dims.len() < 4 || set % 5 == *i);
            for (_, reduction) in chosen {
                let graph = one(dims, Op::Reduce(Reduce { reduction, axes: axes.clone() }));
                let exact = matches!(reduction, Reduction::Max | Reduction::Min);
                let tolerance = if exact { Tolerance::Exact } else { Tolerance::Op };
                Problem::new(graph, batch, tolerance).check(machine, &default_variants(&[set % 2 == 0]))?;
            }
        }
    }
    Ok(())
}

/// Many elements, many results, and invocations that have nothing to do; a long sum of large numbers keeps its digits.
fn reduce_many(machine: &Machine) -> Outcome {
    let shapes: [(&[usize], &[usize], usize); 6] = [
        (&[3, 700], &[1], 2),
        (&[700, 3], &[0], 2),
        (&[5, 8, 9, 13], &[1, 3], 1),
        (&[65], &[0], 5),
        (&[1300, 67], &[1], 1),
        (&[67, 1300], &[0], 1),
    ];
    for (dims, axes, batch) in shapes {
        for reduction in Reduction::ALL {
            let graph = one(dims, Op::Reduce(Reduce { reduction, axes: axes.to_vec() }));
            check(machine, graph, batch, Tolerance::Op)?;
        }
    }
    let long = one(&[300_000], Op::Reduce(Reduce { reduction: Reduction::Mean, axes: vec![0] }));
    let mut problem = Problem::new(long, 1, Tolerance::Op);
    problem.input.data_mut().iter_mut().for_each(|x| *x += 1000.0);
    Ok(problem.check(machine, &default_variants(&[false]))?)
}

/// With these positions; weights and offsets are seeded numbers.
fn resampled(dims: &[usize], op: Resample, position: impl FnMut(usize) -> f32) -> Graph {
    let (size, taps) = (op.size, op.taps);
    let params = vec![
        Param::Values { name: "index".into(), values: Arc::new(Tensor::from_fn([size, taps], position)) },
        Param::Tensor { name: "weight".into(), shape: vec![size, taps] },
        Param::Tensor { name: "offset".into(), shape: vec![size] },
    ];
    graph(Shape::tensor(dims), |g, x| g.add_with("op", Op::Resample(op), &[x], params))
}

/// Two taps; nothing is read where the weight is 0; positions stay inside.
fn resample_by_hand(machine: &Machine) -> Outcome {
    let tensor = |shape: &[usize], data: &[f32]| Tensor::new(shape, data.to_vec());
    let values = |name: &str, shape: &[usize], data: &[f32]| {
        Ok::<_, excite::Error>(Param::Values { name: name.into(), values: Arc::new(tensor(shape, data)?) })
    };
    let params = vec![
        values("index", &[3, 2], &[2.0, 1.0, 0.0, 2.0, 9.0, -1.0])?,
        values("weight", &[3, 2], &[1.0, 0.0, 0.5, 0.25, 1.0, 2.0])?,
        values("offset", &[3], &[0.0, 10.0, 0.0])?,
    ];
    let op = Op::Resample(Resample { axis: 0, size: 3, taps: 2 });
    let graph = graph(Shape::tensor(&[3, 1]), |g, x| g.add_with("op", op, &[x], params));
    by_hand(machine, graph, vec![2.0, f32::INFINITY, 4.0], &[4.0, 12.0, 8.0], Tolerance::Exact)
}

fn resample(machine: &Machine) -> Outcome {
    for (dims, batch) in TENSORS.into_iter().filter(|(dims, _)| !dims.is_empty()) {
        for axis in 0..dims.len() {
            for (size, taps) in [(1, 1), (4, 2), (7, 3)] {
                let op = Resample { axis, size, taps };
                let graph = resampled(dims, op, |i| ((i * 5 + 2) % dims[axis]) as f32);
                check(machine, graph, batch, Tolerance::Op)?;
            }
        }
    }
    Ok(())
}

fn matmul_by_hand(machine: &Machine) -> Outcome {
    let graph = two(&[2, 1, 2], &[2, 3], Op::MatMul(MatMul {}));
    let input = vec![1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
    by_hand(machine, graph, input, &[21.0, 42.0, 63.0, 43.0, 86.0, 129.0], Tolerance::Exact)
}

/// Tiles that are full, that are not, and several; outer dimensions that broadcast on either side.
fn matmul(machine: &Machine) -> Outcome {
    let pairs: [(&[usize], &[usize], usize); 11] = [
        (&[1, 1], &[1, 1], 3),
        (&[1, 5], &[5, 1], 2),
        (&[3, 7], &[7, 5], 5),
        (&[32, 16], &[16, 32], 1),
        (&[33, 17], &[17, 35], 2),
        (&[70, 3], &[3, 65], 1),
        (&[5, 200], &[200, 3], 2),
        (&[3, 5, 7], &[7, 2], 2),
        (&[5, 7], &[3, 7, 2], 2),
        (&[2, 1, 3, 5], &[4, 5, 3], 3),
        (&[2, 1, 3, 1, 2, 3], &[1, 2, 3, 2, 3, 5], 1),
    ];
    for (a, b, batch) in pairs {
        check(machine, two(a, b, Op::MatMul(MatMul {})), batch, Tolerance::Op)?;
    }
    Ok(())
}

/// Behind every image the kernels leave finite numbers: a fully connected layer multiplies them by 0. Values are full of
/// NaN before, and 0 / 0 would be one.
fn padding(machine: &Machine) -> Outcome {
    let constant = graph(Shape::vector(3), |g, x| {
        let constant = g.add("op", Op::Constant(Constant { shape: Shape::vector(3) }), &[])?;
        let constant = g.linear("fc", constant, Linear::new(3))?;
        g.sum("sum", x, constant)
    });
    check(machine, constant, 2, Tolerance::Op)?;
    let ops: [(Op, [&[usize]; 2]); 6] = [
        (Op::Arithmetic(Arithmetic::Div), [&[3, 3], &[3]]),
        (Op::Arithmetic(Arithmetic::Div), [&[3, 3], &[3, 3]]),
        (Op::Concat(Concat { axis: 1 }), [&[3, 3], &[3, 2]]),
        (Op::MatMul(MatMul {}), [&[3, 2], &[2, 5]]),
        (Op::MatMul(MatMul {}), [&[33, 2], &[2, 35]]),
        (Op::MatMul(MatMul {}), [&[3, 3, 2], &[2, 1]]),
    ];
    for (op, [a, b]) in ops {
        let [a_len, b_len] = [a, b].map(|dims| dims.iter().product::<usize>());
        let graph = graph(Shape::vector(a_len + b_len), |g, x| {
            let a = part(g, "a", x, 0..a_len, a)?;
            let b = part(g, "b", x, a_len..a_len + b_len, b)?;
            // Between 0.04 and 0.96, so that quotients stay small.
            let [a, b] = [g.activation("a.near", a, Act::Sigmoid)?, g.activation("b.near", b, Act::Sigmoid)?];
            layered(g, op, &[a, b])
        });
        check(machine, graph, 3, Tolerance::F32)?;
    }
    for op in [
        Op::Permute(Permute { order: vec![2, 0, 1] }),
        Op::Reduce(Reduce { reduction: Reduction::Max, axes: vec![0] }),
        Op::Reduce(Reduce { reduction: Reduction::Sum, axes: vec![1, 2] }),
    ] {
        check(machine, graph(Shape::tensor(&[3, 5, 13]), |g, x| layered(g, op, &[x])), 3, Tolerance::F32)?;
    }
    Ok(())
}

/// An op, and a fully connected layer that reads all of its value.
fn layered(g: &mut GraphBuilder, op: Op, inputs: &[Value]) -> excite::Result<Value> {
    let y = g.add("op", op, inputs)?;
    let y = g.flatten("flatten", y)?;
    g.linear("fc", y, Linear::new(3))
}

/// Positions of a map that look at each other, in two heads, between convolutions: at every fusion level, node by node,
/// and what its plan says.
fn attention(machine: &Machine) -> Outcome {
    let (channels, side, heads) = (12, 5, 2);
    let (per_head, positions) = (channels / heads, side * side);
    let graph = graph(Shape::map(3, side, side), |g, x| {
        let x = g.conv2d("stem", x, Conv2d::new(channels, 1))?;
        let x = g.squeeze_excite("se", x, SqueezeExcite::new(3))?;
        let all = g.conv2d("qkv", x, Conv2d::new(3 * channels, 1))?;
        let shape = Shape::tensor(&[3, heads, per_head, positions]);
        let all = g.add("heads", Op::Reshape(Reshape { shape }), &[all])?;
        let mut pick = |name: &str, which: usize| {
            let values = Arc::new(Tensor::full([1], which as f32));
            let params = vec![
                Param::Values { name: format!("{name}.index"), values },
                Param::Fill { value: 1.0, shape: vec![1] },
                Param::Fill { value: 0.0, shape: vec![1] },
            ];
            let one = Op::Resample(Resample { axis: 0, size: 1, taps: 1 });
            g.add_with(name, one, &[all], params)
        };
        let (q, k, v) = (pick("q", 0)?, pick("k", 1)?, pick("v", 2)?);
        let q = g.add("turned", Op::Permute(Permute { order: vec![0, 1, 3, 2] }), &[q])?;
        let scores = g.add("scores", Op::MatMul(MatMul {}), &[q, k])?;
        let scores = g.activation("sigmoid", scores, Act::Sigmoid)?;
        let axes = vec![2];
        let sums = g.add("sums", Op::Reduce(Reduce { reduction: Reduction::Sum, axes }), &[scores])?;
        let weights = g.add("weights", Op::Arithmetic(Arithmetic::Div), &[scores, sums])?;
        let y = g.add("mixed", Op::MatMul(MatMul {}), &[v, weights])?;
        let y = g.add("map", Op::Reshape(Reshape { shape: Shape::map(channels, side, side) }), &[y])?;
        let y = g.conv2d("project", y, Conv2d::new(channels, 1))?;
        g.sum("sum", y, x)
    });
    let problem = Problem::new(graph, 3, Tolerance::F32);
    let variants: Vec<_> = fusions().into_iter().map(|plan| Variant { plan, checks: true }).collect();
    problem.check(machine, &variants)?;
    let Problem { graph, input, weights, .. } = problem;
    let report = verify(machine.gpu(false), &graph, &weights, &input, &Options::default())?;
    ensure(report.passed(), &report)?;
    let plan = Plan::new(&graph, 3, machine.gpu(true).target(), &PlanOptions::default())?.to_string();
    for part in ["heads/flatten", "map/unflatten", "tensor/matmul", "q.index"] {
        ensure(plan.contains(part), format!("no {part} in\n{plan}"))?;
    }
    Ok(())
}

/// Chains of all of them.
fn random_cases(machine: &Machine) -> Outcome {
    let run = |(recipe, checks): (Recipe, bool)| {
        let graph = recipe.graph();
        let input = numbers(13, &graph.input_shape().with_batch(recipe.batch));
        let problem = Problem { input, ..Problem::new(graph, recipe.batch, Tolerance::F32) };
        problem.check(machine, &default_variants(&[checks]))
    };
    Ok(random("tensor", 40, (tensor_recipes(8), any::<bool>()), run)?)
}
