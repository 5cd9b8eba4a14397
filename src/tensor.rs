//! Dense `f32` tensors on the CPU and the per-image shapes that graphs speak of.

use crate::error::{Error, Result};
use std::fmt;
use std::ops::{Deref, Index};

/// Shape of one image's value inside a graph; the batch is chosen when planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A feature map `[C,H,W]`.
    Map {
        /// C
        channels: usize,
        /// H
        height: usize,
        /// W
        width: usize,
    },
    /// A vector `[F]`: gates, logits.
    Vector {
        /// F
        features: usize,
    },
    /// Numbers of any rank, row-major: what networks do between maps and vectors.
    Tensor(Dims),
}

/// Dimensions of a [`Shape::Tensor`], outermost first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dims {
    rank: usize,
    sizes: [usize; Dims::MAX],
}

impl Dims {
    /// Most dimensions of one image.
    pub const MAX: usize = 6;

    /// These dimensions, or `None` where they are more than [`Dims::MAX`].
    pub fn new(dims: &[usize]) -> Option<Self> {
        let mut sizes = [1; Self::MAX];
        sizes.get_mut(..dims.len())?.copy_from_slice(dims);
        Some(Self { rank: dims.len(), sizes })
    }
}

impl Deref for Dims {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.sizes[..self.rank]
    }
}

impl fmt::Debug for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Shape {
    /// A feature map `[C,H,W]`.
    pub const fn map(channels: usize, height: usize, width: usize) -> Self {
        Self::Map { channels, height, width }
    }

    /// A vector `[F]`.
    pub const fn vector(features: usize) -> Self {
        Self::Vector { features }
    }

    /// Numbers of any rank.
    ///
    /// # Panics
    /// There are more than [`Dims::MAX`] dimensions.
    pub fn tensor(dims: &[usize]) -> Self {
        Self::Tensor(Dims::new(dims).expect("at most Dims::MAX dimensions"))
    }

    /// C, F of a vector, all elements of a tensor.
    pub fn channels(&self) -> usize {
        match self {
            Self::Map { channels, .. } => *channels,
            Self::Vector { features } => *features,
            Self::Tensor(dims) => dims.iter().product(),
        }
    }

    /// H; 1 for a vector or tensor.
    pub const fn height(&self) -> usize {
        match *self {
            Self::Map { height, .. } => height,
            Self::Vector { .. } | Self::Tensor(_) => 1,
        }
    }

    /// W; 1 for a vector or tensor.
    pub const fn width(&self) -> usize {
        match *self {
            Self::Map { width, .. } => width,
            Self::Vector { .. } | Self::Tensor(_) => 1,
        }
    }

    /// Dimensions of one image, outermost first.
    pub fn dims(&self) -> Vec<usize> {
        self.with_batch(1).split_off(1)
    }

    /// `H * W`: elements of one channel's plane.
    pub const fn plane(&self) -> usize {
        self.height() * self.width()
    }

    /// Elements of one image.
    pub fn len(&self) -> usize {
        self.channels() * self.plane()
    }

