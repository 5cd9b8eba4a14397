//! Networks for images of 32x32: ResNet (He et al. 2016), pre-activation ResNet (2016), wide ResNet (Zagoruyko and
//! Komodakis 2016), and Shake-Shake (Gastaldi 2017), whose two branches are averaged outside of training.
//! Names and details of pytorchcv's `models/*_cifar.py`; Shake-Even is the SENet paper's, with names of its own.

use super::net::{Net, conv};
use super::{Entry, Network, SE_PAPER};
use crate::error::Result;
use crate::graph::{Graph, InsertSe, SePosition, Value};
use crate::ops::{Act, Op, Pad};

/// What a row says.
#[derive(Clone, Copy, Debug)]
struct Cifar {
    kind: Kind,
    /// Channels after the first convolution.
    stem: usize,
    /// Units of each of the three stages; stages after the first halve the map and double the width.
    units: usize,
    /// Width of the first stage.
    width: usize,
    /// Whether a unit is 1x1, 3x3, 1x1 to four times the width, and not two 3x3.
    bottleneck: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Convolution, norm, ReLU.
    Post,
    /// Norm, ReLU, convolution.
    Pre,
    Shake,
}

const RESNET110: Entry =
    cifar10("resnet110_cifar10", &Cifar { kind: Kind::Post, stem: 16, units: 18, width: 16, bottleneck: false });
const PRERESNET164: Entry =
    cifar10("preresnet164_cifar10", &Cifar { kind: Kind::Pre, stem: 16, units: 18, width: 16, bottleneck: true });
const WRN16_8: Entry =
    cifar10("wrn16_8_cifar10", &Cifar { kind: Kind::Pre, stem: 16, units: 2, width: 128, bottleneck: false });
const SHAKE26: Entry = cifar10(
    "shakeshake26_2x96d_cifar10",
    &Cifar { kind: Kind::Shake, stem: 16, units: 4, width: 96, bottleneck: false },
);
const EVEN29: Entry =
    Entry::new("shakeeven29_2x4x64d_cifar100", 32, SE_PAPER, &ShakeEven { cardinality: 4, width: 64 })
        .smallest(8)
        .classes(100);

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[
    RESNET110,
    PRERESNET164,
    WRN16_8,
    SHAKE26,
    EVEN29,
    RESNET110.with_se("se_resnet110_cifar10", every_unit),
    PRERESNET164.with_se("se_preresnet164_cifar10", every_unit),
    WRN16_8.with_se("se_wrn16_8_cifar10", every_unit),
    SHAKE26.with_se("se_shakeshake26_2x96d_cifar10", every_unit),
    EVEN29.with_se("se_shakeeven29_2x4x64d_cifar100", every_unit),
];

const fn cifar10(name: &'static str, spec: &'static Cifar) -> Entry {
    Entry::new(name, 32, "pytorchcv 0.0.74 models/*_cifar.py", spec).smallest(8).classes(10)
}

fn every_unit(graph: &Graph) -> Result<Graph> {
    graph.insert_se_in_blocks(&InsertSe::ratio(16), SePosition::Standard, |_| true)
}

impl Network for Cifar {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        let mut x = match self.kind {
            Kind::Pre => net.conv("features.init_block", image, conv(self.stem, 3))?,
            Kind::Post | Kind::Shake => net.unit("features.init_block", image, conv(self.stem, 3), Act::Relu)?,
        };
        for stage in 0..3 {
            let width = self.width << stage;
            for unit in 1..=self.units {
                let stride = if stage > 0 && unit == 1 { 2 } else { 1 };
                x = self.unit(net, &format!("features.stage{}.unit{unit}", stage + 1), x, width, stride)?;
            }
        }
        if self.kind == Kind::Pre {
            x = net.norm("features.post_activ.bn", x)?;
            x = net.relu("features.post_activ.activ", x)?;
        }
        net.classify("output", x, classes)
    }
}

