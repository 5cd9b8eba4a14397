//! Batches one after the other with a few in flight: the device computes one, while the host reads the one before and
//! uploads the next.

use super::{Executor, Loaded, Parts, Pending, append, assemble};
use crate::error::Result;
use crate::tensor::Tensor;
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::Arc;

/// Runs that the device has at most: the one it computes, one before and one after.
pub(super) const IN_FLIGHT: usize = 3;

impl Executor {
    /// The answers of many batches, in their order, each as [`Executor::run`] gives it. Up to three batches are in flight,
    /// so that the device need not wait for the host: that many are taken from `batches` ahead of the answer that is asked
    /// for. Batches may have different sizes. [`Executor::warm_up_many`] makes what they need
    /// beforehand.
    ///
    /// An error takes the place of its batch's answer; the others still come. Dropping the iterator abandons what is in
    /// flight.
    ///
    /// ```no_run
    /// # fn sum(network: excite::Executor, batches: Vec<excite::Tensor>) -> excite::Result<()> {
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
        self.in_flight(batches, |batch: &T| self.floats(batch.borrow()))
    }

    /// As [`Executor::run_many`], for batches of samples as [`Executor::run_pixels`] takes them.
    pub fn run_many_pixels<T: AsRef<[u8]>>(
        &self,
        batches: impl IntoIterator<Item = T>,
    ) -> impl Iterator<Item = Result<Tensor>> {
        self.in_flight(batches, |batch: &T| self.samples(batch.as_ref()))
    }

    /// `bytes` says how many images a batch has, and what to upload of it.
    fn in_flight<T>(
        &self,
        batches: impl IntoIterator<Item = T>,
        bytes: impl Fn(&T) -> Result<(usize, &[u8])>,
    ) -> impl Iterator<Item = Result<Tensor>> {
        let mut batches = batches.into_iter().fuse();
        let mut flight = Flight::new(self);
        std::iter::from_fn(move || {
            flight.next_answer(|flight| batches.next().map(|batch| flight.submit(bytes(&batch))).is_some())
        })
    }
}

/// Runs that the device has, and answers that are due.
struct Flight<'a> {
    executor: &'a Executor,
    /// Oldest first.
    runs: VecDeque<(Arc<Loaded>, Pending)>,
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
    fn new(executor: &'a Executor) -> Self {
        Self { executor, runs: VecDeque::new(), answers: VecDeque::new() }
    }

    /// The oldest answer, after as many batches as may be in flight have been submitted; `submit_next` says whether there
    /// was one.
    fn next_answer(&mut self, mut submit_next: impl FnMut(&mut Self) -> bool) -> Option<Result<Tensor>> {
        while self.answers.len() < IN_FLIGHT && submit_next(self) {}
        while self.answers.front()?.in_flight > 0 {
            self.finish_oldest();
        }
        let parts = self.answers.pop_front()?.parts;
        Some(parts.and_then(assemble).and_then(|outputs| self.executor.first(outputs)))
    }

    fn submit(&mut self, input: Result<(usize, &[u8])>) {
        self.answers.push_back(Answer { parts: Ok(Parts::new()), in_flight: 0 });
        if let Err(error) = self.start(input) {
            self.newest().parts = Err(error);
        }
    }

    fn start(&mut self, input: Result<(usize, &[u8])>) -> Result<()> {
        let (batch, images) = input?;
        for (loaded, images) in self.executor.parts(batch, images)? {
            if self.runs.len() == IN_FLIGHT {
                self.finish_oldest();
            }
            let pending = self.executor.start(&loaded, images)?;
            self.runs.push_back((loaded, pending));
            self.newest().in_flight += 1;
        }
        Ok(())
    }

    fn newest(&mut self) -> &mut Answer {
        self.answers.back_mut().expect("a batch gets its answer before its runs")
    }

    /// Waits for the oldest run and puts its outputs to its answer's.
    fn finish_oldest(&mut self) {
        let (loaded, pending) = self.runs.pop_front().expect("only asked for while runs are in flight");
        let outputs = self.executor.wait_for(&loaded, pending);
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
