//! pytorchcv's names. Its networks for CIFAR without SE, BN-Inception and ShuffleNet gave ours their names.
//!
//! Not here, because names don't tell which network it is: `resnet50` strides in the first convolution and `resnet50b` in
//! the second, `efficientnet_b0` pads symmetrically with an `eps` of 1e-5 and `efficientnet_b0b` as TensorFlow with
//! 0.001. Not the same networks: `seresnet18` and `seresnet34` (narrower SE than timm's), `bn_vgg16` (no bias),
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
        through: false,
        ignored: None,
    },
    Table { origin: "pytorchcv", networks: &["senet154"], others: &[], layer: senet, through: false, ignored: None },
    Table {
        origin: "pytorchcv",
        networks: &["regnety_002", "regnety_008", "regnety_032"],
        others: &[],
        layer: regnet,
        through: false,
        ignored: None,
    },
    Table { origin: "pytorchcv", networks: &["vgg16_bn"], others: &[], layer: vgg, through: false, ignored: None },
    Table {
        origin: "pytorchcv",
        networks: &["densenet121"],
        others: &[],
        layer: densenet,
        through: false,
        ignored: None,
    },
    Table {
        origin: "pytorchcv",
        networks: &["inception_v3"],
        others: &[],
        layer: inception,
        through: false,
        ignored: None,
    },
    Table { origin: "pytorchcv", networks: &["xception"], others: &[], layer: xception, through: false, ignored: None },
    Table {
        origin: "pytorchcv",
        networks: &["semnasnet_100"],
        others: &[],
        layer: mnasnet,
        through: false,
        ignored: None,
    },
    Table {
        origin: "pytorchcv",
        networks: &["se_resnet110_cifar10"],
        others: &[],
        layer: cifar,
        through: false,
        ignored: None,
    },
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

fn inception(module: &[&str]) -> Option<String> {
    const STEM: [&str; 5] = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"];
    let (module, branch, last) = match *module {
        ["fc"] => return Some("output.fc".into()),
        [layer, part] => {
            let number = STEM.iter().position(|stem| *stem == layer)? + 1;
            return Some(format!("features.init_block.conv{number}.{part}"));
        }
        [module, branch, part] => (module, branch, part),
        _ => return None,
    };
    let letter = |from: u8, letters: &str| Some(letters.bytes().next()?.checked_sub(from)? + 1);
    let (stage, unit) = match module.strip_prefix("Mixed_")?.split_at_checked(1)? {
        ("5", at) => (1, letter(b'b', at)?),
        ("6", at) => (2, letter(b'a', at)?),
        ("7", at) => (3, letter(b'a', at)?),
        _ => return None,
    };
    // Modules that reduce the map have no 1x1 branch.
    let reduces = unit == 1 && stage > 1;
    let at =
        |branch: usize| format!("features.stage{stage}.unit{unit}.branches.branch{}", branch - usize::from(reduces));
    let (kind, number) = branch.split_once('_').unwrap_or((branch, "1"));
    let number = match (kind, branch) {
        ("branch1x1", _) => return Some(format!("{}.conv.{last}", at(1))),
        (_, "branch_pool") => return Some(format!("{}.conv.{last}", at(4))),
        _ => number,
    };
    let branch = match kind {
        "branch5x5" | "branch7x7" | "branch3x3" => 2,
        "branch3x3dbl" | "branch7x7dbl" | "branch7x7x3" => 3,
        _ => return None,
    };
    let layer = match number {
        "2a" | "3a" => "conv1x3".into(),
        "2b" | "3b" => "conv3x1".into(),
        number => format!("conv_list.conv{number}"),
    };
    Some(format!("{}.{layer}.{last}", at(branch)))
}

fn xception(module: &[&str]) -> Option<String> {
    /// Layers of ours that number on from the middle of the network to its end.
    fn outer(layer: &str) -> Option<String> {
        let part = if layer.starts_with("bn") { "bn" } else { "conv" };
        Some(match layer.strip_prefix(part)? {
            number @ ("1" | "2") => format!("features.init_block.conv{number}.{part}"),
            number => format!("features.final_block.conv{}.{part}", moved(number, -2)?),
        })
    }
    let separable = |layer: &str| if layer == "conv1" { "dw_conv" } else { "pw_conv" };
    let (block, inner) = match *module {
        ["fc"] => return Some("output".into()),
        [layer] => return outer(layer),
        [conv, layer] if conv.starts_with("conv") => return Some(format!("{}.{}", outer(conv)?, separable(layer))),
        [block, ref inner @ ..] => (moved(block.strip_prefix("block")?, 0)?, inner),
        [] => return None,
    };
    let (stage, unit) = match block {
        1 | 2 => (block, 1),
        3..=11 => (3, block - 2),
        _ => (4, 1),
    };
    let at = format!("features.stage{stage}.unit{unit}");
    // The first block has no ReLU before its first convolution, so its layers' numbers are one less.
    let layer = |number: &str| moved(number, if block == 1 { 1 } else { 0 });
    Some(match *inner {
        ["skip"] => format!("{at}.identity_conv.conv"),
        ["skipbn"] => format!("{at}.identity_conv.bn"),
        ["rep", number] => format!("{at}.body.block{}.bn", layer(number)? / 3 + 1),
        ["rep", number, part] => format!("{at}.body.block{}.conv.{}", layer(number)? / 3 + 1, separable(part)),
        _ => return None,
    })
}

fn mnasnet(module: &[&str]) -> Option<String> {
    let (at, layer) = match *module {
        ["conv_stem"] => return Some("features.init_block.conv1.conv".into()),
        ["bn1"] => return Some("features.init_block.conv1.bn".into()),
        ["conv_head"] => return Some("features.final_block.conv2.conv".into()),
        ["bn2"] => return Some("features.final_block.conv2.bn".into()),
        ["classifier"] => return Some("output".into()),
        ["blocks", "0", "0", layer] => {
            let layer = match layer {
                "conv_dw" => "dw_conv.conv",
                "bn1" => "dw_conv.bn",
                "conv_pw" => "pw_conv.conv",
                "bn2" => "pw_conv.bn",
                _ => return None,
            };
            return Some(format!("features.init_block.conv2.{layer}"));
        }
        // Two of our stages in a row keep the map's size: they are one of theirs.
        ["blocks", "4", block, ref layer @ ..] => (format!("stage3.unit{}", moved(block, 5)?), layer),
        ["blocks", "5", block, ref layer @ ..] => (format!("stage4.unit{}", moved(block, 1)?), layer),
        ["blocks", "6", "0", ref layer @ ..] => ("final_block.conv1".into(), layer),
        ["blocks", stage, block, ref layer @ ..] => (format!("stage{stage}.unit{}", moved(block, 1)?), layer),
        _ => return None,
    };
    let layer = match *layer {
        ["conv_pw"] => "exp_conv.conv",
        ["bn1"] => "exp_conv.bn",
        ["conv_dw"] => "dw_conv.conv",
        ["bn2"] => "dw_conv.bn",
        ["se", "conv_reduce"] => "se.conv1",
        ["se", "conv_expand"] => "se.conv2",
        ["conv_pwl"] => "pw_conv.conv",
        ["bn3"] => "pw_conv.bn",
        _ => return None,
    };
    Some(format!("features.{at}.{layer}"))
}

fn cifar(module: &[&str]) -> Option<String> {
    Some(match *module {
        [ref unit @ .., "se", layer] => format!("{}.se.conv{}", unit.join("."), layer.strip_prefix("fc")?),
        _ => module.join("."),
    })
}
