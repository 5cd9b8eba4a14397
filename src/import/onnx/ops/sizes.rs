//! Sizes, constants and types: what is known while importing.

use super::elementwise::{affine, combined};
use crate::import::onnx::Fail;
use crate::import::onnx::external::External;
use crate::import::onnx::stored::{Element, Stored, data_type};
use crate::import::onnx::translate::{Args, Translator, axis, check_ints, padded, plain};
use crate::import::onnx::values::{Int, Ints, Run, Val};
use crate::ops::{Arithmetic, Concat, Constant, Op, broadcast, broadcast_index};
use crate::param::Param;
use crate::tensor::{Dims, Shape, Tensor, element_count};

pub(super) fn identity(_low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    if args.node.op() == "Dropout" && args.ints(2, "training_mode")?.is_some_and(|mode| mode != [0]) {
        return Err("is in training mode".into());
    }
    let x = args.x(0)?;
    if !args.wants(1) {
        return Ok(vec![x.clone()]);
    }
    // The mask of a dropout that drops nothing.
    check_ints(x.dims())?;
    Ok(vec![x.clone(), Val::ints(x.dims(), vec![Int::from(1); x.len()])])
}

pub(super) fn cast(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let to = match args.node.op() {
        "CastLike" => match args.x(1)? {
            Val::Ints(_) => return Err("to a type of integers or truth values is not supported".into()),
            like if like.is_bytes() => Element::Unsigned(1),
            _ => Element::F32,
        },
        _ => {
            let number = args.node.int("to", 0)?;
            Element::of(number).ok_or_else(|| format!("to type {} is not supported", data_type(number)))?
        }
    };
    let fits = |int: Int| match to.holds(int.value) {
        true => Ok(int),
        false => Err(Fail::from(format!("{} does not fit into {to:?}", int.value))),
    };
    let y = match (x, to.is_float()) {
        (Val::Ints(_), true) => Val::Floats(low.floats(x)?),
        (Val::Ints(ints), false) if to == Element::Bool => {
            let truth = |int: &Int| Int { value: i64::from(int.value != 0), batch: false };
            Val::ints(ints.dims.clone(), ints.data.iter().map(truth).collect())
        }
        (Val::Floats(floats), false) => {
            check_ints(&floats.dims)?;
            let numbers = low.numbers(x, "its numbers")?;
            let whole = |&x: &f32| match to {
                Element::Bool => Ok(Int::from(i64::from(x != 0.0))),
                _ if x.abs() < 9e18 => fits(Int::from(x as i64)),
                _ => Err(format!("{x} is no integer").into()),
            };
            Val::ints(floats.dims.clone(), numbers.data().iter().map(whole).collect::<Result<_, Fail>>()?)
        }
        (Val::Ints(ints), false) => {
            let data = ints.data.iter().map(|&int| fits(int)).collect::<Result<_, Fail>>()?;
            Val::ints(ints.dims.clone(), data)
        }
        (Val::Run(run), false) if run.bytes && to.holds(0) && to.holds(255) && to != Element::Bool => {
            Val::Run(run.clone())
        }
        (Val::Run(run), true) => Val::Run(Run { bytes: false, ..run.clone() }),
        (Val::Run(_), false) if to == Element::Bool => {
            let zero = Val::Floats(low.folded(Tensor::zeros([1])));
            let is_zero = compared(low, "Equal", x, &zero)?;
            affine(low, &is_zero, -1.0, 1.0)?
        }
        (Val::Run(_), false) => return Err("to integers, of a value that depends on the network's input".into()),
        (x, _) => x.clone(),
    };
    Ok(vec![y])
}

/// What can be read is a tensor of the file by now: this says why it can't.
pub(super) fn constant(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    match args.node.tensor("value")? {
        Some(proto) => Ok(vec![low.attribute(proto)?]),
        None => Err("has no value of a supported type".into()),
    }
}

pub(super) fn constant_of_shape(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    if let Some(y) = same_for_every_image(low, args)? {
        return Ok(vec![y]);
    }
    let dims = args.ints(0, "its shape")?.ok_or("has no shape")?;
    let dims =
        dims.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<_>, _>>().map_err(|_| "a negative size")?;
    let value = match args.node.tensor("value")? {
        Some(proto) => low.attribute(proto)?,
        None => Val::Floats(low.folded(Tensor::new([1], vec![0.0])?)),
    };
    Ok(vec![match &value {
        Val::Ints(Ints { data, .. }) if data.len() == 1 => {
            check_ints(&dims)?;
            let count = element_count(&dims).unwrap_or(0);
            Val::ints(dims, vec![data[0]; count])
        }
        Val::Floats(floats) if floats.dims.iter().product::<usize>() == 1 => {
            low.affords(element_count(&dims).unwrap_or(usize::MAX).saturating_mul(size_of::<f32>()))?;
            let value = low.numbers(&value, "its value")?.data()[0];
            Val::Floats(low.folded(Tensor::full(dims, value)))
        }
        _ => return Err("its value must be one number".into()),
    }])
}

