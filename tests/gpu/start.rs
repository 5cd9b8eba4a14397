//! Starting and remembering: pipelines kept on disk, weights shared, memory as predicted, batches that fit a budget.

use crate::buffers::counters;
use crate::check::graph;
use crate::common::compare::{Tolerance, compare, numbers};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop, ensure};
use excite::gpu::{Executor, ExecutorOptions};
use excite::kernels::MatrixSize;
use excite::ops::{Conv2d, Linear, SqueezeExcite};
use excite::plan::Family;
use excite::plan::PlanOptions;
use excite::{Gpu, GpuOptions, Graph, Precision, Tensor, Weights, verify, wgpu, zoo};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("start/pipeline_cache", pipeline_cache),
        Case::new("start/pipeline_cache_twice", pipeline_cache_twice),
        Case::new("start/memory", memory),
        Case::new("start/in_flight", in_flight),
        Case::new("start/peak_memory", peak_memory),
        Case::new("start/max_batch", max_batch),
        Case::new("start/batch_sizes", batch_sizes),
        Case::new("start/cooperative_matrices", cooperative_matrices),
    ]
}

/// Weights of a few hundred kB, pipelines of many kinds.
fn net() -> Graph {
    graph([3, 19, 17], |g, x| {
        let x = g.conv2d("stem", x, Conv2d::new(64, 3).stride(2).padding(1))?;
        let y = g.conv2d("conv", x, Conv2d::new(64, 3).padding(1))?;
        let y = g.squeeze_excite("se", y, SqueezeExcite::new(16))?;
        let x = g.sum("sum", y, x)?;
        let x = g.global_avg_pool("pool", x)?;
        g.linear("fc", x, Linear::new(1000))
    })
}

fn weights() -> Weights {
    Weights::seeded(11, 1.0)
}

fn open(machine: &Machine, pipeline_cache: Option<&Path>) -> excite::Result<Gpu> {
    let device = Some(machine.description.index.to_string());
    Gpu::open(&GpuOptions::default().device(device).pipeline_cache(pipeline_cache.map(Path::to_path_buf)))
}

fn executor(gpu: &Gpu, graph: &Graph) -> excite::Result<Executor> {
    Executor::new(gpu, graph, &weights(), ExecutorOptions::default())
}

/// Asked for, cooperative matrices are there only where the adapter has them; half precision is right with and without.
fn cooperative_matrices(machine: &Machine) -> Outcome {
    let device = Some(machine.description.index.to_string());
    let options = GpuOptions::default().device(device);
    let found = excite::measure::cooperative_matrices(&options)?;
    for size in MatrixSize::ALL.into_iter().filter(|size| !machine.description.cooperative.contains(size)) {
        let refusal = Gpu::open(&options.clone().cooperative_matrices(size)).err().map(|error| error.to_string());
        let expected = format!("has no cooperative matrices of {size} in half precision");
        ensure(refusal.as_ref().is_some_and(|text| text.contains(&expected)), format!("{refusal:?}"))?;
    }
    let gpu = Gpu::open(&options.cooperative_matrices(found))?;
    ensure(gpu.target().cooperative == found, format!("{found:?}"))?;
    let (used, sizes) = (gpu.target().cooperative, &machine.description.cooperative);
    // The self-test passes for one at least.
    let right = used.map_or(sizes.is_empty(), |size| sizes.contains(&size));
    ensure(right, format!("{used:?} of {sizes:?}"))?;
    ensure(machine.gpu(true).target().cooperative.is_none(), "used without being asked for")?;
    let precision = if gpu.target().half { Precision::F16 } else { Precision::F32 };
    let plan = PlanOptions::default().precision(precision).family(Family::Tiled);
    let (graph, input) = (net(), numbers(1, &[2, 3, 19, 17]));
    let report = verify::verify(&gpu, &graph, &weights(), &input, &verify::Options::for_plan(plan))?;
    ensure(report.passed(), &report)
}

