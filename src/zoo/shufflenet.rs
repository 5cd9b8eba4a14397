//! ShuffleNet (Zhang et al. 2018). Names and details of pytorchcv's `models/shufflenet.py`.

use super::net::{Net, conv, depthwise};
use super::{Entry, Network};
use crate::error::Result;
use crate::graph::{InsertSe, Value};
use crate::ops::{Act, ChannelShuffle, Op, Pool};

/// What a row says.
#[derive(Debug)]
struct ShuffleNet {
    groups: usize,
    /// Units and channels of each stage.
    stages: [(usize, usize); 3],
}

const G3: Entry = Entry::new(
    "shufflenet_g3_w1",
    224,
    "pytorchcv 0.0.74 models/shufflenet.py",
    &ShuffleNet { groups: 3, stages: [(4, 240), (8, 480), (4, 960)] },
);

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[
    G3,
    G3.with_se("se_shufflenet", |graph| {
        graph.insert_se_named(&InsertSe::ratio(16), |node| {
            let unit = node.name.strip_suffix(".expand_bn3")?;
            Some(format!("{unit}.se"))
        })
    }),
];

impl Network for ShuffleNet {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        let mut x = net.unit("features.init_block", image, conv(24, 3).stride(2), Act::Relu)?;
        x = net.pool("features.init_block.pool", x, Pool::max(3).stride(2).padding(1))?;
        for (stage, &(units, channels)) in (1..).zip(&self.stages) {
            for unit in 1..=units {
                // The very first unit has too few channels to group.
                let groups = if (stage, unit) == (1, 1) { 1 } else { self.groups };
                x = self.unit(net, &format!("features.stage{stage}.unit{unit}"), x, channels, groups, unit == 1)?;
            }
        }
        net.classify("output", x, classes)
    }
}

impl ShuffleNet {
    /// Group 1x1, shuffle, depthwise, group 1x1; then the sum with the input, or its mean pool beside it.
    fn unit(
        &self,
        net: &mut Net,
        name: &str,
        input: Value,
        channels: usize,
        first_groups: usize,
        halve: bool,
    ) -> Result<Value> {
        let part = |part: &str| format!("{name}.{part}");
        let (middle, stride) = (channels / 4, if halve { 2 } else { 1 });
        let added = if halve { channels - net.channels(input) } else { channels };
        let names = [part("compress_conv1"), part("compress_bn1"), part("compress_act1")];
        let compress = conv(middle, 1).groups(first_groups);
        let x = net.layer(names.each_ref().map(String::as_str), input, compress, Act::Relu)?;
        let x = net.add(&part("c_shuffle"), Op::ChannelShuffle(ChannelShuffle { groups: self.groups }), x)?;
        let names = [part("dw_conv2"), part("dw_bn2")];
        let x = net.layer([&names[0], &names[1], ""], x, depthwise(middle, 3).stride(stride), Act::Identity)?;
        let names = [part("expand_conv3"), part("expand_bn3")];
        let x = net.layer([&names[0], &names[1], ""], x, conv(added, 1).groups(self.groups), Act::Identity)?;
        let x = if halve {
            let beside = net.pool(&part("avgpool"), input, Pool::avg(3).stride(2).padding(1))?;
            net.concat(&part("cat"), &[x, beside])?
        } else {
            net.sum(&part("add"), x, input)?
        };
        net.relu(name, x)
    }
}
