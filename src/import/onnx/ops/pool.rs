//! Pools. Those of three dimensions are one over rows and columns, then one over depth.

use super::conv::{Window, map_result};
use crate::import::onnx::Fail;
use crate::import::onnx::node::Node;
use crate::import::onnx::translate::{Args, Translator};
use crate::import::onnx::values::Val;
use crate::ops::{GlobalPool, Op, Padding, Pool, PoolKind};

pub(super) fn global_pool(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let kind = if args.node.op() == "GlobalMaxPool" { PoolKind::Max } else { PoolKind::Avg };
    Ok(vec![over_planes(low, args.x(0)?, kind)?])
}

/// All behind the channels made one.
pub(super) fn over_planes(low: &mut Translator, val: &Val, kind: PoolKind) -> Result<Val, Fail> {
    let dims = val.dims();
    let [batch, channels, ref plane @ ..] = *dims else {
        return Err(format!("expects at least 2 dimensions, input is {dims:?}").into());
    };
    let pooled: Vec<usize> = [batch, channels].into_iter().chain(plane.iter().map(|_| 1)).collect();
    // Rows and columns where there are, so that a map need not change places.
    let view = match *plane {
        [height, width] => vec![batch, channels, height, width],
        ref plane => vec![batch, channels, 1, plane.iter().product()],
    };
    let (x, _) = low.map(&val.viewed(view))?;
    let y = low.add(Op::GlobalPool(GlobalPool { kind }), &[x], Vec::new())?;
    Ok(Val::run(y, pooled))
}

pub(super) fn pool(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (node, val) = (args.node, args.x(0)?);
    if args.wants(1) {
        return Err("gives the places of the largest too, which is not supported".into());
    }
    let kind = if node.op() == "MaxPool" { PoolKind::Max } else { PoolKind::Avg };
    let rank = val.dims().len().saturating_sub(2);
    if !node.has("kernel_shape") {
        return Err("has no kernel_shape".into());
    }
    let kernel = node.sizes("kernel_shape", rank, 1, 1)?;
    if rank == 3 {
        return pool_3d(low, node, val, kind, &kernel);
    }
    let (x, [_, height, width]) = low.map(val)?;
    let window = Window::of(node, &kernel, [height, width])?;
    let ceil_mode = node.flag("ceil_mode", false)?;
    let whole = window.kernel == [height, width] && window.padding == Padding::default() && window.dilation == [1, 1];
    if whole {
        return Ok(vec![over_planes(low, val, kind)?]);
    }
    let pool = Pool {
        kind,
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
        dilation: window.dilation,
        ceil_mode,
        count_include_pad: node.flag("count_include_pad", false)?,
    };
    let y = low.add(Op::Pool(pool), &[x], Vec::new())?;
    Ok(vec![map_result(low, y, rank)])
}

fn pool_3d(low: &mut Translator, node: &Node, val: &Val, kind: PoolKind, kernel: &[usize]) -> Result<Vec<Val>, Fail> {
    let &[1, channels, depth, height, width] = val.dims() else {
        return Err(format!("works on a batch inside one image, input is {:?}", val.dims()).into());
    };
    let [strides, dilations] = [node.sizes("strides", 3, 1, 1)?, node.sizes("dilations", 3, 1, 1)?];
    let pads = match node.text("auto_pad", "NOTSET")? {
        "NOTSET" => node.sizes("pads", 6, 0, 0)?,
        "VALID" => vec![0; 6],
        other => return Err(format!("auto_pad {other} in three dimensions is not supported").into()),
    };
    let pool = Pool {
        kind,
        kernel: [kernel[1], kernel[2]],
        stride: [strides[1], strides[2]],
        padding: Padding { top: pads[1], bottom: pads[4], left: pads[2], right: pads[5] },
        dilation: [dilations[1], dilations[2]],
        ceil_mode: node.flag("ceil_mode", false)?,
        count_include_pad: node.flag("count_include_pad", false)?,
    };
    let (x, _) = low.map(&val.viewed(vec![1, channels * depth, height, width]))?;
    let planes = low.add(Op::Pool(pool.clone()), &[x], Vec::new())?;
    let shape = low.builder.shape(planes);
    let (height, width) = (shape.height(), shape.width());
    let columns = Val::run(planes, [1, channels, depth, height * width]);
    let pool = Pool {
        kernel: [kernel[0], 1],
        stride: [strides[0], 1],
        padding: Padding { top: pads[0], bottom: pads[3], left: 0, right: 0 },
        dilation: [dilations[0], 1],
        ..pool
    };
    let (x, _) = low.map(&columns)?;
    let y = low.add(Op::Pool(pool), &[x], Vec::new())?;
    let depth = low.builder.shape(y).height();
    Ok(vec![Val::run(y, [1, channels, depth, height, width])])
}
