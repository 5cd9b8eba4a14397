//! Whether weights are a graph's: every tensor has its place, and every place its tensor.

use super::{Shapes, Weights};
use crate::error::{Error, Mismatch, Result, near_names};
use crate::graph::{Graph, same_but_for_ones};
use crate::import::rename::{self, Names};
use crate::ops::Op;
#[cfg(feature = "zoo")]
use crate::zoo;
use std::collections::{BTreeMap, BTreeSet};

/// Most missing tensors that near names are looked for.
const MAX_NEAR: usize = 64;

impl Weights {
    /// Checks that these are exactly the graph's weights, as [`Weights::fit`] does.
    ///
    /// # Errors
    /// As there.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        self.fit(graph).map(drop)
    }

    /// These weights by the graph's names: as they are; without what all of the file's names begin with, such as
    /// `module.`, `model.` or `backbone.`; or from the names of torchvision, pytorchcv or EfficientNet-PyTorch where the
    /// network is the same there. Every tensor must have its place and every place its tensor. Numbers of a file are not
    /// read; [`Weights::get`] refuses those that are not finite.
    ///
    /// # Errors
    /// Tensors are missing, unexpected, of another shape or, in memory, not finite. Where only the number of classes or
    /// of the input's channels differs, or they are another network's of the zoo, the message says what to ask for.
    pub fn fit(&self, graph: &Graph) -> Result<Self> {
        let Some(found) = self.shapes() else { return Ok(self.clone()) };
        let wanted: Shapes = graph.tensors().into_iter().collect();
        let names = rename::read(graph.name(), &wanted, &found);
        let missing = names.missing(&wanted);
        let refuse = |reasons: &str| Err(self.fail(format!("not those of {}: {reasons}", graph.name())));
        // Room for another classifier.
        if let Some(reason) = names.refused.filter(|_| missing.len() * 20 < wanted.len()) {
            return refuse(reason);
        }
        if !missing.is_empty() || !names.unexpected.is_empty() || !names.misshapen(&wanted, &found).is_empty() {
            let simple = other_options(graph, &names, &wanted, &found).or_else(|| another(graph, &found));
            let complaints = simple.unwrap_or_else(|| self.complaints(&names, &wanted, &found));
            let misshapen = names.misshapen(&wanted, &found).into_iter();
            let lists = Mismatch {
                missing: missing.into_iter().cloned().collect(),
                unexpected: names.unexpected.clone(),
                misshapen: misshapen
                    .map(|(name, wanted, found)| (name.clone(), wanted.to_vec(), found.to_vec()))
                    .collect(),
            };
            return refuse(&complaints).map_err(|error: Error| error.with_tensors(lists));
        }
        match self.0.not_finite() {
            names if names.is_empty() => {}
            names => return Err(self.fail(format!("{} with NaN or infinity: {}", names.len(), shortened(&names)))),
        }
        if names.are_ours() {
            return Ok(self.clone());
        }
        let origin = names.origin.map(|origin| format!("{origin}'s names")).unwrap_or_else(|| "other names".into());
        log::info!("the weights have {origin}, with \"{}\" before them", names.prefix);
        Ok(self.renamed(&names.renamed(&wanted)))
    }

    /// Those of these weights, which are a graph's, that a part of the graph needs.
    pub(crate) fn part(&self, part: &Graph) -> Self {
        let as_ours = |(name, shape): (String, _)| rename::Renamed { theirs: name.clone(), ours: name, shape };
        self.renamed(&part.tensors().into_iter().map(as_ours).collect::<Vec<_>>())
    }

    fn complaints(&self, names: &Names, wanted: &Shapes, found: &Shapes) -> String {
        let mut complaints = Vec::new();
        let mut say = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                complaints.push(format!("{} {what}: {}", names.len(), shortened(&names)));
            }
        };
        let missing = names.missing(wanted);
        // Where nearly nothing fits, near names mislead.
        let candidates = if missing.len() > MAX_NEAR { &[] } else { names.unexpected.as_slice() };
        let (near, far): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .map(|name| (name, near_names(name, candidates.iter().map(String::as_str)).first().copied()))
            .partition(|(_, near)| near.is_some());
        let describe = |(name, near): (&String, Option<&str>)| match near {
            Some(near) => format!("{name} (file has {near}?)"),
            None => name.clone(),
        };
        say("missing", near.into_iter().chain(far).map(describe).collect());
        say("unexpected", names.unexpected.clone());
        let misshapen = names.misshapen(wanted, found).into_iter();
        say("of another shape", misshapen.map(|(n, w, f)| format!("{n} (expected {w:?}, found {f:?})")).collect());
        say("with NaN or infinity", self.0.not_finite().into_iter().filter(|name| wanted.contains_key(name)).collect());
        complaints.join("; ")
    }
}

