//! Setters of options: one for each field, so that the structs can grow.

use crate::gpu::{ExecutorOptions, GpuOptions};
use crate::graph::{InsertSe, SeInit, SeWidth};
use crate::measure::TuneOptions;
use crate::model::ModelOptions;
use crate::ops::{Act, SqueezeExcite};
use crate::passes::Fusion;
use crate::plan::{
    Costs, Family, InputFormat, Limits, MatrixSize, PlanOptions, Precision, SeBlockOptions, SeLayout, SeVariant, Target,
};
use crate::ranges::Ranges;
use crate::tuning::Tuning;
use crate::verify;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Makes a method of each field's name. Behind `:` it takes all that turns into the field's type; behind `=` that type
/// itself, for a bare number turns into many.
macro_rules! setters {
    ($($name:path { $($(#[$meta:meta])* $field:ident $(: $into:ty)? $(= $exact:ty)?),* $(,)? })*) => {$(
        impl $name {$(
            #[doc = concat!("Sets [`", stringify!($field), "`](field@Self::", stringify!($field), ").")]
            $(#[$meta])*
            #[must_use]
            pub fn $field(mut self, $field: $(impl Into<$into>)? $($exact)?) -> Self {
                $(let $field: $into = $field.into();)?
                self.$field = $field;
                self
            }
        )*}
    )*};
}

setters! {
    ModelOptions {
        weights: Option<PathBuf>,
        revision: Option<String>,
        classes: Option<usize>,
        channels: Option<usize>,
        size: Option<[usize; 2]>,
        crop: Option<f64>,
        test_size: bool,
        labels: Option<PathBuf>,
    }
    PlanOptions {
        input: InputFormat,
        fusion: Fusion,
        precision: Precision,
        ranges: Option<Arc<Ranges>>,
        tuning: Option<Arc<Tuning>>,
        #[doc(hidden)]
        family: Option<Family>,
        #[doc(hidden)]
        subgroups: Option<bool>,
        #[doc(hidden)]
        se: Option<SeVariant>,
    }
    Target {
        #[doc(hidden)]
        limits: Limits,
        #[doc(hidden)]
        subgroups: bool,
        #[doc(hidden)]
        half: bool,
        #[doc(hidden)]
        cooperative: Option<MatrixSize>,
        #[doc(hidden)]
        costs: Costs,
    }
    Limits {
        #[doc(hidden)]
        max_buffer_size = u64,
        #[doc(hidden)]
        max_storage_buffer_binding_size = u64,
        #[doc(hidden)]
        max_compute_workgroups_per_dimension = u32,
    }
    ExecutorOptions {
        plan: PlanOptions,
        #[doc(hidden)]
        guard: bool,
        allow_non_finite: bool,
        batch_sizes = usize,
    }
    GpuOptions {
        device: Option<String>,
        shader_checks: Option<bool>,
        pipeline_cache: Option<PathBuf>,
        cooperative_matrices: Option<MatrixSize>,
    }
    SeBlockOptions {
        se: SqueezeExcite,
        residual: bool,
        act: Act,
        layout: SeLayout,
        fusion: Fusion,
        #[doc(hidden)]
        variant: Option<SeVariant>,
        shader_checks: Option<bool>,
    }
    TuneOptions { precision: Precision, budget: Duration }
    InsertSe { width: SeWidth, block: SqueezeExcite, init: SeInit, layers: [&'static str; 2], no_squeeze: bool }
    verify::Options { plan: PlanOptions, tolerance = f64, gate_tolerance = f64 }
}

#[cfg(feature = "zoo")]
setters! {
    crate::zoo::Options { size: Option<[usize; 2]>, classes: Option<usize>, channels: Option<usize> }
}

#[cfg(feature = "onnx")]
setters! {
    ModelOptions { onnx: crate::import::onnx::OnnxOptions }
    crate::import::onnx::OnnxOptions {
        size: Option<[usize; 2]>,
        channels_first: bool,
        external_data: bool,
        constants: std::collections::BTreeMap<String, crate::tensor::Tensor>,
    }
}

#[cfg(feature = "hub")]
setters! {
    crate::hub::HubOptions {
        endpoint: String,
        cache: PathBuf,
        token: Option<crate::hub::Token>,
        offline: bool,
        connect_timeout: Duration,
        stall_timeout: Duration,
        min_rate = u64,
        max_bytes = u64,
    }
}

#[cfg(feature = "image")]
setters! {
    crate::image::Limits { memory = u64 }
}
