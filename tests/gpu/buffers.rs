//! Buffers as a user of wgpu has them.

use excite::wgpu::{self, BufferUsages, util::DeviceExt};

pub const ANY: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);

pub fn upload(device: &wgpu::Device, numbers: &[f32]) -> wgpu::Buffer {
    let contents = bytemuck::cast_slice(numbers);
    device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: Some("user"), contents, usage: ANY })
}

pub fn read(device: &wgpu::Device, queue: &wgpu::Queue, buffer: &wgpu::Buffer) -> Result<Vec<f32>, String> {
    let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
    let descriptor =
        wgpu::BufferDescriptor { label: Some("read"), size: buffer.size(), usage, mapped_at_creation: false };
    let copy = device.create_buffer(&descriptor);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(buffer, 0, &copy, 0, buffer.size());
    queue.submit([encoder.finish()]);
    copy.map_async(wgpu::MapMode::Read, .., |_| {});
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| e.to_string())?;
    let view = copy.get_mapped_range(..).map_err(|e| e.to_string())?;
    Ok(bytemuck::pod_collect_to_vec(&view[..]))
}

/// Objects that are alive on a device, by kind, and their memory. Commands are not among them.
pub fn counters(device: &wgpu::Device) -> Vec<(&'static str, isize)> {
    let hal = device.get_internal_counters().hal;
    vec![
        ("buffers", hal.buffers.read()),
        ("bind groups", hal.bind_groups.read()),
        ("bind group layouts", hal.bind_group_layouts.read()),
        ("pipelines", hal.compute_pipelines.read()),
        ("pipeline layouts", hal.pipeline_layouts.read()),
        ("shader modules", hal.shader_modules.read()),
        ("query sets", hal.query_sets.read()),
        ("fences", hal.fences.read()),
        ("bytes of buffers", hal.buffer_memory.read()),
        ("memory allocations", hal.memory_allocations.read()),
    ]
}
