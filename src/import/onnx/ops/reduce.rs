//! Reductions over axes, running sums, and softmax.

use super::elementwise::{affine, combined};
use super::pool::over_planes;
use crate::import::onnx::Fail;
use crate::import::onnx::translate::{Args, Translator, axes, axis, plain};
use crate::import::onnx::values::{Int, Val};
use crate::ops::{Arithmetic, Op, PoolKind, Reduce, Reduction, Softmax, Unary};

/// Longest axis of a running sum: each of its elements is a sum of its own.
const MAX_RUNNING_SUM: usize = 1 << 10;

pub(super) fn reduce(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (node, x) = (args.node, args.x(0)?);
    let rank = x.dims().len();
    let over = match args.list("axes", 1)? {
        Some(list) if !list.is_empty() => axes(&list, rank)?,
        // Every element is reduced by itself.
        _ if node.flag("noop_with_empty_axes", false)? => {
            return Ok(vec![match node.op() {
                "ReduceSumSquare" => combined(low, Arithmetic::Mul, x, x)?,
                "ReduceL1" | "ReduceL2" => low.elementwise(Op::Unary(Unary::Abs), x)?,
                "ReduceLogSum" => low.elementwise(Op::Unary(Unary::Log), x)?,
                _ => x.clone(),
            }]);
        }
        _ => (0..rank).collect(),
    };
    let y = match x {
        Val::Ints(ints) => {
            let all: Vec<usize> = (0..rank).collect();
            let op: fn(i64, i64) -> Option<i64> = match node.op() {
                "ReduceSum" => i64::checked_add,
                "ReduceProd" => i64::checked_mul,
                "ReduceMax" => |a, b| Some(a.max(b)),
                "ReduceMin" => |a, b| Some(a.min(b)),
                other => return Err(format!("{other} of integers is not supported").into()),
            };
            if over != all {
                return Err("of integers is supported over all axes only".into());
            }
            let multiples = ints.data.iter().filter(|int| int.batch).count();
            if multiples > 1 || (multiples == 1 && node.op() != "ReduceProd") {
                return Err(Fail::Batch("its integers depend on the batch".into()));
            }
            let mut values = ints.data.iter().map(|int| int.value);
            let first = values.next().ok_or("reduces nothing")?;
            let value = values.try_fold(first, op).ok_or("overflows")?;
            Val::ints(vec![1; rank], vec![Int { value, batch: multiples == 1 }])
        }
        x => reduced(low, node.op(), x, &over)?,
    };
    if node.flag("keepdims", true)? {
        return Ok(vec![y]);
    }
    if y.is_run() {
        low.keeps_batch(&over)?;
    }
    let dims = y.dims().iter().enumerate().filter(|(i, _)| !over.contains(i)).map(|(_, &dim)| dim).collect();
    Ok(vec![y.viewed(dims)])
}

/// A reduction by ONNX's name; the axes stay, with size 1.
pub(super) fn reduced(low: &mut Translator, op: &str, x: &Val, over: &[usize]) -> Result<Val, Fail> {
    if x.is_run() {
        low.keeps_batch(over)?;
    }
    let plane = x.is_run() && x.dims().len() == 4 && x.dims()[0] == 1 && over == [2, 3];
    let plain = |low: &mut Translator, reduction: Reduction, x: &Val| {
        low.tensor_op(Op::Reduce(Reduce { reduction, axes: over.to_vec() }), &[x], Vec::new())
    };
    let sum_of = |low: &mut Translator, val: &Val| plain(low, Reduction::Sum, val);
    match op {
        "ReduceMean" if plane => over_planes(low, x, PoolKind::Avg),
        "ReduceMax" if plane => over_planes(low, x, PoolKind::Max),
        "ReduceSum" if plane => {
            let mean = over_planes(low, x, PoolKind::Avg)?;
            affine(low, &mean, (x.dims()[2] * x.dims()[3]) as f32, 0.0)
        }
        "ReduceMean" => plain(low, Reduction::Mean, x),
        "ReduceSum" => plain(low, Reduction::Sum, x),
        "ReduceProd" => plain(low, Reduction::Prod, x),
        "ReduceMax" => plain(low, Reduction::Max, x),
        "ReduceMin" => plain(low, Reduction::Min, x),
        "ReduceL1" => {
            let sizes = low.elementwise(Op::Unary(Unary::Abs), x)?;
            sum_of(low, &sizes)
        }
        "ReduceL2" | "ReduceSumSquare" => {
            let squares = combined(low, Arithmetic::Mul, x, x)?;
            let sum = sum_of(low, &squares)?;
            if op == "ReduceL2" { low.elementwise(Op::Unary(Unary::Sqrt), &sum) } else { Ok(sum) }
        }
        "ReduceLogSum" => {
            let sum = sum_of(low, x)?;
            low.elementwise(Op::Unary(Unary::Log), &sum)
        }
        _ => {
            let largest = plain(low, Reduction::Max, x)?;
            let shifted = combined(low, Arithmetic::Sub, x, &largest)?;
            let powers = low.elementwise(Op::Unary(Unary::Exp), &shifted)?;
            let sum = sum_of(low, &powers)?;
            let log = low.elementwise(Op::Unary(Unary::Log), &sum)?;
            combined(low, Arithmetic::Add, &log, &largest)
        }
    }
}

