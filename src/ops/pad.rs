//! Zeros around a map, or less of the map. Zeros mostly disappear into the convolution that follows.
//! How `kernels/shape/pad.rs`, `shaders/shape/pad.wgsl` · proof `tests/gpu/cases/shape.rs`

use super::{Definition, Padding, expect_map};
use crate::tensor::{Shape, Tensor};

/// `y[n,c,i,j] = x[n,c,i-top,j-left]`, 0 outside. As `torch.nn.functional.pad`: negative numbers cut off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pad {
    /// Rows added above.
    pub top: isize,
    /// Rows added below.
    pub bottom: isize,
    /// Columns added on the left.
    pub left: isize,
    /// Columns added on the right.
    pub right: isize,
}

impl Pad {
    /// These as a convolution's padding, where nothing is cut off.
    pub fn padding(&self) -> Option<Padding> {
        let [top, bottom, left, right] =
            [self.top, self.bottom, self.left, self.right].map(|side| usize::try_from(side).ok());
        Some(Padding { top: top?, bottom: bottom?, left: left?, right: right? })
    }
}

impl From<Padding> for Pad {
    fn from(padding: Padding) -> Self {
        let Padding { top, bottom, left, right } = padding;
        let [top, bottom, left, right] =
            [top, bottom, left, right].map(|side| isize::try_from(side).unwrap_or(isize::MAX));
        Self { top, bottom, left, right }
    }
}

impl Definition for Pad {
    fn kind(&self) -> &'static str {
        "pad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, height, width) = expect_map(inputs)?;
        // Within 31 bits, so that no arithmetic on them overflows.
        let side = |by: isize| i32::try_from(by).ok().filter(|&by| by > i32::MIN);
        let sum = |a: usize, b, c| a.checked_add_signed(side(b)? as isize + side(c)? as isize);
        match (sum(height, self.top, self.bottom), sum(width, self.left, self.right)) {
            (Some(height @ 1..), Some(width @ 1..)) => Ok(Shape::map(channels, height, width)),
            _ => Err(format!("padding {} of {} leaves nothing, or overflows", self.attributes(), inputs[0])),
        }
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let [batch, channels, height, width] = x.nchw();
        let shape = self.shape(&[Shape::map(channels, height, width)]).expect("the graph has checked the shape");
        Tensor::from_nchw(shape, batch, |[n, c, i, j]| {
            let (row, column) = (i.wrapping_add_signed(-self.top), j.wrapping_add_signed(-self.left));
            if row < height && column < width { x[[n, c, row, column]] } else { 0.0 }
        })
    }

    fn attributes(&self) -> String {
        match self.padding() {
            Some(padding) => padding.to_string(),
            None => format!("[{}, {}, {}, {}]", self.top, self.bottom, self.left, self.right),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::full([1, 1, 1, 1], 7.0);
        let pad = Pad::from(Padding { top: 1, bottom: 0, left: 0, right: 2 });
        assert_eq!(pad.reference(&[&x], &[]).data(), [0.0, 0.0, 0.0, 7.0, 0.0, 0.0]);
        let x = Tensor::from_fn([1, 1, 2, 2], |i| (i + 1) as f32);
        let shift = Pad { top: 1, bottom: -1, left: 1, right: -1 };
        assert_eq!(shift.reference(&[&x], &[]).data(), [0.0, 0.0, 0.0, 1.0]);
        let crop = Pad { top: -1, bottom: 0, left: 0, right: -1 };
        assert_eq!(crop.reference(&[&x], &[]).data(), [3.0]);
        assert!(Pad { top: -1, bottom: -1, left: 0, right: 0 }.shape(&[Shape::map(1, 2, 2)]).is_err());
    }
}
