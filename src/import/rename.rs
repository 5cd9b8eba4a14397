//! Tensor names of other libraries, for networks that are the same there.
//!
//! A family's function turns one of our names into theirs. Its rows say for which networks, and for which not although
//! names and shapes would fit: numbers in another network would be quietly wrong.

mod pytorchcv;
mod torchvision;

use crate::graph::same_but_for_ones;
use crate::weights::Shapes;

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
    /// Tensors whose names begin so are of no use outside of training.
    ignored: Option<&'static str>,
}

const TABLES: &[&[Table]] = &[torchvision::TABLES, pytorchcv::TABLES];

/// The library whose names explain every tensor, and our names for them; or why they may not be used. None: no library's
/// names do.
pub(crate) fn find(
    network: &str,
    wanted: &Shapes,
    found: &Shapes,
) -> Option<Result<(&'static str, Vec<Renamed>), &'static str>> {
    let network = network.split('.').next()?;
    for table in TABLES.iter().copied().flatten() {
        let refused = table.others.iter().find(|(name, _)| *name == network);
        if refused.is_none() && !table.networks.contains(&network) {
            continue;
        }
        if let Some(names) = table.names(wanted, found) {
            return Some(refused.map_or(Ok((table.origin, names)), |(_, reason)| Err(*reason)));
        }
    }
    None
}

impl Table {
    /// Our names of all tensors of the file, if it has exactly those.
    fn names(&self, wanted: &Shapes, found: &Shapes) -> Option<Vec<Renamed>> {
        let ignored = |name: &&String| self.ignored.is_some_and(|start| name.starts_with(start));
        let useless = found.keys().filter(ignored).count();
        if wanted.len() + useless != found.len() {
            return None;
        }
        let names: Vec<Renamed> =
            wanted.iter().map(|(ours, shape)| self.name(ours, shape, found)).collect::<Option<_>>()?;
        let mut used: Vec<&str> = names.iter().map(|name| name.theirs.as_str()).collect();
        used.sort_unstable();
        used.dedup();
        if used.len() != wanted.len() || used.iter().any(|name| ignored(&&name.to_string())) {
            return None;
        }
        if useless > 0 {
            let prefix = self.ignored.unwrap_or_default();
            log::info!("ignored {useless} tensors named {prefix}*, which only training uses");
        }
        Some(names)
    }

    fn name(&self, ours: &str, shape: &[usize], found: &Shapes) -> Option<Renamed> {
        let (module, role) = ours.rsplit_once('.')?;
        let module: Vec<&str> = module.split('.').collect();
        let theirs = format!("{}.{role}", (self.layer)(&module)?);
        let there = found.get(&theirs)?;
        // A layer on a flattened map has the numbers of a convolution over all of it.
        let flattened = there.len() == 2 && there[0] == shape[0] && there[1] == shape[1..].iter().product::<usize>();
        let fits = same_but_for_ones(shape, there) || flattened;
        fits.then(|| Renamed { ours: ours.into(), theirs, shape: shape.to_vec() })
    }
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

    #[test]
    fn a_table_explains_all_or_nothing() {
        let wanted = Shapes::from([("conv_stem.weight".into(), vec![2, 3]), ("bn1.bias".into(), vec![2])]);
        let found =
            Shapes::from([("features.0.0.weight".into(), vec![2, 3, 1, 1]), ("features.0.1.bias".into(), vec![2])]);
        let (origin, names) = find("efficientnet_b0.ra_in1k", &wanted, &found).unwrap().unwrap();
        assert_eq!(origin, "torchvision");
        assert_eq!(names[1].theirs, "features.0.0.weight");
        assert_eq!(names[1].shape, [2, 3]);
        assert!(find("efficientnet_b5", &wanted, &found).unwrap().is_err());
        assert!(find("seresnet50", &wanted, &found).is_none());
        let mut misshapen = found.clone();
        misshapen.insert("features.0.1.bias".into(), vec![3]);
        assert!(find("efficientnet_b0", &wanted, &misshapen).is_none());
        let mut more = found;
        more.insert("features.0.1.weight".into(), vec![2]);
        assert!(find("efficientnet_b0", &wanted, &more).is_none());
    }
}
