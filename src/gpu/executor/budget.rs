//! The largest batch that some memory is enough for.

use super::{Executor, many};
use crate::error::{Error, Result};
use crate::plan::Plan;

impl Executor {
    /// The largest batch that runs in `memory_budget` bytes and inside the adapter's limits: weights once, and
    /// activations, parameters and staging ([`Plan::device_bytes`]) with as many runs in flight as
    /// [`Executor::run_many`] has. Plans, and makes nothing on the device. Other batch sizes that the executor has run
    /// keep their own activations besides, and so do the driver and its pipelines.
    ///
    /// # Errors
    /// A single image needs more, or passes a limit.
    pub fn max_batch(&self, memory_budget: u64) -> Result<usize> {
        let one = need(&self.plan(1)?);
        if one > memory_budget {
            let name = self.graph.name();
            let message = format!("{name}: a batch of 1 needs {one} bytes of memory, the budget is {memory_budget}");
            return Err(Error::Request(message));
        }
        let fits = |batch: usize| match self.plan_whole(batch) {
            Ok(plan) => Ok(need(&plan) <= memory_budget),
            Err(Error::Limit { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        let (mut fitting, mut too_large) = (1, 2);
        while fits(too_large)? {
            (fitting, too_large) = (too_large, too_large.saturating_mul(2));
        }
        while too_large - fitting > 1 {
            let middle = fitting + (too_large - fitting) / 2;
            if fits(middle)? {
                fitting = middle;
            } else {
                too_large = middle;
            }
        }
        Ok(fitting)
    }
}

fn need(plan: &Plan) -> u64 {
    plan.device_bytes() + (many::IN_FLIGHT as u64 - 1) * plan.staging_bytes()
}
