//! A plan in the making: what kernels add their steps to.

use super::{
    Binding, ChosenBy, Family, InputFormat, Plan, PlanOptions, PlannedOutput, PlannedValue, PlannedWeight, Precision,
    StagePlan, Step, Target, ValueId, WeightId,
};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId};
use crate::kernels::conv2d::{Choice, Problem};
use crate::kernels::pack::Packing;
use crate::kernels::shape::{channel_shuffle, concat};
use crate::kernels::squeeze_excite::squeeze::Squeezed;
use crate::kernels::{self, Access, Form, Shader};
use crate::ops::Act;
use crate::param::Param;
use crate::tensor::Shape;
use std::collections::HashMap;

/// What kernels see while they lower a node.
pub(crate) struct Lowering<'a> {
    pub graph: &'a Graph,
    pub batch: usize,
    pub target: &'a Target,
    pub options: &'a PlanOptions,
    readers: Vec<Vec<NodeId>>,
    plan: Plan,
    of_node: Vec<Option<ValueId>>,
    of_weight: HashMap<String, WeightId>,
    squeezed: HashMap<NodeId, Squeezed>,
    deferred: HashMap<NodeId, Deferred>,
    choices: HashMap<NodeId, Choice>,
    stages: HashMap<NodeId, usize>,
    concat_parts: Vec<Option<(NodeId, u32)>>,
}

/// What a step binds, in the shader's order.
pub(crate) type Slot = Binding;

/// What a step writes besides its node's value, or in its place.
pub(crate) enum Also {
    Nothing,
    /// Sums of the value, for the squeeze after it.
    Sums(Slot),
    /// The value of the residual block before, which the step ends.
    Block(Slot),
    /// No value: only sums of parts of its depth.
    Parts,
}

impl Also {
    pub(crate) fn sums(slot: Option<Slot>) -> Self {
        slot.map_or(Self::Nothing, Self::Sums)
    }
}

/// The end of a residual block, left to the convolution that reads it first: `act(input * gate + residual)`.
#[derive(Clone, Copy)]
pub(crate) struct Deferred {
    pub input: Slot,
    pub gate: Slot,
    pub residual: Slot,
    pub act: Act,
}

