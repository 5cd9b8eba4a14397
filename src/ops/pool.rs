//! Pooling over windows and over whole planes.
//! How `kernels/pool/*.rs`, `shaders/pool/*.wgsl` · proof `tests/gpu/cases/pool.rs`

use super::{Definition, Padding, expect_channels, expect_inputs, expect_map, unless};
use crate::tensor::{Shape, Tensor};
use std::fmt;

/// What a pool takes of its window or plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolKind {
    /// The mean.
    #[default]
    Avg,
    /// The largest.
    Max,
    /// Half the mean plus half the largest, of whole planes only.
    AvgMax,
}

impl PoolKind {
    /// The pool of `numbers`, with a mean that divides by `count`.
    fn apply(self, numbers: &[f64], count: usize) -> f64 {
        let mean = || numbers.iter().sum::<f64>() / count as f64;
        let largest = || numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self {
            Self::Avg => mean(),
            Self::Max => largest(),
            Self::AvgMax => 0.5 * mean() + 0.5 * largest(),
        }
    }

    /// Number of the kind in shaders of whole planes.
    pub(crate) fn code(self) -> f64 {
        match self {
            Self::Avg => 0.0,
            Self::Max => 1.0,
            Self::AvgMax => 2.0,
        }
    }
}

impl fmt::Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avg => "avg",
            Self::Max => "max",
            Self::AvgMax => "avgmax",
        })
    }
}

/// `y[n,c,i,j] = mean or max of x[n,c]` over the window at `(i*stride - padding, j*stride - padding)`, whose elements are
/// `dilation` apart.
/// As `torch.nn.MaxPool2d` and `AvgPool2d`: the maximum never sees padding, the mean sees it as zeros or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Mean or maximum.
    pub kind: PoolKind,
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Steps of the window, down and right.
    pub stride: [usize; 2],
    /// Padding, smaller than the window on every side.
    pub padding: Padding,
    /// Distance of the window's elements, down and right.
    pub dilation: [usize; 2],
    /// Whether a last window may hang over the end (it must start inside the input or its leading padding).
    pub ceil_mode: bool,
    /// Whether a mean divides by the padding too; what hangs over beyond the padding never counts.
    pub count_include_pad: bool,
}

impl Pool {
    /// Maximum over square windows that touch.
    pub fn max(kernel: usize) -> Self {
        Self {
            kind: PoolKind::Max,
            kernel: [kernel; 2],
            stride: [kernel; 2],
            padding: Padding::default(),
            dilation: [1; 2],
            ceil_mode: false,
            count_include_pad: true,
        }
    }

    /// Mean over square windows that touch.
    pub fn avg(kernel: usize) -> Self {
        Self { kind: PoolKind::Avg, ..Self::max(kernel) }
    }

    /// With this stride both ways.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// With this padding.
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// With this dilation both ways.
    pub fn dilation(self, dilation: usize) -> Self {
        Self { dilation: [dilation; 2], ..self }
    }

    /// With or without a last window that hangs over.
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Whether a mean counts the padding.
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }
}

