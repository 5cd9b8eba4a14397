//! How the names of a file's tensors go with a network's: under a prefix, by another library's names, or both.
//!
//! A family's function turns one of our names into theirs. Its rows say for which networks, and for which not although
//! names and shapes would fit: numbers in another network would be quietly wrong.

mod efficientnet_pytorch;
mod pytorchcv;
mod torchvision;

use crate::graph::same_but_for_ones;
use crate::weights::Shapes;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A tensor of a file under our name, in our shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Renamed {
    /// Our name.
    pub ours: String,
    /// The file's.
    pub theirs: String,
    /// Our shape: as many elements, in the same order.
    pub shape: Vec<usize>,
}

/// A library's names of a family of networks.
pub(crate) struct Table {
    /// The library.
    origin: &'static str,
    /// Networks of the zoo that are the same there.
    networks: &'static [&'static str],
    /// Networks whose tensors would fit, and why they don't.
    others: &'static [(&'static str, &'static str)],
    /// Their name of one of our tensors, which is given without its last part.
    layer: fn(&[&str]) -> Option<String>,
    /// Whether blocks are numbered through, and not anew in each stage: `layer` has them so.
    through: bool,
    /// Tensors whose names begin so are of no use outside of training.
    ignored: Option<&'static str>,
}

const TABLES: &[&[Table]] = &[torchvision::TABLES, pytorchcv::TABLES, efficientnet_pytorch::TABLES];

/// How the names of a file go with a network's.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The library that they are of, where they are not ours.
    pub origin: Option<&'static str>,
    /// What they begin with, such as `module.`.
    pub prefix: String,
    /// Why the numbers must not be used although the names fit.
    pub refused: Option<&'static str>,
    /// The file's names of our tensors, by ours.
    pub places: BTreeMap<String, String>,
    /// The file's tensors that have no place.
    pub unexpected: Vec<String>,
}

/// The best reading of the file's names: the one that finds a place for most of them.
pub(crate) fn read(network: &str, wanted: &Shapes, found: &Shapes) -> Names {
    let ours = wanted.keys().map(|name| (name.clone(), name.clone())).collect();
    let mut best = Names::new(&ours, found, None);
    let network = network.split('.').next().unwrap_or_default();
    for table in TABLES.iter().copied().flatten() {
        if best.places.len() == found.len() {
            break;
        }
        let refused = table.others.iter().find(|(name, _)| *name == network).map(|(_, reason)| *reason);
        if refused.is_none() && !table.networks.contains(&network) {
            continue;
        }
        let Some(theirs) = table.names(wanted) else { continue };
        let names = Names { origin: Some(table.origin), refused, ..Names::new(&theirs, found, table.ignored) };
        let score = |names: &Names| (names.places.len(), Reverse(names.unexpected.len()));
        if score(&names) > score(&best) {
            best = names;
        }
    }
    best
}

impl Names {
    /// Finds the expected names in a file; `expected` has ours by them.
    fn new(expected: &BTreeMap<String, String>, found: &Shapes, ignored: Option<&str>) -> Self {
        let prefix = prefix(expected, found);
        let mut places = BTreeMap::new();
        let mut free: BTreeSet<&String> = found.keys().collect();
        let mut left = Vec::new();
        for (theirs, ours) in expected {
            let name = format!("{prefix}{theirs}");
            match free.take(&name) {
                Some(name) => drop(places.insert(ours.clone(), name.clone())),
                None => left.push((theirs, ours)),
            }
        }
        if let Some(start) = ignored.map(|start| format!("{prefix}{start}")) {
            free.retain(|name| !name.starts_with(&start));
        }
        // A classifier beside the network that it was put on, or within a sequence of layers.
        if !places.is_empty() && left.len() == free.len() {
            let pair = |&(theirs, ours): &(&String, &String)| {
                let wanted = bare(theirs, "");
                let mut alike = free.iter().filter(|name| bare(name, &prefix) == wanted);
                let name = alike.next().filter(|_| alike.next().is_none() && wanted.matches('.').count() == 1)?;
                Some((ours.clone(), (*name).clone()))
            };
            let modules: BTreeSet<&str> = left.iter().filter_map(|(name, _)| Some(name.rsplit_once('.')?.0)).collect();
            let pairs: Option<Vec<_>> = left.iter().map(pair).collect();
            if let Some(pairs) = pairs.filter(|_| modules.len() == 1) {
                places.extend(pairs);
                free.clear();
            }
        }
        Self { prefix, places, unexpected: free.into_iter().cloned().collect(), ..Self::default() }
    }

