//! From a prepared graph to steps and buffers: plain data that prints. Nothing here knows wgpu.

mod costs;
mod in_full;
mod lowering;
mod memory;
mod parts;
mod se_block;
mod setting;
mod text;
mod wgsl;

pub use crate::kernels::MatrixSize;
pub use costs::Costs;
pub(crate) use lowering::{Bindings, Fused, Lowering, Side, Slot, StepSpec};
pub(crate) use memory::unshare;
pub use parts::Parts;
pub(crate) use parts::{in_parts, with_hint};
pub(crate) use se_block::SePlan;
pub use se_block::{SeBlockOptions, SeLayout};
pub(crate) use setting::Setting;
pub use wgsl::WgslPipeline;

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::kernels::{Access, Shader, Variant, pack::Packing};
use crate::param::Param;
pub use crate::passes::Fusion;
pub use crate::ranges::Ranges;
use crate::schedule::convolution::Problem;
pub use crate::schedule::{Choice, RegionPlan};
use crate::schedule::{View, schedule};
use crate::tensor::Shape;
use crate::tuning::Tuning;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Distance of the steps' parameters in their buffer: the largest alignment that WebGPU allows an adapter to ask for.
pub(crate) const UNIFORM_ALIGNMENT: u64 = 256;

/// What a plan must know of the adapter that will run it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// What one dispatch and one binding may be.
    pub limits: Limits,
    /// Whether shaders may use subgroup operations.
    pub subgroups: bool,
    /// Invocations of every subgroup, where the adapter has one size only.
    pub subgroup_size: Option<u32>,
    /// Whether shaders may use numbers of 16 bits.
    pub half: bool,
    /// Whether shaders may use integers of 64 bits.
    pub int64: bool,
    /// Cooperative matrices that the tiled family multiplies in half precision: of `f16`, with sums in `f32`.
    pub cooperative: Option<MatrixSize>,
    /// Which kind of kernel suits the adapter.
    pub family: Family,
    /// Workgroups that keep the whole adapter busy.
    pub fill: u32,
    /// Whether an invocation has registers for 64 sums and what it multiplies, as discrete GPUs have.
    pub wide_tiles: bool,
    /// What decisions about SE blocks are priced with.
    pub costs: Costs,
}

impl Target {
    /// A discrete GPU with the limits every WebGPU adapter has.
    pub fn gpu() -> Self {
        Self {
            limits: Limits::default(),
            subgroups: true,
            subgroup_size: None,
            half: true,
            int64: false,
            cooperative: None,
            family: Family::Tiled,
            fill: 128,
            wide_tiles: true,
            costs: Costs::DISCRETE,
        }
    }

    /// A GPU that shares the host's memory, with the limits every WebGPU adapter has: of 8 to 40 cores, taken as 16
    /// with two workgroups each.
    pub fn integrated() -> Self {
        Self { fill: 32, wide_tiles: false, costs: Costs::INTEGRATED, ..Self::gpu() }
    }

    /// A software adapter with the limits every WebGPU adapter has.
    pub fn software() -> Self {
        Self {
            limits: Limits::default(),
            subgroups: true,
            subgroup_size: Some(8),
            half: true,
            int64: true,
            cooperative: None,
            family: Family::Direct,
            fill: 16,
            wide_tiles: false,
            costs: Costs::SOFTWARE,
        }
    }

    /// Whether kernels load 64 bits at once: on software adapters, which load invocation by invocation and number by
    /// number.
    pub fn loads_wide(&self) -> bool {
        self.family == Family::Direct && self.int64
    }

    /// Invocations of a workgroup of the direct family that is one subgroup and shares the weights it loads: on
    /// software adapters whose subgroups are of one size that suits.
    pub fn sharing_invocations(&self) -> Option<u32> {
        let suits = self.loads_wide() && self.subgroups;
        self.subgroup_size.filter(|size| suits && [8, 16].contains(size))
    }
}

