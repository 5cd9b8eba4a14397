//! What an executor promises: the same bits every time, any batch, futures, your own encoder, nothing made per run, and
//! errors instead of panics.

use crate::buffers::{ANY, counters, read, upload};
use crate::check::{Problem, chosen, fusions, graph, same_bits_of, variants};
use crate::common::compare::{Tolerance, compare, compare_all, numbers};
use crate::common::decomposed_se::{Spelling, spell};
use crate::common::random::random;
use crate::common::random_graph::{Recipe, recipes};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::gpu::{Executor, ExecutorOptions};
use excite::ops::{Act, BatchNorm, Conv2d, Linear, Pool, SqueezeExcite};
use excite::plan::{Choice, Fusion, InputFormat, Normalize, PlanOptions, SeVariant};
use excite::plan::{Family, Step};
use excite::{Error, Gpu, Graph, Tensor, Weights, wgpu, zoo};
use proptest::prelude::*;
use std::cell::Cell;
use std::future::Future;
use std::task::{Context, Poll, Waker};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("runs/random_graphs", random_graphs),
        Case::new("runs/found_blocks", found_blocks),
        Case::new("runs/same_bits", same_bits),
        Case::new("runs/same_bits_in_tiles", same_bits_in_tiles),
        Case::new("runs/same_bits_in_parts", same_bits_in_parts),
        Case::new("runs/same_bits_of_networks", same_bits_of_networks),
        Case::new("runs/any_batch", any_batch),
        Case::new("runs/async", futures),
        Case::new("runs/dropped_future", dropped_future),
        Case::new("runs/many", many),
        Case::new("runs/many_in_parts", many_in_parts),
        Case::new("runs/many_with_errors", many_with_errors),
        Case::new("runs/encode", encode),
        Case::new("runs/one_wait", one_wait),
        Case::new("runs/nothing_made", nothing_made),
        Case::new("runs/your_own_device", your_own_device),
        Case::new("runs/pixels", pixels),
        Case::new("runs/wrong_input", wrong_input),
        Case::new("runs/wrong_weights", wrong_weights),
        Case::new("runs/non_finite", non_finite),
    ]
}

/// A little of everything that a network has.
fn net() -> Graph {
    graph([3, 11, 9], |g, x| {
        let x = g.conv2d("stem", x, Conv2d::new(8, 3).stride(2).padding(1).bias(false))?;
        let x = g.batch_norm("norm", x, BatchNorm::default())?;
        let x = g.activation("relu", x, Act::Relu)?;
        let x = g.pool("max", x, Pool::max(3).stride(1).padding(1))?;
        let y = g.conv2d("conv", x, Conv2d::new(8, 1))?;
        let y = g.squeeze_excite("se", y, SqueezeExcite::new(2))?;
        let x = g.sum("sum", y, x)?;
        let x = g.global_avg_pool("pool", x)?;
        g.linear("fc", x, Linear::new(10))
    })
}

/// A network that a device of its own compiles in no time.
fn tiny() -> Graph {
    graph([3, 11, 9], |g, x| {
        let x = g.squeeze_excite("se", x, SqueezeExcite::new(2))?;
        g.global_avg_pool("pool", x)
    })
}

fn weights() -> Weights {
    Weights::seeded(5, 1.0)
}

fn images(batch: usize) -> Tensor {
    numbers(5, &[batch, 3, 11, 9])
}

fn executor(gpu: &Gpu) -> excite::Result<Executor> {
    Executor::new(gpu, &net(), &weights(), ExecutorOptions::default())
}

fn tiny_executor(gpu: &Gpu) -> excite::Result<Executor> {
    let plan = PlanOptions::default().se(SeVariant::Spread);
    Executor::new(gpu, &tiny(), &weights(), ExecutorOptions::default().plan(plan))
}

fn reference(input: &Tensor) -> excite::Result<Tensor> {
    Ok(net().reference(input, &weights())?.remove("y").expect("the output"))
}

