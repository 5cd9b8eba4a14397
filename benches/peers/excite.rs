//! excite as a peer of `benches/peers/run.py`: speaks the protocol of `protocol.py`.
//! `cargo run --release --example peer -- [nchw] [f16] [cooperative] [tuned]`: how the maps of a lone SE block lie in its
//! buffers, and how networks are planned. `tuned` measures the network's convolutions first, as `excite tune` does.

use excite::gpu::{Executor, ExecutorOptions};
use excite::import::onnx::OnnxModel;
use excite::measure::{self, TuneOptions};
use excite::ops::{Act, SqueezeExcite};
use excite::plan::PlanOptions;
use excite::tuning::Tuning;
use excite::{Gpu, GpuOptions, Precision, SeBlock, SeBlockOptions, SeLayout, Shape, Tensor, Weights, wgpu};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What it was started with.
struct Wanted {
    layout: SeLayout,
    precision: Precision,
    cooperative: bool,
    tuned: bool,
}

/// What a loaded case can do.
trait Runner {
    /// From arrays on the host to an array on the host.
    fn run(&self) -> Result<Vec<f32>>;
    /// Records the dispatches alone.
    fn record(&self, encoder: &mut wgpu::CommandEncoder) -> excite::Result<()>;
    /// An array of [`Runner::run`] as the case has it.
    fn dense(&self, answer: Vec<f32>) -> Vec<f32> {
        answer
    }
}

fn floats(path: &Path) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A whole network.
struct Network {
    executor: Executor,
    input: Tensor,
}

impl Network {
    fn load(gpu: &Gpu, folder: &Path, dims: &[usize], wanted: &Wanted) -> Result<Self> {
        let model = OnnxModel::from_onnx(folder.join("model.onnx"))?;
        let precision = wanted.precision;
        let options = TuneOptions::default().precision(precision);
        let tune = || Tuning::measure(gpu, &model.graph, dims[0], &options, &mut |_progress| {}).map(Arc::new);
        let tuning = wanted.tuned.then(tune).transpose()?;
        let plan = PlanOptions::default().precision(precision).tuning(tuning);
        let executor = Executor::new(gpu, &model.graph, &model.weights, ExecutorOptions::default().plan(plan))?;
        executor.warm_up(dims[0])?;
        Ok(Self { executor, input: Tensor::new(dims, floats(&folder.join("input.bin"))?)? })
    }
}

impl Runner for Network {
    fn run(&self) -> Result<Vec<f32>> {
        Ok(self.executor.run(&self.input)?.data().to_vec())
    }

    fn record(&self, encoder: &mut wgpu::CommandEncoder) -> excite::Result<()> {
        self.executor.encode_dispatches(encoder, self.input.batch())
    }
}

/// One SE block with residual and ReLU.
struct BlockRunner {
    gpu: Gpu,
    block: SeBlock,
    binding: excite::gpu::SeBinding,
    /// `[N,C,H,W]`
    dims: [usize; 4],
    layout: SeLayout,
    inputs: [Vec<u8>; 2],
    buffers: [wgpu::Buffer; 3],
    readback: wgpu::Buffer,
}

impl BlockRunner {
    fn load(gpu: &Gpu, folder: &Path, dims: [usize; 4], reduced: usize, layout: SeLayout) -> Result<Self> {
        let [batch, channels, height, width] = dims;
        let shape = Shape::map(channels, height, width);
        let tensor = |name: &str, dims: &[usize]| -> Result<(String, Tensor)> {
            Ok((name.into(), Tensor::new(dims, floats(&folder.join(format!("{name}.bin")))?)?))
        };
        let weights = Weights::from_tensors([
            tensor("fc1.weight", &[reduced, channels, 1, 1])?,
            tensor("fc1.bias", &[reduced])?,
            tensor("fc2.weight", &[channels, reduced, 1, 1])?,
            tensor("fc2.bias", &[channels])?,
        ]);
        let options = SeBlockOptions::new(SqueezeExcite::new(reduced), layout).residual(true).act(Act::Relu);
        let block = SeBlock::new(gpu.device(), &options, shape, batch, &weights)?;
        let size = 4 * (batch * shape.len()) as u64;
        let buffer = |usage| {
            gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("map"),
                size,
                usage: usage | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let map = || buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let buffers = [map(), map(), map()];
        let readback = buffer(wgpu::BufferUsages::MAP_READ);
        let binding = block.bind(&buffers[0], Some(&buffers[1]), &buffers[2])?;
        let input = |name: &str| -> Result<Vec<u8>> {
            let map = floats(&folder.join(name))?;
            Ok(bytes(&if layout == SeLayout::Nhwc { moved(&map, batch, channels, height * width) } else { map }))
        };
        let inputs = [input("input.bin")?, input("residual.bin")?];
        let runner = Self { gpu: gpu.clone(), block, binding, dims, layout, inputs, buffers, readback };
        runner.upload();
        Ok(runner)
    }

    fn upload(&self) {
        for (buffer, bytes) in self.buffers.iter().zip(&self.inputs) {
            self.gpu.queue().write_buffer(buffer, 0, bytes);
        }
    }
}

impl Runner for BlockRunner {
    fn run(&self) -> Result<Vec<f32>> {
        self.upload();
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        self.block.encode(&mut encoder, &self.binding);
        encoder.copy_buffer_to_buffer(&self.buffers[2], 0, &self.readback, 0, self.readback.size());
        self.gpu.queue().submit([encoder.finish()]);
        self.readback.map_async(wgpu::MapMode::Read, .., |_| {});
        self.gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
        let view = self.readback.get_mapped_range(..)?;
        let answer = view.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        drop(view);
        self.readback.unmap();
        Ok(answer)
    }

