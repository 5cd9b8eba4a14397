//! Pooling over windows and over whole planes.
//! How `kernels/pool/*.rs`, `shaders/pool/*.wgsl` · proof `tests/gpu/cases/pool.rs`

use super::{Meaning, Padding, expect_channels, expect_inputs, expect_map, unless};
use crate::tensor::{Shape, Tensor};
use std::fmt;

/// What a pool takes of its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolKind {
    /// The mean.
    #[default]
    Avg,
    /// The largest.
    Max,
}

impl fmt::Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avg => "avg",
            Self::Max => "max",
        })
    }
}

/// `y[n,c,i,j] = mean or max of x[n,c]` over the window at `(i*stride - padding, j*stride - padding)`.
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

    /// With or without a last window that hangs over.
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Whether a mean counts the padding.
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }
}

impl Meaning for Pool {
    fn kind(&self) -> &'static str {
        "pool"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, height, width) = expect_map(inputs)?;
        let side = |size: usize, before: usize, after: usize, i: usize| {
            let (kernel, stride) = (self.kernel[i], self.stride[i]);
            if kernel == 0 || stride == 0 {
                return Err("kernel and stride must be at least 1".to_string());
            }
            if before >= kernel || after >= kernel {
                return Err(format!("padding {} must be smaller than the window on every side", self.padding));
            }
            let padded = size + before + after;
            let reach = if self.ceil_mode { padded + stride - 1 } else { padded };
            if reach < kernel {
                return Err(format!(
                    "input {} with padding {} is smaller than the {}x{} window",
                    inputs[0], self.padding, self.kernel[0], self.kernel[1]
                ));
            }
            let count = (reach - kernel) / stride + 1;
            Ok(if self.ceil_mode && (count - 1) * stride >= size + before { count - 1 } else { count })
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
            // Window in padded coordinates, cut at the end of the padding, then at the map.
            let (row, column) = (i * self.stride[0], j * self.stride[1]);
            let row_end = (row + self.kernel[0]).min(top + height + bottom);
            let column_end = (column + self.kernel[1]).min(left + width + right);
            let rows = row.max(top) - top..row_end.min(top + height) - top;
            let columns = column.max(left) - left..column_end.min(left + width) - left;
            let counted = if self.count_include_pad {
                (row_end - row) * (column_end - column)
            } else {
                rows.len() * columns.len()
            };
            let window =
                rows.flat_map(|y| columns.clone().map(move |x| (y, x))).map(|(y, z)| f64::from(x[[n, c, y, z]]));
            match self.kind {
                PoolKind::Avg => (window.sum::<f64>() / counted as f64) as f32,
                PoolKind::Max => window.fold(f64::NEG_INFINITY, f64::max) as f32,
            }
        })
    }

    fn attributes(&self) -> String {
        format!(
            "{} {}x{} stride {}x{}{}{}{}",
            self.kind,
            self.kernel[0],
            self.kernel[1],
            self.stride[0],
            self.stride[1],
            unless("padding", self.padding, Padding::default()),
            if self.ceil_mode { " ceil" } else { "" },
            if self.kind == PoolKind::Avg && !self.count_include_pad { " exclude_pad" } else { "" },
        )
    }
}

/// `y[n,c] = mean or max over h,w of x[n,c,h,w]`. Shape `[C,H,W] → [C]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GlobalPool {
    /// Mean or maximum.
    pub kind: PoolKind,
}

impl Meaning for GlobalPool {
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
            match self.kind {
                PoolKind::Avg => (plane.iter().map(|&v| f64::from(v)).sum::<f64>() / plane.len() as f64) as f32,
                PoolKind::Max => plane.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            }
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
    fn a_plane_becomes_a_number() {
        let x = Tensor::new([1, 2, 1, 2], vec![1.0, 2.0, -3.0, -5.0]).unwrap();
        assert_eq!(GlobalPool { kind: PoolKind::Avg }.reference(&[&x], &[]).data(), [1.5, -4.0]);
        assert_eq!(GlobalPool { kind: PoolKind::Max }.reference(&[&x], &[]).data(), [2.0, -3.0]);
    }
}
