//! Resizing: along each axis, every element of the result is made of its nearest, or of those around it.

use crate::import::onnx::Fail;
use crate::import::onnx::node::Node;
use crate::import::onnx::translate::{Args, Translator, axis};
use crate::import::onnx::values::Val;

/// How one axis is resized.
struct Axis {
    from: usize,
    to: usize,
    scale: f32,
    /// What `to` is before it is rounded: the definitions of some coordinates have it.
    length: f32,
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
        let (to, scale, length) = match (&scales, &sizes, shared) {
            (_, Some(_), Some(shared)) => ((shared * from as f32).round() as usize, shared, shared * from as f32),
            (_, Some(sizes), None) => {
                let to = sizes[i].unwrap_or(from);
                (to, to as f32 / from as f32, to as f32)
            }
            (Some(scales), None, _) if scales[i] > 0.0 && scales[i] < 1e6 => {
                let length = from as f32 * scales[i];
                (length.floor() as usize, scales[i], length)
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
        y = along(low, node, &y, at, &Axis { from, to, scale, length, region }, old)?;
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
    let places = (0..axis.to).map(|i| axis.place(mode, i as f32)).collect::<Result<Vec<f32>, _>>()?;
    let last = axis.from as f32 - 1.0;
    let outside = |x: f32| mode == "tf_crop_and_resize" && !(0.0..=last).contains(&x);
    let beyond = node.float("extrapolation_value", 0.0)?;
    let offset: Vec<f32> = places.iter().map(|&x| if outside(x) { beyond } else { 0.0 }).collect();
    let kernel = match node.text("mode", "nearest")? {
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
            return low.resampled(x, at, 1, &taps, &offset);
        }
        "linear" | "bilinear" | "trilinear" => Kernel::Linear,
        "cubic" => Kernel::Cubic(node.float("cubic_coeff_a", -0.75)?.into()),
        other => return Err(format!("mode \"{other}\" is not supported").into()),
    };
    // Only where it shrinks is the kernel wider than its own elements.
    let antialias = node.flag("antialias", false)? && axis.scale < 1.0;
    let shrink = if antialias { f64::from(axis.scale) } else { 1.0 };
    let inside_only = node.flag("exclude_outside", false)?;
    let first = (-kernel.reach() / shrink).floor() as i64 + 1;
    let count = usize::try_from(2 - 2 * first).map_err(|_| "scales must be positive numbers")?;
    low.affords_taps(axis.to.saturating_mul(count))?;
    let mut taps = Vec::with_capacity(axis.to * count);
    for x in places {
        let (whole, share) = (x.floor() as i64, f64::from(x - x.floor()));
        let around = (first..first + count as i64).map(|i| {
            let weight = kernel.at((i as f64 - share) * shrink);
            let excluded = inside_only && !(0..axis.from as i64).contains(&(whole + i));
            ((whole + i).clamp(0, axis.from as i64 - 1), if excluded { 0.0 } else { weight })
        });
        let around: Vec<(i64, f64)> = around.collect();
        let sum: f64 = around.iter().map(|tap| tap.1).sum();
        let all = if outside(x) || sum == 0.0 { 0.0 } else { 1.0 / sum };
        taps.extend(around.into_iter().map(|(index, weight)| (index as f32, (weight * all) as f32)));
    }
    low.resampled(x, at, count, &taps, &offset)
}

impl Axis {
    /// Where element `i` of the result lies on the axis.
    fn place(&self, mode: &str, i: f32) -> Result<f32, Fail> {
        let from = self.from as f32;
        let centre = (i + 0.5) / self.scale - 0.5;
        Ok(match mode {
            "half_pixel" => centre,
            "pytorch_half_pixel" if self.to > 1 => centre,
            "asymmetric" => i / self.scale,
            "align_corners" if self.length != 1.0 => i * (from - 1.0) / (self.length - 1.0),
            "pytorch_half_pixel" | "align_corners" => 0.0,
            // The part of a pixel that a rounded size leaves over is shared by both sides.
            "half_pixel_symmetric" => from / 2.0 * (1.0 - self.to as f32 / self.length) + centre,
            "tf_crop_and_resize" => {
                let (start, end) = self.region;
                match self.length {
                    1.0 => 0.5 * (start + end) * (from - 1.0),
                    length => start * (from - 1.0) + i * (end - start) * (from - 1.0) / (length - 1.0),
                }
            }
            other => return Err(Fail::from(format!("coordinate mode \"{other}\" is not supported"))),
        })
    }
}

/// What an element adds to a result that lies so far from it.
enum Kernel {
    Linear,
    /// With its slope at a distance of 1.
    Cubic(f64),
}

impl Kernel {
    /// From where on it is 0.
    fn reach(&self) -> f64 {
        match self {
            Self::Linear => 1.0,
            Self::Cubic(_) => 2.0,
        }
    }

    fn at(&self, distance: f64) -> f64 {
        let x = distance.abs();
        match *self {
            Self::Linear => (1.0 - x).max(0.0),
            Self::Cubic(a) if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            Self::Cubic(a) if x < 2.0 => ((x - 5.0) * x + 8.0) * x * a - 4.0 * a,
            Self::Cubic(_) => 0.0,
        }
    }
}
