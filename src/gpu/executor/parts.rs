//! Batches that no plan of the adapter holds run in parts, one after the other, by one plan.

use super::input::{Batch, Source};
use super::{Executor, Loaded, WarmUp};
use crate::error::{Error, Result};
use crate::plan::{Parts, Plan, Step, in_parts};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

impl Executor {
    /// The parts that a batch runs in, and the plan of one of them: of the batch itself where it fits the adapter. Makes
    /// nothing on the device.
    ///
    /// # Errors
    /// As [`Executor::plan`], where a single image passes a limit.
    pub fn plan_in_parts(&self, batch: usize) -> Result<(Parts, Plan)> {
        self.in_parts(batch, |size| self.plan_whole(size))
    }

    /// Plans a batch of so many images for one submission. A limit that is passed is all that the error says.
    pub(super) fn plan_whole(&self, batch: usize) -> Result<Plan> {
        let plan = Plan::of_prepared(&self.prepared, batch, self.gpu.target(), &self.options.plan)?;
        let outputs = plan.outputs.iter().map(|output| plan.output_bytes(output)).sum();
        self.gpu.target().limits.check("all outputs together", "max_buffer_size", outputs, Some("fewer outputs"))?;
        Ok(plan)
    }

    /// The parts of a batch, and what the first of them runs with.
    pub(super) fn load_in_parts(&self, batch: usize) -> Result<(Parts, Arc<Loaded>)> {
        self.in_parts(batch, |size| self.load(size))
    }

    /// What runs each part of a batch, with the part's images.
    ///
    /// # Errors
    /// A single image passes a limit, or images on the device are samples whose parts don't begin at whole words.
    pub(super) fn parts<'a>(&self, batch: Batch<'a>) -> Result<Vec<(Arc<Loaded>, Batch<'a>)>> {
        let (parts, _) = self.load_in_parts(batch.images)?;
        let image = self.image_bytes();
        let on_device = matches!(batch.source, Source::Device(..));
        if on_device && parts.count() > 1 && !(parts.size * image).is_multiple_of(4) {
            let message = format!("runs in {parts}, which don't begin at whole words of your buffer");
            let (images, size) = (batch.images, parts.size);
            return Err(Error::Request(format!("batch {images} {message}; record {size} images at a time")));
        }
        let mut first = 0;
        let part = |size| {
            let part = batch.part(first, size, image);
            first += size;
            Ok((self.load(size)?, part))
        };
        parts.sizes().map(part).collect()
    }

    /// Makes what the parts of a batch need, with staging for so many runs at a time.
    pub(super) fn warm_parts(&self, batch: usize, staged: usize) -> Result<WarmUp> {
        let (parts, first) = self.load_in_parts(batch)?;
        let rest = parts.sizes().last().filter(|&rest| rest < parts.size).map(|rest| self.load(rest)).transpose()?;
        let mut made = WarmUp { pipelines: 0, pipeline_time: Duration::ZERO, weight_time: Duration::ZERO };
        let mut pipelines = HashSet::new();
        for loaded in [Some(first), rest].into_iter().flatten() {
            loaded.stage(&self.gpu.context, staged)?;
            pipelines.extend(loaded.program.plan.steps.iter().map(Step::pipeline_key));
            made.pipeline_time += loaded.program.pipeline_time;
            made.weight_time += loaded.program.weight_time;
        }
        Ok(WarmUp { pipelines: pipelines.len(), ..made })
    }

    /// The largest batch that fits is found once.
    fn in_parts<T>(&self, batch: usize, make: impl Fn(usize) -> Result<T>) -> Result<(Parts, T)> {
        let mut largest = *self.largest.lock().expect("no holder of this lock panics");
        let made = in_parts(batch, &mut largest, make, |size| self.plan_whole(size))?;
        *self.largest.lock().expect("no holder of this lock panics") = largest;
        if made.0.count() > 1 {
            log::debug!("batch {batch} runs in {}", made.0);
        }
        Ok(made)
    }
}
