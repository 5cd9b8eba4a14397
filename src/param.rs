//! Where a parameter's numbers come from. Passes rewrite these recipes, never numbers: graph and plan exist without a
//! checkpoint, and folding happens tensor by tensor while uploading.

mod recipe;

pub(crate) use recipe::Formula;
pub use recipe::Recipe;

use crate::error::{Error, Result};
use crate::tensor::{Tensor, TensorSource};
use std::fmt;
use std::sync::Arc;

/// A parameter of a node, as a recipe over the tensors of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// A tensor of the checkpoint.
    Tensor {
        /// Its name, as in PyTorch's `state_dict`.
        name: String,
        /// Its shape, as in PyTorch.
        shape: Vec<usize>,
    },
    /// Every element the same number; no checkpoint has it.
    Fill {
        /// The number.
        value: f32,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Numbers that the graph brings along.
    Values {
        /// What they are; one name, one list of numbers.
        name: String,
        /// The numbers.
        values: Arc<Tensor>,
    },
    /// What other parameters make, computed each time that it is read.
    Computed {
        /// What they are; one name, one list of numbers.
        name: String,
        /// How they are made.
        recipe: Arc<Recipe>,
    },
    /// The same elements under another shape.
    Reshaped {
        /// Whose elements.
        of: Box<Param>,
        /// The shape.
        shape: Vec<usize>,
    },
    /// Rows and columns of a matrix exchanged.
    Transposed {
        /// The matrix `[columns, rows]`.
        of: Box<Param>,
        /// `[rows, columns]`
        shape: [usize; 2],
    },
    /// `weight[i,…] · of[…,j] + plus[i]`: what two layers without anything in between are as one.
    Product {
        /// The second layer's weight: as many numbers a row as `of` has rows.
        weight: Box<Param>,
        /// The first layer's weight, or its bias as a column.
        of: Box<Param>,
        /// Groups of the first layer, whose columns stand side by side.
        groups: usize,
        /// The second layer's bias, if `of` is the first one's.
        plus: Option<Box<Param>>,
        /// Rows of `weight`, then what remains of a row of `of`.
        shape: Vec<usize>,
    },
    /// `weight[o,…] * norm.weight[o] / sqrt(norm.var[o] + eps)`: a layer that has taken in the batch norm after it.
    FoldedWeight {
        /// The layer's own weight.
        weight: Box<Param>,
        /// The batch norm.
        norm: Norm,
    },
    /// `(bias[o] - norm.mean[o]) * norm.weight[o] / sqrt(norm.var[o] + eps) + norm.bias[o]`.
    FoldedBias {
        /// The layer's own bias, if it has one.
        bias: Option<Box<Param>>,
        /// The batch norm.
        norm: Norm,
    },
}

/// The four parameters of a batch norm, and its `eps`.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// `weight`, `bias`, `running_mean`, `running_var`.
    pub params: Box<[Param; 4]>,
    /// Added to the variance.
    pub eps: f64,
}

