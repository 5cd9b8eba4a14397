//! What moves elements and computes nothing. Where only dimensions change, nothing is added to the graph.

use crate::import::onnx::Fail;
use crate::import::onnx::translate::{Args, Translator, axes, axis, check_ints, padded, plain};
use crate::import::onnx::values::{Int, Ints, Run, Val};
use crate::ops::{ChannelShuffle, Concat, Op, Pad, Permute, broadcast};
use crate::tensor::{Shape, element_count, flat_index};

/// Longest axis that is made by repeating or padding.
const MAX_SIZE: u64 = 1 << 22;

pub(super) fn reshape(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let target: Vec<Int> = match (args.get(1), args.node.ints("shape")?) {
        (Some(Val::Ints(ints)), _) => ints.data.to_vec(),
        (Some(_), _) => return Err("its shape must be integers that don't depend on the network's input".into()),
        (None, Some(list)) => list.iter().copied().map(Int::from).collect(),
        (None, None) => return Err("has no shape".into()),
    };
    let keep_zero = args.node.flag("allowzero", false)?;
    let old = x.dims();
    let mut dims = Vec::with_capacity(target.len());
    let mut open = None;
    for (i, int) in target.iter().enumerate() {
        dims.push(match *int {
            Int { value: 0, .. } if !keep_zero => {
                *old.get(i).ok_or_else(|| format!("copies dimension {i} of {old:?}"))?
            }
            Int { value: -1, batch: false } if open.is_none() => {
                open = Some(i);
                1
            }
            // A file made for one batch size has it in its shapes.
            Int { value, batch: false } if i == 0 && x.is_run() && low.free.is_some_and(|n| n as i64 == value) => 1,
            Int { value, .. } => usize::try_from(value).map_err(|_| format!("reshapes to {value}"))?,
        });
    }
    let known = element_count(&dims).filter(|&count| count > 0).ok_or_else(|| format!("reshapes to {dims:?}"))?;
    let misfit = || format!("{old:?} does not fit into {:?}", target.iter().map(|int| int.value).collect::<Vec<_>>());
    if let Some(open) = open {
        dims[open] = x.len() / known;
    }
    let fits = element_count(&dims) == Some(x.len());
    if x.is_run() && low.free.is_some() {
        // Images must stay apart: the first dimension takes all of the batch.
        let first = target.first().copied().unwrap_or(Int::from(1));
        let whole = first.batch || matches!(first.value, 0 | -1) || low.free.is_some_and(|n| n as i64 == first.value);
        let elsewhere = target.iter().skip(1).any(|int| int.batch);
        if !fits || !whole || elsewhere {
            return Err(Fail::Batch(misfit()));
        }
    }
    if !fits {
        return Err(misfit().into());
    }
    Ok(vec![x.viewed(dims)])
}

pub(super) fn flatten(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let rank = x.dims().len();
    let at = args.node.int("axis", 1)?;
    let first = if at == rank as i64 { rank } else { axis(at, rank)? };
    if x.is_run() && first == 0 {
        low.keeps_batch(&[0])?;
    }
    let [outer, inner] = [&x.dims()[..first], &x.dims()[first..]].map(|dims| dims.iter().product());
    Ok(vec![x.viewed(vec![outer, inner])])
}

pub(super) fn squeeze(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let dims = x.dims();
    let open = x.is_run() && low.free.is_some();
    let gone = match args.list("axes", 1)? {
        Some(list) => axes(&list, dims.len())?,
        // A batch of 1 goes, too, and all behind it counts differently then.
        None if open && low.free == Some(1) => return Err(Fail::Batch("drops a batch of 1".into())),
        None => (0..dims.len()).filter(|&i| dims[i] == 1 && !(open && i == x.batch())).collect(),
    };
    if let Some(&i) = gone.iter().find(|&&i| dims[i] != 1) {
        return Err(format!("squeezes dimension {i} of {dims:?}, which is not 1").into());
    }
    low.keeps_batch_of(x, &gone)?;
    let before = gone.iter().filter(|&&i| i < x.batch()).count();
    let left = dims.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, &dim)| dim).collect();
    Ok(vec![x.viewed(left).with_batch(x.batch() - before)])
}

