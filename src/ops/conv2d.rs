//! Convolution in two dimensions.
//! How `kernels/conv2d/*.rs`, `shaders/conv2d/*.wgsl` · proof `tests/gpu/cases/conv2d.rs`

use super::{Act, Definition, ParamSpec, unless};
use crate::tensor::{Shape, Tensor};
use std::fmt;

/// Rows and columns of zeros around a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The same on all four sides.
    pub const fn all(size: usize) -> Self {
        Self { top: size, bottom: size, left: size, right: size }
    }

    /// TensorFlow's `SAME` for one map size: `ceil(size / stride)` outputs, the odd row or column below and to the right.
    pub fn same(input: [usize; 2], kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> Self {
        let [(top, bottom), (left, right)] = [0, 1].map(|i| {
            let covered = (input[i].div_ceil(stride[i]) - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1;
            let total = covered.saturating_sub(input[i]);
            (total / 2, total - total / 2)
        });
        Self { top, bottom, left, right }
    }
}

impl From<usize> for Padding {
    fn from(size: usize) -> Self {
        Self::all(size)
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { top, bottom, left, right } = *self;
        if top == bottom && left == right && top == left {
            write!(f, "{top}")
        } else {
            write!(f, "{top},{bottom},{left},{right}")
        }
    }
}

/// What a convolution multiplies by a gate: one factor per channel and image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gating {
    /// Nothing: there is no gate.
    #[default]
    None,
    /// The input, before the sum.
    Input,
    /// The sum with its bias, before the residual and the activation.
    Output,
}

/// `y[n,o,i,j] = act(sum over c,u,v of weight[o,c,u,v] * x[n, g + c, i*s + u*d - p, j*s + v*d - p] + bias[o] +
/// residual[n,o,i,j])`, where `g` is the first input channel of `o`'s group and `x` is 0 outside the map. As
/// `torch.nn.Conv2d`. A gate multiplies `x`, or the sum with its bias: [`Gating`].
///
/// Parameters: `weight [out, in / groups, kernel_h, kernel_w]`, and `bias [out]`. Inputs: `x`, the gate if there is one,
/// the residual if there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Channels of the result.
    pub out_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps of the window, down and right.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Distance between taps, down and right.
    pub dilation: [usize; 2],
    /// Channel groups that don't see each other.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// What the input after `x` multiplies, if it is a gate.
    pub gate: Gating,
    /// Whether the last input, of the result's shape, is added before the activation.
    pub residual: bool,
    /// Applied last.
    pub act: Act,
}

impl Conv2d {
    /// A square kernel, stride 1, no padding, with bias.
    pub fn new(out_channels: usize, kernel: usize) -> Self {
        Self {
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: Padding::default(),
            dilation: [1; 2],
            groups: 1,
            bias: true,
            gate: Gating::None,
            residual: false,
            act: Act::Identity,
        }
    }

    /// With this stride both ways.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// With this padding: a number for all sides, or a [`Padding`].
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// With this dilation both ways.
    pub fn dilation(self, dilation: usize) -> Self {
        Self { dilation: [dilation; 2], ..self }
    }