/// The limits that plans keep. Names and defaults as `wgpu::Limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one buffer.
    pub max_buffer_size: u64,
    /// Bytes of one storage binding.
    pub max_storage_buffer_binding_size: u64,
    /// Storage bindings of one shader.
    pub max_storage_buffers_per_shader_stage: u32,
    /// Workgroups in one dimension.
    pub max_compute_workgroups_per_dimension: u32,
    /// Invocations of one workgroup.
    pub max_compute_invocations_per_workgroup: u32,
    /// Bytes of workgroup memory.
    pub max_compute_workgroup_storage_size: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_buffer_size: 256 << 20,
            max_storage_buffer_binding_size: 128 << 20,
            max_storage_buffers_per_shader_stage: 8,
            max_compute_workgroups_per_dimension: 65_535,
            max_compute_invocations_per_workgroup: 256,
            max_compute_workgroup_storage_size: 16 << 10,
        }
    }
}

/// The two kinds of heavy kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Tiles in workgroup memory: for GPUs.
    Tiled,
    /// Tiles in registers, no barriers: for software adapters and tiny problems.
    Direct,
}

/// How numbers are stored. Kernels compute in `f32` whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `f32` throughout.
    #[default]
    F32,
    /// Half precision: `f16` for maps and the weights of convolutions, half the bytes. Vectors and tensors, so gates,
    /// squeezed sums and logits too, biases and the weights of fully connected layers stay `f32`. For adapters with
    /// `SHADER_F16`.
    F16,
}

impl Precision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// Bytes of a number.
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.to_string() == text)
            .ok_or_else(|| Error::Request(format!("precision must be f32 or f16, is \"{text}\"")))
    }
}

/// What images a plan takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum InputFormat {
    /// `f32`, dense `[N,C,H,W]`, as the network reads them.
    #[default]
    Floats,
    /// Samples of 8 bits, dense `[N,H,W,C]` with C at most 3, which the device normalises.
    Pixels(Normalize),
}

/// What samples of 8 bits become: `(sample / 255 - mean) / std`, by channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalize {
    /// Subtracted from samples in 0 to 1.
    pub mean: [f32; 3],
    /// What the difference is divided by.
    pub std: [f32; 3],
}

impl Normalize {
    /// What makes no sense of it.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let Self { mean, std } = self;
        if mean.iter().all(|x| x.is_finite()) && std.iter().all(|&x| x > 0.0 && x.is_finite()) {
            return Ok(());
        }
        Err(format!("mean must be finite and std above 0, are {mean:?} and {std:?}"))
    }
}

/// How to plan.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PlanOptions {
    /// What the images are.
    pub input: InputFormat,
    /// How far ops share dispatches.
    pub fusion: Fusion,
    /// How maps and the weights of convolutions are stored.
    pub precision: Precision,
    /// How large values get, from a calibration run: a plan in half precision is then refused where one might not fit.
    pub ranges: Option<Arc<Ranges>>,
    /// What was measured of the adapter's convolutions: goes before the static rule. It must be of the adapter that runs
    /// the plan, in the plan's precision, and of cooperative matrices if the plan has them.
    pub tuning: Option<Arc<Tuning>>,
    /// Use this family for every convolution, whatever the target and the tuning. For tests and measurements.
    #[doc(hidden)]
    pub family: Option<Family>,
    /// Use subgroups or not, whatever the target (which must have them to use them). For tests and measurements.
    #[doc(hidden)]
    pub subgroups: Option<bool>,
    /// Use this variant of the SE block, whatever the sizes. For tests and measurements.
    #[doc(hidden)]
    pub se: Option<SeVariant>,
}

/// The ways to compute an SE block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeVariant {
    /// Squeeze, reduce, expand, scale: excitation spread over workgroups.
    Spread,
    /// Squeeze, excite, scale: excitation in one dispatch, by one workgroup an image or a few.
    Excite,
    /// All in one dispatch, one workgroup an image.
    Block,
}

/// Index of a value of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) usize);

/// Index of a weight of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightId(pub(crate) usize);

/// What one dispatch reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// A value, in the buffer that the plan gives it.
    Value(ValueId),
    /// A weight.
    Weight(WeightId),
}

