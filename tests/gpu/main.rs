//! Everything that a GPU computes against the CPU reference, on every adapter found.
//!
//! A test is named `<backend>/<adapter>/<op>/<case>`; `cargo test --test gpu -- vulkan conv2d` runs those that contain
//! both words. What the environment changes:
//!
//! | variable | meaning |
//! |---|---|
//! | `EXCITE_DEVICE` | only the adapters whose text contains this, or the one of this index |
//! | `WGPU_BACKEND` | only these backends: `vulkan`, `dx12`, `metal`, `gl` |
//! | `EXCITE_ALLOW_NO_GPU` | `1`: without an adapter, tests are ignored and not failed |
//! | `EXCITE_GOLDEN` | folder of the golden files; `../shared/golden` without it |
//! | `EXCITE_ALLOW_NO_GOLDEN` | `1`: without that folder, proofs against it are ignored even where `CI` is set |
//! | `EXCITE_TEST_SEED` | another seed for the random cases |
//! | `EXCITE_TEST_TIMES` | `1`: print how long each test took |
//! | `EXCITE_TEST_COVERAGE` | `1`: name what never ran though only some of the tests run, too |

mod block;
mod buffers;
mod cases;
mod check;
mod coverage;
mod digits;
mod faults;
mod golden;
mod known;
mod limits;
mod loss;
mod machine;
mod model;
mod onnx;
mod runs;
mod start;
mod tuning;

#[path = "../common/mod.rs"]
mod common;
/// What `faults` builds as a library, here for the compiler's and clippy's eyes.
#[path = "../fault_layer/layer.rs"]
mod fault_layer;

use coverage::Running;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use machine::Machine;
use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

/// One test of one adapter.
pub struct Case {
    /// `<op>/<case>`
    pub name: String,
    pub run: Run,
}

pub type Run = Box<dyn Fn(&Machine) -> Outcome + Send + Sync>;

/// `Ok`, or why not.
pub type Outcome = Result<(), Stop>;

/// Why a test ends before its end.
#[derive(Clone)]
pub enum Stop {
    Failed(String),
    /// It can't run here, for this reason.
    Skipped(String),
}

impl<E: Display> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Fails unless `holds`.
pub fn ensure(holds: bool, message: impl Display) -> Outcome {
    if holds { Ok(()) } else { Err(message.into()) }
}

impl Case {
    pub fn new(name: impl Into<String>, run: impl Fn(&Machine) -> Outcome + Send + Sync + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }

    /// Whether it is one for a machine: cooperative matrices are for half precision.
    fn is_for(&self, machine: &Machine) -> bool {
        !machine.matrices || self.name.starts_with("half/") || self.name.ends_with("/f16")
    }
}

fn main() {
    if let Ok(device) = std::env::var(faults::ROLE) {
        leave(faults::meet(&device));
    }
    let (mut arguments, words) = arguments(std::env::args());
    // One word is the library's own business, and shows in its count of what is filtered out.
    let wanted = |name: &str| words.iter().all(|word| name.contains(word));
    if let [word] = words.as_slice() {
        arguments.filter = Some(word.clone());
    }
    let cases: Vec<Arc<Case>> = all_cases().into_iter().map(Arc::new).collect();
    let trials = match machine::machines() {
        Ok(machines) => {
            let machines: Vec<Arc<Machine>> = machines.into_iter().map(Arc::new).collect();
            // Case by case, so that the adapters work side by side.
            let pairs = cases.iter().flat_map(|case| machines.iter().map(move |machine| (case, machine)));
            let pairs = pairs.filter(|(case, machine)| case.is_for(machine));
            let running = Arc::new(Running::default());
            let trials: Vec<Trial> = pairs
                .map(|(case, machine)| trial(Arc::clone(case), Arc::clone(machine), Arc::clone(&running)))
                .filter(|trial| words.len() < 2 || wanted(trial.name()))
                .collect();
            let runs = trials.iter().filter(|trial| !arguments.is_filtered_out(trial)).count();
            running.expect(runs);
            // Trials are begun in order, so these are begun after all others.
            let whole = (words.len() < 2 && runs == trials.len())
                || std::env::var("EXCITE_TEST_COVERAGE").is_ok_and(|v| v == "1");
            let last = machines.iter().map(|machine| coverage_of(Arc::clone(machine), Arc::clone(&running), whole));
            let last: Vec<Trial> = last.collect();
            trials.into_iter().chain(last).collect()
        }
        Err(why) if std::env::var("EXCITE_ALLOW_NO_GPU").is_ok_and(|v| v == "1") => {
            let skipped = |case: &Arc<Case>| {
                let why = why.clone();
                Trial::ignorable_test(format!("none/none/{}", case.name), move || Ok(Completion::ignored_with(why)))
            };
            cases.iter().map(skipped).collect()
        }
        Err(why) => {
            let hint = format!("{why}\nEXCITE_ALLOW_NO_GPU=1 lets these tests be ignored");
            vec![Trial::test("none/none/adapters/found", move || Err(Failed::from(hint)))]
        }
    };
    leave(if libtest_mimic::run(&arguments, trials).has_failed() { 101 } else { 0 });
}

