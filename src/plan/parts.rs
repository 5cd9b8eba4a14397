//! Batches that pass a limit of the adapter: the parts that they run in, and the largest batch that fits.

use super::Plan;
use crate::error::{Error, Result};
use std::fmt;

/// How a batch runs: whole, or in the fewest parts that fit the adapter, of one size but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Images of the batch.
    pub batch: usize,
    /// Images of a part; the last part has the rest.
    pub size: usize,
}

impl Parts {
    /// The fewest parts of at most `most` images, as even as they can be.
    pub(crate) fn of(batch: usize, most: usize) -> Self {
        Self { batch, size: batch.div_ceil(batch.div_ceil(most.max(1)).max(1)) }
    }

    /// Number of parts; 1 where the batch runs whole.
    pub fn count(self) -> usize {
        self.batch.div_ceil(self.size.max(1))
    }

    /// Images of each part, in order.
    pub fn sizes(self) -> impl Iterator<Item = usize> {
        let Self { batch, size } = self;
        (0..self.count()).map(move |part| size.min(batch - part * size))
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, size) = (self.count(), self.size);
        match self.sizes().last() {
            Some(last) if last < size => write!(f, "{count} parts of {size}, the last of {last}"),
            _ if count == 1 => write!(f, "1 part of {size}"),
            _ => write!(f, "{count} parts of {size}"),
        }
    }
}

