//! torchvision's names. Its ResNets, ResNeXts and DenseNets have timm's.
//!
//! Not the same networks, and so not here: MobileNetV3 (`eps` is 0.001, timm's 1e-5; timm's `tf_` pads otherwise) and
//! EfficientNetV2 (pads symmetrically, timm's `tf_efficientnetv2_s` as TensorFlow), RegNetY 400MF and 800MF (other
//! widths).

use super::{Table, moved};

const EPS: &str = "torchvision's network has batch norms with eps 0.001, this one 1e-5";
const PADS: &str = "torchvision's network pads symmetrically, this one as TensorFlow; name the one without tf_ before its \
                    name (`--model efficientnet_…`)";
const PADS_AND_EPS: &str = "torchvision's network pads symmetrically, this one as TensorFlow";

pub(super) const TABLES: &[Table] = &[
    Table {
        origin: "torchvision",
        networks: &["efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"],
        others: &[
            ("efficientnet_b5", EPS),
            ("efficientnet_b6", EPS),
            ("efficientnet_b7", EPS),
            ("tf_efficientnet_b0", PADS),
            ("tf_efficientnet_b1", PADS),
            ("tf_efficientnet_b2", PADS),
            ("tf_efficientnet_b3", PADS),
            ("tf_efficientnet_b4", PADS),
            ("tf_efficientnet_b5", PADS_AND_EPS),
            ("tf_efficientnet_b6", PADS_AND_EPS),
            ("tf_efficientnet_b7", PADS_AND_EPS),
        ],
        layer: efficientnet,
        through: false,
        ignored: None,
    },
    Table {
        origin: "torchvision",
        networks: &["regnety_032"],
        others: &[],
        layer: regnet,
        through: false,
        ignored: None,
    },
    Table { origin: "torchvision", networks: &["vgg16_bn"], others: &[], layer: vgg, through: false, ignored: None },
    // timm's names, and a second classifier that only training uses.
    Table {
        origin: "torchvision",
        networks: &["inception_v3"],
        others: &[],
        layer: |module| Some(module.join(".")),
        through: false,
        ignored: Some("AuxLogits."),
    },
];

fn efficientnet(module: &[&str]) -> Option<String> {
    Some(match *module {
        ["conv_stem"] => "features.0.0".into(),
        ["bn1"] => "features.0.1".into(),
        ["conv_head"] => "features.8.0".into(),
        ["bn2"] => "features.8.1".into(),
        ["classifier"] => "classifier.1".into(),
        ["blocks", stage, block, ref layer @ ..] => {
            // The first stage's blocks begin with what is the second layer of the others.
            let (first, layer) = match (stage, layer) {
                ("0", ["conv_pw"]) => (1, ["conv_pwl"].as_slice()),
                ("0", ["bn2"]) => (1, ["bn3"].as_slice()),
                ("0", ["bn1"]) => (1, ["bn2"].as_slice()),
                ("0", other) => (1, other),
                (_, other) => (0, other),
            };
            let (at, part) = match *layer {
                ["conv_pw"] => (0, "0"),
                ["bn1"] => (0, "1"),
                ["conv_dw"] => (1, "0"),
                ["bn2"] => (1, "1"),
                ["se", "conv_reduce"] => (2, "fc1"),
                ["se", "conv_expand"] => (2, "fc2"),
                ["conv_pwl"] => (3, "0"),
                ["bn3"] => (3, "1"),
                _ => return None,
            };
            format!("features.{}.{block}.block.{}.{part}", moved(stage, 1)?, at - first)
        }
        _ => return None,
    })
}

fn regnet(module: &[&str]) -> Option<String> {
    let part = |layer: &str| if layer == "conv" { "0" } else { "1" };
    Some(match *module {
        ["stem", layer] => format!("stem.{}", part(layer)),
        ["head", "fc"] => "fc".into(),
        [stage, block, ref inner @ ..] => {
            let stage = stage.strip_prefix('s')?;
            let at = format!("trunk_output.block{stage}.block{stage}-{}", moved(block.strip_prefix('b')?, -1)?);
            match *inner {
                ["conv1", layer] => format!("{at}.f.a.{}", part(layer)),
                ["conv2", layer] => format!("{at}.f.b.{}", part(layer)),
                ["conv3", layer] => format!("{at}.f.c.{}", part(layer)),
                ["se", layer] => format!("{at}.f.se.{layer}"),
                ["downsample", layer] => format!("{at}.proj.{}", part(layer)),
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn vgg(module: &[&str]) -> Option<String> {
    Some(match *module {
        ["features", layer] => format!("features.{layer}"),
        ["pre_logits", "fc1"] => "classifier.0".into(),
        ["pre_logits", "fc2"] => "classifier.3".into(),
        ["head", "fc"] => "classifier.6".into(),
        _ => return None,
    })
}
