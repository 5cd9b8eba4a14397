//! Residual networks (He et al. 2016), with groups (Xie et al. 2017), and with SE blocks (Hu et al. 2018).
//! Names and details of timm 1.0's `models/resnet.py` and `models/senet.py`, where they have the network.

use super::net::{Net, conv, make_divisible};
use super::{Entry, Network, SE_PAPER};
use crate::error::Result;
use crate::graph::{Graph, InsertSe, SePosition, Value};
use crate::ops::{Act, Pool, PoolKind, SqueezeExcite};
use crate::tensor::Shape;

/// What a row says.
#[derive(Clone, Copy, Debug)]
struct ResNet {
    /// Names of convolution, batch norm and activation; channels, kernel and stride.
    stem: &'static [([&'static str; 3], usize, usize, usize)],
    pool: StemPool,
    block: Block,
    /// Blocks of each stage; stages after the first halve the map and double the width.
    blocks: &'static [usize],
    /// Width of the first stage.
    width: usize,
    groups: usize,
    /// Width of one group in the first stage, for a bottleneck of 64.
    group_width: usize,
    /// By how much the first convolution of a bottleneck is narrower than the second.
    narrow: usize,
    /// Whether a bottleneck's first convolution strides, as Caffe's networks do, and not its 3x3.
    stride_first: bool,
    projection: Projection,
    se: Option<Se>,
    /// Name of the classifier.
    head: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum StemPool {
    None,
    /// 3x3, stride 2, padding 1.
    Padded,
    /// 3x3, stride 2, no padding, with a last window that hangs over.
    Ceil,
    /// A 3x3 convolution of stride 2 in a pool's place.
    Conv,
}

#[derive(Clone, Copy, Debug)]
enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// The same, with a ReLU after the second too.
    ActiveBasic,
    /// 1x1, 3x3, 1x1 to four times the width.
    Bottleneck,
}

/// How a shortcut changes its size.
#[derive(Clone, Copy, Debug)]
enum Projection {
    /// A convolution with this kernel where it strides, 1x1 elsewhere.
    Conv(usize),
    /// A 2x2 mean pool that strides, then a 1x1 convolution.
    Pooled,
}

/// SE blocks at the end of every block.
#[derive(Clone, Copy, Debug)]
struct Se {
    module: &'static str,
    ratio: usize,
    /// The reduced width is rounded to a multiple of this.
    divisor: usize,
}

const PLAIN: ResNet = ResNet {
    stem: &[(["conv1", "bn1", "relu"], 64, 7, 2)],
    pool: StemPool::Padded,
    block: Block::Bottleneck,
    blocks: &[3, 4, 6, 3],
    width: 64,
    groups: 1,
    group_width: 64,
    narrow: 1,
    stride_first: false,
    projection: Projection::Conv(1),
    se: None,
    head: "fc",
};
const DIGITS: ResNet = ResNet {
    stem: &[(["conv1", "bn1", "relu"], 16, 3, 1)],
    pool: StemPool::None,
    block: Block::Basic,
    blocks: &[2, 2],
    width: 16,
    ..PLAIN
};
const SE: ResNet = ResNet { se: Some(Se { module: "se", ratio: 16, divisor: 8 }), ..PLAIN };
const SEXT: ResNet = ResNet { groups: 32, group_width: 4, ..SE };
/// The authors' own networks, from Caffe.
const LEGACY: ResNet = ResNet {
    stem: &[(["layer0.conv1", "layer0.bn1", "layer0.relu"], 64, 7, 2)],
    pool: StemPool::Ceil,
    stride_first: true,
    se: Some(Se { module: "se_module", ratio: 16, divisor: 1 }),
    head: "last_linear",
    ..PLAIN
};
const LEGACY_SEXT: ResNet = ResNet { groups: 32, group_width: 4, stride_first: false, ..LEGACY };

