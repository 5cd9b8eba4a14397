//! Meaning `src/ops/{activation,batch_norm,binary,unary}.rs` · how `src/kernels/elementwise/*.rs`,
//! `shaders/elementwise/*.wgsl`

use crate::check::{BOTH, Problem, default_variants, families, fusions, graph, one, variants};
use crate::common::compare::Tolerance;
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::Tensor;
use excite::graph::Param;
use excite::ops::{Act, Add, BatchNorm, Conv2d, Linear, Mul, Op, PoolKind, SqueezeExcite, Unary};
use std::sync::Arc;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("elementwise/activation/by_hand", activation_by_hand),
        Case::new("elementwise/activation/sizes", activation_sizes),
        Case::new("elementwise/activation/extremes", activation_extremes),
        Case::new("elementwise/batch_norm/sizes", batch_norm),
        Case::new("elementwise/batch_norm/shifts", shifts),
        Case::new("elementwise/binary/by_hand", binary_by_hand),
        Case::new("elementwise/binary/sizes", binary),
        Case::new("elementwise/unary/by_hand", unary_by_hand),
        Case::new("elementwise/unary/sizes", unary_sizes),
        Case::new("elementwise/unary/far_angles", unary_far_angles),
        Case::new("elementwise/unary/padding", unary_padding),
        Case::new("elementwise/activations_of_every_kernel", activations),
    ]
}

/// Awkward maps, with a batch.
const MAPS: [([usize; 3], usize); 6] =
    [([1, 1, 1], 1), ([3, 1, 7], 5), ([5, 7, 7], 2), ([4, 13, 11], 1), ([65, 3, 2], 3), ([257, 1, 1], 2)];

/// All functions, and other numbers for those that take some.
fn acts() -> impl Iterator<Item = Act> {
    let clamps = [Act::clip(-0.5, 0.75), Act::clip(0.25, f32::INFINITY), Act::affine(-1.5, 0.3)];
    Act::ALL.into_iter().chain([Act::LeakyRelu(0.25), Act::Elu(0.4)]).chain(clamps)
}

/// What IEEE rounds once is equal, the rest is near.
fn tolerance(act: Act) -> Tolerance {
    match act {
        Act::Identity | Act::Relu | Act::Relu6 | Act::LeakyRelu(_) => Tolerance::Exact,
        Act::Clamp { scale: 1.0, shift: 0.0, .. } => Tolerance::Exact,
        _ => Tolerance::Op,
    }
}

fn activation_by_hand(machine: &Machine) -> Outcome {
    let problem = Problem {
        input: Tensor::new([1, 5, 1, 1], vec![-2.0, -0.0, 0.5, 6.5, 1.0])?,
        ..Problem::new(one([5, 1, 1], Op::Activation(Act::Relu6)), 1, Tolerance::Exact)
    };
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    ensure(expected["y"].data() == [0.0, 0.0, 0.5, 6.0, 1.0], "the reference is wrong")?;
    Ok(problem.check(machine, &default_variants(&BOTH))?)
}

fn activation_sizes(machine: &Machine) -> Outcome {
    for act in acts() {
        for (shape, batch) in MAPS {
            let problem = Problem::new(one(shape, Op::Activation(act)), batch, tolerance(act));
            problem.check(machine, &default_variants(&BOTH))?;
        }
    }
    Ok(())
}

/// Far from zero, where `exp` overflows, the functions reach their limits.
fn activation_extremes(machine: &Machine) -> Outcome {
    let input = vec![-1e30, -1000.0, -100.0, -88.8, -20.0, -1e-6, 0.0, 1e-6, 20.0, 88.8, 100.0, 1000.0, 1e30];
    for act in acts() {
        let problem = Problem::new(one([13, 1, 1], Op::Activation(act)), 1, Tolerance::Op);
        // Each number alone, so that the large ones don't set the scale of the others.
        for &x in &input {
            let problem = Problem { input: Tensor::full([1, 13, 1, 1], x), ..problem.clone() };
            problem.check(machine, &default_variants(&[true]))?;
        }
    }
    Ok(())
}

