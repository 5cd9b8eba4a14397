//! Panics that the library makes errors of are not printed: those of decoders, and of wgpu where a driver loses its
//! device.

use crate::images;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

/// The last panic of wgpu. If nobody catches it, it is printed after all.
static KEPT: Mutex<Option<String>> = Mutex::new(None);

/// Prints no panic that is caught from now on.
pub fn quieten() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if is_of_wgpu(panic) {
            log::debug!("{panic}");
            *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.to_string());
        } else if !images::is_decoding() {
            print_kept();
            report(panic);
        }
    }));
}

/// Does the program's work. A panic that nothing else has caught is said, and goes on.
pub fn reported<T>(work: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        print_kept();
        panic::resume_unwind(panic)
    })
}

fn is_of_wgpu(panic: &PanicHookInfo<'_>) -> bool {
    panic.location().is_some_and(|at| at.file().split(['/', '\\']).any(|part| part.starts_with("wgpu-")))
}

fn print_kept() {
    if let Some(panic) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take() {
        eprintln!("{panic}");
    }
}
