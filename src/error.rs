//! What can go wrong, said so that the consumer can act: where, what was expected, what was found.

use crate::escape::escaped;
use crate::tensor::Shape;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can fail. Messages are one line, but what a device or a hub says may have more. Names from files are
/// [`escaped`].
///
/// ```
/// match excite::zoo::build("seresnet5O", &Default::default()) {
///     Err(excite::Error::UnknownModel { near, .. }) => assert_eq!(near[0], "seresnet50"),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A node that can't be added to a graph: a bad attribute, or shapes that don't fit.
    #[error("{op} \"{}\": {}", escaped(node), escaped(message))]
    Node {
        /// Kind of the op, as in the plan.
        op: &'static str,
        /// Name of the node.
        node: String,
        /// What was expected and what was found.
        message: String,
    },
    /// A graph that is wrong as a whole: dangling values, duplicate names, no output.
    #[error("graph \"{}\": {}", escaped(graph), escaped(message))]
    Graph {
        /// Name of the graph.
        graph: String,
        /// What is wrong.
        message: String,
    },
    /// A tensor whose shape or length is not what the call needs.
    #[error("tensor: {}", escaped(.0))]
    Tensor(String),
    /// Images that are not a network's: another shape, another number of samples, NaN or infinity.
    #[error("input \"{}\": {}", escaped(network), escaped(message))]
    Input {
        /// Name of the network.
        network: String,
        /// Shape of one image that the network takes.
        shape: Shape,
        /// What was expected and what was found.
        message: String,
    },
    /// A network, or trained weights, of a name that does not exist.
    #[error("{}", escaped(message))]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// Names that there are and that are like it, best first; for weights their names with a tag.
        near: Vec<String>,
        /// The same in a sentence.
        message: String,
    },
    /// Weights that don't fit the graph; lists the names.
    #[error("weights{}: {}", origin.as_ref().map(|o| format!(" {}", escaped(o))).unwrap_or_default(), escaped(message))]
    Weights {
        /// The file, where there is one.
        origin: Option<String>,
        /// Which tensors are missing, unexpected, misshapen or not finite, the first ones of each kind.
        message: String,
        /// The same as lists, where names and shapes are what is wrong.
        tensors: Box<Mismatch>,
    },
    /// A file whose network has ops that are not supported.
    #[error("{}: {}", escaped(path), escaped(message))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The ops with the first nodes of each.
        message: String,
        /// The ops with the names of all their nodes.
        ops: BTreeMap<String, Vec<String>>,
    },
    /// A file that can't be read or written, or whose contents are not what they should be.
    #[error("{}: {}", escaped(path), escaped(message))]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        message: String,
        /// The cause underneath.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A file that can't be had from the hub.
    #[error("{}: {}", escaped(url), lines(message))]
    Download {
        /// Its address.
        url: String,
        /// What happened, and what to do.
        message: String,
        /// The cause underneath.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A request that names something unknown or asks for something impossible.
    #[error("{}", escaped(.0))]
    Request(String),
    /// A step that passes a limit of the adapter.
    #[error("{}: needs {need} of {limit}, the adapter has {has}{}", escaped(place), hint.as_ref().map(|h| format!("; {}", escaped(h))).unwrap_or_default())]
    Limit {
        /// The node, value or weight concerned.
        place: String,
        /// Name of the limit as in `wgpu::Limits`.
        limit: &'static str,
        /// What the step needs.
        need: u64,
        /// What the adapter has.
        has: u64,
        /// What would help.
        hint: Option<String>,
    },
    /// No adapter, or none like the one asked for.
    #[error("{}", escaped(.0))]
    NoAdapter(String),
    /// The device has no memory left for a buffer.
    #[error("device \"{}\" is out of memory: {}", escaped(adapter), lines(message))]
    OutOfMemory {
        /// Name of the adapter.
        adapter: String,
        /// What there was no room for.
        message: String,
    },
    /// The device refused something: a pipeline or a buffer.
    #[error("device \"{}\": {}", escaped(adapter), lines(message))]
    Device {
        /// Name of the adapter.
        adapter: String,
        /// What happened.
        message: String,
    },
    /// The device is lost, as after a hang, a reset or its user's `destroy`, and with it all that was made on it. A new
    /// [`Gpu`](crate::Gpu) with new executors gives the same bits again.
    #[error("device \"{}\" is lost: {}; a new Gpu can go on", escaped(adapter), escaped(message))]
    DeviceLost {
        /// Name of the adapter.
        adapter: String,
        /// Why, as far as it is known.
        message: String,
    },
}

/// How the tensors of a file and those of a network differ. All names are the network's where it has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// Tensors of the network that the file lacks.
    pub missing: Vec<String>,
    /// Tensors of the file that the network has no place for, by the file's names.
    pub unexpected: Vec<String>,
    /// Tensors of another shape: name, the shape expected, the shape found.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Error {
    pub(crate) fn node(op: &'static str, node: &str, message: impl Into<String>) -> Self {
        Self::Node { op, node: node.into(), message: message.into() }
    }

    pub(crate) fn weights(origin: Option<String>, message: String) -> Self {
        Self::Weights { origin, message, tensors: Box::default() }
    }

    /// The same of weights, with what differs as lists.
    pub(crate) fn with_tensors(mut self, lists: Mismatch) -> Self {
        if let Self::Weights { tensors, .. } = &mut self {
            **tensors = lists;
        }
        self
    }

    pub(crate) fn file(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::File { path: path.into(), message: message.into(), source: None }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, doing: &str, source: std::io::Error) -> Self {
        Self::File { path: path.into(), message: format!("can't {doing}"), source: Some(Box::new(source)) }
    }
}

/// Text of several lines, each escaped.
fn lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// Up to three known names near to `wanted`, best first: for "did you mean".
pub(crate) fn near_names<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.75)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_best_first() {
        let known = ["seresnet50", "legacy_seresnet50", "digits"];
        assert_eq!(near_names("seresnet5O", known)[0], "seresnet50");
        assert!(near_names("zzz", known).is_empty());
    }

    #[test]
    fn names_from_files_are_escaped() {
        let bad = "\u{1b}[2J\n";
        for error in [
            Error::node("conv2d", bad, bad),
            Error::Graph { graph: bad.into(), message: bad.into() },
            Error::Tensor(bad.into()),
            Error::Input { network: bad.into(), shape: Shape::vector(1), message: bad.into() },
            Error::UnknownModel { name: bad.into(), near: Vec::new(), message: bad.into() },
            Error::weights(Some(bad.into()), bad.into()),
            Error::Unsupported { path: bad.into(), message: bad.into(), ops: BTreeMap::new() },
            Error::OutOfMemory { adapter: bad.into(), message: bad.trim_end().into() },
            Error::file(bad, bad),
            Error::Request(bad.into()),
            Error::Limit { place: bad.into(), limit: "", need: 1, has: 0, hint: None },
            Error::NoAdapter(bad.into()),
            Error::Device { adapter: bad.into(), message: bad.trim_end().into() },
            Error::Download { url: bad.into(), message: bad.trim_end().into(), source: None },
        ] {
            let text = error.to_string();
            assert!(text.contains(r"\u{1b}[2J") && !text.contains(char::is_control), "{text}");
        }
    }

    #[test]
    fn messages_name_place_expected_and_found() {
        let error = Error::node("conv2d", "layer1.0.conv2", "weight expects 64 input channels, input has 32");
        assert_eq!(error.to_string(), "conv2d \"layer1.0.conv2\": weight expects 64 input channels, input has 32");
    }
}
