//! burn on wgpu (its WGSL compiler) as a peer of `benches/peers/run.py`: one SE block, by the protocol of `protocol.py`.

use burn::backend::Wgpu;
use burn::backend::wgpu::WgpuDevice;
use burn::prelude::*;
use burn::tensor::activation::{relu, sigmoid};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct SeBlock {
    device: WgpuDevice,
    dims: [usize; 4],
    host: [Vec<f32>; 2],
    maps: [Tensor<Wgpu, 4>; 2],
    /// First layer `[C, reduced]` and its bias, second layer `[reduced, C]` and its bias.
    layers: [(Tensor<Wgpu, 2>, Tensor<Wgpu, 2>); 2],
}

fn floats(folder: &Path, name: &str) -> Result<Vec<f32>> {
    let bytes = std::fs::read(folder.join(format!("{name}.bin")))?;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

impl SeBlock {
    fn load(folder: &Path) -> Result<Self> {
        let case: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("case.json"))?)?;
        let reduced = case["reduced"].as_u64().ok_or("runs the SE block only")? as usize;
        let dims: [usize; 4] = serde_json::from_value(case["inputs"]["input"].clone())?;
        let device = WgpuDevice::default();
        let matrix = |name: &str, dims: [usize; 2]| -> Result<Tensor<Wgpu, 2>> {
            Ok(Tensor::from_data(TensorData::new(floats(folder, name)?, dims), &device))
        };
        let layer = |name: &str, inputs: usize, outputs: usize| -> Result<_> {
            let weight = matrix(&format!("{name}.weight"), [outputs, inputs])?.transpose();
            Ok((weight, matrix(&format!("{name}.bias"), [1, outputs])?))
        };
        let layers = [layer("fc1", dims[1], reduced)?, layer("fc2", reduced, dims[1])?];
        let host = [floats(folder, "input")?, floats(folder, "residual")?];
        let maps = host.clone().map(|map| Tensor::from_data(TensorData::new(map, dims), &device));
        Ok(Self { device, dims, host, maps, layers })
    }

    fn forward(&self, x: Tensor<Wgpu, 4>, residual: Tensor<Wgpu, 4>) -> Tensor<Wgpu, 4> {
        let [batch, channels, height, width] = self.dims;
        let [(w1, b1), (w2, b2)] = self.layers.clone();
        let squeezed = x.clone().reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels]);
        let gate = sigmoid(relu(squeezed.matmul(w1) + b1).matmul(w2) + b2);
        relu(x * gate.reshape([batch, channels, 1, 1]) + residual)
    }

    fn end_to_end(&self) -> Result<Vec<f32>> {
        let [x, residual] =
            self.host.clone().map(|map| Tensor::from_data(TensorData::new(map, self.dims), &self.device));
        let data = self.forward(x, residual).into_data();
        Ok(data.to_vec().map_err(|e| format!("{e:?}"))?)
    }

    fn resident(&self) -> Result<()> {
        let [x, residual] = self.maps.clone();
        let y = self.forward(x, residual);
        Wgpu::<f32, i32>::sync(&self.device).map_err(|e| format!("{e:?}"))?;
        drop(y);
        Ok(())
    }
}

fn answer(loaded: &mut Option<SeBlock>, request: &Value) -> Result<Value> {
    let text = |key: &str| request[key].as_str().ok_or_else(|| format!("a request without \"{key}\""));
    if text("do")? == "load" {
        let se_block = SeBlock::load(Path::new(text("case")?))?;
        let about = format!("burn 0.21.0, wgpu, WGSL, {:?}", se_block.device);
        *loaded = Some(se_block);
        return Ok(json!({ "about": about, "ways": ["end to end", "resident"] }));
    }
    let se_block = loaded.as_ref().ok_or("nothing is loaded")?;
    if text("do")? == "check" {
        let bytes: Vec<u8> = se_block.end_to_end()?.iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(text("to")?, bytes)?;
        return Ok(json!({}));
    }
    let resident = text("way")? == "resident";
    let once = || -> Result<f64> {
        let start = Instant::now();
        if resident { se_block.resident()? } else { drop(std::hint::black_box(se_block.end_to_end()?)) }
        Ok(start.elapsed().as_secs_f64())
    };
    let runs = request["runs"].as_u64().ok_or("a request without \"runs\"")?;
    Ok(json!({ "seconds": (0..runs).map(|_| once()).collect::<Result<Vec<f64>>>()? }))
}

fn main() -> Result<()> {
    let mut loaded = None;
    for line in std::io::stdin().lock().lines() {
        let request = serde_json::from_str(&line?)?;
        let reply = answer(&mut loaded, &request).unwrap_or_else(|e| json!({ "error": e.to_string() }));
        println!("{reply}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