/// Three 3x3 convolutions for one 7x7.
const fn deep_stem(channels: [usize; 3]) -> [([&'static str; 3], usize, usize, usize); 3] {
    [
        (["conv1.0", "conv1.1", "conv1.2"], channels[0], 3, 2),
        (["conv1.3", "conv1.4", "conv1.5"], channels[1], 3, 1),
        (["conv1.6", "bn1", "relu"], channels[2], 3, 1),
    ]
}
const D_STEM: &[([&str; 3], usize, usize, usize)] = &deep_stem([32, 32, 64]);

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[
    digits("digits_seresnet", &ResNet { se: Some(Se { module: "se", ratio: 4, divisor: 1 }), ..DIGITS }),
    digits("digits_resnet", &DIGITS),
    timm("resnet50", 224, &PLAIN),
    timm("resnet101", 224, &ResNet { blocks: &[3, 4, 23, 3], ..PLAIN }),
    timm("resnet152", 224, &ResNet { blocks: &[3, 8, 36, 3], ..PLAIN }),
    timm("resnext50_32x4d", 224, &ResNet { groups: 32, group_width: 4, ..PLAIN }),
    timm("resnext101_32x4d", 224, &ResNet { blocks: &[3, 4, 23, 3], groups: 32, group_width: 4, ..PLAIN }),
    timm("seresnet18", 224, &ResNet { block: Block::Basic, blocks: &[2, 2, 2, 2], ..SE }),
    timm("seresnet34", 224, &ResNet { block: Block::Basic, ..SE }),
    timm("seresnet50", 224, &SE),
    timm("seresnet101", 224, &ResNet { blocks: &[3, 4, 23, 3], ..SE }),
    timm("seresnet152", 224, &ResNet { blocks: &[3, 8, 36, 3], ..SE }),
    timm("seresnet152d", 256, &ResNet { stem: D_STEM, blocks: &[3, 8, 36, 3], projection: Projection::Pooled, ..SE }),
    timm(
        "seresnext26d_32x4d",
        224,
        &ResNet { stem: D_STEM, blocks: &[2, 2, 2, 2], projection: Projection::Pooled, ..SEXT },
    ),
    timm(
        "seresnext26t_32x4d",
        224,
        &ResNet { stem: &deep_stem([24, 32, 64]), blocks: &[2, 2, 2, 2], projection: Projection::Pooled, ..SEXT },
    ),
    timm("seresnext50_32x4d", 224, &SEXT),
    timm("seresnext101_32x4d", 224, &ResNet { blocks: &[3, 4, 23, 3], ..SEXT }),
    timm("seresnext101_32x8d", 224, &ResNet { blocks: &[3, 4, 23, 3], group_width: 8, ..SEXT }),
    timm(
        "senet154",
        224,
        &ResNet {
            stem: &deep_stem([64, 64, 128]),
            blocks: &[3, 8, 36, 3],
            groups: 64,
            group_width: 4,
            narrow: 2,
            projection: Projection::Conv(3),
            ..SE
        },
    ),
    timm(
        "resnetrs50",
        160,
        &ResNet {
            stem: D_STEM,
            pool: StemPool::Conv,
            projection: Projection::Pooled,
            se: Some(Se { module: "se", ratio: 4, divisor: 8 }),
            ..PLAIN
        },
    ),
    legacy("legacy_seresnet18", &ResNet { block: Block::ActiveBasic, blocks: &[2, 2, 2, 2], ..LEGACY }),
    legacy("legacy_seresnet34", &ResNet { block: Block::ActiveBasic, ..LEGACY }),
    legacy("legacy_seresnet50", &LEGACY),
    legacy("legacy_seresnet101", &ResNet { blocks: &[3, 4, 23, 3], ..LEGACY }),
    legacy("legacy_seresnet152", &ResNet { blocks: &[3, 8, 36, 3], ..LEGACY }),
    legacy("legacy_seresnet152_places365", &ResNet { blocks: &[3, 8, 36, 3], ..LEGACY }).classes(365),
    legacy("legacy_seresnext26_32x4d", &ResNet { blocks: &[2, 2, 2, 2], ..LEGACY_SEXT }),
    legacy("legacy_seresnext50_32x4d", &LEGACY_SEXT),
    legacy("legacy_seresnext101_32x4d", &ResNet { blocks: &[3, 4, 23, 3], ..LEGACY_SEXT }),
    legacy(
        "legacy_senet154",
        &ResNet {
            stem: &[
                (["layer0.conv1", "layer0.bn1", "layer0.relu1"], 64, 3, 2),
                (["layer0.conv2", "layer0.bn2", "layer0.relu2"], 64, 3, 1),
                (["layer0.conv3", "layer0.bn3", "layer0.relu3"], 128, 3, 1),
            ],
            blocks: &[3, 8, 36, 3],
            groups: 64,
            group_width: 4,
            narrow: 2,
            stride_first: false,
            projection: Projection::Conv(3),
            ..LEGACY
        },
    ),
];

const fn timm(name: &'static str, side: usize, spec: &'static ResNet) -> Entry {
    Entry::new(name, side, "timm 1.0 models/resnet.py", spec)
}

const fn legacy(name: &'static str, spec: &'static ResNet) -> Entry {
    Entry::new(name, 224, "timm 1.0 models/senet.py", spec)
}

const fn digits(name: &'static str, spec: &'static ResNet) -> Entry {
    let entry = Entry::new(name, 8, "tools/train_digits.py", spec).smallest(2).classes(10);
    Entry { input: Shape::map(1, 8, 8), ..entry }
}

/// ResNet-50 as the SENet paper ablates it: Caffe's strides, with timm's names.
const ABLATED: Entry = Entry::new("abl_resnet50", 224, SE_PAPER, &ResNet { stride_first: true, ..PLAIN });

/// The paper's ablations of SE-ResNet-50 (tables 10 to 16).
pub(super) const ABLATIONS: &[Entry] = &[
    ABLATED,
    ABLATED.with_se("abl_seresnet50_r2", |g| everywhere(g, &InsertSe::ratio(2))),
    ABLATED.with_se("abl_seresnet50_r4", |g| everywhere(g, &InsertSe::ratio(4))),
    ABLATED.with_se("abl_seresnet50_r8", |g| everywhere(g, &InsertSe::ratio(8))),
    ABLATED.with_se("abl_seresnet50_r16", |g| everywhere(g, &InsertSe::ratio(16))),
    ABLATED.with_se("abl_seresnet50_r32", |g| everywhere(g, &InsertSe::ratio(32))),
    ABLATED.with_se("abl_seresnet50_r16_nobias", |g| everywhere(g, &block(|se| se.bias(false)))),
    ABLATED.with_se("abl_seresnet50_squeeze_max", |g| everywhere(g, &block(|se| se.squeeze(PoolKind::Max)))),
    ABLATED.with_se("abl_seresnet50_gate_relu", |g| everywhere(g, &block(|se| se.gate(Act::Relu)))),
    ABLATED.with_se("abl_seresnet50_gate_tanh", |g| everywhere(g, &block(|se| se.gate(Act::Tanh)))),
    ABLATED.with_se("abl_seresnet50_pre", |g| at(g, SePosition::Pre, "")),
    ABLATED.with_se("abl_seresnet50_post", |g| at(g, SePosition::Post, "")),
    ABLATED.with_se("abl_seresnet50_identity", |g| at(g, SePosition::Identity, "")),
    ABLATED.with_se("abl_seresnet50_3x3", |g| at(g, SePosition::After3x3, "")),
    ABLATED.with_se("abl_seresnet50_stage2", |g| at(g, SePosition::Standard, "layer1.")),
    ABLATED.with_se("abl_seresnet50_stage3", |g| at(g, SePosition::Standard, "layer2.")),
    ABLATED.with_se("abl_seresnet50_stage4", |g| at(g, SePosition::Standard, "layer3.")),
    ABLATED.with_se("abl_resnet50_nosqueeze", |g| everywhere(g, &InsertSe { no_squeeze: true, ..InsertSe::ratio(16) })),
];

fn everywhere(graph: &Graph, options: &InsertSe) -> Result<Graph> {
    graph.insert_se_in_blocks(options, SePosition::Standard, |_| true)
}

fn block(change: fn(SqueezeExcite) -> SqueezeExcite) -> InsertSe {
    let paper = InsertSe::ratio(16);
    InsertSe { block: change(paper.block), ..paper }
}

fn at(graph: &Graph, position: SePosition, stage: &str) -> Result<Graph> {
    graph.insert_se_in_blocks(&InsertSe::ratio(16), position, |block| block.starts_with(stage))
}

impl Network for ResNet {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        let mut x = image;
        for &(names, channels, kernel, stride) in self.stem {
            x = net.layer(names, x, conv(channels, kernel).stride(stride), Act::Relu)?;
        }
        x = match self.pool {
            StemPool::None => x,
            StemPool::Padded => net.pool("maxpool", x, Pool::max(3).stride(2).padding(1))?,
            StemPool::Ceil => net.pool("maxpool", x, Pool::max(3).stride(2).ceil_mode(true))?,
            StemPool::Conv => {
                let conv = conv(net.channels(x), 3).stride(2);
                net.layer(["maxpool.0", "maxpool.1", "maxpool.2"], x, conv, Act::Relu)?
            }
        };
        for (stage, &blocks) in self.blocks.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = self.block(net, &format!("layer{}.{block}", stage + 1), x, self.width << stage, stride)?;
            }
        }
        net.classify(self.head, x, classes)
    }
}

