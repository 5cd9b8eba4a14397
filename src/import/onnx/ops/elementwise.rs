//! Functions of one element, or of one element of each input.

use crate::Shape;
use crate::import::onnx::Fail;
use crate::import::onnx::translate::{Args, Translator, padded, plain};
use crate::import::onnx::values::{Floats, Int, Ints, Run, Val};
use crate::ops::{Act, Add, Arithmetic, BatchNorm, Mul, Op, Scale, Unary, broadcast};
use crate::param::Param;
use crate::tensor::Tensor;

/// `scale * x + shift`.
pub(super) fn affine(low: &mut Translator, val: &Val, scale: f32, shift: f32) -> Result<Val, Fail> {
    match (scale, shift) {
        (1.0, 0.0) => Ok(val.clone()),
        _ => low.elementwise(Op::Activation(Act::affine(scale, shift)), val),
    }
}

pub(super) fn activation(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (node, x) = (args.node, args.x(0)?);
    if let Val::Ints(ints) = x {
        return clipped(args, ints).map(|y| vec![y]);
    }
    let alpha = |default| node.float("alpha", default);
    let act = match node.op() {
        "Relu" => Act::Relu,
        "LeakyRelu" => Act::LeakyRelu(alpha(0.01)?),
        "Sigmoid" => Act::Sigmoid,
        "HardSigmoid" => {
            let (scale, shift) = (alpha(0.2)?, node.float("beta", 0.5)?);
            match (scale - 1.0 / 6.0).abs() < 1e-6 && shift == 0.5 {
                true => Act::HardSigmoid,
                false => Act::Clamp { scale, shift, min: 0.0, max: 1.0 },
            }
        }
        "HardSwish" => Act::HardSwish,
        "Tanh" => Act::Tanh,
        "Softplus" => Act::Softplus,
        "Mish" => Act::Mish,
        "Elu" => Act::Elu(alpha(1.0)?),
        "Gelu" => match node.text("approximate", "none")? {
            "none" => Act::Gelu,
            "tanh" => Act::GeluTanh,
            other => return Err(format!("approximate \"{other}\" is not known").into()),
        },
        "Clip" => Act::clip(bound(low, args, "min", 1, f32::MIN)?, bound(low, args, "max", 2, f32::MAX)?),
        // The rest is made of others.
        "Swish" => {
            let alpha = alpha(1.0)?;
            let inner = affine(low, x, alpha, 0.0)?;
            let outer = low.elementwise(Op::Activation(Act::Silu), &inner)?;
            return match alpha {
                0.0 => Ok(vec![affine(low, x, 0.5, 0.0)?]),
                alpha => Ok(vec![affine(low, &outer, 1.0 / alpha, 0.0)?]),
            };
        }
        "Selu" => {
            let inner = low.elementwise(Op::Activation(Act::Elu(alpha(1.673_263_2)?)), x)?;
            return Ok(vec![affine(low, &inner, node.float("gamma", 1.050_701)?, 0.0)?]);
        }
        "Celu" => {
            let alpha = alpha(1.0)?;
            let inner = affine(low, x, 1.0 / alpha, 0.0)?;
            let inner = low.elementwise(Op::Activation(Act::Elu(1.0)), &inner)?;
            // max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)) is alpha * elu(x / alpha).
            return Ok(vec![affine(low, &inner, alpha, 0.0)?]);
        }
        "Softsign" => {
            let inner = low.elementwise(Op::Unary(Unary::Abs), x)?;
            let inner = affine(low, &inner, 1.0, 1.0)?;
            return Ok(vec![combined(low, Arithmetic::Div, x, &inner)?]);
        }
        "ThresholdedRelu" => {
            let alpha = Val::Floats(low.folded(Tensor::full([1], alpha(1.0)?)));
            let above = combined(low, Arithmetic::Less, &alpha, x)?;
            return Ok(vec![combined(low, Arithmetic::Mask, x, &above)?]);
        }
        other => return Err(format!("{other} is not supported").into()),
    };
    Ok(vec![low.elementwise(Op::Activation(act), x)?])
}

