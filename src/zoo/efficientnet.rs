//! Networks of inverted bottlenecks: EfficientNet (Tan and Le 2019), EfficientNetV2 (2021), MnasNet (Tan et al. 2019),
//! MobileNetV3 (Howard et al. 2019), and MobileNet (Howard et al. 2017), their ancestor.
//! Names and details of timm 1.0's `models/efficientnet.py` and `models/mobilenetv3.py`.

use super::net::{Net, conv, depthwise, make_divisible};
use super::{Entry, Network};
use crate::error::Result;
use crate::graph::{InsertSe, Value};
use crate::ops::{Act, Conv2d, SqueezeExcite};

/// What a row says.
#[derive(Clone, Copy, Debug)]
struct EfficientNet {
    /// Channels after the first convolution.
    stem: usize,
    /// Blocks, by stage.
    stages: &'static [&'static [Blocks]],
    /// Factor of all channels, and of the blocks of a stage.
    scale: (f64, f64),
    /// Channels are rounded up where they would lose more than this.
    limit: f64,
    /// Whether padding and `eps` are TensorFlow's.
    tf: bool,
    act: Act,
    se: Se,
    head: Head,
}

/// Width and functions of the SE blocks; the hidden activation is the block's own where there is none.
#[derive(Clone, Copy, Debug)]
enum Se {
    /// A quarter of the block's input.
    OfInput,
    /// A quarter of the expanded width, rounded to a multiple of 8; ReLU and hard sigmoid.
    OfExpanded,
}

#[derive(Clone, Copy, Debug)]
enum Head {
    /// A 1x1 convolution with norm and activation to this width, then the mean.
    Conv(usize),
    /// The mean, then a layer with activation to this width.
    Pooled(usize),
    None,
}

/// Equal blocks one after the other; the first one strides.
#[derive(Clone, Copy, Debug)]
struct Blocks {
    kind: Kind,
    count: usize,
    kernel: usize,
    stride: usize,
    expand: f64,
    channels: usize,
    se: bool,
    /// Whether the activation is ReLU and not the network's.
    relu: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// 1x1 to the expanded width, depthwise, SE, 1x1.
    Inverted,
    /// Depthwise, SE, 1x1.
    Separable,
    /// Depthwise, then 1x1 with activation; never a shortcut.
    SeparableActive,
    /// A full convolution to the expanded width, then 1x1.
    Fused,
    /// One convolution.
    Conv,
}

const fn blocks(kind: Kind, count: usize, kernel: usize, stride: usize, expand: f64, channels: usize) -> Blocks {
    Blocks { kind, count, kernel, stride, expand, channels, se: false, relu: false }
}

/// Inverted bottlenecks.
const fn ir(count: usize, kernel: usize, stride: usize, expand: f64, channels: usize) -> Blocks {
    blocks(Kind::Inverted, count, kernel, stride, expand, channels)
}

const fn ds(stride: usize, channels: usize) -> Blocks {
    blocks(Kind::Separable, 1, 3, stride, 1.0, channels)
}

const fn mobile(count: usize, stride: usize, channels: usize) -> Blocks {
    blocks(Kind::SeparableActive, count, 3, stride, 1.0, channels)
}

const fn fused(count: usize, channels: usize) -> Blocks {
    blocks(Kind::Fused, count, 3, 2, 4.0, channels)
}

const fn single(count: usize, kernel: usize, channels: usize) -> Blocks {
    blocks(Kind::Conv, count, kernel, 1, 1.0, channels)
}

impl Blocks {
    const fn se(self) -> Self {
        Self { se: true, ..self }
    }

    const fn relu(self) -> Self {
        Self { relu: true, ..self }
    }
}

const B0: EfficientNet = EfficientNet {
    stem: 32,
    stages: &[
        &[ds(1, 16).se()],
        &[ir(2, 3, 2, 6.0, 24).se()],
        &[ir(2, 5, 2, 6.0, 40).se()],
        &[ir(3, 3, 2, 6.0, 80).se()],
        &[ir(3, 5, 1, 6.0, 112).se()],
        &[ir(4, 5, 2, 6.0, 192).se()],
        &[ir(1, 3, 1, 6.0, 320).se()],
    ],
    scale: (1.0, 1.0),
    limit: 0.9,
    tf: false,
    act: Act::Silu,
    se: Se::OfInput,
    head: Head::Conv(1280),
};
const B1: EfficientNet = EfficientNet { scale: (1.0, 1.1), ..B0 };
const B2: EfficientNet = EfficientNet { scale: (1.1, 1.2), ..B0 };
const B3: EfficientNet = EfficientNet { scale: (1.2, 1.4), ..B0 };
const B4: EfficientNet = EfficientNet { scale: (1.4, 1.8), ..B0 };
const B5: EfficientNet = EfficientNet { scale: (1.6, 2.2), ..B0 };
const B6: EfficientNet = EfficientNet { scale: (1.8, 2.6), ..B0 };
const B7: EfficientNet = EfficientNet { scale: (2.0, 3.1), ..B0 };

