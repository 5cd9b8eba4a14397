//! Runs a network: images in, answers out. Everything a run needs is made beforehand, once per batch size.

mod budget;
mod guard;
mod input;
pub(crate) mod many;
mod parts;
mod ready;

use super::Gpu;
use super::program::WeightBuffers;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::plan::{Binding, InputFormat, Plan, PlanOptions, Precision, Step, with_hint};
use crate::ranges::LARGEST_HALF;
use crate::tensor::Tensor;
use crate::weights::Weights;
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
pub(crate) use input::Batch;
use input::Source;
use ready::{Loaded, Ready, Staging};
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How to run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExecutorOptions {
    /// How to plan.
    pub plan: PlanOptions,
    /// Check every run: values have buffers of their own and start as NaN, and the bytes around each must stay as they
    /// are. Slow; for tests.
    #[doc(hidden)]
    pub guard: bool,
    /// Run images with NaN or infinity in them, which are refused otherwise. What comes of them is anything: shaders may
    /// take NaN for any number, so that answers look like all others.
    pub allow_non_finite: bool,
    /// How many batch sizes stay ready to run, at least 1; by default 8. The one that was used longest ago makes room
    /// for a new one, which then takes its time again. Weights and pipelines are the same for all and stay.
    pub batch_sizes: usize,
}

impl Default for ExecutorOptions {
    fn default() -> Self {
        Self { plan: PlanOptions::default(), guard: false, allow_non_finite: false, batch_sizes: 8 }
    }
}

/// What getting ready for a batch size took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WarmUp {
    /// Different pipelines of the plan.
    pub pipelines: usize,
    /// Time to make those that the device didn't have. Some drivers compile at the first run instead.
    pub pipeline_time: Duration,
    /// Time to read, pack and upload the weights that no plan before had uploaded.
    pub weight_time: Duration,
}

/// A network on a device.
///
/// ```no_run
/// use excite::gpu::{Executor, ExecutorOptions};
/// use excite::{Gpu, Tensor, Weights, zoo};
///
/// let graph = zoo::build("seresnet50", &zoo::Options::default())?;
/// let weights = Weights::from_safetensors("seresnet50.safetensors")?;
/// let network = Executor::new(&Gpu::new()?, &graph, &weights, ExecutorOptions::default())?;
/// let logits = network.run(&Tensor::zeros([1, 3, 224, 224]))?;
/// assert_eq!(logits.shape(), [1, 1000]);
/// # Ok::<(), excite::Error>(())
/// ```
pub struct Executor {
    gpu: Gpu,
    graph: Graph,
    prepared: Graph,
    weights: Weights,
    options: ExecutorOptions,
    /// Shared with the executors that take other inputs.
    weight_buffers: Arc<WeightBuffers>,
    ready: Ready,
    /// The largest batch that is known to fit the adapter, where a larger one was refused.
    largest: Mutex<usize>,
}

/// A run that the device has and that will be read.
struct Pending {
    staging: Staging,
    submission: wgpu::SubmissionIndex,
    read: OneshotReceiver<std::result::Result<(), wgpu::BufferAsyncError>>,
    /// None where the images were on the device, and the upload buffer has stayed mapped.
    mapped: Option<OneshotReceiver<std::result::Result<(), wgpu::BufferAsyncError>>>,
}

impl Executor {
    /// Checks names and shapes of the weights against the graph ([`Weights::fit`]) and prepares it. Numbers are read when
    /// the first plan is loaded: from then on a file of weights must stay as it is, for other batch sizes may need them.
    ///
    /// # Errors
    /// The weights are not the graph's, or the plan's tuning is of another adapter, driver or precision, or of
    /// cooperative matrices where the device has none, or the other way round.
    pub fn new(gpu: &Gpu, graph: &Graph, weights: &Weights, options: ExecutorOptions) -> Result<Self> {
        options.plan.tuning.as_ref().map_or(Ok(()), |tuning| tuning.check(gpu, options.plan.precision))?;
        let weights = weights.fit(graph)?;
        Ok(Self {
            gpu: gpu.clone(),
            graph: graph.clone(),
            prepared: graph.prepare(options.plan.fusion)?,
            weights,
            options,
            weight_buffers: Arc::default(),
            ready: Ready::default(),
            largest: Mutex::new(usize::MAX),
        })
    }