/// One dispatch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The node it computes, or its part: `layer1.0.se/squeeze`.
    pub name: String,
    /// Its shader.
    pub shader: &'static Shader,
    /// The variant of its shader.
    pub variant: Variant,
    /// Override constants of its pipeline.
    pub overrides: Vec<(&'static str, f64)>,
    /// The `Params` uniform.
    pub params: Vec<u32>,
    /// Workgroups in x, y, z.
    pub workgroups: [u32; 3],
    /// Storage bindings, in the shader's order.
    pub bindings: Vec<Binding>,
    /// The value of which it writes only a part, with the bytes of the part: other steps write the rest.
    pub part: Option<(ValueId, u64)>,
    /// How its convolution is computed, and what decided it; `None` where it is none, or one that is a fully connected
    /// layer.
    pub choice: Option<(Choice, ChosenBy)>,
    /// Multiply-adds.
    pub macs: u64,
}

/// Who chose how a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChosenBy {
    /// The rule for the class of adapter.
    Static,
    /// [`PlanOptions::tuning`].
    Tuned,
    /// [`PlanOptions::family`].
    Forced,
}

impl fmt::Display for ChosenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Tuned => "tuned",
            Self::Forced => "forced",
        })
    }
}

/// How an SE block is computed, and why, in words. Times are prices of [`Costs`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeBlockPlan {
    /// Its node.
    pub name: String,
    /// Channels of the map that it scales.
    pub channels: usize,
    /// Hidden values of its excitation.
    pub reduced: usize,
    /// Height of the map.
    pub height: usize,
    /// Width of the map.
    pub width: usize,
    /// Where the map is squeezed.
    pub squeeze: String,
    /// How the gates are computed.
    pub excitation: String,
    /// Where the map is scaled.
    pub scale: String,
}

/// What makes two pipelines one: shader, variant, overrides with the bits of their values.
pub(crate) type PipelineKey = (&'static str, Variant, Vec<(&'static str, u64)>);

impl Step {
    /// Steps of equal keys share a pipeline.
    pub(crate) fn pipeline_key(&self) -> PipelineKey {
        let overrides = self.overrides.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        (self.shader.name, self.variant, overrides)
    }

    /// What the step reads, each once.
    pub fn reads(&self) -> Vec<Binding> {
        self.accessed(Access::Read)
    }

    /// What the step writes.
    pub fn writes(&self) -> Vec<Binding> {
        self.accessed(Access::Write)
    }

    fn accessed(&self, access: Access) -> Vec<Binding> {
        let mut found = Vec::new();
        for (binding, (_, declared, _)) in self.bindings.iter().zip(&self.shader.bindings(self.variant)[1..]) {
            if *declared == access && !found.contains(binding) {
                found.push(*binding);
            }
        }
        found
    }
}

/// A value: what a step writes and others read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedValue {
    /// The node, or the part of one.
    pub name: String,
    /// The node whose whole value it is.
    pub node: Option<NodeId>,
    /// How its numbers are stored.
    pub precision: Precision,
    /// Bytes for the plan's batch.
    pub bytes: u64,
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
}

/// A weight: uploaded once, in the order that its kernel reads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedWeight {
    /// Where the numbers come from; more than one lie one after the other.
    pub params: Vec<Param>,
    pub(crate) packing: Packing,
    /// How its numbers are stored.
    pub precision: Precision,
    /// Bytes in the buffer.
    pub bytes: u64,
}

impl PlannedWeight {
    /// Of equal keys the buffers are equal.
    pub(crate) fn key(&self) -> String {
        let params: Vec<String> = self.params.iter().map(Param::key).collect();
        format!("{} {:?} {}", params.join("+"), self.packing, self.precision)
    }
}

/// An output of a plan: dense `[N,C,H,W]` or `[N,F]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedOutput {
    /// Name of the graph's output.
    pub name: String,
    /// The dense value.
    pub value: ValueId,
    /// Shape per image.
    pub shape: Shape,
}