/// What to ask for if only the classifier's rows or the first layer's channels are more or fewer, or if there is no
/// classifier.
fn other_options(graph: &Graph, names: &Names, wanted: &Shapes, found: &Shapes) -> Option<String> {
    let module = |name: &str| name.rsplit_once('.').map(|(module, _)| module.to_string());
    let channels = graph.input_shape().channels();
    let mut layers: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut first = None;
    for (name, wanted, found) in names.misshapen(wanted, found) {
        match (wanted, found) {
            (&[_, ours, _, _], &[_, theirs, _, _])
                if ours == channels && [&wanted[..1], &wanted[2..]] == [&found[..1], &found[2..]] =>
            {
                if first.replace((module(name)?, theirs)).is_some() {
                    return None;
                }
            }
            (&[ours, ref wanted @ ..], &[theirs, ref found @ ..]) if same_but_for_ones(wanted, found) => {
                if layers.insert(module(name)?, (ours, theirs)).is_some_and(|there| there != (ours, theirs)) {
                    return None;
                }
            }
            _ => return None,
        }
    }
    let missing: BTreeSet<String> =
        names.missing(wanted).into_iter().map(|name| module(name)).collect::<Option<_>>()?;
    if !names.unexpected.is_empty() || layers.len() + missing.len() > 1 {
        return None;
    }
    let mut differ = Vec::new();
    let (mut typed, mut fields) = (Vec::new(), Vec::new());
    if let Some((layer, (ours, theirs))) = layers.pop_first() {
        let classes = if theirs == 1 { "1 class".into() } else { format!("{theirs} classes") };
        differ.push(format!("{layer}, which has {classes} and not {ours}"));
        typed.push(format!("--classes {theirs}"));
        fields.push("classes");
    }
    if let Some((layer, theirs)) = first {
        let input = if theirs == 1 { "1 channel".into() } else { format!("{theirs} channels") };
        differ.push(format!("{layer}, which takes {input} and not {channels}"));
        typed.push(format!("--channels {theirs}"));
        fields.push("channels");
    }
    if let Some(layer) = missing.first() {
        if !is_classifier(graph, layer) {
            return None;
        }
        differ.push(format!("{layer}, which the file lacks"));
        typed.push("--classes 0".into());
        fields.push("classes");
    }
    let fields: Vec<String> = fields.iter().map(|field| format!("`zoo::Options::{field}`")).collect();
    Some(format!(
        "all fits but {}; build the network so (`{}`, {})",
        differ.join(", and "),
        typed.join(" "),
        fields.join(" and ")
    ))
}

/// Whether this is the last layer that is fully connected.
fn is_classifier(graph: &Graph, layer: &str) -> bool {
    graph.nodes().iter().rfind(|node| matches!(node.op, Op::Linear(_))).is_some_and(|node| node.name == layer)
}

/// Without the zoo there are no others.
#[cfg(not(feature = "zoo"))]
fn another(_: &Graph, _: &Shapes) -> Option<String> {
    None
}

/// What to ask for if these are the weights of other networks of the zoo.
#[cfg(feature = "zoo")]
fn another(graph: &Graph, found: &Shapes) -> Option<String> {
    let others = zoo::identify(found);
    // Nearly this one's: another that differs in what no tensor shows is no better.
    if graph.name().split('.').next().is_some_and(|own| others.contains(&own)) {
        return None;
    }
    let options: Vec<String> = others.iter().map(|name| format!("`--model {name}`")).collect();
    (!others.is_empty())
        .then(|| format!("these look like those of {}; name it ({})", others.join(" or "), options.join(" or ")))
}

/// The first names of a list, and how many more.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