/// A step as a kernel describes it.
pub(crate) struct StepSpec {
    /// Part of the node's name behind a slash; empty when the step is the whole node.
    pub part: &'static str,
    pub shader: &'static Shader,
    pub overrides: Vec<(&'static str, f64)>,
    pub params: Vec<u32>,
    /// Workgroups, counted in one dimension.
    pub workgroups: u32,
    pub bindings: Vec<Slot>,
    pub macs: u64,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(graph: &'a Graph, batch: usize, target: &'a Target, options: &'a PlanOptions) -> Result<Self> {
        let plan = Plan {
            name: graph.name().into(),
            batch,
            options: options.clone(),
            steps: Vec::new(),
            values: Vec::new(),
            weights: Vec::new(),
            buffers: Vec::new(),
            input: ValueId(0),
            input_shape: graph.input_shape(),
            outputs: Vec::new(),
            convolutions: Vec::new(),
            stages: Vec::new(),
            costs: target.costs,
        };
        let mut low = Self {
            graph,
            batch,
            target,
            options,
            readers: graph.readers(),
            plan,
            of_node: vec![None; graph.nodes().len()],
            of_weight: HashMap::new(),
            squeezed: HashMap::new(),
            deferred: HashMap::new(),
            choices: HashMap::new(),
            stages: HashMap::new(),
            concat_parts: Vec::new(),
        };
        low.concat_parts = concat::parts(&low);
        let shape = graph.input_shape();
        let elements = low.elements(shape.channels(), shape.plane());
        let bytes = match options.input {
            InputFormat::Floats => elements.saturating_mul(4),
            InputFormat::Pixels(_) => elements.saturating_add(3) / 4 * 4,
        };
        low.plan.input = low.value("input.dense".into(), None, Precision::F32, bytes)?;
        Ok(low)
    }

    pub(crate) fn finish(mut self) -> Plan {
        for stage in self.plan.stages.iter_mut().filter(|stage| stage.scale.is_empty()) {
            stage.scale = "none: nothing scales by its gate".into();
        }
        debug_assert!(self.deferred.is_empty(), "the end of a block was left to nobody");
        self.plan
    }

    pub(crate) fn step_count(&self) -> usize {
        self.plan.steps.len()
    }

    /// Notes how a convolution is computed, in its steps too: those from `first` on.
    pub(crate) fn chose(&mut self, id: NodeId, first: usize, problem: Problem, choice: Choice, by: ChosenBy) {
        for step in self.plan.steps[first..].iter_mut().filter(|step| step.shader.name.starts_with("conv2d/")) {
            step.choice = Some((choice, by));
        }
        self.choices.insert(id, choice);
        self.plan.convolutions.push((problem, choice));
    }

    /// How a convolution is computed that is lowered already.
    pub(crate) fn choice_of(&self, id: NodeId) -> Option<Choice> {
        self.choices.get(&id).copied()
    }

    /// Begins the record of an SE stage; who squeezes and who scales adds to it.
    pub(crate) fn begin_stage(&mut self, id: NodeId, reduced: usize, excitation: String) {
        let (name, shape) = (self.node(id).name.clone(), self.input_shape(id, 0));
        let [channels, height, width] = [self.node(id).shape.channels(), shape.height(), shape.width()];
        let (squeeze, scale) = (String::new(), String::new());
        self.stages.insert(id, self.plan.stages.len());
        self.plan.stages.push(StagePlan { name, channels, reduced, height, width, squeeze, excitation, scale });
    }

    /// The record of a stage; `None` where the node is none.
    pub(crate) fn stage(&mut self, id: NodeId) -> Option<&mut StagePlan> {
        self.stages.get(&id).map(|&index| &mut self.plan.stages[index])
    }

    /// Says where a map is scaled by a gate, if that is a stage's. Several maps may be.
    pub(crate) fn note_scale(&mut self, gate: NodeId, words: String) {
        if let Some(stage) = self.stage(gate) {
            stage.scale = if stage.scale.is_empty() { words } else { format!("{}; {words}", stage.scale) };
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> &'a Node {
        self.graph.node(id)
    }

    /// Shape of a node's input.
    pub(crate) fn input_shape(&self, id: NodeId, index: usize) -> Shape {
        self.graph.node(self.node(id).inputs[index]).shape
    }

    /// The concatenation in whose value a node's lies, and the first channel there.
    pub(crate) fn concat_part(&self, id: NodeId) -> Option<(NodeId, u32)> {
        self.concat_parts[id.index()]
    }

    /// The nodes that read a node's value, in their order.
    pub(crate) fn readers(&self, id: NodeId) -> &[NodeId] {
        &self.readers[id.index()]
    }

    pub(crate) fn family(&self) -> Family {
        self.options.family.unwrap_or(self.target.family)
    }

    pub(crate) fn subgroups(&self) -> bool {
        self.target.subgroups && self.options.subgroups.unwrap_or(true)
    }

    /// Lanes that may share weights, where subgroups may be used.
    pub(crate) fn sharing_lanes(&self) -> Option<u32> {
        self.target.sharing_lanes().filter(|_| self.subgroups())
    }

    /// The batch as shaders have it.
    pub(crate) fn images(&self) -> u32 {
        kernels::word(self.batch)
    }

    /// Quads of a value over the whole batch.
    pub(crate) fn quad_count(&self, shape: Shape) -> u32 {
        kernels::word(self.batch * shape.plane() * shape.channels().div_ceil(4))
    }

    /// The value that a node's input has.
    pub(crate) fn input(&self, id: NodeId, index: usize) -> Slot {
        self.value_of(self.node(id).inputs[index])
    }

    /// The value of a lowered node.
    pub(crate) fn value_of(&self, id: NodeId) -> Slot {
        Binding::Value(self.of_node[id.index()].expect("inputs are lowered before their readers"))
    }

    /// How values of a shape are stored: in the plan's precision if they are maps.
    pub(crate) fn precision_of(&self, shape: Shape) -> Precision {
        match shape {
            Shape::Map { .. } => self.options.precision,
            Shape::Vector { .. } | Shape::Tensor(_) => Precision::F32,
        }
    }

    /// How what a step binds is stored.
    pub(crate) fn stored(&self, slot: Slot) -> Precision {
        match slot {
            Binding::Value(id) => self.plan.values[id.0].precision,
            Binding::Weight(id) => self.plan.weights[id.0].precision,
        }
    }

    /// Makes a node's value: channels-last, channels padded to 4. A part of a concatenation has the value of the whole,
    /// which is made for the first of them.
    pub(crate) fn define(&mut self, id: NodeId) -> Result<Slot> {
        let whole = concat::place(self, id).whole;
        let value = match self.of_node[whole.index()] {
            Some(value) => value,
            None => {
                let Node { name, shape, .. } = self.node(whole);
                self.value(name.clone(), Some(whole), self.precision_of(*shape), self.map_bytes(*shape))?
            }
        };
        self.of_node[whole.index()] = Some(value);
        self.of_node[id.index()] = Some(value);
        Ok(Binding::Value(value))
    }

    /// Bytes of a value: channels-last, channels padded to 4.
    pub(crate) fn map_bytes(&self, shape: Shape) -> u64 {
        4 * self.precision_of(shape).bytes() * self.elements(shape.channels().div_ceil(4), shape.plane())
    }

    /// Makes a node's value dense, as the caller of a stand-alone block has it.
    pub(crate) fn define_dense(&mut self, id: NodeId) -> Result<Slot> {
        let node = self.node(id);
        let bytes = 4 * self.elements(node.shape.channels(), node.shape.plane());
        let value = self.value(node.name.clone(), Some(id), Precision::F32, bytes)?;
        self.of_node[id.index()] = Some(value);
        Ok(Binding::Value(value))
    }

    /// Gives a node the value of its first input: nothing is computed.
    pub(crate) fn alias(&mut self, id: NodeId) {
        self.of_node[id.index()] = self.of_node[self.node(id).inputs[0].index()];
    }

    /// Gives the input node the images as they come.
    pub(crate) fn take_plan_input(&mut self, id: NodeId) {
        self.of_node[id.index()] = Some(self.plan.input);
    }

    /// Makes a value that only this node's steps see: `quads` quads an image.
    pub(crate) fn scratch(&mut self, id: NodeId, part: &str, quads: u32) -> Result<Slot> {
        let bytes = 16 * self.elements(quads as usize, 1);
        let name = format!("{}/{part}", self.node(id).name);
        Ok(Binding::Value(self.value(name, None, Precision::F32, bytes)?))
    }

    /// Makes a map that only this node's steps see.
    pub(crate) fn scratch_map(&mut self, id: NodeId, part: &str, shape: Shape) -> Result<Slot> {
        let name = format!("{}/{part}", self.node(id).name);
        Ok(Binding::Value(self.value(name, None, self.precision_of(shape), self.map_bytes(shape))?))
    }

    /// Leaves a node's value to the step that asks for it with [`Lowering::take_deferred`].
    pub(crate) fn defer(&mut self, id: NodeId, deferred: Deferred) {
        self.deferred.insert(id, deferred);
    }

    /// What is left to do of a node; its first reader does it.
    pub(crate) fn take_deferred(&mut self, id: NodeId) -> Option<Deferred> {
        self.deferred.remove(&id)
    }

    /// Remembers the sums that a node's kernel keeps.
    pub(crate) fn keep_squeezed(&mut self, id: NodeId, squeezed: Squeezed) {
        self.squeezed.insert(id, squeezed);
    }

    /// The sums that a node's kernel has kept.
    pub(crate) fn squeezed(&self, id: NodeId) -> Option<Squeezed> {
        self.squeezed.get(&id).copied()
    }

    /// A weight in a kernel's order; one that is there already is shared.
    pub(crate) fn weight(&mut self, params: &[&Param], packing: Packing) -> Result<Slot> {
        self.weight_in(Precision::F32, params, packing)
    }

    /// A weight in the plan's precision.
    pub(crate) fn stored_weight(&mut self, param: &Param, packing: Packing) -> Result<Slot> {
        self.weight_in(self.options.precision, &[param], packing)
    }

    fn weight_in(&mut self, precision: Precision, params: &[&Param], packing: Packing) -> Result<Slot> {
        let bytes = precision.bytes() * params.iter().map(|p| packing.len(p.shape()) as u64).sum::<u64>();
        let weight = PlannedWeight { params: params.iter().map(|p| (*p).clone()).collect(), packing, precision, bytes };
        let key = weight.key();
        if let Some(&id) = self.of_weight.get(&key) {
            return Ok(Binding::Weight(id));
        }
        let names: Vec<String> = params.iter().map(|p| p.to_string()).collect();
        self.target.limits.check(&names.join("+"), "max_storage_buffer_binding_size", bytes, None)?;
        let id = WeightId(self.plan.weights.len());
        self.plan.weights.push(weight);
        self.of_weight.insert(key, id);
        Ok(Binding::Weight(id))
    }

    /// Adds a dispatch of a node.
    pub(crate) fn step(&mut self, id: NodeId, spec: StepSpec) -> Result<()> {
        self.step_and(id, spec, Also::Nothing)
    }

    /// Adds a dispatch that writes something besides the node's value.
    pub(crate) fn step_and(&mut self, id: NodeId, spec: StepSpec, also: Also) -> Result<()> {
        let subgroups = spec.shader.reduces() && self.subgroups();
        self.step_in(id, spec, also, subgroups)
    }

    /// Adds a dispatch in the form of its shader that uses subgroups, or in the plain one.
    pub(crate) fn step_in(&mut self, id: NodeId, spec: StepSpec, also: Also, subgroups: bool) -> Result<()> {
        let shared = |value: &ValueId| self.plan.values[value.0].node != Some(id);
        let part = self.of_node[id.index()].filter(shared).map(|value| (value, self.map_bytes(self.node(id).shape)));
        self.add(id, spec, also, subgroups, part)
    }

    /// Adds a dispatch that writes so many bytes of the node's value, and others the rest.
    pub(crate) fn step_of_part(&mut self, id: NodeId, spec: StepSpec, bytes: u64, subgroups: bool) -> Result<()> {
        let part = self.of_node[id.index()].map(|value| (value, bytes));
        self.add(id, spec, Also::Nothing, subgroups, part)
    }

    fn add(
        &mut self,
        id: NodeId,
        mut spec: StepSpec,
        also: Also,
        subgroups: bool,
        part: Option<(ValueId, u64)>,
    ) -> Result<()> {
        let name = match spec.part {
            "" => self.node(id).name.clone(),
            part => format!("{}/{part}", self.node(id).name),
        };
        let half = spec.bindings.iter().any(|&slot| self.stored(slot) == Precision::F16);
        let squeeze = matches!(also, Also::Sums(_));
        let form = Form {
            subgroups,
            squeeze,
            block: matches!(also, Also::Block(_)),
            parts: matches!(also, Also::Parts),
            planes: spec.shader.reads_planes() && spec.bindings[0] == self.plan_input(),
            shuffle: spec.shader.shuffles() && channel_shuffle::in_front_of(self, id).is_some(),
            wide: spec.shader.loads_wide() && self.target.loads_wide(),
            half,
            matrices: self.target.cooperative.filter(|_| half && spec.shader.multiplies()),
        };
        if let Also::Sums(slot) | Also::Block(slot) = also {
            spec.bindings.push(slot);
        }
        if form.half {
            self.check_halves(id, form, &spec)?;
        }
        let limits = &self.target.limits;
        let per_dimension = limits.max_compute_workgroups_per_dimension;
        let rows = spec.workgroups.div_ceil(per_dimension.max(1));
        limits.check(&name, "max_compute_workgroups_per_dimension", rows.into(), Some("a smaller image"))?;
        let bindings = spec.bindings.len();
        limits.check(&name, "max_storage_buffers_per_shader_stage", bindings as u64, None)?;
        debug_assert_eq!(bindings + 1, spec.shader.bindings(form).len(), "{name}: bindings as declared");
        // As square as it takes: rows of equal length leave few workgroups that have nothing to do.
        let columns = spec.workgroups.div_ceil(rows.max(1));
        let mut step = Step {
            name,
            shader: spec.shader,
            form,
            overrides: spec.overrides,
            params: spec.params,
            workgroups: [columns, rows, 1],
            bindings: spec.bindings,
            part: None,
            choice: None,
            macs: spec.macs,
        };
        // Others of the node's steps may write something else, or read what the node has.
        step.part = part.filter(|(value, _)| step.writes().contains(&Binding::Value(*value)));
        self.plan.steps.push(step);
        Ok(())
    }

    /// Refuses a step of a plan in half precision whose shader reads or writes something as another precision.
    fn check_halves(&self, id: NodeId, form: Form, spec: &StepSpec) -> Result<()> {
        let declared = spec.shader.bindings(form);
        let fits = |(&slot, (.., name)): (&Slot, &(u32, Access, &str))| {
            spec.shader.is_half(form, name) == (self.stored(slot) == Precision::F16)
        };
        if spec.bindings.iter().zip(&declared[1..]).all(fits) {
            return Ok(());
        }
        let message =
            format!("{} has no form for these maps in half precision; plan with precision f32", spec.shader.name);
        Err(Error::node(self.node(id).op.kind(), &self.node(id).name, message))
    }

    /// Names an output; `dense` says that the value's layout is dense already.
    pub(crate) fn output(&mut self, name: &str, value: Slot, shape: Shape) {
        let Binding::Value(value) = value else { unreachable!("outputs are values") };
        self.plan.outputs.push(PlannedOutput { name: name.into(), value, shape });
    }

    /// Makes a dense value for an output.
    pub(crate) fn dense(&mut self, name: &str, shape: Shape) -> Result<Slot> {
        let bytes = 4 * self.elements(shape.channels(), shape.plane());
        Ok(Binding::Value(self.value(format!("{name}.dense"), None, Precision::F32, bytes)?))
    }

    /// The plan's input, dense.
    pub(crate) fn plan_input(&self) -> Slot {
        Binding::Value(self.plan.input)
    }

    fn elements(&self, channels: usize, plane: usize) -> u64 {
        (self.batch as u64).saturating_mul(channels as u64).saturating_mul(plane as u64)
    }

    fn value(&mut self, name: String, node: Option<NodeId>, precision: Precision, bytes: u64) -> Result<ValueId> {
        let hint = Some("a smaller image");
        self.target.limits.check(&name, "max_storage_buffer_binding_size", bytes, hint)?;
        self.plan.values.push(PlannedValue { name, node, precision, bytes, buffer: usize::MAX });
        Ok(ValueId(self.plan.values.len() - 1))
    }
}
