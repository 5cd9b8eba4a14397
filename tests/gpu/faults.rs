//! Faults of the driver, one after the other: the n-th submission, wait, mapping, allocation or pipeline fails, for n
//! from 1 on until a run has no n-th. SQLite tests its allocations so.
//!
//! Every run is a process of its own: this program again, told by [`ROLE`], under the Vulkan layer of
//! `tests/fault_layer`. It runs the digits in every way, and ends with the right bits or with one error of the right
//! kind; it never panics, hangs or is killed. Then a new [`Gpu`] in the same process must have the right bits. So it is
//! where the device is lost under many threads.

use crate::common::fault_layer::{self, LAYER};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop, ensure};
use excite::gpu::{AdapterDescription, Executor, ExecutorOptions};
use excite::{Error, Gpu, GpuOptions, Tensor, zoo};
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Tells the process that it is one of those that meet a fault: `own` or `borrowed`, the device.
pub const ROLE: &str = "EXCITE_TEST_FAULT_DEVICE";
/// What follows the device in a role that has eight threads run.
const THREADS: &str = "threads";
/// Where the right bits are.
const BITS: &str = "EXCITE_TEST_FAULT_BITS";

const KINDS: [&str; 5] = ["submit", "wait", "map", "allocation", "pipeline"];
/// Images whose activations no block of the allocator has room for. They are not run.
const LARGE: usize = 6000;
const DEVICES: [&str; 2] = ["own", "borrowed"];
/// Far more than a process does calls of a kind: a loop that has come here does not end.
const MOST: usize = 200;
/// For one process. They take a second or two where nothing else runs.
const LIMIT: Duration = Duration::from_secs(120);

pub fn cases() -> Vec<Case> {
    let case = |kind: &'static str, device: &'static str| {
        Case::new(format!("faults/{kind}_of_{device}"), move |m| faults(m, kind, device))
    };
    let under_threads = |kind: &'static str, device: &'static str| {
        Case::new(format!("faults/{kind}_of_{device}_under_threads"), move |m| threads(m, kind, device))
    };
    let mut cases = Vec::new();
    for device in DEVICES {
        cases.extend(KINDS.map(|kind| case(kind, device)));
        cases.extend(["submit", "wait"].map(|kind| under_threads(kind, device)));
    }
    cases
}

/// Where processes find the layer and the right bits.
struct Place {
    layer: PathBuf,
    bits: PathBuf,
}

impl Place {
    fn new(machine: &Machine, name: &str, device: &str) -> Result<Self, Stop> {
        let layer = layer(machine)?;
        let bits = layer.join(format!("{name}_of_{device}_{}.bits", std::process::id()));
        let gpu = open(&machine.description, device)?;
        fs::write(&bits, bytes(&answers(&executor(&gpu)?)?))?;
        Ok(Self { layer, bits })
    }

    fn start(&self, machine: &Machine, role: &str, kind: &str, n: usize) -> std::io::Result<Running> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ROLE, role).env(BITS, &self.bits).env("EXCITE_FAULT", format!("{kind}:{n}"));
        command.env("EXCITE_DEVICE", machine.description.index.to_string());
        command.env("VK_LAYER_PATH", &self.layer).env("VK_INSTANCE_LAYERS", LAYER);
        command.env_remove("VK_LOADER_LAYERS_ENABLE").env_remove("VK_LOADER_LAYERS_DISABLE");
        Running::start(command, n)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.bits);
    }
}

/// A call fails while eight threads run.
fn threads(machine: &Machine, kind: &str, device: &str) -> Outcome {
    let place = Place::new(machine, &format!("{kind}_threads"), device)?;
    for n in [12, 40] {
        let text = place.start(machine, &format!("{device} {THREADS}"), kind, n)?.right()?;
        ensure(text.contains("fault: "), format!("the layer has seen no {kind} {n}\n{text}"))?;
    }
    Ok(())
}

/// The n-th call of a kind fails, for all n that there are.
fn faults(machine: &Machine, kind: &str, device: &str) -> Outcome {
    let place = Place::new(machine, kind, device)?;
    let start = |n: usize| place.start(machine, device, kind, n);
    // Side by side, as far as there are processors; looked at in order.
    let width = std::thread::available_parallelism().map_or(1, usize::from).min(2);
    let mut running: VecDeque<Running> = (1..=width).map(start).collect::<Result<_, _>>()?;
    let (mut next, mut met) = (width + 1, 0);
    while let Some(process) = running.pop_front() {
        let text = process.right()?;
        if !text.contains("fault: ") {
            // There was no n-th call; without any, the layer wasn't there.
            return ensure(met > 0, format!("the layer has seen no {kind}\n{text}"));
        }
        met += 1;
        ensure(next < MOST, format!("{next} calls of {kind}, and no end"))?;
        running.push_back(start(next)?);
        next += match (kind, device) {
            // After wgpu's own pipelines they are all made in one place.
            ("pipeline", _) if next >= 8 => 4,
            // What a borrowed device has of its own is met before.
            (_, "borrowed") if next >= 4 => 2,
            _ => 1,
        };
    }
    Err("no process ran".into())
}