/// Along a new axis, one value at each index and the other elsewhere.
pub(super) fn one_hot(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let whole = |low: &mut Translator, val: &Val, what: &str| match val {
        Val::Ints(_) => plain(val, what),
        val => {
            check_ints(val.dims())?;
            Ok(low.numbers(val, what)?.data().iter().map(|&x| x as i64).collect())
        }
    };
    let indices = whole(low, args.x(0)?, "its indices")?;
    let depth = match *whole(low, args.x(1)?, "its depth")? {
        [depth] if depth > 0 => depth,
        ref other => return Err(format!("its depth must be one positive number, is {other:?}").into()),
    };
    let mut dims = args.x(0)?.dims().to_vec();
    let at = axis(args.node.int("axis", -1)?, dims.len() + 1)?;
    dims.insert(at, depth as usize);
    check_ints(&dims)?;
    let inner: usize = dims[at + 1..].iter().product();
    let chosen = |i: usize| {
        let (outer, place) = (i / inner / depth as usize, i / inner % depth as usize);
        let index = indices[outer * inner + i % inner];
        usize::from((if index < 0 { index.saturating_add(depth) } else { index }) == place as i64)
    };
    let count = dims.iter().product();
    match args.x(2)? {
        values if values.dims() != [2] => Err(format!("needs two values, has {:?}", values.dims()).into()),
        Val::Ints(values) => Ok(vec![Val::ints(dims, (0..count).map(|i| values.data[chosen(i)]).collect())]),
        values => {
            let values = low.numbers(values, "its values")?;
            Ok(vec![Val::Floats(low.folded(Tensor::from_fn(dims, |i| values.data()[chosen(i)])))])
        }
    }
}

/// Floats or truth values whose first dimension is the batch. Integers must be known while importing.
fn same_for_every_image(low: &mut Translator, args: &Args) -> Result<Option<Val>, Fail> {
    let Val::Ints(wanted) = args.x(0)? else { return Ok(None) };
    let [Int { batch: true, .. }, rest @ ..] = &*wanted.data else { return Ok(None) };
    let value = match args.node.tensor("value")? {
        Some(proto) if Element::of(proto.element).is_some_and(|e| e == Element::Bool || e.is_float()) => {
            low.attribute(proto)?
        }
        Some(_) => return Ok(None),
        None => Val::Floats(low.folded(Tensor::zeros([1]))),
    };
    let dims: Option<Vec<usize>> = wanted.data.iter().map(|int| usize::try_from(int.value).ok()).collect();
    let Some(dims) = dims.filter(|dims| value.len() == 1 && !dims.contains(&0) && rest.iter().all(|int| !int.batch))
    else {
        return Ok(None);
    };
    check_ints(&dims)?;
    let value = low.numbers(&value, "its value")?.data()[0];
    let shape = Dims::new(&dims).ok_or_else(|| format!("{dims:?} has more than {} dimensions", Dims::MAX))?;
    let fill = Param::Fill { value, shape: dims.clone() };
    let y = low.add(Op::Constant(Constant { shape: Shape::Tensor(shape) }), &[], vec![fill])?;
    Ok(Some(Val::run(y, dims)))
}

pub(super) fn shape(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let rank = x.dims().len() as i64;
    let within = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (within(args.node.int("start", 0)?), within(args.node.int("end", rank)?));
    let batch = x.is_run() && low.free.is_some();
    let size = |i: usize| Int { value: x.dims()[i] as i64, batch: batch && i == x.batch() };
    let data: Vec<Int> = (start..end.max(start)).map(size).collect();
    Ok(vec![Val::ints([data.len()], data)])
}

pub(super) fn size(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let batch = x.is_run() && low.free.is_some();
    Ok(vec![Val::ints([], vec![Int { value: x.len() as i64, batch }])])
}

