//! Zeros around a map. Most disappear into the convolution that follows.
//! How `kernels/shape/pad.rs`, `shaders/shape/pad.wgsl` · proof `tests/gpu/cases/shape.rs`

use super::{Meaning, Padding, expect_map};
use crate::tensor::{Shape, Tensor};

/// `y[n,c,i,j] = x[n,c,i-top,j-left]`, 0 outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pad {
    /// Rows and columns of zeros.
    pub padding: Padding,
}

impl Meaning for Pad {
    fn kind(&self) -> &'static str {
        "pad"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, height, width) = expect_map(inputs)?;
        let Padding { top, bottom, left, right } = self.padding;
        let sum = |a: usize, b: usize, c: usize| a.checked_add(b)?.checked_add(c);
        match (sum(height, top, bottom), sum(width, left, right)) {
            (Some(height), Some(width)) => Ok(Shape::map(channels, height, width)),
            _ => Err(format!("padding {} overflows", self.padding)),
        }
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let [batch, channels, height, width] = x.nchw();
        let Padding { top, bottom, left, right } = self.padding;
        let shape = Shape::map(channels, height + top + bottom, width + left + right);
        Tensor::from_nchw(shape, batch, |[n, c, i, j]| {
            let (row, column) = (i.wrapping_sub(top), j.wrapping_sub(left));
            if row < height && column < width { x[[n, c, row, column]] } else { 0.0 }
        })
    }

    fn attributes(&self) -> String {
        self.padding.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::full([1, 1, 1, 1], 7.0);
        let pad = Pad { padding: Padding { top: 1, bottom: 0, left: 0, right: 2 } };
        assert_eq!(pad.reference(&[&x], &[]).data(), [0.0, 0.0, 0.0, 7.0, 0.0, 0.0]);
    }
}