pub(super) fn unsqueeze(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let list = args.list("axes", 1)?.ok_or("has no axes")?;
    let new = axes(&list, x.dims().len() + list.len())?;
    let (mut dims, mut batch) = (x.dims().to_vec(), x.batch());
    for at in new {
        dims.insert(at, 1);
        batch += usize::from(low.free.is_some() && at <= batch);
    }
    Ok(vec![x.viewed(dims).with_batch(batch)])
}

pub(super) fn transpose(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let rank = x.dims().len();
    let order = match args.node.ints("perm")? {
        Some(list) => list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![permuted(low, x, &order)?])
}

pub(in crate::import::onnx) fn permuted(low: &mut Translator, x: &Val, order: &[usize]) -> Result<Val, Fail> {
    let dims = x.dims();
    if !(0..dims.len()).all(|axis| order.contains(&axis)) || order.len() != dims.len() {
        return Err(format!("order {order:?} does not name each of {} dimensions once", dims.len()).into());
    }
    // The images' dimension may move: each image is permuted by itself.
    let batch = match low.free {
        Some(_) => order.iter().position(|&axis| axis == x.batch()).unwrap_or(0),
        None => 0,
    };
    // Elements keep their places where only axes of size 1 move.
    if order.iter().filter(|&&axis| dims[axis] > 1).is_sorted() {
        return Ok(x.viewed(order.iter().map(|&axis| dims[axis]).collect()).with_batch(batch));
    }
    if let (Val::Run(run), [1, groups, own, rest @ ..], [0, 2, 1, behind @ ..]) = (x, dims, order)
        && behind.is_sorted()
        && let Shape::Map { channels, height, width } = low.builder.shape(run.value)
        && (channels, height * width) == (groups * own, rest.iter().product())
    {
        let y = low.add(Op::ChannelShuffle(ChannelShuffle { groups: *groups }), &[run.value], Vec::new())?;
        return Ok(Val::run(y, order.iter().map(|&axis| dims[axis]).collect::<Vec<_>>()).with_batch(batch));
    }
    let op = Op::Permute(Permute { order: order.to_vec() });
    match x {
        Val::Ints(ints) => low.moved(ints, |low, x| low.tensor_op(op, &[x], Vec::new())),
        x => Ok(low.tensor_op(op, &[x], Vec::new())?.with_batch(batch)),
    }
}

pub(super) fn concat(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let parts: Vec<&Val> = (0..args.vals.len()).map(|i| args.x(i)).collect::<Result<_, _>>()?;
    let first = *parts.first().ok_or("has no input")?;
    let rank = first.dims().len();
    let at = axis(args.node.int("axis", 1)?, rank)?;
    for part in &parts {
        if part.dims().len() != rank {
            return Err(format!("joins {:?} and {:?}", first.dims(), part.dims()).into());
        }
    }
    // What is empty adds nothing.
    let parts: Vec<&Val> = parts.into_iter().filter(|part| part.len() > 0).collect();
    let all_ints: Option<Vec<&Ints>> =
        parts.iter().map(|part| if let Val::Ints(ints) = part { Some(ints) } else { None }).collect();
    if let Some(ints) = all_ints {
        if rank != 1 {
            return Err("of integers is supported in one dimension only".into());
        }
        check_ints(&[ints.iter().map(|ints| ints.data.len()).sum()])?;
        let data: Vec<Int> = ints.iter().flat_map(|ints| ints.data.iter().copied()).collect();
        return Ok(vec![Val::ints([data.len()], data)]);
    }
    if parts.iter().any(|part| part.is_run()) {
        low.keeps_batch(&[at])?;
        if parts.iter().any(|part| !part.is_run()) && low.free.is_some_and(|n| n != 1) {
            return Err(Fail::Batch("joins images and constants".into()));
        }
    }
    let maps = rank == 4 && at == 1 && parts.iter().all(|part| part.is_run() && part.dims()[0] == 1);
    if maps || (rank == 2 && at == 1 && parts.iter().all(|part| part.is_run() && part.dims()[0] == 1)) {
        let mut values = Vec::new();
        for part in &parts {
            let Val::Run(run) = part else { unreachable!("all are values") };
            values.push(if maps { low.map(part)?.0 } else { low.vector(run)? });
        }
        let y = low.add(Op::Concat(Concat { axis: 0 }), &values, Vec::new())?;
        let mut dims = first.dims().to_vec();
        dims[1] = parts.iter().map(|part| part.dims()[1]).sum();
        return Ok(vec![Val::run(y, dims)]);
    }
    Ok(vec![low.tensor_op(Op::Concat(Concat { axis: at }), &parts, Vec::new())?])
}