pub(super) fn range(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    if (0..3).all(|i| matches!(args.get(i), Some(Val::Ints(_)))) {
        let one = |i: usize| match *args.ints(i, "its bounds")?.unwrap_or_default() {
            [value] => Ok(value),
            _ => Err(Fail::from("its bounds must be single numbers")),
        };
        let (start, limit, delta) = (one(0)?, one(1)?, one(2)?);
        if delta == 0 {
            return Err("steps by 0".into());
        }
        let span = i128::from(limit) - i128::from(start);
        let delta_wide = i128::from(delta);
        let steps = (span + delta_wide - delta_wide.signum()) / delta_wide;
        let count = usize::try_from(steps.max(0)).unwrap_or(usize::MAX);
        check_ints(&[count])?;
        return Ok(vec![Val::ints(
            [count],
            (0..count as i64).map(|i| Int::from(start.wrapping_add(i.wrapping_mul(delta)))).collect(),
        )]);
    }
    let one = |low: &mut Translator, i: usize| match *low.numbers(args.x(i)?, "its bounds")?.data() {
        [value] => Ok(value),
        _ => Err(Fail::from("its bounds must be single numbers")),
    };
    let (start, limit, delta) = (one(low, 0)?, one(low, 1)?, one(low, 2)?);
    let count = ((limit - start) / delta).ceil();
    if !count.is_finite() {
        return Err("has no end".into());
    }
    let count = count.max(0.0);
    check_ints(&[count as usize])?;
    Ok(vec![Val::Floats(low.folded(Tensor::from_fn([count as usize], |i| start + i as f32 * delta)))])
}

pub(super) fn compare(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let op = args.node.op().to_string();
    let (Val::Ints(a), Val::Ints(b)) = (args.x(0)?, args.x(1)?) else {
        return compared(low, &op, args.x(0)?, args.x(1)?).map(|y| vec![y]);
    };
    let sign_of_the_first = args.node.flag("fmod", false)?;
    let y = low.zipped(a, b, |a, b| {
        if a.batch || b.batch {
            // No batch is a number below 1.
            let below = |a: Int, b: Int| a.batch && !b.batch && a.value > 0 && b.value < 1;
            return match op.as_str() {
                "Equal" if below(a, b) || below(b, a) => Ok(0.into()),
                "Equal" if a.batch && b.batch => Ok(i64::from(a.value == b.value).into()),
                _ => Err(Fail::Batch("compares a size that depends on the batch".into())),
            };
        }
        let (a, b) = (a.value, b.value);
        Ok(match op.as_str() {
            "Equal" => i64::from(a == b),
            "Less" => i64::from(a < b),
            "LessOrEqual" => i64::from(a <= b),
            "Greater" => i64::from(a > b),
            "GreaterOrEqual" => i64::from(a >= b),
            "And" => i64::from(a != 0 && b != 0),
            "Or" => i64::from(a != 0 || b != 0),
            "Xor" => i64::from((a != 0) != (b != 0)),
            // The result has the sign of b, but for fmod.
            _ => match a.checked_rem(b) {
                Some(rest) if rest != 0 && (rest < 0) != (b < 0) && !sign_of_the_first => rest + b,
                Some(rest) => rest,
                None => return Err("divides an integer by 0".into()),
            },
        }
        .into())
    })?;
    Ok(vec![y])
}

/// A comparison of floats, or of truth values of which one is known at run time only. There they are 1 and 0.
fn compared(low: &mut Translator, op: &str, a: &Val, b: &Val) -> Result<Val, Fail> {
    let (arithmetic, [a, b], negated) = match op {
        "Equal" => (Arithmetic::Equal, [a, b], false),
        "Xor" => (Arithmetic::Equal, [a, b], true),
        "Less" => (Arithmetic::Less, [a, b], false),
        "Greater" => (Arithmetic::Less, [b, a], false),
        "LessOrEqual" => (Arithmetic::Less, [b, a], true),
        "GreaterOrEqual" => (Arithmetic::Less, [a, b], true),
        "And" => (Arithmetic::Min, [a, b], false),
        "Or" => (Arithmetic::Max, [a, b], false),
        _ => return Err("is supported for integers known while importing".into()),
    };
    let y = combined(low, arithmetic, a, b)?;
    let y = if negated { affine(low, &y, -1.0, 1.0)? } else { y };
    if y.is_run() {
        return Ok(y);
    }
    check_ints(y.dims())?;
    let known = low.numbers(&y, "its truth values")?;
    Ok(Val::ints(y.dims(), known.data().iter().map(|&x| Int::from(x as i64)).collect()))
}

