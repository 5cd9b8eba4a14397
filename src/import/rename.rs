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