pub(super) fn split(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let at = axis(args.node.int("axis", 0)?, x.dims().len())?;
    low.keeps_batch_of(x, &[at])?;
    let size = x.dims()[at];
    let count = args.wanted.len();
    let sizes = match args.list("split", 1)? {
        Some(list) => {
            list.iter().map(|&s| usize::try_from(s)).collect::<Result<Vec<_>, _>>().map_err(|_| "a negative size")?
        }
        None => {
            let chunk = size.div_ceil(count.max(1));
            (0..count).map(|i| chunk.min(size.saturating_sub(i * chunk))).collect()
        }
    };
    if sizes.len() != count || sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s)) != Some(size) {
        return Err(format!("splits {size} into {sizes:?} for {count} results").into());
    }
    let mut first = 0;
    let mut parts = Vec::new();
    for (i, &size) in sizes.iter().enumerate() {
        low.affords_taps(size)?;
        let index: Vec<usize> = (first..first + size).collect();
        // What nothing reads is not made.
        parts.push(if args.wants(i) { low.taken(x, at, &index)? } else { Val::ints([0], Vec::new()) });
        first += size;
    }
    Ok(parts)
}

pub(super) fn slice(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let rank = x.dims().len();
    let starts = args.list("starts", 1)?.ok_or("has no starts")?;
    let ends = args.list("ends", 2)?.ok_or("has no ends")?;
    let over = match args.list("axes", 3)? {
        Some(list) => list,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = args.ints(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), over.len(), steps.len()] != [starts.len(); 3] {
        return Err("starts, ends, axes and steps must be as many".into());
    }
    axes(&over, rank)?;
    let mut y = x.clone();
    for (((&start, &end), &at), &step) in starts.iter().zip(&ends).zip(&over).zip(&steps) {
        let at = axis(at, rank)?;
        // The batch may have more than the one image that its size says.
        if (start, step) != (0, 1) || end < i64::from(i32::MAX) {
            low.keeps_batch_of(&y, &[at])?;
        }
        let size = y.dims()[at] as i64;
        if step == 0 || size == 0 {
            return Err("takes steps of 0 or along nothing".into());
        }
        let from_front = |i: i64| if i < 0 { i.saturating_add(size) } else { i };
        let (low_end, high_end) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let first = from_front(start).clamp(low_end.max(0), high_end);
        // An end of -1 counts from behind; one below that means the very front.
        let last = from_front(end).clamp(low_end, high_end.max(0));
        let mut index = Vec::new();
        let mut i = first;
        low.affords_taps(first.abs_diff(last) as usize / usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX))?;
        while (step > 0 && i < last) || (step < 0 && i > last) {
            index.push(i as usize);
            i = i.saturating_add(step);
        }
        if index.iter().copied().eq(0..size as usize) {
            continue;
        }
        y = match &y {
            Val::Ints(ints) if index.is_empty() && rank == 1 => Val::ints([0], ints.data[..0].to_vec()),
            Val::Run(Run { dims, batch: 0, .. })
                if step == 1 && dims.len() == 4 && dims[0] == 1 && at >= 2 && !index.is_empty() =>
            {
                let cut = [-(index[0] as isize), index[index.len() - 1] as isize + 1 - size as isize];
                let pad = if at == 2 {
                    Pad { top: cut[0], bottom: cut[1], ..Pad::default() }
                } else {
                    Pad { left: cut[0], right: cut[1], ..Pad::default() }
                };
                padded_map(low, &y, pad)?
            }
            y => low.taken(y, at, &index)?,
        };
    }
    Ok(vec![y])
}

