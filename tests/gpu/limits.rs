//! Devices with small limits: what is split, what is refused, and that wgpu agrees.

use crate::check::graph;
use crate::common::compare::{Tolerance, compare, compare_all, compare_each, numbers, rounding_bounds};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::plan::Family;
use excite::{
    Act, BatchNorm, ChannelShuffle, Conv2d, Error, Executor, ExecutorOptions, Flatten, Fusion, Gpu, Graph, Linear, Mul,
    Op, Pad, Padding, PlanOptions, Pool, SeBlock, SeBlockOptions, SeForm, SeLayout, Shape, Softmax, SqueezeExcite,
    Tensor, Weights, wgpu,
};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("limits/linear_in_blocks", linear_in_blocks),
        Case::new("limits/batch_in_parts", batch_in_parts),
        Case::new("limits/too_large", too_large),
        Case::new("limits/many_outputs", many_outputs),
        Case::new("limits/folded_grid", folded_grid),
        Case::new("limits/se_block", se_block),
    ]
}

const BINDING: u64 = 64 << 10;

fn small_bindings(machine: &Machine) -> Result<Gpu, String> {
    let (device, queue) = machine.user_device(|limits| limits.max_storage_buffer_binding_size = BINDING)?;
    Ok(Gpu::from_wgpu(device, queue))
}

fn weights() -> Weights {
    Weights::seeded(9, 1.0)
}

fn executor(gpu: &Gpu, graph: &Graph, guard: bool) -> excite::Result<Executor> {
    Executor::new(gpu, graph, &weights(), ExecutorOptions { guard, ..ExecutorOptions::default() })
}

/// The limit error of this name, with what is needed.
fn refused<T>(what: &str, result: excite::Result<T>, name: &str) -> Result<Error, String> {
    match result {
        Err(error @ Error::Limit { limit, need, has, .. }) if limit == name && need > has => Ok(error),
        Err(error) => Err(format!("{what}: another error: {error}")),
        Ok(_) => Err(format!("{what}: no error")),
    }
}

/// Rows of a weight over several bindings: blocks that come out even, and that do not.
fn linear_in_blocks(machine: &Machine) -> Outcome {
    let gpu = small_bindings(machine)?;
    for (features, out, batch, act) in [(300, 203, 3, Act::Relu), (4096, 12, 2, Act::Identity), (257, 256, 1, Act::Relu)] {
        let graph = graph([features, 1, 1], |g, x| g.add("fc", Op::Linear(Linear { act, ..Linear::new(out) }), &[x]));
        let executor = executor(&gpu, &graph, true)?;
        let plan = executor.plan(batch)?;
        let blocks = plan.steps.iter().filter(|step| step.name == "fc").count();
        let least = (4 * features * out).div_ceil(BINDING as usize);
        ensure(blocks >= least && blocks > 1, format!("{blocks} blocks, expected at least {least}\n{plan}"))?;
        let input = numbers(9, &[batch, features, 1, 1]);
        let expected = graph.reference(&input, &weights())?.remove("y").expect("the output");
        let bounds = rounding_bounds(&graph, &input, &weights())?;
        let near = compare_each(&expected, &executor.run(&input)?, |i| bounds[i]);
        near.map_err(|e| format!("{features} to {out}: {e}"))?;
    }
    Ok(())
}

/// 16 KB an image after the convolution.
fn wide() -> Graph {
    graph([8, 16, 16], |g, x| {
        let y = g.conv2d("conv", x, Conv2d::new(16, 3).padding(1))?;
        let y = g.squeeze_excite("se", y, SqueezeExcite::new(4))?;
        g.pool("pool", y, Pool::max(2))
    })
    .with_gate_outputs()
}

