//! What was measured of an adapter's convolutions: which kernel and tile suits each shape. Plans take it before the
//! static rule; `kernels/conv2d/choice.rs` asks it.

mod file;
mod measure;

pub use measure::{TuneOptions, TuneProgress};

use crate::error::{Error, Result};
use crate::gpu::{Gpu, checksum};
use crate::plan::{Choice, Precision};
use std::collections::{BTreeMap, BTreeSet};

/// Which kernels suit an adapter, by shape: [`crate::PlanOptions::tuning`] takes it.
///
/// Measured on one adapter with one driver and in one precision, and good for those only: [`crate::Executor::new`] refuses
/// what is of another. Shapes that are not in it are planned by the static rule, so it may come from any network.
///
/// ```no_run
/// use excite::{Executor, ExecutorOptions, Gpu, PlanOptions, TuneOptions, Tuning, Weights, zoo};
/// use std::sync::Arc;
///
/// let (gpu, graph) = (Gpu::new()?, zoo::build("seresnet50", &zoo::Options::default())?);
/// let tuning = Tuning::measure(&gpu, &graph, 1, &TuneOptions::default(), &mut |_progress| {})?;
/// tuning.save("seresnet50.tuning.json")?;
/// let plan = PlanOptions { tuning: Some(Arc::new(tuning)), ..Default::default() };
/// let weights = Weights::open("seresnet50.safetensors")?;
/// let network = Executor::new(&gpu, &graph, &weights, ExecutorOptions { plan, guard: false })?;
/// # Ok::<(), excite::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    adapter: Adapter,
    precision: Precision,
    /// By the shape's key.
    shapes: BTreeMap<String, Tuned>,
    /// Keys of shapes that there was no time for.
    left: BTreeSet<String>,
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
struct Adapter([String; Adapter::FIELDS.len()]);

impl Adapter {
    const FIELDS: [&str; 6] = ["backend", "vendor", "device", "name", "driver", "driver_info"];

    fn of(info: &wgpu::AdapterInfo) -> Self {
        let wgpu::AdapterInfo { name, vendor, device, driver, driver_info, backend, .. } = info;
        Self([
            backend.to_string(),
            format!("{vendor:#06x}"),
            format!("{device:#06x}"),
            name.clone(),
            driver.clone(),
            driver_info.clone(),
        ])
    }

    fn describe(&self) -> String {
        let Self([backend, .., name, driver, info]) = self;
        let parts = [name.as_str(), backend, driver, info];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

impl Tuning {
    /// One without shapes, for an adapter.
    pub fn new(gpu: &Gpu, precision: Precision) -> Self {
        let adapter = Adapter::of(gpu.info());
        Self { adapter, precision, shapes: BTreeMap::new(), left: BTreeSet::new() }
    }

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
        let tuned = Tuned { choice, untuned: choice, milliseconds: BTreeMap::new() };
        self.shapes.insert(shape.into(), tuned);
        self.left.remove(shape);
    }

    /// Takes in what another has found, before what is here.
    ///
    /// # Errors
    /// The other is of another adapter, driver or precision.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        if (&self.adapter, self.precision) != (&other.adapter, other.precision) {
            let [here, there] = [&*self, &other].map(|tuning| format!("{}, {}", tuning.adapter(), tuning.precision));
            return Err(Error::Request(format!("tuning of {there} can't join that of {here}")));
        }
        self.shapes.extend(other.shapes);
        self.left.extend(other.left);
        self.left.retain(|key| !self.shapes.contains_key(key));
        Ok(())
    }

    /// Whether it is of this adapter and driver, and in this precision.
    ///
    /// # Errors
    /// It is not; the message says what it is of.
    pub fn check(&self, gpu: &Gpu, precision: Precision) -> Result<()> {
        let here = Adapter::of(gpu.info());
        if self.adapter != here {
            let (there, here) = (self.adapter(), here.describe());
            let message = format!("expects the adapter {there}, this one is {here}; tune for it, or plan without");
            return Err(Error::Request(format!("tuning: {message}")));
        }
        self.check_precision(precision)
    }

    pub(crate) fn check_precision(&self, precision: Precision) -> Result<()> {
        if self.precision == precision {
            return Ok(());
        }
        let message =
            format!("is for precision {}, the plan's is {precision}; tune for it, or plan without", self.precision);
        Err(Error::Request(format!("tuning: {message}")))
    }

    /// The choice for a shape, if there is one.
    pub(crate) fn choice(&self, key: &str) -> Option<Choice> {
        self.shapes.get(key).map(|tuned| tuned.choice)
    }

    /// The name of the file that holds the tuning of an adapter and precision, where there is one for each:
    /// `tuning-vulkan-10de-2684-f32-….json`. The last part follows from all that it must be good for.
    pub fn file_name(gpu: &Gpu, precision: Precision) -> String {
        let adapter = Adapter::of(gpu.info());
        let sum = checksum(adapter.0.join("\n").as_bytes());
        let wgpu::AdapterInfo { vendor, device, backend, .. } = gpu.info();
        let backend = backend.to_string().to_lowercase();
        format!("tuning-{backend}-{vendor:x}-{device:x}-{precision}-{sum:016x}.json")
    }
}

#[cfg(test)]
impl Tuning {
    /// One of no adapter.
    pub(crate) fn untied(precision: Precision) -> Self {
        let adapter = Adapter(Default::default());
        Self { adapter, precision, shapes: BTreeMap::new(), left: BTreeSet::new() }
    }
}
