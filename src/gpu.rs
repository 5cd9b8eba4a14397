//! The only part that talks to wgpu: adapters, pipelines, buffers, runs.

mod adapter;
mod context;
mod cooperative;
mod executor;
mod pipeline_cache;
mod program;
mod se_block;
mod timer;
mod tuning;

pub use adapter::{AdapterDescription, adapters};
pub(crate) use executor::{Batch, many::in_flight};
pub use executor::{Executor, ExecutorOptions, WarmUp};
pub use pipeline_cache::user_cache_dir;
pub use se_block::{SeBinding, SeBlock};
pub use timer::{GpuTimer, Timing};

use crate::error::{Error, Result};
use crate::kernels::{MatrixSize, Variant};
use crate::plan::{Family, Target};
use context::{Context, caught_panic_of};
use futures_intrusive::channel::shared::{OneshotReceiver, OneshotSender, oneshot_channel};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

/// Bytes that small buffers get together from the driver: the least that wgpu's allocator takes.
const BLOCK: u64 = 4 << 20;

/// A device that runs networks, with the pipelines made so far. Clones share everything, on as many threads as you
/// like; but where OpenGL is all there is and runs on the CPU, wgpu locks the device while it computes and panics in a
/// thread that waits for it longer than some seconds: there, one thread at a time, or a `Gpu` for each.
///
/// # A lost device
/// Drivers give a device up after a hang, a reset or a fault of their own; some when memory runs out while they
/// compile. Every call that has work on it, or begins some, then returns [`Error::DeviceLost`]; no answer of such a run
/// is given. What was made on it (executors, blocks) is of no more use, graphs and weights are: a new `Gpu` and a new
/// [`Executor`] give the same bits as before.
///
/// ```no_run
/// # use excite::gpu::{Executor, ExecutorOptions};
/// # use excite::{Error, Gpu, Graph, Tensor, Weights};
/// fn run_again(graph: &Graph, weights: &Weights, network: &mut Executor, images: &Tensor) -> excite::Result<Tensor> {
///     match network.run(images) {
///         Err(Error::DeviceLost { .. }) => {
///             *network = Executor::new(&Gpu::new()?, graph, weights, ExecutorOptions::default())?;
///             network.run(images)
///         }
///         answer => answer,
///     }
/// }
/// ```
///
/// A driver that reports the loss while it is waited for makes wgpu panic. That panic is caught and is the error, but the
/// process's panic hook has seen it by then: the default one prints it. Where panics abort, it ends the process.
#[derive(Clone, Debug)]
pub struct Gpu {
    context: Arc<Context>,
    queue: wgpu::Queue,
    poller: Arc<Mutex<Option<Sender<Waiting>>>>,
}

/// A submission that the background thread waits for, and where it says that it has.
type Waiting = (wgpu::SubmissionIndex, OneshotSender<Result<()>>);

/// Which adapter to open, and how.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GpuOptions {
    /// `auto`, an index of [`adapters`], or a part of an adapter's name or backend, in any case. `None` reads the
    /// environment variable `EXCITE_DEVICE`, and means `auto` where that is unset too.
    pub device: Option<String>,
    /// Bounds checks and workgroup zero-initialisation in our shaders. `None`: on in debug builds, off in release.
    pub shader_checks: Option<bool>,
    /// Folder where compiled pipelines are kept for the next process, such as [`user_cache_dir`]; made if it isn't there.
    /// What is found there is believed only if this user alone could have written it, for the same adapter and driver.
    /// `None`: nothing is read or written. Only Vulkan has such caches; elsewhere this means nothing.
    pub pipeline_cache: Option<PathBuf>,
    /// Let plans in half precision multiply by cooperative matrices (tensor cores, `simdgroup_matrix`) of this size.
    /// [`crate::measure::cooperative_matrices`] finds the size that the adapter has and whose results are right: opening
    /// tests nothing. An experimental feature of wgpu: it says that there may be undefined behaviour in it. Our kernels
    /// for it have run with matrices of 8x8 on a software adapter; those of 16x16 have only been translated.
    pub cooperative_matrices: Option<MatrixSize>,
}

impl Gpu {
    /// Opens the adapter that `EXCITE_DEVICE` names, or the best there is: a GPU, else a software adapter, which
    /// [`Gpu::describe`] then says.
    ///
    /// # Errors
    /// There is no adapter, or none like the one asked for; the message says what to install or what there is.
    pub fn new() -> Result<Self> {
        Self::open(&GpuOptions::default())
    }

