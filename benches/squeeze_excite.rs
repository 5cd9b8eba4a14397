//! The SE block with residual and ReLU, fused and unfused, for the four SE block shapes of SE-ResNet-50.
//!
//! First a table of interleaved medians with ratios and bandwidths, then criterion's view of the same work.
//! `EXCITE_BENCH_BATCHES=1,8,32` says the batches (1,8).

mod common;

use common::{Contender, batches, copy_bandwidth, geometric_mean, gpu, interleaved, micros, plan_options, worst};
use criterion::{BenchmarkId, Criterion};
use excite::gpu::{GpuTimer, SeBinding};
use excite::ops::{Act, SqueezeExcite};
use excite::plan::{Fusion, PlanOptions, SeVariant};
use excite::{Gpu, SeBlock, SeBlockOptions, SeLayout, Shape, Tensor, Weights, wgpu};
use std::time::Duration;

/// C, H = W, reduced width: the SE blocks of SE-ResNet-50.
const SHAPES: [(usize, usize, usize); 4] = [(256, 56, 16), (512, 28, 32), (1024, 14, 64), (2048, 7, 128)];
const BATCHES: [usize; 2] = [1, 8];

/// An SE block with its buffers.
struct Case {
    name: String,
    shape: Shape,
    batch: usize,
    blocks: Vec<(&'static str, SeBlock, SeBinding)>,
    output: wgpu::Buffer,
    expected: Vec<f32>,
    /// Bytes that the plan of the fused SE block moves.
    moved: f64,
}

fn options(se: &SqueezeExcite, fusion: Fusion, variant: Option<SeVariant>) -> SeBlockOptions {
    SeBlockOptions::new(se.clone(), SeLayout::Nhwc)
        .residual(true)
        .act(Act::Relu)
        .fusion(fusion)
        .variant(variant)
        .shader_checks(false)
}

impl Case {
    fn new(gpu: &Gpu, channels: usize, side: usize, reduced: usize, batch: usize) -> Self {
        let shape = Shape::map(channels, side, side);
        let weights = Weights::seeded(1, 1.0);
        let dims = [batch, side, side, channels];
        let input = weights.get("input", &dims).expect("seeded weights have every tensor");
        let residual = weights.get("residual.input", &dims).expect("seeded weights have every tensor");
        let buffer = |contents: Option<&Tensor>| {
            let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("map"),
                size: 4 * (batch * shape.len()) as u64,
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let bytes = contents.map(|t| t.data().iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
            bytes.iter().for_each(|bytes| gpu.queue().write_buffer(&buffer, 0, bytes));
            buffer
        };
        let [x, r, output] = [buffer(Some(&input)), buffer(Some(&residual)), buffer(None)];
        let se = SqueezeExcite::new(reduced);
        let plan = SeBlock::plan(&options(&se, Fusion::Full, None), shape, batch, gpu.target()).unwrap();
        let moved = plan.bytes_moved() as f64;
        let blocks = [
            ("unfused", options(&se, Fusion::None, None)),
            ("fused", options(&se, Fusion::Full, None)),
            ("spread", options(&se, Fusion::Full, Some(SeVariant::Spread))),
            ("excite", options(&se, Fusion::Full, Some(SeVariant::Excite))),
            ("block", options(&se, Fusion::Full, Some(SeVariant::Block))),
        ];
        let blocks = blocks
            .into_iter()
            .map(|(name, options)| {
                let block = SeBlock::new(gpu.device(), &options, shape, batch, &weights).unwrap();
                let binding = block.bind(&x, Some(&r), &output).unwrap();
                (name, block, binding)
            })
            .collect();
        let expected = reference(&input, &residual, channels, reduced, batch, &weights);
        Self { name: format!("{channels}x{side}x{side} batch {batch}"), shape, batch, blocks, output, expected, moved }
    }

    /// Refuses to time a wrong answer.
    fn check(&self, gpu: &Gpu) {
        for (name, block, binding) in &self.blocks {
            let bytes = self.output.size();
            let readback = gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("check"),
                size: bytes,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            encoder.clear_buffer(&self.output, 0, None);
            block.encode(&mut encoder, binding);
            encoder.copy_buffer_to_buffer(&self.output, 0, &readback, 0, bytes);
            gpu.queue().submit([encoder.finish()]);
            readback.map_async(wgpu::MapMode::Read, .., |_| {});
            gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
            let view = readback.get_mapped_range(..).unwrap();
            let found = view.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            let worst = worst(found, &self.expected);
            assert!(worst <= 1e-4, "{} {name}: off by {worst}", self.name);
        }
    }

    /// Bytes that any implementation must move: the map and the residual in, the result out.
    fn least_bytes(&self) -> f64 {
        3.0 * 4.0 * (self.batch * self.shape.len()) as f64
    }
}

/// The SE block by its formula, on channels-last data.
fn reference(
    x: &Tensor,
    residual: &Tensor,
    channels: usize,
    reduced: usize,
    batch: usize,
    weights: &Weights,
) -> Vec<f32> {
    let get = |name: &str, shape: &[usize]| weights.get(name, shape).expect("seeded weights have every tensor");
    let (w1, b1) = (get("fc1.weight", &[reduced, channels, 1, 1]), get("fc1.bias", &[reduced]));
    let (w2, b2) = (get("fc2.weight", &[channels, reduced, 1, 1]), get("fc2.bias", &[channels]));
    let mut y = Vec::with_capacity(x.data().len());
    for n in 0..batch {
        let pixels = x.image(n).chunks_exact(channels);
        let plane = pixels.len() as f64;
        let mut z = vec![0.0f64; channels];
        pixels.clone().for_each(|pixel| z.iter_mut().zip(pixel).for_each(|(z, &x)| *z += f64::from(x) / plane));
        let dense = |w: &Tensor, b: &Tensor, x: &[f64]| -> Vec<f64> {
            let dot = |o: usize| w.image(o).iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum::<f64>();
            (0..w.batch()).map(|o| dot(o) + f64::from(b.data()[o])).collect()
        };
        let hidden: Vec<f64> = dense(&w1, &b1, &z).into_iter().map(|h| h.max(0.0)).collect();
        let gate: Vec<f64> = dense(&w2, &b2, &hidden).into_iter().map(|g| 1.0 / (1.0 + (-g).exp())).collect();
        for (pixel, residual) in pixels.zip(residual.image(n).chunks_exact(channels)) {
            let scaled = pixel.iter().zip(&gate).map(|(&x, g)| f64::from(x) * g);
            y.extend(scaled.zip(residual).map(|(s, &r)| (s + f64::from(r)).max(0.0) as f32));
        }
    }
    y
}

fn table(gpu: &Gpu, cases: &[Case]) {
    let copy = copy_bandwidth(gpu);
    println!("buffer copy: {copy:.1} GB/s (read and write)\n");
    println!("median µs of one SE block (squeeze, excitation, scale, residual, ReLU); GB/s are of the fused one:");
    println!("bytes that any implementation must move over time; plan's: those that its own dispatches bind");
    println!(
        "{:24} {:>9} {:>9} {:>7}  {:>9} {:>9} {:>9}  {:>7} {:>7}  {:>7} {:>7}",
        "C x H x W", "unfused", "fused", "ratio", "spread", "excite", "block", "GB/s", "of copy", "plan's", "of copy"
    );
    let mut ratios = Vec::new();
    for case in cases {
        case.check(gpu);
        let contenders: Vec<Contender> = case
            .blocks
            .iter()
            .map(|(name, block, binding)| Contender {
                name: format!("{} {name}", case.name),
                record: Box::new(move |encoder| {
                    block.encode(encoder, binding);
                    Ok(())
                }),
            })
            .collect();
        let medians: Vec<f64> = interleaved(gpu, &contenders, 21, 4).iter().map(|(device, _)| device.median).collect();
        let [unfused, fused, spread, excite, block] = medians[..] else { panic!("five contenders") };
        let [rate, own] = [case.least_bytes(), case.moved].map(|bytes| bytes / fused / 1e3);
        ratios.push(unfused / fused);
        println!(
            "{:24} {unfused:9.1} {fused:9.1} {:6.2}x  {spread:9.1} {excite:9.1} {block:9.1}  {rate:7.1} {:6.0}%  {own:7.1} {:6.0}%",
            case.name,
            unfused / fused,
            100.0 * rate / copy,
            100.0 * own / copy
        );
    }
    println!("fused over unfused, geometric mean of {} shapes: {:.2}x\n", ratios.len(), geometric_mean(&ratios));
}

fn main() {
    let gpu = gpu();
    assert_eq!(plan_options(&gpu), PlanOptions::default(), "the stand-alone SE block is f32 and has nothing to tune");
    let cases: Vec<Case> = batches(&BATCHES)
        .into_iter()
        .flat_map(|batch| SHAPES.map(|(channels, side, reduced)| (channels, side, reduced, batch)))
        .map(|(channels, side, reduced, batch)| Case::new(&gpu, channels, side, reduced, batch))
        .collect();
    table(&gpu, &cases);

    let timer = GpuTimer::new(&gpu);
    let mut criterion = Criterion::default().configure_from_args();
    for case in &cases {
        let mut group = criterion.benchmark_group("squeeze_excite");
        group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
        for (name, block, binding) in &case.blocks[..2] {
            group.bench_function(BenchmarkId::new(*name, &case.name), |bencher| {
                bencher.iter_custom(|iterations| {
                    let timing = timer.time(|encoder| {
                        (0..iterations).for_each(|_| block.encode(encoder, binding));
                        Ok(())
                    });
                    Duration::from_secs_f64(micros(timing.unwrap()) / 1e6)
                });
            });
        }
    }
    criterion.final_summary();
}
