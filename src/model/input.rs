//! What a network takes, whatever it is in.

use crate::tensor::Tensor;
#[cfg(feature = "image")]
use std::borrow::Cow;

/// A batch of images for a [`Network`](crate::Network).
///
/// ```
/// use excite::{Input, Tensor};
///
/// let tensor = Tensor::zeros([2, 1, 8, 8]);
/// let inputs = [Input::from(&tensor), Input::from(tensor.data()), Input::from(&[0u8; 128])];
/// # let _ = inputs;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// `[N,C,H,W]`, or N before what dimensions the network's images have. A single image may leave out N. Values as the
    /// network reads them: normalised.
    Tensor(&'a Tensor),
    /// The same numbers, dense, of whole images.
    Floats(&'a [f32]),
    /// Samples of 8 bits, dense `[N,H,W,C]`, of images in the network's size. The device normalises them.
    Pixels(&'a [u8]),
    /// Images of any size: each is resized, cropped and normalised as the model has it.
    #[cfg(feature = "image")]
    Images(Vec<Cow<'a, crate::image::Image>>),
    /// A buffer on the network's device, usage `COPY_SRC`.
    Buffer {
        /// The buffer, with the images from its beginning on.
        buffer: &'a wgpu::Buffer,
        /// How many images.
        images: usize,
        /// Whether it has samples of 8 bits, as [`Input::Pixels`], padded to whole words; else floats, dense `[N,C,H,W]`.
        pixels: bool,
    },
}

impl<'a> Input<'a> {
    /// So many images as floats, dense `[N,C,H,W]`, in a buffer on the device. Nothing looks for NaN in it.
    pub fn buffer(buffer: &'a wgpu::Buffer, images: usize) -> Self {
        Self::Buffer { buffer, images, pixels: false }
    }

    /// So many images as samples of 8 bits, dense `[N,H,W,C]`, in a buffer on the device.
    pub fn pixel_buffer(buffer: &'a wgpu::Buffer, images: usize) -> Self {
        Self::Buffer { buffer, images, pixels: true }
    }
}

impl<'a> From<&'a Tensor> for Input<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

/// What has dense numbers.
macro_rules! from_numbers {
    ($($number:ty => $variant:ident),*) => {$(
        impl<'a> From<&'a [$number]> for Input<'a> {
            fn from(numbers: &'a [$number]) -> Self {
                Self::$variant(numbers)
            }
        }
        impl<'a> From<&'a Vec<$number>> for Input<'a> {
            fn from(numbers: &'a Vec<$number>) -> Self {
                Self::$variant(numbers)
            }
        }
        impl<'a, const N: usize> From<&'a [$number; N]> for Input<'a> {
            fn from(numbers: &'a [$number; N]) -> Self {
                Self::$variant(numbers)
            }
        }
    )*};
}
from_numbers!(f32 => Floats, u8 => Pixels);

#[cfg(feature = "image")]
mod images {
    use super::{Cow, Input};
    use crate::image::Image;
    use ::image::{DynamicImage, GrayImage, RgbImage};

    impl<'a> From<&'a Image> for Input<'a> {
        fn from(image: &'a Image) -> Self {
            Self::Images(vec![Cow::Borrowed(image)])
        }
    }

    impl<'a> From<&'a [Image]> for Input<'a> {
        fn from(images: &'a [Image]) -> Self {
            Self::Images(images.iter().map(Cow::Borrowed).collect())
        }
    }

    impl<'a> From<&'a Vec<Image>> for Input<'a> {
        fn from(images: &'a Vec<Image>) -> Self {
            images.as_slice().into()
        }
    }

    /// Images of the crate `image`, which are copied.
    macro_rules! from_images {
        ($($image:ty),*) => {$(
            impl From<&$image> for Input<'_> {
                fn from(image: &$image) -> Self {
                    Self::Images(vec![Cow::Owned(image.into())])
                }
            }
        )*};
    }
    from_images!(RgbImage, GrayImage, DynamicImage);
}