impl Param {
    /// Shape of the numbers.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Tensor { shape, .. } | Self::Fill { shape, .. } => shape,
            Self::Reshaped { shape, .. } | Self::Product { shape, .. } => shape,
            Self::Transposed { shape, .. } => shape,
            Self::Values { values, .. } => values.shape(),
            Self::Computed { recipe, .. } => recipe.shape(),
            Self::FoldedWeight { weight, .. } => weight.shape(),
            Self::FoldedBias { norm, .. } => norm.params[0].shape(),
        }
    }

    /// Calls `f` with name and shape of every checkpoint tensor the recipe reads.
    pub fn for_each_tensor(&self, f: &mut impl FnMut(&str, &[usize])) {
        match self {
            Self::Tensor { name, shape } => f(name, shape),
            Self::Fill { .. } | Self::Values { .. } => {}
            Self::Computed { recipe, .. } => recipe.inputs().for_each(|p| p.for_each_tensor(f)),
            Self::Reshaped { of, .. } | Self::Transposed { of, .. } => of.for_each_tensor(f),
            Self::Product { weight, of, plus, .. } => {
                [weight, of].into_iter().chain(plus).for_each(|p| p.for_each_tensor(f));
            }
            Self::FoldedWeight { weight, norm } => {
                weight.for_each_tensor(f);
                norm.params.iter().for_each(|p| p.for_each_tensor(f));
            }
            Self::FoldedBias { bias, norm } => {
                bias.iter().for_each(|p| p.for_each_tensor(f));
                norm.params.iter().for_each(|p| p.for_each_tensor(f));
            }
        }
    }

    /// Of equal keys the numbers are equal. The text form is for people and leaves out what they can guess.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Tensor { name, .. } => format!("tensor {name:?}"),
            Self::Values { name, .. } => format!("values {name:?}"),
            Self::Computed { name, .. } => format!("computed {name:?}"),
            Self::Fill { value, shape } => format!("fill({value:?}, {shape:?})"),
            Self::Reshaped { of, shape } => format!("{} as {shape:?}", of.key()),
            Self::Transposed { of, .. } => format!("{} transposed", of.key()),
            Self::Product { weight, of, groups, plus, .. } => {
                let plus = plus.as_ref().map_or(String::new(), |plus| format!(" + ({})", plus.key()));
                format!("({})x({} in {groups}){plus}", weight.key(), of.key())
            }
            Self::FoldedWeight { weight, norm } => format!("({})*{}", weight.key(), norm.key()),
            Self::FoldedBias { bias: Some(bias), norm } => format!("({}).shift*{}", bias.key(), norm.key()),
            Self::FoldedBias { bias: None, norm } => format!("shift*{}", norm.key()),
        }
    }

    /// The numbers. Folding computes in `f64` and rounds once.
    ///
    /// # Errors
    /// The checkpoint lacks a tensor, or has it in another shape, or computing makes NaN or infinity.
    pub fn resolve(&self, weights: &dyn TensorSource) -> Result<Tensor> {
        match self {
            Self::Computed { name, recipe } => {
                let values = recipe.resolve(weights)?;
                match values.data().iter().all(|x| x.is_finite()) {
                    true => Ok(values),
                    false => Err(Error::weights(None, format!("\"{name}\" has NaN or infinity"))),
                }
            }
            Self::Tensor { name, shape } => weights.get(name, shape),
            Self::Fill { value, shape } => Ok(Tensor::full(shape.clone(), *value)),
            Self::Values { values, .. } => Ok(Tensor::clone(values)),
            Self::Reshaped { of, shape } => of.resolve(weights)?.reshape(shape.as_slice()),
            Self::Transposed { of, shape: [rows, columns] } => {
                let matrix = of.resolve(weights)?;
                Ok(Tensor::from_fn([*rows, *columns], |i| matrix.data()[i % columns * rows + i / columns]))
            }
            Self::Product { weight, of, groups, plus, shape } => {
                let [weight, of] = [weight.resolve(weights)?, of.resolve(weights)?];
                let plus = plus.as_ref().map(|p| p.resolve(weights)).transpose()?;
                Tensor::new(shape.as_slice(), product(&weight, &of, *groups, plus.as_ref()))
            }
            Self::FoldedWeight { weight, norm } => {
                let mut weight = weight.resolve(weights)?;
                let (scale, _) = norm.scale_and_shift(weights)?;
                let row = weight.data().len() / scale.len();
                for (row, scale) in weight.data_mut().chunks_exact_mut(row).zip(scale) {
                    row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
                }
                Ok(weight)
            }
            Self::FoldedBias { bias, norm } => {
                let (scale, shift) = norm.scale_and_shift(weights)?;
                let bias = bias.as_ref().map(|b| b.resolve(weights)).transpose()?;
                Ok(Tensor::from_fn([scale.len()], |o| {
                    let own = bias.as_ref().map_or(0.0, |b| f64::from(b.data()[o]));
                    (own * scale[o] + shift[o]) as f32
                }))
            }
        }
    }
}

/// Rows of `weight` times columns of `of`, plus a number a row; each of the groups of `of`'s rows has columns of its
/// own. Goes along rows of both, four of `of` at a time, so that sums of neighbouring columns run side by side:
/// hundreds of millions of products for a network.
fn product(weight: &Tensor, of: &Tensor, groups: usize, plus: Option<&Tensor>) -> Vec<f32> {
    let (inner, columns) = (of.batch(), of.data().len() / of.batch());
    let own = inner / groups;
    let mut all = Vec::with_capacity(weight.data().len() / inner * groups * columns);
    let mut sums = vec![0.0f64; columns];
    for (i, row) in weight.data().chunks_exact(inner).enumerate() {
        let plus = plus.map_or(0.0, |plus| f64::from(plus.data()[i]));
        for (row, of) in row.chunks_exact(own).zip(of.data().chunks_exact(own * columns)) {
            sums.fill(plus);
            for (factors, terms) in row.chunks(4).zip(of.chunks(4 * columns)) {
                add_rows(&mut sums, factors, terms);
            }
            all.extend(sums.iter().map(|&sum| sum as f32));
        }
    }
    all
}

