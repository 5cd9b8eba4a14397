//! What an executor takes: images of its graph's shape, and of finite values.

use super::Executor;
use crate::error::{Error, Result};
use crate::plan::InputFormat;
use crate::tensor::Tensor;

impl Executor {
    /// Batch and bytes of the input, if it is one of this executor's.
    pub(super) fn floats<'a>(&self, input: &'a Tensor) -> Result<(usize, &'a [u8])> {
        self.graph.check_input(input)?;
        if self.options.plan.input != InputFormat::Floats {
            let message = "this executor takes pixels; give them to run_pixels";
            return Err(Error::node("input", self.graph.name(), message));
        }
        if let Some(at) = first_non_finite(input.data()).filter(|_| !self.options.allow_non_finite) {
            let (value, index) = (input.data()[at], index_of(at, input.shape()));
            let message = format!(
                "expects finite values, has {value} at {index:?}; ExecutorOptions::allow_non_finite lets it pass, and what \
                 comes of it is anything"
            );
            return Err(Error::node("input", self.graph.name(), message));
        }
        Ok((input.batch(), bytemuck::cast_slice(input.data())))
    }

    /// Batch and bytes of the pixels, if they are of this executor's.
    pub(super) fn samples<'a>(&self, pixels: &'a [u8]) -> Result<(usize, &'a [u8])> {
        let image = self.graph.input_shape().len();
        let refuse = |message: String| Err(Error::node("input", self.graph.name(), message));
        if !matches!(self.options.plan.input, InputFormat::Pixels(_)) {
            return refuse("this executor takes floats; plan it with InputFormat::Pixels".into());
        }
        if pixels.is_empty() || !pixels.len().is_multiple_of(image) {
            return refuse(format!("expects images of {image} samples each, at least 1, is given {}", pixels.len()));
        }
        Ok((pixels.len() / image, pixels))
    }
}

/// Where the first NaN or infinity is. Blocks are looked at as a whole, which compilers do by vectors.
fn first_non_finite(values: &[f32]) -> Option<usize> {
    const BLOCK: usize = 1024;
    let bad = |block: &[f32]| block.iter().fold(false, |bad, x| bad | !x.is_finite());
    let start = BLOCK * values.chunks(BLOCK).position(bad)?;
    values[start..].iter().position(|x| !x.is_finite()).map(|at| start + at)
}

/// The index in each dimension of what is `at` this place.
fn index_of(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = Vec::with_capacity(shape.len());
    for &size in shape.iter().rev() {
        index.push(at % size);
        at /= size;
    }
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_value_is_found_wherever_it_is() {
        for len in [1, 7, 1023, 1024, 1025, 5000] {
            let mut values = vec![f32::MAX; len];
            assert_eq!(first_non_finite(&values), None);
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for at in [0, len / 2, len - 1] {
                    values[at] = bad;
                    values[len - 1] = bad;
                    assert_eq!(first_non_finite(&values), Some(at), "{bad} in {len}");
                    values.fill(f32::MIN);
                }
            }
        }
    }

    #[test]
    fn a_place_is_an_index_in_each_dimension() {
        assert_eq!(index_of(0, &[2, 3, 4, 5]), [0, 0, 0, 0]);
        assert_eq!(index_of(2 * 60 - 1, &[2, 3, 4, 5]), [1, 2, 3, 4]);
        assert_eq!(index_of(60 + 20 + 5 + 1, &[2, 3, 4, 5]), [1, 1, 1, 1]);
    }
}