/// What a process leaves on disk, and the next one finds; damage and bad folders change no answer.
fn pipeline_cache(machine: &Machine) -> Outcome {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("excite");
    let input = numbers(1, &[2, 3, 19, 17]);
    let expected = executor(machine.gpu(true), &net())?.run(&input)?;
    // Bytes found, and the answer.
    let process = |cache: &Path| -> excite::Result<(Option<usize>, Tensor)> {
        let gpu = open(machine, Some(cache))?;
        Ok((gpu.cached_pipeline_bytes(), executor(&gpu, &net())?.run(&input)?))
    };
    let check = |cache: &Path, what: &str| -> Result<Option<usize>, Stop> {
        let (found, answer) = process(cache)?;
        compare(&expected, &answer, Tolerance::F32).map_err(|e| format!("{what}: {e}"))?;
        Ok(found)
    };
    let first = check(&cache, "nothing there")?;
    if machine.description.info.backend != wgpu::Backend::Vulkan {
        return ensure(first.is_none() && !cache.exists(), "only Vulkan keeps pipelines");
    }
    ensure(first == Some(0), format!("{first:?} bytes were there at first"))?;
    let file = only_file(&cache)?;
    let whole = std::fs::read(&file)?;
    let second = check(&cache, "second process")?;
    ensure(second.is_some_and(|bytes| bytes > 0 && bytes < whole.len()), format!("{second:?} bytes are found"))?;
    ensure(std::fs::read(&file)? == whole, "what is known already is written again, or otherwise")?;

    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    for (what, damaged) in [("cut off", &whole[..middle]), ("flipped", &flipped), ("empty", &[])] {
        std::fs::write(&file, damaged)?;
        let found = check(&cache, what)?;
        ensure(found == Some(0), format!("{what}: {found:?} bytes are believed"))?;
        ensure(check(&cache, what)? == second, format!("{what}: not replaced"))?;
    }
    // A file stands where the folder should be.
    ensure(check(&file, "no folder")?.is_none(), "a file is taken for a folder")
}

/// Two devices at once write one whole file.
fn pipeline_cache_twice(machine: &Machine) -> Outcome {
    if machine.description.info.backend != wgpu::Backend::Vulkan {
        return Err(Stop::Skipped("only Vulkan keeps pipelines".into()));
    }
    let folder = tempfile::tempdir()?;
    let ran: excite::Result<Vec<usize>> = std::thread::scope(|scope| {
        let process = || Ok(executor(&open(machine, Some(folder.path()))?, &net())?.warm_up(1)?.pipelines);
        let threads = [scope.spawn(process), scope.spawn(process)];
        threads.into_iter().map(|thread| thread.join().expect("warming up does not panic")).collect()
    });
    ran?;
    only_file(folder.path())?;
    let found = open(machine, Some(folder.path()))?.cached_pipeline_bytes();
    ensure(found.is_some_and(|bytes| bytes > 0), format!("{found:?} bytes are found"))
}

fn only_file(folder: &Path) -> Result<PathBuf, Stop> {
    let files: Vec<_> = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    let [file] = files.as_slice() else { return Err(format!("not one file: {files:?}").into()) };
    Ok(file.clone())
}

/// A device that is done with what wgpu does at first.
fn settled(machine: &Machine) -> Result<Gpu, Stop> {
    let gpu = open(machine, None)?;
    gpu.queue().submit([]);
    gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
    Ok(gpu)
}

/// Bytes of all buffers that live on a device, by wgpu's count.
fn buffer_bytes(gpu: &Gpu) -> u64 {
    let bytes = counters(gpu.device()).into_iter().find(|(what, _)| *what == "bytes of buffers");
    bytes.map_or(0, |(_, bytes)| bytes as u64)
}

fn counts_memory(machine: &Machine) -> Outcome {
    match machine.description.info.backend {
        wgpu::Backend::Vulkan => Ok(()),
        // Every buffer takes whole pages of 64 KiB, far more than 2 % of a small network.
        wgpu::Backend::Dx12 => Err(Stop::Skipped("buffers are rounded up here".into())),
        _ => Err(Stop::Skipped("wgpu counts no memory here".into())),
    }
}