    /// Opens an adapter.
    ///
    /// # Errors
    /// As [`Gpu::new`], and where the adapter refuses a device.
    pub fn open(options: &GpuOptions) -> Result<Self> {
        pollster::block_on(Self::request_with(options))
    }

    /// Opens an adapter as [`Gpu::new`] does, without blocking: for event loops and executors of futures.
    ///
    /// # Errors
    /// As there.
    pub async fn request() -> Result<Self> {
        Self::request_with(&GpuOptions::default()).await
    }

    /// As [`Gpu::open`], without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn request_with(options: &GpuOptions) -> Result<Self> {
        let adapter = chosen(options).await?;
        let start = std::time::Instant::now();
        let (context, queue) = open_device(&adapter, options).await?;
        let (text, time) = (adapter::describe(&context.info), start.elapsed().as_secs_f64() * 1e3);
        let kept = match context.cached_pipeline_bytes() {
            Some(bytes) => format!("{bytes} bytes of compiled pipelines found"),
            None => "no pipelines are kept".into(),
        };
        log::info!("opened {text} in {time:.0} ms; {kept}");
        Ok(Self::with_context(context, queue))
    }

    /// Opens an adapter for plans of a family of convolutions, whatever the adapter is: for self-tests.
    pub(crate) fn open_for_family(options: &GpuOptions, family: Family) -> Result<Self> {
        let (mut context, queue) = pollster::block_on(async { open_device(&chosen(options).await?, options).await })?;
        context.target.family = family;
        Ok(Self::with_context(context, queue))
    }

    /// Describes the adapter that would be opened, and lists the cooperative matrices that it has, the larger first.
    pub(crate) fn cooperative_sizes(options: &GpuOptions) -> Result<(String, Vec<MatrixSize>)> {
        let adapter = pollster::block_on(chosen(options))?;
        Ok((adapter::describe(&adapter.get_info()), cooperative::sizes(&adapter)))
    }

    /// Runs on a device that you own. Its features and limits decide which kernels are used; its callbacks stay yours.
    /// `SUBGROUP`, `SHADER_F16` and `TIMESTAMP_QUERY` serve, and `SHADER_INT64` on software adapters.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::with_context(Context::new(device, cfg!(debug_assertions)), queue)
    }

    fn with_context(context: Context, queue: wgpu::Queue) -> Self {
        Self { context: Arc::new(context), queue, poller: Arc::default() }
    }

    /// The device.
    pub fn device(&self) -> &wgpu::Device {
        &self.context.device
    }

    /// The queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// What wgpu says of the adapter.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.context.info
    }

    /// Name, backend and kind in one line, e.g. `llvmpipe (LLVM 15.0.6, 256 bits), Vulkan, software`.
    pub fn describe(&self) -> String {
        adapter::describe(self.info())
    }

    /// Whether the adapter computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.info().device_type == wgpu::DeviceType::Cpu
    }

    /// What plans must know of the adapter.
    pub fn target(&self) -> &Target {
        &self.context.target
    }

    /// Whether the device is lost: then every run on it fails, and only a new `Gpu` can go on. On a device that is your
    /// own, too, whose callback for it stays yours; there it asks wgpu for a small buffer to find out.
    pub fn is_lost(&self) -> bool {
        self.context.is_lost()
    }

    /// wgpu objects (buffers, pipelines, bind groups, …) that this crate has made on the device so far. A run makes none.
    pub fn objects_created(&self) -> u64 {
        self.context.created()
    }

    /// How often this crate has waited for the device so far: once a run, and while weights are uploaded.
    pub fn waits(&self) -> u64 {
        self.context.waits()
    }

    /// Names of shaders with the variants of them that pipelines have been made of so far: for tests of what they ran.
    #[doc(hidden)]
    pub fn variants(&self) -> BTreeSet<(&'static str, Variant)> {
        self.context.variants()
    }

    /// Bytes of compiled pipelines that [`GpuOptions::pipeline_cache`] had when the device was opened. `None` where no
    /// pipelines are kept.
    pub fn cached_pipeline_bytes(&self) -> Option<usize> {
        self.context.cached_pipeline_bytes()
    }

    /// Reads a part of a buffer, whose usages have `COPY_SRC`; waits for all that was submitted before.
    pub(crate) fn read_words(&self, buffer: &wgpu::Buffer, start: u64, bytes: u64) -> Result<Vec<u32>> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let (copy, submission) = self.context.scoped("reading a buffer", || {
            let copy = self.context.buffer("read", bytes, usage, None);
            let mut encoder = self.device().create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, start, &copy, 0, bytes);
            let submission = self.queue.submit([encoder.finish()]);
            copy.map_async(wgpu::MapMode::Read, .., |_| {});
            (copy, submission)
        })?;
        self.wait(submission)?;
        let view = copy.get_mapped_range(..).map_err(|e| self.context.fail(e.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view[..]))
    }

    /// Waits for a submission.
    pub(crate) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        self.context.wait(submission)
    }

    /// Has a thread wait for a submission, so that its callbacks come without anyone blocking; the receiver gets what
    /// came of it. One thread serves all.
    pub(crate) fn wait_in_background(&self, submission: wgpu::SubmissionIndex) -> Result<OneshotReceiver<Result<()>>> {
        let (sender, receiver) = oneshot_channel();
        let mut poller = self.poller.lock().expect("no holder of this lock panics");
        let waiting = match &*poller {
            Some(waiting) => waiting,
            None => poller.insert(self.spawn_poller()?),
        };
        // The thread lives as long as its channel.
        let _ = waiting.send((submission, sender));
        Ok(receiver)
    }

    /// Starts the thread that waits. It ends when the last clone of the `Gpu` has gone.
    fn spawn_poller(&self) -> Result<Sender<Waiting>> {
        let (sender, submissions) = channel::<Waiting>();
        let context = Arc::clone(&self.context);
        let wait = move || {
            for (submission, done) in submissions {
                // Nobody listens where the run was abandoned.
                let _ = done.send(context.wait(submission));
            }
        };
        let thread = std::thread::Builder::new().name("excite waits".into()).spawn(wait);
        thread.map_err(|e| self.context.fail(format!("can't start a thread that waits for it: {e}")))?;
        Ok(sender)
    }
}