    /// Whether the names are ours as they are.
    pub(crate) fn are_ours(&self) -> bool {
        self.places.iter().all(|(ours, theirs)| ours == theirs)
    }

    /// Our tensors that the file has none for.
    pub(crate) fn missing<'a>(&self, wanted: &'a Shapes) -> Vec<&'a String> {
        wanted.keys().filter(|name| !self.places.contains_key(*name)).collect()
    }

    /// Our tensors that the file has in another shape, ours and the file's.
    pub(crate) fn misshapen<'a>(
        &self,
        wanted: &'a Shapes,
        found: &'a Shapes,
    ) -> Vec<(&'a String, &'a [usize], &'a [usize])> {
        let places = self.places.iter().filter_map(|(ours, theirs)| {
            let (name, shape) = wanted.get_key_value(ours)?;
            Some((name, shape.as_slice(), found.get(theirs)?.as_slice()))
        });
        places.filter(|(_, shape, there)| !self.fits(shape, there)).collect()
    }

    fn fits(&self, shape: &[usize], there: &[usize]) -> bool {
        // A layer on a flattened map has the numbers of a convolution over all of it.
        let flattened = || {
            let [rows, columns] = *there else { return false };
            self.origin.is_some() && shape.first() == Some(&rows) && shape[1..].iter().product::<usize>() == columns
        };
        same_but_for_ones(shape, there) || flattened()
    }

    /// Every place, in our shapes.
    pub(crate) fn renamed(&self, wanted: &Shapes) -> Vec<Renamed> {
        let renamed = |(ours, theirs): (&String, &String)| {
            Some(Renamed { ours: ours.clone(), theirs: theirs.clone(), shape: wanted.get(ours)?.clone() })
        };
        self.places.iter().filter_map(renamed).collect()
    }
}

/// What stands before most of the expected names: nothing, `module.` or what a training program has wrapped the network
/// in.
fn prefix(expected: &BTreeMap<String, String>, found: &Shapes) -> String {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for name in found.keys() {
        let ends = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1));
        for at in ends.filter(|&at| expected.contains_key(&name[at..])) {
            *votes.entry(&name[..at]).or_default() += 1;
        }
    }
    let most = votes.into_iter().max_by_key(|&(prefix, count)| (count, Reverse(prefix.len())));
    most.map(|(prefix, _)| prefix.to_string()).unwrap_or_default()
}

/// A classifier's name without what says where it was put: the network's prefix or a part of it, `head.`, and its number
/// in a sequence of layers.
fn bare(name: &str, prefix: &str) -> String {
    let mut parts: Vec<&str> = name.split('.').collect();
    for outer in prefix.split('.') {
        if parts.first() == Some(&outer) {
            parts.remove(0);
        }
    }
    if parts.len() > 2 && parts[0] == "head" {
        parts.remove(0);
    }
    if let [.., number, _] = parts[..]
        && parts.len() > 2
        && number.parse::<usize>().is_ok()
    {
        parts.remove(parts.len() - 2);
    }
    parts.join(".")
}

impl Table {
    /// Our names by theirs, if this family has names for all.
    fn names(&self, wanted: &Shapes) -> Option<BTreeMap<String, String>> {
        let before = if self.through { blocks_before(wanted) } else { BTreeMap::new() };
        let theirs = |ours: &String| {
            let (module, role) = ours.rsplit_once('.')?;
            let mut module: Vec<&str> = module.split('.').collect();
            let number;
            if let ["blocks", stage, block, ..] = module[..]
                && let Some(before) = before.get(stage)
            {
                number = (before + moved(block, 0)?).to_string();
                module[2] = &number;
            }
            Some((format!("{}.{role}", (self.layer)(&module)?), ours.clone()))
        };
        let names: BTreeMap<String, String> = wanted.keys().map(theirs).collect::<Option<_>>()?;
        (names.len() == wanted.len()).then_some(names)
    }
}

/// How many blocks are before each stage of a network with tensors `blocks.STAGE.BLOCK.…`.
fn blocks_before(wanted: &Shapes) -> BTreeMap<String, usize> {
    let place = |name: &String| {
        let mut parts = name.strip_prefix("blocks.")?.split('.').map(|number| moved(number, 0));
        Some((parts.next()??, parts.next()??))
    };
    let blocks: BTreeSet<(usize, usize)> = wanted.keys().filter_map(place).collect();
    let before = |stage: usize| blocks.iter().filter(|(other, _)| *other < stage).count();
    blocks.iter().map(|&(stage, _)| (stage.to_string(), before(stage))).collect()
}

