//! A plan on a device: pipelines, weights, uniforms, buffers. Whoever owns one binds and encodes it; encoding makes
//! nothing.

use super::context::{Context, Pipeline};
use crate::error::{Error, Result};
use crate::plan::{Binding, Plan, PlannedWeight, Precision, Step, UNIFORM_ALIGNMENT, ValueId};
use crate::ranges::LARGEST_HALF;
use crate::weights::Weights;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Weights on the device by recipe and packing: the plans of different batches share them.
pub(super) type WeightBuffers = Mutex<HashMap<String, wgpu::Buffer>>;

pub(super) struct Program {
    pub plan: Plan,
    pipelines: Vec<Arc<Pipeline>>,
    weights: Vec<wgpu::Buffer>,
    uniforms: wgpu::Buffer,
    /// Activation buffers of the plan, in its order.
    pub buffers: Vec<wgpu::Buffer>,
    /// Bytes before and after each value in its buffer, that nothing may touch.
    pub guard: u64,
    pub pipeline_time: Duration,
    pub weight_time: Duration,
}

impl Program {
    /// Makes everything that a plan needs. `guard` puts untouchable bytes around every value. With a queue, uploads are
    /// done before activations get their memory; without one they wait for the user's next submission.
    pub(super) fn new(
        context: &Context,
        queue: Option<&wgpu::Queue>,
        plan: Plan,
        weights: &Weights,
        shared: &WeightBuffers,
        guard: bool,
    ) -> Result<Self> {
        let start = Instant::now();
        let pipelines = context.pipelines(&plan.steps)?;
        let pipeline_time = start.elapsed();
        let guard = if guard { UNIFORM_ALIGNMENT } else { 0 };
        let start = Instant::now();
        let uniforms = context.scoped(&format!("params of {}", plan.name), || uniforms(context, &plan))?;
        let most = plan.activation_bytes().next_multiple_of(4).clamp(LEAST_WAITING, MOST_WAITING);
        let mut uploads = Uploads { context, queue, waiting: 0, most: most as usize };
        // Large ones first: so the allocator's blocks fill best.
        let mut order: Vec<usize> = (0..plan.weights.len()).collect();
        order.sort_by_key(|&i| Reverse(plan.weights[i].bytes));
        let mut weight_buffers = BTreeMap::new();
        for i in order {
            weight_buffers.insert(i, upload(&mut uploads, &plan.weights[i], weights, shared)?);
        }
        let weight_buffers = weight_buffers.into_values().collect();
        uploads.finish()?;
        let weight_time = start.elapsed();
        let buffers = context.scoped(&format!("buffers of {}", plan.name), || {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let sizes = plan.buffers.iter().map(|bytes| bytes + 2 * guard);
            sizes.map(|size| context.buffer("activations", size, usage, None)).collect()
        })?;
        Ok(Self { plan, pipelines, weights: weight_buffers, uniforms, buffers, guard, pipeline_time, weight_time })
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
        let resources =
            std::iter::once(part(&self.uniforms, index as u64 * UNIFORM_ALIGNMENT, uniform_bytes)).chain(storage);
        let numbers = step.shader.bindings(step.variant).into_iter().map(|(number, ..)| number);
        let entries: Vec<_> =
            numbers.zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        context.bind_group(&step.name, &self.pipelines[index], &entries)
    }

    /// Records these steps.
    pub(super) fn encode(
        &self,
        pass: &mut wgpu::ComputePass,
        bind_groups: &[wgpu::BindGroup],
        steps: impl RangeBounds<usize>,
    ) {
        let mut current: Option<&Arc<Pipeline>> = None;
        let all = self.plan.steps.iter().zip(&self.pipelines).zip(bind_groups).enumerate();
        for (_, ((step, pipeline), bind_group)) in all.filter(|(index, _)| steps.contains(index)) {
            if current.is_none_or(|last| !Arc::ptr_eq(last, pipeline)) {
                pass.set_pipeline(&pipeline.pipeline);
                current = Some(pipeline);
            }
            pass.set_bind_group(0, bind_group, &[]);
            let [x, y, z] = step.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
    }
}

/// Parameters of all steps.
fn uniforms(context: &Context, plan: &Plan) -> wgpu::Buffer {
    let words_each = UNIFORM_ALIGNMENT as usize / 4;
    let mut words = vec![0u32; plan.params_bytes() as usize / 4];
    for (slot, step) in words.chunks_exact_mut(words_each).zip(&plan.steps) {
        slot[..step.params.len()].copy_from_slice(&step.params);
    }
    let contents: &[u8] = bytemuck::cast_slice(&words);
    context.buffer("params", contents.len() as u64, wgpu::BufferUsages::UNIFORM, Some(contents))
}

/// Contents on their way to the device, which take their memory twice until a submission is done. With a queue that is
/// kept below what the activations will take, so that loading needs no more memory than running.
struct Uploads<'a> {
    context: &'a Context,
    queue: Option<&'a wgpu::Queue>,
    /// Bytes that are in memory twice, and how many may be.
    waiting: usize,
    most: usize,
}

/// Fewer bytes are not worth waiting for.
const LEAST_WAITING: u64 = 256 << 10;
/// More leave holes in the allocator's blocks when they go.
const MOST_WAITING: u64 = 4 << 20;

impl Uploads<'_> {
    /// A buffer of a weight.
    fn buffer(&mut self, label: &str, size: u64, contents: &[u8]) -> Result<wgpu::Buffer> {
        let context = self.context;
        let Some(queue) = self.queue else {
            return context.scoped(label, || context.buffer(label, size, wgpu::BufferUsages::STORAGE, Some(contents)));
        };
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let buffer = context.scoped(label, || context.buffer(label, size, usage, None))?;
        let mut offset = 0;
        for piece in contents.chunks(self.most) {
            if self.waiting + piece.len() > self.most {
                self.finish()?;
            }
            self.waiting += piece.len();
            context.scoped(label, || queue.write_buffer(&buffer, offset, piece))?;
            offset += piece.len() as u64;
        }
        Ok(buffer)
    }

    fn finish(&mut self) -> Result<()> {
        self.waiting = 0;
        self.queue.map_or(Ok(()), |queue| self.context.wait(queue.submit([])))
    }
}

/// The weight's buffer; made and filled unless a plan before has done so. One weight at a time is in host memory.
fn upload(
    uploads: &mut Uploads,
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
    let buffer = uploads.buffer(&names.join("+"), weight.bytes, contents)?;
    shared.lock().expect("no holder of this lock panics").insert(key, buffer.clone());
    Ok(buffer)
}

/// Numbers in half precision, each the nearest there is.
fn halves(numbers: &[f32], name: &str) -> Result<Vec<half::f16>> {
    if let Some(beyond) = numbers.iter().find(|x| x.abs() > LARGEST_HALF) {
        let message = format!("{name} has {beyond}, half precision ends at {LARGEST_HALF}; plan with precision f32");
        return Err(Error::weights(None, message));
    }
    Ok(numbers.iter().map(|&x| half::f16::from_f32(x)).collect())
}