    /// The same network for images in another format. Both share the weights on the device.
    pub(crate) fn for_input(&self, input: InputFormat) -> Self {
        let plan = PlanOptions { input, ..self.options.plan.clone() };
        Self {
            gpu: self.gpu.clone(),
            graph: self.graph.clone(),
            prepared: self.prepared.clone(),
            weights: self.weights.clone(),
            options: ExecutorOptions { plan, ..self.options.clone() },
            weight_buffers: Arc::clone(&self.weight_buffers),
            ready: Ready::default(),
            largest: Mutex::new(usize::MAX),
        }
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The network as it was given.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The network as it was planned.
    pub fn prepared_graph(&self) -> &Graph {
        &self.prepared
    }

    /// The plan for a batch size, without making anything on the device.
    ///
    /// # Errors
    /// The batch is 0 or passes a limit of the adapter, or half precision is asked for and can't be had: see
    /// [`Plan::new`]. Of a batch that runs in parts, [`Executor::plan_in_parts`] has the plan.
    pub fn plan(&self, batch: usize) -> Result<Plan> {
        self.plan_whole(batch).map_err(|refusal| with_hint(batch, refusal, |batch| self.plan_whole(batch)))
    }

    /// Makes pipelines, weights and buffers for a batch size, or for the parts that it runs in, so that the first run
    /// is as fast as the next; says what the first call for this size took. It takes [`Plan::device_bytes`]: enough for
    /// one run at a time, which then makes nothing. [`Executor::warm_up_many`] is for more.
    ///
    /// # Errors
    /// As [`Executor::plan`], and what the device refuses.
    pub fn warm_up(&self, batch: usize) -> Result<WarmUp> {
        self.warm_parts(batch, 1)
    }

    /// As [`Executor::warm_up`], with staging for as many runs as [`Executor::run_many`] has in flight, which then makes
    /// nothing; else its first batches do. Each run more takes [`Plan::staging_bytes`].
    ///
    /// # Errors
    /// As [`Executor::warm_up`].
    pub fn warm_up_many(&self, batch: usize) -> Result<WarmUp> {
        self.warm_parts(batch, many::IN_FLIGHT)
    }

    /// The network's first output for a batch of images `[N,C,H,W]`: one submission, one wait. A batch too large for
    /// the adapter runs in parts.
    ///
    /// # Errors
    /// The input has another shape, or NaN or infinity in it ([`ExecutorOptions::allow_non_finite`]); a single image
    /// passes a limit; the device fails, or is lost ([`Error::DeviceLost`]). In half precision, an answer that is not
    /// finite.
    pub fn run(&self, input: &Tensor) -> Result<Tensor> {
        self.run_all(input).and_then(|outputs| self.first(outputs))
    }

    fn first(&self, mut outputs: BTreeMap<String, Tensor>) -> Result<Tensor> {
        let name = &self.prepared.outputs()[0].0;
        Ok(outputs.remove(name).expect("a run yields every output"))
    }

    /// As [`Executor::run`], for samples of 8 bits, dense `[N,H,W,C]`: a quarter of the bytes to upload, normalised by
    /// the device. The executor must have been made for them, with [`InputFormat::Pixels`].
    ///
    /// # Errors
    /// As [`Executor::run`]; and the executor takes floats.
    pub fn run_pixels(&self, pixels: &[u8]) -> Result<Tensor> {
        self.run_batch(self.samples(pixels)?).and_then(|outputs| self.first(outputs))
    }

    /// All outputs by name.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_all(&self, input: &Tensor) -> Result<BTreeMap<String, Tensor>> {
        self.run_batch(self.floats(input)?)
    }

    /// All outputs by name.
    pub(crate) fn run_batch(&self, batch: Batch<'_>) -> Result<BTreeMap<String, Tensor>> {
        let mut whole = BTreeMap::new();
        for (loaded, images) in self.parts(batch)? {
            let pending = self.start(&loaded, images)?;
            append(&mut whole, self.wait_for(&loaded, pending)?);
        }
        assemble(whole)
    }

