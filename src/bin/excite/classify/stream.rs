//! Images through the network: threads decode ahead of the device, a few batches far, and the order stays.

use crate::Failure;
use crate::common::Start;
use crate::images::Images;
use excite::model::Class;
use excite::{Error, Network, Result};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

pub struct Stream<'a> {
    pub network: &'a Network,
    pub images: &'a Images,
    /// Images of a run.
    pub batch: usize,
    /// Classes of an answer.
    pub top: usize,
}

/// What became of one image.
pub struct Row<'a> {
    pub image: &'a Path,
    pub result: Result<Answer>,
}

pub struct Answer {
    /// Most probable first.
    pub classes: Vec<Class>,
    /// The image's share of its run.
    pub milliseconds: f64,
}

impl Stream<'_> {
    /// Reports every image in its turn, and gives what it took to start. Ends early where the device or the report fails.
    pub fn classify<'p>(
        &self,
        images: &'p [PathBuf],
        mut report: impl FnMut(Row<'p>) -> std::result::Result<(), Failure>,
    ) -> std::result::Result<Start, Failure> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(images.len());
        thread::scope(|scope| {
            // A thread takes every so-manieth image, so that asking them in turn keeps the order.
            let invocations: Vec<_> = (0..threads)
                .map(|first| {
                    let (sender, receiver) = sync_channel(self.batch.div_ceil(threads));
                    scope.spawn(move || {
                        for image in images.iter().skip(first).step_by(threads) {
                            if sender.send(self.prepare(image)).is_err() {
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
            for (index, image) in images.iter().enumerate() {
                let input = invocations[index % threads].recv().expect("an invocation gives all of its images");
                good += usize::from(input.is_ok());
                waiting.push((image.as_path(), input));
                // Bad images wait only behind good ones.
                if good == 0 || good == self.batch || index + 1 == images.len() {
                    self.answer(std::mem::take(&mut waiting), &mut start)?.into_iter().try_for_each(&mut report)?;
                    good = 0;
                }
            }
            Ok(start)
        })
    }

    fn prepare(&self, path: &Path) -> Result<Vec<u8>> {
        let image = self.images.open(path)?;
        let preprocess = self.network.preprocess()?;
        preprocess.pixels(&image).map_err(|e| Error::File { path: path.into(), message: e.to_string(), source: None })
    }

    /// Runs the images that could be read as one batch.
    fn answer<'p>(&self, images: Vec<(&'p Path, Result<Vec<u8>>)>, start: &mut Start) -> Result<Vec<Row<'p>>> {
        let good: Vec<&Vec<u8>> = images.iter().filter_map(|(_, input)| input.as_ref().ok()).collect();
        let mut answers = Vec::new();
        if !good.is_empty() {
            let batch: Vec<u8> = good.iter().copied().flatten().copied().collect();
            start.once(self.network.pixels()?, good.len(), || self.network.run(&batch).map(drop))?;
            let started = Instant::now();
            let outputs = self.network.run(&batch)?;
            let milliseconds = started.elapsed().as_secs_f64() * 1e3 / good.len() as f64;
            answers.extend((0..good.len()).map(|index| {
                let classes = self.network.classes(outputs[0].image(index))?;
                Ok(Answer { classes: classes.top(self.top), milliseconds })
            }));
        }
        let mut answers = answers.into_iter();
        let mut answer = || answers.next().expect("every image that could be read has an answer");
        let rows = images.into_iter();
        let named = |image: &Path, e: Error| Error::File { path: image.into(), message: e.to_string(), source: None };
        let row = |(image, input): (&'p Path, Result<_>)| {
            let result = input.and_then(|_| answer().map_err(|e| named(image, e)));
            Row { image, result }
        };
        Ok(rows.map(row).collect())
    }
}
