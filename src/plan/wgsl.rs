//! The pipelines of a plan as WGSL: for reading, for other WGSL tools, for other compilers.

use super::Plan;
use std::collections::HashMap;

/// A pipeline of a plan, composed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WgslPipeline {
    /// The shader's name and what its variant has over the plain one.
    pub label: String,
    /// The whole source. Its entry point is `main`.
    pub source: String,
    /// Values of override constants. The others keep their defaults.
    pub constants: Vec<(&'static str, f64)>,
    /// The dispatches that run it, as indices of [`Plan::steps`].
    pub steps: Vec<usize>,
}

impl Plan {
    /// Composes the source of every pipeline, each once, in the order of their first dispatches.
    pub fn wgsl(&self) -> Vec<WgslPipeline> {
        let mut all: Vec<WgslPipeline> = Vec::new();
        let mut known = HashMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            let at = *known.entry(step.pipeline_key()).or_insert_with(|| {
                all.push(WgslPipeline {
                    label: format!("{} ({})", step.shader.name, step.variant),
                    source: step.shader.source(step.variant),
                    constants: step.overrides.clone(),
                    steps: Vec::new(),
                });
                all.len() - 1
            });
            all[at].steps.push(index);
        }
        all
    }
}