    /// As [`Executor::run`], without blocking: a background thread waits for the device. The work is submitted when
    /// the future is first polled; dropping it then abandons the answer.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub async fn run_async(&self, input: &Tensor) -> Result<Tensor> {
        self.run_batch_async(self.floats(input)?).await.and_then(|outputs| self.first(outputs))
    }

    /// As [`Executor::run_batch`], without blocking.
    pub(crate) async fn run_batch_async(&self, batch: Batch<'_>) -> Result<BTreeMap<String, Tensor>> {
        let mut whole = BTreeMap::new();
        for (loaded, images) in self.parts(batch)? {
            let pending = self.start(&loaded, images)?;
            let waited = self.gpu.wait_in_background(pending.submission.clone())?.receive().await;
            waited.unwrap_or_else(|| Err(self.gpu.context.fail("the thread that waits for it has ended")))?;
            append(&mut whole, self.finish(&loaded, pending).await?);
        }
        assemble(whole)
    }

    /// Records a run into your encoder: copies `input` (dense `[N,C,H,W]`, or samples of 8 bits, dense `[N,H,W,C]` and
    /// padded to whole words, where the plan takes pixels; usage `COPY_SRC`) in, dispatches, copies the first output
    /// (dense, usage `COPY_DST`) out. Submits nothing, waits for nothing; makes something only when a batch size comes
    /// for the first time, which [`Executor::warm_up`] takes care of. A batch too large for the adapter is recorded in
    /// parts. Nothing looks at the input or at the answer: NaN passes, and in half precision, plan with ranges.
    ///
    /// # Errors
    /// A single image passes a limit, or a buffer is too small. Parts of samples don't begin at whole words.
    pub fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        batch: usize,
        input: &wgpu::Buffer,
        output: &wgpu::Buffer,
    ) -> Result<()> {
        let mut outputs = vec![None; self.prepared.outputs().len()];
        outputs[0] = Some(output);
        self.encode_batch(encoder, self.on_device(input, batch)?, &outputs)
    }

    /// Records a run of images on the device, and copies of the outputs that have a buffer; they stand in the graph's
    /// order.
    ///
    /// # Errors
    /// As [`Executor::encode`].
    pub(crate) fn encode_batch(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        batch: Batch<'_>,
        outputs: &[Option<&wgpu::Buffer>],
    ) -> Result<()> {
        for (buffer, (name, id)) in outputs.iter().zip(self.prepared.outputs()) {
            let Some(buffer) = buffer else { continue };
            let need = 4 * (batch.images * self.prepared.node(*id).shape.len()) as u64;
            let refuse = |message: String| Err(Error::Request(format!("output \"{name}\": {message}")));
            if buffer.size() < need {
                let (images, has) = (batch.images, buffer.size());
                return refuse(format!("the output buffer needs {need} bytes for batch {images}, has {has}"));
            }
            if !buffer.usage().contains(wgpu::BufferUsages::COPY_DST) {
                return refuse("the output buffer needs usage COPY_DST".into());
            }
        }
        let mut written = vec![0; outputs.len()];
        for (loaded, part) in self.parts(batch)? {
            let Source::Device(input, start) = part.source else { unreachable!("images to record are on the device") };
            let plan = &loaded.program.plan;
            let (to, at) = loaded.program.place(plan.input);
            encoder.copy_buffer_to_buffer(input, start, to, at, plan.values[plan.input.0].bytes);
            loaded.dispatch(encoder, ..);
            for ((buffer, output), written) in outputs.iter().zip(&plan.outputs).zip(&mut written) {
                let Some(buffer) = buffer else { continue };
                let (from, at) = loaded.program.place(output.value);
                let bytes = plan.output_bytes(output);
                encoder.copy_buffer_to_buffer(from, at, buffer, *written, bytes);
                *written += bytes;
            }
        }
        Ok(())
    }

    /// Runs a batch and leaves its outputs on the device, in new buffers in the graph's order. Waits for nothing.
    pub(crate) fn run_on_device(&self, batch: Batch<'_>) -> Result<Vec<wgpu::Buffer>> {
        let context = &self.gpu.context;
        let (input, outputs) = context.scoped("buffers of a run", || {
            let input = match batch.source {
                Source::Device(..) => None,
                Source::Host(images) => {
                    // Whole words, as buffers have them.
                    let mut words = images.to_vec();
                    words.resize(images.len().next_multiple_of(4), 0);
                    let bytes = words.len() as u64;
                    Some(context.buffer("images", bytes, wgpu::BufferUsages::COPY_SRC, Some(&words)))
                }
            };
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let output = |(name, id): &(String, _)| {
                let bytes = 4 * (batch.images * self.prepared.node(*id).shape.len()) as u64;
                context.buffer(name, bytes, usage, None)
            };
            (input, self.prepared.outputs().iter().map(output).collect::<Vec<_>>())
        })?;
        let batch = input.as_ref().map_or(batch, |input| Batch { source: Source::Device(input, 0), ..batch });
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        self.encode_batch(&mut encoder, batch, &outputs.iter().map(Some).collect::<Vec<_>>())?;
        context.scoped("a run", || self.gpu.queue().submit([encoder.finish()]))?;
        Ok(outputs)
    }

    /// Records only the dispatches of a run, on whatever the input buffer holds: for timing the device.
    #[doc(hidden)]
    pub fn encode_dispatches(&self, encoder: &mut wgpu::CommandEncoder, batch: usize) -> Result<()> {
        let (parts, _) = self.load_in_parts(batch)?;
        parts.sizes().try_for_each(|size| self.load(size).map(|loaded| loaded.dispatch(encoder, ..)))
    }

    /// As [`Executor::encode_dispatches`], for one step of the plan.
    #[doc(hidden)]
    pub fn encode_step(&self, encoder: &mut wgpu::CommandEncoder, batch: usize, step: usize) -> Result<()> {
        self.load(batch)?.dispatch(encoder, step..=step);
        Ok(())
    }

    /// Records only the steps of nodes of these names, without what makes them outputs, then a copy of four bytes that
    /// waits for them and that the next run of them waits for: for timing some steps one after the other.
    pub(crate) fn encode_nodes(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        batch: usize,
        names: &[&str],
        copied: &wgpu::Buffer,
    ) -> Result<()> {
        let loaded = self.load(batch)?;
        let plan = &loaded.program.plan;
        let steps = &plan.steps;
        let made_output = |binding: &Binding| match *binding {
            Binding::Value(id) => plan.values[id.0].node.is_none() && plan.outputs.iter().any(|out| out.value == id),
            Binding::Weight(_) => false,
        };
        let belongs = |step: &Step| {
            let node = step.name.split_once('/').map_or(step.name.as_str(), |(node, _)| node);
            names.contains(&node) && !step.writes().iter().any(made_output)
        };
        let chosen: Vec<usize> = (0..steps.len()).filter(|&index| belongs(&steps[index])).collect();
        let descriptor = wgpu::ComputePassDescriptor { label: Some("chosen steps"), timestamp_writes: None };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        chosen.iter().for_each(|&index| loaded.encode(&mut pass, index..=index));
        drop(pass);
        let last = chosen.last().and_then(|&index| steps[index].writes().into_iter().next());
        if let Some(Binding::Value(value)) = last {
            let (from, at) = loaded.program.place(value);
            encoder.copy_buffer_to_buffer(from, at, copied, 0, 4);
        }
        Ok(())
    }

    /// Submits a run and asks for its buffers back. Of a lost device they don't come.
    fn start(&self, loaded: &Loaded, batch: Batch<'_>) -> Result<Pending> {
        let staging = loaded.take_staging(&self.gpu.context)?;
        if let Source::Host(images) = batch.source {
            let mut view = staging.upload.get_mapped_range_mut(..).map_err(|e| self.gpu.context.fail(e.to_string()))?;
            view.slice(..images.len()).copy_from_slice(images);
            drop(view);
            staging.upload.unmap();
        }
        let submission = self.gpu.context.scoped("a run", || {
            if self.options.guard {
                self.poison(&loaded.program);
            }
            self.submit(loaded, batch, &staging)
        })?;
        let map = |buffer: &wgpu::Buffer, mode| {
            let (sender, receiver) = oneshot_channel();
            buffer.map_async(mode, .., move |result| {
                // Nobody listens where the run was abandoned.
                let _ = sender.send(result);
            });
            receiver
        };
        let read = map(&staging.readback, wgpu::MapMode::Read);
        let mapped = matches!(batch.source, Source::Host(_)).then(|| map(&staging.upload, wgpu::MapMode::Write));
        Ok(Pending { staging, submission, read, mapped })
    }

    /// Submits the copy of the images, all dispatches and the copies of the outputs.
    fn submit(&self, loaded: &Loaded, batch: Batch<'_>, staging: &Staging) -> wgpu::SubmissionIndex {
        let plan = &loaded.program.plan;
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some(&plan.name) };
        let mut encoder = self.gpu.device().create_command_encoder(&descriptor);
        let (from, start) = match batch.source {
            Source::Host(_) => (&staging.upload, 0),
            Source::Device(buffer, start) => (buffer, start),
        };
        let (to, at) = loaded.program.place(plan.input);
        encoder.copy_buffer_to_buffer(from, start, to, at, plan.values[plan.input.0].bytes);
        loaded.dispatch(&mut encoder, ..);
        let mut position = 0;
        for output in &plan.outputs {
            let (from, at) = loaded.program.place(output.value);
            encoder.copy_buffer_to_buffer(from, at, &staging.readback, position, plan.output_bytes(output));
            position += plan.output_bytes(output);
        }
        self.gpu.queue().submit([encoder.finish()])
    }

    /// Waits for a run and reads its outputs.
    fn wait_for(&self, loaded: &Loaded, pending: Pending) -> Result<BTreeMap<String, Tensor>> {
        self.gpu.wait(pending.submission.clone())?;
        pollster::block_on(self.finish(loaded, pending))
    }

    /// Reads a run's outputs and puts its buffers back.
    async fn finish(&self, loaded: &Loaded, pending: Pending) -> Result<BTreeMap<String, Tensor>> {
        let context = &self.gpu.context;
        for receiver in [Some(&pending.read), pending.mapped.as_ref()].into_iter().flatten() {
            let mapped = receiver.receive().await;
            mapped
                .ok_or_else(|| context.fail("a buffer was dropped before its run ended"))?
                .map_err(|_| context.fail("a run's buffers can't be mapped"))?;
        }
        // Once a device is lost, wgpu maps what no run has written.
        context.alive()?;
        let plan = &loaded.program.plan;
        let outputs = {
            let view = pending.staging.readback.get_mapped_range(..).map_err(|e| context.fail(e.to_string()))?;
            let mut position = 0;
            let mut outputs = BTreeMap::new();
            for output in &plan.outputs {
                let bytes = plan.output_bytes(output) as usize;
                let data = bytemuck::pod_collect_to_vec(&view[position..position + bytes]);
                position += bytes;
                outputs.insert(output.name.clone(), Tensor::new(output.shape.with_batch(plan.batch), data)?);
            }
            outputs
        };
        pending.staging.readback.unmap();
        loaded.put_back(pending.staging);
        if self.options.guard {
            self.check_guards(&loaded.program)?;
        }
        if plan.options.precision == Precision::F16 {
            check_finite(plan, &outputs)?;
        }
        Ok(outputs)
    }
}

