//! Resizing: along each axis, every element of the result is made of its nearest, or of the two around it.

use crate::import::onnx::Fail;
use crate::import::onnx::node::Node;
use crate::import::onnx::translate::{Args, Translator, axis};
use crate::import::onnx::values::Val;

/// How one axis is resized.
struct Axis {
    from: usize,
    to: usize,
    scale: f32,
    /// Region of interest, as shares of the axis: for `tf_crop_and_resize`.
    region: (f32, f32),
}

pub(super) fn resize(low: &mut Translator, args: &Args) -> Result<Vec<Val>, Fail> {
    let (node, x) = (args.node, args.x(0)?);
    let dims = x.dims().to_vec();
    let rank = dims.len();
    let old = node.op() == "Upsample" || node.opset < 11;
    let over = match node.ints("axes")? {
        Some(list) => list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    let numbers = |low: &mut Translator, index: usize, what: &str| match args.get(index) {
        Some(val) if val.len() > 0 => Ok::<_, Fail>(Some(low.numbers(val, what)?.into_data())),
        _ => Ok(None),
    };
    let scales = match (old, node.floats("scales")?) {
        (true, Some(list)) => Some(list.to_vec()),
        (true, None) => numbers(low, 1, "its scales")?,
        (false, _) => numbers(low, 2, "its scales")?,
    };
    let sizes = match old {
        true => None,
        false => sizes(low, args)?,
    };
    let count = scales.as_ref().map(Vec::len).or(sizes.as_ref().map(Vec::len));
    if count != Some(over.len()) {
        return Err(format!("needs scales or sizes of {} axes", over.len()).into());
    }
    let policy = node.text("keep_aspect_ratio_policy", "stretch")?;
    let shared = sizes.as_ref().filter(|_| policy != "stretch").map(|sizes| {
        let ratios = over.iter().zip(sizes).map(|(&at, &size)| size.unwrap_or(dims[at]) as f32 / dims[at] as f32);
        match policy {
            "not_larger" => ratios.fold(f32::MAX, f32::min),
            _ => ratios.fold(0.0, f32::max),
        }
    });
    let region = match node.text("coordinate_transformation_mode", "half_pixel")? == "tf_crop_and_resize" {
        true => numbers(low, 1, "its region")?,
        false => None,
    };
    let mut y = x.clone();
    for (i, &at) in over.iter().enumerate() {
        let from = dims[at];
        let (to, scale) = match (&scales, &sizes, shared) {
            (_, Some(_), Some(shared)) => ((shared * from as f32).round() as usize, shared),
            (_, Some(sizes), None) => {
                let to = sizes[i].unwrap_or(from);
                (to, to as f32 / from as f32)
            }
            (Some(scales), None, _) if scales[i] > 0.0 && scales[i] < 1e6 => {
                ((from as f32 * scales[i]).floor() as usize, scales[i])
            }
            _ => return Err("scales must be positive numbers".into()),
        };
        if from == 0 || to == 0 {
            return Err(format!("resizes {from} to {to}").into());
        }
        low.affords_taps(to)?;
        let region = match &region {
            Some(list) if list.len() == 2 * over.len() => (list[i], list[i + over.len()]),
            Some(list) => return Err(format!("a region of {} numbers for {} axes", list.len(), over.len()).into()),
            None => (0.0, 1.0),
        };
        if to == from && scale == 1.0 && region == (0.0, 1.0) {
            continue;
        }
        y = along(low, node, &y, at, &Axis { from, to, scale, region }, old)?;
    }
    Ok(vec![y])
}

/// The wanted sizes; `None` for the batch's.
fn sizes(low: &Translator, args: &Args) -> Result<Option<Vec<Option<usize>>>, Fail> {
    let Some(Val::Ints(ints)) = args.get(3) else { return Ok(None) };
    if ints.data.is_empty() {
        return Ok(None);
    }
    let of_all = ints.data.len() == args.x(0)?.dims().len() && !args.node.has("axes");
    let size = |(i, int): (usize, &crate::import::onnx::values::Int)| match (int.batch, usize::try_from(int.value)) {
        (true, Ok(1)) if i == 0 && of_all => Ok(None),
        (false, Ok(_)) if i == 0 && of_all && low.free.is_some_and(|n| n as i64 == int.value) => Ok(None),
        (false, Ok(size)) => Ok(Some(size)),
        _ => Err(Fail::from("its sizes must be known while importing")),
    };
    ints.data.iter().enumerate().map(size).collect::<Result<Vec<_>, _>>().map(Some)
}

fn along(low: &mut Translator, node: &Node, x: &Val, at: usize, axis: &Axis, old: bool) -> Result<Val, Fail> {
    let default = if old { "asymmetric" } else { "half_pixel" };
    let mode = node.text("coordinate_transformation_mode", default)?;
    let (from, to) = (axis.from as f32, axis.to as f32);
    let centre = |i: f32| (i + 0.5) / axis.scale - 0.5;
    let place = |i: usize| {
        let i = i as f32;
        Ok(match mode {
            "half_pixel" => centre(i),
            "pytorch_half_pixel" => {
                if axis.to > 1 {
                    centre(i)
                } else {
                    0.0
                }
            }
            "asymmetric" => i / axis.scale,
            "align_corners" => {
                if axis.to > 1 {
                    i * (from - 1.0) / (to - 1.0)
                } else {
                    0.0
                }
            }
            "half_pixel_symmetric" => {
                // The part of a pixel that a rounded size leaves over is shared by both sides.
                let adjustment = to / (axis.scale * from);
                from / 2.0 * (1.0 - adjustment) + centre(i)
            }
            "tf_crop_and_resize" => {
                let (start, end) = axis.region;
                match axis.to {
                    1 => 0.5 * (start + end) * (from - 1.0),
                    _ => start * (from - 1.0) + i * (end - start) * (from - 1.0) / (to - 1.0),
                }
            }
            other => return Err(Fail::from(format!("coordinate mode \"{other}\" is not supported"))),
        })
    };
    let places = (0..axis.to).map(place).collect::<Result<Vec<f32>, _>>()?;
    let last = from - 1.0;
    let outside = |x: f32| mode == "tf_crop_and_resize" && !(0.0..=last).contains(&x);
    let beyond = node.float("extrapolation_value", 0.0)?;
    let offset: Vec<f32> = places.iter().map(|&x| if outside(x) { beyond } else { 0.0 }).collect();
    if node.flag("antialias", false)? && axis.scale < 1.0 {
        return Err("antialias is not supported".into());
    }
    match node.text("mode", "nearest")? {
        "nearest" => {
            let rounding = node.text("nearest_mode", if old { "floor" } else { "round_prefer_floor" })?;
            let nearest = |x: f32| {
                let whole = match rounding {
                    "floor" => x.floor(),
                    "ceil" => x.ceil(),
                    "round_prefer_floor" => (x - 0.5).ceil(),
                    "round_prefer_ceil" => (x + 0.5).floor(),
                    other => return Err(Fail::from(format!("nearest_mode \"{other}\" is not known"))),
                };
                Ok((whole.clamp(0.0, last), if outside(x) { 0.0 } else { 1.0 }))
            };
            let taps = places.into_iter().map(nearest).collect::<Result<Vec<_>, _>>()?;
            low.resampled(x, at, 1, &taps, &offset)
        }
        "linear" | "bilinear" | "trilinear" => {
            let two = |&x: &f32| {
                let kept = if outside(x) { 0.0 } else { 1.0 };
                let x = x.clamp(0.0, last);
                let (low, share) = (x.floor(), x - x.floor());
                [(low, (1.0 - share) * kept), ((low + 1.0).min(last), share * kept)]
            };
            let taps: Vec<_> = places.iter().flat_map(two).collect();
            low.resampled(x, at, 2, &taps, &offset)
        }
        other => Err(format!("mode \"{other}\" is not supported").into()),
    }
}