/// Not folded, because nothing is before it.
fn batch_norm(machine: &Machine) -> Outcome {
    for (shape, batch) in MAPS {
        for act in [Act::Identity, Act::Silu] {
            let problem = Problem::new(one(shape, Op::BatchNorm(BatchNorm { eps: 1e-3, act })), batch, Tolerance::Op);
            problem.check(machine, &default_variants(&BOTH))?;
        }
    }
    let vector = graph([7, 1, 1], |g, x| {
        let x = g.global_avg_pool("pool", x)?;
        g.batch_norm("norm", x, BatchNorm::default())
    });
    Ok(Problem::new(vector, 3, Tolerance::Op).check(machine, &variants(&fusions(), &[true]))?)
}

/// Norms that only add, one after the other: what tells their weights apart is the sum alone.
fn shifts(machine: &Machine) -> Outcome {
    let fill = |value| Param::Fill { value, shape: vec![5] };
    let graph = graph([5, 2, 3], |g, mut x| {
        for i in 0..3u8 {
            let values = Arc::new(Tensor::from_fn([5], |c| f32::from(i) * 3.0 + c as f32));
            let params = vec![fill(1.0), Param::Values { name: format!("shift{i}"), values }, fill(0.0), fill(1.0)];
            x = g.add_with(&format!("add{i}"), Op::BatchNorm(BatchNorm::eps(0.0)), &[x], params)?;
            x = g.add(&format!("abs{i}"), Op::Unary(Unary::Abs), &[x])?;
        }
        Ok(x)
    });
    Ok(Problem::new(graph, 2, Tolerance::Op).check(machine, &default_variants(&BOTH))?)
}

fn binary_by_hand(machine: &Machine) -> Outcome {
    for (op, expected) in [
        (Op::Add(Add { act: Act::Relu }), [2.0, 0.0, 5.0]),
        (Op::Add(Add::default()), [2.0, -4.0, 5.0]),
        (Op::Mul(Mul {}), [1.0, 4.0, 6.25]),
    ] {
        let problem = Problem {
            input: Tensor::new([1, 3, 1, 1], vec![1.0, -2.0, 2.5])?,
            ..Problem::new(graph([3, 1, 1], |g, x| g.add("op", op, &[x, x])), 1, Tolerance::Exact)
        };
        let reference = problem.graph.reference(&problem.input, &problem.weights)?;
        ensure(reference["y"].data() == expected, "the reference is wrong")?;
        problem.check(machine, &default_variants(&BOTH))?;
    }
    Ok(())
}

/// Two different values: the other one is the input with its channels shuffled or its neighbours' maximum, exactly.
fn binary(machine: &Machine) -> Outcome {
    for (shape, batch) in MAPS {
        for op in [Op::Add(Add::default()), Op::Mul(Mul {})] {
            let graph = graph(shape, |g, x| {
                let other = g.pool("other", x, excite::ops::Pool::max(3).stride(1).padding(1))?;
                g.add("op", op, &[other, x])
            });
            Problem::new(graph, batch, Tolerance::Exact).check(machine, &default_variants(&BOTH))?;
        }
    }
    Ok(())
}

/// Halves, signs, zeros and powers of negative numbers.
fn unary_by_hand(machine: &Machine) -> Outcome {
    let x = vec![-2.0, -1.5, -0.5, 0.0, 0.5, 2.5, 4.0];
    for (unary, tolerance, expected) in [
        (Unary::Abs, Tolerance::Exact, [2.0, 1.5, 0.5, 0.0, 0.5, 2.5, 4.0]),
        (Unary::Ceil, Tolerance::Exact, [-2.0, -1.0, 0.0, 0.0, 1.0, 3.0, 4.0]),
        (Unary::Floor, Tolerance::Exact, [-2.0, -2.0, -1.0, 0.0, 0.0, 2.0, 4.0]),
        (Unary::Round, Tolerance::Exact, [-2.0, -2.0, 0.0, 0.0, 0.0, 2.0, 4.0]),
        (Unary::Sign, Tolerance::Exact, [-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0]),
        (Unary::Neg, Tolerance::Exact, [2.0, 1.5, 0.5, 0.0, -0.5, -2.5, -4.0]),
        (Unary::Power(0.0), Tolerance::Exact, [1.0; 7]),
        (Unary::Power(1.0), Tolerance::Exact, [-2.0, -1.5, -0.5, 0.0, 0.5, 2.5, 4.0]),
        (Unary::Power(2.0), Tolerance::Exact, [4.0, 2.25, 0.25, 0.0, 0.25, 6.25, 16.0]),
        (Unary::Power(3.0), Tolerance::Exact, [-8.0, -3.375, -0.125, 0.0, 0.125, 15.625, 64.0]),
    ] {
        let problem = Problem {
            input: Tensor::new([1, 7, 1, 1], x.clone())?,
            ..Problem::new(one([7, 1, 1], Op::Unary(unary)), 1, tolerance)
        };
        let reference = problem.graph.reference(&problem.input, &problem.weights)?;
        ensure(reference["y"].data() == expected, format!("the reference of {unary} is wrong"))?;
        problem.check(machine, &default_variants(&BOTH))?;
    }
    Ok(())
}

