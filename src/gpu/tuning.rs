//! Which tables of tuning are for a device.

use super::Gpu;
use crate::error::{Error, Result};
use crate::plan::Precision;
use crate::tuning::{Adapter, Tuning, find_shipped, matrices};
use std::collections::{BTreeMap, BTreeSet};

impl Adapter {
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
}

impl Tuning {
    /// One without shapes, for an adapter.
    pub fn new(gpu: &Gpu, precision: Precision) -> Self {
        let cooperative = matrices(gpu.target(), precision);
        Self {
            adapter: Adapter::of(gpu.info()),
            precision,
            cooperative,
            shapes: BTreeMap::new(),
            left: BTreeSet::new(),
        }
    }

    /// What ships with this crate for an adapter with its driver and a precision, where they were measured; with
    /// cooperative matrices if the device has them.
    ///
    /// ```no_run
    /// use excite::plan::PlanOptions;
    /// use excite::tuning::Tuning;
    /// use excite::{Gpu, Precision};
    /// use std::sync::Arc;
    ///
    /// let tuning = Tuning::shipped(&Gpu::new()?, Precision::F32).map(Arc::new);
    /// let plan = PlanOptions::default().tuning(tuning);
    /// # Ok::<(), excite::Error>(())
    /// ```
    pub fn shipped(gpu: &Gpu, precision: Precision) -> Option<Self> {
        find_shipped(&Self::new(gpu, precision))
    }

    /// Whether it is of this adapter and driver, in this precision, and of cooperative matrices if plans use them.
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
        self.check_plan(gpu.target(), precision)
    }

    /// The name of the file that holds the tuning of an adapter and precision, where there is one for each:
    /// `tuning-vulkan-10de-2684-f32-….json`. The last part follows from all that it must be good for.
    pub fn file_name(gpu: &Gpu, precision: Precision) -> String {
        Self::new(gpu, precision).own_file_name()
    }
}