const V2_B0: EfficientNet = EfficientNet {
    stages: &[
        &[single(1, 3, 16)],
        &[fused(2, 32)],
        &[fused(2, 48)],
        &[ir(3, 3, 2, 4.0, 96).se()],
        &[ir(5, 3, 1, 6.0, 112).se()],
        &[ir(8, 3, 2, 6.0, 192).se()],
    ],
    limit: 0.0,
    tf: true,
    ..B0
};
const V2_S: EfficientNet = EfficientNet {
    stem: 24,
    stages: &[
        &[single(2, 3, 24)],
        &[fused(4, 48)],
        &[fused(4, 64)],
        &[ir(6, 3, 2, 4.0, 128).se()],
        &[ir(9, 3, 1, 6.0, 160).se()],
        &[ir(15, 3, 2, 6.0, 256).se()],
    ],
    tf: true,
    ..B0
};

const MOBILE_V3: EfficientNet = EfficientNet {
    stem: 16,
    stages: &[
        &[ds(1, 16).relu()],
        &[ir(1, 3, 2, 4.0, 24).relu(), ir(1, 3, 1, 3.0, 24).relu()],
        &[ir(3, 5, 2, 3.0, 40).se().relu()],
        &[ir(1, 3, 2, 6.0, 80), ir(1, 3, 1, 2.5, 80), ir(2, 3, 1, 2.3, 80)],
        &[ir(2, 3, 1, 6.0, 112).se()],
        &[ir(3, 5, 2, 6.0, 160).se()],
        &[single(1, 1, 960)],
    ],
    act: Act::HardSwish,
    se: Se::OfExpanded,
    head: Head::Pooled(1280),
    ..B0
};
const MOBILE_V3_SMALL: EfficientNet = EfficientNet {
    stages: &[
        &[ds(2, 16).se().relu()],
        &[ir(1, 3, 2, 4.5, 24).relu(), ir(1, 3, 1, 3.67, 24).relu()],
        &[ir(1, 5, 2, 4.0, 40).se(), ir(2, 5, 1, 6.0, 40).se()],
        &[ir(2, 5, 1, 3.0, 48).se()],
        &[ir(3, 5, 2, 6.0, 96).se()],
        &[single(1, 1, 576)],
    ],
    head: Head::Pooled(1024),
    ..MOBILE_V3
};
const MNAS_A1: EfficientNet = EfficientNet {
    stages: &[
        &[ds(1, 16)],
        &[ir(2, 3, 2, 6.0, 24)],
        &[ir(3, 5, 2, 3.0, 40).se()],
        &[ir(4, 3, 2, 6.0, 80)],
        &[ir(2, 3, 1, 6.0, 112).se()],
        &[ir(3, 5, 2, 6.0, 160).se()],
        &[ir(1, 3, 1, 6.0, 320)],
    ],
    act: Act::Relu,
    ..B0
};
const MOBILE: EfficientNet = EfficientNet {
    stages: &[
        &[mobile(1, 1, 64)],
        &[mobile(2, 2, 128)],
        &[mobile(2, 2, 256)],
        &[mobile(6, 2, 512)],
        &[mobile(2, 2, 1024)],
    ],
    act: Act::Relu6,
    head: Head::None,
    ..B0
};

const MOBILENET: Entry = timm("mobilenetv1_100", 224, &MOBILE);

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[
    timm("efficientnet_b0", 224, &B0),
    timm("efficientnet_b1", 240, &B1),
    timm("efficientnet_b2", 256, &B2),
    timm("efficientnet_b3", 288, &B3),
    timm("efficientnet_b4", 320, &B4),
    timm("efficientnet_b5", 448, &B5),
    timm("efficientnet_b6", 528, &B6),
    timm("efficientnet_b7", 600, &B7),
    timm("tf_efficientnet_b0", 224, &EfficientNet { tf: true, ..B0 }),
    timm("tf_efficientnet_b1", 240, &EfficientNet { tf: true, ..B1 }),
    timm("tf_efficientnet_b2", 260, &EfficientNet { tf: true, ..B2 }),
    timm("tf_efficientnet_b3", 300, &EfficientNet { tf: true, ..B3 }),
    timm("tf_efficientnet_b4", 380, &EfficientNet { tf: true, ..B4 }),
    timm("tf_efficientnet_b5", 456, &EfficientNet { tf: true, ..B5 }),
    timm("tf_efficientnet_b6", 528, &EfficientNet { tf: true, ..B6 }),
    timm("tf_efficientnet_b7", 600, &EfficientNet { tf: true, ..B7 }),
    timm("tf_efficientnetv2_b0", 192, &V2_B0),
    timm("tf_efficientnetv2_s", 300, &V2_S),
    timm("mobilenetv3_large_100", 224, &MOBILE_V3),
    timm("mobilenetv3_small_100", 224, &MOBILE_V3_SMALL),
    timm("tf_mobilenetv3_large_100", 224, &EfficientNet { tf: true, ..MOBILE_V3 }),
    timm("semnasnet_100", 224, &MNAS_A1),
    MOBILENET,
    MOBILENET.with_se("se_mobilenet", |graph| {
        graph.insert_se_named(&InsertSe::ratio(16), |node| {
            let block = node.name.strip_suffix(".bn2.act")?;
            Some(format!("{block}.bn2.se"))
        })
    }),
];