/// Every function where it has values, and powers of every kind.
fn unary_sizes(machine: &Machine) -> Outcome {
    let powers = [-3.0, -1.0, 0.5, -0.5, 2.5, 7.0, 1e-3, 31.0].map(Unary::Power);
    for unary in Unary::ALL.into_iter().chain(powers) {
        let positive = match unary {
            Unary::Log | Unary::Sqrt | Unary::Reciprocal => true,
            Unary::Power(exponent) => exponent < 0.0 || exponent.fract() != 0.0,
            _ => false,
        };
        for (shape, batch) in MAPS {
            let problem = Problem::new(one(shape, Op::Unary(unary)), batch, Tolerance::Op);
            // 0.25 to 2.25.
            let input = if positive { shifted(&problem.input, 0.25) } else { problem.input.clone() };
            Problem { input, ..problem }.check(machine, &default_variants(&BOTH))?;
        }
    }
    // Features of a vector.
    for unary in [Unary::Exp, Unary::Cos] {
        let vector = graph([7, 2, 3], |g, x| {
            let x = g.global_avg_pool("pool", x)?;
            g.add("op", Op::Unary(unary), &[x])
        });
        Problem::new(vector, 3, Tolerance::Op).check(machine, &default_variants(&BOTH))?;
    }
    Ok(())
}

/// Magnitudes, and something more.
fn shifted(x: &Tensor, by: f32) -> Tensor {
    Tensor::from_fn(x.shape(), |i| x.data()[i].abs() + by)
}

/// Angles of many turns, and next to where the tangent has no value.
fn unary_far_angles(machine: &Machine) -> Outcome {
    for unary in [Unary::Sin, Unary::Cos, Unary::Tan] {
        for scale in [1.0, 10.0, 100.0, 2000.0] {
            let problem = Problem::new(one([5, 13, 11], Op::Unary(unary)), 1, Tolerance::Op);
            let input = Tensor::from_fn(problem.input.shape(), |i| problem.input.data()[i] * scale);
            Problem { input, ..problem }.check(machine, &default_variants(&[true]))?;
        }
    }
    Ok(())
}

/// What pads the channels stays finite, so that a convolution's zeros keep it out of the sums.
fn unary_padding(machine: &Machine) -> Outcome {
    for unary in [Unary::Log, Unary::Reciprocal, Unary::Power(-0.5), Unary::Power(-1.0)] {
        let graph = graph([5, 3, 7], |g, x| {
            let y = g.add("op", Op::Unary(unary), &[x])?;
            g.conv2d("conv", y, Conv2d::new(6, 1))
        });
        let problem = Problem::new(graph, 2, Tolerance::F32);
        let problem = Problem { input: shifted(&problem.input, 0.25), ..problem };
        problem.check(machine, &variants(&families(), &BOTH))?;
    }
    Ok(())
}

/// Every activation in every kernel that takes one in, but for the convolutions: those have cases of their own.
fn activations(machine: &Machine) -> Outcome {
    for act in acts() {
        let graph = graph([6, 3, 5], |g, x| {
            let x = g.add("norm", Op::BatchNorm(BatchNorm { act, ..BatchNorm::default() }), &[x])?;
            let y = g.add("sum", Op::Add(Add { act }), &[x, x])?;
            let gate = g.add("se", Op::SqueezeExcite(SqueezeExcite::new(3).squeeze(PoolKind::Max)), &[y])?;
            let y = g.scale("scale", y, gate)?;
            let y = g.activation("act", y, act)?;
            let y = g.global_avg_pool("pool", y)?;
            g.add("fc", Op::Linear(Linear { act, ..Linear::new(5) }), &[y])
        });
        let problem = Problem::new(graph, 2, Tolerance::F32);
        problem.check(machine, &variants(&fusions()[1..2], &[true]))?;
    }
    Ok(())
}