/// Integers between bounds.
fn clipped(args: &Args, ints: &Ints) -> Result<Val, Fail> {
    let bound = |index: usize| match args.ints(index, "its bounds")?.as_deref() {
        None => Ok(None),
        Some([bound]) => Ok(Some(*bound)),
        Some(_) => Err(Fail::from("its bounds must be single numbers")),
    };
    let (min, max) = match args.node.op() {
        "Clip" => (bound(1)?, bound(2)?),
        "Relu" => (Some(0), None),
        other => return Err(format!("{other} works on floats, has integers").into()),
    };
    let values = plain(&Val::Ints(ints.clone()), "its integers")?;
    let clip = |value: &i64| (*value).max(min.unwrap_or(i64::MIN)).min(max.unwrap_or(i64::MAX));
    Ok(Val::ints(ints.dims.clone(), values.iter().map(clip).map(Int::from).collect()))
}

/// A bound of `Clip`: an attribute before opset 11, an input since.
fn bound(low: &mut Translator, args: &Args, name: &str, index: usize, default: f32) -> Result<f32, Fail> {
    let Some(val) = args.get(index) else { return args.node.bound(name, default) };
    match *low.bounds(val, name)?.data() {
        [value] if !value.is_nan() => Ok(value.clamp(f32::MIN, f32::MAX)),
        ref other => Err(format!("{name} must be one number, is {other:?}").into()),
    }
}

pub(super) fn unary(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let op = match args.node.op() {
        "Abs" => Unary::Abs,
        "Ceil" => Unary::Ceil,
        "Cos" => Unary::Cos,
        "Erf" => Unary::Erf,
        "Exp" => Unary::Exp,
        "Floor" => Unary::Floor,
        "Log" => Unary::Log,
        "Neg" => Unary::Neg,
        "Reciprocal" => Unary::Reciprocal,
        "Round" => Unary::Round,
        "Sign" => Unary::Sign,
        "Sin" => Unary::Sin,
        "Sqrt" => Unary::Sqrt,
        "Tan" => Unary::Tan,
        other => return Err(format!("{other} is not supported").into()),
    };
    let x = args.x(0)?;
    if let Val::Ints(ints) = x {
        let f: fn(i64) -> i64 = match op {
            Unary::Neg => i64::wrapping_neg,
            Unary::Abs => i64::wrapping_abs,
            Unary::Sign => i64::signum,
            Unary::Ceil | Unary::Floor | Unary::Round => |x| x,
            _ => return Err("works on floats, has integers".into()),
        };
        if op == Unary::Sign && ints.data.iter().any(|int| int.batch) {
            return Err(Fail::Batch("the sign of a size that depends on the batch".into()));
        }
        let apply = |int: &Int| Int { value: f(int.value), ..*int };
        return Ok(vec![Val::ints(ints.dims.clone(), ints.data.iter().map(apply).collect())]);
    }
    let y = match op {
        Unary::Neg => affine(low, x, -1.0, 0.0)?,
        op => low.elementwise(Op::Unary(op), x)?,
    };
    Ok(vec![y])
}

/// `max(x, 0) + slope * min(x, 0)`.
pub(super) fn prelu(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (x, slope) = (args.x(0)?, args.x(1)?);
    if !slope.is_run() && slope.len() == 1 && slope.dims().len() <= x.dims().len() {
        let slope = low.numbers(slope, "its slope")?.data()[0];
        return Ok(vec![low.elementwise(Op::Activation(Act::LeakyRelu(slope)), x)?]);
    }
    let above = low.elementwise(Op::Activation(Act::Relu), x)?;
    let below = low.elementwise(Op::Activation(Act::clip(f32::MIN, 0.0)), x)?;
    let below = combined(low, Arithmetic::Mul, &below, slope)?;
    Ok(vec![combined(low, Arithmetic::Add, &above, &below)?])
}