/// Graphs of all ops at every fusion level, in either family and any variant of SE.
fn random_graphs(machine: &Machine) -> Outcome {
    let variant =
        prop::sample::select(vec![None, Some(SeVariant::Spread), Some(SeVariant::Excite), Some(SeVariant::Block)]);
    let strategy = (recipes(8), variant, any::<[bool; 3]>());
    let run = |(recipe, se, [tiled, subgroups, checks]): (Recipe, Option<SeVariant>, [bool; 3])| {
        let graph = recipe.graph();
        let family = Some(if tiled { Family::Tiled } else { Family::Direct });
        let plan = |fusion| PlanOptions::default().fusion(fusion).family(family).subgroups(subgroups).se(se);
        let variants = Fusion::ALL.map(|fusion| crate::check::Variant { plan: plan(fusion), checks });
        Problem::new(graph, recipe.batch, Tolerance::F32).check(machine, &variants)
    };
    Ok(random("graphs", 14, strategy, run)?)
}

/// SE blocks that were decomposed, and what only looks like SE blocks, at every fusion level.
fn found_blocks(machine: &Machine) -> Outcome {
    let strategy = (recipes(6), prop::collection::vec(any::<Spelling>(), 1..=3));
    let run = |(recipe, spellings): (Recipe, Vec<Spelling>)| {
        let decomposed = spell(&recipe.graph(), &spellings).graph;
        let (found, _) = decomposed.find_se().map_err(|e| e.to_string())?;
        let problem = Problem::new(found, recipe.batch, Tolerance::F32);
        let [expected, got] =
            [&decomposed, &problem.graph].map(|graph| graph.reference(&problem.input, &problem.weights));
        let (expected, got) = (expected.map_err(|e| e.to_string())?, got.map_err(|e| e.to_string())?);
        compare_all(&expected, &got, Tolerance::Op)?;
        problem.check(machine, &variants(&fusions(), &[true]))
    };
    Ok(random("found", 6, strategy, run)?)
}

