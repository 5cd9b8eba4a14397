//! Devices with small limits: what is split, what is refused, and that wgpu agrees.

use crate::buffers::{read, upload};
use crate::check::{chosen, families, family, graph, one};
use crate::common::compare::{Tolerance, compare, compare_all, compare_each, numbers, rounding_bounds};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::gpu::{Executor, ExecutorOptions};
use excite::graph::Param;
use excite::ops::{
    Act, Arithmetic, BatchNorm, ChannelShuffle, Conv2d, Linear, MatMul, Mul, Op, Padding, Permute, Pool, Reduce,
    Reduction, Resample, Reshape, Softmax, SqueezeExcite, Unary,
};
use excite::plan::Family;
use excite::plan::{Choice, Fusion, InputFormat, Normalize, PlanOptions, SeVariant};
use excite::{Error, Gpu, Graph, Precision, SeBlock, SeBlockOptions, SeLayout, Shape, Tensor, Weights, wgpu};
use std::collections::BTreeSet;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("limits/linear_in_blocks", linear_in_blocks),
        Case::new("limits/conv2d_in_blocks", conv2d_in_blocks),
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
    Executor::new(gpu, graph, &weights(), ExecutorOptions::default().guard(guard))
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
    for (features, out, batch, act) in
        [(300, 203, 3, Act::Relu), (4096, 12, 2, Act::Identity), (257, 256, 1, Act::Relu)]
    {
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
    // So is a convolution whose window is the whole map.
    let conv = Conv2d { act: Act::Relu, ..Conv2d::new(203, 4) };
    let graph = graph([65, 4, 4], |g, x| g.conv2d("y", x, conv));
    let executor = executor(&gpu, &graph, true)?;
    let plan = executor.plan(3)?;
    ensure(
        plan.steps.iter().filter(|step| step.shader.name == "linear").count() > 1,
        format!("not in blocks\n{plan}"),
    )?;
    let input = numbers(9, &[3, 65, 4, 4]);
    let expected = graph.reference(&input, &weights())?.remove("y").expect("the output");
    let bounds = rounding_bounds(&graph, &input, &weights())?;
    Ok(compare_each(&expected, &executor.run(&input)?, |i| bounds[i])?)
}

