//! The networks of the SENet paper (Hu et al., arXiv 1709.01507, version 4): multiply-adds and parameters as we count
//! them, beside those that its tables 2, 3, 10, 13, 15 and 16 give.

use crate::error::Result;
use crate::graph::Graph;
use crate::zoo;

/// Largest difference that needs no reason, in per cent.
pub const TOLERANCE: f64 = 2.0;

/// A network as built and as published.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The paper's name of the network.
    pub network: &'static str,
    /// Reduction ratio; none without SE.
    pub ratio: Option<usize>,
    /// The table that has the published numbers, or the network where none has.
    pub source: &'static str,
    /// Multiply-adds of one image.
    pub macs: Count,
    /// Parameters.
    pub parameters: Count,
    /// Why a count differs by more than [`TOLERANCE`].
    pub reason: Option<&'static str>,
}

/// A number of multiply-adds or parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Ours.
    pub counted: u64,
    /// The paper's, where it has one.
    pub published: Option<f64>,
}

impl Count {
    /// By how much ours is above the paper's, in per cent.
    pub fn difference(&self) -> Option<f64> {
        self.published.map(|published| (self.counted as f64 / published - 1.0) * 100.0)
    }
}

/// Multiply-adds and parameters in print.
type Published = (Option<f64>, Option<f64>);

