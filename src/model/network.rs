//! A model on a device: images in, outputs by name out.

use super::Model;
use super::classes::{Classes, Scores};
use super::input::Input;
use super::outputs::Outputs;
use crate::error::{Error, Result};
use crate::gpu::{Batch, Executor, ExecutorOptions, Gpu, in_flight};
use crate::graph::Graph;
use crate::labels::Labels;
use crate::passes::Fusion;
use crate::plan::Precision;
use crate::preprocess::Preprocess;
use crate::ranges::Ranges;
use crate::tensor::Tensor;
use crate::tuning::Tuning;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// How a [`Model`] is compiled, and what it gives.
///
/// ```
/// use excite::{Options, Precision};
///
/// let options = Options::default().precision(Precision::F16).gates(true).output("features");
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// How it is planned and run.
    pub executor: ExecutorOptions,
    /// Images of a batch that is made ready at once; else a batch size's first run takes longer.
    pub batch: Option<usize>,
    /// Whether the gates of all SE blocks are outputs as well: `gate.<se_block>`, `[N,C]`.
    pub gates: bool,
    /// More outputs by name, as [`Graph::with_outputs`] takes them: `features`, `gate.<se_block>`, or any node.
    pub outputs: Vec<String>,
}

impl Options {
    /// Sets how maps and the weights of convolutions are stored.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.executor.plan.precision = precision;
        self
    }

    /// Sets how far ops share dispatches.
    #[must_use]
    pub fn fusion(mut self, fusion: Fusion) -> Self {
        self.executor.plan.fusion = fusion;
        self
    }

    /// Sets how large values get, by which half precision is refused where one might not fit.
    #[must_use]
    pub fn ranges(mut self, ranges: impl Into<Option<Arc<Ranges>>>) -> Self {
        self.executor.plan.ranges = ranges.into();
        self
    }

    /// Sets what was measured of the adapter's convolutions.
    #[must_use]
    pub fn tuning(mut self, tuning: impl Into<Option<Arc<Tuning>>>) -> Self {
        self.executor.plan.tuning = tuning.into();
        self
    }

    /// Lets images with NaN or infinity run, which are refused otherwise.
    #[must_use]
    pub fn allow_non_finite(mut self, allow: bool) -> Self {
        self.executor.allow_non_finite = allow;
        self
    }

    /// Sets how many images are made ready for at once.
    #[must_use]
    pub fn batch(mut self, images: usize) -> Self {
        self.batch = Some(images);
        self
    }

    /// Makes the gates of all SE blocks outputs, or not.
    #[must_use]
    pub fn gates(mut self, gates: bool) -> Self {
        self.gates = gates;
        self
    }

    /// Adds an output by name: `features`, `gate.<se_block>`, or any node.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.outputs.push(name.into());
        self
    }
}

/// A model on a device. Threads may share it.
#[derive(Debug)]
pub struct Network {
    model: Model,
    scores: Scores,
    floats: Executor,
    /// For samples of 8 bits; made when they first come, with the same weights on the device.
    pixels: OnceLock<Executor>,
}

/// Images in the form that an executor takes.
struct Prepared<'a> {
    pixels: bool,
    data: Data<'a>,
}