/// Everything a run does, decided.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Name of the network.
    pub name: String,
    /// Images per run.
    pub batch: usize,
    /// How it was planned.
    pub options: PlanOptions,
    /// The dispatches, in order.
    pub steps: Vec<Step>,
    /// What they read and write.
    pub values: Vec<PlannedValue>,
    /// The weights.
    pub weights: Vec<PlannedWeight>,
    /// Bytes of every activation buffer. Values that don't live at the same time share one.
    pub buffers: Vec<u64>,
    /// The input, in the format of [`PlanOptions::input`].
    pub input: ValueId,
    /// Shape of one input image.
    pub input_shape: Shape,
    /// The outputs.
    pub outputs: Vec<PlannedOutput>,
    /// The convolutions that could be computed otherwise, and how they are.
    pub(crate) convolutions: Vec<(Problem, Choice)>,
    /// Its SE blocks, as far as the fusion keeps them whole.
    pub se_blocks: Vec<SeBlockPlan>,
    /// What they were decided by.
    pub costs: Costs,
    /// What each dispatch computes and why, in order.
    pub regions: Vec<RegionPlan>,
}

impl Plan {
    /// Plans a graph for a batch of `batch` images on `target`. The graph is prepared by [`Graph::prepare`] first.
    ///
    /// # Errors
    /// The batch is 0, or a value, weight or dispatch passes a limit of the target; the error names it, and the largest
    /// batch that fits. Half precision on a target without it, for an op that has no kernel for it, or for values that
    /// its `ranges` say are too large.
    pub fn new(graph: &Graph, batch: usize, target: &Target, options: &PlanOptions) -> Result<Self> {
        let prepared = graph.prepare(options.fusion)?;
        let plan = |batch| Self::of_prepared(&prepared, batch, target, options);
        plan(batch).map_err(|refusal| with_hint(batch, refusal, plan))
    }

    /// Plans a batch that may be too large for the target: the parts that it runs in, and the plan of one of them.
    ///
    /// # Errors
    /// As [`Plan::new`], where a single image passes a limit.
    pub fn in_parts(graph: &Graph, batch: usize, target: &Target, options: &PlanOptions) -> Result<(Parts, Self)> {
        let prepared = graph.prepare(options.fusion)?;
        let plan = |batch| Self::of_prepared(&prepared, batch, target, options);
        in_parts(batch, &mut { usize::MAX }, plan, plan)
    }

    /// Plans a graph that is prepared. A limit that is passed is all that the error says.
    pub(crate) fn of_prepared(graph: &Graph, batch: usize, target: &Target, options: &PlanOptions) -> Result<Self> {
        if batch == 0 {
            return Err(Error::Request("batch must be at least 1, is 0".into()));
        }
        if options.precision == Precision::F16 {
            if !target.half {
                let message = "the adapter has no numbers of 16 bits in shaders (SHADER_F16); plan with precision f32";
                return Err(Error::Request(format!("precision f16: {message}")));
            }
            options.ranges.as_ref().map_or(Ok(()), |ranges| ranges.check(graph))?;
        }
        options.tuning.as_ref().map_or(Ok(()), |tuning| tuning.check_plan(target, options.precision))?;
        let setting = Setting { batch, target, options };
        let scheduled = schedule(&View::new(graph, setting))?;
        let mut low = Lowering::new(graph, setting, &scheduled.places)?;
        let mut regions = Vec::with_capacity(scheduled.regions.len());
        for region in &scheduled.regions {
            let first = low.dispatches();
            crate::kernels::emit(&mut low, region)?;
            regions.push(RegionPlan::new(graph, &scheduled, region, first..low.dispatches()));
        }
        for (name, id) in graph.outputs() {
            crate::kernels::unpack_output(&mut low, name, *id)?;
        }
        let mut plan = low.finish();
        plan.regions = regions;
        plan.se_blocks = scheduled.blocks.iter().map(|block| block.text(graph)).collect();
        memory::assign(&mut plan, &[]);
        for (index, &need) in plan.buffers.iter().enumerate() {
            let place = format!("activation buffer {index}");
            target.limits.check(&place, "max_buffer_size", need, Some("a smaller image"))?;
        }
        Ok(plan)
    }