    /// With this many groups; as many as channels make it depthwise.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// With or without bias.
    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Whether this is a 1x1 of stride 1 without padding or groups: a matrix product.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.is_per_pixel() && self.groups == 1
    }

    /// Whether it makes each pixel of the result from the same pixel of the input.
    pub(crate) fn is_per_pixel(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == Padding::default()
    }

    /// Whether a kernel can multiply its result by a gate: a product of channels pixel by pixel, of so many channels a
    /// group.
    pub(crate) fn may_gate_its_result(&self, group: usize) -> bool {
        let bare = !self.gated() && !self.residual && self.act == Act::Identity;
        self.is_per_pixel() && !self.is_depthwise(group) && bare
    }

    /// Whether channels are for themselves, of so many a group.
    pub(crate) fn is_depthwise(&self, group: usize) -> bool {
        self.groups > 1 && group == 1 && self.groups == self.out_channels
    }

    /// Shape of the result for an input of this shape.
    fn output(&self, input: Shape) -> Result<Shape, String> {
        let (channels, height, width) = super::map_dims(input)?;
        for (name, value) in [
            ("out_channels", self.out_channels),
            ("groups", self.groups),
            ("kernel", self.kernel[0].min(self.kernel[1])),
            ("stride", self.stride[0].min(self.stride[1])),
            ("dilation", self.dilation[0].min(self.dilation[1])),
        ] {
            if value == 0 {
                return Err(format!("{name} must be at least 1, is 0"));
            }
        }
        if !channels.is_multiple_of(self.groups) || !self.out_channels.is_multiple_of(self.groups) {
            return Err(format!(
                "{} groups must divide the {channels} input channels and the {} output channels",
                self.groups, self.out_channels
            ));
        }
        let side = |size: usize, before: usize, after: usize, i: usize| {
            let window = (self.kernel[i] - 1).checked_mul(self.dilation[i]).and_then(|w| w.checked_add(1));
            let padded = size.checked_add(before).and_then(|s| s.checked_add(after));
            match (padded, window) {
                (Some(padded), Some(window)) if padded >= window => Ok((padded - window) / self.stride[i] + 1),
                _ => Err(format!(
                    "input {input} with padding {} is smaller than the {}x{} kernel with dilation {}x{}",
                    self.padding, self.kernel[0], self.kernel[1], self.dilation[0], self.dilation[1]
                )),
            }
        };
        Ok(Shape::map(
            self.out_channels,
            side(height, self.padding.top, self.padding.bottom, 0)?,
            side(width, self.padding.left, self.padding.right, 1)?,
        ))
    }

    /// Whether there is a gate.
    pub(crate) fn gated(&self) -> bool {
        self.gate != Gating::None
    }

    /// One element of the result, `[n, o, i, j]`.
    pub(crate) fn element(&self, inputs: &[&Tensor], params: &[Tensor], [n, o, i, j]: [usize; 4]) -> f32 {
        let x = inputs[0];
        let gate_of = |of: Gating, c: usize| if self.gate == of { f64::from(inputs[1].image(n)[c]) } else { 1.0 };
        let residual = if self.residual { inputs[inputs.len() - 1][[n, o, i, j]] } else { 0.0 };
        let [_, channels, height, width] = x.nchw();
        let weight = params[0].data();
        let (in_group, out_group) = (channels / self.groups, self.out_channels / self.groups);
        let [kernel_h, kernel_w] = self.kernel;
        let mut sum = 0.0f64;
        for c in 0..in_group {
            let channel = o / out_group * in_group + c;
            let gate = gate_of(Gating::Input, channel);
            let plane = &x.image(n)[channel * height * width..][..height * width];
            for u in 0..kernel_h {
                let row = (i * self.stride[0] + u * self.dilation[0]).wrapping_sub(self.padding.top);
                if row >= height {
                    continue;
                }
                let taps = &weight[((o * in_group + c) * kernel_h + u) * kernel_w..][..kernel_w];
                for (v, &tap) in taps.iter().enumerate() {
                    let column = (j * self.stride[1] + v * self.dilation[1]).wrapping_sub(self.padding.left);
                    if column < width {
                        sum += f64::from(tap) * f64::from(plane[row * width + column]) * gate;
                    }
                }
            }
        }
        let bias = params.get(1).map_or(0.0, |b| f64::from(b.data()[o]));
        self.act.apply((sum + bias) * gate_of(Gating::Output, o) + f64::from(residual)) as f32
    }
}