/// What the test library reads, and the words that all names must contain. The library takes one word only.
fn arguments(args: impl Iterator<Item = String>) -> (Arguments, Vec<String>) {
    const WITH_VALUE: [&str; 5] = ["--test-threads", "--logfile", "--skip", "--color", "--format"];
    let (mut options, mut words) = (Vec::new(), Vec::new());
    let mut args = args;
    options.extend(args.next());
    while let Some(arg) = args.next() {
        if WITH_VALUE.contains(&arg.as_str()) {
            options.push(arg);
            options.extend(args.next());
        } else if arg.starts_with('-') {
            options.push(arg);
        } else {
            words.push(arg);
        }
    }
    (Arguments::from_iter(options), words)
}

/// Ends the process without the handlers that drivers have registered for its end: Mesa's free what threads of tests
/// may be freeing as they end, and the process would abort now and then after all tests have passed.
fn leave(code: i32) -> ! {
    // What is lost if this fails is output, and nobody is there to read it.
    let _ = std::io::stdout().flush();
    #[cfg(unix)]
    // SAFETY: it takes no memory and returns to nobody.
    unsafe {
        libc::_exit(code)
    }
    #[cfg(not(unix))]
    std::process::exit(code)
}

fn all_cases() -> Vec<Case> {
    let modules = [
        golden::cases(),
        onnx::cases(),
        cases::all(),
        block::cases(),
        limits::cases(),
        runs::cases(),
        start::cases(),
        digits::cases(),
        faults::cases(),
        loss::cases(),
        model::cases(),
        tuning::cases(),
    ];
    modules.into_iter().flatten().collect()
}

/// The last trial of an adapter. It has nothing to say where some of the others don't run.
fn coverage_of(machine: Arc<Machine>, running: Arc<Running>, whole: bool) -> Trial {
    let case = Case::new("coverage/variants", move |machine| match whole {
        true => coverage::variants(machine, &running),
        false => Err(Stop::Skipped("only some of the tests run".into())),
    });
    trial(Arc::new(case), machine, Arc::default())
}

fn trial(case: Arc<Case>, machine: Arc<Machine>, running: Arc<Running>) -> Trial {
    let name = format!("{}/{}", machine.name, case.name);
    let known = known::reason(&name);
    Trial::ignorable_test(name.clone(), move || {
        let _ticket = running.ticket();
        let _turn = running.turn(&machine);
        let start = Instant::now();
        let outcome = (case.run)(&machine);
        if std::env::var_os("EXCITE_TEST_TIMES").is_some() {
            eprintln!("{:8.2} s {name}", start.elapsed().as_secs_f64());
        }
        match (outcome, known) {
            (Ok(()), None) => Ok(Completion::Completed),
            (Ok(()), Some(reason)) => {
                Err(Failed::from(format!("passes, so its row in tests/gpu/known.rs can go: {reason}")))
            }
            (Err(Stop::Skipped(why)), _) => Ok(Completion::ignored_with(why)),
            (Err(Stop::Failed(why)), None) => Err(Failed::from(format!("{why}\non {}", machine.description.text))),
            (Err(Stop::Failed(_)), Some(reason)) => Ok(Completion::ignored_with(format!("known failure: {reason}"))),
        }
    })
}
