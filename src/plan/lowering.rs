//! A plan in the making: what kernels add their steps to.

use super::{
    Binding, ChosenBy, InputFormat, Plan, PlannedOutput, PlannedValue, PlannedWeight, Precision, Setting, Step,
    ValueId, WeightId,
};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId};
use crate::kernels::pack::Packing;
use crate::kernels::{self, Access, BLOCK, Output, PARTIALS, Reduce, Shader, Storage, Variant, Width};
use crate::param::Param;
use crate::schedule::convolution::{Choice, Problem};
use crate::schedule::{Convolution, Load, Place};
use crate::tensor::Shape;
use std::collections::HashMap;
use std::ops::Deref;

/// What kernels see while they add a region's steps: its nodes, and values, weights and steps so far.
pub(crate) struct Lowering<'a> {
    graph: &'a Graph,
    setting: Setting<'a>,
    places: &'a [Place],
    plan: Plan,
    of_node: Vec<Option<ValueId>>,
    of_weight: HashMap<String, WeightId>,
    sums: HashMap<NodeId, Slot>,
}

impl<'a> Deref for Lowering<'a> {
    type Target = Setting<'a>;

    fn deref(&self) -> &Setting<'a> {
        &self.setting
    }
}

/// What a step binds.
pub(crate) type Slot = Binding;

/// What a step binds, by the names of its shader, in any order.
pub(crate) type Bindings = Vec<(&'static str, Slot)>;

/// What a step writes besides its node's value, or in its place.
#[derive(Clone, Copy, Default)]
pub(crate) enum Side {
    #[default]
    Nothing,
    /// Sums of the value, for the squeeze after it.
    Sums(Slot),
    /// The value of the residual block before, which the step ends.
    Block(Slot),
    /// No value: only sums of parts of its depth.
    Parts,
}

/// What is fused with a step, which decides the variant of its shader.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fused {
    pub side: Side,
    /// What it loads, as its shader's variant has it.
    pub load: kernels::Load,
    /// Whether subgroups share the weights that they load.
    pub shares_weights: bool,
    /// How its convolution is computed.
    pub choice: Option<(Choice, ChosenBy)>,
}

