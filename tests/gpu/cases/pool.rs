//! Meaning `src/ops/pool.rs` · how `src/kernels/pool.rs`, `src/kernels/squeeze_excite/squeeze.rs`

use crate::check::{BOTH, Problem, default_variants, families, one, variants};
use crate::common::compare::Tolerance;
use crate::common::random::random;
use crate::common::random_graph::pool;
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::ops::{GlobalPool, Op, Padding, Pool, PoolKind};
use excite::{Shape, Tensor};
use proptest::prelude::*;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("pool/window/by_hand", by_hand),
        Case::new("pool/window/sizes", windows),
        Case::new("pool/window/random", random_cases),
        Case::new("pool/global/by_hand", global_by_hand),
        Case::new("pool/global/sizes", global),
    ]
}

/// A maximum moves an element.
fn tolerance(kind: PoolKind) -> Tolerance {
    if kind == PoolKind::Max { Tolerance::Exact } else { Tolerance::Op }
}

fn by_hand(machine: &Machine) -> Outcome {
    for (pool, expected) in [
        (Pool::max(2).ceil_mode(true), [5.0, 6.0, 8.0, 9.0]),
        (Pool::avg(2).padding(1), [0.25, 1.25, 2.75, 7.0]),
        (Pool::avg(2).padding(1).count_include_pad(false), [1.0, 2.5, 5.5, 7.0]),
    ] {
        let problem = Problem {
            input: Tensor::from_fn([1, 1, 3, 3], |i| (i + 1) as f32),
            ..Problem::new(one([1, 3, 3], Op::Pool(pool)), 1, Tolerance::Exact)
        };
        let reference = problem.graph.reference(&problem.input, &problem.weights)?;
        ensure(reference["y"].data() == expected, "the reference is wrong")?;
        problem.check(machine, &default_variants(&BOTH))?;
    }
    Ok(())
}

fn windows(machine: &Machine) -> Outcome {
    let sides = Padding { top: 0, bottom: 1, left: 2, right: 1 };
    let uneven = Pool { kernel: [1, 3], stride: [2, 1], padding: sides, ..Pool::avg(1) };
    for (shape, batch, pool) in [
        ([1, 1, 1], 1, Pool::avg(1)),
        ([3, 7, 7], 2, Pool::avg(3).stride(2).padding(1)),
        ([5, 13, 11], 3, Pool::avg(3).stride(2)),
        ([4, 5, 5], 1, Pool::avg(2).padding(1).ceil_mode(true)),
        ([4, 6, 9], 5, Pool::avg(3).stride(2).ceil_mode(true)),
        ([6, 7, 9], 2, Pool { padding: Padding { bottom: 0, ..sides }, ..uneven }),
        ([65, 7, 7], 1, Pool::avg(7)),
        ([8, 9, 4], 2, Pool::avg(2).stride(3)),
        ([5, 2, 2], 2, Pool::avg(3).stride(2).ceil_mode(true)),
        ([5, 13, 11], 2, Pool::avg(3).stride(2).dilation(2).padding(2)),
        ([3, 9, 7], 1, Pool::avg(2).stride(1).dilation(5).padding(3)),
        ([6, 10, 8], 3, Pool { dilation: [1, 3], ..Pool::avg(3).stride(2).padding(1).ceil_mode(true) }),
        ([4, 7, 9], 2, Pool { dilation: [3, 2], ..Pool::avg(2).stride(3).ceil_mode(true) }),
        ([2, 1, 7], 1, Pool { kernel: [1, 2], stride: [1, 2], ..Pool::avg(1) }),
    ] {
        for kind in [PoolKind::Avg, PoolKind::Max] {
            for count_include_pad in [true, false] {
                let pool = Pool { kind, count_include_pad, ..pool.clone() };
                let problem = Problem::new(one(shape, Op::Pool(pool)), batch, tolerance(kind));
                problem.check(machine, &default_variants(&BOTH))?;
            }
        }
    }
    Ok(())
}

fn random_cases(machine: &Machine) -> Outcome {
    let shape = (1usize..=12, 1usize..=13, 1usize..=13).prop_map(|(c, h, w)| [c, h, w]);
    let run = |(shape, picks, batch, checks): ([usize; 3], [u8; 4], usize, bool)| {
        let pool = pool(Shape::map(shape[0], shape[1], shape[2]), picks.map(usize::from));
        let tolerance = tolerance(pool.kind);
        let problem = Problem::new(one(shape, Op::Pool(pool)), batch, tolerance);
        problem.check(machine, &default_variants(&[checks]))
    };
    Ok(random("pool", 60, (shape, any::<[u8; 4]>(), 1usize..=5, any::<bool>()), run)?)
}

fn global_by_hand(machine: &Machine) -> Outcome {
    for (kind, expected) in
        [(PoolKind::Avg, [1.5, -4.0]), (PoolKind::Max, [2.0, -3.0]), (PoolKind::AvgMax, [1.75, -3.5])]
    {
        let problem = Problem {
            input: Tensor::new([1, 2, 1, 2], vec![1.0, 2.0, -3.0, -5.0])?,
            ..Problem::new(one([2, 1, 2], Op::GlobalPool(GlobalPool { kind })), 1, Tolerance::Exact)
        };
        let reference = problem.graph.reference(&problem.input, &problem.weights)?;
        ensure(reference["y"].data() == expected, "the reference is wrong")?;
        problem.check(machine, &variants(&families(), &BOTH))?;
    }
    Ok(())
}

fn global(machine: &Machine) -> Outcome {
    for (shape, batch) in [
        ([1, 1, 1], 1),
        ([3, 1, 7], 5),
        ([4, 7, 7], 2),
        ([5, 13, 11], 1),
        ([65, 7, 7], 3),
        ([17, 56, 56], 1),
        ([257, 2, 3], 2),
    ] {
        for kind in [PoolKind::Avg, PoolKind::Max, PoolKind::AvgMax] {
            let problem = Problem::new(one(shape, Op::GlobalPool(GlobalPool { kind })), batch, tolerance(kind));
            problem.check(machine, &variants(&families(), &[batch != 2]))?;
        }
    }
    Ok(())
}