/// Samples of 8 bits, normalised by the device, give what the same samples normalised here give.
fn pixels(machine: &Machine) -> Outcome {
    let normalize = Normalize { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
    for (shape, batch) in [([3, 11, 9], 3), ([1, 5, 3], 1), ([2, 7, 1], 5)] {
        let graph = graph(shape, |g, x| g.conv2d("y", x, Conv2d::new(4, 1)));
        let [channels, height, width] = shape;
        let sample = |i: usize| (i * 37 + i / 7) as u8;
        let bytes: Vec<u8> = (0..batch * channels * height * width).map(sample).collect();
        let floats = Tensor::from_fn([batch, channels, height, width], |i| {
            let (image, c, pixel) =
                (i / (channels * height * width), i / (height * width) % channels, i % (height * width));
            let byte = bytes[(image * height * width + pixel) * channels + c];
            (f32::from(byte) / 255.0 - normalize.mean[c]) / normalize.std[c]
        });
        let plan = PlanOptions::default().input(InputFormat::Pixels(normalize.clone()));
        let executor =
            Executor::new(machine.gpu(true), &graph, &weights(), ExecutorOptions::default().plan(plan).guard(true))?;
        let expected = graph.reference(&floats, &weights())?;
        compare(&expected["y"], &executor.run_pixels(&bytes)?, Tolerance::Op)?;
        for answer in executor.run_many_pixels([&bytes, &bytes]) {
            compare(&expected["y"], &answer?, Tolerance::Op)?;
        }
        for wrong in [&bytes[1..], &[]] {
            ensure(executor.run_pixels(wrong).is_err(), "samples that make no whole images are refused")?;
        }
        ensure(executor.run(&floats).is_err(), "floats are refused where pixels are expected")?;
    }
    ensure(executor(machine.gpu(false))?.run_pixels(&[0; 3 * 11 * 9]).is_err(), "pixels are refused for floats")?;
    let four = graph([4, 2, 2], |g, x| g.global_avg_pool("y", x));
    let plan = PlanOptions::default().input(InputFormat::Pixels(normalize));
    let four = Executor::new(machine.gpu(false), &four, &weights(), ExecutorOptions::default().plan(plan))?;
    ensure(four.run_pixels(&[0; 16]).is_err(), "pixels have no 4 channels")?;
    let input = InputFormat::Pixels(Normalize { mean: [0.0; 3], std: [1.0, 0.0, 1.0] });
    let plan = PlanOptions::default().input(input);
    let flat = Executor::new(machine.gpu(false), &net(), &weights(), ExecutorOptions::default().plan(plan))?;
    ensure(flat.run_pixels(&[0; 3 * 11 * 9]).is_err(), "nothing is divided by 0")
}

/// Five runs, and an image at any place of a batch.
fn same_bits(machine: &Machine) -> Outcome {
    Ok(same_bits_of(&executor(machine.gpu(false))?, &images(5))?)
}

/// The same where the convolution squeezes: tiles that keep to their image, that run over several, and that hold whole
/// images, with rests of every size.
fn same_bits_in_tiles(machine: &Machine) -> Outcome {
    let gpu = machine.gpu(false);
    let spread = PlanOptions::default().se(SeVariant::Spread);
    for (shape, batch, conv) in [
        ([5, 8, 8], 5, Conv2d::new(9, 1)),
        ([5, 7, 7], 5, Conv2d::new(9, 1)),
        ([8, 14, 14], 5, Conv2d::new(70, 1)),
        ([4, 28, 28], 5, Conv2d::new(8, 1)),
        ([8, 1, 1], 70, Conv2d::new(8, 1)),
        ([6, 5, 9], 7, Conv2d::new(12, 3).padding(1)),
        ([3, 15, 17], 5, Conv2d::new(9, 3).padding(1)),
        ([6, 13, 11], 7, Conv2d::new(9, 3).padding(1).groups(3)),
        ([5, 13, 7], 10, Conv2d::new(16, 5).stride(2).padding(2)),
    ] {
        let graph = graph(shape, |g, x| {
            let y = g.conv2d("conv", x, conv.clone())?;
            let y = g.activation("act", y, Act::Silu)?;
            g.squeeze_excite("se", y, SqueezeExcite::new(3))
        });
        let graph = graph.with_gate_outputs();
        for invocations in [8, 16] {
            let plan = chosen(gpu, &graph, batch, &spread, Choice::Tiled { invocations })?;
            let executor = Executor::new(gpu, &graph, &weights(), ExecutorOptions::default().plan(plan))?;
            let squeezes = |step: &Step| {
                step.variant.sums() && step.overrides.contains(&("INVOCATIONS_ROW", f64::from(invocations)))
            };
            ensure(executor.plan(batch)?.steps.iter().any(squeezes), "nothing squeezes in its convolution")?;
            let [c, h, w] = shape;
            let bits = same_bits_of(&executor, &numbers(5, &[batch, c, h, w]));
            bits.map_err(|e| format!("{shape:?}, {conv:?} in tiles of {invocations}: {e}"))?;
        }
    }
    Ok(())
}

/// The same where a convolution's depth is split.
fn same_bits_in_parts(machine: &Machine) -> Outcome {
    let gpu = machine.gpu(false);
    let graph = graph([70, 7, 5], |g, x| g.conv2d("conv", x, Conv2d::new(37, 3).padding(1)));
    let plan = chosen(gpu, &graph, 5, &PlanOptions::default(), Choice::Split { splits: 4 })?;
    let executor = Executor::new(gpu, &graph, &weights(), ExecutorOptions::default().plan(plan))?;
    ensure(executor.plan(5)?.steps.iter().any(|step| step.variant.partial_sums()), "nothing is split")?;
    Ok(same_bits_of(&executor, &numbers(5, &[5, 70, 7, 5]))?)
}

/// The same of whole networks in the tiled family.
fn same_bits_of_networks(machine: &Machine) -> Outcome {
    let plan = PlanOptions::default().se(SeVariant::Spread).family(Family::Tiled);
    for (name, side) in [("seresnet18", 56), ("digits_seresnet", 9)] {
        let options = zoo::Options::default().size([side; 2]);
        let graph = zoo::build(name, &options)?.with_gate_outputs();
        let options = ExecutorOptions::default().plan(plan.clone());
        let executor = Executor::new(machine.gpu(false), &graph, &Weights::seeded(5, 1.75), options)?;
        ensure(executor.plan(5)?.steps.iter().any(|step| step.variant.sums()), "nothing squeezes in its convolution")?;
        let input = numbers(5, &graph.input_shape().with_batch(5));
        same_bits_of(&executor, &input).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

/// One executor, one copy of the weights, batches in any order.
fn any_batch(machine: &Machine) -> Outcome {
    let executor = executor(machine.gpu(false))?;
    for batch in [3, 1, 5, 2, 3, 1] {
        let input = images(batch);
        let near = compare(&reference(&input)?, &executor.run(&input)?, Tolerance::F32);
        near.map_err(|e| format!("batch {batch}: {e}"))?;
    }
    Ok(())
}

/// Several runs in flight, awaited in another order, on this thread and on others.
fn futures(machine: &Machine) -> Outcome {
    let executor = executor(machine.gpu(false))?;
    let inputs: Vec<Tensor> = [2, 1, 2, 3].into_iter().map(images).collect();
    let expected: Vec<Tensor> = inputs.iter().map(|input| executor.run(input)).collect::<Result<_, _>>()?;
    let same = |got: &[Tensor], how: &str| {
        let pairs = expected.iter().zip(got).enumerate();
        pairs.into_iter().try_for_each(|(i, (expected, got))| {
            compare(expected, got, Tolerance::Exact).map_err(|e| format!("{how}, run {i}: {e}"))
        })
    };

    let mut runs: Vec<_> = inputs.iter().map(|input| Box::pin(executor.run_async(input))).collect();
    let mut context = Context::from_waker(Waker::noop());
    let mut done: Vec<Option<Tensor>> = vec![None; runs.len()];
    for (run, done) in runs.iter_mut().zip(&mut done) {
        if let Poll::Ready(result) = run.as_mut().poll(&mut context) {
            *done = Some(result?);
        }
    }
    for (run, done) in runs.iter_mut().zip(&mut done).rev() {
        if done.is_none() {
            *done = Some(pollster::block_on(run)?);
        }
    }
    let got: Vec<Tensor> = done.into_iter().flatten().collect();
    same(&got, "one thread")?;

    let got: excite::Result<Vec<Tensor>> = std::thread::scope(|scope| {
        let executor = &executor;
        let run = |input| scope.spawn(move || pollster::block_on(executor.run_async(input)));
        let threads: Vec<_> = inputs.iter().map(run).collect();
        threads.into_iter().map(|thread| thread.join().expect("a run does not panic")).collect()
    });
    Ok(same(&got?, "four threads")?)
}

/// Dropping a run in flight abandons its answer and nothing else.
fn dropped_future(machine: &Machine) -> Outcome {
    let executor = executor(machine.gpu(false))?;
    let input = images(2);
    let expected = executor.run(&input)?;
    for _ in 0..3 {
        let mut run = Box::pin(executor.run_async(&input));
        let _ = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(run);
        compare(&expected, &executor.run(&input)?, Tolerance::Exact)?;
    }
    Ok(())
}

/// Batches of any sizes with a few in flight: the bits of one run after the other, in order; taken no further ahead than
/// needed; dropped midway without harm.
fn many(machine: &Machine) -> Outcome {
    let executor = executor(machine.gpu(false))?;
    let sizes = [2, 1, 3, 2, 2, 5, 1, 1, 4];
    let batches: Vec<Tensor> = sizes.into_iter().enumerate().map(|(i, n)| numbers(i as u64, &[n, 3, 11, 9])).collect();
    let expected: Vec<Tensor> = batches.iter().map(|batch| executor.run(batch)).collect::<Result<_, _>>()?;
    let got: Vec<Tensor> = executor.run_many(&batches).collect::<Result<_, _>>()?;
    same_answers(&expected, &got)?;
    let owned: Vec<Tensor> = executor.run_many(batches.clone()).collect::<Result<_, _>>()?;
    same_answers(&expected, &owned)?;
    ensure(executor.run_many(Vec::<Tensor>::new()).next().is_none(), "no batches have answers")?;

    let taken = Cell::new(0);
    let mut answers = executor.run_many(batches.iter().inspect(|_| taken.set(taken.get() + 1)));
    ensure(taken.get() == 0, "batches are taken before an answer is asked for")?;
    for (due, expected) in expected.iter().enumerate().take(4) {
        let answer = answers.next().ok_or("too few answers")??;
        compare(expected, &answer, Tolerance::Exact)?;
        ensure(taken.get() == due + 3, format!("{} batches are taken for answer {due}", taken.get()))?;
    }
    drop(answers);
    let got: Vec<Tensor> = executor.run_many(&batches).collect::<Result<_, _>>()?;
    same_answers(&expected, &got)
}

fn same_answers(expected: &[Tensor], got: &[Tensor]) -> Outcome {
    ensure(expected.len() == got.len(), format!("{} answers to {} batches", got.len(), expected.len()))?;
    for (i, (expected, got)) in expected.iter().zip(got).enumerate() {
        compare(expected, got, Tolerance::Exact).map_err(|e| format!("batch {i}: {e}"))?;
    }
    Ok(())
}

/// Batches that no binding holds, between others.
fn many_in_parts(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|limits| limits.max_storage_buffer_binding_size = 16 << 10)?;
    let gpu = Gpu::from_wgpu(device, queue);
    let executor = tiny_executor(&gpu)?;
    let refused = executor.plan(40).err().is_some_and(|e| matches!(e, Error::Limit { .. }));
    ensure(refused, "40 images are not too many for one binding")?;
    let batches: Vec<Tensor> = [3, 40, 1, 97, 2].map(images).into_iter().collect();
    let expected: Vec<Tensor> = batches.iter().map(|batch| executor.run(batch)).collect::<Result<_, _>>()?;
    let got: Vec<Tensor> = executor.run_many(&batches).collect::<Result<_, _>>()?;
    same_answers(&expected, &got)
}

/// A batch of another shape is an error in its place, and its neighbours have their answers.
fn many_with_errors(machine: &Machine) -> Outcome {
    let executor = executor(machine.gpu(false))?;
    let wrong = || Tensor::zeros([2, 3, 9, 11]);
    let batches = [images(2), wrong(), images(1), wrong(), wrong(), wrong(), wrong(), images(3)];
    let answers: Vec<_> = executor.run_many(&batches).collect();
    ensure(answers.len() == batches.len(), "a batch has no answer")?;
    for (i, (batch, answer)) in batches.iter().zip(answers).enumerate() {
        match (executor.run(batch), answer) {
            (Ok(expected), Ok(got)) => compare(&expected, &got, Tolerance::Exact)?,
            (Err(expected), Err(got)) => ensure(expected.to_string() == got.to_string(), got)?,
            (_, got) => return Err(format!("batch {i}: {got:?}").into()),
        }
    }
    let pixels = executor.run_many_pixels([[0u8; 3 * 11 * 9]]).next();
    ensure(matches!(pixels, Some(Err(_))), "pixels are refused for floats")
}

/// In the user's encoder, between the user's commands, on the user's buffers.
fn encode(machine: &Machine) -> Outcome {
    let gpu = machine.gpu(false);
    let (device, queue) = (gpu.device(), gpu.queue());
    let executor = executor(gpu)?;
    let input = images(2);
    let expected = executor.run(&input)?;

    let source = upload(device, input.data());
    let [x, y, copy] = [input.data().len(), 20, 20].map(|len| upload(device, &vec![f32::NAN; len]));
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(&source, 0, &x, 0, source.size());
    executor.encode(&mut encoder, 2, &x, &y)?;
    encoder.copy_buffer_to_buffer(&y, 0, &copy, 0, y.size());
    encoder.clear_buffer(&x, 0, None);
    ensure(read(device, queue, &y)?.iter().all(|x| x.is_nan()), "encode submits")?;
    queue.submit([encoder.finish()]);
    for (what, buffer) in [("output", &y), ("its copy", &copy)] {
        let got = Tensor::new([2, 10], read(device, queue, buffer)?)?;
        compare(&expected, &got, Tolerance::Exact).map_err(|e| format!("{what}: {e}"))?;
    }

    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let short = |size| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage: ANY, mapped_at_creation: false })
    };
    let input_bytes = x.size();
    for (x, y, expected) in [
        (&short(input_bytes - 4), &y, format!("the input buffer needs {input_bytes} bytes for batch 2, has 2372")),
        (&x, &short(76), "the output buffer needs 80 bytes for batch 2, has 76".to_string()),
    ] {
        let refusal = executor.encode(&mut encoder, 2, x, y).err().map(|e| e.to_string());
        ensure(
            refusal.as_ref().is_some_and(|found| found.ends_with(&expected)),
            format!("{refusal:?}, expected {expected}"),
        )?;
    }
    Ok(())
}