fn padded_map(low: &mut Translator, x: &Val, pad: Pad) -> Result<Val, Fail> {
    let (map, _) = low.map(x)?;
    let y = low.add(Op::Pad(pad), &[map], Vec::new())?;
    let shape = low.builder.shape(y);
    Ok(Val::run(y, [1, shape.channels(), shape.height(), shape.width()]))
}

pub(super) fn gather(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (x, indices) = (args.x(0)?, args.x(1)?);
    let dims = x.dims().to_vec();
    let at = axis(args.node.int("axis", 0)?, dims.len())?;
    low.keeps_batch_of(x, &[at])?;
    let index = plain(indices, "its indices")?.iter().map(|&i| axis(i, dims[at])).collect::<Result<Vec<_>, _>>()?;
    let taken = match x {
        // The commonest by far: one size of a shape.
        Val::Ints(ints) if dims.len() == 1 => Val::ints([index.len()], index.iter().map(|&i| ints.data[i]).collect()),
        x => low.taken(x, at, &index)?,
    };
    let shape = dims[..at].iter().chain(indices.dims()).chain(&dims[at + 1..]).copied().collect();
    let batch = if at < x.batch() { x.batch() - 1 + indices.dims().len() } else { x.batch() };
    Ok(vec![taken.viewed(shape).with_batch(batch)])
}

/// Parts of a value, each at a place in its first dimensions, or in those behind `batch_dims`.
pub(super) fn gather_nd(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (x, indices) = (args.x(0)?, args.x(1)?);
    let (dims, by) = (x.dims(), indices.dims());
    let shared = usize::try_from(args.node.int("batch_dims", 0)?).unwrap_or(usize::MAX);
    let [outer @ .., depth] = by else { return Err("its indices have no dimensions".into()) };
    if shared > outer.len()
        || *depth == 0
        || depth.saturating_add(shared) > dims.len()
        || by[..shared] != dims[..shared]
    {
        return Err(format!("indices {by:?} of {dims:?}, {shared} dimensions shared").into());
    }
    let (indexed, rest) = dims.split_at(shared + depth);
    let (each, whole): (usize, usize) =
        (outer[shared..].iter().product(), element_count(indexed).ok_or("indexes too many elements")?);
    let places = plain(indices, "its indices")?;
    low.affords_taps(places.len() / depth)?;
    let place = |(i, at): (usize, &[i64])| {
        let first = i / each * (whole / dims[..shared].iter().product::<usize>());
        let sizes = at.iter().zip(&indexed[shared..]);
        let at = sizes.map(|(&i, &size)| axis(i, size)).collect::<Result<Vec<usize>, Fail>>()?;
        Ok(first + flat_index(&at, &indexed[shared..]))
    };
    let index = places.chunks_exact(*depth).enumerate().map(place).collect::<Result<Vec<usize>, Fail>>()?;
    let view = [&[whole], rest].concat();
    let taken = low.taken(&x.viewed(view), 0, &index)?;
    Ok(vec![taken.viewed([outer, rest].concat())])
}

