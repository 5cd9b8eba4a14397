//! Networks by name: builders with timm's tensor names, so that its checkpoints fit.
//!
//! A network of a known family is one row of its family's table.

mod cifar;
mod config;
mod densenet;
mod efficientnet;
mod identify;
mod inception;
mod net;
pub mod paper;
mod pretrained;
mod regnet;
mod resnet;
mod shufflenet;
mod vgg;
mod xception;

pub(crate) use identify::identify;
pub use pretrained::{Accuracy, Pretrained, TestSize, pretrained, pretrained_names};

use crate::error::{Error, Result, near_names};
use crate::graph::{Graph, GraphBuilder, Value};
use crate::tensor::Shape;
use crate::weights::Weights;
use net::Net;
use std::fmt;

/// A network that [`build`] knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Its name, timm's where timm has it.
    pub name: &'static str,
    /// Shape of the images it was made for.
    pub input: Shape,
    /// Smallest side of an image it takes.
    pub smallest: usize,
    /// Classes of its usual weights.
    pub classes: usize,
    /// Where the definition comes from.
    pub source: &'static str,
    build: Builder,
}

#[derive(Clone, Debug)]
enum Builder {
    /// A row of its family's table.
    Network(&'static dyn Network),
    /// Another entry, with SE put into it.
    WithSe { plain: &'static str, insert: fn(&Graph) -> Result<Graph> },
}

/// What a family's rows say, and how layers are made of it.
trait Network: fmt::Debug + Sync {
    /// Adds all layers; the value is that of the logits, or what the classifier would read where there are no classes.
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value>;
}

impl Entry {
    /// A network for square colour images and the classes of ImageNet.
    const fn new(name: &'static str, side: usize, source: &'static str, network: &'static dyn Network) -> Self {
        let input = Shape::map(3, side, side);
        Self { name, input, smallest: 32, classes: 1000, source, build: Builder::Network(network) }
    }

    const fn smallest(self, smallest: usize) -> Self {
        Self { smallest, ..self }
    }

    const fn classes(self, classes: usize) -> Self {
        Self { classes, ..self }
    }

    /// This network with SE, under a name of its own.
    const fn with_se(&self, name: &'static str, insert: fn(&Graph) -> Result<Graph>) -> Self {
        let build = Builder::WithSe { plain: self.name, insert };
        Self { name, input: self.input, smallest: self.smallest, classes: self.classes, source: SE_PAPER, build }
    }

    fn graph(&self, name: &str, input: Shape, classes: usize) -> Result<Graph> {
        match self.build {
            Builder::Network(network) => {
                let mut graph = GraphBuilder::new(name);
                let image = graph.input(input)?;
                let mut net = Net::new(graph);
                let logits = network.build(&mut net, image, classes)?;
                net.finish(if classes == 0 { "features" } else { "logits" }, logits)
            }
            Builder::WithSe { plain, insert } => insert(&entry(plain)?.graph(name, input, classes)?),
        }
    }
}

const SE_PAPER: &str = "SE put into the plain network, as in arXiv 1709.01507";

/// The tables of all families.
const FAMILIES: &[&[Entry]] = &[
    resnet::TABLE,
    resnet::ABLATIONS,
    efficientnet::TABLE,
    regnet::TABLE,
    vgg::TABLE,
    inception::TABLE,
    xception::TABLE,
    shufflenet::TABLE,
    densenet::TABLE,
    cifar::TABLE,
];

/// What may differ from the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Height and width of the images.
    pub size: Option<[usize; 2]>,
    /// Number of classes. With 0 there is no classifier, as with timm's `num_classes`: the output is the vector that it
    /// would have read, by the name `features`.
    pub classes: Option<usize>,
    /// Channels of the images: timm's `in_chans`.
    pub channels: Option<usize>,
}

/// All networks, in the order of their families.
pub fn entries() -> Vec<Entry> {
    FAMILIES.concat()
}

/// The entry of this name. With a tag (`seresnet50.a3_in1k`) it has the size and the classes of these weights.
///
/// # Errors
/// There is none; the message has the nearest names.
pub fn entry(name: &str) -> Result<Entry> {
    if name.contains('.') {
        let Pretrained { name, architecture, preprocess, classes, .. } = pretrained(name)?;
        let entry = entry(architecture)?;
        let [height, width] = preprocess.size;
        let input = Shape::map(entry.input.channels(), height, width);
        return Ok(Entry { name, input, classes, ..entry });
    }
    let entries = entries();
    entries.iter().find(|entry| entry.name == name).cloned().ok_or_else(|| {
        let near = near_names(name, entries.iter().map(|e| e.name));
        let hint = if near.is_empty() {
            format!(", and none of the {} is like it", entries.len())
        } else {
            format!("; did you mean {}?", near.join(", "))
        };
        let message = format!("no model is named \"{name}\"{hint}");
        Error::UnknownModel { name: name.into(), near: near.into_iter().map(String::from).collect(), message }
    })
}

/// Builds a network.
///
/// ```
/// let graph = excite::zoo::build("seresnet50", &Default::default())?;
/// assert_eq!(graph.parameter_count(), 28_088_024);
/// assert_eq!(graph.se_blocks().count(), 16);
/// # Ok::<(), excite::Error>(())
/// ```
///
/// # Errors
/// The name is unknown, the size is too small, or the images have no channels.
pub fn build(name: &str, options: &Options) -> Result<Graph> {
    let entry = entry(name)?;
    let refuse = |message: String| Err(Error::Request(format!("{name}: {message}")));
    let [height, width] = options.size.unwrap_or([entry.input.height(), entry.input.width()]);
    if height.min(width) < entry.smallest {
        return refuse(format!("images must be at least {0}x{0}, are {height}x{width}", entry.smallest));
    }
    let channels = options.channels.unwrap_or(entry.input.channels());
    if channels == 0 {
        return refuse("images must have at least 1 channel".into());
    }
    entry.graph(name, Shape::map(channels, height, width), options.classes.unwrap_or(entry.classes))
}

/// Without the feature `bundled`, none.
#[cfg(not(feature = "bundled"))]
pub fn bundled_weights(_: &str) -> Option<Weights> {
    None
}

/// The weights that come with the crate (feature `bundled`), for the networks that have some: the two trained on
/// handwritten digits.
#[cfg(feature = "bundled")]
pub fn bundled_weights(name: &str) -> Option<Weights> {
    let bytes: &[u8] = match name {
        "digits_seresnet" => include_bytes!("../assets/digits/digits_seresnet.safetensors"),
        "digits_resnet" => include_bytes!("../assets/digits/digits_resnet.safetensors"),
        _ => return None,
    };
    let weights = Weights::from_safetensors_bytes(bytes.to_vec(), name);
    Some(weights.expect("the bundled weights are sound, which a test checks"))
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;

    fn default() -> Options {
        Options::default()
    }

    /// Names of tensors that only the first graph has, or the second in another shape.
    fn different(graph: &Graph, other: &Graph) -> Vec<String> {
        let there = other.tensors();
        let mut names: Vec<String> =
            graph.tensors().into_iter().filter(|tensor| !there.contains(tensor)).map(|(name, _)| name).collect();
        names.sort();
        names
    }

    #[test]
    fn every_entry_builds_and_takes_its_weights() {
        for entry in entries() {
            let graph = build(entry.name, &Options::default()).unwrap();
            assert_eq!(graph.output_shape(), Shape::vector(entry.classes), "{}", entry.name);
            let smallest = Options { size: Some([entry.smallest; 2]), classes: Some(3), channels: Some(4) };
            let other = build(entry.name, &smallest).unwrap();
            assert_eq!(other.output_shape(), Shape::vector(3), "{}", entry.name);
            assert_eq!(other.input_shape(), Shape::map(4, entry.smallest, entry.smallest), "{}", entry.name);
            // A first convolution with another number of channels, and nothing else.
            let differ = different(&graph, &build(entry.name, &Options { channels: Some(4), ..default() }).unwrap());
            assert_eq!(differ.len(), 1, "{}: {differ:?}", entry.name);
            // No classifier, and nothing else.
            let headless = build(entry.name, &Options { classes: Some(0), ..default() }).unwrap();
            let differ = different(&graph, &headless);
            assert!(matches!(&differ[..], [bias, weight] if bias.replace("bias", "weight") == *weight), "{differ:?}");
            let (name, output) = headless.outputs()[0].clone();
            let read = graph.tensors().into_iter().find(|(name, _)| *name == differ[1]).unwrap().1[1];
            assert_eq!(
                (name.as_str(), headless.node(output).shape),
                ("features", Shape::vector(read)),
                "{}",
                entry.name
            );
            if let Some(weights) = bundled_weights(entry.name) {
                weights.check(&graph).unwrap();
            }
        }
    }

    #[test]
    fn unknown_names_get_near_ones() {
        let error = build("seresnet5O", &Options::default()).unwrap_err().to_string();
        assert!(error.starts_with("no model is named \"seresnet5O\"; did you mean seresnet50"), "{error}");
        let error = build("seresnet50", &Options { size: Some([31, 64]), ..default() }).unwrap_err().to_string();
        assert_eq!(error, "seresnet50: images must be at least 32x32, are 31x64");
        let error = build("seresnet50", &Options { channels: Some(0), ..default() }).unwrap_err().to_string();
        assert_eq!(error, "seresnet50: images must have at least 1 channel");
    }
}