/// The adapter that the options name.
async fn chosen(options: &GpuOptions) -> Result<wgpu::Adapter> {
    let wish = options.device.clone().or_else(|| std::env::var("EXCITE_DEVICE").ok());
    adapter::choose(wish.as_deref().unwrap_or("auto")).await
}

/// Asks the adapter for a device.
#[allow(unsafe_code, reason = "its argument is below")]
async fn open_device(adapter: &wgpu::Adapter, options: &GpuOptions) -> Result<(Context, wgpu::Queue)> {
    let matrices = options.cooperative_matrices;
    if let Some(size) = matrices.filter(|size| !cooperative::sizes(adapter).contains(size)) {
        let message = format!("has no cooperative matrices of {size} in half precision");
        return Err(Error::Device { adapter: adapter.get_info().name, message });
    }
    let mut wanted = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16;
    // Only kernels for software adapters use it.
    wanted.set(wgpu::Features::SHADER_INT64, adapter.get_info().device_type == wgpu::DeviceType::Cpu);
    wanted.set(wgpu::Features::PIPELINE_CACHE, options.pipeline_cache.is_some());
    wanted.set(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, matrices.is_some());
    let experimental_features = match matrices {
        None => wgpu::ExperimentalFeatures::disabled(),
        // SAFETY: this acknowledges that wgpu's experimental features may have undefined behaviour by its own bugs, which
        // can't be ruled out here. So nothing asks for it but `GpuOptions::cooperative_matrices`, whose documentation
        // says so; the one such feature that the device gets is cooperative matrices, and only our own shaders use it.
        // Their loads and stores stay inside workgroup memory of a fixed size.
        Some(_) => unsafe { wgpu::ExperimentalFeatures::enabled() },
    };
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("excite"),
        required_features: adapter.features() & wanted,
        required_limits: adapter.limits(),
        experimental_features,
        // Buffers are made once: memory that lies about in large blocks buys nothing.
        memory_hints: wgpu::MemoryHints::Manual { suballocated_device_memory_block_size: BLOCK..BLOCK },
        ..Default::default()
    };
    let refused =
        |why: String| Error::Device { adapter: adapter.get_info().name, message: format!("refused a device: {why}") };
    // wgpu makes pipelines of its own with the device; where the first of them fails, it panics.
    let (device, queue) = caught_panic_of(async { adapter.request_device(&descriptor).await })
        .await
        .map_err(refused)?
        .map_err(|e| refused(e.to_string()))?;
    let checks = options.shader_checks.unwrap_or(cfg!(debug_assertions));
    let mut context = Context::of_own_device(device, checks, options.pipeline_cache.as_deref());
    context.target.cooperative = matrices;
    Ok((context, queue))
}
