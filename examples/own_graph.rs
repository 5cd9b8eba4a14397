//! Your own network, with the paper's SE blocks put into it: build a graph, insert SE, run it on whatever GPU is there.
//!
//! `cargo run --release --example own_graph`

use excite::gpu::{Executor, ExecutorOptions};
use excite::graph::InsertSe;
use excite::ops::{Act, BatchNorm, Conv2d, Linear, Op};
use excite::{Gpu, Graph, GraphBuilder, Result, Shape, Tensor, Weights};

/// A small residual network without SE.
fn plain() -> Result<Graph> {
    let mut g = GraphBuilder::new("own");
    let x = g.input(Shape::map(3, 32, 32))?;
    let x = g.conv2d("conv1", x, Conv2d::new(32, 3).padding(1).bias(false))?;
    let x = g.batch_norm("bn1", x, BatchNorm::default())?;
    let x = g.activation("relu1", x, Act::Relu)?;
    let y = g.conv2d("conv2", x, Conv2d::new(32, 3).padding(1).bias(false))?;
    let y = g.batch_norm("bn2", y, BatchNorm::default())?;
    let x = g.sum("sum", y, x)?;
    let x = g.activation("relu2", x, Act::Relu)?;
    let x = g.global_avg_pool("pool", x)?;
    let x = g.linear("fc", x, Linear::new(10))?;
    g.finish(&[("logits", x)])
}

fn main() -> Result<()> {
    // SE with reduction ratio 8 after every batch norm that ends a residual branch: here after bn2.
    let graph =
        plain()?.insert_se(&InsertSe::ratio(8), |node| matches!(node.op, Op::BatchNorm(_)) && node.name == "bn2")?;
    print!("{graph}");

    // Weights by name from a safetensors file (`Weights::from_safetensors`), or from a seed.
    let weights = Weights::seeded(1, 1.0);
    let gpu = Gpu::new()?;
    let network = Executor::new(&gpu, &graph, &weights, ExecutorOptions::default())?;
    let images = Tensor::from_fn([4, 3, 32, 32], |i| (i as f32 * 0.01).sin());
    let logits = network.run(&images)?;

    // The same by the reference on the CPU.
    let expected = &graph.reference(&images, &weights)?["logits"];
    let worst = logits.data().iter().zip(expected.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{:?} logits on {}; largest difference from the CPU reference {worst:e}", logits.shape(), gpu.describe());
    print!("{}", network.plan(4)?);
    Ok(())
}
