//! What a classifier says of an image.

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::labels::Labels;
use crate::ops::{Act, Op};
use crate::tensor::{softmax, top_k};

/// A class of an image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Class {
    /// Which one: its place in the network's answer.
    pub index: usize,
    /// What it is called.
    pub label: String,
    /// How probable it is: 0 to 1.
    pub probability: f32,
}

/// Probabilities of all classes for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    probabilities: Vec<f32>,
    labels: Labels,
}

impl Classes {
    /// Lists the `k` most probable classes, most probable first.
    pub fn top(&self, k: usize) -> Vec<Class> {
        let class = |(index, probability)| Class { index, label: self.labels.name(index).into(), probability };
        top_k(&self.probabilities, k).into_iter().map(class).collect()
    }

    /// Finds the most probable class.
    pub fn best(&self) -> Class {
        self.top(1).remove(0)
    }

    /// The probability of each class, by index.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }
}

/// How the numbers of an answer become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scores {
    /// They are some: the network ends in a softmax, or in a sigmoid for each class.
    Probabilities,
    /// A logit for each of several classes, by their softmax.
    Logits,
    /// The one logit of a binary classifier, by its sigmoid.
    OneLogit,
}

impl Scores {
    /// What the numbers of the first output are.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut last = graph.node(graph.outputs()[0].1);
        while let Op::Reshape(_) = last.op {
            last = graph.node(last.inputs[0]);
        }
        match last.op {
            Op::Softmax(_) | Op::Activation(Act::Sigmoid | Act::HardSigmoid) => Self::Probabilities,
            _ if graph.output_shape().len() == 1 => Self::OneLogit,
            _ => Self::Logits,
        }
    }

    /// The classes of one image's answer.
    pub(super) fn classes(self, answer: &[f32], labels: &Labels) -> Result<Classes> {
        if let Some(bad) = answer.iter().find(|number| !number.is_finite()) {
            return Err(Error::Request(format!("the network's answer is not finite: it has {bad}")));
        }
        let probabilities = match self {
            Self::Probabilities => answer.to_vec(),
            Self::Logits => softmax(answer),
            Self::OneLogit => answer.iter().map(|&logit| (1.0 / (1.0 + f64::from(-logit).exp())) as f32).collect(),
        };
        Ok(Classes { probabilities, labels: labels.clone() })
    }
}