impl ResNet {
    /// Convolutions, SE, residual sum, ReLU. The block's value has the block's name.
    fn block(&self, net: &mut Net, name: &str, input: Value, width: usize, stride: usize) -> Result<Value> {
        let convs = match self.block {
            Block::Basic | Block::ActiveBasic => vec![conv(width, 3).stride(stride), conv(width, 3)],
            Block::Bottleneck => {
                let middle = width * self.group_width / 64 * self.groups;
                let (first, second) = if self.stride_first { (stride, 1) } else { (1, stride) };
                vec![
                    conv(middle / self.narrow, 1).stride(first),
                    conv(middle, 3).stride(second).groups(self.groups),
                    conv(4 * width, 1),
                ]
            }
        };
        let mut x = input;
        let last = convs.len();
        for (n, conv) in (1..).zip(convs) {
            let names = ["conv", "bn", "relu"].map(|layer| format!("{name}.{layer}{n}"));
            let act = if n < last || matches!(self.block, Block::ActiveBasic) { Act::Relu } else { Act::Identity };
            x = net.layer(names.each_ref().map(String::as_str), x, conv, act)?;
        }
        let channels = net.channels(x);
        if let Some(se) = &self.se {
            let reduced = make_divisible(channels as f64 / se.ratio as f64, se.divisor, 0.0);
            let op = SqueezeExcite::new(reduced);
            x = net.squeeze_excite(&format!("{name}.{}", se.module), x, op, ["fc1", "fc2"])?;
        }
        let mut shortcut = input;
        if stride != 1 || net.channels(input) != channels {
            let (mut projection, mut layer) = (conv(channels, 1).stride(stride), 0);
            match self.projection {
                Projection::Conv(kernel) if stride != 1 => projection = conv(channels, kernel).stride(stride),
                Projection::Conv(_) => {}
                Projection::Pooled => {
                    if stride != 1 {
                        let pool = Pool::avg(2).stride(stride).ceil_mode(true).count_include_pad(false);
                        shortcut = net.pool(&format!("{name}.downsample.0"), shortcut, pool)?;
                    }
                    (projection, layer) = (conv(channels, 1), 1);
                }
            }
            let names = [layer, layer + 1].map(|n| format!("{name}.downsample.{n}"));
            shortcut = net.layer([&names[0], &names[1], ""], shortcut, projection, Act::Identity)?;
        }
        let sum = net.sum(&format!("{name}.add"), x, shortcut)?;
        net.relu(name, sum)
    }
}
