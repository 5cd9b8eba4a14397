//! The built `excite` program as users meet it: exit status, standard output, standard error, files.
//!
//! Without an adapter, what needs one fails and says what to install; with `EXCITE_ALLOW_NO_GPU=1` it is ignored.

mod bad_input;
mod classify;
mod good;
mod hub;
mod inputs;
mod interrupt;
mod lost;
mod onnx;
mod onnx_file;
mod program;
mod said;
mod tune;

use libtest_mimic::{Arguments, Failed, Trial};

/// A named test.
pub struct Case {
    name: &'static str,
    needs_gpu: bool,
    test: fn() -> Result<(), Failed>,
}

impl Case {
    /// A test that needs no adapter.
    pub const fn new(name: &'static str, test: fn() -> Result<(), Failed>) -> Self {
        Self { name, needs_gpu: false, test }
    }

    /// A test that needs one.
    pub const fn on_gpu(name: &'static str, test: fn() -> Result<(), Failed>) -> Self {
        Self { name, needs_gpu: true, test }
    }
}

fn main() {
    let has_gpu = !excite::gpu::adapters().is_empty();
    let may_lack_gpu = std::env::var("EXCITE_ALLOW_NO_GPU").is_ok_and(|value| value == "1");
    let trial = |case: &Case| match case.needs_gpu && !has_gpu {
        false => Trial::test(case.name, case.test),
        true => Trial::test(case.name, || Err(NO_GPU.into())).with_ignored_flag(may_lack_gpu),
    };
    let cases = bad_input::CASES
        .iter()
        .chain(classify::CASES)
        .chain(good::CASES)
        .chain(hub::CASES)
        .chain(inputs::CASES)
        .chain(interrupt::CASES)
        .chain(lost::CASES)
        .chain(onnx::CASES)
        .chain(said::CASES)
        .chain(tune::CASES);
    libtest_mimic::run(&Arguments::from_args(), cases.map(trial).collect()).exit();
}

const NO_GPU: &str = "no adapter: install a Vulkan driver, or Mesa's software driver (Debian, Ubuntu, Fedora: \
                      mesa-vulkan-drivers; Arch: vulkan-swrast), or set EXCITE_ALLOW_NO_GPU=1 to skip this test";