/// Outputs of a batch that runs in parts, as far as they have come: shape and numbers.
type Parts = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn append(whole: &mut Parts, part: BTreeMap<String, Tensor>) {
    for (name, part) in part {
        let shape = part.shape().to_vec();
        match whole.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert((shape, part.into_data()));
            }
            Entry::Occupied(entry) => {
                let (whole, data) = entry.into_mut();
                whole[0] += shape[0];
                data.extend(part.into_data());
            }
        }
    }
}

fn assemble(whole: Parts) -> Result<BTreeMap<String, Tensor>> {
    whole.into_iter().map(|(name, (shape, data))| Ok((name, Tensor::new(shape, data)?))).collect()
}

/// Refuses answers that half precision can't have had room for.
fn check_finite(plan: &Plan, outputs: &BTreeMap<String, Tensor>) -> Result<()> {
    let bad = outputs.iter().find(|(_, tensor)| tensor.data().iter().any(|x| !x.is_finite()));
    let Some((name, _)) = bad else { return Ok(()) };
    Err(Error::Request(format!(
        "{}: output \"{name}\" is not finite in half precision: some value passes {LARGEST_HALF}. Ranges::measure says \
         which; plan with precision f32",
        plan.name
    )))
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Executor {} on {}", self.graph.name(), self.gpu.describe())
    }
}
