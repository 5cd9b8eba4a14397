//! Only the SE block, on your device, your buffers, in your encoder.
//!
//! `cargo run --release --example se_block`

use excite::ops::{Act, SqueezeExcite};
use excite::{Gpu, Result, SeBlock, SeBlockOptions, SeLayout, Shape, Weights, wgpu};

fn main() -> Result<()> {
    // You have a device and a queue already; here one is opened.
    let gpu = Gpu::new()?;
    let (device, queue) = (gpu.device(), gpu.queue());

    // 64 channels, 28x28, batch 2: x and a residual in, relu(x * gate(x) + residual) out, channels first.
    let (shape, batch) = (Shape::map(64, 28, 28), 2);
    let bytes = 4 * (batch * shape.len()) as u64;
    let buffer = |label| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (x, residual, y) = (buffer("x"), buffer("residual"), buffer("y"));
    let ones: Vec<u8> = 1.0f32.to_le_bytes().repeat(batch * shape.len());
    queue.write_buffer(&x, 0, &ones);
    queue.write_buffer(&residual, 0, &ones);

    let options = SeBlockOptions::new(SqueezeExcite::new(4), SeLayout::Nchw).residual(true).act(Act::Relu);
    let block = SeBlock::new(device, &options, shape, batch, &Weights::seeded(1, 1.0))?;
    let binding = block.bind(&x, Some(&residual), &y)?;

    // Your frame: whatever you record before and after; the block only adds its passes.
    let readback = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("readback"),
        size: bytes,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    block.encode(&mut encoder, &binding);
    encoder.copy_buffer_to_buffer(&y, 0, &readback, 0, bytes);
    queue.submit([encoder.finish()]);
    readback.map_async(wgpu::MapMode::Read, .., |_| {});
    device.poll(wgpu::PollType::wait_indefinitely()).expect("the device answers");

    // With an input of ones, every element is its channel's gate plus one.
    let view = readback.get_mapped_range(..).expect("it has just been mapped");
    let element = |i: usize| f32::from_le_bytes(view[4 * i..4 * i + 4].try_into().expect("four bytes"));
    let gates: Vec<f32> = (0..4).map(|c| element(c * shape.plane()) - 1.0).collect();
    println!("first gates on {}: {gates:?}", gpu.describe());
    Ok(())
}
