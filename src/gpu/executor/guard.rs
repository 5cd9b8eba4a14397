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
                let words = self.read_words(buffer, start, guard)?;
                if let Some(at) = words.iter().position(|&word| word != SENTINEL) {
                    let message = format!("a kernel wrote {side} activation buffer {index}, at word {at} of the guard");
                    return Err(self.gpu.context.fail(message));
                }
            }
        }
        Ok(())
    }

    fn read_words(&self, buffer: &wgpu::Buffer, start: u64, bytes: u64) -> Result<Vec<u32>> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let (copy, submission) = self.gpu.context.scoped("a guard's copy", || {
            let copy = self.gpu.context.buffer("guard", bytes, usage, None);
            let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, start, &copy, 0, bytes);
            let submission = self.gpu.queue().submit([encoder.finish()]);
            copy.map_async(wgpu::MapMode::Read, .., |_| {});
            (copy, submission)
        })?;
        self.gpu.wait(submission)?;
        let view = copy.get_mapped_range(..).map_err(|e| self.gpu.context.fail(e.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view[..]))
    }
}
