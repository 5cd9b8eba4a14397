//! pytorchcv's names. Its networks for CIFAR without SE, BN-Inception and ShuffleNet gave ours their names.
//!
//! Not here, because names don't tell which network it is: `resnet50` strides in the first convolution and `resnet50b` in
//! the second, `efficientnet_b0` pads symmetrically with an `eps` of 1e-5 and `efficientnet_b0b` as TensorFlow with 0.001.
//! Not the same networks: `seresnet18` and `seresnet34` (narrower SE than timm's), `bn_vgg16` (no bias),
//! `sepreresnet164bn_cifar10` (a norm after the first convolution, none after the last).

use super::{Table, moved};

const STRIDE: &str = "pytorchcv calls the tensors of networks that stride in the first and in the second convolution of a \
                      block the same: which these are can't be known";

pub(super) const TABLES: &[Table] = &[
    Table {
        origin: "pytorchcv",
        networks: &["resnext50_32x4d", "resnext101_32x4d", "seresnext50_32x4d", "seresnext101_32x4d"],
        others: &[
            ("resnet50", STRIDE),
            ("resnet101", STRIDE),
            ("resnet152", STRIDE),
            ("seresnet50", STRIDE),
            ("seresnet101", STRIDE),
            ("seresnet152", STRIDE),
            ("abl_resnet50", STRIDE),
            ("abl_seresnet50_r16", STRIDE),
        ],
        layer: resnext,
        ignored: None,
    },
    Table { origin: "pytorchcv", networks: &["senet154"], others: &[], layer: senet, ignored: None },
    Table {
        origin: "pytorchcv",
        networks: &["regnety_002", "regnety_008", "regnety_032"],
        others: &[],
        layer: regnet,
        ignored: None,
    },
    Table { origin: "pytorchcv", networks: &["vgg16_bn"], others: &[], layer: vgg, ignored: None },
    Table { origin: "pytorchcv", networks: &["densenet121"], others: &[], layer: densenet, ignored: None },
    Table { origin: "pytorchcv", networks: &["se_resnet110_cifar10"], others: &[], layer: cifar, ignored: None },
];

fn resnext(module: &[&str]) -> Option<String> {
    Some(match *module {
        ["conv1"] => "features.init_block.conv.conv".into(),
        ["bn1"] => "features.init_block.conv.bn".into(),
        ["fc"] => "output".into(),
        _ => return bottleneck(module),
    })
}

fn senet(module: &[&str]) -> Option<String> {
    Some(match *module {
        ["conv1", "0"] => "features.init_block.conv1.conv".into(),
        ["conv1", "1"] => "features.init_block.conv1.bn".into(),
        ["conv1", "3"] => "features.init_block.conv2.conv".into(),
        ["conv1", "4"] => "features.init_block.conv2.bn".into(),
        ["conv1", "6"] => "features.init_block.conv3.conv".into(),
        ["bn1"] => "features.init_block.conv3.bn".into(),
        ["fc"] => "output.fc".into(),
        _ => return bottleneck(module),
    })
}

fn bottleneck(module: &[&str]) -> Option<String> {
    let [stage, block, ref layer @ ..] = *module else { return None };
    let at = format!("features.stage{}.unit{}", stage.strip_prefix("layer")?, moved(block, 1)?);
    Some(match *layer {
        ["se", layer] => format!("{at}.se.conv{}", layer.strip_prefix("fc")?),
        ["downsample", "0"] => format!("{at}.identity_conv.conv"),
        ["downsample", "1"] => format!("{at}.identity_conv.bn"),
        [layer] => match layer.strip_prefix("conv") {
            Some(number) => format!("{at}.body.conv{number}.conv"),
            None => format!("{at}.body.conv{}.bn", layer.strip_prefix("bn")?),
        },
        _ => return None,
    })
}

fn regnet(module: &[&str]) -> Option<String> {
    Some(match *module {
        ["stem", layer] => format!("features.init_block.{layer}"),
        ["head", "fc"] => "output".into(),
        [stage, block, ref inner @ ..] => {
            let at = format!("features.stage{}.unit{}", stage.strip_prefix('s')?, block.strip_prefix('b')?);
            match *inner {
                ["se", layer] => format!("{at}.body.se.conv{}", layer.strip_prefix("fc")?),
                ["downsample", layer] => format!("{at}.identity_conv.{layer}"),
                [conv, layer] => format!("{at}.body.{conv}.{layer}"),
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn vgg(module: &[&str]) -> Option<String> {
    Some(match *module {
        ["features", layer] => {
            // Convolution, norm and ReLU are three layers, a stage's pool is one.
            let mut layer = moved(layer, 0)?;
            let mut stage = 0;
            for convs in [2, 2, 3, 3, 3] {
                stage += 1;
                if layer < 3 * convs {
                    break;
                }
                layer = layer.checked_sub(3 * convs + 1)?;
            }
            let part = ["conv", "bn"].get(layer % 3)?;
            format!("features.stage{stage}.unit{}.{part}", layer / 3 + 1)
        }
        ["pre_logits", layer] => format!("output.{layer}.fc"),
        ["head", "fc"] => "output.fc3".into(),
        _ => return None,
    })
}

fn densenet(module: &[&str]) -> Option<String> {
    Some(match *module {
        ["classifier"] => "output".into(),
        ["features", "conv0"] => "features.init_block.conv".into(),
        ["features", "norm0"] => "features.init_block.bn".into(),
        ["features", "norm5"] => "features.post_activ.bn".into(),
        ["features", block, layer] => {
            let stage = moved(block.strip_prefix("transition")?, 1)?;
            format!("features.stage{stage}.trans{stage}.conv.{}", if layer == "norm" { "bn" } else { layer })
        }
        ["features", block, unit, layer] => {
            let at =
                format!("features.stage{}.unit{}", block.strip_prefix("denseblock")?, unit.strip_prefix("denselayer")?);
            match layer.strip_prefix("norm") {
                Some(number) => format!("{at}.conv{number}.bn"),
                None => format!("{at}.{layer}.conv"),
            }
        }
        _ => return None,
    })
}

fn cifar(module: &[&str]) -> Option<String> {
    Some(match *module {
        [ref unit @ .., "se", layer] => format!("{}.se.conv{}", unit.join("."), layer.strip_prefix("fc")?),
        _ => module.join("."),
    })
}
