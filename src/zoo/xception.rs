//! Xception (Chollet 2017). Names and details of timm 1.0's `models/xception.py` (`legacy_xception`).

use super::net::{Net, conv, depthwise};
use super::{Entry, Network};
use crate::error::Result;
use crate::graph::Value;
use crate::ops::{Act, Conv2d, Pool};

/// What a row says: the channels of each block's separable convolutions, and whether it halves the map.
#[derive(Debug)]
struct Xception(&'static [(&'static [usize], bool)]);

const MIDDLE: (&[usize], bool) = (&[728, 728, 728], false);

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[Entry::new(
    "xception",
    299,
    "timm 1.0 models/xception.py",
    &Xception(&[
        (&[128, 128], true),
        (&[256, 256], true),
        (&[728, 728], true),
        MIDDLE,
        MIDDLE,
        MIDDLE,
        MIDDLE,
        MIDDLE,
        MIDDLE,
        MIDDLE,
        MIDDLE,
        (&[728, 1024], true),
    ]),
)];

impl Network for Xception {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        let valid = |channels| Conv2d::new(channels, 3).bias(false);
        let x = net.layer(["conv1", "bn1", "act1"], image, valid(32).stride(2), Act::Relu)?;
        let mut x = net.layer(["conv2", "bn2", "act2"], x, valid(64), Act::Relu)?;
        for (n, &(channels, halve)) in (1..).zip(self.0) {
            x = block(net, &format!("block{n}"), x, channels, halve, n > 1)?;
        }
        for (n, channels) in [(3, 1536), (4, 2048)] {
            x = separable(net, &format!("conv{n}"), x, channels)?;
            x = net.norm(&format!("bn{n}"), x)?;
            x = net.relu(&format!("act{n}"), x)?;
        }
        net.classify("fc", x, classes)
    }
}

/// ReLU, separable convolution, norm, as often as there are channels; then the sum with the input.
fn block(net: &mut Net, name: &str, input: Value, channels: &[usize], halve: bool, relu_first: bool) -> Result<Value> {
    let mut x = input;
    // Layers of the branch are numbered; a branch without its first ReLU starts with the convolution.
    let mut layer = 0..;
    let mut next = || format!("{name}.rep.{}", layer.next().expect("numbers don't end"));
    for (i, &channels) in channels.iter().enumerate() {
        if i > 0 || relu_first {
            x = net.relu(&next(), x)?;
        }
        x = separable(net, &next(), x, channels)?;
        x = net.norm(&next(), x)?;
    }
    let mut shortcut = input;
    if halve {
        x = net.pool(&next(), x, Pool::max(3).stride(2).padding(1))?;
        let [skip, norm] = ["skip", "skipbn"].map(|part| format!("{name}.{part}"));
        let projection = conv(net.channels(x), 1).stride(2);
        shortcut = net.layer([&skip, &norm, ""], input, projection, Act::Identity)?;
    }
    net.sum(&format!("{name}.add"), x, shortcut)
}

/// Depthwise 3x3, then 1x1.
fn separable(net: &mut Net, name: &str, x: Value, channels: usize) -> Result<Value> {
    let x = net.conv(&format!("{name}.conv1"), x, depthwise(net.channels(x), 3))?;
    net.conv(&format!("{name}.pointwise"), x, conv(channels, 1))
}