/// Twenty runs after the first make no object, neither by our count nor by wgpu's.
fn nothing_made(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|_| ())?;
    let gpu = Gpu::from_wgpu(device, queue);
    let executor = tiny_executor(&gpu)?;
    let inputs = [images(1), images(3)];
    for answer in executor.run_many(inputs.iter().cycle().take(12)) {
        answer?;
    }
    let count = || (gpu.objects_created(), counters(gpu.device()));
    let before = count();
    ensure(before.1.iter().any(|&(what, n)| what == "buffers" && n > 5), format!("nothing is counted: {before:?}"))?;
    for _ in 0..10 {
        for input in &inputs {
            executor.run(input)?;
            pollster::block_on(executor.run_async(input))?;
        }
    }
    for answer in executor.run_many(inputs.iter().cycle().take(20)) {
        answer?;
    }
    ensure(count() == before, format!("before {before:?}, after {:?}", count()))
}

/// The CPU waits once for a result, however it is asked for; a batch that runs in parts has as many results.
fn one_wait(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|limits| limits.max_storage_buffer_binding_size = 16 << 10)?;
    let gpu = Gpu::from_wgpu(device, queue);
    let executor = tiny_executor(&gpu)?;
    [1, 2, 20].into_iter().try_for_each(|batch| executor.run(&images(batch)).map(drop))?;
    ensure(executor.plan(20).is_err() && executor.plan(10).is_ok(), "20 images don't run in two parts")?;
    let waits = |expected: u64, how: &str, work: &dyn Fn() -> excite::Result<()>| {
        let before = gpu.waits();
        work()?;
        let found = gpu.waits() - before;
        ensure(found == expected, format!("{how}: {found} waits, expected {expected}"))
    };
    waits(1, "run", &|| executor.run_all(&images(2)).map(drop))?;
    waits(1, "run_async", &|| pollster::block_on(executor.run_async(&images(2))).map(drop))?;
    waits(2, "two parts", &|| executor.run(&images(20)).map(drop))?;
    let batches = [images(1), images(2), images(2), images(20), images(1)];
    waits(6, "run_many", &|| executor.run_many(&batches).try_for_each(|answer| answer.map(drop)))
}

