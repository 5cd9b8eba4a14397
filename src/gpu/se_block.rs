//! The SE block on its own, in your encoder, on your buffers.

use super::context::Context;
use super::program::Program;
use crate::error::{Error, Result};
use crate::plan::{Plan, SeBlockOptions, SePlan, Target};
use crate::tensor::Shape;
use crate::weights::Weights;
use std::collections::HashMap;
use std::sync::Mutex;

/// An SE block for one shape and batch, ready to be recorded.
///
/// ```
/// use excite::ops::SqueezeExcite;
/// use excite::{SeBlock, SeBlockOptions, SeLayout, Shape, Weights, wgpu};
///
/// # fn record(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x: &wgpu::Buffer, y: &wgpu::Buffer) ->
/// excite::Result<()> { let options = SeBlockOptions::new(SqueezeExcite::new(16), SeLayout::Nhwc); let block =
/// SeBlock::new(device, &options, Shape::map(256, 56, 56), 1, &Weights::seeded(1, 1.0))?; let binding = block.bind(x,
/// None, y)?; // once for these buffers block.encode(encoder, &binding); // every frame
/// # Ok(())
/// # }
/// ```
pub struct SeBlock {
    context: Context,
    program: Program,
    plan: SePlan,
}

/// An [`SeBlock`]'s input, residual and output.
#[derive(Debug)]
pub struct SeBinding(Vec<wgpu::BindGroup>);

impl SeBlock {
    /// Makes pipelines, weights and scratch buffers on your device. Needs no queue: nothing is submitted.
    ///
    /// # Errors
    /// The weights are not the block's, a size passes a limit, or the device refuses something or is lost.
    pub fn new(
        device: &wgpu::Device,
        options: &SeBlockOptions,
        shape: Shape,
        batch: usize,
        weights: &Weights,
    ) -> Result<Self> {
        let checks = options.shader_checks.unwrap_or(cfg!(debug_assertions));
        let context = Context::new(device.clone(), checks);
        let plan = SePlan::new(options, shape, batch, &context.target)?;
        weights.check(&plan.graph)?;
        let program = Program::new(&context, None, plan.plan.clone(), weights, &Mutex::default(), false)?;
        context.still_alive()?;
        Ok(Self { context, program, plan })
    }

    /// What it will run, without a device.
    ///
    /// # Errors
    /// A size passes a limit of `target`.
    pub fn plan(options: &SeBlockOptions, shape: Shape, batch: usize, target: &Target) -> Result<Plan> {
        Ok(SePlan::new(options, shape, batch, target)?.plan)
    }

    /// Binds your buffers (usage `STORAGE`), each at least the map's bytes. The output must be another buffer than the
    /// inputs. Bindings may be kept and used again.
    ///
    /// # Errors
    /// A buffer is too small, or the same as the output; a residual is missing or unexpected.
    pub fn bind(
        &self,
        input: &wgpu::Buffer,
        residual: Option<&wgpu::Buffer>,
        output: &wgpu::Buffer,
    ) -> Result<SeBinding> {
        let refuse = |message: String| Err(Error::Request(format!("se block: {message}")));
        if residual.is_some() != self.plan.residual.is_some() {
            let expected = if self.plan.residual.is_some() { "expects a residual" } else { "expects no residual" };
            return refuse(expected.into());
        }
        let mut external = HashMap::from([(self.plan.input, input), (self.plan.output, output)]);
        external.extend(self.plan.residual.zip(residual));
        for (value, buffer) in &external {
            let need = self.program.plan.values[value.0].bytes;
            if buffer.size() < need {
                return refuse(format!("a map needs {need} bytes, a buffer has {}", buffer.size()));
            }
            if *value != self.plan.output && *buffer == output {
                return refuse("the output must be another buffer than the inputs".into());
            }
        }
        let bound = self.program.bind(&self.context, &external)?;
        self.context.still_alive()?;
        Ok(SeBinding(bound))
    }

    /// Records the SE block: one compute pass. Neither submits nor waits nor makes anything.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, binding: &SeBinding) {
        let descriptor = wgpu::ComputePassDescriptor { label: Some("se_block"), timestamp_writes: None };
        self.program.encode(&mut encoder.begin_compute_pass(&descriptor), &binding.0, ..);
    }
}

impl std::fmt::Debug for SeBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeBlock {} dispatches on {}", self.program.plan.steps.len(), self.context.info.name)
    }
}
