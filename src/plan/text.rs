//! The plan as text: one line a step, then totals. Two plans compare with `diff`.

use super::{Binding, Plan, Precision, SeBlockPlan, Step};
use crate::escape::escaped;
use std::fmt;

impl Plan {
    /// A step's bindings as names: values with their buffer, weights by their tensors.
    fn names(&self, bindings: &[Binding]) -> String {
        let name = |binding: &Binding| match *binding {
            Binding::Value(id) => {
                format!("{}@{}", self.values[id.0].name, self.values[id.0].buffer)
            }
            Binding::Weight(id) => {
                self.weights[id.0].params.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
            }
        };
        escaped(&bindings.iter().map(name).collect::<Vec<_>>().join(", "))
    }

    fn line(&self, index: usize, step: &Step, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, _] = step.workgroups;
        let overrides: Vec<String> = step.overrides.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(
            f,
            "{index:4} {:32} {}{} groups {} moves {:.3} MB macs {:.3} M{}",
            escaped(&step.name),
            step.shader.name,
            step.variant.words().iter().map(|word| format!(" ({word})")).collect::<String>(),
            x * y,
            self.step_bytes(step) as f64 / 1e6,
            step.macs as f64 / 1e6,
            step.choice.map(|(choice, by)| format!(" {by} choice {choice}")).unwrap_or_default(),
        )?;
        writeln!(f, "       {}", overrides.join(" "))?;
        writeln!(f, "       {} -> {}", self.names(&step.reads()), self.names(&step.writes()))
    }
}

impl fmt::Display for SeBlockPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channels, reduced, height, width, .. } = self;
        let [name, squeeze, excitation, scale] =
            [&self.name, &self.squeeze, &self.excitation, &self.scale].map(escaped);
        writeln!(f, "  {name} {channels}x{height}x{width} to {reduced}: excitation {excitation}")?;
        write!(f, "       squeeze {squeeze}; scale {scale}")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan {} batch {} fusion {}", escaped(&self.name), self.batch, self.options.fusion)?;
        let f32 = self.options.precision == Precision::F32;
        write!(f, "{}", if f32 { "" } else { " precision f16" })?;
        writeln!(f, "{}", if self.options.tuning.is_some() { " tuned" } else { "" })?;
        for (index, step) in self.steps.iter().enumerate() {
            self.line(index, step, f)?;
        }
        if !self.se_blocks.is_empty() {
            writeln!(f, "SE blocks: {}", self.costs)?;
        }
        self.se_blocks.iter().try_for_each(|se_block| writeln!(f, "{se_block}"))?;
        let unshared: u64 = self.values.iter().map(|v| v.bytes).sum();
        writeln!(
            f,
            "{} dispatches, {:.3} MB moved, {:.3} M multiply-adds",
            self.steps.len(),
            self.bytes_moved() as f64 / 1e6,
            self.macs() as f64 / 1e6
        )?;
        writeln!(
            f,
            "activations: {:.3} MB in {} buffers ({:.3} MB unshared); weights: {:.3} MB in {} buffers",
            self.activation_bytes() as f64 / 1e6,
            self.buffers.len(),
            unshared as f64 / 1e6,
            self.weight_bytes() as f64 / 1e6,
            self.weights.len()
        )
    }
}
