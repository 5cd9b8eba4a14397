//! The same elements under another shape, and elements that don't depend on the image.
//! How `kernels/{shape.rs,shape/flatten.rs,tensor/copy.rs}` · proof `tests/gpu/cases/{shape,tensor}.rs`

use super::{Definition, ParamSpec, expect_inputs};
use crate::tensor::{Shape, Tensor, element_count};

/// `y`'s elements are `x`'s in row-major order: `torch.reshape` of each image. Between vectors, tensors and 1x1 maps it
/// costs nothing; where a larger map is one side, elements change places in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// Shape of the result, of as many elements.
    pub shape: Shape,
}

impl Reshape {
    /// A map or tensor as a vector: PyTorch's `flatten(1)`.
    pub fn flatten(input: Shape) -> Self {
        Self { shape: Shape::vector(input.len()) }
    }
}

impl Definition for Reshape {
    fn kind(&self) -> &'static str {
        "reshape"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        let (from, to) = (inputs[0], self.shape);
        let [has, wants] = [from, to].map(|shape| element_count(&shape.dims()).unwrap_or(usize::MAX));
        if has != wants {
            return Err(format!("{from} has {has} elements, {to} has {wants}"));
        }
        Ok(self.shape)
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        x.clone().reshape(self.shape.with_batch(x.batch())).expect("the shape rule has compared the counts")
    }
}

/// Numbers of the checkpoint as a value: the same for every image. Parameter: `value`, of this shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Shape of the value: a vector or tensor.
    pub shape: Shape,
}

impl Definition for Constant {
    fn kind(&self) -> &'static str {
        "constant"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 0)?;
        super::expect_tensor(self.shape)?;
        Ok(self.shape)
    }

    fn params(&self, _inputs: &[Shape]) -> Vec<ParamSpec> {
        vec![ParamSpec::new("value", self.shape.dims())]
    }

    /// For a batch of one: the executor repeats it.
    fn reference(&self, _inputs: &[&Tensor], params: &[Tensor]) -> Tensor {
        params[0].clone().reshape(self.shape.with_batch(1)).expect("the builder has compared the counts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::from_fn([2, 2, 1, 3], |i| i as f32);
        let y = Reshape { shape: Shape::tensor(&[3, 2]) }.reference(&[&x], &[]);
        assert_eq!((y.shape(), y.data()), ([2, 3, 2].as_slice(), x.data()));
        let misfit = Reshape { shape: Shape::vector(5) }.shape(&[Shape::map(2, 1, 3)]).unwrap_err();
        assert_eq!(misfit, "2x1x3 has 6 elements, 5 has 5");
        assert!(Constant { shape: Shape::map(1, 2, 2) }.shape(&[]).is_err());
    }
}