pub(super) fn arithmetic(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let op = match args.node.op() {
        "Add" | "Sum" | "Mean" => Arithmetic::Add,
        "Sub" => Arithmetic::Sub,
        "Mul" => Arithmetic::Mul,
        "Div" => Arithmetic::Div,
        "Pow" => Arithmetic::Pow,
        "Min" => Arithmetic::Min,
        "Max" => Arithmetic::Max,
        other => return Err(format!("{other} is not supported").into()),
    };
    let mut y = args.x(0)?.clone();
    for i in 1..args.vals.len() {
        y = combined(low, op, &y, args.x(i)?)?;
    }
    if args.node.op() == "Mean" {
        y = affine(low, &y, 1.0 / args.vals.len() as f32, 0.0)?;
    }
    Ok(vec![y])
}

/// `a ∘ b`, broadcast, in the form that costs least.
pub(super) fn combined(low: &mut Translator, op: Arithmetic, a: &Val, b: &Val) -> Result<Val, Fail> {
    let dims =
        broadcast(a.dims(), b.dims()).ok_or_else(|| format!("{:?} and {:?} don't broadcast", a.dims(), b.dims()))?;
    match (a, b) {
        (Val::Ints(a), Val::Ints(b)) => low.zipped(a, b, |a, b| integers(op, a, b)),
        (Val::Run(x), Val::Run(y)) => {
            if x.dims.len() != y.dims.len() || x.dims.first() != y.dims.first() {
                low.keeps_batch(&[0])?;
            }
            runs(low, op, x, y, &dims)
        }
        (Val::Run(x), c) | (c, Val::Run(x)) => {
            let run_dims = x.expanded.as_ref().unwrap_or(&x.dims);
            if c.dims().len() > run_dims.len() || (c.dims().len() == run_dims.len() && c.dims().first() != Some(&1)) {
                // A single number changes no batch.
                if !(c.len() == 1 && c.dims().len() <= run_dims.len()) {
                    low.keeps_batch(&[0])?;
                }
            }
            let val = low.settled(&Val::Run(x.clone()))?;
            let c = Val::Floats(low.floats(c)?);
            match with_constant(low, op, &val, &c, a.is_run(), &dims)? {
                Some(y) => Ok(y),
                None if a.is_run() => low.tensor_op(Op::Arithmetic(op), &[&val, &c], Vec::new()),
                None => low.tensor_op(Op::Arithmetic(op), &[&c, &val], Vec::new()),
            }
        }
        (a, b) => low.tensor_op(Op::Arithmetic(op), &[a, b], Vec::new()),
    }
}

/// Arithmetic of sizes. Multiples of the batch stay such where they can.
fn integers(op: Arithmetic, a: Int, b: Int) -> Result<Int, Fail> {
    let overflow = || Fail::from(format!("{op} of {} and {} overflows", a.value, b.value));
    if a.batch || b.batch {
        let batch = |value: Option<i64>| value.map(|value| Int { value, batch: true }).ok_or_else(overflow);
        return match (op, a.batch, b.batch) {
            (Arithmetic::Mul, true, false) | (Arithmetic::Mul, false, true) => batch(a.value.checked_mul(b.value)),
            (Arithmetic::Add, true, true) => batch(a.value.checked_add(b.value)),
            (Arithmetic::Sub, true, true) => batch(a.value.checked_sub(b.value)),
            (Arithmetic::Add | Arithmetic::Sub, true, false) if b.value == 0 => Ok(a),
            (Arithmetic::Add, false, true) if a.value == 0 => Ok(b),
            (Arithmetic::Div, true, false) if a.value.checked_rem(b.value) == Some(0) => batch(Some(a.value / b.value)),
            (Arithmetic::Div, true, true) if a.value.checked_rem(b.value) == Some(0) => Ok((a.value / b.value).into()),
            _ => Err(Fail::Batch(format!("{op} of a size that depends on the batch"))),
        };
    }
    let (a, b) = (a.value, b.value);
    let value = match op {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Sub => a.checked_sub(b),
        Arithmetic::Mul => a.checked_mul(b),
        Arithmetic::Div if b == 0 => return Err("divides an integer by 0".into()),
        Arithmetic::Div => a.checked_div(b),
        Arithmetic::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        Arithmetic::Min => Some(a.min(b)),
        Arithmetic::Max => Some(a.max(b)),
        Arithmetic::Equal => Some((a == b).into()),
        Arithmetic::Less => Some((a < b).into()),
        Arithmetic::Mask => Some(if b == 0 { 0 } else { a }),
    };
    Ok(value.ok_or_else(overflow)?.into())
}

