//! Residual networks (He et al. 2016) with SE stages (Hu et al. 2018).
//! Names and details of timm 1.0's `models/resnet.py` and `models/senet.py`, where they have the network.

use super::{Builder, Entry};
use crate::error::Result;
use crate::graph::{Graph, GraphBuilder, Value};
use crate::ops::{Act, BatchNorm, Conv2d, Linear, Padding, Pool, SqueezeExcite};
use crate::tensor::Shape;

/// One network: a row of [`TABLE`].
#[derive(Debug)]
pub(super) struct ResNet {
    name: &'static str,
    input: Shape,
    smallest: usize,
    classes: usize,
    source: &'static str,
    stem: Stem,
    block: Block,
    /// Blocks and width of each stage; stages after the first halve the map.
    stages: &'static [(usize, usize)],
    /// Whether a block's first convolution strides, as Caffe's networks do, and not its 3x3.
    stride_first: bool,
    se: Option<Se>,
    /// Name of the classifier.
    head: &'static str,
}

/// First convolution and pool.
#[derive(Debug)]
struct Stem {
    /// Module in front of `conv1` and `bn1`, with its dot.
    module: &'static str,
    channels: usize,
    kernel: usize,
    stride: usize,
    pool: StemPool,
}

#[derive(Debug)]
enum StemPool {
    None,
    /// 3x3, stride 2, padding 1.
    Padded,
    /// 3x3, stride 2, no padding, with a last window that hangs over.
    Ceil,
}

#[derive(Debug)]
enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3, 1x1 to four times the width.
    Bottleneck,
}

/// SE stages at the end of every block.
#[derive(Debug)]
struct Se {
    module: &'static str,
    ratio: usize,
    /// The reduced width is rounded to a multiple of this (timm's `make_divisible`).
    divisor: usize,
}

/// Every network of this family.
pub(super) const TABLE: &[ResNet] = &[
    ResNet {
        name: "digits_seresnet",
        input: Shape::map(1, 8, 8),
        smallest: 2,
        classes: 10,
        source: "tools/train_digits.py",
        stem: Stem { module: "", channels: 16, kernel: 3, stride: 1, pool: StemPool::None },
        block: Block::Basic,
        stages: &[(2, 16), (2, 32)],
        stride_first: false,
        se: Some(Se { module: "se", ratio: 4, divisor: 1 }),
        head: "fc",
    },
    ResNet {
        name: "digits_resnet",
        input: Shape::map(1, 8, 8),
        smallest: 2,
        classes: 10,
        source: "tools/train_digits.py",
        stem: Stem { module: "", channels: 16, kernel: 3, stride: 1, pool: StemPool::None },
        block: Block::Basic,
        stages: &[(2, 16), (2, 32)],
        stride_first: false,
        se: None,
        head: "fc",
    },
    ResNet {
        name: "seresnet50",
        input: Shape::map(3, 224, 224),
        smallest: 32,
        classes: 1000,
        source: "timm 1.0 models/resnet.py",
        stem: Stem { module: "", channels: 64, kernel: 7, stride: 2, pool: StemPool::Padded },
        block: Block::Bottleneck,
        stages: &[(3, 64), (4, 128), (6, 256), (3, 512)],
        stride_first: false,
        se: Some(Se { module: "se", ratio: 16, divisor: 8 }),
        head: "fc",
    },
    ResNet {
        name: "legacy_seresnet50",
        input: Shape::map(3, 224, 224),
        smallest: 32,
        classes: 1000,
        source: "timm 1.0 models/senet.py",
        stem: Stem { module: "layer0.", channels: 64, kernel: 7, stride: 2, pool: StemPool::Ceil },
        block: Block::Bottleneck,
        stages: &[(3, 64), (4, 128), (6, 256), (3, 512)],
        stride_first: true,
        se: Some(Se { module: "se_module", ratio: 16, divisor: 1 }),
        head: "last_linear",
    },
];

impl ResNet {
    pub(super) fn entry(&'static self) -> Entry {
        Entry {
            name: self.name,
            input: self.input,
            smallest: self.smallest,
            classes: self.classes,
            source: self.source,
            build: Builder::ResNet(self),
        }
    }

    pub(super) fn build(&self, input: Shape, classes: usize) -> Result<Graph> {
        let mut g = GraphBuilder::new(self.name);
        let x = g.input(input)?;
        let stem = &self.stem;
        let conv = Conv2d::new(stem.channels, stem.kernel).stride(stem.stride).padding(stem.kernel / 2).bias(false);
        let x = g.conv2d(&format!("{}conv1", stem.module), x, conv)?;
        let x = g.batch_norm(&format!("{}bn1", stem.module), x, BatchNorm::default())?;
        let x = g.activation(&format!("{}relu", stem.module), x, Act::Relu)?;
        let mut x = match stem.pool {
            StemPool::None => x,
            StemPool::Padded => g.pool("maxpool", x, Pool::max(3).stride(2).padding(1))?,
            StemPool::Ceil => g.pool("maxpool", x, Pool::max(3).stride(2).ceil_mode(true))?,
        };
        for (stage, &(blocks, width)) in self.stages.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = self.block(&mut g, &format!("layer{}.{block}", stage + 1), x, width, stride)?;
            }
        }
        let x = g.global_avg_pool("global_pool", x)?;
        let x = g.linear(self.head, x, Linear::new(classes))?;
        g.finish(&[("logits", x)])
    }

    /// Convolutions, SE, residual sum, ReLU. The block's value has the block's name.
    fn block(&self, g: &mut GraphBuilder, name: &str, input: Value, width: usize, stride: usize) -> Result<Value> {
        let (first, later) = if self.stride_first { (stride, 1) } else { (1, stride) };
        // Kernel, channels, stride of each convolution.
        let convs = match self.block {
            Block::Basic => vec![(3, width, stride), (3, width, 1)],
            Block::Bottleneck => vec![(1, width, first), (3, width, later), (1, 4 * width, 1)],
        };
        let mut x = input;
        for (i, &(kernel, channels, stride)) in convs.iter().enumerate() {
            let n = i + 1;
            let conv = Conv2d::new(channels, kernel).stride(stride).padding(Padding::all(kernel / 2)).bias(false);
            x = g.conv2d(&format!("{name}.conv{n}"), x, conv)?;
            x = g.batch_norm(&format!("{name}.bn{n}"), x, BatchNorm::default())?;
            if n < convs.len() {
                x = g.activation(&format!("{name}.relu{n}"), x, Act::Relu)?;
            }
        }
        let channels = g.shape(x).channels();
        if let Some(se) = &self.se {
            let reduced = make_divisible(channels / se.ratio, se.divisor);
            x = g.squeeze_excite(&format!("{name}.{}", se.module), x, SqueezeExcite::new(reduced))?;
        }
        let mut shortcut = input;
        if stride != 1 || g.shape(input).channels() != channels {
            let conv = Conv2d::new(channels, 1).stride(stride).bias(false);
            shortcut = g.conv2d(&format!("{name}.downsample.0"), input, conv)?;
            shortcut = g.batch_norm(&format!("{name}.downsample.1"), shortcut, BatchNorm::default())?;
        }
        let sum = g.sum(&format!("{name}.add"), x, shortcut)?;
        g.activation(name, sum, Act::Relu)
    }
}

/// The multiple of `divisor` nearest to `value`, at least one of them: timm's `make_divisible` with `round_limit` 0.
fn make_divisible(value: usize, divisor: usize) -> usize {
    ((value + divisor / 2) / divisor * divisor).max(divisor)
}
