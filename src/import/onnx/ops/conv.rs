//! Convolutions. Those of one dimension are rows of a map of height 1.

use crate::Shape;
use crate::import::onnx::Fail;
use crate::import::onnx::node::Node;
use crate::import::onnx::translate::{Args, Translator};
use crate::import::onnx::values::{Floats, Val};
use crate::ops::{Conv2d, Linear, Op, Padding};
use crate::param::Param;
use crate::tensor::Tensor;

/// Windows over one or two dimensions, as two.
pub(super) struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: Padding,
}

/// Two numbers of one or two.
pub(super) fn two(list: &[usize], missing: usize) -> Result<[usize; 2], Fail> {
    match *list {
        [a, b] => Ok([a, b]),
        [a] => Ok([missing, a]),
        _ => Err(format!("works on {} dimensions, supported are 1 and 2", list.len()).into()),
    }
}

impl Window {
    /// The window that the attributes of a convolution or pool describe, on a plane of `size`.
    pub(super) fn of(node: &Node, kernel: &[usize], size: [usize; 2]) -> Result<Self, Fail> {
        let rank = kernel.len();
        if size.contains(&0) {
            return Err(format!("a plane of {}x{} has no elements", size[0], size[1]).into());
        }
        let stride = two(&node.sizes("strides", rank, 1, 1)?, 1)?;
        let dilation = two(&node.sizes("dilations", rank, 1, 1)?, 1)?;
        let kernel = two(kernel, 1)?;
        let padding = match node.text("auto_pad", "NOTSET")? {
            "NOTSET" => pads(node, rank)?,
            "VALID" => Padding::default(),
            "SAME_UPPER" => Padding::same(size, kernel, stride, dilation),
            "SAME_LOWER" => {
                let Padding { top, bottom, left, right } = Padding::same(size, kernel, stride, dilation);
                Padding { top: bottom, bottom: top, left: right, right: left }
            }
            other => return Err(format!("auto_pad \"{other}\" is not known").into()),
        };
        Ok(Self { kernel, stride, dilation, padding })
    }
}

fn pads(node: &Node, rank: usize) -> Result<Padding, Fail> {
    Ok(match *node.sizes("pads", 2 * rank, 0, 0)? {
        [left, right] => Padding { top: 0, bottom: 0, left, right },
        [top, left, bottom, right] => Padding { top, bottom, left, right },
        ref other => return Err(format!("pads {other:?}: supported are 1 and 2 dimensions").into()),
    })
}

/// The kernel's size: of the attribute, which must be the weight's, or of the weight.
fn kernel_shape(node: &Node, weight: &[usize]) -> Result<Vec<usize>, Fail> {
    let own = weight.get(2..).unwrap_or_default();
    if own.is_empty() || weight.contains(&0) {
        return Err(format!("weight {weight:?} has no kernel").into());
    }
    let kernel = if node.has("kernel_shape") { node.sizes("kernel_shape", own.len(), 1, 1)? } else { own.to_vec() };
    match kernel == own {
        true => Ok(kernel),
        false => Err(format!("kernel_shape is {kernel:?}, the weight is {weight:?}").into()),
    }
}

fn known(low: &mut Translator, args: &Args, index: usize, what: &str) -> Result<Option<Floats>, Fail> {
    match args.get(index) {
        None => Ok(None),
        Some(val) if val.is_run() => Err(format!("its {what} depends on the network's input").into()),
        Some(val) => Ok(Some(low.floats(val)?)),
    }
}

pub(super) fn conv(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let weight = known(low, args, 1, "weight")?.ok_or("has no weight")?;
    let bias = known(low, args, 2, "bias")?;
    let kernel = kernel_shape(args.node, &weight.dims)?;
    let rank = kernel.len();
    if args.x(0)?.dims().len() != rank + 2 {
        return Err(format!("input is {:?}, weight is {:?}", args.x(0)?.dims(), weight.dims).into());
    }
    let groups = usize::try_from(args.node.int("group", 1)?).map_err(|_| "group is negative")?;
    let out_channels = weight.dims[0];
    let val = args.x(0)?;
    let (batch, [height, width]) = (val.dims()[0], two(&val.dims()[2..], 1)?);
    let window = Window::of(args.node, &kernel, [height, width])?;
    let conv = Conv2d {
        out_channels,
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
        dilation: window.dilation,
        groups,
        bias: bias.is_some(),
        ..Conv2d::new(out_channels, 1)
    };
    let [rows, columns] = window.kernel;
    let weight_map = weight.viewed(vec![out_channels, weight.dims[1], rows, columns]).param;
    if !val.is_run() {
        // As for a position's code, which no image changes.
        let params: Vec<Param> = std::iter::once(weight_map).chain(bias.map(|bias| bias.param)).collect();
        let y = low.evaluated_map(&Op::Conv2d(conv), val, [batch, val.dims()[1], height, width], &params)?;
        let mut dims = y.dims().to_vec();
        if rank == 1 {
            dims.remove(2);
        }
        return Ok(vec![y.viewed(dims)]);
    }
    let (x, [channels, ..]) = low.map(val)?;
    let mut params = Vec::new();
    if [height, width] == [1, 1] && conv.is_pointwise() {
        let x = low.show(x, Shape::vector(channels))?;
        params.push(weight.viewed(vec![out_channels, weight.dims[1]]).param);
        params.extend(bias.map(|bias| bias.param));
        let op = Op::Linear(Linear { bias: conv.bias, ..Linear::new(out_channels) });
        let y = low.add(op, &[x], params)?;
        let dims = if rank == 1 { vec![1, out_channels, 1] } else { vec![1, out_channels, 1, 1] };
        return Ok(vec![Val::run(y, dims)]);
    }
    params.push(weight_map);
    params.extend(bias.map(|bias| bias.param));
    let y = low.add(Op::Conv2d(conv), &[x], params)?;
    Ok(vec![map_result(low, y, rank)])
}

