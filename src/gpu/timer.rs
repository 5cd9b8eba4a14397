//! How long recorded work takes on the device, by its own clock where it has one.

use super::Gpu;
use crate::error::Result;
use std::time::{Duration, Instant};

/// Times work on a device.
#[derive(Debug)]
pub struct GpuTimer {
    gpu: Gpu,
    queries: Option<Queries>,
}

/// Time of one piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From submission until the work was done, by the CPU's clock.
    pub wall: Duration,
    /// From begin to end on the device, by its timestamps, where it has them.
    pub device: Option<Duration>,
}

#[derive(Debug)]
struct Queries {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    readback: wgpu::Buffer,
    nanoseconds: f64,
}

impl Queries {
    /// So many timestamps, where the device has them and room for them.
    fn new(gpu: &Gpu, count: u32) -> Option<Self> {
        let device = gpu.device();
        if !device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return None;
        }
        let size = u64::from(count) * u64::from(wgpu::QUERY_SIZE);
        let buffer = |usage| {
            let label = Some("timestamps");
            device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
        };
        let make = || Self {
            set: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count,
            }),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            readback: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
            nanoseconds: f64::from(gpu.queue().get_timestamp_period()),
        };
        gpu.context.scoped("timestamps", make).ok()
    }

    /// A pass without work, for its timestamp.
    fn stamp(&self, encoder: &mut wgpu::CommandEncoder, index: u32) {
        let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: (index == 0).then_some(0),
            end_of_pass_write_index: (index > 0).then_some(index),
        });
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("timestamp"), timestamp_writes });
    }

    fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..self.set.count(), &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readback, 0, self.readback.size());
    }

    /// Times from each stamp to the next; none where a driver has reset its clock in between.
    fn read(&self, gpu: &Gpu) -> Result<Option<Vec<Duration>>> {
        let fail = |message: String| gpu.context.fail(message);
        self.readback.map_async(wgpu::MapMode::Read, .., |_| {});
        gpu.context.poll(wgpu::PollType::wait_indefinitely())?;
        let stamps: Vec<u64> = {
            let view = self.readback.get_mapped_range(..).map_err(|e| fail(e.to_string()))?;
            bytemuck::pod_collect_to_vec(&view[..])
        };
        self.readback.unmap();
        let duration = |ticks: u64| Duration::from_nanos((ticks as f64 * self.nanoseconds) as u64);
        Ok(stamps.windows(2).map(|pair| pair[1].checked_sub(pair[0]).map(duration)).collect())
    }
}

impl GpuTimer {
    /// A timer; it makes its objects once.
    pub fn new(gpu: &Gpu) -> Self {
        Self { gpu: gpu.clone(), queries: Queries::new(gpu, 2) }
    }

    /// Submits what `record` records, waits, and says how long it took.
    ///
    /// # Errors
    /// What `record` returns, and a lost device.
    pub fn time(&self, record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<()>) -> Result<Timing> {
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        let queries = self.queries.as_ref();
        if let Some(queries) = queries {
            queries.stamp(&mut encoder, 0);
        }
        record(&mut encoder)?;
        if let Some(queries) = queries {
            queries.stamp(&mut encoder, 1);
            queries.resolve(&mut encoder);
        }
        let wall = self.submit(encoder)?;
        let times = queries.map(|queries| queries.read(&self.gpu)).transpose()?.flatten();
        Ok(Timing { wall, device: times.map(|times| times[0]) })
    }

    /// As [`GpuTimer::time`] for pieces of work in one submission: how long each took on the device, from the end of
    /// the one before. Where the device has no timestamps, or too few of them, pieces are submitted and timed one by
    /// one.
    ///
    /// # Errors
    /// As [`GpuTimer::time`].
    pub fn time_each(
        &self,
        pieces: usize,
        mut record: impl FnMut(&mut wgpu::CommandEncoder, usize) -> Result<()>,
    ) -> Result<Vec<Duration>> {
        let most = wgpu::QUERY_SET_MAX_QUERIES as usize;
        let queries = if pieces < most { Queries::new(&self.gpu, pieces as u32 + 1) } else { None };
        let Some(queries) = queries else {
            let one = |piece| {
                let Timing { wall, device } = self.time(|encoder| record(encoder, piece))?;
                Ok(device.unwrap_or(wall))
            };
            return (0..pieces).map(one).collect();
        };
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        queries.stamp(&mut encoder, 0);
        for piece in 0..pieces {
            record(&mut encoder, piece)?;
            queries.stamp(&mut encoder, piece as u32 + 1);
        }
        queries.resolve(&mut encoder);
        self.submit(encoder)?;
        let reset = || self.gpu.context.fail("the device's clock was reset while it timed");
        queries.read(&self.gpu)?.ok_or_else(reset)
    }

    /// Submits, waits, and says how long both took.
    fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<Duration> {
        let commands = encoder.finish();
        let start = Instant::now();
        let submission = self.gpu.queue().submit([commands]);
        self.gpu.wait(submission)?;
        Ok(start.elapsed())
    }
}