/// Two values of the graph.
fn runs(low: &mut Translator, op: Arithmetic, a: &Run, b: &Run, dims: &[usize]) -> Result<Val, Fail> {
    let by_itself = broadcast(&a.dims, &b.dims).is_some_and(|own| own == dims);
    let (a, b) = match by_itself {
        true => (Val::run(a.value, a.dims.clone()), Val::run(b.value, b.dims.clone())),
        false => (low.settled(&Val::Run(a.clone()))?, low.settled(&Val::Run(b.clone()))?),
    };
    let (Val::Run(x), Val::Run(y)) = (&a, &b) else { unreachable!("values stay values") };
    let is_map = |low: &Translator, run: &Run| matches!(low.builder.shape(run.value), Shape::Map { .. });
    // A number per channel of a map: the scale of an SE block.
    for (map, gate) in [(x, y), (y, x)] {
        if let (Arithmetic::Mul, [1, c, h, w], [1, d, 1, 1]) = (op, &*map.dims, &*gate.dims)
            && c == d
            && h * w > 1
        {
            let (shown, gate) = (low.map(&Val::Run(map.clone()))?.0, low.vector(gate)?);
            let y = low.add(Op::Scale(Scale::default()), &[shown, gate], Vec::new())?;
            return Ok(Val::run(y, dims));
        }
    }
    if x.dims == y.dims && matches!(op, Arithmetic::Add | Arithmetic::Sub | Arithmetic::Mul) {
        let y = match op {
            Arithmetic::Sub => affine(low, &b, -1.0, 0.0)?,
            _ => b.clone(),
        };
        let Val::Run(y) = &y else { unreachable!("values stay values") };
        let shape = match (low.builder.shape(x.value), low.builder.shape(y.value)) {
            (a, b) if a == b => a,
            (a, b) if is_map(low, x) || is_map(low, y) => {
                if matches!(a, Shape::Map { .. }) {
                    a
                } else {
                    b
                }
            }
            _ => Shape::vector(x.dims.iter().product()),
        };
        let (first, second) = (low.show(x.value, shape)?, low.show(y.value, shape)?);
        let op = if op == Arithmetic::Mul { Op::Mul(Mul {}) } else { Op::Add(Add::default()) };
        return Ok(Val::run(low.add(op, &[first, second], Vec::new())?, dims));
    }
    low.tensor_op(Op::Arithmetic(op), &[&a, &b], Vec::new())
}

