//! A device with its pipelines: everything is made here, counted, and its errors caught.

use super::pipeline_cache::PipelineCache;
use crate::error::{Error, Result};
use crate::kernels::{Access, Shader, Variant};
use crate::plan::{Family, Limits, PipelineKey, Step, Target};
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;

/// A compute pipeline and the layout of its one bind group.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

#[derive(Debug)]
pub(super) struct Context {
    pub device: wgpu::Device,
    pub info: wgpu::AdapterInfo,
    pub target: Target,
    checks: bool,
    cache: Option<PipelineCache>,
    pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    created: AtomicU64,
    waits: AtomicU64,
    /// Why the device is lost, once that is known.
    lost: Arc<OnceLock<String>>,
}

impl Context {
    /// For a device that is the user's: its callbacks stay theirs.
    pub(super) fn new(device: wgpu::Device, checks: bool) -> Self {
        let info = device.adapter_info();
        let target = target(&device, &info);
        Self {
            device,
            info,
            target,
            checks,
            cache: None,
            pipelines: Mutex::default(),
            created: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            lost: Arc::default(),
        }
    }

    /// For a device that this crate has opened: errors say why it was lost, and none ends the process. Pipelines are kept
    /// in the folder.
    pub(super) fn of_own_device(device: wgpu::Device, checks: bool, pipeline_cache: Option<&Path>) -> Self {
        let mut context = Self::new(device, checks);
        context.cache = pipeline_cache.and_then(|folder| PipelineCache::open(&context.device, &context.info, folder));
        let lost = Arc::clone(&context.lost);
        context.device.set_device_lost_callback(move |reason, message| {
            let why = match reason {
                wgpu::DeviceLostReason::Destroyed => "it was destroyed".into(),
                wgpu::DeviceLostReason::Unknown => message,
            };
            // The first reason stays.
            let _ = lost.set(why);
        });
        let name = context.info.name.clone();
        // What no error scope catches.
        context.device.on_uncaptured_error(Arc::new(move |error| log::error!("device \"{name}\": {error}")));
        context
    }

