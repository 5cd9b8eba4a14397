//! Values one after the other, and maps as vectors.
//! How `kernels/shape/{concat,flatten}.rs` · proof `tests/gpu/cases/shape.rs`

use super::{Meaning, expect_inputs};
use crate::tensor::{Shape, Tensor};

/// `y = [x0, x1, …]` along the channels; two or more inputs of one height and width.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Concat {}

/// `y[n, (c * H + h) * W + w] = x[n,c,h,w]`: PyTorch's `flatten(1)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flatten {}

impl Meaning for Concat {
    fn kind(&self) -> &'static str {
        "concat"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [first, rest @ ..] = inputs else {
            return Err("expects at least one input, has none".into());
        };
        for other in rest {
            let same_kind = matches!(first, Shape::Map { .. }) == matches!(other, Shape::Map { .. });
            if !same_kind || (first.height(), first.width()) != (other.height(), other.width()) {
                return Err(format!("expects inputs of one height and width, has {first} and {other}"));
            }
        }
        let channels = inputs.iter().map(Shape::channels).sum();
        Ok(match *first {
            Shape::Map { height, width, .. } => Shape::map(channels, height, width),
            Shape::Vector { .. } => Shape::vector(channels),
        })
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let mut shape = inputs[0].shape().to_vec();
        shape[1] = inputs.iter().map(|x| x.shape()[1]).sum();
        let mut data = Vec::new();
        for n in 0..inputs[0].batch() {
            for x in inputs {
                data.extend_from_slice(x.image(n));
            }
        }
        Tensor::new(shape, data).expect("the parts fill the whole")
    }
}

impl Meaning for Flatten {
    fn kind(&self) -> &'static str {
        "flatten"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        Ok(Shape::vector(inputs[0].len()))
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let features = x.shape()[1..].iter().product();
        x.clone().reshape([x.batch(), features]).expect("flattening keeps the count")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concat_keeps_images_apart() {
        let a = Tensor::from_fn([2, 1, 1, 2], |i| i as f32);
        let b = Tensor::from_fn([2, 2, 1, 2], |i| 10.0 + i as f32);
        let y = Concat {}.reference(&[&a, &b], &[]);
        assert_eq!(y.data(), [0.0, 1.0, 10.0, 11.0, 12.0, 13.0, 2.0, 3.0, 14.0, 15.0, 16.0, 17.0]);
        assert!(Concat {}.shape(&[Shape::map(1, 2, 2), Shape::map(1, 2, 3)]).is_err());
    }
}