    fn record(&self, encoder: &mut wgpu::CommandEncoder) -> excite::Result<()> {
        self.block.encode(encoder, &self.binding);
        Ok(())
    }

    fn dense(&self, answer: Vec<f32>) -> Vec<f32> {
        let [batch, channels, height, width] = self.dims;
        match self.layout {
            SeLayout::Nhwc => moved(&answer, batch, height * width, channels),
            SeLayout::Nchw => answer,
        }
    }
}

/// Dense `[batch, rows, columns]` as `[batch, columns, rows]`.
fn moved(map: &[f32], batch: usize, rows: usize, columns: usize) -> Vec<f32> {
    (0..batch * rows * columns)
        .map(|i| {
            let (image, at) = (i / (rows * columns), i % (rows * columns));
            map[image * rows * columns + at % rows * columns + at / rows]
        })
        .collect()
}

fn load(gpu: &Gpu, folder: &Path, wanted: &Wanted) -> Result<Box<dyn Runner>> {
    if wanted.cooperative && gpu.target().cooperative.is_none() {
        return Err("no cooperative matrices here that pass the self-test".into());
    }
    let case: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("case.json"))?)?;
    let dims: Vec<usize> = serde_json::from_value(case["inputs"]["input"].clone())?;
    Ok(match case["reduced"].as_u64() {
        Some(_) if wanted.precision == Precision::F16 || wanted.tuned => {
            return Err("a lone SE block is f32 and has nothing to tune".into());
        }
        Some(reduced) => {
            let dims = dims.try_into().map_err(|_| "an SE block's map has four dimensions")?;
            Box::new(BlockRunner::load(gpu, folder, dims, reduced as usize, wanted.layout)?)
        }
        None => Box::new(Network::load(gpu, folder, &dims, wanted)?),
    })
}

fn time(gpu: &Gpu, runner: &dyn Runner, way: &str) -> Result<Duration> {
    let start = Instant::now();
    if way == "resident" {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        runner.record(&mut encoder)?;
        gpu.queue().submit([encoder.finish()]);
        gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
    } else {
        std::hint::black_box(runner.run()?);
    }
    Ok(start.elapsed())
}

fn answer(gpu: &Gpu, loaded: &mut Option<Box<dyn Runner>>, wanted: &Wanted, request: &Value) -> Result<Value> {
    let text = |key: &str| request[key].as_str().ok_or_else(|| format!("a request without \"{key}\""));
    if text("do")? == "load" {
        *loaded = Some(load(gpu, Path::new(text("case")?), wanted)?);
        let how = std::env::args().skip(1).map(|word| format!(", {word}")).collect::<String>();
        let about = format!("excite {}, {}{how}", env!("CARGO_PKG_VERSION"), gpu.describe());
        return Ok(json!({ "about": about, "ways": ["end to end", "resident"] }));
    }
    let runner = loaded.as_deref().ok_or("nothing is loaded")?;
    if text("do")? == "check" {
        std::fs::write(text("to")?, bytes(&runner.dense(runner.run()?)))?;
        return Ok(json!({}));
    }
    let runs = request["runs"].as_u64().ok_or("a request without \"runs\"")?;
    let way = text("way")?;
    let seconds = (0..runs).map(|_| Ok(time(gpu, runner, way)?.as_secs_f64())).collect::<Result<Vec<f64>>>()?;
    Ok(json!({ "seconds": seconds }))
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    let wanted = Wanted {
        layout: if has("nchw") { SeLayout::Nchw } else { SeLayout::Nhwc },
        precision: if has("f16") { Precision::F16 } else { Precision::F32 },
        cooperative: has("cooperative"),
        tuned: has("tuned"),
    };
    let options = GpuOptions::default().shader_checks(false);
    let matrices = if wanted.cooperative { measure::cooperative_matrices(&options)? } else { None };
    let gpu = Gpu::open(&options.cooperative_matrices(matrices))?;
    let mut loaded = None;
    for line in std::io::stdin().lock().lines() {
        let request = serde_json::from_str(&line?)?;
        let reply = answer(&gpu, &mut loaded, &wanted, &request).unwrap_or_else(|e| json!({ "error": e.to_string() }));
        println!("{reply}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