fn your_own_device(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|_| ())?;
    let gpu = Gpu::from_wgpu(device.clone(), queue.clone());
    let input = images(2);
    let expected = tiny().reference(&input, &weights())?.remove("y").expect("the output");
    compare(&expected, &tiny_executor(&gpu)?.run(&input)?, Tolerance::F32)?;
    drop(gpu);
    // The device is still the user's.
    ensure(read(&device, &queue, &upload(&device, &[1.0, 2.0]))? == [1.0, 2.0], "the device is of no use any more")
}

fn wrong_input(machine: &Machine) -> Outcome {
    let executor = executor(machine.gpu(true))?;
    for shape in [vec![2, 3, 9, 11], vec![3, 11, 9], vec![0, 3, 11, 9]] {
        let input = Tensor::zeros(shape.clone());
        for result in [executor.run(&input), pollster::block_on(executor.run_async(&input))] {
            let message = result.err().map(|e| e.to_string()).unwrap_or_default();
            let expected = format!("expects images [N, 3, 11, 9], N at least 1, is given {shape:?}");
            ensure(message.ends_with(&expected), format!("\"{message}\" does not end with \"{expected}\""))?;
        }
    }
    let refusal = executor.plan(0).err().map(|e| e.to_string());
    ensure(refusal.as_deref() == Some("batch must be at least 1, is 0"), format!("{refusal:?}"))
}

