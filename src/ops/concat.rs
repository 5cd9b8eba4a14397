//! Values one after the other.
//! How `kernels/{shape/concat,tensor/copy}.rs` · proof `tests/gpu/cases/{shape,tensor}.rs`

use super::Definition;
use crate::tensor::{Shape, Tensor};

/// `y = [x0, x1, …]` along one axis of each image; the inputs have the other axes in common. Maps and vectors join along
/// their channels, axis 0; tensors along any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Concat {
    /// The axis of one image, from 0 for the outermost.
    pub axis: usize,
}

impl Definition for Concat {
    fn kind(&self) -> &'static str {
        "concat"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [first, rest @ ..] = inputs else {
            return Err("expects at least one input, has none".into());
        };
        let mut dims = first.dims();
        let alike = |other: &Shape| {
            let theirs = other.dims();
            let alike_in_memory = matches!(first, Shape::Map { .. }) == matches!(other, Shape::Map { .. });
            alike_in_memory
                && theirs.len() == dims.len()
                && (0..dims.len()).all(|i| i == self.axis || theirs[i] == dims[i])
        };
        if let Some(other) = rest.iter().find(|other| !alike(other)) {
            return Err(format!("expects inputs alike but for axis {}, has {first} and {other}", self.axis));
        }
        if self.axis >= dims.len() {
            return Err(format!("{first} has no axis {}", self.axis));
        }
        dims[self.axis] = inputs.iter().map(|shape| shape.dims()[self.axis]).sum();
        match (*first, dims.as_slice()) {
            (Shape::Map { height, width, .. }, &[channels, ..]) if self.axis == 0 => {
                Ok(Shape::map(channels, height, width))
            }
            (Shape::Vector { .. }, &[features]) => Ok(Shape::vector(features)),
            (Shape::Tensor(_), dims) => Ok(Shape::tensor(dims)),
            _ => Err(format!("maps join along axis 0, not axis {}", self.axis)),
        }
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let axis = self.axis + 1;
        let mut shape = inputs[0].shape().to_vec();
        shape[axis] = inputs.iter().map(|x| x.shape()[axis]).sum();
        let mut data = Vec::new();
        for outer in 0..shape[..axis].iter().product() {
            for x in inputs {
                let run: usize = x.shape()[axis..].iter().product();
                data.extend_from_slice(&x.data()[outer * run..(outer + 1) * run]);
            }
        }
        Tensor::new(shape, data).expect("the parts fill the whole")
    }

    fn attributes(&self) -> String {
        super::unless("axis", self.axis, 0).trim_start().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concat_keeps_images_apart() {
        let a = Tensor::from_fn([2, 1, 1, 2], |i| i as f32);
        let b = Tensor::from_fn([2, 2, 1, 2], |i| 10.0 + i as f32);
        let y = Concat::default().reference(&[&a, &b], &[]);
        assert_eq!(y.data(), [0.0, 1.0, 10.0, 11.0, 12.0, 13.0, 2.0, 3.0, 14.0, 15.0, 16.0, 17.0]);
        assert!(Concat::default().shape(&[Shape::map(1, 2, 2), Shape::map(1, 2, 3)]).is_err());
        // They lie in other ways.
        assert!(Concat::default().shape(&[Shape::map(1, 2, 2), Shape::tensor(&[1, 2, 2])]).is_err());
        let [a, b] = [[2, 2, 1], [2, 2, 2]].map(|shape| Tensor::from_fn(shape, |i| i as f32));
        let y = Concat { axis: 1 }.reference(&[&a, &b], &[]);
        assert_eq!(y.data(), [0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 2.0, 4.0, 5.0, 3.0, 6.0, 7.0]);
    }
}