fn within_2_percent(what: &str, predicted: u64, found: u64) -> Outcome {
    let off = found.abs_diff(predicted) as f64 / predicted as f64;
    ensure(off <= 0.02, format!("{what}: predicted {predicted} bytes, found {found}"))
}

/// Weights once, whatever the batches; nothing of the upload is left; all is given back.
fn memory(machine: &Machine) -> Outcome {
    counts_memory(machine)?;
    let gpu = settled(machine)?;
    let before = buffer_bytes(&gpu);
    let executor = executor(&gpu, &net())?;
    let (one, five) = (executor.plan(1)?, executor.plan(5)?);
    executor.warm_up(1)?;
    within_2_percent("batch 1", one.device_bytes(), buffer_bytes(&gpu) - before)?;
    executor.run(&numbers(1, &[1, 3, 19, 17]))?;
    within_2_percent("batch 1 after a run", one.device_bytes(), buffer_bytes(&gpu) - before)?;
    executor.warm_up(5)?;
    let both = one.device_bytes() + five.device_bytes() - five.weight_bytes();
    within_2_percent("batches 1 and 5", both, buffer_bytes(&gpu) - before)?;
    for answer in executor.run_many([(); 6].map(|()| numbers(1, &[5, 3, 19, 17]))) {
        answer?;
    }
    within_2_percent("three in flight", both + 2 * five.staging_bytes(), buffer_bytes(&gpu) - before)?;
    drop(executor);
    gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
    ensure(buffer_bytes(&gpu) == before, format!("{} bytes are left, {before} were there", buffer_bytes(&gpu)))
}

/// What several runs in flight need can be there before them; a second call makes nothing.
fn in_flight(machine: &Machine) -> Outcome {
    let gpu = settled(machine)?;
    let executor = executor(&gpu, &net())?;
    let before = buffer_bytes(&gpu);
    let plan = executor.plan(2)?;
    executor.warm_up_many(2)?;
    let predicted = plan.device_bytes() + 2 * plan.staging_bytes();
    if counts_memory(machine).is_ok() {
        within_2_percent("warmed up", predicted, buffer_bytes(&gpu) - before)?;
    }
    let made = gpu.objects_created();
    let input = numbers(1, &[2, 3, 19, 17]);
    let expected = executor.run(&input)?;
    for answer in executor.run_many(std::iter::repeat_n(&input, 7)) {
        compare(&expected, &answer?, Tolerance::Exact)?;
    }
    executor.warm_up_many(2)?;
    ensure(gpu.objects_created() == made, format!("{} objects, then {}", made, gpu.objects_created()))
}

/// Loading needs no more than running does: staging of weights goes before activations come.
fn peak_memory(machine: &Machine) -> Outcome {
    counts_memory(machine)?;
    let gpu = settled(machine)?;
    let graph = zoo::build("seresnet18", &zoo::Options::default())?;
    let executor = executor(&gpu, &graph)?;
    let predicted = executor.plan(1)?.device_bytes();
    let before = buffer_bytes(&gpu);
    let done = AtomicBool::new(false);
    let (warm_up, peak) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(buffer_bytes(&gpu));
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            peak
        });
        let warm_up = executor.warm_up(1);
        done.store(true, Ordering::Relaxed);
        (warm_up, watcher.join().expect("watching does not panic"))
    });
    warm_up?;
    within_2_percent("after loading", predicted, buffer_bytes(&gpu) - before)?;
    ensure(peak - before <= predicted + predicted / 50, format!("predicted {predicted} bytes, the peak is {peak}"))?;
    let report = gpu.device().generate_allocator_report().ok_or("no report of the allocator")?;
    let reserved = report.total_reserved_bytes;
    // What the driver gave: blocks of 4 MiB, of which one in each kind of memory is not full.
    let most = predicted + predicted / 50 + 3 * (4 << 20);
    let blocks = report.blocks.len();
    ensure(reserved <= most, format!("predicted {predicted} bytes, {reserved} are reserved in {blocks} blocks"))
}