/// A number in a name, moved.
fn moved(number: &str, by: isize) -> Option<usize> {
    number.parse::<usize>().ok()?.checked_add_signed(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_too_odd() {
        let odd =
            ["", "0", "x", "é", "blocks", "block0", "Mixed_", "Mixed_é", "Mixed_5a", "Mixed_7\u{ff}", "conv", "conv3"];
        let odd =
            [&odd[..], &["bn", "bn1", "s", "s1", "b0", "layer1", "99999999999999999999", "se", "fc1", "features"]]
                .concat();
        for table in TABLES.iter().copied().flatten() {
            assert_eq!((table.layer)(&["no", "such", "layer"]).filter(|name| !name.starts_with("no.")), None);
            for a in &odd {
                for b in &odd {
                    for c in &odd {
                        for module in [&[*a][..], &[a, b], &[a, b, c], &["blocks", a, b, c], &["features", a, b, c]] {
                            let _ = (table.layer)(module);
                        }
                    }
                }
            }
        }
    }

    fn shapes(names: &[(&str, &[usize])]) -> Shapes {
        names.iter().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect()
    }

    #[test]
    fn a_table_reads_its_networks_names() {
        let wanted = shapes(&[("conv_stem.weight", &[2, 3]), ("bn1.bias", &[2])]);
        let mut found = shapes(&[("features.0.0.weight", &[2, 3, 1, 1]), ("features.0.1.bias", &[2])]);
        let names = read("efficientnet_b0.ra_in1k", &wanted, &found);
        assert_eq!((names.origin, names.prefix.as_str(), names.refused), (Some("torchvision"), "", None));
        assert!(names.misshapen(&wanted, &found).is_empty() && names.missing(&wanted).is_empty());
        let renamed = names.renamed(&wanted);
        assert_eq!(renamed[1].theirs, "features.0.0.weight");
        assert_eq!(renamed[1].shape, [2, 3]);
        assert!(read("efficientnet_b5", &wanted, &found).refused.is_some());
        assert!(read("seresnet50", &wanted, &found).places.is_empty());
        found.insert("features.0.1.bias".into(), vec![3]);
        found.insert("features.0.1.weight".into(), vec![2]);
        let names = read("efficientnet_b0", &wanted, &found);
        assert_eq!(names.misshapen(&wanted, &found), [(&"bn1.bias".to_string(), &[2][..], &[3][..])]);
        assert_eq!(names.unexpected, ["features.0.1.weight"]);
    }

    #[test]
    fn a_prefix_is_what_most_names_begin_with() {
        let wanted = shapes(&[("conv1.weight", &[1]), ("layer1.0.conv1.weight", &[1]), ("fc.weight", &[1])]);
        for (names, prefix, fits) in [
            (["conv1.weight", "layer1.0.conv1.weight", "fc.weight"], "", true),
            (["module.conv1.weight", "module.layer1.0.conv1.weight", "module.fc.weight"], "module.", true),
            (["a.b.conv1.weight", "a.b.layer1.0.conv1.weight", "a.b.fc.weight"], "a.b.", true),
            // A classifier of its own, beside the network.
            (["backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "fc.weight"], "backbone.", true),
            (["backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "head.fc.weight"], "backbone.", true),
            (
                ["model.backbone.conv1.weight", "model.backbone.layer1.0.conv1.weight", "model.fc.weight"],
                "model.backbone.",
                true,
            ),
            // In a sequence with dropout.
            (["conv1.weight", "layer1.0.conv1.weight", "fc.1.weight"], "", true),
            (["conv1.weight", "layer1.0.conv1.weight", "projector.fc.weight"], "", false),
            (["conv1.weight", "layer1.0.conv1.weight", "fc.bias"], "", false),
            (["conv1.weight", "layer2.0.conv1.weight", "fc.weight"], "", false),
        ] {
            let found = shapes(&names.map(|name| (name, &[1][..])));
            let read = read("net", &wanted, &found);
            assert_eq!(read.prefix, prefix, "{names:?}");
            assert_eq!(read.missing(&wanted).is_empty() && read.unexpected.is_empty(), fits, "{names:?}");
            let places: BTreeSet<&String> = read.places.values().collect();
            assert_eq!(places.len(), read.places.len(), "{names:?}");
        }
    }

    #[test]
    fn two_classifiers_are_not_one() {
        let wanted = shapes(&[("conv1.weight", &[1]), ("fc.weight", &[1])]);
        let found = shapes(&[("conv1.weight", &[1]), ("fc.0.weight", &[1]), ("fc.2.weight", &[1])]);
        let names = read("net", &wanted, &found);
        assert_eq!((names.missing(&wanted).len(), names.unexpected.len()), (1, 2));
    }
}