/// NaN and infinity are refused with their place, in every way to run; asked to, they run.
fn non_finite(machine: &Machine) -> Outcome {
    let executor = executor(machine.gpu(true))?;
    let with = |value: f32, at: usize| {
        let mut input = images(2);
        input.data_mut()[at] = value;
        input
    };
    let message = |value: &str, index: &str| {
        format!(
            "input \"case\": expects finite values, has {value} at {index}; ExecutorOptions::allow_non_finite lets it pass, \
             and what comes of it is anything"
        )
    };
    for (value, at, expected) in [
        (f32::NAN, 0, message("NaN", "[0, 0, 0, 0]")),
        (f32::INFINITY, 99 + 9 + 1, message("inf", "[0, 1, 1, 1]")),
        (f32::NEG_INFINITY, 2 * 297 - 1, message("-inf", "[1, 2, 10, 8]")),
    ] {
        let bad = with(value, at);
        let many = executor.run_many([images(1), bad.clone(), images(2)]).map(|answer| answer.map(drop));
        let [before, many, after] = many.collect::<Vec<_>>().try_into().map_err(|_| "a batch has no answer")?;
        ensure(before.is_ok() && after.is_ok(), format!("its neighbours: {before:?}, {after:?}"))?;
        for (how, answer) in [
            ("run", executor.run(&bad).map(drop)),
            ("run_all", executor.run_all(&bad).map(drop)),
            ("run_async", pollster::block_on(executor.run_async(&bad)).map(drop)),
            ("run_many", many),
        ] {
            let refusal = answer.err().map(|e| e.to_string());
            ensure(
                refusal.as_ref().is_some_and(|found| found.ends_with(&expected)),
                format!("{how}: {refusal:?}, expected {expected}"),
            )?;
        }
    }
    executor.run(&with(f32::MAX, 7))?;
    let options = ExecutorOptions::default().allow_non_finite(true);
    let allowed = Executor::new(machine.gpu(true), &net(), &weights(), options)?;
    ensure(allowed.run(&with(f32::NAN, 0))?.shape() == [2, 10], "what is allowed runs")
}

fn wrong_weights(machine: &Machine) -> Outcome {
    let mut tensors = Vec::new();
    for (name, shape) in net().tensors() {
        tensors.push((name.clone(), weights().get(&name, &shape)?));
    }
    let make = |tensors: Vec<(String, Tensor)>| {
        let weights = Weights::from_tensors(tensors);
        Executor::new(machine.gpu(true), &net(), &weights, ExecutorOptions::default()).err().map(|e| e.to_string())
    };
    ensure(make(tensors.clone()).is_none(), "the right weights are refused")?;
    let mut fewer = tensors.clone();
    let (gone, _) = fewer.remove(3);
    let mut nan = tensors.clone();
    nan[0].1.data_mut()[0] = f32::NAN;
    let mut more = tensors.clone();
    more.push(("extra.weight".into(), Tensor::zeros([1])));
    for (tensors, expected) in [
        (fewer, format!("1 missing: {gone}")),
        (nan, format!("1 with NaN or infinity: {}", tensors[0].0)),
        (more, "1 unexpected: extra.weight".into()),
    ] {
        let message = make(tensors).unwrap_or_default();
        ensure(message.contains(&expected), format!("\"{message}\" does not contain \"{expected}\""))?;
    }
    Ok(())
}
