//! Pictures through the network: threads decode ahead of the device, a few batches far, and the order stays.

use super::request::Scores;
use crate::Failure;
use crate::common::Start;
use crate::images::Images;
use excite::{Error, Executor, Preprocess, Result};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

pub struct Stream<'a> {
    pub executor: &'a Executor,
    pub preprocess: &'a Preprocess,
    pub images: &'a Images,
    /// Pictures of a run.
    pub batch: usize,
    /// Classes of an answer.
    pub top: usize,
    /// What the numbers of an answer are.
    pub scores: Scores,
}

/// What became of one picture.
pub struct Row<'a> {
    pub image: &'a Path,
    pub result: Result<Answer>,
}

pub struct Answer {
    /// Classes with their probabilities, most probable first.
    pub classes: Vec<(usize, f32)>,
    /// The picture's share of its run.
    pub milliseconds: f64,
}

impl Stream<'_> {
    /// Reports every picture in its turn, and gives what it took to start. Ends early where the device or the report fails.
    pub fn classify<'p>(
        &self,
        pictures: &'p [PathBuf],
        mut report: impl FnMut(Row<'p>) -> std::result::Result<(), Failure>,
    ) -> std::result::Result<Start, Failure> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(pictures.len());
        thread::scope(|scope| {
            // A thread takes every so-manieth picture, so that asking them in turn keeps the order.
            let lanes: Vec<_> = (0..threads)
                .map(|first| {
                    let (sender, receiver) = sync_channel(self.batch.div_ceil(threads));
                    scope.spawn(move || {
                        for picture in pictures.iter().skip(first).step_by(threads) {
                            if sender.send(self.prepare(picture)).is_err() {
                                return; // Nobody waits for the rest.
                            }
                        }
                    });
                    receiver
                })
                .collect();
            let mut waiting = Vec::new();
            let mut good = 0;
            let mut start = Start::default();
            for (index, picture) in pictures.iter().enumerate() {
                let input = lanes[index % threads].recv().expect("a lane gives all of its pictures");
                good += usize::from(input.is_ok());
                waiting.push((picture.as_path(), input));
                // Bad pictures wait only behind good ones.
                if good == 0 || good == self.batch || index + 1 == pictures.len() {
                    self.answer(std::mem::take(&mut waiting), &mut start)?.into_iter().try_for_each(&mut report)?;
                    good = 0;
                }
            }
            Ok(start)
        })
    }

    fn prepare(&self, path: &Path) -> Result<Vec<u8>> {
        let picture = self.images.open(path)?;
        self.preprocess.pixels(&picture).map_err(|e| Error::File {
            path: path.into(),
            message: e.to_string(),
            source: None,
        })
    }

    /// Runs the pictures that could be read as one batch.
    fn answer<'p>(&self, pictures: Vec<(&'p Path, Result<Vec<u8>>)>, start: &mut Start) -> Result<Vec<Row<'p>>> {
        let good: Vec<&Vec<u8>> = pictures.iter().filter_map(|(_, input)| input.as_ref().ok()).collect();
        let mut answers = Vec::new();
        if !good.is_empty() {
            let batch: Vec<u8> = good.iter().copied().flatten().copied().collect();
            start.once(self.executor, good.len(), || self.executor.run_pixels(&batch).map(drop))?;
            let started = Instant::now();
            let output = self.executor.run_pixels(&batch)?;
            let milliseconds = started.elapsed().as_secs_f64() * 1e3 / good.len() as f64;
            answers.extend((0..good.len()).map(|index| {
                let classes = most_probable(output.image(index), self.top, self.scores);
                classes.map(|classes| Answer { classes, milliseconds })
            }));
        }
        let mut answers = answers.into_iter();
        let mut answer = || answers.next().expect("every picture that could be read has an answer");
        let rows = pictures.into_iter();
        let named = |image: &Path, e: Error| Error::File { path: image.into(), message: e.to_string(), source: None };
        let row = |(image, input): (&'p Path, Result<_>)| {
            let result = input.and_then(|_| answer().map_err(|e| named(image, e)));
            Row { image, result }
        };
        Ok(rows.map(row).collect())
    }
}

/// Classes by probability.
fn most_probable(answer: &[f32], top: usize, scores: Scores) -> Result<Vec<(usize, f32)>> {
    if let Some(bad) = answer.iter().find(|number| !number.is_finite()) {
        return Err(Error::Request(format!("the network's answer is not finite: it has {bad}")));
    }
    let answer = match scores {
        Scores::Probabilities => answer.to_vec(),
        Scores::Logits => softmax(answer),
        Scores::OneLogit => answer.iter().map(|&logit| (1.0 / (1.0 + f64::from(-logit).exp())) as f32).collect(),
    };
    let mut classes: Vec<(usize, f32)> = answer.into_iter().enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    classes.truncate(top);
    Ok(classes)
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|exp| (exp / sum) as f32).collect()
}
