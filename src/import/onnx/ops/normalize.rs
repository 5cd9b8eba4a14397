//! Normalisations: means and variances over axes, then a scale and a shift.

use super::elementwise::{affine, combined, normed, per_channel};
use crate::import::onnx::Fail;
use crate::import::onnx::translate::{Args, Translator, axes, axis};
use crate::import::onnx::values::{Floats, Val};
use crate::ops::{Arithmetic, Op, Reduce, Reduction, Unary};
use crate::param::{Formula, Recipe};
use crate::tensor::Tensor;

pub(super) fn batch_norm(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let node = args.node;
    if node.int("spatial", 1)? != 1 {
        return Err("spatial 0 is not supported".into());
    }
    let x = args.x(0)?;
    let channels = *x.dims().get(1).ok_or("expects at least 2 dimensions")?;
    let eps = f64::from(node.float("epsilon", 1e-5)?);
    // Before operator set 14, more results than one say so.
    let training = match node.opset {
        ..14 => node.proto.outputs.iter().skip(1).any(|output| !output.is_empty()),
        _ => node.flag("training_mode", false)?,
    };
    if training && (x.is_run() || (1..5).any(|i| args.wants(i))) {
        return Err("is in training mode".into());
    }
    if !x.is_run() {
        return Ok(vec![of_numbers(low, args, channels, eps, training)?]);
    }
    let params = (1..5).map(|i| per_channel(low, args, i, channels).map(|floats| floats.param));
    let params = params.collect::<Result<Vec<_>, _>>()?;
    Ok(vec![normed(low, x, params, eps)?])
}

/// A batch norm of numbers known now; in training, of their own statistics. So exporters say that a convolution's weights
/// are standardised.
fn of_numbers(low: &mut Translator, args: &Args, channels: usize, eps: f64, training: bool) -> Result<Val, Fail> {
    let x = low.floats(args.x(0)?)?;
    if args.x(0)?.len() == 0 {
        return Err("computes with a value of no elements".into());
    }
    let mut of = vec![x.param];
    for i in 1..if training { 3 } else { 5 } {
        of.push(per_channel(low, args, i, channels)?.param);
    }
    low.computed(Recipe::new(Formula::Standardize { eps }, of, x.dims))
}

/// `(x - mean) / sqrt(variance + eps)` over these axes.
fn normalized(low: &mut Translator, x: &Val, axes: &[usize], eps: f32) -> Result<Val, Fail> {
    Ok(normalized_with_statistics(low, x, axes, eps)?.0)
}

/// The same, the mean, and what it is multiplied by.
fn normalized_with_statistics(
    low: &mut Translator,
    x: &Val,
    axes: &[usize],
    eps: f32,
) -> Result<(Val, Val, Val), Fail> {
    if x.is_run() {
        low.keeps_batch(axes)?;
    }
    let mean = |low: &mut Translator, val: &Val| {
        low.tensor_op(Op::Reduce(Reduce { reduction: Reduction::Mean, axes: axes.to_vec() }), &[val], Vec::new())
    };
    let centre = mean(low, x)?;
    let centred = combined(low, Arithmetic::Sub, x, &centre)?;
    let squares = combined(low, Arithmetic::Mul, &centred, &centred)?;
    let variance = mean(low, &squares)?;
    let variance = affine(low, &variance, 1.0, eps)?;
    let inverse = low.elementwise(Op::Unary(Unary::Power(-0.5)), &variance)?;
    Ok((combined(low, Arithmetic::Mul, &centred, &inverse)?, centre, inverse))
}

fn scaled(low: &mut Translator, x: Val, scale: Option<&Val>, shift: Option<&Val>) -> Result<Val, Fail> {
    let mut y = x;
    if let Some(scale) = scale {
        y = combined(low, Arithmetic::Mul, &y, scale)?;
    }
    if let Some(shift) = shift {
        y = combined(low, Arithmetic::Add, &y, shift)?;
    }
    Ok(y)
}

/// Numbers of dimension 1, for values of `rank` dimensions.
fn along_channels(floats: Floats, rank: usize) -> Val {
    let mut dims = vec![1; rank];
    dims[1] = floats.dims.iter().product();
    Val::Floats(floats.viewed(dims))
}

pub(super) fn layer_norm(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let rank = x.dims().len();
    let first = axis(args.node.int("axis", -1)?, rank)?;
    let (over, eps) = ((first..rank).collect::<Vec<_>>(), args.node.float("epsilon", 1e-5)?);
    let (y, mean, inverse) = normalized_with_statistics(low, x, &over, eps)?;
    Ok(vec![scaled(low, y, args.get(1), args.get(2))?, mean, inverse])
}

