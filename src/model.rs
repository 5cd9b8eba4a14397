//! The front door: a network with its weights, how it wants its images, what its classes are called.
//!
//! A layer over [`Executor`](crate::gpu::Executor): what is below knows nothing of it.

mod classes;
#[cfg(feature = "onnx")]
mod file;
mod input;
mod network;
mod options;
mod outputs;
#[cfg(feature = "zoo")]
mod trained;

pub use crate::error::Mismatch;
pub use crate::labels::Labels;
pub use crate::preprocess::{Interpolation, Preprocess, Resize};
pub use classes::{Class, Classes};
pub use input::Input;
pub use network::{Network, Options};
pub use options::ModelOptions;
pub use outputs::Outputs;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::graph::{FEATURES, Graph};
use crate::passes::SeCandidate;
use crate::tensor::Shape;
use crate::weights::Weights;
use std::path::PathBuf;

/// A network with its weights, how it wants its images, and what its classes are called.
///
/// ```no_run
/// use excite::{Gpu, Model, Options};
///
/// # #[cfg(all(feature = "hub", feature = "image", feature = "zoo"))] {
/// let gpu = Gpu::new()?;
/// let model = Model::pretrained("seresnet50.a1_in1k")?;
/// let network = model.compile(&gpu, Options::default())?;
/// let image = excite::image::open("photo.jpg")?;
/// for class in network.classify(&image)?.top(5) {
///     println!("{:5.1} %  {}", 100.0 * class.probability, class.label);
/// }
/// # }
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    name: String,
    /// The file of the network, where it is of one.
    file: Option<PathBuf>,
    graph: Graph,
    weights: Option<Weights>,
    preprocess: Option<Preprocess>,
    labels: Labels,
    se_blocks: Vec<SeCandidate>,
    /// At how many images the batch is fixed and why, where it is.
    fixed_batch: Option<String>,
    notes: Vec<String>,
}

impl Model {
    /// Joins a graph and its weights. It prepares no images and has no names of classes, until
    /// [`Model::with_preprocess`] and [`Model::with_labels`] say so.
    pub fn new(graph: Graph, weights: Weights) -> Self {
        Self {
            name: graph.name().into(),
            file: None,
            graph,
            weights: Some(weights),
            preprocess: None,
            labels: Labels::none(),
            se_blocks: Vec::new(),
            fixed_batch: None,
            notes: Vec::new(),
        }
    }

    /// The same network with these weights.
    #[must_use]
    pub fn with_weights(self, weights: Weights) -> Self {
        Self { weights: Some(weights), ..self }
    }

    /// The same network for images that are prepared so: needed to run samples of 8 bits and images.
    ///
    /// # Errors
    /// The settings make no sense, or make other images than the network takes.
    pub fn with_preprocess(self, preprocess: Preprocess) -> Result<Self> {
        preprocess.check()?;
        let [height, width] = preprocess.size;
        let (made, taken) = (Shape::map(preprocess.channels, height, width), self.graph.input_shape());
        if made != taken {
            return Err(self.graph.bad_input(format!("images are prepared as {made}, the network takes {taken}")));
        }
        Ok(Self { preprocess: Some(preprocess), ..self })
    }

    /// The same network with these names of its classes.
    #[must_use]
    pub fn with_labels(self, labels: Labels) -> Self {
        Self { labels, ..self }
    }

    /// The network without its classifier. Its output `features` is the vector that the classifier reads, `[N,F]`.
    ///
    /// # Errors
    /// It has no classifier, or its weights are not the network's.
    pub fn features(&self) -> Result<Self> {
        let graph = self.graph.without_classifier()?;
        let part = |weights: &Weights| Ok(weights.fit(&self.graph)?.part(&graph));
        let weights = self.weights.as_ref().map(part).transpose()?;
        Ok(Self { graph, weights, labels: Labels::none(), ..self.clone() })
    }

    /// Prepares the network for a device: it is planned and compiled when a batch of a new size comes, or now for
    /// [`Options::batch`].
    ///
    /// # Errors
    /// There are no weights, they are not the network's ([`Weights::fit`]), an output asked for is none of its nodes
    /// ([`Graph::with_outputs`]), or the device can't run it as the options say.
    pub fn compile(&self, gpu: &Gpu, options: Options) -> Result<Network> {
        Network::new(self, gpu, options)
    }

    /// Its name; of a file, the file's path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it computes.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Its numbers, if it has some: a network of the zoo may lack them.
    pub fn weights(&self) -> Option<&Weights> {
        self.weights.as_ref()
    }

    /// How its images are prepared, where that is known.
    pub fn preprocess(&self) -> Option<&Preprocess> {
        self.preprocess.as_ref()
    }

    /// Names of its classes.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What looked like an SE block in an ONNX file, and what it is.
    pub fn se_candidates(&self) -> &[SeCandidate] {
        &self.se_blocks
    }

    /// What was found or assumed while it was put together, in sentences: for a user to see.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Refuses a network that can't tell images apart: one that doesn't turn an image into a vector with a value a class.
    ///
    /// # Errors
    /// As said.
    pub fn check_classifier(&self) -> Result<()> {
        match (self.graph.input_shape(), &self.preprocess, &self.fixed_batch) {
            (Shape::Tensor(_), _, Some(fixed)) => {
                Err(self.fail(format!("can't classify images one by one: the batch is {fixed}")))
            }
            (Shape::Map { channels: 1 | 3, .. }, None, _) if self.file.is_none() => {
                Err(self.fail("says nothing of how images are prepared; Model::with_preprocess does".into()))
            }
            (input, None, _) => Err(self.fail(format!("expected an input for images, 3xHxW, found {input}"))),
            _ => self.check_answer(),
        }
    }

    /// Refuses a network whose answer has no value for each class.
    fn check_answer(&self) -> Result<()> {
        let name = &self.graph.outputs()[0].0;
        match self.graph.output_shape() {
            Shape::Vector { .. } if name == FEATURES => {
                Err(self.fail(format!("is no classifier: output \"{name}\" is what one would read")))
            }
            Shape::Vector { .. } => Ok(()),
            output => {
                Err(self.fail(format!("is no classifier: expected a vector as output \"{name}\", found {output}")))
            }
        }
    }

    fn fail(&self, message: String) -> Error {
        match &self.file {
            Some(path) => Error::file(path, message),
            None => Error::Graph { graph: self.name.clone(), message },
        }
    }
}