/// A batch that no binding holds runs in parts, the last one smaller.
fn batch_in_parts(machine: &Machine) -> Outcome {
    let gpu = small_bindings(machine)?;
    let graph = wide();
    let input = numbers(9, &[11, 8, 16, 16]);
    let expected = graph.reference(&input, &weights())?;
    for guard in [true, false] {
        let executor = executor(&gpu, &graph, guard)?;
        executor.plan(4)?;
        let refusal = refused("plan", executor.plan(11), "max_storage_buffer_binding_size")?;
        let message = "conv: needs 180224 of max_storage_buffer_binding_size, the adapter has 65536; \
                       a smaller batch or image";
        ensure(refusal.to_string() == message, &refusal)?;
        compare_all(&expected, &executor.run_all(&input)?, Tolerance::F32).map_err(|e| format!("run_all: {e}"))?;
        let got = pollster::block_on(executor.run_async(&input))?;
        compare(&expected["y"], &got, Tolerance::F32).map_err(|e| format!("run_async: {e}"))?;
        // Your buffers can't be cut: `encode` refuses.
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let buffer = crate::buffers::upload(gpu.device(), &[0.0]);
        refused("encode", executor.encode(&mut encoder, 11, &buffer, &buffer), "max_storage_buffer_binding_size")?;
    }
    Ok(())
}

/// What can't be split: a single image's value, a convolution's weight.
fn too_large(machine: &Machine) -> Outcome {
    let gpu = small_bindings(machine)?;
    let image = graph([17, 32, 32], |g, x| g.activation("relu", x, Act::Relu));
    let weight = graph([64, 4, 4], |g, x| g.conv2d("conv", x, Conv2d::new(64, 3)));
    for (graph, place, need) in [(image, "input.dense", 69_632), (weight, "conv.weight", 147_456)] {
        let executor = executor(&gpu, &graph, false)?;
        for batch in [1, 3] {
            let input = Tensor::zeros(graph.input_shape().with_batch(batch));
            let refusal = refused(place, executor.run(&input), "max_storage_buffer_binding_size")?.to_string();
            let expected = format!("{place}: needs {need} of max_storage_buffer_binding_size, the adapter has 65536");
            ensure(refusal.starts_with(&expected), format!("{refusal}, expected {expected}"))?;
        }
    }
    Ok(())
}

/// Outputs that fit one by one but not together into the buffer that brings them back.
fn many_outputs(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|limits| {
        limits.max_storage_buffer_binding_size = BINDING;
        limits.max_buffer_size = BINDING;
    })?;
    let gpu = Gpu::from_wgpu(device, queue);
    let graph = graph([8, 16, 16], |g, x| {
        let x = g.activation("relu", x, Act::Relu)?;
        let x = g.activation("tanh", x, Act::Tanh)?;
        let x = g.activation("sigmoid", x, Act::Sigmoid)?;
        g.activation("gelu", x, Act::Gelu)
    });
    let graph = graph.with_every_output();
    let executor = executor(&gpu, &graph, false)?;
    // 32 KB of outputs an image.
    let input = numbers(9, &[5, 8, 16, 16]);
    Ok(compare_all(&graph.reference(&input, &weights())?, &executor.run_all(&input)?, Tolerance::F32)?)
}