/// Ratio (none without SE), table, and what it says.
type Cell = (Option<usize>, &'static str, Published);

/// A network and its SE network.
struct Family {
    network: &'static str,
    /// The SE network in the zoo.
    entry: &'static str,
    published: &'static [Cell],
    /// What to say of ratios that aren't in print.
    otherwise: &'static str,
    reason: Option<&'static str>,
}

/// Ratios that every network is counted at.
const RATIOS: [usize; 4] = [4, 8, 16, 32];

const FAMILIES: &[Family] = &[
    family(
        "ResNet-50",
        "abl_seresnet50_r16",
        &[
            (None, "tables 2, 10", (Some(3.86e9), Some(25.6e6))),
            (Some(2), "table 10", (None, Some(45.7e6))),
            (Some(4), "table 10", (None, Some(35.7e6))),
            (Some(8), "table 10", (None, Some(30.7e6))),
            (Some(16), "tables 2, 10", (Some(3.87e9), Some(28.1e6))),
            (Some(32), "table 10", (None, Some(26.9e6))),
        ],
    ),
    family("ResNet-101", "legacy_seresnet101", &table2(7.58e9, 7.60e9)),
    family("ResNet-152", "legacy_seresnet152", &table2(11.30e9, 11.32e9)),
    family("ResNeXt-50 32x4d", "legacy_seresnext50_32x4d", &table2(4.24e9, 4.25e9)),
    family("ResNeXt-101 32x4d", "legacy_seresnext101_32x4d", &table2(7.99e9, 8.00e9)),
    family("VGG-16", "se_vgg16", &table2(15.47e9, 15.48e9)),
    family("BN-Inception", "se_bninception", &table2(2.03e9, 2.04e9)),
    family("Inception-ResNet-v2", "se_inception_resnet_v2", &table2(11.75e9, 11.76e9)).because(
        "Built are the 10, 20 and 10 blocks of TensorFlow's release, as in timm. With 5, 20 and 5 it would have \
         11.76 GFLOPs without SE; the paper doesn't say how many it has.",
    ),
    family(
        "MobileNet",
        "se_mobilenet",
        &[(None, "table 3", (Some(569e6), Some(4.2e6))), (Some(16), "table 3", (Some(572e6), Some(4.7e6)))],
    ),
    family(
        "ShuffleNet",
        "se_shufflenet",
        &[(None, "table 3", (Some(140e6), Some(1.8e6))), (Some(16), "table 3", (Some(142e6), Some(2.4e6)))],
    )
    .because(
        "0.140 GFLOPs is the size that its authors name it by; for g = 3 they count 0.137 (arXiv 1707.01083, table 1). \
         The 0.002 of SE are 0.0006 for its layers and 0.0016 for the squeeze's sums, which are not counted here. \
         The parameters are ours cut off after a digit, not rounded.",
    ),
    unpublished("SENet-154", "legacy_senet154", "errors only (tables 8, 9)"),
    unpublished("ResNet-152, Places365", "legacy_seresnet152_places365", "errors only (table 6)"),
    unpublished("ResNet-110, CIFAR-10", "se_resnet110_cifar10", "errors only (table 4)"),
    unpublished("ResNet-164, CIFAR-10", "se_preresnet164_cifar10", "errors only (table 4)"),
    unpublished("WRN-16-8, CIFAR-10", "se_wrn16_8_cifar10", "errors only (table 4)"),
    unpublished("Shake-Shake 26 2x96d", "se_shakeshake26_2x96d_cifar10", "errors only (table 4)"),
    unpublished("Shake-Even 29 2x4x64d", "se_shakeeven29_2x4x64d_cifar100", "errors only (table 5)"),
];

/// Without and with SE; the table has no parameters.
const fn table2(plain: f64, se: f64) -> [Cell; 2] {
    [(None, "table 2", (Some(plain), None)), (Some(16), "table 2", (Some(se), None))]
}

const fn family(network: &'static str, entry: &'static str, published: &'static [Cell]) -> Family {
    Family { network, entry, published, otherwise: "not published", reason: None }
}

const fn unpublished(network: &'static str, entry: &'static str, otherwise: &'static str) -> Family {
    Family { network, entry, published: &[], otherwise, reason: None }
}

impl Family {
    /// Why its published numbers differ from ours.
    const fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

/// Variants of SE-ResNet-50.
const ABLATIONS: &[(&str, &str, &str, Published)] = &[
    ("ResNet-50, SE in stage 2", "abl_seresnet50_stage2", "table 13", (Some(3.86e9), Some(25.6e6))),
    ("ResNet-50, SE in stage 3", "abl_seresnet50_stage3", "table 13", (Some(3.86e9), Some(25.7e6))),
    ("ResNet-50, SE in stage 4", "abl_seresnet50_stage4", "table 13", (Some(3.86e9), Some(26.4e6))),
    ("ResNet-50, SE after 3x3", "abl_seresnet50_3x3", "table 15", (Some(3.86e9), Some(25.8e6))),
    ("ResNet-50, NoSqueeze", "abl_resnet50_nosqueeze", "table 16", (Some(4.27e9), Some(28.1e6))),
];

/// All networks of the paper, plain and with SE at r = 4, 8, 16 and 32, then its variants of SE-ResNet-50.
///
/// # Errors
/// A network can't be built.
pub fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for family in FAMILIES {
        let se = zoo::build(family.entry, &zoo::Options::default())?;
        let printed = family.published.iter().filter_map(|(ratio, ..)| *ratio);
        let mut ratios: Vec<usize> = RATIOS.into_iter().chain(printed).collect();
        ratios.sort_unstable();
        ratios.dedup();
        for ratio in std::iter::once(None).chain(ratios.into_iter().map(Some)) {
            let graph = ratio.map_or_else(|| se.remove_se(), |ratio| se.with_se_ratio(ratio))?;
            let cell = family.published.iter().find(|(published, ..)| *published == ratio);
            rows.push(match cell {
                Some(&(_, table, published)) => row(family.network, ratio, table, &graph, published, family.reason),
                None => row(family.network, ratio, family.otherwise, &graph, (None, None), None),
            });
        }
    }
    for &(network, entry, source, published) in ABLATIONS {
        let graph = zoo::build(entry, &zoo::Options::default())?;
        rows.push(row(network, Some(16), source, &graph, published, None));
    }
    Ok(rows)
}

fn row(
    network: &'static str,
    ratio: Option<usize>,
    source: &'static str,
    graph: &Graph,
    (macs, parameters): Published,
    reason: Option<&'static str>,
) -> Row {
    let macs = Count { counted: graph.macs(), published: macs };
    let parameters = Count { counted: graph.parameter_count(), published: parameters };
    Row { network, ratio, source, macs, parameters, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    #[test]
    fn inception_resnet_v2_has_other_blocks() {
        let graph = zoo::build("inception_resnet_v2", &zoo::Options::default()).unwrap();
        let of = |block: &str| -> u64 {
            let nodes = graph.nodes().iter().filter(|node| node.name.starts_with(block));
            nodes.map(|node| node.op.definition().macs(&graph.input_shapes(node), node.shape)).sum()
        };
        let [a, c] = ["repeat.0.", "repeat_2.0."].map(of);
        assert!(a > 0 && c > 0);
        // In hundredths of a GFLOP.
        assert_eq!(((graph.macs() - 5 * a - 5 * c) as f64 / 1e9 * 100.0).round(), 1176.0);
    }

    #[test]
    fn shufflenets_squeezes_sum_what_the_paper_adds() {
        let graph = zoo::build("se_shufflenet", &zoo::Options::default()).unwrap();
        let numbers = |shape: Shape| shape.channels() * shape.height() * shape.width();
        let maps = graph.se_blocks().map(|stage| numbers(graph.input_shapes(stage)[0]));
        let layers = graph.macs() - graph.remove_se().unwrap().macs();
        assert_eq!((maps.sum::<usize>(), layers), (1_604_064, 610_416));
    }
}
