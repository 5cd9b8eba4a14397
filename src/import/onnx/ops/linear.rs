//! Products of matrices.

use super::elementwise::{affine, combined};
use crate::import::onnx::Fail;
use crate::import::onnx::translate::{Args, Translator};
use crate::import::onnx::values::{Floats, Val};
use crate::ops::{Arithmetic, Linear, MatMul, Op, Permute};
use crate::param::Param;

/// `x [1, in]` times `[out, in]` weights.
fn layer(low: &mut Translator, x: &Val, weight: Param, bias: Option<Param>) -> Result<Val, Fail> {
    let Val::Run(run) = low.settled(x)? else { return Err("must depend on the network's input".into()) };
    let out_features = weight.shape()[0];
    let vector = low.vector(&run)?;
    let op = Op::Linear(Linear { bias: bias.is_some(), ..Linear::new(out_features) });
    let params = std::iter::once(weight).chain(bias).collect();
    let y = low.add(op, &[vector], params)?;
    Ok(Val::run(y, [1, out_features]))
}

/// `[in, out]` as `[out, in]`.
fn transposed(floats: &Floats) -> Param {
    let shape = [floats.dims[1], floats.dims[0]];
    Param::Transposed { of: Box::new(floats.param.clone()), shape }
}

pub(super) fn matmul(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (a, b) = (args.x(0)?, args.x(1)?);
    if let (true, [1, _], Val::Floats(weight)) = (a.is_run(), a.dims(), b)
        && let [_, _] = *weight.dims
    {
        return Ok(vec![layer(low, a, transposed(weight), None)?]);
    }
    let product = product(low, a, b)?;
    // A vector counts as a row on the left, as a column on the right, and loses that dimension again.
    let mut dims = product.dims().to_vec();
    if b.dims().len() == 1 {
        dims.pop();
    }
    if a.dims().len() == 1 {
        dims.remove(product.dims().len() - 2);
    }
    Ok(vec![product.viewed(dims)])
}

fn product(low: &mut Translator, a: &Val, b: &Val) -> Result<Val, Fail> {
    if a.dims().is_empty() || b.dims().is_empty() {
        return Err("multiplies a single number".into());
    }
    // The batch is neither a row of the right matrix nor a sum, and stays where it is.
    let (left, right) = (a.dims().len(), b.dims().len());
    let outer = |val: &Val, rank: usize, other: usize| rank < other || (rank == other && val.dims()[0] == 1);
    let keeps = match (a.is_run(), b.is_run()) {
        (true, false) => left >= 2 && (right <= 2 || outer(b, right, left)),
        (false, true) => right >= 3 && outer(a, left, right),
        (true, true) => left >= 3 && left == right && a.dims()[0] == b.dims()[0],
        (false, false) => true,
    };
    if !keeps {
        low.keeps_batch(&[0])?;
    }
    let matrix = |val: &Val, vector: [usize; 2]| match val.dims().len() {
        1 => val.viewed(vector.to_vec()),
        _ => val.clone(),
    };
    let (a, b) = (matrix(a, [1, a.len()]), matrix(b, [b.len(), 1]));
    low.tensor_op(Op::MatMul(MatMul {}), &[&a, &b], Vec::new())
}

pub(super) fn gemm(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let node = args.node;
    let (a, b, c) = (args.x(0)?, args.x(1)?, args.get(2));
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let (a_turned, b_turned) = (node.flag("transA", false)?, node.flag("transB", false)?);
    if a.dims().len() != 2 || b.dims().len() != 2 {
        return Err(format!("expects two matrices, has {:?} and {:?}", a.dims(), b.dims()).into());
    }
    let one_row = |c: &Val| !c.is_run() && c.dims().iter().rev().skip(1).all(|&dim| dim == 1);
    if let (true, [1, _], Val::Floats(weight), false) = (a.is_run(), a.dims(), b, a_turned)
        && alpha == 1.0
    {
        let param = if b_turned { weight.param.clone() } else { transposed(weight) };
        let out = param.shape()[0];
        let bias = match c {
            Some(c) if beta == 1.0 && one_row(c) && c.len() == out => Some(low.floats(c)?.viewed(vec![out]).param),
            _ => None,
        };
        let added = bias.is_some();
        let y = layer(low, a, param, bias)?;
        return with_addend(low, y, if added { None } else { c }, beta);
    }
    let turned = |low: &mut Translator, val: &Val, turned: bool| match turned {
        true => {
            if val.is_run() {
                low.keeps_batch(&[0])?;
            }
            low.tensor_op(Op::Permute(Permute { order: vec![1, 0] }), &[val], Vec::new())
        }
        false => Ok(val.clone()),
    };
    let (a, b) = (turned(low, a, a_turned)?, turned(low, b, b_turned)?);
    let y = product(low, &a, &b)?;
    let y = affine(low, &y, alpha, 0.0)?;
    with_addend(low, y, c, beta)
}

fn with_addend(low: &mut Translator, y: Val, c: Option<&Val>, beta: f32) -> Result<Vec<Val>, Fail> {
    let Some(c) = c.filter(|_| beta != 0.0) else { return Ok(vec![y]) };
    let c = affine(low, c, beta, 0.0)?;
    Ok(vec![combined(low, Arithmetic::Add, &y, &c)?])
}
