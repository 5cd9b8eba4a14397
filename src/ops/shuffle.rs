//! Channel shuffle of ShuffleNet (Zhang et al. 2018).
//! How `kernels/shape/channel_shuffle.rs`, `shaders/shape/channel_shuffle.wgsl` · proof `tests/gpu/cases/shape.rs`

use super::{Definition, expect_map};
use crate::tensor::{Shape, Tensor};

/// `y[n, k * groups + g] = x[n, g * (C / groups) + k]`: the channels of the groups interleaved.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelShuffle {
    /// Groups, which divide the channels.
    pub groups: usize,
}

impl Definition for ChannelShuffle {
    fn kind(&self) -> &'static str {
        "channel_shuffle"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, ..) = expect_map(inputs)?;
        if self.groups == 0 || channels % self.groups != 0 {
            return Err(format!("{} groups must divide the {channels} channels", self.groups));
        }
        Ok(inputs[0])
    }

    fn reference(&self, inputs: &[&Tensor], _params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let [batch, channels, height, width] = x.nchw();
        Tensor::from_nchw(Shape::map(channels, height, width), batch, |[n, c, i, j]| {
            x[[n, c % self.groups * (channels / self.groups) + c / self.groups, i, j]]
        })
    }

    fn attributes(&self) -> String {
        format!("groups {}", self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_groups_interleave() {
        let x = Tensor::from_fn([1, 6, 1, 1], |i| i as f32);
        assert_eq!(ChannelShuffle { groups: 2 }.reference(&[&x], &[]).data(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }
}
