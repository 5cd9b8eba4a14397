//! The check of every run that [`ExecutorOptions::guard`](super::ExecutorOptions::guard) asks for.

use super::Executor;
use crate::error::Result;
use crate::gpu::program::Program;

/// What guards hold. No kernel writes this number.
const SENTINEL: u32 = 0xDEAD_BEEF;

impl Executor {
    /// Fills all values with NaN and everything around them with a pattern.
    pub(super) fn poison(&self, program: &Program) {
        for buffer in &program.buffers {
            // NaN as one number of 32 bits and as two of 16.
            let mut words = vec![u32::MAX; buffer.size() as usize / 4];
            let guard = program.guard as usize / 4;
            let end = words.len() - guard;
            words[..guard].fill(SENTINEL);
            words[end..].fill(SENTINEL);
            self.gpu.queue().write_buffer(buffer, 0, bytemuck::cast_slice(&words));
        }
    }

    /// Refuses a run after which a byte around a value has changed.
    pub(super) fn check_guards(&self, program: &Program) -> Result<()> {
        for (index, buffer) in program.buffers.iter().enumerate() {
            let (size, guard) = (buffer.size(), program.guard);
            for (side, start) in [("before", 0), ("after", size - guard)] {
                let words = self.gpu.read_words(buffer, start, guard)?;
                if let Some(at) = words.iter().position(|&word| word != SENTINEL) {
                    let message = format!("a kernel wrote {side} activation buffer {index}, at word {at} of the guard");
                    return Err(self.gpu.context.fail(message));
                }
            }
        }
        Ok(())
    }
}