pub(super) fn expand(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let x = args.x(0)?;
    let Val::Ints(target) = args.x(1)? else {
        return Err("its shape must be integers that don't depend on the network's input".into());
    };
    // Numbers for each image are the same for all.
    let of_images = match (x, &*target.data) {
        (Val::Floats(_), [Int { batch: true, .. }, ..]) => {
            let dims = padded(x.dims(), target.data.len());
            let value = low.tensor(&x.viewed(dims.clone()))?;
            (dims[0] == 1).then(|| Val::run(value, dims))
        }
        _ => None,
    };
    let x = of_images.as_ref().unwrap_or(x);
    // The batch, in the file's number or as a size that was read.
    let rank = x.dims().len();
    let is_batch = |i: usize, int: &Int| {
        let whole = i == 0 && x.is_run() && target.data.len() == rank;
        whole
            && low.free.is_some_and(|n| if int.batch { int.value == x.dims()[0] as i64 } else { n as i64 == int.value })
    };
    let sizes: Vec<usize> = target
        .data
        .iter()
        .enumerate()
        .map(|(i, int)| match is_batch(i, int) {
            true => Ok(x.dims()[0]),
            false if int.batch => Err(Fail::Batch("its shape depends on the batch".into())),
            false => usize::try_from(int.value).map_err(|_| format!("a size of {}", int.value).into()),
        })
        .collect::<Result<_, Fail>>()?;
    let dims = broadcast(x.dims(), &sizes).ok_or_else(|| format!("{:?} can't be repeated to {sizes:?}", x.dims()))?;
    element_count(&dims).ok_or("its shape has more elements than memory can hold")?;
    if x.is_run() && (dims.len() != x.dims().len() || dims.first() != x.dims().first()) {
        low.keeps_batch(&[0])?;
    }
    if dims == x.dims() {
        return Ok(vec![x.clone()]);
    }
    match x {
        Val::Run(run) => Ok(vec![Val::Run(Run { expanded: Some(dims), ..run.clone() })]),
        Val::Ints(ints) => low.zipped(ints, &ones(&dims)?, |a, _| Ok(a)).map(|val| vec![val]),
        floats => Ok(vec![low.repeated(floats, &dims)?]),
    }
}

fn ones(dims: &[usize]) -> Result<Ints, Fail> {
    check_ints(dims)?;
    Ok(Ints { dims: dims.to_vec(), data: vec![Int::from(1); dims.iter().product()].into() })
}

pub(super) fn tile(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let mut y = args.x(0)?.clone();
    let repeats = args.ints(1, "repeats")?.ok_or("has no repeats")?;
    if repeats.len() != y.dims().len() {
        return Err(format!("repeats {repeats:?} of {:?}", y.dims()).into());
    }
    for (at, &times) in repeats.iter().enumerate() {
        let size = y.dims()[at];
        let total =
            usize::try_from(times).ok().and_then(|times| size.checked_mul(times)).filter(|&n| n as u64 <= MAX_SIZE);
        let total = total.ok_or_else(|| format!("repeats {size} elements {times} times"))?;
        if times != 1 {
            y = low.taken(&y, at, &(0..total).map(|i| i % size).collect::<Vec<_>>())?;
        }
    }
    Ok(vec![y])
}