/// Every kernel with its workgroups in several rows, as above 65,535 of them.
fn folded_grid(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|limits| limits.max_compute_workgroups_per_dimension = 5)?;
    let gpu = Gpu::from_wgpu(device, queue);
    let graph = every_op();
    let input = numbers(9, &graph.input_shape().with_batch(3));
    let expected = graph.reference(&input, &weights())?;
    let mut folded = std::collections::BTreeSet::new();
    let options = [
        (Fusion::None, Family::Direct, SeForm::Spread),
        (Fusion::Kernels, Family::Tiled, SeForm::Excite),
        (Fusion::Full, Family::Direct, SeForm::Block),
        (Fusion::Full, Family::Tiled, SeForm::Spread),
    ];
    for (fusion, family, form) in options {
        let plan = PlanOptions { fusion, family: Some(family), se: Some(form), subgroups: None };
        let executor = Executor::new(&gpu, &graph, &weights(), ExecutorOptions { plan, guard: true })?;
        let rows = executor.plan(3)?.steps.into_iter().filter(|step| step.workgroups[1] > 1);
        folded.extend(rows.map(|step| step.shader.name));
        compare_all(&expected, &executor.run_all(&input)?, Tolerance::F32)
            .map_err(|e| format!("{fusion} {family:?} {form:?}: {e}\n{graph}"))?;
    }
    // The stand-alone kernels have their own case; one workgroup an image is one row here.
    let all: std::collections::BTreeSet<&str> = excite::kernels::SHADERS.iter().map(|shader| shader.name).collect();
    let missing: Vec<_> = all.difference(&folded).filter(|name| !name.contains("strided")).collect();
    ensure(missing.is_empty(), format!("never in several rows: {missing:?}"))?;

    // Five rows of five are 25 workgroups; more are refused for one image, and run in parts for a batch.
    let relu = crate::check::one([64, 11, 11], Op::Activation(Act::Relu));
    let input = numbers(9, &[1, 64, 11, 11]);
    let refusal = refused("relu", executor(&gpu, &relu, false)?.run(&input), "max_compute_workgroups_per_dimension")?;
    ensure(refusal.to_string().contains("input/pack: needs 7 of"), &refusal)?;
    let relu = crate::check::one([16, 11, 11], Op::Activation(Act::Relu));
    let input = numbers(9, &[7, 16, 11, 11]);
    let expected = relu.reference(&input, &weights())?.remove("y").expect("the output");
    Ok(compare(&expected, &executor(&gpu, &relu, true)?.run(&input)?, Tolerance::Exact)?)
}

/// A graph that every kernel has a part in.
fn every_op() -> Graph {
    graph([16, 8, 8], |g, x| {
        let x = g.batch_norm("norm", x, BatchNorm::default())?;
        let conv = g.conv2d("conv", x, Conv2d::new(24, 3).padding(1))?;
        let conv = g.activation("act", conv, Act::Silu)?;
        let deep = g.conv2d("depthwise", conv, Conv2d::new(24, 3).padding(1).groups(24))?;
        let deep = g.add("mul", Op::Mul(Mul {}), &[deep, conv])?;
        let deep = g.squeeze_excite("se", deep, SqueezeExcite::new(20))?;
        let wide = g.concat("concat", &[conv, deep])?;
        let wide = g.add("shuffle", Op::ChannelShuffle(ChannelShuffle { groups: 2 }), &[wide])?;
        let wide = g.conv2d("pointwise", wide, Conv2d::new(33, 1))?;
        let wide = g.pool("pool", wide, Pool::avg(3).stride(2).padding(1))?;
        let wide = g.add("pad", Op::Pad(Pad { padding: Padding::all(1) }), &[wide])?;
        let flat = g.add("flatten", Op::Flatten(Flatten {}), &[wide])?;
        let small = g.linear("fc", flat, Linear::new(30))?;
        let sum = g.sum("double", small, small)?;
        g.add("softmax", Op::Softmax(Softmax {}), &[sum])
    })
}

/// The stand-alone block on small limits: folded, and refused.
fn se_block(machine: &Machine) -> Outcome {
    let (device, _) = machine.user_device(|limits| limits.max_storage_buffer_binding_size = BINDING)?;
    let options = SeBlockOptions::new(SqueezeExcite::new(2), SeLayout::Nchw);
    SeBlock::new(&device, &options, Shape::map(16, 32, 32), 1, &weights())?;
    let refusal = SeBlock::new(&device, &options, Shape::map(17, 32, 32), 1, &weights());
    let refusal = refused("a large map", refusal, "max_storage_buffer_binding_size")?.to_string();
    ensure(refusal.contains("needs 69632 of max_storage_buffer_binding_size"), &refusal)?;
    let wide = SeBlockOptions { form: Some(SeForm::Excite), ..options };
    let wide = SeBlockOptions { se: SqueezeExcite::new(1), ..wide };
    let refusal = SeBlock::new(&device, &wide, Shape::map(12_288, 1, 1), 1, &weights());
    refused("a wide stage", refusal, "max_compute_workgroup_storage_size")?;
    Ok(())
}