    /// Whether a dimension is 0. No graph holds such a shape.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[N,C,H,W]`, `[N,F]`, or N before a tensor's dimensions.
    pub fn with_batch(&self, batch: usize) -> Vec<usize> {
        match *self {
            Self::Map { channels, height, width } => vec![batch, channels, height, width],
            Self::Vector { features } => vec![batch, features],
            Self::Tensor(dims) => std::iter::once(batch).chain(dims.iter().copied()).collect(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { channels, height, width } => write!(f, "{channels}x{height}x{width}"),
            Self::Vector { features } => write!(f, "{features}"),
            Self::Tensor(dims) => write!(f, "{:?}", &**dims),
        }
    }
}

/// Gives tensors by name: what a graph reads its parameters from.
pub trait TensorSource: std::fmt::Debug + Send + Sync {
    /// Reads the tensor of this name, as `shape`; trailing dimensions of 1 don't matter.
    ///
    /// # Errors
    /// There is none, its shape is another, or it has NaN or infinity.
    fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor>;
}

/// Dense row-major `f32` numbers with a shape: `[N,C,H,W]` for images, `[N,F]` for vectors, any rank for weights.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Tensor {
    /// Wraps `data`.
    ///
    /// # Errors
    /// The product of `shape` overflows or is not `data.len()`.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self> {
        let shape = shape.into();
        let len = element_count(&shape)
            .ok_or_else(|| Error::Tensor(format!("shape {shape:?} has more elements than memory can hold")))?;
        if len != data.len() {
            return Err(Error::Tensor(format!("shape {shape:?} has {len} elements, data has {}", data.len())));
        }
        Ok(Self { shape, data })
    }

    /// Every element the same number.
    pub fn full(shape: impl Into<Vec<usize>>, value: f32) -> Self {
        let shape = shape.into();
        let len = shape.iter().product();
        Self { shape, data: vec![value; len] }
    }

    /// Every element 0.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Self {
        Self::full(shape, 0.0)
    }

    /// Element `i` (row-major) is `f(i)`.
    pub fn from_fn(shape: impl Into<Vec<usize>>, f: impl FnMut(usize) -> f32) -> Self {
        let shape = shape.into();
        let len: usize = shape.iter().product();
        Self { shape, data: (0..len).map(f).collect() }
    }

    /// The dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The numbers, row-major, to write to.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Gives the numbers away.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// The outermost dimension: images of a batch, rows of a weight.
    pub fn batch(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// The elements of image (or row) `index`.
    ///
    /// # Panics
    /// `index` is not below [`Tensor::batch`].
    pub fn image(&self, index: usize) -> &[f32] {
        let stride = self.data.len() / self.batch().max(1);
        &self.data[index * stride..(index + 1) * stride]
    }

    /// The same numbers under another shape of as many elements.
    ///
    /// # Errors
    /// The element counts differ.
    pub fn reshape(self, shape: impl Into<Vec<usize>>) -> Result<Self> {
        Self::new(shape, self.data)
    }

    /// Stacks tensors of one shape: `[C,H,W]` images become a batch `[N,C,H,W]`.
    ///
    /// ```
    /// use excite::Tensor;
    ///
    /// let batch = Tensor::stack(&[Tensor::zeros([3, 8, 8]), Tensor::full([3, 8, 8], 1.0)])?;
    /// assert_eq!(batch.shape(), [2, 3, 8, 8]);
    /// assert_eq!(Tensor::concat(&[batch.clone(), batch])?.shape(), [4, 3, 8, 8]);
    /// # Ok::<(), excite::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are none, or their shapes differ.
    pub fn stack(tensors: &[Self]) -> Result<Self> {
        let first = tensors.first().ok_or_else(|| Error::Tensor("there are none to stack".into()))?;
        if let Some(other) = tensors.iter().find(|tensor| tensor.shape != first.shape) {
            let (one, other) = (&first.shape, &other.shape);
            return Err(Error::Tensor(format!("only tensors of one shape stack, these are {one:?} and {other:?}")));
        }
        let shape: Vec<usize> = std::iter::once(tensors.len()).chain(first.shape.iter().copied()).collect();
        Self::new(shape, tensors.iter().flat_map(|tensor| &tensor.data).copied().collect())
    }

    /// Joins batches along their outermost dimension.
    ///
    /// # Errors
    /// There are none, or their shapes differ in other dimensions.
    pub fn concat(batches: &[Self]) -> Result<Self> {
        let first = batches.first().ok_or_else(|| Error::Tensor("there are none to join".into()))?;
        if let Some(other) = batches.iter().find(|b| b.shape.is_empty() || b.shape[1..] != first.shape[1..]) {
            let (one, other) = (&first.shape, &other.shape);
            return Err(Error::Tensor(format!(
                "only batches of one image's shape join, these are {one:?} and {other:?}"
            )));
        }
        let mut shape = first.shape.clone();
        shape[0] = batches.iter().map(|batch| batch.shape[0]).sum();
        Self::new(shape, batches.iter().flat_map(|batch| &batch.data).copied().collect())
    }

    /// Computes the softmax over the innermost dimension: logits become probabilities.
    pub fn softmax(&self) -> Self {
        let rows = self.data.chunks(self.inner());
        Self { shape: self.shape.clone(), data: rows.flat_map(softmax).collect() }
    }

    /// Finds the `k` largest values of each row of the innermost dimension, largest first, with their indices.
    ///
    /// ```
    /// let logits = excite::Tensor::new([2, 3], vec![0.1, 0.7, 0.2, 9.0, 8.0, 7.0])?;
    /// assert_eq!(logits.top_k(2), [[(1, 0.7), (2, 0.2)], [(0, 9.0), (1, 8.0)]]);
    /// # Ok::<(), excite::Error>(())
    /// ```
    pub fn top_k(&self, k: usize) -> Vec<Vec<(usize, f32)>> {
        self.data.chunks(self.inner()).map(|row| top_k(row, k)).collect()
    }

    /// Elements of the innermost dimension; at least 1.
    fn inner(&self) -> usize {
        self.shape.last().copied().unwrap_or(1).max(1)
    }

    /// A batch of one image as a batch of `count`.
    pub(crate) fn repeated(&self, count: usize) -> Self {
        let shape = std::iter::once(count).chain(self.shape[1..].iter().copied()).collect();
        Self { shape, data: self.data.repeat(count) }
    }

    /// Largest absolute value; 0 when empty. NaN if any element is.
    pub fn max_abs(&self) -> f32 {
        self.data.iter().fold(0.0, |m, x| if x.is_nan() || m.is_nan() { f32::NAN } else { m.max(x.abs()) })
    }

    /// `[n, c, h, w]` of a tensor of rank 4, or of rank 2 with `h = w = 1`.
    pub(crate) fn nchw(&self) -> [usize; 4] {
        match *self.shape {
            [n, c, h, w] => [n, c, h, w],
            [n, c] => [n, c, 1, 1],
            _ => unreachable!("values of a graph have rank 2 or 4, this one has {:?}", self.shape),
        }
    }

    /// Element `i` of a value is `f([n, c, y, x])`.
    pub(crate) fn from_nchw(shape: Shape, batch: usize, mut f: impl FnMut([usize; 4]) -> f32) -> Self {
        let (channels, height, width) = (shape.channels(), shape.height(), shape.width());
        let mut data = Vec::with_capacity(batch * shape.len());
        for n in 0..batch {
            for c in 0..channels {
                for y in 0..height {
                    for x in 0..width {
                        data.push(f([n, c, y, x]));
                    }
                }
            }
        }
        Self { shape: shape.with_batch(batch), data }
    }
}

