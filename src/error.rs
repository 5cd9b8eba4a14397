//! What can go wrong, said so that the reader can act: where, what was expected, what was found.

use crate::escape::escaped;
use std::path::PathBuf;

/// Result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can fail. Messages are one line, but what a device or a hub says may have more. Names from files are
/// [`escaped`].
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
    /// Weights that don't fit the graph; lists the names.
    #[error("weights{}: {}", origin.as_ref().map(|o| format!(" {}", escaped(o))).unwrap_or_default(), escaped(message))]
    Weights {
        /// The file, where there is one.
        origin: Option<String>,
        /// Which tensors are missing, unexpected, misshapen or not finite.
        message: String,
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

impl Error {
    pub(crate) fn node(op: &'static str, node: &str, message: impl Into<String>) -> Self {
        Self::Node { op, node: node.into(), message: message.into() }
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
            Error::Weights { origin: Some(bad.into()), message: bad.into() },
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
