//! DenseNet (Huang et al. 2017). Names and details of timm 1.0's `models/densenet.py`.

use super::net::{Net, conv};
use super::{Entry, Network};
use crate::error::Result;
use crate::graph::Value;
use crate::ops::{Act, Pool};

/// What a row says.
#[derive(Debug)]
struct DenseNet {
    /// Layers of each block.
    layers: &'static [usize],
    /// Channels that a layer adds.
    growth: usize,
}

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[Entry::new(
    "densenet121",
    224,
    "timm 1.0 models/densenet.py",
    &DenseNet { layers: &[6, 12, 24, 16], growth: 32 },
)];

impl Network for DenseNet {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        let names = ["features.conv0", "features.norm0", "features.norm0.act"];
        let x = net.layer(names, image, conv(64, 7).stride(2), Act::Relu)?;
        let mut x = net.pool("features.pool0", x, Pool::max(3).stride(2).padding(1))?;
        for (block, &layers) in (1..).zip(self.layers) {
            for layer in 1..=layers {
                let name = format!("features.denseblock{block}.denselayer{layer}");
                let added = pre_activated(net, &name, ["norm1", "conv1"], x, 4 * self.growth, 1)?;
                let added = pre_activated(net, &name, ["norm2", "conv2"], added, self.growth, 3)?;
                x = net.concat(&format!("{name}.cat"), &[x, added])?;
            }
            if block < self.layers.len() {
                let name = format!("features.transition{block}");
                let half = net.channels(x) / 2;
                x = pre_activated(net, &name, ["norm", "conv"], x, half, 1)?;
                x = net.pool(&format!("{name}.pool"), x, Pool::avg(2))?;
            }
        }
        x = net.norm("features.norm5", x)?;
        x = net.relu("features.norm5.act", x)?;
        net.classify("classifier", x, classes)
    }
}

/// Norm, ReLU, convolution.
fn pre_activated(net: &mut Net, at: &str, names: [&str; 2], x: Value, channels: usize, kernel: usize) -> Result<Value> {
    let [norm, name] = names.map(|part| format!("{at}.{part}"));
    let x = net.norm(&norm, x)?;
    let x = net.relu(&format!("{norm}.act"), x)?;
    net.conv(&name, x, conv(channels, kernel))
}
