//! EfficientNet-PyTorch's names (the package `efficientnet_pytorch`). Its networks are TensorFlow's, as timm's `tf_` ones
//! are: padded so, with an `eps` of 0.001.

use super::Table;

const TENSORFLOWS: &str = "EfficientNet-PyTorch's network pads as TensorFlow and has batch norms with eps 0.001, this one \
                           doesn't; name the one with tf_ before its name (`--model tf_efficientnet_…`)";

pub(super) const TABLES: &[Table] = &[Table {
    origin: "EfficientNet-PyTorch",
    networks: &[
        "tf_efficientnet_b0",
        "tf_efficientnet_b1",
        "tf_efficientnet_b2",
        "tf_efficientnet_b3",
        "tf_efficientnet_b4",
        "tf_efficientnet_b5",
        "tf_efficientnet_b6",
        "tf_efficientnet_b7",
    ],
    others: &[
        ("efficientnet_b0", TENSORFLOWS),
        ("efficientnet_b1", TENSORFLOWS),
        ("efficientnet_b2", TENSORFLOWS),
        ("efficientnet_b3", TENSORFLOWS),
        ("efficientnet_b4", TENSORFLOWS),
        ("efficientnet_b5", TENSORFLOWS),
        ("efficientnet_b6", TENSORFLOWS),
        ("efficientnet_b7", TENSORFLOWS),
    ],
    layer,
    through: true,
    ignored: None,
}];

fn layer(module: &[&str]) -> Option<String> {
    Some(match *module {
        ["conv_stem"] => "_conv_stem".into(),
        ["bn1"] => "_bn0".into(),
        ["conv_head"] => "_conv_head".into(),
        ["bn2"] => "_bn1".into(),
        ["classifier"] => "_fc".into(),
        ["blocks", stage, block, ref layer @ ..] => {
            let layer = match (stage, layer) {
                // The first stage's blocks begin with what is the second layer of the others.
                ("0", ["conv_pw"]) => "_project_conv",
                ("0", ["bn1"]) => "_bn1",
                ("0", ["bn2"]) => "_bn2",
                (_, ["conv_pw"]) => "_expand_conv",
                (_, ["bn1"]) => "_bn0",
                (_, ["conv_dw"]) => "_depthwise_conv",
                (_, ["bn2"]) => "_bn1",
                (_, ["se", "conv_reduce"]) => "_se_reduce",
                (_, ["se", "conv_expand"]) => "_se_expand",
                (_, ["conv_pwl"]) => "_project_conv",
                (_, ["bn3"]) => "_bn2",
                _ => return None,
            };
            format!("_blocks.{block}.{layer}")
        }
        _ => return None,
    })
}