/// Shape `[len]`.
impl From<Vec<f32>> for Tensor {
    fn from(data: Vec<f32>) -> Self {
        Self { shape: vec![data.len()], data }
    }
}

/// Shape `[len]`.
impl From<&[f32]> for Tensor {
    fn from(data: &[f32]) -> Self {
        data.to_vec().into()
    }
}

/// In standard layout, whatever the array's.
#[cfg(feature = "ndarray")]
impl<S: ndarray::Data<Elem = f32>, D: ndarray::Dimension> From<&ndarray::ArrayBase<S, D>> for Tensor {
    fn from(array: &ndarray::ArrayBase<S, D>) -> Self {
        Self { shape: array.shape().to_vec(), data: array.iter().copied().collect() }
    }
}

#[cfg(feature = "ndarray")]
impl Tensor {
    /// Views the numbers as an array of `ndarray`, without a copy (feature `ndarray`).
    ///
    /// ```
    /// let tensor = excite::Tensor::from_fn([2, 3], |i| i as f32);
    /// let view = tensor.view();
    /// assert_eq!(view[[1, 2]], 5.0);
    /// assert_eq!(excite::Tensor::from(&view.t()).shape(), [3, 2]);
    /// ```
    pub fn view(&self) -> ndarray::ArrayViewD<'_, f32> {
        ndarray::ArrayViewD::from_shape(&*self.shape, &self.data).expect("a tensor has as many numbers as its shape")
    }

    /// As [`Tensor::view`], to write to.
    pub fn view_mut(&mut self) -> ndarray::ArrayViewMutD<'_, f32> {
        let view = ndarray::ArrayViewMutD::from_shape(&*self.shape, &mut self.data);
        view.expect("a tensor has as many numbers as its shape")
    }
}