/// Filters of a weight over several bindings: every family, both precisions, blocks that come out even and that don't,
/// in a concatenation too.
fn conv2d_in_blocks(machine: &Machine) -> Outcome {
    let gpu = small_bindings(machine)?;
    let conv = |out, kernel| Conv2d { act: Act::Relu, ..Conv2d::new(out, kernel).padding(kernel / 2) };
    for (shape, conv, least) in [
        ([64, 4, 5], conv(64, 3), 3),
        ([20, 7, 5], conv(203, 3).stride(2), 3),
        ([300, 3, 3], conv(203, 1), 4),
        // One vec4 of filters and two a binding.
        ([250, 3, 3], conv(15, 4), 4),
        ([120, 3, 3], conv(30, 4), 4),
    ] {
        let alone = graph(shape, |g, x| g.conv2d("conv", x, conv.clone()));
        let joined = graph(shape, |g, x| {
            let small = g.conv2d("small", x, Conv2d { out_channels: 8, bias: false, ..conv.clone() })?;
            let conv = g.conv2d("conv", x, conv.clone())?;
            g.concat("joined", &[small, conv])
        });
        for (graph, plan) in
            [&alone, &joined].into_iter().flat_map(|graph| families().into_iter().map(move |plan| (graph, plan)))
        {
            let executor = Executor::new(&gpu, graph, &weights(), ExecutorOptions::default().plan(plan).guard(true))?;
            let plan = executor.plan(3)?;
            let blocks: Vec<_> = plan.steps.iter().filter(|step| step.name == "conv").collect();
            ensure(blocks.len() >= least, format!("{} blocks, expected at least {least}\n{plan}", blocks.len()))?;
            let written: u64 = blocks.iter().map(|step| plan.bytes_written(step)).sum();
            let map = graph.nodes().iter().find(|node| node.name == "conv").expect("it is there").shape;
            let whole = 3 * 16 * (map.channels().div_ceil(4) * map.plane()) as u64;
            ensure(written == whole, format!("{written} bytes are written, the map has {whole}"))?;
            let input = numbers(9, &graph.input_shape().with_batch(3));
            let expected = graph.reference(&input, &weights())?.remove("y").expect("the output");
            let bounds = rounding_bounds(graph, &input, &weights())?;
            let near = compare_each(&expected, &executor.run(&input)?, |i| bounds[i]);
            near.map_err(|e| format!("{shape:?} {conv:?}: {e}\n{plan}"))?;
        }
        if !gpu.target().half {
            continue;
        }
        // Twice the depth, so that halves have as many blocks.
        let deep = graph([2 * shape[0], shape[1], shape[2]], |g, x| g.conv2d("conv", x, conv.clone()));
        for family in [Family::Direct, Family::Tiled] {
            let plan = PlanOptions::default().precision(Precision::F16).family(family);
            let executor = Executor::new(&gpu, &deep, &weights(), ExecutorOptions::default().plan(plan).guard(true))?;
            let blocks = executor.plan(2)?.steps.iter().filter(|step| step.name == "conv").count();
            ensure(blocks >= least, format!("{blocks} blocks in half precision, expected at least {least}"))?;
            let input = numbers(9, &deep.input_shape().with_batch(2));
            let expected = deep.reference(&input, &weights())?.remove("y").expect("the output");
            compare(&expected, &executor.run(&input)?, Tolerance::F16).map_err(|e| format!("half: {e}"))?;
        }
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
    let input = numbers(9, &[7, 8, 16, 16]);
    let expected = graph.reference(&input, &weights())?;
    for guard in [true, false] {
        let executor = executor(&gpu, &graph, guard)?;
        executor.plan(4)?;
        let refusal = refused("plan", executor.plan(7), "max_storage_buffer_binding_size")?;
        let message = "conv: needs 114688 of max_storage_buffer_binding_size, the adapter has 65536; \
                       a batch of 4 fits";
        ensure(refusal.to_string() == message, &refusal)?;
        compare_all(&expected, &executor.run_all(&input)?, Tolerance::F32).map_err(|e| format!("run_all: {e}"))?;
        let got = pollster::block_on(executor.run_async(&input))?;
        compare(&expected["y"], &got, Tolerance::F32).map_err(|e| format!("run_async: {e}"))?;
        let (parts, plan) = executor.plan_in_parts(7)?;
        ensure(
            parts.to_string() == "2 parts of 4, the last of 3" && plan.batch == 4,
            format!("{parts}: {}", plan.batch),
        )?;
        // On your buffers too, the same bits.
        if !guard {
            let whole = executor.run(&input)?;
            let [x, y] = [input.data(), &vec![f32::NAN; whole.data().len()]].map(|data| upload(gpu.device(), data));
            let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            executor.encode(&mut encoder, 7, &x, &y)?;
            gpu.queue().submit([encoder.finish()]);
            let got = Tensor::new(whole.shape(), read(gpu.device(), gpu.queue(), &y)?)?;
            compare(&whole, &got, Tolerance::Exact).map_err(|e| format!("encode: {e}"))?;
        }
    }
    // What the parts need is made beforehand, for the last one too.
    let executor = executor(&gpu, &graph, false)?;
    executor.warm_up_many(7)?;
    let made = gpu.objects_created();
    let whole = executor.run(&input)?;
    for answer in executor.run_many([&input; 3]) {
        compare(&whole, &answer?, Tolerance::Exact)?;
    }
    ensure(gpu.objects_created() == made, "runs in parts make something")?;
    // Every part has the bits that its images have in a batch of their own.
    let image = input.data().len() / 7;
    let last = Tensor::new([3, 8, 16, 16], input.data()[4 * image..].to_vec())?;
    let tail = whole.data()[4 * whole.data().len() / 7..].to_vec();
    let tail = Tensor::new([3, 16, 8, 8], tail)?;
    Ok(compare(&tail, &executor.run(&last)?, Tolerance::Exact)?)
}

/// What can't be split: a single image's value, the weight of a convolution with groups.
fn too_large(machine: &Machine) -> Outcome {
    let gpu = small_bindings(machine)?;
    let image = graph([17, 32, 32], |g, x| g.activation("relu", x, Act::Relu));
    let weight = graph([128, 4, 4], |g, x| g.conv2d("conv", x, Conv2d::new(128, 3).groups(2)));
    for (graph, place, need) in [(image, "input.dense", 69_632), (weight, "conv.weight", 294_912)] {
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

/// Every kernel with its workgroups in several rows, as above 65,535 of them: here a row has five, and there are five
/// rows, so graphs are made to need 6 to 25 of one kernel and not more of the others.
fn folded_grid(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|limits| limits.max_compute_workgroups_per_dimension = 5)?;
    let gpu = Gpu::from_wgpu(device, queue);
    let mut folded = BTreeSet::new();
    for (graph, batch, plans) in folding_graphs() {
        let input = numbers(9, &graph.input_shape().with_batch(batch));
        let expected = graph.reference(&input, &weights())?;
        for plan in plans {
            let executor = Executor::new(&gpu, &graph, &weights(), ExecutorOptions::default().plan(plan).guard(true))?;
            let rows = executor.plan(batch)?.steps.into_iter().filter(|step| step.workgroups[1] > 1);
            folded.extend(rows.map(|step| step.shader.name));
            let got = executor.run_all(&input)?;
            compare_all(&expected, &got, Tolerance::F32).map_err(|e| format!("{e}\n{graph}"))?;
        }
    }
    // Samples of 8 bits in place of floats: 0 to 1 without a mean.
    let relu = one([3, 20, 20], Op::Activation(Act::Relu));
    let input = InputFormat::Pixels(Normalize { mean: [0.0; 3], std: [1.0; 3] });
    let options = ExecutorOptions::default().plan(PlanOptions::default().input(input)).guard(true);
    let pixels: Vec<u8> = (0..3 * 400).map(|i| (i * 7) as u8).collect();
    let network = Executor::new(&gpu, &relu, &weights(), options)?;
    folded.extend(network.plan(1)?.steps.iter().filter(|step| step.workgroups[1] > 1).map(|step| step.shader.name));
    let expected = Tensor::from_fn([1, 3, 20, 20], |i| f32::from(pixels[i % 400 * 3 + i / 400]) / 255.0);
    compare(&expected, &network.run_pixels(&pixels)?, Tolerance::Op)?;

    // Parts of a deep convolution, and their sum.
    let deep = graph([128, 7, 7], |g, x| {
        let y = g.conv2d("conv", x, Conv2d::new(48, 3).padding(1))?;
        g.pool("pool", y, Pool::avg(2))
    });
    let plan = chosen(&gpu, &deep, 1, &PlanOptions::default(), Choice::Split { splits: 4 })?;
    let network = Executor::new(&gpu, &deep, &weights(), ExecutorOptions::default().plan(plan).guard(true))?;
    let rows: Vec<_> = network.plan(1)?.steps.into_iter().filter(|step| step.workgroups[1] > 1).collect();
    ensure(rows.iter().any(|step| step.variant.partial_sums()), "the parts are not in several rows")?;
    folded.extend(rows.iter().map(|step| step.shader.name));
    let input = numbers(9, &[1, 128, 7, 7]);
    compare_all(&deep.reference(&input, &weights())?, &network.run_all(&input)?, Tolerance::F32)?;

    let all: BTreeSet<&str> = excite::kernels::SHADERS.iter().map(|shader| shader.name).collect();
    // The stand-alone block's own kernels are in the case below.
    let missing: Vec<_> =
        all.difference(&folded).filter(|name| !name.contains("strided") && !name.contains("dense")).collect();
    ensure(missing.is_empty(), format!("never in several rows: {missing:?}"))?;

    // More than 25 are refused for one image, and run in parts for a batch.
    let relu = one([64, 11, 11], Op::Activation(Act::Relu));
    let refusal = executor(&gpu, &relu, false)?.run(&numbers(9, &[1, 64, 11, 11]));
    let refusal = refused("relu", refusal, "max_compute_workgroups_per_dimension")?;
    ensure(refusal.to_string().contains("input/pack: needs 7 of"), &refusal)?;
    let relu = one([12, 11, 11], Op::Activation(Act::Relu));
    let input = numbers(9, &[7, 12, 11, 11]);
    let expected = relu.reference(&input, &weights())?.remove("y").expect("the output");
    Ok(compare(&expected, &executor(&gpu, &relu, true)?.run(&input)?, Tolerance::Exact)?)
}

/// Graphs, batches, and how to plan them.
fn folding_graphs() -> Vec<(Graph, usize, Vec<PlanOptions>)> {
    let variant = |variant, family| PlanOptions::default().se(variant).family(family);
    let plain = || vec![PlanOptions::default()];
    // Subgroups that share weights are workgroups: there are more of them.
    let alone = || families().into_iter().map(|plan| plan.subgroups(false)).collect::<Vec<_>>();
    let map = [16, 10, 10];
    let small = |op: Op| graph(map, |g, x| g.add("op", op, &[x]));
    // Results that are larger than what one row of rows can unpack.
    let pooled = |shape, op: Op| {
        graph(shape, |g, x| {
            let y = g.add("op", op, &[x])?;
            g.pool("pool", y, Pool::avg(2))
        })
    };
    let squeezed = |shape, se| {
        graph(shape, |g, x| {
            let y = g.squeeze_excite("se", x, se)?;
            g.global_avg_pool("pool", y)
        })
    };
    // The map as a tensor, and what is made of it.
    let tensor = |dims: &[usize], op: Op| {
        let shape = Shape::tensor(dims);
        graph(map, |g, x| {
            let x = g.add("tensor", Op::Reshape(Reshape { shape }), &[x])?;
            g.add("op", op, &[x])
        })
    };
    let reshape = Op::Reshape(Reshape { shape: Shape::map(10, 16, 10) });
    let reduce = |axis| Op::Reduce(Reduce { reduction: Reduction::Mean, axes: vec![axis] });
    let halves = graph(map, |g, x| {
        let x = g.flatten("flatten", x)?;
        let params = [1.0, 0.5, 0.25].map(|value| Param::Fill { value, shape: vec![1600] });
        g.add_with("op", Op::Resample(Resample { axis: 0, size: 1600, taps: 1 }), &[x], params.to_vec())
    });
    let product = graph([15, 10, 10], |g, x| {
        let x = g.add("tensor", Op::Reshape(Reshape { shape: Shape::tensor(&[15, 2, 50]) }), &[x])?;
        let turned = g.add("turned", Op::Permute(Permute { order: vec![0, 2, 1] }), &[x])?;
        g.add("op", Op::MatMul(MatMul {}), &[x, turned])
    });
    let square = graph(map, |g, x| {
        let x = g.flatten("flatten", x)?;
        g.add("op", Op::Arithmetic(Arithmetic::Mul), &[x, x])
    });
    vec![
        (small(reshape), 1, plain()),
        (tensor(&[40, 40], Op::Permute(Permute { order: vec![1, 0] })), 1, plain()),
        (tensor(&[10, 160], reduce(1)), 1, plain()),
        (halves, 1, plain()),
        (product, 1, plain()),
        (square, 1, plain()),
        (small(Op::Activation(Act::Silu)), 1, plain()),
        (small(Op::Unary(Unary::Cos)), 1, plain()),
        (small(Op::BatchNorm(BatchNorm::default())), 1, plain()),
        (small(Op::Pool(Pool::max(3).stride(1).padding(1))), 1, plain()),
        (small(Op::ChannelShuffle(ChannelShuffle { groups: 8 })), 1, plain()),
        (graph(map, |g, x| g.flatten("op", x)), 1, plain()),
        (graph(map, |g, x| g.add("op", Op::Mul(Mul {}), &[x, x])), 1, plain()),
        (pooled([16, 9, 9], Op::Pad(Padding::all(1).into())), 1, plain()),
        (
            graph(map, |g, x| {
                let y = g.concat("op", &[x, x])?;
                g.pool("pool", y, Pool::avg(2))
            }),
            1,
            plain(),
        ),
        (one([30, 1, 1], Op::Linear(Linear::new(40))), 2, plain()),
        (
            graph([5, 1, 1], |g, x| {
                let x = g.flatten("flatten", x)?;
                g.add("op", Op::Softmax(Softmax {}), &[x])
            }),
            8,
            plain(),
        ),
        (pooled([4, 40, 40], Op::Conv2d(Conv2d::new(4, 1))), 1, alone()),
        (pooled([4, 40, 40], Op::Conv2d(Conv2d::new(4, 3).padding(1))), 1, alone()),
        (pooled([4, 28, 28], Op::Conv2d(Conv2d::new(4, 1))), 1, vec![family(Family::Direct)]),
        (pooled([4, 28, 28], Op::Conv2d(Conv2d::new(4, 3).padding(1))), 1, vec![family(Family::Direct)]),
        (pooled([4, 40, 40], Op::Conv2d(Conv2d::new(4, 3).padding(1).groups(4))), 1, plain()),
        // Enough work for Winograd's algorithm.
        (one([1536, 2, 2], Op::Conv2d(Conv2d::new(384, 3).padding(1))), 1, plain()),
        (squeezed([64, 10, 10], SqueezeExcite::new(3)), 1, vec![variant(SeVariant::Spread, Family::Direct)]),
        (
            squeezed([1600, 1, 1], SqueezeExcite::new(24)),
            1,
            [Fusion::Kernels, Fusion::Full]
                .map(|fusion| variant(SeVariant::Spread, Family::Direct).fusion(fusion))
                .to_vec(),
        ),
        (
            squeezed([16, 4, 4], SqueezeExcite::new(3)),
            8,
            [SeVariant::Excite, SeVariant::Block].map(|f| variant(f, Family::Direct)).to_vec(),
        ),
    ]
}

/// The stand-alone block on small limits: folded, and refused.
fn se_block(machine: &Machine) -> Outcome {
    let (device, _) = machine.user_device(|limits| limits.max_storage_buffer_binding_size = BINDING)?;
    let options = SeBlockOptions::new(SqueezeExcite::new(2), SeLayout::Nchw);
    SeBlock::new(&device, &options, Shape::map(16, 32, 32), 1, &weights())?;
    let refusal = SeBlock::new(&device, &options, Shape::map(17, 32, 32), 1, &weights());
    let refusal = refused("a large map", refusal, "max_storage_buffer_binding_size")?.to_string();
    ensure(refusal.contains("needs 69632 of max_storage_buffer_binding_size"), &refusal)?;
    let gpu = machine.gpu(true);
    let channels = gpu.target().limits.max_compute_workgroup_storage_size as usize / 4;
    let wide = options.variant(SeVariant::Excite).se(SqueezeExcite::new(1));
    let refusal = SeBlock::new(gpu.device(), &wide, Shape::map(channels, 1, 1), 1, &weights());
    refused("a wide SE block", refusal, "max_compute_workgroup_storage_size")?;
    Ok(())
}
