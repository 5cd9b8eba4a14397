//! Everything in a plan as text, for comparing two byte by byte: `tests/host/plan_snapshots.rs`.

use super::{Binding, Plan, Step};
use std::collections::HashSet;
use std::fmt::{Result, Write};

impl Plan {
    /// Writes steps, parameters, bindings, buffers, weights and reasons in full. A value or weight is written out at the
    /// first step that binds it, so that the order in which they were made doesn't show.
    #[doc(hidden)]
    pub fn in_full(&self) -> String {
        let mut text = String::new();
        self.write_in_full(&mut text).expect("a string takes all text");
        text
    }

    fn write_in_full(&self, to: &mut String) -> Result {
        let Self { name, batch, options, buffers, .. } = self;
        write!(to, "plan {name} batch {batch} fusion {} precision {}", options.fusion, options.precision)?;
        writeln!(to, "{}", if options.tuning.is_some() { " tuned" } else { "" })?;
        writeln!(to, "input {} of {}", self.value_in_full(Binding::Value(self.input)), self.input_shape)?;
        let mut written = HashSet::from([Binding::Value(self.input)]);
        for step in &self.steps {
            self.write_step(step, &mut written, to)?;
        }
        for output in &self.outputs {
            let value = self.value_in_full(Binding::Value(output.value));
            writeln!(to, "output {} {} {} bytes {value}", output.name, output.shape, self.output_bytes(output))?;
        }
        for (index, bytes) in buffers.iter().enumerate() {
            writeln!(to, "buffer {index} {bytes}")?;
        }
        for (shape, choice, candidates) in self.choices() {
            let candidates: Vec<String> = candidates.iter().map(ToString::to_string).collect();
            writeln!(to, "convolution {shape}: {choice} of {}", candidates.join(", "))?;
        }
        writeln!(to, "SE blocks: {}", self.costs)?;
        self.se_blocks.iter().try_for_each(|se_block| writeln!(to, "{se_block}"))?;
        writeln!(to, "dispatches {} pipelines {}", self.steps.len(), self.pipelines())?;
        writeln!(to, "moved {} macs {}", self.bytes_moved(), self.macs())?;
        writeln!(to, "activations {} weights {}", self.activation_bytes(), self.weight_bytes())?;
        writeln!(to, "params {} staging {} device {}", self.params_bytes(), self.staging_bytes(), self.device_bytes())
    }

    fn write_step(&self, step: &Step, written: &mut HashSet<Binding>, to: &mut String) -> Result {
        writeln!(to, "step {}", step.name)?;
        writeln!(to, " {} ({})", step.shader.name, step.variant)?;
        let overrides = step.overrides.iter().map(|(name, value)| format!(" {name}={value}"));
        writeln!(to, " overrides{}", overrides.collect::<String>())?;
        // Arrays are of four numbers each.
        let fields = step.shader.params.iter().map(|(name, _, offset)| (*name, offset / 4));
        let ends = fields.clone().skip(1).map(|(_, start)| start).chain([step.params.len()]);
        write!(to, " params")?;
        for ((name, start), end) in fields.zip(ends) {
            let numbers: Vec<String> = step.params[start..end].iter().map(u32::to_string).collect();
            write!(to, " {name}={}", numbers.join(","))?;
        }
        let [x, y, z] = step.workgroups;
        write!(to, "\n workgroups {x} {y} {z} macs {} bytes {}", step.macs, self.step_bytes(step))?;
        writeln!(to, " written {}", self.bytes_written(step))?;
        if let Some((value, bytes)) = step.part {
            writeln!(to, " part {bytes} of {}", self.values[value.0].name)?;
        }
        if let Some((choice, by)) = step.choice {
            writeln!(to, " choice {choice} {by}")?;
        }
        let declared = step.shader.bindings(step.variant);
        for (binding, (number, access, name)) in step.bindings.iter().zip(&declared[1..]) {
            write!(to, " {number} {access:?} {name}: ")?;
            match (*binding, written.insert(*binding)) {
                (Binding::Weight(id), true) => {
                    let weight = &self.weights[id.0];
                    writeln!(to, "{} bytes {}", weight.key(), weight.bytes)?;
                }
                (Binding::Weight(id), false) => writeln!(to, "{}", self.weights[id.0].key())?,
                (value, true) => writeln!(to, "{}", self.value_in_full(value))?,
                (Binding::Value(id), false) => writeln!(to, "{}", self.values[id.0].name)?,
            }
        }
        Ok(())
    }

    fn value_in_full(&self, binding: Binding) -> String {
        let Binding::Value(id) = binding else { unreachable!("asked for values only") };
        let value = &self.values[id.0];
        let buffer = if value.buffer == usize::MAX { "the caller's".into() } else { value.buffer.to_string() };
        format!("{} {} bytes {} buffer {buffer}", value.name, value.precision, value.bytes)
    }
}
