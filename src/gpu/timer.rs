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

impl GpuTimer {
    /// A timer; it makes its objects once.
    pub fn new(gpu: &Gpu) -> Self {
        let device = gpu.device();
        let queries = device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| {
            let buffer = |usage| {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("timestamps"),
                    size: 256,
                    usage,
                    mapped_at_creation: false,
                })
            };
            Queries {
                set: device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("timestamps"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2,
                }),
                resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
                readback: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
                nanoseconds: f64::from(gpu.queue().get_timestamp_period()),
            }
        });
        Self { gpu: gpu.clone(), queries }
    }

    /// Submits what `record` records, waits, and says how long it took.
    ///
    /// # Errors
    /// What `record` returns, and a lost device.
    pub fn time(&self, record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<()>) -> Result<Timing> {
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        self.stamp(&mut encoder, 0);
        record(&mut encoder)?;
        self.stamp(&mut encoder, 1);
        if let Some(queries) = &self.queries {
            encoder.resolve_query_set(&queries.set, 0..2, &queries.resolved, 0);
            encoder.copy_buffer_to_buffer(&queries.resolved, 0, &queries.readback, 0, 16);
        }
        let commands = encoder.finish();
        let start = Instant::now();
        let submission = self.gpu.queue().submit([commands]);
        self.gpu.wait(submission)?;
        Ok(Timing { wall: start.elapsed(), device: self.read()? })
    }

    /// A pass without work, for its timestamp.
    fn stamp(&self, encoder: &mut wgpu::CommandEncoder, index: u32) {
        let Some(queries) = &self.queries else { return };
        let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
            query_set: &queries.set,
            beginning_of_pass_write_index: (index == 0).then_some(0),
            end_of_pass_write_index: (index == 1).then_some(1),
        });
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("timestamp"), timestamp_writes });
    }

    fn read(&self) -> Result<Option<Duration>> {
        let Some(queries) = &self.queries else { return Ok(None) };
        let fail = |e: wgpu::MapRangeError| self.gpu.context.fail(e.to_string());
        queries.readback.map_async(wgpu::MapMode::Read, 0..16, |_| {});
        self.gpu
            .device()
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|e| self.gpu.context.fail(e.to_string()))?;
        let stamps: Vec<u64> = {
            let view = queries.readback.get_mapped_range(0..16).map_err(fail)?;
            bytemuck::pod_collect_to_vec(&view[..])
        };
        queries.readback.unmap();
        // A driver may reset its clock between the two.
        let ticks = stamps[1].checked_sub(stamps[0]);
        Ok(ticks.map(|ticks| Duration::from_nanos((ticks as f64 * queries.nanoseconds) as u64)))
    }
}