impl Fused {
    /// What is fused with the steps of a convolution, by what its region says.
    pub(crate) fn with(conv: &Convolution) -> Self {
        Self {
            load: match conv.load {
                Load::Nchw => kernels::Load::Nchw,
                Load::Shuffled { .. } => kernels::Load::Shuffled,
                Load::Vec4 | Load::ResidualEnd { .. } => kernels::Load::Vec4,
            },
            choice: Some((conv.choice, conv.by)),
            ..Self::default()
        }
    }
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
    /// A binding that the shader only reads may be left out, where its overrides say that it isn't read: the last one
    /// before it of the same storage stands for it.
    pub bindings: Bindings,
    pub macs: u64,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(graph: &'a Graph, setting: Setting<'a>, places: &'a [Place]) -> Result<Self> {
        let Setting { batch, target, options } = setting;
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
            se_blocks: Vec::new(),
            costs: target.costs,
            regions: Vec::new(),
        };
        let mut low = Self {
            graph,
            setting,
            places,
            plan,
            of_node: vec![None; graph.nodes().len()],
            of_weight: HashMap::new(),
            sums: HashMap::new(),
        };
        let shape = graph.input_shape();
        let elements = low.elements(shape.channels(), shape.plane());
        let bytes = match options.input {
            InputFormat::Floats => elements.saturating_mul(4),
            InputFormat::Pixels(_) => elements.saturating_add(3) / 4 * 4,
        };
        low.plan.input = low.value("input.dense".into(), None, Precision::F32, bytes)?;
        Ok(low)
    }

    pub(crate) fn finish(self) -> Plan {
        self.plan
    }

    /// Steps so far.
    pub(crate) fn dispatches(&self) -> usize {
        self.plan.steps.len()
    }

    /// Notes how a convolution is computed, for tuning.
    pub(crate) fn chose(&mut self, problem: &Problem, choice: Choice) {
        self.plan.convolutions.push((problem.clone(), choice));
    }

    /// Name of the network.
    pub(crate) fn network(&self) -> &'a str {
        self.graph.name()
    }

    pub(crate) fn node(&self, id: NodeId) -> &'a Node {
        self.graph.node(id)
    }

    /// Shape of a node's input.
    pub(crate) fn input_shape(&self, id: NodeId, index: usize) -> Shape {
        self.graph.node(self.node(id).inputs[index]).shape
    }

    /// The value that a node's input has.
    pub(crate) fn input(&self, id: NodeId, index: usize) -> Slot {
        self.value_of(self.node(id).inputs[index])
    }

    /// The value of a lowered node.
    pub(crate) fn value_of(&self, id: NodeId) -> Slot {
        Binding::Value(self.of_node[id.index()].expect("inputs are lowered before their consumers"))
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
        let whole = self.place(id).whole;
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

    /// Where a node's value lies: in that of the concatenation that reads it, or by itself.
    pub(crate) fn place(&self, id: NodeId) -> Place {
        self.places[id.index()]
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

    /// Makes a value that only this node's steps see: `vec4s` vec4s an image.
    pub(crate) fn scratch(&mut self, id: NodeId, part: &str, vec4s: u32) -> Result<Slot> {
        let bytes = 16 * self.elements(vec4s as usize, 1);
        let name = format!("{}/{part}", self.node(id).name);
        Ok(Binding::Value(self.value(name, None, Precision::F32, bytes)?))
    }

    /// Makes a map that only this node's steps see.
    pub(crate) fn scratch_map(&mut self, id: NodeId, part: &str, shape: Shape) -> Result<Slot> {
        let name = format!("{}/{part}", self.node(id).name);
        Ok(Binding::Value(self.value(name, None, self.precision_of(shape), self.map_bytes(shape))?))
    }

    /// Room for the sums of its result, `sums` a channel and image, that a node's kernel keeps for a squeeze.
    pub(crate) fn keep_sums(&mut self, id: NodeId, sums: u32) -> Result<Slot> {
        let slot = self.scratch(id, "partials", sums * crate::kernels::vec4s(self.node(id).shape))?;
        self.sums.insert(id, slot);
        Ok(slot)
    }

    /// The sums that a node's kernel has kept.
    pub(crate) fn sums_of(&self, id: NodeId) -> Slot {
        self.sums[&id]
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
        self.step_with(id, spec, Fused::default())
    }

    /// Adds a dispatch of a node with what is fused with it.
    pub(crate) fn step_with(&mut self, id: NodeId, spec: StepSpec, fused: Fused) -> Result<()> {
        let shared = |value: &ValueId| self.plan.values[value.0].node != Some(id);
        let part = self.of_node[id.index()].filter(shared).map(|value| (value, self.map_bytes(self.node(id).shape)));
        self.add(id, spec, fused, part)
    }

    /// Adds a dispatch that writes so many bytes of the node's value, and others the rest.
    pub(crate) fn step_of_part(&mut self, id: NodeId, spec: StepSpec, bytes: u64, fused: Fused) -> Result<()> {
        let part = self.of_node[id.index()].map(|value| (value, bytes));
        self.add(id, spec, fused, part)
    }

    fn add(&mut self, id: NodeId, mut spec: StepSpec, fused: Fused, part: Option<(ValueId, u64)>) -> Result<()> {
        let name = match spec.part {
            "" => self.node(id).name.clone(),
            part => format!("{}/{part}", self.node(id).name),
        };
        match fused.side {
            Side::Sums(slot) => spec.bindings.push((PARTIALS, slot)),
            Side::Block(slot) => spec.bindings.push((BLOCK, slot)),
            Side::Nothing | Side::Parts => {}
        }
        let half = spec.bindings.iter().any(|&(_, slot)| self.stored(slot) == Precision::F16);
        let shader = spec.shader;
        let variant = Variant {
            load: fused.load,
            output: match fused.side {
                Side::Nothing => Output::Store,
                Side::Sums(_) => Output::StoreAndSum,
                Side::Block(_) => Output::StoreAndKeepEnd,
                Side::Parts => Output::PartialSums,
            },
            storage: match self.target.cooperative.filter(|_| shader.has_axis("product")) {
                _ if !half => Storage::F32,
                Some(size) => Storage::F16Matrices(size),
                None => Storage::F16,
            },
            width: match shader.has_axis("floats") && self.target.loads_wide() {
                true if fused.shares_weights => Width::U64Shared,
                true => Width::U64,
                false => Width::Vector,
            },
            reduce: match shader.has_axis("reduce") && self.subgroups() {
                true => Reduce::Subgroup,
                false => Reduce::Workgroup,
            },
        };
        let bindings = self.in_order(id, variant, &spec)?;
        let limits = &self.setting.target.limits;
        let per_dimension = limits.max_compute_workgroups_per_dimension;
        let rows = spec.workgroups.div_ceil(per_dimension.max(1));
        limits.check(&name, "max_compute_workgroups_per_dimension", rows.into(), Some("a smaller image"))?;
        limits.check(&name, "max_storage_buffers_per_shader_stage", bindings.len() as u64, None)?;
        // As square as it takes: rows of equal length leave few workgroups that have nothing to do.
        let columns = spec.workgroups.div_ceil(rows.max(1));
        let mut step = Step {
            name,
            shader: spec.shader,
            variant,
            overrides: spec.overrides,
            params: spec.params,
            workgroups: [columns, rows, 1],
            bindings,
            part: None,
            choice: fused.choice,
            macs: spec.macs,
        };
        // Others of the node's steps may write something else, or read what the node has.
        step.part = part.filter(|(value, _)| step.writes().contains(&Binding::Value(*value)));
        self.plan.steps.push(step);
        Ok(())
    }

    /// What a step binds in the order of its shader's declaration.
    ///
    /// # Errors
    /// In half precision, a binding of another precision than the shader has it in. A name that the shader doesn't
    /// have, or a binding that is missing: a defect of a kernel.
    fn in_order(&self, id: NodeId, variant: Variant, spec: &StepSpec) -> Result<Vec<Slot>> {
        let node = self.node(id);
        let refuse = |message: String| Err(Error::node(node.op.kind(), &node.name, message));
        let declared = spec.shader.bindings(variant);
        let declared = &declared[1..];
        let unknown = |(name, _): &&(&str, Slot)| !declared.iter().any(|(.., known)| known == name);
        if let Some((name, _)) = spec.bindings.iter().find(unknown) {
            return refuse(format!("{} has no binding {name}: a defect of its kernel", spec.shader.name));
        }
        let mut bound: Vec<Slot> = Vec::new();
        for (index, &(_, access, name)) in declared.iter().enumerate() {
            let given = spec.bindings.iter().find(|(of, _)| *of == name).map(|&(_, slot)| slot);
            let half = spec.shader.halves.contains(&name);
            let before = declared[..index].iter().rposition(|(.., other)| spec.shader.halves.contains(other) == half);
            let stand_in = before.filter(|_| access == Access::Read).map(|before| bound[before]);
            let Some(slot) = given.or(stand_in) else {
                return refuse(format!("nothing is bound to {name} of {}: a defect of its kernel", spec.shader.name));
            };
            if variant.half() && spec.shader.is_half(variant, name) != (self.stored(slot) == Precision::F16) {
                let message = "has no variant for these maps in half precision; plan with precision f32";
                return refuse(format!("{} {message}", spec.shader.name));
            }
            bound.push(slot);
        }
        Ok(bound)
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

    fn value(&mut self, name: String, node: Option<NodeId>, precision: Precision, bytes: u64) -> Result<ValueId> {
        let hint = Some("a smaller image");
        self.target.limits.check(&name, "max_storage_buffer_binding_size", bytes, hint)?;
        self.plan.values.push(PlannedValue { name, node, precision, bytes, buffer: usize::MAX });
        Ok(ValueId(self.plan.values.len() - 1))
    }
}
