//! VGG with batch norm (Simonyan and Zisserman 2014). Names and details of timm 1.0's `models/vgg.py`.

use super::net::{Net, conv};
use super::{Entry, Network};
use crate::error::Result;
use crate::graph::{InsertSe, Value};
use crate::ops::{Act, Conv2d, Op, Pool};

/// What a row says: the channels of each stage's 3x3 convolutions. A 2x2 pool ends a stage.
#[derive(Debug)]
struct Vgg(&'static [&'static [usize]]);

const VGG16: Entry = Entry::new(
    "vgg16_bn",
    224,
    "timm 1.0 models/vgg.py",
    &Vgg(&[&[64, 64], &[128, 128], &[256, 256, 256], &[512, 512, 512], &[512, 512, 512]]),
)
.smallest(224);

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[
    VGG16,
    VGG16.with_se("se_vgg16", |graph| {
        let relu = |op: &Op| matches!(op, Op::Activation(_));
        graph.insert_se(&InsertSe::ratio(16), |node| relu(&node.op) && node.name.starts_with("features."))
    }),
];

impl Network for Vgg {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        let mut x = image;
        // Layers are numbered on through all stages.
        let mut layer = 0..;
        let mut name = || format!("features.{}", layer.next().expect("numbers don't end"));
        for stage in self.0 {
            for &channels in *stage {
                let names = [name(), name(), name()];
                x = net.layer(names.each_ref().map(String::as_str), x, conv(channels, 3).bias(true), Act::Relu)?;
            }
            x = net.pool(&name(), x, Pool::max(2))?;
        }
        // The fully connected layers of the paper, as convolutions: a larger image gives the mean over its windows.
        for (n, kernel) in [(1, 7), (2, 1)] {
            x = net.conv(&format!("pre_logits.fc{n}"), x, Conv2d::new(4096, kernel))?;
            x = net.relu(&format!("pre_logits.act{n}"), x)?;
        }
        net.classify("head.fc", x, classes)
    }
}