pub(super) fn instance_norm(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let rank = x.dims().len();
    if rank < 3 {
        return Err(format!("expects at least 3 dimensions, input is {:?}", x.dims()).into());
    }
    let channels = x.dims()[1];
    let y = normalized(low, x, &(2..rank).collect::<Vec<_>>(), args.node.float("epsilon", 1e-5)?)?;
    let [scale, shift] = [per_channel(low, args, 1, channels)?, per_channel(low, args, 2, channels)?];
    Ok(vec![scaled(low, y, Some(&along_channels(scale, rank)), Some(&along_channels(shift, rank)))?])
}

pub(super) fn group_norm(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let dims = x.dims().to_vec();
    let [batch, channels, ..] = *dims else { return Err("expects at least 2 dimensions".into()) };
    let groups = usize::try_from(args.node.int("num_groups", 0)?).unwrap_or(0);
    if groups == 0 || x.len() == 0 || channels % groups != 0 {
        return Err(format!("num_groups {groups} does not divide {channels} channels").into());
    }
    let grouped = x.viewed(vec![batch, groups, x.len() / (batch * groups)]);
    let mut y = normalized(low, &grouped, &[2], args.node.float("epsilon", 1e-5)?)?;
    // One number a group before operator set 21, one a channel since.
    let rank = if args.node.opset < 21 { 3 } else { dims.len() };
    let count = if args.node.opset < 21 { groups } else { channels };
    if args.node.opset >= 21 {
        y = y.viewed(dims.clone());
    }
    let [scale, shift] = [per_channel(low, args, 1, count)?, per_channel(low, args, 2, count)?];
    let y = scaled(low, y, Some(&along_channels(scale, rank)), Some(&along_channels(shift, rank)))?;
    Ok(vec![y.viewed(dims)])
}

pub(super) fn mean_variance_norm(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let over = axes(args.node.ints("axes")?.unwrap_or(&[0, 2, 3]), x.dims().len())?;
    if x.is_run() {
        low.keeps_batch(&over)?;
    }
    let mean = super::reduce::reduced(low, "ReduceMean", x, &over)?;
    let centred = combined(low, Arithmetic::Sub, x, &mean)?;
    let squares = combined(low, Arithmetic::Mul, &centred, &centred)?;
    let variance = super::reduce::reduced(low, "ReduceMean", &squares, &over)?;
    let deviation = low.elementwise(Op::Unary(Unary::Sqrt), &variance)?;
    let deviation = affine(low, &deviation, 1.0, 1e-9)?;
    Ok(vec![combined(low, Arithmetic::Div, &centred, &deviation)?])
}

pub(super) fn lp_norm(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let over = axis(args.node.int("axis", -1)?, x.dims().len())?;
    let norm = match args.node.int("p", 2)? {
        1 => super::reduce::reduced(low, "ReduceL1", x, &[over])?,
        2 => super::reduce::reduced(low, "ReduceL2", x, &[over])?,
        p => return Err(format!("p {p} is not supported").into()),
    };
    // Of nothing but zeros the result is zeros.
    let zero = Val::Floats(low.folded(Tensor::zeros([1])));
    let is_zero = combined(low, Arithmetic::Equal, &norm, &zero)?;
    let norm = combined(low, Arithmetic::Add, &norm, &is_zero)?;
    Ok(vec![combined(low, Arithmetic::Div, x, &norm)?])
}

/// `x / (bias + alpha / size * sum of squares of the size channels around)^beta`.
pub(super) fn lrn(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (node, x) = (args.node, args.x(0)?);
    let size = usize::try_from(node.int("size", 0)?).unwrap_or(0);
    let channels = *x.dims().get(1).ok_or("expects at least 2 dimensions")?;
    if size == 0 || size > 1 << 10 {
        return Err(format!("size must be 1 to 1024, is {size}").into());
    }
    low.affords_taps(channels.saturating_mul(size))?;
    let share = node.float("alpha", 1e-4)? / size as f32;
    let before = (size - 1) / 2;
    let tap = |c: usize, t: usize| match (c + t).checked_sub(before) {
        Some(at) if at < channels => (at as f32, share),
        _ => (0.0, 0.0),
    };
    let taps: Vec<(f32, f32)> = (0..channels).flat_map(|c| (0..size).map(move |t| tap(c, t))).collect();
    let squares = combined(low, Arithmetic::Mul, x, x)?;
    let sums = low.resampled(&squares, 1, size, &taps, &vec![node.float("bias", 1.0)?; channels])?;
    let factor = low.elementwise(Op::Unary(Unary::Power(-node.float("beta", 0.75)?)), &sums)?;
    Ok(vec![combined(low, Arithmetic::Mul, x, &factor)?])
}