pub(super) fn not(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    if args.x(0)?.is_run() {
        return Ok(vec![affine(low, args.x(0)?, -1.0, 1.0)?]);
    }
    let values = args.ints(0, "its truth values")?.ok_or("has no input")?;
    let data = values.iter().map(|&value| Int::from(i64::from(value == 0))).collect();
    Ok(vec![Val::ints(args.x(0)?.dims(), data)])
}

pub(super) fn choose(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    if args.x(0)?.is_run() {
        let (condition, yes, no) = (args.x(0)?, args.x(1)?, args.x(2)?);
        if let (Val::Ints(_), _) | (_, Val::Ints(_)) = (yes, no) {
            return Err("chooses between integers by a condition that depends on the network's input".into());
        }
        let yes = combined(low, Arithmetic::Mask, yes, condition)?;
        let otherwise = affine(low, condition, -1.0, 1.0)?;
        let no = combined(low, Arithmetic::Mask, no, &otherwise)?;
        return Ok(vec![combined(low, Arithmetic::Add, &yes, &no)?]);
    }
    let condition = plain(args.x(0)?, "its condition")?;
    let condition = Ints { dims: args.x(0)?.dims().to_vec(), data: condition.into_iter().map(Int::from).collect() };
    // One choice for all: what is chosen, repeated.
    let (yes, no) = (args.x(1)?, args.x(2)?);
    if let (Val::Ints(yes), Val::Ints(no)) = (yes, no) {
        let numbered = |ints: &Ints, from: usize| Ints {
            dims: ints.dims.clone(),
            data: (0..ints.data.len()).map(|i| Int::from((from + i) as i64)).collect(),
        };
        let all: Vec<Int> = yes.data.iter().chain(&*no.data).copied().collect();
        let Val::Ints(chosen) =
            low.zipped(&condition, &numbered(yes, 0), |c, i| Ok(if c.value != 0 { i } else { Int::from(-1) }))?
        else {
            unreachable!("integers make integers")
        };
        let Val::Ints(places) =
            low.zipped(&chosen, &numbered(no, yes.data.len()), |a, b| Ok(if a.value >= 0 { a } else { b }))?
        else {
            unreachable!("integers make integers")
        };
        let data = places.data.iter().map(|place| all[place.value as usize]).collect();
        return Ok(vec![Val::ints(places.dims, data)]);
    }
    // Both one after the other, and of each place the one that is chosen: what isn't may be no number at all.
    let mut dims = condition.dims.clone();
    for val in [yes, no] {
        dims = broadcast(&dims, val.dims()).ok_or_else(|| format!("{dims:?} and {:?} don't broadcast", val.dims()))?;
    }
    let own = padded(&condition.dims, dims.len());
    let outer = usize::from(!dims.is_empty() && own[0] == 1);
    if outer == 0 {
        low.keeps_batch(&[0])?;
    }
    let count: usize = dims[outer..].iter().product();
    let first: usize = dims[..outer].iter().product();
    check_ints(&[count])?;
    let mut parts = Vec::new();
    for val in [yes, no] {
        if val.is_run() && (val.dims().len() != dims.len() || val.dims().first() != dims.first()) {
            low.keeps_batch(&[0])?;
        }
        parts.push(low.repeated(val, &dims)?.viewed(vec![first, count]));
    }
    let both = low.tensor_op(Op::Concat(Concat { axis: 1 }), &[&parts[0], &parts[1]], Vec::new())?;
    let chosen = |i: usize| {
        let mut at = vec![0; outer];
        at.extend(crate::tensor::coordinates(i, &dims[outer..]));
        condition.data[broadcast_index(&own, &at)].value != 0
    };
    let index: Vec<usize> = (0..count).map(|i| if chosen(i) { i } else { count + i }).collect();
    Ok(vec![low.taken(&both, 1, &index)?.viewed(dims)])
}

impl Translator<'_> {
    /// A tensor of an attribute.
    fn attribute(&mut self, proto: &crate::import::onnx::proto::TensorProto) -> Result<Val, Fail> {
        let stored = Stored::new(proto.clone(), self.file, &External::new(None))?;
        check_ints(&stored.dims)?;
        Ok(match stored.element.is_float() {
            true => Val::Floats(self.folded(stored.floats("value")?)),
            false => Val::ints(stored.dims.clone(), stored.ints("value")?.into_iter().map(Int::from).collect()),
        })
    }
}