    pub(super) fn created(&self) -> u64 {
        self.created.load(Ordering::Relaxed)
    }

    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// Counts a wait for a submission.
    pub(super) fn count_wait(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    /// The shaders' variants that there are pipelines of.
    pub(super) fn variants(&self) -> BTreeSet<(&'static str, Variant)> {
        let known = self.pipelines.lock().expect("no holder of this lock panics");
        known.keys().map(|&(shader, variant, _)| (shader, variant)).collect()
    }

    /// Bytes of compiled pipelines that were on disk.
    pub(super) fn cached_pipeline_bytes(&self) -> Option<usize> {
        self.cache.as_ref().map(|cache| cache.loaded)
    }

    fn count(&self) {
        self.created.fetch_add(1, Ordering::Relaxed);
    }

    /// An error of this device; where the device is lost, that is the error.
    pub(super) fn fail(&self, message: impl Into<String>) -> Error {
        let message = message.into();
        if !self.is_lost() {
            return Error::Device { adapter: self.info.name.clone(), message };
        }
        let why = self.lost.get().map_or_else(String::new, |why| format!("{why} ({message})"));
        Error::DeviceLost { adapter: self.info.name.clone(), message: why }
    }

    /// An error if the device is known to be lost. Asks nothing.
    pub(super) fn alive(&self) -> Result<()> {
        let lost = |why: &String| Error::DeviceLost { adapter: self.info.name.clone(), message: why.clone() };
        self.lost.get().map_or(Ok(()), |why| Err(lost(why)))
    }

    /// Whether the device is lost. wgpu says so to a callback only, which on a device of the user's is the user's; but
    /// a lost device refuses a buffer without an error, and no other device does.
    pub(super) fn is_lost(&self) -> bool {
        if self.lost.get().is_some() {
            return true;
        }
        let (mapped, error) = self.caught(|| {
            let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
            let descriptor = wgpu::BufferDescriptor { label: Some("alive"), size: 4, usage, mapped_at_creation: true };
            self.device.create_buffer(&descriptor).get_mapped_range_mut(..).is_ok()
        });
        let lost = !mapped && error.is_none();
        if lost {
            // Another thread may know more.
            let _ = self.lost.set("it refuses everything".into());
        }
        lost
    }

    /// As [`Context::alive`], after asking the device: what a lost one makes is of no use, and no error scope says so.
    pub(super) fn still_alive(&self) -> Result<()> {
        self.is_lost();
        self.alive()
    }

    /// Does `work` and turns what the device refuses into an error. A device that is lost meanwhile may refuse in
    /// silence.
    pub(super) fn scoped<T>(&self, what: &str, work: impl FnOnce() -> T) -> Result<T> {
        self.alive()?;
        match self.caught(work) {
            (value, None) => self.alive().map(|()| value),
            (_, Some(wgpu::Error::OutOfMemory { source })) => Err(match self.fail(format!("{what}: {source}")) {
                Error::Device { adapter, message } => Error::OutOfMemory { adapter, message },
                lost => lost,
            }),
            (_, Some(error)) => Err(self.fail(format!("{what}: {error}"))),
        }
    }

    /// Does `work` and catches its first error. Scopes belong to the thread.
    fn caught<T>(&self, work: impl FnOnce() -> T) -> (T, Option<wgpu::Error>) {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let value = work();
        let errors = [internal, validation, memory].map(|scope| pollster::block_on(scope.pop()));
        (value, errors.into_iter().flatten().next())
    }

    /// Waits for a submission.
    pub(super) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        self.count_wait();
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })
    }

    /// Polls the device. wgpu panics there when the driver reports the device lost, and takes what was in flight for done
    /// when it is polled again: here this is an error, then and ever after.
    pub(super) fn poll(&self, how: wgpu::PollType) -> Result<()> {
        self.alive()?;
        let error = match caught_panic(|| self.device.poll(how)) {
            Ok(Ok(_)) => return self.alive(),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic,
        };
        Err(self.fail(format!("waiting for the device: {error}")))
    }

    /// A buffer; `contents` fill its beginning. Until the next submission is done they are in memory twice.
    pub(super) fn buffer(
        &self,
        label: &str,
        size: u64,
        usage: wgpu::BufferUsages,
        contents: Option<&[u8]>,
    ) -> wgpu::Buffer {
        self.count();
        let descriptor = wgpu::BufferDescriptor {
            label: Some(label),
            size: size.next_multiple_of(4),
            usage,
            mapped_at_creation: contents.is_some(),
        };
        let buffer = self.device.create_buffer(&descriptor);
        if let Some(contents) = contents {
            // A mapping fails only where creation failed; the scope around then has the reason.
            if let Ok(mut view) = buffer.get_mapped_range_mut(0..contents.len() as u64) {
                view.copy_from_slice(contents);
            }
            buffer.unmap();
        }
        buffer
    }

    /// A buffer for uploads, mapped. What writes to it unmaps it.
    pub(super) fn upload_buffer(&self, size: u64) -> wgpu::Buffer {
        self.count();
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("upload"),
            size: size.next_multiple_of(4),
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        })
    }

    pub(super) fn bind_group(
        &self,
        label: &str,
        pipeline: &Pipeline,
        entries: &[wgpu::BindGroupEntry],
    ) -> wgpu::BindGroup {
        self.count();
        let descriptor = wgpu::BindGroupDescriptor { label: Some(label), layout: &pipeline.layout, entries };
        self.device.create_bind_group(&descriptor)
    }

    /// The pipelines of all steps, in order. Those that are missing are made side by side on all cores.
    pub(super) fn pipelines(&self, steps: &[Step]) -> Result<Vec<Arc<Pipeline>>> {
        let mut missing: HashMap<PipelineKey, &Step> = HashMap::new();
        {
            let known = self.pipelines.lock().expect("no holder of this lock panics");
            for step in steps.iter().filter(|step| !known.contains_key(&step.pipeline_key())) {
                missing.insert(step.pipeline_key(), step);
            }
        }
        let missing: Vec<(PipelineKey, &Step)> = missing.into_iter().collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(missing.len().max(1));
        let made = std::thread::scope(|scope| {
            let parts = missing.chunks(missing.len().div_ceil(threads).max(1));
            let workers: Vec<_> = parts
                .map(|part| {
                    scope.spawn(|| {
                        part.iter()
                            .map(|(key, step)| Ok((key.clone(), Arc::new(self.make(step)?))))
                            .collect::<Result<Vec<_>>>()
                    })
                })
                .collect();
            let joined = workers.into_iter().map(|worker| worker.join().expect("making a pipeline does not panic"));
            joined.collect::<Result<Vec<_>>>()
        })?;
        if let Some(cache) = self.cache.as_ref().filter(|_| !missing.is_empty()) {
            cache.store();
        }
        let mut known = self.pipelines.lock().expect("no holder of this lock panics");
        known.extend(made.into_iter().flatten());
        Ok(steps.iter().map(|step| Arc::clone(&known[&step.pipeline_key()])).collect())
    }

    fn make(&self, step: &Step) -> Result<Pipeline> {
        let shader = step.shader;
        self.scoped(&format!("shader {} for \"{}\"", shader.name, step.name), || {
            let module = self.module(shader, step.variant);
            let layout = self.bind_group_layout(shader, step.variant);
            let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(shader.name),
                bind_group_layouts: &[Some(&layout)],
                ..Default::default()
            });
            // Overrides that follow from others are declared but not given.
            let constants: Vec<(&str, f64)> = step.overrides.clone();
            let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(shader.name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    // Our kernels write workgroup memory before they read it. OpenGL gets no zeros even with checks:
                    // they would be one assignment an element, at which Mesa compiles for a minute.
                    zero_initialize_workgroup_memory: self.checks && self.info.backend != wgpu::Backend::Gl,
                },
                cache: self.cache.as_ref().map(PipelineCache::wgpu),
            });
            (0..4).for_each(|_| self.count());
            Pipeline { pipeline, layout }
        })
    }

    #[allow(unsafe_code, reason = "its argument is below")]
    fn module(&self, shader: &Shader, variant: Variant) -> wgpu::ShaderModule {
        // A browser reads the source itself; elsewhere naga does.
        let source = match self.info.backend {
            wgpu::Backend::BrowserWebGpu => shader.standard_source(variant),
            _ => shader.source(variant),
        };
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(shader.name), source: wgpu::ShaderSource::Wgsl(source.into()) };
        if self.checks {
            return self.device.create_shader_module(descriptor);
        }
        // SAFETY: the sources are this crate's own files, never the user's. Their indices stay inside the bound ranges
        // for every step that a plan makes: the plan derives buffer sizes and `Params` from the same shapes, the graph
        // has checked those shapes, and `tests/gpu` runs every kernel with the checks on and off on awkward sizes,
        // with sentinels around every buffer. Loops end because their bounds are `Params` and overrides.
        unsafe { self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    }

    fn bind_group_layout(&self, shader: &Shader, variant: Variant) -> wgpu::BindGroupLayout {
        let entry = |(binding, access, _): (u32, Access, &str)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match access {
                    Access::Uniform => wgpu::BufferBindingType::Uniform,
                    Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                    Access::Write => wgpu::BufferBindingType::Storage { read_only: false },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = shader.bindings(variant).into_iter().map(entry).collect();
        self.device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(shader.name), entries: &entries })
    }
}