/// A map as the result of an op on `rank` dimensions.
pub(super) fn map_result(low: &Translator, y: crate::graph::Value, rank: usize) -> Val {
    let shape = low.builder.shape(y);
    let mut dims = vec![1, shape.channels(), shape.height(), shape.width()];
    if rank == 1 {
        dims.remove(2);
    }
    Val::run(y, dims)
}

/// Zeros between the elements of each axis, zeros around or less of them, then a convolution with the kernel turned
/// round.
pub(super) fn conv_transpose(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let node = args.node;
    let weight = known(low, args, 1, "weight")?.ok_or("has no weight")?;
    let bias = known(low, args, 2, "bias")?;
    let rank = kernel_shape(node, &weight.dims)?.len();
    let [rows, columns] = two(&kernel_shape(node, &weight.dims)?, 1)?;
    let stride = two(&node.sizes("strides", rank, 1, 1)?, 1)?;
    let dilation = two(&node.sizes("dilations", rank, 1, 1)?, 1)?;
    let mut extra = two(&node.sizes("output_padding", rank, 0, 0)?, 0)?;
    let groups = usize::try_from(node.int("group", 1)?).unwrap_or(0);
    let val = args.x(0)?;
    if val.dims().len() != rank + 2 {
        return Err(format!("input is {:?}, weight is {:?}", val.dims(), weight.dims).into());
    }
    let (_, [channels, height, width]) = low.map(val)?;
    if groups == 0 || weight.dims[0] != channels || channels % groups != 0 {
        return Err(format!("input has {channels} channels, weight is {:?}, group is {groups}", weight.dims).into());
    }
    let reach = [rows, columns].map(|kernel| kernel - 1);
    let full = [0, 1].map(|i| [height, width][i].saturating_sub(1) * stride[i] + reach[i] * dilation[i] + 1 + extra[i]);
    let auto_pad = node.text("auto_pad", "NOTSET")?;
    let wanted = match node.has("output_shape") {
        true => Some(two(&node.sizes("output_shape", rank, 1, 1)?, 1)?),
        false if auto_pad.starts_with("SAME") => Some([height * stride[0], width * stride[1]]),
        false => None,
    };
    let padding = match wanted {
        None => pads(node, rank)?,
        Some(wanted) => {
            let total = [0, 1].map(|i| full[i].saturating_sub(wanted[i]));
            // What is wanted beyond that are zeros at the end.
            extra = [0, 1].map(|i| extra[i] + wanted[i].saturating_sub(full[i]));
            let [small, large] = [total.map(|t| t / 2), total.map(|t| t - t / 2)];
            let (first, last) = if auto_pad == "SAME_UPPER" { (small, large) } else { (large, small) };
            Padding { top: first[0], bottom: last[0], left: first[1], right: last[1] }
        }
    };

    // [in, out / groups, …] turned round becomes [out, in / groups, …].
    let source = low.numbers(&Val::Floats(weight.clone()), "its weight")?;
    let (own, per_group) = (channels / groups, weight.dims[1]);
    let turned = Tensor::from_fn([groups * per_group, own, rows, columns], |i| {
        let at = crate::tensor::coordinates(i, &[groups, per_group, own, rows, columns]);
        let input = at[0] * own + at[2];
        let tap = (rows - 1 - at[3]) * columns + columns - 1 - at[4];
        source.data()[(input * per_group + at[1]) * rows * columns + tap]
    });
    let mut spread = Val::run(low.map(val)?.0, [1, channels, height, width]);
    for (axis, size) in [(2, height), (3, width)] {
        let stride = stride[axis - 2];
        if stride > 1 {
            low.affords_taps(size.saturating_mul(stride))?;
            let taps: Vec<(f32, f32)> = (0..(size - 1) * stride + 1)
                .map(|i| if i % stride == 0 { ((i / stride) as f32, 1.0) } else { (0.0, 0.0) })
                .collect();
            spread = low.resampled(&spread, axis, 1, &taps, &vec![0.0; taps.len()])?;
        }
    }
    let side = |i: usize, by: usize, extra: usize| (reach[i] * dilation[i] + extra) as isize - by as isize;
    let pad = crate::ops::Pad {
        top: side(0, padding.top, 0),
        bottom: side(0, padding.bottom, extra[0]),
        left: side(1, padding.left, 0),
        right: side(1, padding.right, extra[1]),
    };
    let (x, _) = low.map(&spread)?;
    let x = low.add(Op::Pad(pad), &[x], Vec::new())?;
    let conv = Conv2d {
        kernel: [rows, columns],
        dilation,
        groups,
        bias: bias.is_some(),
        ..Conv2d::new(groups * per_group, 1)
    };
    let mut params: Vec<Param> = vec![low.literal("weight", turned)];
    params.extend(bias.map(|bias| bias.param));
    let y = low.add(Op::Conv2d(conv), &[x], params)?;
    Ok(vec![map_result(low, y, rank)])
}