impl Definition for Conv2d {
    fn kind(&self) -> &'static str {
        "conv2d"
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        super::expect_inputs(inputs, 1 + usize::from(self.gated()) + usize::from(self.residual))?;
        let output = self.output(inputs[0])?;
        match self.gate {
            Gating::None => {}
            Gating::Input => super::expect_gate(inputs[0], inputs[1])?,
            Gating::Output => super::expect_gate(output, inputs[1])?,
        }
        let residual = inputs[inputs.len() - 1];
        if self.residual && residual != output {
            return Err(format!("expects a residual of the result's shape {output}, residual is {residual}"));
        }
        Ok(output)
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let [kernel_h, kernel_w] = self.kernel;
        let weight = [self.out_channels, inputs[0].channels() / self.groups, kernel_h, kernel_w];
        let mut params = vec![ParamSpec::new("weight", weight)];
        if self.bias {
            params.push(ParamSpec::new("bias", [self.out_channels]));
        }
        params
    }

    fn macs(&self, inputs: &[Shape], output: Shape) -> u64 {
        (output.len() * (inputs[0].channels() / self.groups) * self.kernel[0] * self.kernel[1]) as u64
    }

    fn reference(&self, inputs: &[&Tensor], params: &[Tensor]) -> Tensor {
        let x = inputs[0];
        let [batch, channels, height, width] = x.nchw();
        let shape = self.output(Shape::map(channels, height, width)).expect("the graph has checked the shapes");
        Tensor::from_nchw(shape, batch, |at| self.element(inputs, params, at))
    }

    fn attributes(&self) -> String {
        let pair = |p: [usize; 2]| {
            if p[0] == p[1] { p[0].to_string() } else { format!("{}x{}", p[0], p[1]) }
        };
        format!(
            "{}x{}{}{}{}{}{}{}{}{}",
            self.kernel[0],
            self.kernel[1],
            unless("stride", pair(self.stride), "1".into()),
            unless("padding", self.padding, Padding::default()),
            unless("dilation", pair(self.dilation), "1".into()),
            unless("groups", self.groups, 1),
            if self.bias { " bias" } else { "" },
            match self.gate {
                Gating::None => "",
                Gating::Input => " gate",
                Gating::Output => " output_gate",
            },
            if self.residual { " residual" } else { "" },
            unless("act", self.act, Act::Identity),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // 1x3x3 counting up, a 2x2 kernel of ones with one row of padding on top.
        let x = Tensor::from_fn([1, 1, 3, 3], |i| (i + 1) as f32);
        let conv = Conv2d::new(1, 2).padding(Padding { top: 1, ..Padding::default() });
        let params = [Tensor::full([1, 1, 2, 2], 1.0), Tensor::full([1], 0.5)];
        let y = conv.reference(&[&x], &params);
        assert_eq!(y.shape(), [1, 1, 3, 2]);
        assert_eq!(y.data(), [3.5, 5.5, 12.5, 16.5, 24.5, 28.5]);
    }

    #[test]
    fn groups_do_not_mix() {
        let x = Tensor::new([1, 2, 1, 1], vec![3.0, 5.0]).unwrap();
        let conv = Conv2d::new(4, 1).groups(2).bias(false);
        let y = conv.reference(&[&x], &[Tensor::new([4, 1, 1, 1], vec![1.0, 2.0, 10.0, 20.0]).unwrap()]);
        assert_eq!(y.data(), [3.0, 6.0, 50.0, 100.0]);
    }

    #[test]
    fn gates_multiply_what_they_say() {
        let x = Tensor::new([1, 2, 1, 1], vec![3.0, 5.0]).unwrap();
        let params = [Tensor::new([1, 2, 1, 1], vec![1.0, 10.0]).unwrap(), Tensor::full([1], 7.0)];
        let gated = |gate, by: &[f32]| {
            let conv = Conv2d { gate, residual: true, ..Conv2d::new(1, 1) };
            let (gate, residual) = (Tensor::new([1, by.len()], by.to_vec()).unwrap(), Tensor::full([1, 1, 1, 1], 0.25));
            conv.reference(&[&x, &gate, &residual], &params).into_data()
        };
        assert_eq!(gated(Gating::Input, &[2.0, 0.5]), [6.0 + 25.0 + 7.0 + 0.25]);
        assert_eq!(gated(Gating::Output, &[0.5]), [0.5 * (3.0 + 50.0 + 7.0) + 0.25]);
    }

    #[test]
    fn same_padding_as_tensorflow() {
        assert_eq!(Padding::same([224, 224], [3, 3], [2, 2], [1, 1]), Padding { top: 0, bottom: 1, left: 0, right: 1 });
        assert_eq!(Padding::same([56, 56], [5, 5], [2, 2], [1, 1]), Padding { top: 1, bottom: 2, left: 1, right: 2 });
        assert_eq!(Padding::same([7, 7], [3, 3], [1, 1], [1, 1]), Padding::all(1));
    }

    #[test]
    fn refusals_name_both_sides() {
        let input = Shape::map(6, 2, 2);
        for (conv, expected) in [
            (Conv2d::new(8, 3), "input 6x2x2 with padding 0 is smaller than the 3x3 kernel with dilation 1x1"),
            (Conv2d::new(8, 1).groups(4), "4 groups must divide the 6 input channels and the 8 output channels"),
            (Conv2d::new(8, 1).stride(0), "stride must be at least 1, is 0"),
        ] {
            assert_eq!(conv.shape(&[input]).unwrap_err(), expected);
        }
    }
}
