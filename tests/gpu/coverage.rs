//! What ran of all that plans can have. An adapter's last case waits for all others and names what none of them ran.

use crate::machine::Machine;
use crate::{Outcome, ensure};
use excite::kernels::{SHADERS, Shader, Variant};
use excite::plan::Target;
use excite::wgpu;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Trials that are not over.
#[derive(Default)]
pub struct Running {
    left: Mutex<usize>,
    over: Condvar,
    turn: Mutex<()>,
}

/// One of them; over when it is dropped, whatever comes of it.
pub struct Ticket<'a>(&'a Running);

impl Running {
    /// So many will run.
    pub fn expect(&self, count: usize) {
        *self.left.lock().expect("no holder of this lock panics") = count;
    }

    pub fn ticket(&self) -> Ticket<'_> {
        Ticket(self)
    }

    /// Trials on OpenGL take turns: a submission there locks the device until it has computed where that is done on the
    /// CPU, and wgpu panics in the thread that has waited for the lock for six seconds.
    pub fn turn(&self, machine: &Machine) -> Option<MutexGuard<'_, ()>> {
        let gl = machine.description.info.backend == wgpu::Backend::Gl;
        gl.then(|| self.turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wait(&self) {
        let left = self.left.lock().expect("no holder of this lock panics");
        drop(self.over.wait_while(left, |left| *left > 0));
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut left = self.0.left.lock().expect("no holder of this lock panics");
        *left = left.saturating_sub(1);
        self.0.over.notify_all();
    }
}

/// Every variant of every shader that the adapter can run has run.
pub fn variants(machine: &Machine, others: &Running) -> Outcome {
    others.wait();
    let target = machine.gpu(true).target();
    ensure(machine.matrices == target.cooperative.is_some(), "cooperative matrices are not as asked for")?;
    let ran = machine.variants();
    let variants =
        SHADERS.iter().flat_map(|shader| shader.variants().into_iter().map(move |variant| (*shader, variant)));
    let asked = |variant: Variant| {
        if machine.matrices { variant.matrices() == target.cooperative } else { variant.matrices().is_none() }
    };
    let missing = variants.filter(|&(shader, variant)| {
        !ran.contains(&(shader.name, variant)) && asked(variant) && runs_on(target, shader, variant)
    });
    let missing: Vec<String> = missing.map(|(shader, variant)| format!("{} ({variant})", shader.name)).collect();
    ensure(missing.is_empty(), format!("{} variants never ran:\n{}", missing.len(), missing.join("\n")))
}

/// Whether plans for the adapter can have the variant.
fn runs_on(target: &Target, shader: &Shader, variant: Variant) -> bool {
    // Subgroups share weights in the direct family of software adapters, where their size suits.
    let shares = target.sharing_invocations().is_some();
    let subgroups = target.subgroups && (shares || !shader.has_axis("weights"));
    // Stand-alone blocks can't be told to do without subgroups.
    let without = shader.name != "squeeze_excite/squeeze_strided" || !target.subgroups;
    let reduces = if variant.subgroups() { subgroups } else { without };
    let loads = !shader.has_axis("floats") || variant.wide() == target.loads_wide();
    reduces && loads && (target.half || !variant.half())
}
