//! What an executor takes: images of its graph's shape, and of finite values.

use super::Executor;
use crate::error::Result;
use crate::plan::InputFormat;
use crate::tensor::Tensor;

/// A batch of images, dense, in the format of the executor's plans.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// How many images.
    pub(super) images: usize,
    pub(super) source: Source<'a>,
}

/// Where images lie.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Host(&'a [u8]),
    /// From a byte on.
    Device(&'a wgpu::Buffer, u64),
}

impl Executor {
    /// The images of a tensor, if they are this executor's.
    pub(super) fn floats<'a>(&self, input: &'a Tensor) -> Result<Batch<'a>> {
        self.graph.check_input(input)?;
        self.values(input.data())
    }

    /// Dense values of whole images, if they are this executor's.
    pub(crate) fn values<'a>(&self, values: &'a [f32]) -> Result<Batch<'a>> {
        let refuse = |message: String| Err(self.graph.bad_input(message));
        let image = self.graph.input_shape().len();
        if self.options.plan.input != InputFormat::Floats {
            return refuse("this executor takes pixels; give them to run_pixels".into());
        }
        if values.is_empty() || !values.len().is_multiple_of(image) {
            return refuse(format!("expects images of {image} values each, at least 1, is given {}", values.len()));
        }
        let images = values.len() / image;
        if let Some(at) = first_non_finite(values).filter(|_| !self.options.allow_non_finite) {
            let (value, index) = (values[at], index_of(at, &self.graph.input_shape().with_batch(images)));
            return refuse(format!(
                "expects finite values, has {value} at {index:?}; ExecutorOptions::allow_non_finite lets it pass, and what \
                 comes of it is anything"
            ));
        }
        Ok(Batch { images, source: Source::Host(bytemuck::cast_slice(values)) })
    }

    /// Samples of whole images, if they are this executor's.
    pub(crate) fn samples<'a>(&self, pixels: &'a [u8]) -> Result<Batch<'a>> {
        let image = self.graph.input_shape().len();
        let refuse = |message: String| Err(self.graph.bad_input(message));
        if !matches!(self.options.plan.input, InputFormat::Pixels(_)) {
            return refuse("this executor takes floats; plan it with InputFormat::Pixels".into());
        }
        if pixels.is_empty() || !pixels.len().is_multiple_of(image) {
            return refuse(format!("expects images of {image} samples each, at least 1, is given {}", pixels.len()));
        }
        Ok(Batch { images: pixels.len() / image, source: Source::Host(pixels) })
    }

    /// So many images of a buffer on this executor's device, in its plans' format. Nothing looks at their values.
    pub(crate) fn on_device<'a>(&self, buffer: &'a wgpu::Buffer, images: usize) -> Result<Batch<'a>> {
        let need = (images.saturating_mul(self.image_bytes()) as u64).next_multiple_of(4);
        let refuse = |message: String| Err(self.graph.bad_input(message));
        if buffer.size() < need {
            let has = buffer.size();
            return refuse(format!("the input buffer needs {need} bytes for batch {images}, has {has}"));
        }
        if !buffer.usage().contains(wgpu::BufferUsages::COPY_SRC) {
            return refuse("the input buffer needs usage COPY_SRC".into());
        }
        Ok(Batch { images, source: Source::Device(buffer, 0) })
    }

    /// Bytes of one image in a dense batch.
    pub(super) fn image_bytes(&self) -> usize {
        let samples = self.graph.input_shape().len();
        match self.options.plan.input {
            InputFormat::Floats => 4 * samples,
            InputFormat::Pixels(_) => samples,
        }
    }
}

impl Batch<'_> {
    /// How many images.
    pub(crate) fn images(&self) -> usize {
        self.images
    }

    /// Some of the images.
    pub(super) fn part(&self, first: usize, images: usize, image_bytes: usize) -> Self {
        let start = first * image_bytes;
        let source = match self.source {
            Source::Host(bytes) => Source::Host(&bytes[start..start + images * image_bytes]),
            Source::Device(buffer, offset) => Source::Device(buffer, offset + start as u64),
        };
        Self { images, source }
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