impl Definition for Pool {
    fn kind(&self) -> &'static str {
        "pool"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, height, width) = expect_map(inputs)?;
        if self.kind == PoolKind::AvgMax {
            return Err("avgmax pools whole planes only, not windows".into());
        }
        let side = |size: usize, before: usize, after: usize, i: usize| {
            let (kernel, stride, dilation) = (self.kernel[i], self.stride[i], self.dilation[i]);
            if kernel == 0 || stride == 0 || dilation == 0 {
                return Err("kernel, stride and dilation must be at least 1".to_string());
            }
            let window = (kernel - 1).saturating_mul(dilation).saturating_add(1);
            if before >= window || after >= window {
                return Err(format!("padding {} must be smaller than the window on every side", self.padding));
            }
            let padded = size + before + after;
            let reach = if self.ceil_mode { padded + stride - 1 } else { padded };
            if reach < window {
                return Err(format!(
                    "input {} with padding {} is smaller than the {}x{} window with dilation {}x{}",
                    inputs[0], self.padding, self.kernel[0], self.kernel[1], self.dilation[0], self.dilation[1]
                ));
            }
            let count = (reach - window) / stride + 1;
            let count = if self.ceil_mode && (count - 1) * stride >= size + before { count - 1 } else { count };
            // The first element behind the leading padding is in the map, or a dilated window has none there.
            let first = |start: usize| before.saturating_sub(start).next_multiple_of(dilation);
            let empty = |start: &usize| first(*start) >= window || start + first(*start) >= before + size;
            if (0..count).map(|i| i * stride).take_while(|&start| start < before).any(|start| empty(&start)) {
                return Err(format!(
                    "input {} with padding {} has windows of nothing but padding",
                    inputs[0], self.padding
                ));
            }
            Ok(count)
        };
        Ok(Shape::map(
            channels,
            side(height, self.padding.top, self.padding.bottom, 0)?,
            side(width, self.padding.left, self.padding.right, 1)?,
        ))
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let [batch, channels, height, width] = x.nchw();
        let shape = self.shape(&[Shape::map(channels, height, width)]).expect("the graph has checked the shape");
        let Padding { top, bottom, left, right } = self.padding;
        Tensor::from_nchw(shape, batch, |[n, c, i, j]| {
            // Elements of the window in padded coordinates, without what hangs over.
            let elements = |start: usize, i: usize, end: usize| -> Vec<usize> {
                (0..self.kernel[i]).map(|k| start + k * self.dilation[i]).filter(|&at| at < end).collect()
            };
            let rows = elements(i * self.stride[0], 0, top + height + bottom);
            let columns = elements(j * self.stride[1], 1, left + width + right);
            let padded = rows.iter().flat_map(|&y| columns.iter().map(move |&x| (y, x)));
            let inside =
                |&(y, x): &(usize, usize)| (top..top + height).contains(&y) && (left..left + width).contains(&x);
            let window: Vec<f64> =
                padded.clone().filter(inside).map(|(y, z)| f64::from(x[[n, c, y - top, z - left]])).collect();
            let counted = if self.count_include_pad { padded.count() } else { window.len() };
            self.kind.apply(&window, counted) as f32
        })
    }

    fn attributes(&self) -> String {
        let dilation = format!("{}x{}", self.dilation[0], self.dilation[1]);
        format!(
            "{} {}x{} stride {}x{}{}{}{}{}",
            self.kind,
            self.kernel[0],
            self.kernel[1],
            self.stride[0],
            self.stride[1],
            unless("padding", self.padding, Padding::default()),
            unless("dilation", dilation, "1x1".into()),
            if self.ceil_mode { " ceil" } else { "" },
            if self.kind == PoolKind::Avg && !self.count_include_pad { " exclude_pad" } else { "" },
        )
    }
}

/// `y[n,c] = mean or max over h,w of x[n,c,h,w]`, or half of each. Shape `[C,H,W] → [C]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GlobalPool {
    /// Mean, maximum or both.
    pub kind: PoolKind,
}

