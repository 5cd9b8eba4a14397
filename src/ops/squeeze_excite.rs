//! Squeeze and excitation: from a feature map to one gate per channel.
//! How `kernels/squeeze_excite/*.rs`, `shaders/squeeze_excite/*.wgsl` · proof `tests/gpu/cases/squeeze_excite.rs`

use super::linear::dot;
use super::{Act, Definition, GlobalPool, ParamSpec, PoolKind, expect_channels, expect_inputs, unless};
use crate::tensor::{Shape, Tensor};

/// `gate[n] = gate_fn(W2 · hidden(W1 · z[n] + b1) + b2)`, where `z[n,c]` is the mean (or maximum, or half of
/// each) over `h,w` of `x[n,c]`.
/// Sections 3.1 and 3.2 of the SENet paper (Hu et al. 2018). [`super::Scale`] multiplies the map by the gate.
///
/// Parameters: `fc1.weight [reduced, C]`, `fc1.bias [reduced]`, `fc2.weight [gates, reduced]`, `fc2.bias [gates]`;
/// PyTorch's 1x1 convolutions (`[reduced, C, 1, 1]`) are the same numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct SqueezeExcite {
    /// Width of the bottleneck: C / r in the paper.
    pub reduced: usize,
    /// Squeeze by mean, by maximum or by both.
    pub squeeze: PoolKind,
    /// Activation after the first layer.
    pub hidden: Act,
    /// Activation after the second layer: the gate function.
    pub gate: Act,
    /// Whether both layers have a bias.
    pub bias: bool,
    /// How many gates, where it is another map than the squeezed one that they are for. As many as channels otherwise.
    pub gates: Option<usize>,
}

impl SqueezeExcite {
    /// The paper's block with a bottleneck of this width: mean, ReLU, sigmoid, with biases.
    pub fn new(reduced: usize) -> Self {
        Self { reduced, squeeze: PoolKind::Avg, hidden: Act::Relu, gate: Act::Sigmoid, bias: true, gates: None }
    }

    /// With this hidden activation.
    pub fn hidden(self, hidden: Act) -> Self {
        Self { hidden, ..self }
    }

    /// With this gate function.
    pub fn gate(self, gate: Act) -> Self {
        Self { gate, ..self }
    }

    /// With this squeeze.
    pub fn squeeze(self, squeeze: PoolKind) -> Self {
        Self { squeeze, ..self }
    }

    /// With or without biases.
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Weight and bias of each layer, of what an SE block has as parameters.
    pub(crate) fn layers<T>(params: &[T]) -> [(&T, Option<&T>); 2] {
        match params {
            [weight1, bias1, weight2, bias2] => [(weight1, Some(bias1)), (weight2, Some(bias2))],
            [weight1, weight2] => [(weight1, None), (weight2, None)],
            _ => unreachable!("params() lists two or four"),
        }
    }

    /// How many gates it has for a map that it squeezes.
    fn gates(&self, squeezed: Shape) -> usize {
        self.gates.unwrap_or(squeezed.channels())
    }
}

impl Definition for SqueezeExcite {
    fn kind(&self) -> &'static str {
        "squeeze_excite"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        expect_inputs(inputs, 1)?;
        expect_channels(inputs[0])?;
        if self.reduced == 0 {
            return Err("reduced width must be at least 1, is 0".into());
        }
        if self.gates == Some(0) {
            return Err("gates must be at least 1, are 0".into());
        }
        Ok(Shape::vector(self.gates(inputs[0])))
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let (c, gates, reduced) = (inputs[0].channels(), self.gates(inputs[0]), self.reduced);
        let mut params = vec![
            ParamSpec::new("fc1.weight", [reduced, c, 1, 1]),
            ParamSpec::new("fc2.weight", [gates, reduced, 1, 1]),
        ];
        if self.bias {
            params.insert(1, ParamSpec::new("fc1.bias", [reduced]));
            params.push(ParamSpec::new("fc2.bias", [gates]));
        }
        params
    }

    fn macs(&self, inputs: &[Shape], _output: Shape) -> u64 {
        (self.reduced * (inputs[0].channels() + self.gates(inputs[0]))) as u64
    }

    fn reference(&self, inputs: &[&Tensor], params: &[Tensor]) -> Tensor {
        let [(weight1, bias1), (weight2, bias2)] = Self::layers(params);
        let layer = |weight: &Tensor, bias: Option<&Tensor>, act: Act, x: &[f32]| -> Vec<f32> {
            let at = |o: usize| bias.map_or(0.0, |b| f64::from(b.data()[o]));
            (0..weight.batch()).map(|o| act.apply(dot(weight.image(o), x) + at(o)) as f32).collect()
        };
        let z = GlobalPool { kind: self.squeeze }.reference(inputs, &[]);
        let gates = (0..z.batch()).flat_map(|n| {
            let hidden = layer(weight1, bias1, self.hidden, z.image(n));
            layer(weight2, bias2, self.gate, &hidden)
        });
        Tensor::new([z.batch(), weight2.batch()], gates.collect()).expect("as many gates as rows of the second layer")
    }

    fn attributes(&self) -> String {
        format!(
            "reduced {}{}{}{}{}{}",
            self.reduced,
            self.gates.map_or(String::new(), |gates| format!(" gates={gates}")),
            unless("squeeze", self.squeeze, PoolKind::Avg),
            unless("hidden", self.hidden, Act::Relu),
            unless("gate", self.gate, Act::Sigmoid),
            if self.bias { "" } else { " no_bias" },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // z = [1.5, -4]; hidden = relu(1.5 * 2 - 4 * 1 + 2) = 1; gate = hard_sigmoid([3 - 3, 0]).
        let x = Tensor::new([1, 2, 1, 2], vec![1.0, 2.0, -3.0, -5.0]).unwrap();
        let se = SqueezeExcite::new(1).gate(Act::HardSigmoid);
        let params = [
            Tensor::new([1, 2], vec![2.0, 1.0]).unwrap(),
            Tensor::new([1], vec![2.0]).unwrap(),
            Tensor::new([2, 1], vec![3.0, 0.0]).unwrap(),
            Tensor::new([2], vec![-3.0, 1.5]).unwrap(),
        ];
        assert_eq!(se.reference(&[&x], &params).data(), [0.5, 0.75]);
    }

    #[test]
    fn gates_of_another_map() {
        // hidden = relu(1.5 * 2 - 4 * 1) = 0 for the first image, 2 * 3 - 1 = 5 for the second.
        let x = Tensor::new([2, 2, 1, 1], vec![1.5, -4.0, 3.0, -1.0]).unwrap();
        let se = SqueezeExcite { gates: Some(3), ..SqueezeExcite::new(1).gate(Act::Identity).bias(false) };
        let params = [Tensor::new([1, 2], vec![2.0, 1.0]).unwrap(), Tensor::new([3, 1], vec![1.0, 2.0, 3.0]).unwrap()];
        assert_eq!(se.shape(&[Shape::map(2, 1, 1)]), Ok(Shape::vector(3)));
        assert_eq!(se.reference(&[&x], &params).data(), [0.0, 0.0, 0.0, 5.0, 10.0, 15.0]);
        let none = SqueezeExcite { gates: Some(0), ..se };
        assert_eq!(none.shape(&[Shape::map(2, 1, 1)]).unwrap_err(), "gates must be at least 1, are 0");
    }
}