/// A value of the graph and numbers: a function of one element, or of one element and its channel, where that fits.
fn with_constant(
    low: &mut Translator,
    op: Arithmetic,
    val: &Val,
    c: &Val,
    value_first: bool,
    dims: &[usize],
) -> Result<Option<Val>, Fail> {
    use Arithmetic::{Add, Div, Equal, Less, Mask, Max, Min, Mul, Pow, Sub};
    if val.dims() != dims {
        return Ok(None);
    }
    if c.len() == 1 {
        // An infinite bound is none.
        let c = match op {
            Min | Max => low.bounds(c, "its bound")?.data()[0].clamp(f32::MIN, f32::MAX),
            _ => low.numbers(c, "its number")?.data()[0],
        };
        let y = match (op, value_first) {
            (Add, _) => affine(low, val, 1.0, c)?,
            (Mul, _) => affine(low, val, c, 0.0)?,
            (Sub, true) => affine(low, val, 1.0, -c)?,
            (Sub, false) => affine(low, val, -1.0, c)?,
            (Div, true) if c != 0.0 && (1.0 / c).is_finite() => affine(low, val, 1.0 / c, 0.0)?,
            (Div, false) => {
                let inverse = low.elementwise(Op::Unary(Unary::Reciprocal), val)?;
                affine(low, &inverse, c, 0.0)?
            }
            (Pow, true) => match c {
                1.0 => val.clone(),
                2.0 => combined(low, Mul, val, val)?,
                0.5 => low.elementwise(Op::Unary(Unary::Sqrt), val)?,
                c => low.elementwise(Op::Unary(Unary::Power(c)), val)?,
            },
            (Min, _) => low.elementwise(Op::Activation(Act::clip(f32::MIN, c)), val)?,
            (Max, _) => low.elementwise(Op::Activation(Act::clip(c, f32::MAX)), val)?,
            (Div, true) | (Pow, false) | (Equal | Less | Mask, _) => return Ok(None),
        };
        return Ok(Some(y));
    }
    let own = padded(c.dims(), dims.len());
    let per_channel = dims.len() >= 2 && dims[0] == 1 && own.iter().enumerate().all(|(i, &d)| i == 1 || d == 1);
    let scales_or_shifts = matches!(op, Add | Sub | Mul) || (op == Div && value_first);
    if !per_channel || !scales_or_shifts {
        return Ok(None);
    }
    if let Val::Floats(floats) = c
        && low.is_unread(floats)
    {
        // A plan does without the numbers.
        let shape = vec![dims[1]];
        let fill = |value| Param::Fill { value, shape: shape.clone() };
        let own = floats.viewed(shape.clone()).param;
        let (scale, shift) = match op {
            Add => (fill(1.0), own),
            Mul => (own, fill(0.0)),
            _ => return Ok(None),
        };
        return normed(low, val, vec![scale, shift, fill(0.0), fill(1.0)], 0.0).map(Some);
    }
    let mut c = low.numbers(c, "its numbers")?.into_data();
    if op == Div {
        c.iter_mut().for_each(|c| *c = 1.0 / *c);
    }
    if c.iter().any(|c| !c.is_finite()) {
        return Ok(None);
    }
    let negative = |sign: f32, c: &[f32]| c.iter().map(|c| sign * c).collect::<Vec<f32>>();
    let (scale, shift) = match op {
        Mul | Div => (Some(c), None),
        Add => (None, Some(c)),
        _ if value_first => (None, Some(negative(-1.0, &c))),
        _ => (Some(vec![-1.0; c.len()]), Some(c)),
    };
    per_channel_affine(low, val, scale, shift).map(Some)
}

/// `scale[c] * x + shift[c]` of dimension 1.
fn per_channel_affine(
    low: &mut Translator,
    val: &Val,
    scale: Option<Vec<f32>>,
    shift: Option<Vec<f32>>,
) -> Result<Val, Fail> {
    let dims = val.dims().to_vec();
    let channels = dims[1];
    let param = |low: &mut Translator, role: &str, values: Option<Vec<f32>>, usual: f32| match values {
        Some(values) => Ok(low.literal(role, Tensor::new([channels], values)?)),
        None => Ok::<_, Fail>(Param::Fill { value: usual, shape: vec![channels] }),
    };
    let fill = |value| Param::Fill { value, shape: vec![channels] };
    let params = vec![param(low, "weight", scale, 1.0)?, param(low, "bias", shift, 0.0)?, fill(0.0), fill(1.0)];
    normed(low, val, params, 0.0)
}

/// A batch norm with these parameters along dimension 1.
pub(super) fn normed(low: &mut Translator, val: &Val, params: Vec<Param>, eps: f64) -> Result<Val, Fail> {
    let dims = val.dims().to_vec();
    let Val::Run(run) = val else { return Err("must depend on the network's input".into()) };
    let x = match *dims {
        [1, _] => low.vector(run)?,
        [1, _, _, _] => low.map(val)?.0,
        [batch, channels, ref rest @ ..] => low.map(&val.viewed(vec![batch, channels, 1, rest.iter().product()]))?.0,
        _ => return Err(format!("expects at least 2 dimensions, input is {dims:?}").into()),
    };
    let y = low.add(Op::BatchNorm(BatchNorm::eps(eps)), &[x], params)?;
    Ok(Val::run(y, dims))
}

/// Numbers of `count` channels.
pub(super) fn per_channel(low: &mut Translator, args: &Args, index: usize, count: usize) -> Result<Floats, Fail> {
    let floats = low.floats(args.x(index)?)?;
    match *floats.dims == [count] {
        true => Ok(floats),
        false => Err(format!("input {index} must have {count} numbers, is {:?}", floats.dims).into()),
    }
}
