//! RegNetY (Radosavovic et al. 2020): regular stages of group convolutions with SE.
//! Names and details of timm 1.0's `models/regnet.py`; widths and depths are what its rule gives.

use super::net::{Net, conv};
use super::{Entry, Network};
use crate::error::Result;
use crate::graph::Value;
use crate::ops::{Act, SqueezeExcite};

/// What a row says.
#[derive(Debug)]
struct RegNet {
    /// Blocks and width of each stage; every stage halves the map.
    stages: [(usize, usize); 4],
    /// Channels of a group.
    group_width: usize,
}

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[
    timm("regnety_002", &RegNet { stages: [(1, 24), (1, 56), (4, 152), (7, 368)], group_width: 8 }),
    timm("regnety_008", &RegNet { stages: [(1, 64), (3, 128), (8, 320), (2, 768)], group_width: 16 }),
    timm("regnety_032", &RegNet { stages: [(2, 72), (5, 216), (13, 576), (1, 1512)], group_width: 24 }),
];

const fn timm(name: &'static str, spec: &'static RegNet) -> Entry {
    Entry::new(name, 224, "timm 1.0 models/regnet.py", spec)
}

impl Network for RegNet {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        let mut x = net.unit("stem", image, conv(32, 3).stride(2), Act::Relu)?;
        for (stage, &(blocks, width)) in (1..).zip(&self.stages) {
            for block in 1..=blocks {
                let stride = if block == 1 { 2 } else { 1 };
                x = self.block(net, &format!("s{stage}.b{block}"), x, width, stride)?;
            }
        }
        net.classify("head.fc", x, classes)
    }
}

impl RegNet {
    /// As a bottleneck of ResNet, but as wide inside as outside. SE is a quarter of the block's input.
    fn block(&self, net: &mut Net, name: &str, input: Value, width: usize, stride: usize) -> Result<Value> {
        let middle = conv(width, 3).stride(stride).groups(width / self.group_width);
        let x = net.unit(&format!("{name}.conv1"), input, conv(width, 1), Act::Relu)?;
        let x = net.unit(&format!("{name}.conv2"), x, middle, Act::Relu)?;
        let se = SqueezeExcite::new((net.channels(input) as f64 / 4.0).round_ties_even() as usize);
        let x = net.squeeze_excite(&format!("{name}.se"), x, se, ["fc1", "fc2"])?;
        let x = net.unit(&format!("{name}.conv3"), x, conv(width, 1), Act::Identity)?;
        let mut shortcut = input;
        if stride != 1 || net.channels(input) != width {
            let projection = conv(width, 1).stride(stride);
            shortcut = net.unit(&format!("{name}.downsample"), input, projection, Act::Identity)?;
        }
        let sum = net.sum(&format!("{name}.add"), x, shortcut)?;
        net.relu(name, sum)
    }
}