/// Does what wgpu may panic in where the driver fails. The panic's message, in one line.
pub(super) fn caught_panic<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let words: Vec<&str> = text.unwrap_or("a panic").split_whitespace().collect();
        words.join(" ")
    })
}

/// As [`caught_panic`], for work that is awaited.
pub(super) async fn caught_panic_of<T>(work: impl Future<Output = T>) -> std::result::Result<T, String> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| match caught_panic(|| work.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn target(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Target {
    let limits = device.limits();
    let software = info.device_type == wgpu::DeviceType::Cpu;
    let subgroups = device.features().contains(wgpu::Features::SUBGROUP);
    let one_size = subgroups && info.subgroup_min_size == info.subgroup_max_size;
    let model = match info.device_type {
        wgpu::DeviceType::Cpu => Target::software(),
        wgpu::DeviceType::IntegratedGpu => Target::integrated(),
        _ => Target::gpu(),
    };
    debug_assert_eq!(software, model.family == Family::Direct);
    Target {
        limits: Limits {
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            max_compute_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
            max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
            max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
        },
        subgroups,
        subgroup_size: one_size.then_some(info.subgroup_min_size),
        half: device.features().contains(wgpu::Features::SHADER_F16),
        int64: device.features().contains(wgpu::Features::SHADER_INT64),
        ..model
    }
}
