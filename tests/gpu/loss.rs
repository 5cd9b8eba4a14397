//! A device that is lost without a fault of the driver: `destroy`, at any time. `faults.rs` has the driver's.

use crate::buffers::{ANY, upload};
use crate::check::graph;
use crate::common::compare::{Tolerance, compare, numbers};
use crate::machine::Machine;
use crate::{Case, Outcome, ensure};
use excite::gpu::{Executor, ExecutorOptions, GpuTimer};
use excite::ops::SqueezeExcite;
use excite::plan::{PlanOptions, SeVariant};
use excite::{Error, Gpu, Graph, SeBlock, SeBlockOptions, SeLayout, Shape, Tensor, Weights, wgpu};
use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("loss/before", before),
        Case::new("loss/in_flight", in_flight),
        Case::new("loss/own_device", own_device),
        Case::new("loss/block", block),
        Case::new("loss/recovery", recovery),
    ]
}

/// A network that a device of its own compiles in no time.
fn executor(gpu: &Gpu) -> excite::Result<Executor> {
    let graph: Graph = graph([3, 11, 9], |g, x| {
        let x = g.squeeze_excite("se", x, SqueezeExcite::new(2))?;
        g.global_avg_pool("pool", x)
    });
    let plan = PlanOptions::default().se(SeVariant::Spread);
    Executor::new(gpu, &graph, &Weights::seeded(5, 1.0), ExecutorOptions::default().plan(plan))
}

fn images(batch: usize) -> Tensor {
    numbers(5, &[batch, 3, 11, 9])
}

/// A device of the tests' own that has run two images.
fn borrowed(machine: &Machine) -> Result<(wgpu::Device, Gpu, Executor), String> {
    let (device, queue) = machine.user_device(|_| ())?;
    let gpu = Gpu::from_wgpu(device.clone(), queue);
    let executor = executor(&gpu).map_err(|e| e.to_string())?;
    executor.run(&images(2)).map_err(|e| e.to_string())?;
    Ok((device, gpu, executor))
}

fn lost<T>(what: &str, result: excite::Result<T>) -> Result<(), String> {
    match result {
        Err(Error::DeviceLost { .. }) => Ok(()),
        Err(error) => Err(format!("{what}: another error: {error}")),
        Ok(_) => Err(format!("{what}: no error")),
    }
}

/// Everything on a device that has gone.
fn all_lost(gpu: &Gpu, executor: &Executor) -> Result<(), String> {
    lost("run", executor.run(&images(2)))?;
    lost("run_async", pollster::block_on(executor.run_async(&images(2))))?;
    let answers: Vec<_> = executor.run_many([images(2), images(1)]).collect();
    answers.into_iter().try_for_each(|answer| lost("run_many", answer))?;
    lost("another batch", executor.run(&images(1)))?;
    lost("a timer", GpuTimer::new(gpu).time(|_| Ok(())))?;
    lost("a new executor", self::executor(gpu).and_then(|executor| executor.run(&images(2))))?;
    if gpu.is_lost() { Ok(()) } else { Err("is_lost says that it is not".into()) }
}

fn before(machine: &Machine) -> Outcome {
    let (device, gpu, executor) = borrowed(machine)?;
    ensure(!gpu.is_lost(), "lost before it is destroyed")?;
    device.destroy();
    in_time("later runs", move || {
        ensure_lost_at_once(&gpu)?;
        all_lost(&gpu, &executor)
    })
}

/// Without a run in between that could have noticed.
fn ensure_lost_at_once(gpu: &Gpu) -> Result<(), String> {
    if gpu.is_lost() { Ok(()) } else { Err("is_lost says that it is not, at once".into()) }
}

fn in_flight(machine: &Machine) -> Outcome {
    let (device, _, executor) = borrowed(machine)?;
    in_time("a run in flight", move || {
        let input = images(2);
        let mut run = pin!(executor.run_async(&input));
        let first = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        device.destroy();
        match first {
            // The device was faster.
            Poll::Ready(result) => result.map(|_| ()).map_err(|e| e.to_string()),
            Poll::Pending => match pollster::block_on(run) {
                Ok(_) => Ok(()),
                result => lost("in flight", result),
            },
        }
    })
}

/// As for a device of the user's; several threads are in the middle of runs.
fn own_device(machine: &Machine) -> Outcome {
    let gpu = machine.open()?;
    let executor = executor(&gpu)?;
    executor.run(&images(2))?;
    in_time("threads", move || {
        std::thread::scope(|scope| {
            let until_lost = |asynchronous: bool| loop {
                let answer = match asynchronous {
                    true => pollster::block_on(executor.run_async(&images(2))),
                    false => executor.run(&images(2)),
                };
                if answer.is_err() {
                    return lost("a thread", answer);
                }
            };
            // On OpenGL threads would wait for each other's locks.
            let gl = gpu.info().backend == wgpu::Backend::Gl;
            let ways: &[bool] = if gl { &[false] } else { &[false, true, false, true] };
            let threads: Vec<_> = ways.iter().map(|&way| scope.spawn(move || until_lost(way))).collect();
            std::thread::sleep(Duration::from_millis(50));
            gpu.device().destroy();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a panic".into())))
        })?;
        all_lost(&gpu, &executor)
    })
}

/// The stand-alone block makes nothing on a device that has gone.
fn block(machine: &Machine) -> Outcome {
    let (device, queue) = machine.user_device(|_| ())?;
    let options = SeBlockOptions::new(SqueezeExcite::new(2), SeLayout::Nhwc);
    let new = || SeBlock::new(&device, &options, Shape::map(8, 5, 5), 1, &Weights::seeded(5, 1.0));
    let block = new()?;
    let [x, y] = [(); 2].map(|()| upload(&device, &[0.5; 200]));
    ensure(x.usage() == ANY, "the buffers can't be bound")?;
    block.bind(&x, None, &y)?;
    device.destroy();
    drop(queue);
    lost("bind", block.bind(&x, None, &y))?;
    Ok(lost("new", new().map(drop))?)
}

/// A new `Gpu` with a new executor has the bits of the one that was lost.
fn recovery(machine: &Machine) -> Outcome {
    let gpu = machine.open()?;
    let network = executor(&gpu)?;
    let expected = network.run(&images(3))?;
    gpu.device().destroy();
    lost("after it was destroyed", network.run(&images(3)))?;
    let got = executor(&machine.open()?)?.run(&images(3))?;
    Ok(compare(&expected, &got, Tolerance::Exact)?)
}

/// Refuses work that hangs.
fn in_time(what: &str, work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Outcome {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(result) => Ok(result?),
        Err(RecvTimeoutError::Timeout) => Err(format!("{what}: no answer after a minute").into()),
        Err(RecvTimeoutError::Disconnected) => Err(format!("{what}: a panic").into()),
    }
}