    /// The convolutions that could be computed in several ways: the shape as [`Tuning`] has it, how it is computed, and
    /// how it could be.
    pub fn choices(&self) -> impl Iterator<Item = (String, Choice, Vec<Choice>)> {
        self.convolutions.iter().map(|(problem, choice)| (problem.key(), *choice, problem.candidates()))
    }

    /// Bytes of all activation buffers together.
    pub fn activation_bytes(&self) -> u64 {
        self.buffers.iter().sum()
    }

    /// Bytes of all weights.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(|w| w.bytes).sum()
    }

    /// Bytes of the parameters of all steps.
    pub(crate) fn params_bytes(&self) -> u64 {
        UNIFORM_ALIGNMENT * self.steps.len().max(1) as u64
    }

    /// Bytes of a run's upload and its answer, in memory that the host sees.
    pub fn staging_bytes(&self) -> u64 {
        let upload = self.values[self.input.0].bytes.next_multiple_of(4);
        upload + self.outputs.iter().map(|output| self.output_bytes(output)).sum::<u64>()
    }

    /// Bytes of an output for the whole batch.
    pub(crate) fn output_bytes(&self, output: &PlannedOutput) -> u64 {
        4 * (self.batch * output.shape.len()) as u64
    }

    /// Bytes of all buffers that an executor makes for the plan and one run at a time: weights, activations, parameters
    /// of the steps, staging. Further runs in flight each add [`Plan::staging_bytes`]; plans of other batch sizes share
    /// the weights.
    pub fn device_bytes(&self) -> u64 {
        self.weight_bytes() + self.activation_bytes() + self.params_bytes() + self.staging_bytes()
    }

    /// Different pipelines: what the driver must compile.
    pub fn pipelines(&self) -> usize {
        self.steps.iter().map(Step::pipeline_key).collect::<HashSet<_>>().len()
    }

    /// Bytes that the steps read and write, each binding once a step.
    pub fn bytes_moved(&self) -> u64 {
        self.steps.iter().map(|step| self.step_bytes(step)).sum()
    }

    /// Multiply-adds of all steps.
    pub fn macs(&self) -> u64 {
        self.steps.iter().map(|step| step.macs).sum()
    }

    /// Bytes that one step reads and writes, each binding once, and of a value that it writes in part only that.
    pub fn step_bytes(&self, step: &Step) -> u64 {
        let read: u64 = step.reads().into_iter().map(|binding| self.binding_bytes(binding)).sum();
        read + self.bytes_written(step)
    }

    /// Bytes that one step writes.
    pub fn bytes_written(&self, step: &Step) -> u64 {
        let written = |binding| match step.part {
            Some((value, bytes)) if binding == Binding::Value(value) => bytes,
            _ => self.binding_bytes(binding),
        };
        step.writes().into_iter().map(written).sum()
    }

    /// Bytes of a binding.
    pub fn binding_bytes(&self, binding: Binding) -> u64 {
        match binding {
            Binding::Value(id) => self.values[id.0].bytes,
            Binding::Weight(id) => self.weights[id.0].bytes,
        }
    }
}

impl Limits {
    /// Refuses `need` above the limit of this name.
    pub(crate) fn check(&self, place: &str, limit: &'static str, need: u64, hint: Option<&str>) -> Result<()> {
        let has = match limit {
            "max_buffer_size" => self.max_buffer_size,
            "max_storage_buffer_binding_size" => self.max_storage_buffer_binding_size,
            "max_storage_buffers_per_shader_stage" => self.max_storage_buffers_per_shader_stage.into(),
            "max_compute_workgroups_per_dimension" => self.max_compute_workgroups_per_dimension.into(),
            "max_compute_invocations_per_workgroup" => self.max_compute_invocations_per_workgroup.into(),
            "max_compute_workgroup_storage_size" => self.max_compute_workgroup_storage_size.into(),
            other => unreachable!("no limit {other}"),
        };
        if need <= has {
            return Ok(());
        }
        Err(Error::Limit { place: place.into(), limit, need, has, hint: hint.map(String::from) })
    }
}
