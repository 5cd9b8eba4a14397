//! Meaning `src/ops/{linear,softmax}.rs` · how `src/kernels/{linear,softmax}.rs`, `shaders/{linear,softmax}.wgsl`.
//! Weights that pass a binding are in `tests/gpu/limits.rs`.

use crate::check::{BOTH, Problem, graph, one, subgroups, variants};
use crate::common::compare::{Tolerance, numbers};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::ops::{Act, Linear, Op, Softmax};
use excite::{Graph, Tensor, Weights};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("linear/by_hand", by_hand),
        Case::new("linear/sizes", sizes),
        Case::new("linear/activations", activations),
        Case::new("linear/softmax/by_hand", softmax_by_hand),
        Case::new("linear/softmax/sizes", softmax_sizes),
    ]
}

fn by_hand(machine: &Machine) -> Outcome {
    let weight = Tensor::new([2, 2], vec![1.0, 10.0, -1.0, 0.0])?;
    let weights = [("op.weight", weight), ("op.bias", Tensor::new([2], vec![0.5, 0.0])?)];
    let problem = Problem {
        input: Tensor::new([2, 2, 1, 1], vec![1.0, 2.0, 3.0, 4.0])?,
        weights: Weights::from_tensors(weights.map(|(name, tensor)| (name.to_string(), tensor))),
        ..Problem::new(one([2, 1, 1], Op::Linear(Linear::new(2))), 2, Tolerance::Exact)
    };
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    ensure(expected["y"].data() == [21.5, -1.0, 43.5, -3.0], "the reference is wrong")?;
    Ok(problem.check(machine, &variants(&subgroups(machine), &BOTH))?)
}

fn sizes(machine: &Machine) -> Outcome {
    for (features, out, batch, bias) in [
        (1, 1, 1, true),
        (3, 2, 5, true),
        (5, 1000, 2, true),
        (64, 64, 1, false),
        (257, 13, 3, true),
        (2048, 7, 2, true),
        (1023, 130, 1, false),
    ] {
        let op = Op::Linear(Linear { bias, ..Linear::new(out) });
        let problem = Problem::new(one([features, 1, 1], op), batch, Tolerance::Op).bounded();
        problem.check(machine, &variants(&subgroups(machine), &BOTH))?;
    }
    // VGG's way: a map as a vector.
    let flat = graph([5, 3, 7], |g, x| {
        let x = g.flatten("flatten", x)?;
        g.linear("fc", x, Linear::new(9))
    });
    Ok(Problem::new(flat, 3, Tolerance::Op).bounded().check(machine, &variants(&subgroups(machine), &BOTH))?)
}

fn activations(machine: &Machine) -> Outcome {
    for act in Act::ALL.into_iter().chain([Act::LeakyRelu(0.25)]) {
        let op = Op::Linear(Linear { act, ..Linear::new(9) });
        let problem = Problem::new(one([21, 1, 1], op), 2, Tolerance::Op).bounded();
        problem.check(machine, &variants(&subgroups(machine), &[true]))?;
    }
    Ok(())
}

fn softmax(features: usize) -> Graph {
    graph([features, 1, 1], |g, x| {
        let x = g.flatten("flatten", x)?;
        g.add("op", Op::Softmax(Softmax {}), &[x])
    })
}

fn softmax_by_hand(machine: &Machine) -> Outcome {
    let problem = Problem {
        input: Tensor::new([3, 2, 1, 1], vec![0.0, 0.0, 1000.0, 0.0, -1e30, 1e30])?,
        ..Problem::new(softmax(2), 3, Tolerance::Exact)
    };
    let expected = problem.graph.reference(&problem.input, &problem.weights)?;
    ensure(expected["y"].data() == [0.5, 0.5, 1.0, 0.0, 0.0, 1.0], "the reference is wrong")?;
    Ok(problem.check(machine, &variants(&subgroups(machine), &BOTH))?)
}

fn softmax_sizes(machine: &Machine) -> Outcome {
    for (features, batch) in [(1, 1), (3, 5), (10, 2), (64, 1), (257, 3), (1000, 2), (1001, 1)] {
        // All below zero: padding must not count as the maximum.
        let shifted = |x: &f32| 4.0 * x - 100.0;
        let input = numbers(3, &[batch, features, 1, 1]);
        let input = Tensor::new(input.shape(), input.data().iter().map(shifted).collect())?;
        let problem = Problem { input, ..Problem::new(softmax(features), batch, Tolerance::Op) };
        problem.check(machine, &variants(&subgroups(machine), &BOTH))?;
    }
    Ok(())
}
