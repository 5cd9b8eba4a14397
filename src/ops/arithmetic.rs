//! Two tensors, element by element, with broadcasting.
//! How `kernels/tensor/arithmetic.rs` · proof `tests/gpu/cases/tensor.rs`

use super::{Definition, expect_inputs, expect_tensor};
use crate::tensor::{Shape, Tensor, coordinates, flat_index};
use std::fmt;

/// `y = a ∘ b`. Dimensions are matched from the last; one of size 1 (or that isn't there) is repeated: NumPy's
/// broadcasting, image by image. Maps have [`super::Add`], [`super::Mul`] and [`super::Scale`].
/// Comparisons make truth values, 1 and 0; a device may take any side where an element is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arithmetic {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// `a` to the power of `b`; of negative `a` for whole `b` only
    Pow,
    /// The smaller
    Min,
    /// The larger
    Max,
    /// 1 where `a == b`, 0 elsewhere
    Equal,
    /// 1 where `a < b`, 0 elsewhere
    Less,
    /// `a` where `b` is not 0, 0 elsewhere, even where `a` is infinite or NaN
    Mask,
}

impl Arithmetic {
    /// All of them: for tables and tests.
    pub const ALL: [Self; 10] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Pow,
        Self::Min,
        Self::Max,
        Self::Equal,
        Self::Less,
        Self::Mask,
    ];

    /// The function.
    pub fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Pow => a.powf(b),
            Self::Min => a.min(b),
            Self::Max => a.max(b),
            Self::Equal => f64::from(u8::from(a == b)),
            Self::Less => f64::from(u8::from(a < b)),
            Self::Mask => {
                if b == 0.0 {
                    0.0
                } else {
                    a
                }
            }
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Pow => "pow",
            Self::Min => "min",
            Self::Max => "max",
            Self::Equal => "equal",
            Self::Less => "less",
            Self::Mask => "mask",
        })
    }
}

/// Dimensions that both broadcast to, or `None` where they don't fit.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    let dims = (0..rank).map(|i| match (at(a, i), at(b, i)) {
        (x, y) if x == y || y == 1 => Some(x),
        (1, y) => Some(y),
        _ => None,
    });
    dims.collect()
}

/// Where `x` of `dims` is read for an element of the result at `at`.
pub(crate) fn broadcast_index(dims: &[usize], at: &[usize]) -> usize {
    let own = &at[at.len() - dims.len()..];
    let own: Vec<usize> = own.iter().zip(dims).map(|(&i, &dim)| if dim == 1 { 0 } else { i }).collect();
    flat_index(&own, dims)
}

impl Definition for Arithmetic {
    fn kind(&self) -> &'static str {
        "arithmetic"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 2)?;
        let (a, b) = (expect_tensor(inputs[0])?, expect_tensor(inputs[1])?);
        let dims = broadcast(&a, &b).ok_or_else(|| format!("{a:?} and {b:?} don't broadcast"))?;
        Ok(Shape::tensor(&dims))
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let (a, b) = (inputs[0], inputs[1]);
        let dims = broadcast(&a.shape()[1..], &b.shape()[1..]).expect("the graph has checked the shapes");
        let shape: Vec<usize> = std::iter::once(a.batch()).chain(dims).collect();
        Tensor::from_fn(shape.clone(), |i| {
            let at = coordinates(i, &shape);
            let read = |x: &Tensor| f64::from(x.image(at[0])[broadcast_index(&x.shape()[1..], &at[1..])]);
            self.apply(read(a), read(b)) as f32
        })
    }

    fn attributes(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let a = Tensor::new([2, 2, 1], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        let b = Tensor::new([2, 3], vec![10.0, 20.0, 30.0, 1.0, 2.0, 3.0]).unwrap();
        let y = Arithmetic::Sub.reference(&[&a, &b], &[]);
        assert_eq!(y.shape(), [2, 2, 3]);
        assert_eq!(y.data(), [-9.0, -19.0, -29.0, -8.0, -18.0, -28.0, 2.0, 1.0, 0.0, 3.0, 2.0, 1.0]);
        assert_eq!(
            Arithmetic::Less.reference(&[&a, &b], &[]).data(),
            [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        );
        assert_eq!(Arithmetic::Equal.reference(&[&a, &b], &[]).data()[6..], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(Arithmetic::Mask.apply(f64::NAN, 0.0), 0.0);
        assert_eq!(Arithmetic::Mask.apply(-3.0, 0.5), -3.0);
        let misfit = Arithmetic::Add.shape(&[Shape::tensor(&[2, 3]), Shape::vector(2)]).unwrap_err();
        assert_eq!(misfit, "[2, 3] and [2] don't broadcast");
    }
}