/// What is wrong with how a process ended. wgpu's own panics may be seen where they are caught.
fn verdict(code: Option<i32>, text: &str) -> Option<String> {
    let panic = text.lines().find(|line| line.contains("panicked at") && !line.contains("/wgpu-"));
    let panic = panic.map(|line| format!("a panic: {line}"));
    panic.or_else(|| (code != Some(0)).then(|| format!("ended with {code:?}")))
}

/// One process, killed when it is dropped.
struct Running {
    n: usize,
    child: Option<Child>,
    end: Instant,
}

impl Running {
    fn start(mut command: Command, n: usize) -> std::io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self { n, child: Some(command.spawn()?), end: Instant::now() + LIMIT })
    }

    /// What it said, if that is right.
    fn right(self) -> Result<String, Stop> {
        let n = self.n;
        let (output, why) = self.wait()?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("");
        match why.or_else(|| verdict(output.status.code(), &text)) {
            None => Ok(text),
            Some(why) => Err(format!("number {n}: {why}\n{text}").into()),
        }
    }

    /// Its output, and why it was ended if it was. It says a few lines, which pipes hold.
    fn wait(mut self) -> std::io::Result<(Output, Option<String>)> {
        let mut child = self.child.take().expect("it is waited for once");
        let mut why = None;
        while child.try_wait()?.is_none() {
            if Instant::now() > self.end {
                child.kill()?;
                why = Some(format!("no answer after {} s", LIMIT.as_secs()));
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok((child.wait_with_output()?, why))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The folder with the layer, built once, and its manifest.
fn layer(machine: &Machine) -> Result<PathBuf, Stop> {
    use std::sync::OnceLock;
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if machine.description.info.backend != excite::wgpu::Backend::Vulkan || !cfg!(target_os = "linux") {
        return Err(Stop::Skipped("layers are Vulkan's, and this one is built for Linux".into()));
    }
    let in_ci = std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"));
    BUILT
        .get_or_init(fault_layer::build)
        .clone()
        .map_err(|why| if in_ci { Stop::Failed(why) } else { Stop::Skipped(why) })
}

/// Meets its fault, and ends the process: 0 where all that came of it is right.
pub fn meet(role: &str) -> i32 {
    match met(role) {
        Ok(how) => {
            println!("{how}");
            0
        }
        Err(why) => {
            println!("wrong: {why}");
            1
        }
    }
}

fn met(role: &str) -> Result<String, String> {
    let (device, runs): (_, fn(&Executor) -> _) = match role.split_once(' ') {
        None => (role, answers),
        Some((device, _)) => (device, answers_of_threads),
    };
    let expected = fs::read(std::env::var_os(BITS).ok_or("no bits")?).map_err(|e| e.to_string())?;
    let right = |executor: &Executor| match answers(executor) {
        Ok(answers) if bytes(&answers) == expected => Ok(()),
        Ok(_) => Err("other bits".to_string()),
        Err(error) => Err(format!("another error: {error}")),
    };
    let Some(error) = first(device, runs, &expected)? else { return Ok("right at once".into()) };
    let how = format!("one error: {error}");
    let again = open(&adapter()?, device).and_then(|gpu| executor(&gpu)).map_err(|e| format!("no new Gpu: {e}"))?;
    right(&again).map_err(|e| format!("a new Gpu after {how}: {e}"))?;
    Ok(format!("{how}; a new Gpu has the right bits"))
}

/// Runs on a device that meets the fault, and what was said of it. Everything of that device is dropped.
fn first(
    device: &str,
    runs: fn(&Executor) -> excite::Result<Vec<Tensor>>,
    expected: &[u8],
) -> Result<Option<String>, String> {
    let adapter = adapter()?;
    // Before it is borrowed, a device is its user's, who catches wgpu's panics.
    let gpu = match std::panic::catch_unwind(|| open(&adapter, device)) {
        Ok(Ok(gpu)) => gpu,
        Ok(Err(error @ (Error::Device { .. } | Error::OutOfMemory { .. } | Error::DeviceLost { .. }))) => {
            return Ok(Some(error.to_string()));
        }
        Ok(Err(error)) => return Err(format!("opened: {error}")),
        Err(_) if device == "borrowed" => return Ok(Some("a panic of wgpu".into())),
        Err(_) => return Err("a panic while it was opened".into()),
    };
    let executor = executor(&gpu).map_err(|e| e.to_string())?;
    let error = match runs(&executor) {
        Ok(answers) if bytes(&answers) == expected => return Ok(None),
        Ok(_) => return Err("other bits".into()),
        Err(error) => error,
    };
    let start = Instant::now();
    match &error {
        Error::DeviceLost { .. } => all_lost(&gpu, &executor)?,
        Error::Device { .. } | Error::OutOfMemory { .. } if gpu.is_lost() => {
            return Err(format!("lost, and not called so: {error}"));
        }
        // The next try has what this one lacked.
        Error::Device { .. } | Error::OutOfMemory { .. } => match answers(&executor) {
            Ok(answers) if bytes(&answers) == expected => (),
            Ok(_) => return Err(format!("other bits after {error}")),
            Err(again) => return Err(format!("after {error}: {again}")),
        },
        _ => return Err(format!("an error of another kind: {error:?}")),
    }
    let took = start.elapsed();
    if took > Duration::from_secs(10) { Err(format!("{took:?} after {error}")) } else { Ok(Some(error.to_string())) }
}

/// Every call on a lost device says that it is lost.
fn all_lost(gpu: &Gpu, executor: &Executor) -> Result<(), String> {
    if !gpu.is_lost() {
        return Err("an error says that it is lost, is_lost does not".into());
    }
    let input = images(1).map_err(|e| e.to_string())?;
    let answers = [
        ("run", executor.run(&input).map(drop)),
        ("run_async", pollster::block_on(executor.run_async(&input)).map(drop)),
        ("run_many", executor.run_many([&input, &input]).try_for_each(|answer| answer.map(drop))),
        ("another batch", images(7).and_then(|input| executor.run(&input)).map(drop)),
        ("warm_up", executor.warm_up(3).map(drop)),
        ("a new executor", self::executor(gpu).and_then(|executor| executor.run(&input)).map(drop)),
    ];
    for (what, answer) in answers {
        match answer {
            Err(Error::DeviceLost { .. }) => (),
            answer => return Err(format!("{what} on a lost device: {answer:?}")),
        }
    }
    Ok(())
}

/// A device of this crate's, or one as a user of wgpu opens it.
fn open(adapter: &AdapterDescription, device: &str) -> excite::Result<Gpu> {
    if device == "own" {
        return Gpu::open(&GpuOptions::default().device(adapter.index.to_string()));
    }
    let opened = crate::machine::user_device(adapter, |_| ());
    let refused = |message| Error::Device { adapter: adapter.info.name.clone(), message };
    opened.map(|(device, queue)| Gpu::from_wgpu(device, queue)).map_err(refused)
}

/// The adapter that `EXCITE_DEVICE` names by its index.
fn adapter() -> Result<AdapterDescription, String> {
    let index = std::env::var("EXCITE_DEVICE").ok().and_then(|index| index.parse().ok());
    excite::gpu::adapters().into_iter().nth(index.unwrap_or(0)).ok_or_else(|| "the adapter has gone".into())
}

fn executor(gpu: &Gpu) -> excite::Result<Executor> {
    let graph = zoo::build("digits_seresnet", &zoo::Options::default())?;
    let weights = zoo::bundled_weights("digits_seresnet").expect("they are bundled");
    Executor::new(gpu, &graph, &weights, ExecutorOptions::default())
}

fn images(batch: usize) -> excite::Result<Tensor> {
    Ok(Tensor::from_fn([batch, 1, 8, 8], |i| ((i * 37 + i / 11) % 17) as f32 / 16.0))
}

/// Answers in every way that there is to ask for them; in the middle, more memory than there was.
fn answers(executor: &Executor) -> excite::Result<Vec<Tensor>> {
    let (one, two, five) = (images(1)?, images(2)?, images(5)?);
    let mut answers = vec![executor.run(&one)?, pollster::block_on(executor.run_async(&two))?];
    executor.warm_up(LARGE)?;
    executor.retain_batch_sizes(|batch| batch != LARGE);
    answers.push(executor.run(&five)?);
    for answer in executor.run_many([&one, &two, &one, &two]) {
        answers.push(answer?);
    }
    Ok(answers)
}

fn bytes(tensors: &[Tensor]) -> Vec<u8> {
    tensors.iter().flat_map(|tensor| tensor.data()).flat_map(|x| x.to_bits().to_le_bytes()).collect()
}

/// The same of eight threads, over and over until there is an error, which then all of them have.
fn answers_of_threads(executor: &Executor) -> excite::Result<Vec<Tensor>> {
    let right = bytes(&answers(executor)?);
    let until_error = || {
        for _ in 0..100 {
            let got = answers(executor)?;
            assert!(bytes(&got) == right, "other bits under threads");
        }
        answers(executor)
    };
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(until_error)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a run does not panic")).collect::<Vec<_>>()
    });
    let lost = answers.iter().filter(|answer| matches!(answer, Err(Error::DeviceLost { .. }))).count();
    assert!(lost == 8, "{lost} of 8 threads say that the device is lost: {answers:?}");
    answers.into_iter().next().expect("eight threads have answers")
}