enum Data<'a> {
    Floats(&'a [f32]),
    Pixels(Cow<'a, [u8]>),
    Buffer(&'a wgpu::Buffer, usize),
}

impl Network {
    pub(super) fn new(model: &Model, gpu: &Gpu, options: Options) -> Result<Self> {
        let weights = model.weights.as_ref().ok_or_else(|| {
            let name = &model.name;
            Error::weights(None, format!("{name} comes without any: Model::with_weights gives it some"))
        })?;
        let graph = model.graph.clone();
        let graph = if options.gates { graph.with_gate_outputs() } else { graph };
        let floats = Executor::new(gpu, &graph.with_outputs(&options.outputs)?, weights, options.executor)?;
        let scores = Scores::of(&model.graph);
        let network = Self { model: model.clone(), scores, floats, pixels: OnceLock::new() };
        if let Some(batch) = options.batch {
            let pixels = network.model.preprocess.is_some();
            if pixels { network.pixels()? } else { &network.floats }.warm_up(batch)?;
        }
        Ok(network)
    }

    /// Runs a batch of images: one submission, one wait. The outputs are those of the model, then those that the options
    /// ask for, whatever the images are in. A batch too large for the adapter runs in parts.
    ///
    /// # Errors
    /// The images are not this network's, or have NaN or infinity in them ([`Error::Input`]); a single image passes a
    /// limit ([`Error::Limit`]); the device fails, or is lost ([`Error::DeviceLost`]). In half precision, an answer
    /// that is not finite.
    pub fn run<'a>(&self, images: impl Into<Input<'a>>) -> Result<Outputs> {
        let images = self.prepare(images.into())?;
        let (executor, batch) = self.batch(&images)?;
        executor.run_batch(batch).map(|outputs| self.on_host(outputs))
    }

    /// As [`Network::run`], without blocking: a background thread waits for the device. The work is submitted when the
    /// future is first polled.
    ///
    /// # Errors
    /// As there.
    pub async fn run_async<'a>(&self, images: impl Into<Input<'a>>) -> Result<Outputs> {
        let images = self.prepare(images.into())?;
        let (executor, batch) = self.batch(&images)?;
        executor.run_batch_async(batch).await.map(|outputs| self.on_host(outputs))
    }

    /// Runs batches one after the other, with up to three in flight, and gives their outputs in order: the same bits as
    /// [`Network::run`], in less time. That many are taken from `batches` ahead. An error takes the place of its batch's
    /// outputs; the others still come.
    ///
    /// ```no_run
    /// # fn sum(network: excite::Network, batches: Vec<excite::Tensor>) -> excite::Result<()> {
    /// for outputs in network.run_many(&batches) {
    ///     println!("{:?}", outputs?[0]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_many<'a, T: Into<Input<'a>>>(
        &self,
        batches: impl IntoIterator<Item = T>,
    ) -> impl Iterator<Item = Result<Outputs>> {
        let prepared = batches.into_iter().map(|batch| self.prepare(batch.into()));
        let outputs = in_flight(prepared, |images: &Prepared<'a>| self.batch(images));
        outputs.map(|outputs| outputs.map(|outputs| self.on_host(outputs)))
    }

    /// Runs a batch and leaves its outputs on the device, each in a new buffer: submits, and doesn't wait.
    /// [`Outputs::buffer`] gives them to work that comes after, [`Outputs::read`] reads them. Nothing looks at the
    /// answers: in half precision, plan with ranges.
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn run_on_device<'a>(&self, images: impl Into<Input<'a>>) -> Result<Outputs> {
        let images = self.prepare(images.into())?;
        let (executor, batch) = self.batch(&images)?;
        let count = batch.images();
        let outputs = self.graph().outputs().iter().zip(executor.run_on_device(batch)?);
        let output = |((name, id), buffer): (&(String, _), _)| {
            (name.clone(), self.graph().node(*id).shape.with_batch(count), buffer)
        };
        Ok(Outputs::of_device(self.gpu(), outputs.map(output)))
    }

    /// Records a run into your encoder: images of a buffer on the device in ([`Input::buffer`], [`Input::pixel_buffer`]),
    /// outputs by name into your buffers (dense `f32`, usage `COPY_DST`). Submits nothing, waits for nothing, and makes
    /// something only when a batch size comes for the first time.
    ///
    /// # Errors
    /// The images are on the host, a buffer is too small or lacks its usage, there is no such output, or a single image
    /// passes a limit.
    pub fn encode<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        images: impl Into<Input<'a>>,
        outputs: &[(&str, &wgpu::Buffer)],
    ) -> Result<()> {
        let images = images.into();
        let Input::Buffer { .. } = images else {
            return Err(self.graph().bad_input("only images on the device can be recorded: Input::buffer"));
        };
        let mut places = vec![None; self.graph().outputs().len()];
        for (name, buffer) in outputs {
            let Some(at) = self.graph().outputs().iter().position(|(own, _)| own == name) else {
                let names: Vec<&str> = self.graph().outputs().iter().map(|(own, _)| own.as_str()).collect();
                let message = format!("has no output \"{name}\"; it has {}", names.join(", "));
                return Err(Error::Graph { graph: self.model.name.clone(), message });
            };
            places[at] = Some(*buffer);
        }
        let images = self.prepare(images)?;
        let (executor, batch) = self.batch(&images)?;
        executor.encode_batch(encoder, batch, &places)
    }

    /// Says what is in one image.
    ///
    /// # Errors
    /// As [`Network::run`]; the network is no classifier ([`Model::check_classifier`]); there is not exactly one image;
    /// or the answer is not finite.
    pub fn classify<'a>(&self, image: impl Into<Input<'a>>) -> Result<Classes> {
        let mut answers = self.classify_many(image)?;
        match answers.len() {
            1 => answers.remove(0),
            count => Err(self.graph().bad_input(format!("classify takes one image, is given {count}: classify_many"))),
        }
    }

    /// Says what is in each image of a batch.
    ///
    /// # Errors
    /// As [`Network::run`], and the network is no classifier. An answer that is not finite is that image's error.
    pub fn classify_many<'a>(&self, images: impl Into<Input<'a>>) -> Result<Vec<Result<Classes>>> {
        let outputs = self.run(images)?;
        let answers = &outputs[0];
        (0..answers.batch()).map(|image| self.classes(answers.image(image))).map(Ok).collect()
    }

    /// Reads one image's answer, a row of the first output, as probabilities of classes: a softmax over logits, unless
    /// the network ends in one.
    ///
    /// # Errors
    /// The network is no classifier, or the answer has NaN or infinity.
    pub fn classes(&self, answer: &[f32]) -> Result<Classes> {
        self.model.check_answer()?;
        self.scores.classes(answer, &self.model.labels)
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        self.floats.gpu()
    }

    /// What it computes, with the outputs asked for.
    pub fn graph(&self) -> &Graph {
        self.floats.graph()
    }

    /// Names of its classes.
    pub fn labels(&self) -> &Labels {
        &self.model.labels
    }

    /// The layer below that runs floats: plans, memory, times.
    pub fn floats(&self) -> &Executor {
        &self.floats
    }

    /// The layer below that runs samples of 8 bits.
    ///
    /// # Errors
    /// The model says nothing of how images are prepared.
    pub fn pixels(&self) -> Result<&Executor> {
        let format = self.preprocess()?.input_format();
        Ok(self.pixels.get_or_init(|| self.floats.for_input(format)))
    }

    /// How its images are prepared.
    ///
    /// # Errors
    /// The model doesn't say.
    pub fn preprocess(&self) -> Result<&Preprocess> {
        let missing =
            || self.graph().bad_input("takes floats only: Model::with_preprocess says what samples of 8 bits are");
        self.model.preprocess.as_ref().ok_or_else(missing)
    }

    fn on_host(&self, outputs: BTreeMap<String, Tensor>) -> Outputs {
        Outputs::of_host(self.graph().outputs().iter().map(|(name, _)| name.as_str()), outputs)
    }

    /// Checks the shape, and prepares images.
    fn prepare<'a>(&self, images: Input<'a>) -> Result<Prepared<'a>> {
        Ok(match images {
            Input::Tensor(tensor) => {
                if tensor.shape() != self.graph().input_shape().dims() {
                    self.graph().check_input(tensor)?;
                }
                Prepared { pixels: false, data: Data::Floats(tensor.data()) }
            }
            Input::Floats(floats) => Prepared { pixels: false, data: Data::Floats(floats) },
            Input::Pixels(pixels) => Prepared { pixels: true, data: Data::Pixels(Cow::Borrowed(pixels)) },
            #[cfg(feature = "image")]
            Input::Images(images) => {
                let preprocess = self.preprocess()?;
                let samples = images.iter().map(|image| preprocess.pixels(image)).collect::<Result<Vec<_>>>()?;
                Prepared { pixels: true, data: Data::Pixels(Cow::Owned(samples.concat())) }
            }
            Input::Buffer { buffer, images, pixels } => Prepared { pixels, data: Data::Buffer(buffer, images) },
        })
    }

    /// Who runs the images.
    fn batch<'b>(&self, images: &'b Prepared<'_>) -> Result<(&Executor, Batch<'b>)> {
        let executor = if images.pixels { self.pixels()? } else { &self.floats };
        let batch = match &images.data {
            Data::Floats(floats) => executor.values(floats),
            Data::Pixels(pixels) => executor.samples(pixels),
            Data::Buffer(buffer, images) => executor.on_device(buffer, *images),
        };
        Ok((executor, batch?))
    }
}