/// The largest batch whose plan and staging fit, and not one more.
fn max_batch(machine: &Machine) -> Outcome {
    let executor = executor(machine.gpu(true), &net())?;
    let need = |batch| executor.plan(batch).map(|plan| plan.device_bytes() + 2 * plan.staging_bytes());
    for batch in [1, 2, 3, 7, 8, 13] {
        for (budget, expected) in [(need(batch)?, batch), (need(batch + 1)? - 1, batch)] {
            let got = executor.max_batch(budget)?;
            ensure(got == expected, format!("{got} images fit {budget} bytes, expected {expected}"))?;
        }
    }
    let least = need(1)?;
    let refusal = executor.max_batch(least - 1).err().map(|e| e.to_string());
    let message = format!("case: a batch of 1 needs {least} bytes of memory, the budget is {}", least - 1);
    ensure(refusal.as_ref() == Some(&message), format!("{refusal:?}, expected {message}"))?;

    // The adapter's limits end it where memory does not.
    let (device, queue) = machine.user_device(|limits| limits.max_storage_buffer_binding_size = 256 << 10)?;
    let executor = self::executor(&Gpu::from_wgpu(device, queue), &net())?;
    let most = executor.max_batch(u64::MAX)?;
    ensure(executor.plan(most).is_ok() && executor.plan(most + 1).is_err(), format!("{most} images are not the most"))
}

/// Batch sizes that were used longest ago make room, others go when told to; memory comes back, and the answers stay.
fn batch_sizes(machine: &Machine) -> Outcome {
    let gpu = settled(machine)?;
    let before = buffer_bytes(&gpu);
    let input = |batch: usize| numbers(batch as u64, &[batch, 3, 19, 17]);
    let ready = |executor: &Executor, expected: &[usize], when: &str| {
        let found = executor.batch_sizes();
        ensure(found == expected, format!("{when}: {found:?} are ready, expected {expected:?}"))
    };
    let executor = executor(&gpu, &net())?;
    let first = executor.run(&input(1))?;
    (2..=8).try_for_each(|batch| executor.warm_up(batch).map(drop))?;
    ready(&executor, &[1, 2, 3, 4, 5, 6, 7, 8], "eight sizes")?;
    executor.run(&input(1))?;
    executor.warm_up(9)?;
    ready(&executor, &[3, 4, 5, 6, 7, 8, 1, 9], "a ninth")?;
    // What can't be planned takes nobody's room.
    ensure(executor.warm_up(0).is_err(), "a batch of 0 is planned")?;
    ready(&executor, &[3, 4, 5, 6, 7, 8, 1, 9], "one that is refused")?;

    executor.retain_batch_sizes(|batch| batch == 1);
    ready(&executor, &[1], "all but one let go")?;
    gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
    if counts_memory(machine).is_ok() {
        let others = buffer_bytes(&gpu);
        executor.retain_batch_sizes(|_| false);
        gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
        let plan = executor.plan(1)?;
        let back = plan.device_bytes() - plan.weight_bytes();
        within_2_percent("what is left", others - back, buffer_bytes(&gpu))?;
        within_2_percent("the weights", plan.weight_bytes(), buffer_bytes(&gpu) - before)?;
    }
    // A run in flight keeps what it needs.
    let answers = executor.run_many([1, 1, 1].map(input)).inspect(|_| executor.retain_batch_sizes(|_| false));
    answers.into_iter().try_for_each(|answer| compare(&first, &answer?, Tolerance::Exact).map_err(Stop::from))?;

    let options = ExecutorOptions::default().batch_sizes(0);
    let few = Executor::new(&gpu, &net(), &weights(), options)?;
    for batch in [1, 2, 1] {
        few.run(&input(batch))?;
        ready(&few, &[batch], "one at a time")?;
    }
    Ok(compare(&first, &few.run(&input(1))?, Tolerance::Exact)?)
}