pub(super) fn pad(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (node, x) = (args.node, args.x(0)?);
    let rank = x.dims().len();
    let list = match node.ints("paddings")? {
        Some(list) => list.to_vec(),
        None => args.list("pads", 1)?.ok_or("has no pads")?,
    };
    let over = match args.ints(3, "axes")? {
        Some(list) => list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if list.len() != 2 * over.len() || list.iter().any(|by| by.unsigned_abs() > MAX_SIZE) {
        return Err(format!("pads {list:?} for {} dimensions", over.len()).into());
    }
    let mode = node.text("mode", "constant")?;
    let value = match args.get(2) {
        Some(val) => *low.bounds(val, "the value it pads with")?.data().first().unwrap_or(&0.0),
        None => node.bound("value", 0.0)?,
    };
    // Before a maximum, PyTorch pads with what is below everything.
    let value = if value.is_nan() { value } else { value.clamp(f32::MIN, f32::MAX) };
    let mut sides = vec![[0i64; 2]; rank];
    over.iter().enumerate().for_each(|(i, &at)| sides[at] = [list[i], list[i + over.len()]]);
    if let ("constant", true, [[0, 0], [0, 0], [top, bottom], [left, right]]) =
        (mode, value == 0.0 && x.is_run() && x.dims().first() == Some(&1), sides.as_slice())
    {
        let [top, bottom, left, right] = [top, bottom, left, right].map(|&side| side as isize);
        return Ok(vec![padded_map(low, x, Pad { top, bottom, left, right })?]);
    }
    let mut y = x.clone();
    for (at, &[before, after]) in sides.iter().enumerate() {
        if [before, after] == [0, 0] {
            continue;
        }
        if y.len() == 0 {
            return Err("has nothing to pad".into());
        }
        low.affords_taps(y.dims()[at].saturating_add_signed((before + after) as isize))?;
        let size = y.dims()[at] as i64;
        let positions = -before..size + after;
        let inside = |i: i64| (0..size).contains(&i);
        let source = |i: i64| match mode {
            _ if inside(i) => Ok(Some(i)),
            "constant" => Ok(None),
            "edge" => Ok(Some(i.clamp(0, size - 1))),
            "wrap" => Ok(Some(i.rem_euclid(size))),
            "reflect" if size == 1 => Ok(Some(0)),
            "reflect" => {
                let i = i.rem_euclid(2 * (size - 1));
                Ok(Some(if i < size { i } else { 2 * (size - 1) - i }))
            }
            other => Err(Fail::from(format!("mode \"{other}\" is not known"))),
        };
        let sources = positions.map(source).collect::<Result<Vec<_>, _>>()?;
        let taps: Vec<_> = sources.iter().map(|s| s.map_or((0.0, 0.0), |i| (i as f32, 1.0))).collect();
        let offset: Vec<_> = sources.iter().map(|s| if s.is_some() { 0.0 } else { value }).collect();
        y = low.resampled(&y, at, 1, &taps, &offset)?;
    }
    Ok(vec![y])
}

/// Blocks of `size` by `size` pixels, of a value `[N,C,H,W]`.
fn blocks(args: &Args) -> Result<([usize; 4], usize), Fail> {
    let dims = args.x(0)?.dims();
    let size = usize::try_from(args.node.int("blocksize", 0)?).unwrap_or(0);
    match (<[usize; 4]>::try_from(dims), size) {
        (Ok(dims), 1..) if !dims.contains(&0) => Ok((dims, size)),
        _ => Err(format!("expects 4 dimensions and a blocksize, has {dims:?} and {size}").into()),
    }
}

pub(super) fn depth_to_space(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let ([n, c, h, w], size) = blocks(args)?;
    if c % size.saturating_mul(size) != 0 {
        return Err(format!("{c} channels don't make blocks of {size}").into());
    }
    let depth = c / size / size;
    let (view, order) = match args.node.text("mode", "DCR")? {
        "DCR" => ([n, size, size, depth, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([n, depth, size, size, h, w], [0, 1, 4, 2, 5, 3]),
        other => return Err(format!("mode \"{other}\" is not known").into()),
    };
    let y = permuted(low, &args.x(0)?.viewed(view.to_vec()), &order)?;
    Ok(vec![y.viewed(vec![n, depth, h * size, w * size])])
}

pub(super) fn space_to_depth(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let ([n, c, h, w], size) = blocks(args)?;
    if h % size != 0 || w % size != 0 {
        return Err(format!("a plane of {h}x{w} has no whole blocks of {size}").into());
    }
    let view = args.x(0)?.viewed(vec![n, c, h / size, size, w / size, size]);
    let order = match args.node.text("mode", "DCR")? {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        other => return Err(format!("mode \"{other}\" is not known").into()),
    };
    let y = permuted(low, &view, &order)?;
    Ok(vec![y.viewed(vec![n, c * size * size, h / size, w / size])])
}
