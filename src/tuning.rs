//! Tables of what was measured of an adapter's convolutions: which kernel and tile suits each shape. Plans take it before
//! the static rule; `schedule/convolution.rs` asks it, `measure/tuning.rs` makes it.

mod file;
mod shipped;

pub(crate) use shipped::find_shipped;

use crate::error::{Error, Result};
use crate::files::checksum;
use crate::kernels::MatrixSize;
use crate::plan::{Choice, Precision, Target};
use std::collections::{BTreeMap, BTreeSet};

/// Which kernels suit an adapter, by shape: [`crate::plan::PlanOptions::tuning`] takes it.
///
/// Measured on one adapter with one driver, in one precision, and with cooperative matrices or without, and good for
/// those only: [`crate::gpu::Executor::new`] refuses what is of another. Shapes that are not in it are planned by the
/// static rule, so it may come from any network.
///
/// ```no_run
/// use excite::gpu::{Executor, ExecutorOptions};
/// use excite::plan::PlanOptions;
/// use excite::measure::TuneOptions;
/// use excite::tuning::Tuning;
/// use excite::{Gpu, Weights, zoo};
/// use std::sync::Arc;
///
/// let (gpu, graph) = (Gpu::new()?, zoo::build("seresnet50", &zoo::Options::default())?);
/// let tuning = Tuning::measure(&gpu, &graph, 1, &TuneOptions::default(), &mut |_progress| {})?;
/// tuning.save("seresnet50.tuning.json")?;
/// let plan = PlanOptions::default().tuning(Arc::new(tuning));
/// let weights = Weights::open("seresnet50.safetensors")?;
/// let network = Executor::new(&gpu, &graph, &weights, ExecutorOptions::default().plan(plan))?;
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    pub(crate) adapter: Adapter,
    pub(crate) precision: Precision,
    /// Cooperative matrices that plans in this precision use there.
    pub(crate) cooperative: Option<MatrixSize>,
    /// By the shape's key.
    pub(crate) shapes: BTreeMap<String, Tuned>,
    /// Keys of shapes that there was no time for.
    pub(crate) left: BTreeSet<String>,
}

/// What was found of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// What plans use.
    pub choice: Choice,
    /// What they would use without.
    pub untuned: Choice,
    /// Median milliseconds of every candidate whose answer was right.
    pub milliseconds: BTreeMap<Choice, f64>,
    /// Those of them that were too slow to be timed more than once: theirs is no median.
    pub once: BTreeSet<Choice>,
}

impl Tuned {
    /// How many times as fast as without tuning; `None` where that was not timed.
    pub fn speed_up(&self) -> Option<f64> {
        let times = self.milliseconds.get(&self.untuned)? / self.milliseconds.get(&self.choice)?;
        Some(times).filter(|times| times.is_finite())
    }
}

/// What a tuning is good for: names and what wgpu says, as text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Adapter(pub(crate) [String; Adapter::FIELDS.len()]);

impl Adapter {
    const FIELDS: [&str; 6] = ["backend", "vendor", "device", "name", "driver", "driver_info"];

    pub(crate) fn describe(&self) -> String {
        let Self([backend, .., name, driver, info]) = self;
        let parts = [name.as_str(), backend, driver, info];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

impl Tuning {
    /// The shapes and what was found of each.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &Tuned)> {
        self.shapes.iter().map(|(key, tuned)| (key.as_str(), tuned))
    }

    /// Shapes that there was no time for: they stay as the static rule has them.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.left.iter().map(String::as_str)
    }

    /// The adapter in one line.
    pub fn adapter(&self) -> String {
        self.adapter.describe()
    }

    /// Plans with this choice for a shape, whatever was found of it. For tests and measurements.
    pub fn set(&mut self, shape: &str, choice: Choice) {
        let tuned = Tuned { choice, untuned: choice, milliseconds: BTreeMap::new(), once: BTreeSet::new() };
        self.shapes.insert(shape.into(), tuned);
        self.left.remove(shape);
    }