impl Cifar {
    fn unit(&self, net: &mut Net, name: &str, input: Value, width: usize, stride: usize) -> Result<Value> {
        let at = |part: &str| format!("{name}.{part}");
        let out = if self.bottleneck { 4 * width } else { width };
        let resize = stride != 1 || net.channels(input) != out;
        let projection = conv(out, 1).stride(stride);
        if self.kind == Kind::Pre {
            let (x, activated) = self.branch(net, &at("body"), input, width, stride)?;
            let shortcut = if resize { net.conv(&at("identity_conv"), activated, projection)? } else { input };
            return net.sum(&at("add"), x, shortcut);
        }
        let (x, shortcut) = if self.kind == Kind::Shake {
            let (a, _) = self.branch(net, &at("branch1"), input, width, stride)?;
            let (b, _) = self.branch(net, &at("branch2"), input, width, stride)?;
            let shortcut =
                if resize { shake_shortcut(net, &at("identity_branch"), input, out, stride)? } else { input };
            (mean(net, name, a, b)?, shortcut)
        } else {
            let (x, _) = self.branch(net, &at("body"), input, width, stride)?;
            let name = at("identity_conv");
            let shortcut = if resize { net.unit(&name, input, projection, Act::Identity)? } else { input };
            (x, shortcut)
        };
        let sum = net.sum(&at("add"), x, shortcut)?;
        net.relu(name, sum)
    }

    /// The branch's value, and the first activation's.
    fn branch(&self, net: &mut Net, name: &str, input: Value, width: usize, stride: usize) -> Result<(Value, Value)> {
        let convs = match self.bottleneck {
            false => vec![conv(width, 3).stride(stride), conv(width, 3)],
            true => vec![conv(width, 1), conv(width, 3).stride(stride), conv(4 * width, 1)],
        };
        let (mut x, mut first, last) = (input, None, convs.len());
        for (n, conv) in (1..).zip(convs) {
            let name = format!("{name}.conv{n}");
            if self.kind == Kind::Pre {
                x = net.norm(&format!("{name}.bn"), x)?;
                x = net.relu(&format!("{name}.activ"), x)?;
                first.get_or_insert(x);
                x = net.conv(&format!("{name}.conv"), x, conv)?;
            } else {
                x = net.unit(&name, x, conv, if n < last { Act::Relu } else { Act::Identity })?;
                first.get_or_insert(x);
            }
        }
        Ok((x, first.unwrap_or(input)))
    }
}

/// Shake-Even: as Shake-Shake, with branches of ResNeXt. Says cardinality and width of a group.
#[derive(Debug)]
struct ShakeEven {
    cardinality: usize,
    width: usize,
}

impl Network for ShakeEven {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        let mut x = net.layer(["conv1", "bn1", "relu"], image, conv(64, 3), Act::Relu)?;
        for stage in 0..3 {
            let width = (self.cardinality * self.width) << stage;
            for unit in 0..3 {
                let stride = if stage > 0 && unit == 0 { 2 } else { 1 };
                let name = format!("stage{}.{unit}", stage + 1);
                let [a, b] = ["branch1", "branch2"].map(|branch| {
                    let mut y = x;
                    let middle = conv(width, 3).stride(stride).groups(self.cardinality);
                    for (n, conv) in (1..).zip([conv(width, 1), middle, conv(width, 1)]) {
                        let names = ["conv", "bn", "relu"].map(|layer| format!("{name}.{branch}.{layer}{n}"));
                        let act = if n < 3 { Act::Relu } else { Act::Identity };
                        y = net.layer(names.each_ref().map(String::as_str), y, conv, act)?;
                    }
                    Ok(y)
                });
                let mut shortcut = x;
                if stride != 1 || net.channels(x) != width {
                    shortcut = shake_shortcut(net, &format!("{name}.shortcut"), x, width, stride)?;
                }
                let branches = mean(net, &name, a?, b?)?;
                let sum = net.sum(&format!("{name}.add"), branches, shortcut)?;
                x = net.relu(&name, sum)?;
            }
        }
        net.classify("fc", x, classes)
    }
}

fn mean(net: &mut Net, unit: &str, a: Value, b: Value) -> Result<Value> {
    let sum = net.sum(&format!("{unit}.branches"), a, b)?;
    net.times(&format!("{unit}.mean"), sum, 0.5)
}

/// Half of the channels from every second pixel, half from those one above and to the left of them.
fn shake_shortcut(net: &mut Net, name: &str, x: Value, channels: usize, stride: usize) -> Result<Value> {
    let at = |part: &str| format!("{name}.{part}");
    let half = conv(channels / 2, 1).stride(stride);
    let here = net.conv(&at("conv1"), x, half.clone())?;
    let shifted = net.add(&at("shift"), Op::Pad(Pad { top: 1, bottom: -1, left: 1, right: -1 }), x)?;
    let there = net.conv(&at("conv2"), shifted, half)?;
    let both = net.concat(&at("cat"), &[here, there])?;
    net.norm(&at("bn"), both)
}