/// The softmax of one row.
pub(crate) fn softmax(row: &[f32]) -> Vec<f32> {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = row.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|exp| (exp / sum) as f32).collect()
}

/// The largest values of one row, with their indices; of equal ones the first goes first.
pub(crate) fn top_k(row: &[f32], k: usize) -> Vec<(usize, f32)> {
    let mut sorted: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    sorted.truncate(k);
    sorted
}

impl Index<[usize; 4]> for Tensor {
    type Output = f32;

    fn index(&self, [n, c, y, x]: [usize; 4]) -> &f32 {
        let [_, channels, height, width] = self.nchw();
        &self.data[((n * channels + c) * height + y) * width + x]
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.data[..self.data.len().min(8)];
        write!(f, "Tensor {:?} {shown:?}", self.shape)?;
        if shown.len() < self.data.len() { write!(f, " …") } else { Ok(()) }
    }
}

/// Coordinates of element `index`, row-major.
pub(crate) fn coordinates(mut index: usize, dims: &[usize]) -> Vec<usize> {
    let mut at = vec![0; dims.len()];
    for (i, &dim) in at.iter_mut().zip(dims).rev() {
        *i = index % dim;
        index /= dim;
    }
    at
}

/// Row-major index of an element.
pub(crate) fn flat_index(at: &[usize], dims: &[usize]) -> usize {
    at.iter().zip(dims).fold(0, |index, (&i, &dim)| index * dim + i)
}

/// Product of the dimensions, or `None` where it passes `usize` or 2^48 elements.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim)).filter(|&count| (count as u64) < 1 << 48)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_must_fill_the_shape() {
        let error = Tensor::new([2, 3], vec![0.0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "tensor: shape [2, 3] has 6 elements, data has 5");
        assert!(Tensor::new([usize::MAX, 2], vec![]).is_err());
    }

    #[test]
    fn images_stack_and_batches_join() {
        let (one, two) = (Tensor::full([2, 1], 1.0), Tensor::full([2, 1], 2.0));
        let stacked = Tensor::stack(&[one.clone(), two.clone()]).unwrap();
        assert_eq!(stacked, Tensor::new([2, 2, 1], vec![1.0, 1.0, 2.0, 2.0]).unwrap());
        let joined = Tensor::concat(&[one.clone(), Tensor::zeros([1, 1])]).unwrap();
        assert_eq!(joined, Tensor::new([3, 1], vec![1.0, 1.0, 0.0]).unwrap());
        let error = Tensor::stack(&[one.clone(), Tensor::zeros([2, 2])]).unwrap_err().to_string();
        assert_eq!(error, "tensor: only tensors of one shape stack, these are [2, 1] and [2, 2]");
        let scalar = Tensor::new([], vec![1.0]).unwrap();
        assert!(Tensor::concat(&[one, Tensor::zeros([2, 2])]).is_err() && Tensor::concat(&[scalar]).is_err());
        assert!(Tensor::stack(&[]).is_err() && Tensor::concat(&[]).is_err());
    }

    #[test]
    fn softmax_is_of_rows_and_large_logits_do_no_harm() {
        let found = Tensor::new([2, 2], vec![1000.0, 1000.0, 0.0, f32::ln(3.0)]).unwrap().softmax();
        let close =
            found.data().iter().zip([0.5, 0.5, 0.25, 0.75]).all(|(found, wanted)| (found - wanted).abs() < 1e-6);
        assert!(close, "{found:?}");
    }

    #[test]
    fn max_abs_keeps_nan() {
        assert_eq!(Tensor::new([3], vec![1.0, -3.0, 2.0]).unwrap().max_abs(), 3.0);
        assert!(Tensor::new([3], vec![f32::NAN, -3.0, 2.0]).unwrap().max_abs().is_nan());
    }
}
