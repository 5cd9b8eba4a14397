//! Parameters that other parameters make: computed when they are read, one at a time, so that a graph costs no more than
//! its file. So standardised weights are kept.

use super::Param;
use crate::error::Result;
use crate::ops::Op;
use crate::tensor::{Shape, Tensor, TensorSource};

/// Fewer elements than these are better computed once.
const LEAST: usize = 1 << 12;
/// Most elements that a recipe computes and reads, as a multiple of the largest tensor in it.
const MOST: usize = 16;

/// How a parameter is made of others.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    formula: Formula,
    inputs: Vec<Param>,
    shape: Vec<usize>,
    /// Elements of the largest tensor that is read, and of all that are read or computed.
    largest: usize,
    work: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Formula {
    /// An op of one image: its inputs, then its parameters.
    Op(Op, Vec<Param>),
    /// `(x - mean) / sqrt(variance + eps) * scale + shift` along dimension 1. Inputs are `x`, scale, shift and, unless
    /// they are those of `x` itself, mean and variance.
    Standardize {
        /// Added to the variance.
        eps: f64,
    },
}

impl Recipe {
    pub(crate) fn new(formula: Formula, inputs: Vec<Param>, shape: Vec<usize>) -> Self {
        let elements = |param: &Param| param.shape().iter().product::<usize>();
        let mut recipe = Self { formula, inputs, shape, largest: 0, work: 0 };
        recipe.work = recipe.shape.iter().product();
        for (i, input) in recipe.inputs.iter().enumerate() {
            let (largest, work) = match input.recipe() {
                Some(inner) => (inner.largest, inner.work),
                None => (elements(input), elements(input)),
            };
            recipe.largest = recipe.largest.max(largest);
            // What is read twice is computed once.
            if !recipe.inputs[..i].iter().any(|before| before.key() == input.key()) {
                recipe.work = recipe.work.saturating_add(work);
            }
        }
        recipe
    }

    /// Whether it is better kept than carried out: its numbers are many, or few of something that waits, but no more
    /// than it reads, and so is what it takes to compute them.
    pub(crate) fn may_wait(&self) -> bool {
        let (result, read) =
            (self.shape.iter().product::<usize>(), self.inputs.iter().map(|p| p.shape().iter().product()));
        let read: usize = read.max().unwrap_or(0);
        let is_product = matches!(self.formula, Formula::Op(Op::MatMul(_) | Op::Conv2d(_), _));
        let waits = self.inputs.iter().any(|input| input.recipe().is_some());
        (read >= LEAST || waits) && result <= read && self.work <= MOST.saturating_mul(self.largest) && !is_product
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Param> {
        let params = match &self.formula {
            Formula::Op(_, params) => params.as_slice(),
            Formula::Standardize { .. } => &[],
        };
        self.inputs.iter().chain(params)
    }

    /// The numbers, which may be infinite or NaN.
    pub(crate) fn resolve(&self, weights: &dyn TensorSource) -> Result<Tensor> {
        let mut read: Vec<Tensor> = Vec::new();
        let mut places = Vec::new();
        for (i, input) in self.inputs.iter().enumerate() {
            if let Some(before) = (0..i).find(|&before| self.inputs[before].key() == input.key()) {
                places.push(places[before]);
                continue;
            }
            places.push(read.len());
            read.push(match input.recipe() {
                // On the way, numbers may be infinite.
                Some(recipe) => recipe.resolve(weights)?.reshape(input.shape())?,
                None => input.resolve(weights)?,
            });
        }
        match &self.formula {
            Formula::Op(op, params) => {
                let params = params.iter().map(|p| p.resolve(weights)).collect::<Result<Vec<_>>>()?;
                for tensor in &mut read {
                    let shape = Shape::tensor(tensor.shape()).with_batch(1);
                    *tensor = std::mem::replace(tensor, Tensor::zeros([0])).reshape(shape)?;
                }
                let inputs: Vec<&Tensor> = places.iter().map(|&at| &read[at]).collect();
                op.definition().reference(&inputs, &params).reshape(self.shape.as_slice())
            }
            Formula::Standardize { eps } => {
                let params: Vec<Tensor> = places[1..].iter().map(|&at| read[at].clone()).collect();
                Ok(standardized(read.swap_remove(places[0]), &params, *eps))
            }
        }
    }
}

impl Param {
    /// The recipe, of whatever shape the numbers are shown in.
    fn recipe(&self) -> Option<&Recipe> {
        match self {
            Self::Computed { recipe, .. } => Some(recipe),
            Self::Reshaped { of, .. } => of.recipe(),
            _ => None,
        }
    }
}

/// In `f64`, rounded once. Channels are shared between threads: there are tens of millions of numbers in a network.
fn standardized(mut x: Tensor, params: &[Tensor], eps: f64) -> Tensor {
    let channels = x.shape()[1];
    let plane: usize = x.shape()[2..].iter().product();
    let images = x.shape()[0];
    let number = |i: usize, c: usize| f64::from(params[i].data()[c]);
    let data = x.data();
    let statistics = |c: usize| {
        let [mean, variance] = match params.len() {
            2 => {
                let rows = || (0..images).flat_map(|n| &data[(n * channels + c) * plane..][..plane]);
                let count = (images * plane) as f64;
                let mean = rows().map(|&x| f64::from(x)).sum::<f64>() / count;
                [mean, rows().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count]
            }
            _ => [number(2, c), number(3, c)],
        };
        (mean, number(0, c) / (variance + eps).sqrt(), number(1, c))
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(channels.div_ceil(64)).max(1);
    let share = channels.div_ceil(threads).max(1);
    let all: Vec<(f64, f64, f64)> = if threads == 1 {
        (0..channels).map(statistics).collect()
    } else {
        std::thread::scope(|scope| {
            let parts: Vec<_> = (0..channels)
                .step_by(share)
                .map(|first| {
                    scope.spawn(move || (first..channels.min(first + share)).map(statistics).collect::<Vec<_>>())
                })
                .collect();
            parts.into_iter().flat_map(|part| part.join().expect("sums don't panic")).collect()
        })
    };
    for (i, row) in x.data_mut().chunks_exact_mut(plane.max(1)).enumerate() {
        let (mean, factor, shift) = all[i % channels];
        row.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * factor + shift) as f32);
    }
    x
}