    /// Takes in what another has found, before what is here.
    ///
    /// # Errors
    /// The other is of another adapter, driver or precision, or only one of them is of cooperative matrices.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        if !self.is_for_the_same(&other) {
            let [here, there] = [&*self, &other].map(|tuning| {
                let matrices = tuning.cooperative.map(|_| " with cooperative matrices").unwrap_or_default();
                format!("{}, {}{matrices}", tuning.adapter(), tuning.precision)
            });
            return Err(Error::Request(format!("tuning of {there} can't join that of {here}")));
        }
        self.shapes.extend(other.shapes);
        self.left.extend(other.left);
        self.left.retain(|key| !self.shapes.contains_key(key));
        Ok(())
    }

    fn is_for_the_same(&self, other: &Self) -> bool {
        (&self.adapter, self.precision, self.cooperative) == (&other.adapter, other.precision, other.cooperative)
    }

    /// Whether it is of plans for such a target and in this precision.
    pub(crate) fn check_plan(&self, target: &Target, precision: Precision) -> Result<()> {
        let refuse = |message: String| Err(Error::Request(format!("tuning: {message}; tune for it, or plan without")));
        if self.precision != precision {
            return refuse(format!("is for precision {}, the plan's is {precision}", self.precision));
        }
        let here = matrices(target, precision);
        if self.cooperative != here {
            let said = |matrices: Option<MatrixSize>| match matrices {
                Some(size) => format!("with cooperative matrices of {size}"),
                None => "without cooperative matrices".into(),
            };
            return refuse(format!("is for plans {}, this one is {}", said(self.cooperative), said(here)));
        }
        Ok(())
    }

    /// The choice for a shape, if there is one.
    pub(crate) fn choice(&self, key: &str) -> Option<Choice> {
        self.shapes.get(key).map(|tuned| tuned.choice)
    }

    pub(crate) fn own_file_name(&self) -> String {
        let Self { adapter, precision, cooperative, .. } = self;
        let [backend, vendor, device, ..] = &adapter.0;
        let backend = backend.to_lowercase();
        let [vendor, device] = [vendor, device].map(|id| id.trim_start_matches("0x"));
        let matrices = cooperative.map(|size| format!("-cooperative-{size}")).unwrap_or_default();
        let sum = checksum(adapter.0.join("\n").as_bytes());
        format!("tuning-{backend}-{vendor}-{device}-{precision}{matrices}-{sum:016x}.json")
    }
}

/// The cooperative matrices that plans for a target use: in half precision only.
pub(crate) fn matrices(target: &Target, precision: Precision) -> Option<MatrixSize> {
    target.cooperative.filter(|_| precision == Precision::F16)
}

#[cfg(test)]
impl Tuning {
    /// One of no adapter, for plans without cooperative matrices.
    pub(crate) fn untied(precision: Precision) -> Self {
        Self::untied_with(precision, None)
    }

    pub(crate) fn untied_with(precision: Precision, cooperative: Option<MatrixSize>) -> Self {
        let adapter = Adapter(Default::default());
        let (shapes, left) = (BTreeMap::new(), BTreeSet::new());
        Self { adapter, precision, cooperative, shapes, left }
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::plan::{Plan, PlanOptions};
    use crate::zoo;
    use std::sync::Arc;

    #[test]
    fn cooperative_matrices_need_a_tuning_of_their_own() {
        let graph = zoo::build("digits_seresnet", &zoo::Options::default()).unwrap();
        let plan = |target: Option<MatrixSize>, tuning: Option<MatrixSize>, precision| {
            let target = Target { cooperative: target, ..Target::gpu() };
            let tuning = Some(Arc::new(Tuning { cooperative: tuning, precision, ..Tuning::untied(precision) }));
            let options = PlanOptions { precision, tuning, ..Default::default() };
            Plan::new(&graph, 1, &target, &options).map(drop).map_err(|error| error.to_string())
        };
        let [large, small] = [MatrixSize::Sixteen, MatrixSize::Eight].map(Some);
        for (target, precision) in [(None, Precision::F16), (large, Precision::F16), (large, Precision::F32)] {
            assert_eq!(
                plan(target, matrices(&Target { cooperative: target, ..Target::gpu() }, precision), precision),
                Ok(())
            );
        }
        let refusal = |plans, this| {
            let message = format!("is for plans {plans}, this one is {this}; tune for it, or plan without");
            Err(format!("tuning: {message}"))
        };
        let (without, with) = ("without cooperative matrices", "with cooperative matrices of");
        assert_eq!(plan(large, None, Precision::F16), refusal(without.into(), format!("{with} 16x16")));
        assert_eq!(plan(None, large, Precision::F16), refusal(format!("{with} 16x16"), without.into()));
        assert_eq!(plan(small, large, Precision::F16), refusal(format!("{with} 16x16"), format!("{with} 8x8")));
    }
}
