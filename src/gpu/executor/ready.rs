//! What is ready to run: a plan on the device for each batch size that was used lately.

use super::Executor;
use crate::error::Result;
use crate::gpu::context::Context;
use crate::gpu::program::Program;
use crate::plan::unshare;
use std::collections::HashMap;
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A plan ready to run, with the staging buffers of runs that are not in flight.
pub(super) struct Loaded {
    pub program: Program,
    bind_groups: Vec<wgpu::BindGroup>,
    idle: Mutex<Vec<Staging>>,
    /// Staging buffers made so far, idle or not.
    staged: AtomicUsize,
}

/// Host-visible buffers of one run: `upload` is mapped while idle, `readback` is not.
pub(super) struct Staging {
    pub upload: wgpu::Buffer,
    pub readback: wgpu::Buffer,
}

/// Batch sizes that are ready to run.
#[derive(Default)]
pub(super) struct Ready {
    /// The one that was used last at the end.
    sizes: Mutex<Vec<(usize, Arc<Loaded>)>>,
    /// Held by the thread that loads one. It guards nothing that could be left half done.
    loading: Mutex<()>,
}

impl Executor {
    /// Batch sizes that are ready to run, those used last at the end.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.ready.all().iter().map(|(batch, _)| *batch).collect()
    }

    /// Lets go of all batch sizes but those that `keep` wants: their activations, parameters and staging. A run in flight
    /// ends first; a later one makes them again. Weights and pipelines stay until the executor and its
    /// [`Gpu`](crate::Gpu) are dropped. See [`ExecutorOptions::batch_sizes`](super::ExecutorOptions::batch_sizes),
    /// which bounds them.
    ///
    /// ```no_run
    /// # fn only_eight(network: excite::gpu::Executor) {
    /// network.retain_batch_sizes(|batch| batch == 8);
    /// # }
    /// ```
    pub fn retain_batch_sizes(&self, keep: impl Fn(usize) -> bool) {
        let gone: Vec<usize> = self.batch_sizes().into_iter().filter(|&batch| !keep(batch)).collect();
        self.ready.remove(&gone);
    }

    /// The plan of a batch size on the device, made if it isn't there.
    pub(super) fn load(&self, batch: usize) -> Result<Arc<Loaded>> {
        self.gpu.context.alive()?;
        if let Some(loaded) = self.ready.get(batch) {
            return Ok(loaded);
        }
        let _turn = self.ready.loading.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have had its turn before.
        if let Some(loaded) = self.ready.get(batch) {
            return Ok(loaded);
        }
        let (context, mut plan) = (&self.gpu.context, self.plan_whole(batch)?);
        if self.options.guard {
            unshare(&mut plan);
        }
        // First, so that both need not have memory at once.
        self.ready.make_room(self.options.batch_sizes);
        let queue = Some(self.gpu.queue());
        let program = Program::new(context, queue, plan, &self.weights, &self.weight_buffers, self.options.guard)?;
        log::info!(
            "batch {batch}: {} dispatches move {:.1} MB; {} pipelines in {:.0} ms, {:.1} MB of weights in {:.0} ms, {:.1} MB in all",
            program.plan.steps.len(),
            program.plan.bytes_moved() as f64 / 1e6,
            program.plan.pipelines(),
            program.pipeline_time.as_secs_f64() * 1e3,
            program.plan.weight_bytes() as f64 / 1e6,
            program.weight_time.as_secs_f64() * 1e3,
            program.plan.device_bytes() as f64 / 1e6,
        );
        let bind_groups = program.bind(context, &HashMap::new())?;
        let loaded = Loaded { program, bind_groups, idle: Mutex::default(), staged: AtomicUsize::new(0) };
        loaded.stage(context, 1)?;
        context.still_alive()?;
        let loaded = Arc::new(loaded);
        self.ready.all().push((batch, Arc::clone(&loaded)));
        Ok(loaded)
    }
}

impl Ready {
    fn all(&self) -> MutexGuard<'_, Vec<(usize, Arc<Loaded>)>> {
        self.sizes.lock().expect("no holder of this lock panics")
    }

    fn get(&self, batch: usize) -> Option<Arc<Loaded>> {
        let mut all = self.all();
        let at = all.iter().position(|(size, _)| *size == batch)?;
        let used = all.remove(at);
        let loaded = Arc::clone(&used.1);
        all.push(used);
        Some(loaded)
    }

    /// Lets go of those used longest ago until one more makes `most`.
    fn make_room(&self, most: usize) {
        let all = self.all().iter().map(|(batch, _)| *batch).collect::<Vec<_>>();
        self.remove(&all[..(all.len() + 1).saturating_sub(most.max(1))]);
    }

    fn remove(&self, sizes: &[usize]) {
        // Dropped when the lock is free again.
        let _gone: Vec<_> = self.all().extract_if(.., |(batch, _)| sizes.contains(batch)).collect();
    }
}

impl Loaded {
    /// Staging for a run: one that is idle, else a new one.
    pub(super) fn take_staging(&self, context: &Context) -> Result<Staging> {
        let idle = self.idle.lock().expect("no holder of this lock panics").pop();
        idle.map_or_else(|| self.staging(context), Ok)
    }

    pub(super) fn put_back(&self, staging: Staging) {
        self.idle.lock().expect("no holder of this lock panics").push(staging);
    }

    /// Makes staging until there is enough for so many runs.
    pub(super) fn stage(&self, context: &Context, runs: usize) -> Result<()> {
        while self.staged.load(Ordering::Relaxed) < runs {
            self.put_back(self.staging(context)?);
        }
        Ok(())
    }

    fn staging(&self, context: &Context) -> Result<Staging> {
        let plan = &self.program.plan;
        let size = plan.outputs.iter().map(|output| plan.output_bytes(output)).sum();
        let staging = context.scoped("staging buffers", || {
            let upload = context.upload_buffer(plan.values[plan.input.0].bytes);
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            Staging { upload, readback: context.buffer("readback", size, usage, None) }
        })?;
        self.staged.fetch_add(1, Ordering::Relaxed);
        Ok(staging)
    }

    pub(super) fn dispatch(&self, encoder: &mut wgpu::CommandEncoder, steps: impl RangeBounds<usize>) {
        let descriptor = wgpu::ComputePassDescriptor { label: Some(&self.program.plan.name), timestamp_writes: None };
        self.encode(&mut encoder.begin_compute_pass(&descriptor), steps);
    }

    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass, steps: impl RangeBounds<usize>) {
        self.program.encode(pass, &self.bind_groups, steps);
    }
}