/// Every element plus all before it along an axis.
pub(super) fn running_sum(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (node, x) = (args.node, args.x(0)?);
    let at = match *args.ints(1, "its axis")?.unwrap_or_default() {
        [at] => axis(at, x.dims().len())?,
        ref other => return Err(format!("its axis must be one number, is {other:?}").into()),
    };
    let (exclusive, reverse) = (node.flag("exclusive", false)?, node.flag("reverse", false)?);
    let size = x.dims()[at];
    if size > MAX_RUNNING_SUM {
        return Err(format!("sums up to {size} elements, supported are {MAX_RUNNING_SUM}").into());
    }
    let adds = |i: usize, j: usize| (i == j && !exclusive) || (if reverse { j > i } else { j < i });
    if let Val::Ints(ints) = x {
        let inner: usize = ints.dims[at + 1..].iter().product();
        let data = plain(x, "its numbers")?;
        let sum = |k: usize| {
            let (i, first) = (k / inner % size, k - k / inner % size * inner);
            let mut parts = (0..size).filter(|&j| adds(i, j)).map(|j| data[first + j * inner]);
            parts.try_fold(0i64, i64::checked_add).map(Int::from).ok_or("overflows")
        };
        return Ok(vec![Val::ints(ints.dims.clone(), (0..data.len()).map(sum).collect::<Result<_, _>>()?)]);
    }
    let tap = |i: usize, j: usize| (j as f32, if adds(i, j) { 1.0 } else { 0.0 });
    let taps: Vec<(f32, f32)> = (0..size).flat_map(|i| (0..size).map(move |j| tap(i, j))).collect();
    Ok(vec![low.resampled(x, at, size, &taps, &vec![0.0; size])?])
}

pub(super) fn softmax(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (node, x) = (args.node, args.x(0)?);
    let dims = x.dims().to_vec();
    let old = node.opset < 13;
    let first = axis(node.int("axis", if old { 1 } else { -1 })?, dims.len())?;
    if x.is_run() {
        low.keeps_batch(&[first])?;
    }
    // Until operator set 12, all behind the axis counted as one.
    let (view, over) = match old {
        true => (vec![dims[..first].iter().product(), dims[first..].iter().product()], 1),
        false => (dims.clone(), first),
    };
    let x = x.viewed(view);
    let log = node.op() == "LogSoftmax";
    let y = match &x {
        Val::Run(run) if *run.dims == [1, x.len()] && over == 1 && !log => {
            let vector = low.vector(run)?;
            Val::run(low.add(Op::Softmax(Softmax {}), &[vector], Vec::new())?, run.dims.clone())
        }
        x => {
            let largest =
                low.tensor_op(Op::Reduce(Reduce { reduction: Reduction::Max, axes: vec![over] }), &[x], Vec::new())?;
            let shifted = combined(low, Arithmetic::Sub, x, &largest)?;
            let powers = low.elementwise(Op::Unary(Unary::Exp), &shifted)?;
            let sum = reduced(low, "ReduceSum", &powers, &[over])?;
            match log {
                true => {
                    let sum = low.elementwise(Op::Unary(Unary::Log), &sum)?;
                    combined(low, Arithmetic::Sub, &shifted, &sum)?
                }
                false => combined(low, Arithmetic::Div, &powers, &sum)?,
            }
        }
    };
    Ok(vec![y.viewed(dims)])
}
