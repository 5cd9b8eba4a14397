//! Other positions along one axis: slices, pads, gathers, interpolation.
//! How `kernels/tensor/resample.rs` · proof `tests/gpu/cases/tensor.rs`

use super::{Definition, ParamSpec, expect_inputs, expect_tensor};
use crate::tensor::{Shape, Tensor, coordinates, flat_index};

/// `y[…,j,…] = offset[j] + sum over t of weight[j,t] * x[…,index[j,t],…]` along one axis of each image: a slice, a
/// gather and a reflecting pad have one tap of weight 1, a constant pad has weight 0 and an offset, linear interpolation
/// has two taps. Where the weight is 0 nothing is read.
///
/// Parameters: `index [size, taps]` (whole numbers), `weight [size, taps]`, `offset [size]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resample {
    /// The axis of one image, from 0 for the outermost.
    pub axis: usize,
    /// Size of the result along it.
    pub size: usize,
    /// Elements that one of the result is made of.
    pub taps: usize,
}

impl Definition for Resample {
    fn kind(&self) -> &'static str {
        "resample"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        let mut dims = expect_tensor(inputs[0])?;
        // Indices are f32 numbers, which are exact up to 2^24.
        if self.axis >= dims.len() || self.taps == 0 || dims[self.axis] > 1 << 24 {
            return Err(format!("axis {} of {dims:?} can't be resampled with {} taps", self.axis, self.taps));
        }
        dims[self.axis] = self.size;
        Ok(Shape::tensor(&dims))
    }

    fn params(&self, _inputs: &[Shape]) -> Vec<ParamSpec> {
        vec![
            ParamSpec::new("index", [self.size, self.taps]),
            ParamSpec::new("weight", [self.size, self.taps]),
            ParamSpec::new("offset", [self.size]),
        ]
    }

    fn reference(&self, inputs: &[&Tensor], params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let from = &x.shape()[1..];
        let mut shape = x.shape().to_vec();
        shape[self.axis + 1] = self.size;
        Tensor::from_fn(shape.clone(), |i| {
            let mut at = coordinates(i, &shape);
            let j = at[self.axis + 1];
            let taps = params[0].image(j).iter().zip(params[1].image(j)).filter(|&(_, &weight)| weight != 0.0);
            let sum: f64 = taps
                .map(|(&index, &weight)| {
                    at[self.axis + 1] = (index as usize).min(from[self.axis] - 1);
                    f64::from(weight) * f64::from(x.image(at[0])[flat_index(&at[1..], from)])
                })
                .sum();
            (f64::from(params[2].data()[j]) + sum) as f32
        })
    }

    fn attributes(&self) -> String {
        let taps = if self.taps == 1 { String::new() } else { format!(", {} taps", self.taps) };
        format!("axis {} to {}{taps}", self.axis, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let x = Tensor::from_fn([1, 3, 2], |i| i as f32);
        let index = Tensor::new([2, 2], vec![2.0, 0.0, 0.0, 1.0]).unwrap();
        let weight = Tensor::new([2, 2], vec![1.0, 0.0, 0.5, 0.25]).unwrap();
        let offset = Tensor::new([2], vec![0.0, 10.0]).unwrap();
        let y = Resample { axis: 0, size: 2, taps: 2 }.reference(&[&x], &[index, weight, offset]);
        assert_eq!((y.shape(), y.data()), ([1, 2, 2].as_slice(), [4.0, 5.0, 10.5, 11.25].as_slice()));
        assert!(Resample { axis: 2, size: 1, taps: 1 }.shape(&[Shape::tensor(&[3, 2])]).is_err());
    }
}