/// What `make` makes of the whole batch, or of a part of it. `largest` is the largest batch that is known to fit; it is
/// found by `plan` where `make` refuses more.
///
/// # Errors
/// What is refused other than for a limit; a single image passes one.
pub(crate) fn in_parts<T>(
    batch: usize,
    largest: &mut usize,
    make: impl Fn(usize) -> Result<T>,
    plan: impl Fn(usize) -> Result<Plan>,
) -> Result<(Parts, T)> {
    loop {
        let parts = Parts::of(batch, *largest);
        match make(parts.size) {
            Ok(made) => return Ok((parts, made)),
            Err(refusal @ Error::Limit { .. }) if parts.size > 1 => {
                *largest = largest_below(parts.size, refusal, &plan)?.batch;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The plan of the largest batch that fits, below one that was refused. What is needed of a limit grows with the batch,
/// so each refusal says how large a batch can be at most.
///
/// # Errors
/// A single image passes a limit, or `plan` refuses something else.
pub(crate) fn largest_below(batch: usize, refusal: Error, plan: impl Fn(usize) -> Result<Plan>) -> Result<Plan> {
    // All from `refused` on are too large.
    let mut tight = false;
    let (mut fits, mut refused, mut refusal): (Option<Plan>, usize, Error) = (None, batch, refusal);
    loop {
        let least = fits.as_ref().map_or(0, |plan| plan.batch);
        if refused <= least + 1 {
            return fits.ok_or(refusal);
        }
        // What a refusal leaves room for fits nearly always, and one more never; where it doesn't, halves end the search.
        let next = match &fits {
            None => at_most(refused, &refusal).clamp(1, refused - 1),
            Some(_) if tight => least + 1,
            Some(_) => least + (refused - least) / 2,
        };
        tight = fits.is_none();
        match plan(next) {
            Ok(plan) => fits = Some(plan),
            Err(error @ Error::Limit { .. }) => (refused, refusal) = (next, error),
            Err(error) => return Err(error),
        }
    }
}

/// The largest batch that a refusal leaves room for, where what is needed is proportional to the batch.
fn at_most(refused: usize, refusal: &Error) -> usize {
    match refusal {
        Error::Limit { need, has, .. } if need > has => {
            usize::try_from(refused as u128 * u128::from(*has) / u128::from(*need)).unwrap_or(refused)
        }
        _ => refused / 2,
    }
}

/// A refusal that says which batch fits, if any does.
pub(crate) fn with_hint(batch: usize, refusal: Error, plan: impl Fn(usize) -> Result<Plan>) -> Error {
    let Error::Limit { place, limit, need, has, hint } = refusal else { return refusal };
    let again = Error::Limit { place: place.clone(), limit, need, has, hint };
    match largest_below(batch, again, plan) {
        Ok(Plan { batch, .. }) => {
            Error::Limit { place, limit, need, has, hint: Some(format!("a batch of {batch} fits")) }
        }
        Err(one) => one,
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::plan::{PlanOptions, Target};
    use crate::zoo;
    use std::cell::Cell;

    fn graph(name: &str) -> Graph {
        zoo::build(name, &zoo::Options::default()).unwrap()
    }

    #[test]
    fn parts_by_hand() {
        for (batch, most, sizes, text) in [
            (32, 21, vec![16, 16], "2 parts of 16"),
            (7, 4, vec![4, 3], "2 parts of 4, the last of 3"),
            (5, 5, vec![5], "1 part of 5"),
            (32, 12, vec![11, 11, 10], "3 parts of 11, the last of 10"),
            (10, 4, vec![4, 4, 2], "3 parts of 4, the last of 2"),
            (3, 1, vec![1, 1, 1], "3 parts of 1"),
        ] {
            let parts = Parts::of(batch, most);
            assert_eq!(
                (parts.sizes().collect::<Vec<_>>(), parts.to_string()),
                (sizes, text.into()),
                "{batch} by {most}"
            );
        }
        for (batch, most) in (1..40).flat_map(|batch| (1..40).map(move |most| (batch, most))) {
            let parts = Parts::of(batch, most);
            assert_eq!(parts.sizes().sum::<usize>(), batch);
            assert_eq!(parts.count(), batch.div_ceil(most));
            assert!(parts.size <= most && parts.sizes().all(|size| size > 0), "{batch} by {most}");
        }
    }

    /// EfficientNet-B0 at 32 images, on adapters that bind 128 MiB: browsers, lavapipe.
    #[test]
    fn a_batch_that_no_binding_holds_is_planned_in_parts() {
        let graph = graph("efficientnet_b0");
        let (target, options) = (Target::gpu(), PlanOptions::default());
        let message = Plan::new(&graph, 32, &target, &options).unwrap_err().to_string();
        assert!(message.ends_with("the adapter has 134217728; a batch of 27 fits"), "{message}");
        assert!(Plan::new(&graph, 27, &target, &options).is_ok() && Plan::new(&graph, 28, &target, &options).is_err());
        for (batch, size) in [(1, 1), (27, 27), (28, 14), (32, 16), (64, 22), (1000, 27)] {
            let (parts, plan) = Plan::in_parts(&graph, batch, &target, &options).unwrap();
            assert_eq!((parts, plan.batch), (Parts { batch, size }, size));
            let alone = Plan::new(&graph, size, &target, &options).unwrap();
            assert_eq!(plan.in_full(), alone.in_full());
        }
    }

    #[test]
    fn the_largest_batch_is_found_with_few_plans() {
        let graph = graph("digits_seresnet");
        let (target, options) = (Target::gpu(), PlanOptions::default());
        let prepared = graph.prepare(options.fusion).unwrap();
        let planned = Cell::new(0);
        let plan = |batch| {
            planned.set(planned.get() + 1);
            Plan::of_prepared(&prepared, batch, &target, &options)
        };
        let (parts, part) = in_parts(1 << 20, &mut { usize::MAX }, plan, plan).unwrap();
        let tries = planned.get();
        assert!(tries <= 24, "{tries} plans");
        assert_eq!(part.batch, parts.size);
        let largest = largest_below(1 << 20, plan(1 << 20).unwrap_err(), plan).unwrap().batch;
        assert!(plan(largest).is_ok() && plan(largest + 1).is_err());
        assert_eq!(parts, Parts::of(1 << 20, largest));
    }

    /// The error is that of one image: no batch helps.
    #[test]
    fn an_image_that_is_too_large_is_refused_for_itself() {
        let graph = zoo::build("seresnet50", &zoo::Options { size: Some([4096; 2]), ..Default::default() }).unwrap();
        let refuse = |batch| Plan::new(&graph, batch, &Target::gpu(), &PlanOptions::default()).unwrap_err().to_string();
        assert_eq!(refuse(3), refuse(1));
        assert!(refuse(1).ends_with("; a smaller image"), "{}", refuse(1));
        assert!(Plan::in_parts(&graph, 3, &Target::gpu(), &PlanOptions::default()).is_err());
    }
}
