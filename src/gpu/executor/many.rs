//! Batches one after the other with a few in flight: the device computes one, while the host reads the one before and
//! uploads the next.

use super::{Batch, Executor, Loaded, Parts, Pending, append, assemble};
use crate::error::Result;
use crate::tensor::Tensor;
use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Runs that the device has at most: the one it computes, one before and one after.
pub(super) const IN_FLIGHT: usize = 3;

impl Executor {
    /// The answers of many batches, in their order, each as [`Executor::run`] gives it. Up to three batches are in
    /// flight, so that the device need not wait for the host: that many are taken from `batches` ahead of the answer
    /// that is asked for. Batches may have different sizes. [`Executor::warm_up_many`] makes what they need beforehand.
    ///
    /// An error takes the place of its batch's answer; the others still come. Dropping the iterator abandons what is in
    /// flight.
    ///
    /// ```no_run
    /// # fn sum(network: excite::gpu::Executor, batches: Vec<excite::Tensor>) -> excite::Result<()> {
    /// for logits in network.run_many(&batches) {
    ///     println!("{:?}", logits?.data());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_many<T: Borrow<Tensor>>(
        &self,
        batches: impl IntoIterator<Item = T>,
    ) -> impl Iterator<Item = Result<Tensor>> {
        in_flight(batches.into_iter().map(Ok), |batch: &T| Ok((self, self.floats(batch.borrow())?)))
            .map(|outputs| outputs.and_then(|outputs| self.first(outputs)))
    }

    /// As [`Executor::run_many`], for batches of samples as [`Executor::run_pixels`] takes them.
    pub fn run_many_pixels<T: AsRef<[u8]>>(
        &self,
        batches: impl IntoIterator<Item = T>,
    ) -> impl Iterator<Item = Result<Tensor>> {
        in_flight(batches.into_iter().map(Ok), |batch: &T| Ok((self, self.samples(batch.as_ref())?)))
            .map(|outputs| outputs.and_then(|outputs| self.first(outputs)))
    }
}

/// All outputs of every batch, in order. `images` says which executor runs a batch, and on what. An error among the
/// batches is that batch's answer.
pub(crate) fn in_flight<'a, T>(
    batches: impl IntoIterator<Item = Result<T>>,
    images: impl Fn(&T) -> Result<(&'a Executor, Batch<'_>)>,
) -> impl Iterator<Item = Result<BTreeMap<String, Tensor>>> {
    let mut batches = batches.into_iter().fuse();
    let mut flight = Flight::default();
    std::iter::from_fn(move || {
        flight.next_answer(|flight| {
            let Some(batch) = batches.next() else { return false };
            match batch {
                Ok(batch) => flight.submit(images(&batch)),
                Err(error) => flight.submit(Err(error)),
            }
            true
        })
    })
}

/// Runs that the device has, and answers that are due.
#[derive(Default)]
struct Flight<'a> {
    /// Oldest first, each with its executor.
    runs: VecDeque<(&'a Executor, Arc<Loaded>, Pending)>,
    /// One a batch, oldest first.
    answers: VecDeque<Answer>,
}

/// What has come of a batch, which may run in parts.
struct Answer {
    parts: Result<Parts>,
    /// Its runs among those in flight.
    in_flight: usize,
}

impl<'a> Flight<'a> {
    /// The oldest answer, after as many batches as may be in flight have been submitted; `submit_next` says whether there
    /// was one.
    fn next_answer(
        &mut self,
        mut submit_next: impl FnMut(&mut Self) -> bool,
    ) -> Option<Result<BTreeMap<String, Tensor>>> {
        while self.answers.len() < IN_FLIGHT && submit_next(self) {}
        while self.answers.front()?.in_flight > 0 {
            self.finish_oldest();
        }
        Some(self.answers.pop_front()?.parts.and_then(assemble))
    }

    fn submit(&mut self, input: Result<(&'a Executor, Batch<'_>)>) {
        self.answers.push_back(Answer { parts: Ok(Parts::new()), in_flight: 0 });
        if let Err(error) = self.start(input) {
            self.newest().parts = Err(error);
        }
    }

    fn start(&mut self, input: Result<(&'a Executor, Batch<'_>)>) -> Result<()> {
        let (executor, batch) = input?;
        for (loaded, images) in executor.parts(batch)? {
            if self.runs.len() == IN_FLIGHT {
                self.finish_oldest();
            }
            let pending = executor.start(&loaded, images)?;
            self.runs.push_back((executor, loaded, pending));
            self.newest().in_flight += 1;
        }
        Ok(())
    }

    fn newest(&mut self) -> &mut Answer {
        self.answers.back_mut().expect("a batch gets its answer before its runs")
    }

    /// Waits for the oldest run and puts its outputs to its answer's.
    fn finish_oldest(&mut self) {
        let (executor, loaded, pending) = self.runs.pop_front().expect("only asked for while runs are in flight");
        let outputs = executor.wait_for(&loaded, pending);
        let mut answers = self.answers.iter_mut();
        let answer = answers.find(|answer| answer.in_flight > 0).expect("every run has an answer");
        answer.in_flight -= 1;
        if let Ok(parts) = &mut answer.parts {
            match outputs {
                Ok(outputs) => append(parts, outputs),
                Err(error) => answer.parts = Err(error),
            }
        }
    }
}
