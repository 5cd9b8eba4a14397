//! Which network a checkpoint is of, by names and shapes alone.

use super::{Entry, entries};
use crate::import::rename;
use crate::weights::Shapes;

/// Share of tensors that must fit: room for another classifier.
const ENOUGH: f64 = 0.95;
/// Most names given.
const SHOWN: usize = 3;

/// The networks of the zoo whose tensors these are, or nearly: the best only, which may be several that differ in what
/// no tensor shows.
pub(crate) fn identify(found: &Shapes) -> Vec<&'static str> {
    let mut best = (ENOUGH, Vec::new());
    for entry in entries() {
        let share = share(&entry, found);
        if share > best.0 {
            best = (share, Vec::new());
        }
        if share == best.0 && share > ENOUGH && best.1.len() < SHOWN {
            best.1.push(entry.name);
        }
    }
    best.1
}

/// How much of both lists is the same.
fn share(entry: &Entry, found: &Shapes) -> f64 {
    let Ok(graph) = entry.graph(entry.name, entry.input, entry.classes) else { return 0.0 };
    let wanted: Shapes = graph.tensors().into_iter().collect();
    let names = rename::read(entry.name, &wanted, found);
    if names.refused.is_some() {
        return 0.0;
    }
    let fit = names.places.len() - names.misshapen(&wanted, found).len();
    fit as f64 / wanted.len().max(names.places.len() + names.unexpected.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(name: &str, classes: usize) -> Shapes {
        let options = super::super::Options { classes: Some(classes), ..Default::default() };
        super::super::build(name, &options).unwrap().tensors().into_iter().collect()
    }

    #[test]
    fn networks_are_known_by_their_tensors() {
        assert_eq!(identify(&shapes("legacy_seresnet50", 1000)), ["legacy_seresnet50"]);
        assert_eq!(identify(&shapes("seresnet50", 7))[0], "seresnet50");
        assert_eq!(identify(&shapes("efficientnet_b3", 1000)), ["efficientnet_b3", "tf_efficientnet_b3"]);
        assert_eq!(identify(&shapes("digits_resnet", 10)), ["digits_resnet"]);
    }

    #[test]
    fn what_is_half_a_network_is_none() {
        let mut half = shapes("seresnet50", 1000);
        half.retain(|name, _| !name.starts_with("layer3."));
        assert!(identify(&half).is_empty());
        assert!(identify(&Shapes::new()).is_empty());
    }
}