const fn timm(name: &'static str, side: usize, spec: &'static EfficientNet) -> Entry {
    let source = match spec.head {
        Head::Pooled(_) => "timm 1.0 models/mobilenetv3.py",
        Head::Conv(_) | Head::None => "timm 1.0 models/efficientnet.py",
    };
    Entry::new(name, side, source, spec)
}

impl Network for EfficientNet {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        net.same = self.tf;
        net.eps = if self.tf { 1e-3 } else { 1e-5 };
        let mut x = layer(net, "", ["conv_stem", "bn1"], image, conv(self.width(self.stem), 3).stride(2), self.act)?;
        for (stage, rows) in self.stages.iter().enumerate() {
            let mut block = 0;
            for row in *rows {
                for repeat in 0..(row.count as f64 * self.scale.1).ceil() as usize {
                    let stride = if repeat == 0 { row.stride } else { 1 };
                    x = self.block(net, &format!("blocks.{stage}.{block}"), x, row, stride)?;
                    block += 1;
                }
            }
        }
        match self.head {
            Head::Conv(channels) => {
                x = layer(net, "", ["conv_head", "bn2"], x, conv(self.width(channels), 1), self.act)?;
            }
            Head::Pooled(features) => {
                x = net.global_pool(x)?;
                x = net.convolve_vector("conv_head", x, features)?;
                x = net.act("act2", x, self.act)?;
                return net.linear("classifier", x, classes);
            }
            Head::None => x = net.act("bn2", x, Act::Identity)?,
        }
        net.classify("classifier", x, classes)
    }
}

impl EfficientNet {
    fn width(&self, channels: usize) -> usize {
        make_divisible(channels as f64 * self.scale.0, 8, self.limit)
    }

    fn block(&self, net: &mut Net, name: &str, input: Value, row: &Blocks, stride: usize) -> Result<Value> {
        let act = if row.relu { Act::Relu } else { self.act };
        let (before, after) = (net.channels(input), self.width(row.channels));
        let expanded = make_divisible(before as f64 * row.expand, 8, 0.9);
        let in_block = format!("{name}.");
        let mut add = |names, x, conv, act| layer(net, &in_block, names, x, conv, act);
        let x = match row.kind {
            Kind::Inverted => {
                let x = add(["conv_pw", "bn1"], input, conv(expanded, 1), act)?;
                let x = add(["conv_dw", "bn2"], x, depthwise(expanded, row.kernel).stride(stride), act)?;
                let x = self.squeeze_excite(net, &in_block, x, row, before, act)?;
                layer(net, &in_block, ["conv_pwl", "bn3"], x, conv(after, 1), Act::Identity)?
            }
            Kind::Separable | Kind::SeparableActive => {
                let x = add(["conv_dw", "bn1"], input, depthwise(before, row.kernel).stride(stride), act)?;
                let x = self.squeeze_excite(net, &in_block, x, row, before, act)?;
                let last = if row.kind == Kind::SeparableActive { act } else { Act::Identity };
                layer(net, &in_block, ["conv_pw", "bn2"], x, conv(after, 1), last)?
            }
            Kind::Fused => {
                let x = add(["conv_exp", "bn1"], input, conv(expanded, row.kernel).stride(stride), act)?;
                add(["conv_pwl", "bn2"], x, conv(after, 1), Act::Identity)?
            }
            Kind::Conv => add(["conv", "bn1"], input, conv(after, row.kernel).stride(stride), act)?,
        };
        if stride == 1 && before == after && row.kind != Kind::SeparableActive {
            return net.sum(&format!("{name}.add"), x, input);
        }
        Ok(x)
    }

    fn squeeze_excite(
        &self,
        net: &mut Net,
        block: &str,
        x: Value,
        row: &Blocks,
        input: usize,
        act: Act,
    ) -> Result<Value> {
        if !row.se {
            return Ok(x);
        }
        let op = match self.se {
            Se::OfInput => SqueezeExcite::new(input / 4).hidden(act),
            Se::OfExpanded => {
                let reduced = make_divisible(net.channels(x) as f64 / 4.0, 8, 0.9);
                SqueezeExcite::new(reduced).gate(Act::HardSigmoid)
            }
        };
        net.squeeze_excite(&format!("{block}se"), x, op, ["conv_reduce", "conv_expand"])
    }
}

/// A convolution and timm's norm-and-activation, which is one module.
fn layer(net: &mut Net, prefix: &str, [conv, norm]: [&str; 2], x: Value, op: Conv2d, act: Act) -> Result<Value> {
    let [conv, norm] = [conv, norm].map(|part| format!("{prefix}{part}"));
    net.layer([&conv, &norm, &format!("{norm}.act")], x, op, act)
}