impl Definition for GlobalPool {
    fn kind(&self) -> &'static str {
        "global_pool"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        expect_channels(inputs[0])?;
        Ok(Shape::vector(inputs[0].channels()))
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let [batch, channels, height, width] = x.nchw();
        Tensor::from_nchw(Shape::vector(channels), batch, |[n, c, _, _]| {
            let plane = &x.image(n)[c * height * width..][..height * width];
            let plane: Vec<f64> = plane.iter().copied().map(f64::from).collect();
            self.kind.apply(&plane, plane.len()) as f32
        })
    }

    fn attributes(&self) -> String {
        self.kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_by_hand() {
        let x = Tensor::from_fn([1, 1, 3, 3], |i| (i + 1) as f32);
        let max = Pool::max(2).ceil_mode(true).reference(&[&x], &[]);
        assert_eq!(max.data(), [5.0, 6.0, 8.0, 9.0]);
        let avg = Pool::avg(2).padding(1).reference(&[&x], &[]);
        assert_eq!(avg.data(), [0.25, 1.25, 2.75, 7.0]);
        let exclusive = Pool::avg(2).padding(1).count_include_pad(false).reference(&[&x], &[]);
        assert_eq!(exclusive.data(), [1.0, 2.5, 5.5, 7.0]);
        // Corners, and around the middle: elements 2 apart.
        let dilated = Pool::max(2).dilation(2).reference(&[&x], &[]);
        assert_eq!(dilated.data(), [9.0]);
        let dilated = Pool::avg(2).stride(2).dilation(2).padding(1).count_include_pad(false).reference(&[&x], &[]);
        assert_eq!(dilated.data(), [5.0, 5.0, 5.0, 5.0]);
    }

    #[test]
    fn sizes_as_pytorch_has_them() {
        let size = |pool: Pool, side| pool.shape(&[Shape::map(1, side, side)]).unwrap().height();
        assert_eq!(size(Pool::max(3).stride(2).ceil_mode(true), 112), 56);
        assert_eq!(size(Pool::max(3).stride(2).padding(1), 113), 57);
        assert_eq!(size(Pool::max(3).stride(2).ceil_mode(true), 113), 56);
        // A window larger than the input, that hangs over by less than a stride.
        assert_eq!(size(Pool::max(3).stride(2).ceil_mode(true), 2), 1);
        assert!(Pool::max(3).stride(2).ceil_mode(true).shape(&[Shape::map(1, 1, 1)]).is_err());
        // The last window would start beyond the input and its leading padding, so it is dropped.
        assert_eq!(size(Pool::max(2).stride(2).padding(1).ceil_mode(true), 5), 3);
    }

    #[test]
    fn dilated_windows() {
        let shape = |pool: Pool, side| pool.shape(&[Shape::map(1, side, side)]).map(|shape| shape.height());
        assert_eq!(shape(Pool::max(3).stride(2).dilation(2).padding(1), 7), Ok(3));
        assert_eq!(shape(Pool::max(2).stride(1).dilation(3).ceil_mode(true), 4), Ok(1));
        let message = "input 1x4x4 with padding 0 is smaller than the 3x3 window with dilation 2x2";
        assert_eq!(shape(Pool::max(3).dilation(2), 4).unwrap_err(), message);
        let message = "input 1x1x1 with padding 3 has windows of nothing but padding";
        assert_eq!(shape(Pool::max(2).stride(1).dilation(4).padding(3), 1).unwrap_err(), message);
        assert_eq!(shape(Pool::max(1).dilation(0), 4).unwrap_err(), "kernel, stride and dilation must be at least 1");
        assert_eq!(Pool::avg(3).dilation(2).attributes(), "avg 3x3 stride 3x3 dilation 2x2");
        assert_eq!(Pool::avg(3).attributes(), "avg 3x3 stride 3x3");
    }

    #[test]
    fn a_plane_becomes_a_number() {
        let x = Tensor::new([1, 2, 1, 2], vec![1.0, 2.0, -3.0, -5.0]).unwrap();
        assert_eq!(GlobalPool { kind: PoolKind::Avg }.reference(&[&x], &[]).data(), [1.5, -4.0]);
        assert_eq!(GlobalPool { kind: PoolKind::Max }.reference(&[&x], &[]).data(), [2.0, -3.0]);
        assert_eq!(GlobalPool { kind: PoolKind::AvgMax }.reference(&[&x], &[]).data(), [1.75, -3.5]);
        let window = Pool { kind: PoolKind::AvgMax, ..Pool::max(1) };
        let refusal = window.shape(&[Shape::map(2, 1, 2)]).unwrap_err();
        assert_eq!(refusal, "avgmax pools whole planes only, not windows");
    }
}
