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
    needs: Need,
    test: fn() -> Result<(), Failed>,
}

/// What a test can't run without.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    Nothing,
    Adapter,
    /// An adapter of Vulkan, on Linux: what the fault layer is for.
    FaultLayer,
}

impl Case {
    /// A test that needs no adapter.
    pub const fn new(name: &'static str, test: fn() -> Result<(), Failed>) -> Self {
        Self { name, needs: Need::Nothing, test }
    }

    /// A test that needs one.
    pub const fn on_gpu(name: &'static str, test: fn() -> Result<(), Failed>) -> Self {
        Self { name, needs: Need::Adapter, test }
    }

    /// A test that needs the fault layer.
    pub const fn on_fault_layer(name: &'static str, test: fn() -> Result<(), Failed>) -> Self {
        Self { name, needs: Need::FaultLayer, test }
    }
}

fn main() {
    let adapters = excite::gpu::adapters();
    let vulkan = adapters.iter().any(|adapter| adapter.info.backend == excite::wgpu::Backend::Vulkan);
    let may_lack_gpu = std::env::var("EXCITE_ALLOW_NO_GPU").is_ok_and(|value| value == "1");
    let trial = |case: &Case| match case.needs {
        Need::Adapter | Need::FaultLayer if adapters.is_empty() => {
            Trial::test(case.name, || Err(NO_GPU.into())).with_ignored_flag(may_lack_gpu)
        }
        Need::FaultLayer if !vulkan || cfg!(not(target_os = "linux")) => {
            Trial::test(case.name, || Err("layers are Vulkan's, and this one is built for Linux".into()))
                .with_ignored_flag(true)
        }
        _ => Trial::test(case.name, case.test),
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
