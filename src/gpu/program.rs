//! A plan on a device: pipelines, weights, uniforms, buffers. Whoever owns one binds and encodes it; encoding makes
//! nothing.

use super::context::{Context, Pipeline};
use crate::error::{Error, Result};
use crate::plan::{Binding, Plan, PlannedWeight, Precision, Step, ValueId};
use crate::ranges::LARGEST_HALF;
use crate::weights::Weights;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Distance of uniforms in their buffer, and of guarded values from their buffer's ends: the largest alignment that
/// WebGPU allows an adapter to ask for.
pub(super) const ALIGNMENT: u64 = 256;

/// Weights on the device by recipe and packing: the plans of different batches share them.
pub(super) type WeightBuffers = Mutex<HashMap<String, wgpu::Buffer>>;

pub(super) struct Program {
    pub plan: Plan,
    pipelines: Vec<Arc<Pipeline>>,
    weights: Vec<wgpu::Buffer>,
    uniforms: wgpu::Buffer,
    /// Activation buffers of the plan, in its order.
    pub buffers: Vec<wgpu::Buffer>,
    /// Bytes before and after each value in its buffer, that nobody may touch.
    pub guard: u64,
}

impl Program {
    /// Makes everything that a plan needs. `guard` puts untouchable bytes around every value.
    pub(super) fn new(
        context: &Context,
        plan: Plan,
        weights: &Weights,
        shared: &WeightBuffers,
        guard: bool,
    ) -> Result<Self> {
        let pipelines = context.pipelines(&plan.steps)?;
        let guard = if guard { ALIGNMENT } else { 0 };
        let weight_buffers =
            plan.weights.iter().map(|weight| upload(context, weight, weights, shared)).collect::<Result<_>>()?;
        let (uniforms, buffers) = context.scoped(&format!("buffers of {}", plan.name), || {
            let mut words = vec![0u32; plan.steps.len() * (ALIGNMENT as usize / 4)];
            for (slot, step) in words.chunks_exact_mut(ALIGNMENT as usize / 4).zip(&plan.steps) {
                slot[..step.params.len()].copy_from_slice(&step.params);
            }
            let contents = bytemuck::cast_slice(&words);
            let size = (contents.len() as u64).max(ALIGNMENT);
            let uniforms = context.buffer("params", size, wgpu::BufferUsages::UNIFORM, Some(contents));
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let sizes = plan.buffers.iter().map(|bytes| bytes + 2 * guard);
            let buffers = sizes.map(|size| context.buffer("activations", size, usage, None)).collect();
            (uniforms, buffers)
        })?;
        Ok(Self { plan, pipelines, weights: weight_buffers, uniforms, buffers, guard })
    }

    /// Where a value lies: its buffer and offset.
    pub(super) fn place(&self, value: ValueId) -> (&wgpu::Buffer, u64) {
        (&self.buffers[self.plan.values[value.0].buffer], self.guard)
    }

    /// Bind groups of all steps. Values that the plan gives no buffer are the caller's: `external` finds theirs.
    pub(super) fn bind(
        &self,
        context: &Context,
        external: &HashMap<ValueId, &wgpu::Buffer>,
    ) -> Result<Vec<wgpu::BindGroup>> {
        context.scoped(&format!("bind groups of {}", self.plan.name), || {
            self.plan.steps.iter().enumerate().map(|(i, step)| self.bind_step(context, i, step, external)).collect()
        })
    }

    fn bind_step(
        &self,
        context: &Context,
        index: usize,
        step: &Step,
        external: &HashMap<ValueId, &wgpu::Buffer>,
    ) -> wgpu::BindGroup {
        let part = |buffer, offset, size| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) })
        };
        let uniform_bytes = (4 * step.params.len() as u64).next_multiple_of(16);
        let storage = step.bindings.iter().map(|binding| match *binding {
            Binding::Weight(id) => self.weights[id.0].as_entire_binding(),
            Binding::Value(id) => {
                let bytes = self.plan.values[id.0].bytes;
                match external.get(&id) {
                    Some(buffer) => part(buffer, 0, bytes),
                    None => {
                        let (buffer, offset) = self.place(id);
                        part(buffer, offset, bytes)
                    }
                }
            }
        });
        let resources = std::iter::once(part(&self.uniforms, index as u64 * ALIGNMENT, uniform_bytes)).chain(storage);
        let numbers = step.shader.bindings(step.form).into_iter().map(|(number, ..)| number);
        let entries: Vec<_> =
            numbers.zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        context.bind_group(&step.name, &self.pipelines[index], &entries)
    }

    /// Records every step.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass, bind_groups: &[wgpu::BindGroup]) {
        let mut current: Option<&Arc<Pipeline>> = None;
        for ((step, pipeline), bind_group) in self.plan.steps.iter().zip(&self.pipelines).zip(bind_groups) {
            if current.is_none_or(|last| !Arc::ptr_eq(last, pipeline)) {
                pass.set_pipeline(&pipeline.pipeline);
                current = Some(pipeline);
            }
            pass.set_bind_group(0, bind_group, &[]);
            let [x, y, z] = step.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
    }

    /// Pipelines that are not the same: what start-up had to compile.
    pub(super) fn distinct_pipelines(&self) -> usize {
        self.pipelines.iter().map(Arc::as_ptr).collect::<std::collections::HashSet<_>>().len()
    }
}

/// The weight's buffer; made and filled unless a plan before has done so. One weight at a time is in host memory.
fn upload(
    context: &Context,
    weight: &PlannedWeight,
    weights: &Weights,
    shared: &WeightBuffers,
) -> Result<wgpu::Buffer> {
    let names: Vec<String> = weight.params.iter().map(ToString::to_string).collect();
    let key = weight.key();
    if let Some(buffer) = shared.lock().expect("no holder of this lock panics").get(&key) {
        return Ok(buffer.clone());
    }
    let mut packed = Vec::new();
    for param in &weight.params {
        let tensor = param.resolve(weights)?;
        let part = weight.packing.pack(&tensor);
        drop(tensor);
        // Nearly always there is one, which is not copied.
        if packed.is_empty() { packed = part } else { packed.extend(part) }
    }
    let halves = match weight.precision {
        Precision::F32 => None,
        Precision::F16 => Some(halves(&packed, &names.join("+"))?),
    };
    let contents = halves.as_deref().map_or(bytemuck::cast_slice(&packed), bytemuck::cast_slice);
    let buffer = context.scoped(&names.join("+"), || {
        context.buffer(&names[0], weight.bytes, wgpu::BufferUsages::STORAGE, Some(contents))
    })?;
    shared.lock().expect("no holder of this lock panics").insert(key, buffer.clone());
    Ok(buffer)
}

/// Numbers in half precision, each the nearest there is.
fn halves(numbers: &[f32], name: &str) -> Result<Vec<half::f16>> {
    if let Some(beyond) = numbers.iter().find(|x| x.abs() > LARGEST_HALF) {
        let message = format!("{name} has {beyond}, half precision ends at {LARGEST_HALF}; plan with precision f32");
        return Err(Error::Weights { origin: None, message });
    }
    Ok(numbers.iter().map(|&x| half::f16::from_f32(x)).collect())
}