/// Adds up to four rows of `terms`, each times its factor.
fn add_rows(sums: &mut [f64], factors: &[f32], terms: &[f32]) {
    let row = |k: usize| &terms[k * sums.len()..][..sums.len()];
    if let [a, b, c, d] = *factors {
        let rows = row(0).iter().zip(row(1)).zip(row(2).iter().zip(row(3)));
        let [a, b, c, d] = [a, b, c, d].map(f64::from);
        for (sum, ((&p, &q), (&r, &s))) in sums.iter_mut().zip(rows) {
            *sum += (a * f64::from(p) + b * f64::from(q)) + (c * f64::from(r) + d * f64::from(s));
        }
        return;
    }
    for (&factor, terms) in factors.iter().zip(terms.chunks_exact(sums.len())) {
        sums.iter_mut().zip(terms).for_each(|(sum, &term)| *sum += f64::from(factor) * f64::from(term));
    }
}

impl Norm {
    /// The norm as `y = x * scale + shift`, per channel.
    fn scale_and_shift(&self, weights: &dyn TensorSource) -> Result<(Vec<f64>, Vec<f64>)> {
        let mut resolved = Vec::with_capacity(4);
        for param in self.params.iter() {
            resolved.push(param.resolve(weights)?.into_data());
        }
        let at = |which: usize, c: usize| f64::from(resolved[which][c]);
        let scale: Vec<f64> = (0..resolved[0].len()).map(|c| at(0, c) / (at(3, c) + self.eps).sqrt()).collect();
        let shift = scale.iter().enumerate().map(|(c, scale)| at(1, c) - at(2, c) * scale).collect();
        Ok((scale, shift))
    }

    fn key(&self) -> String {
        let params: Vec<String> = self.params.iter().map(Param::key).collect();
        format!("norm({}, {:?})", params.join(", "), self.eps)
    }

    /// The name that stands for the norm in the text form: its weight's, without the last part, or the weight if it is
    /// a number.
    fn label(&self) -> String {
        if let Param::Fill { value, .. } = &self.params[0] {
            return value.to_string();
        }
        let weight = self.params[0].to_string();
        weight.rsplit_once('.').map_or(weight.clone(), |(module, _)| module.to_string())
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor { name, .. } | Self::Values { name, .. } | Self::Computed { name, .. } => f.write_str(name),
            Self::Reshaped { of, shape } => write!(f, "{of} as {shape:?}"),
            Self::Transposed { of, .. } => write!(f, "{of} transposed"),
            Self::Fill { value, shape } => write!(f, "fill({value}, {shape:?})"),
            Self::Product { weight, of, plus: None, .. } => write!(f, "{weight} x {of}"),
            Self::Product { weight, of, plus: Some(plus), .. } => write!(f, "{weight} x {of} + {plus}"),
            Self::FoldedWeight { weight, norm } => write!(f, "{weight}*{}", norm.label()),
            Self::FoldedBias { bias: Some(bias), norm } => write!(f, "{bias}*{}", norm.label()),
            Self::FoldedBias { bias: None, norm } => write!(f, "{}.shift", norm.label()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Weights;

    #[test]
    fn products_by_hand() {
        let values = |name: &str, values: Tensor| Param::Values { name: name.into(), values: Arc::new(values) };
        let weight = values("weight", Tensor::new([1, 4, 1, 1], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
        let product = |of: Param, groups, plus, shape: &[usize]| {
            let (weight, of, shape) = (Box::new(weight.clone()), Box::new(of), shape.to_vec());
            let product = Param::Product { weight, of, groups, plus, shape };
            product.resolve(&Weights::seeded(1, 1.0)).unwrap().into_data()
        };
        let of = values("of", Tensor::new([4, 2, 1, 1], vec![1.0, 0.0, 0.0, 1.0, 10.0, 0.0, 0.0, 10.0]).unwrap());
        assert_eq!(product(of.clone(), 1, None, &[1, 2, 1, 1]), [1.0 + 30.0, 2.0 + 40.0]);
        // The first two rows have the first two columns.
        assert_eq!(product(of, 2, None, &[1, 4, 1, 1]), [1.0, 2.0, 30.0, 40.0]);
        let column = values("column", Tensor::new([4], vec![1.0, 1.0, 0.0, -1.0]).unwrap());
        let plus = Some(Box::new(Param::Fill { value: 0.5, shape: vec![1] }));
        assert_eq!(product(column, 1, plus, &[1]), [1.0 + 2.0 - 4.0 + 0.5]);
    }
}
