//! The plan of a stand-alone SE block, whose maps are the caller's buffers.

use super::{Binding, Lowering, Plan, PlanOptions, SeVariant, Setting, Target, ValueId, memory};
use crate::error::{Error, Result};
use crate::graph::{Graph, GraphBuilder, NodeId};
use crate::kernels;
use crate::ops::{Act, Op, SqueezeExcite};
use crate::passes::Fusion;
use crate::schedule::{View, Work, schedule, stand_alone};
use crate::tensor::Shape;

/// How a map lies in your buffers, dense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SeLayout {
    /// `[N,C,H,W]`
    #[default]
    Nchw,
    /// `[N,H,W,C]`; fastest where C is a multiple of 4.
    Nhwc,
}

/// What an [`crate::SeBlock`] computes: `y = act(x * gate(x) + residual)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SeBlockOptions {
    /// Squeeze and excitation. The block reads the tensors `fc1.weight [reduced, C]`, `fc1.bias [reduced]`,
    /// `fc2.weight [C, reduced]`, `fc2.bias [C]`, or the weights alone where it has no bias.
    pub se: SqueezeExcite,
    /// Whether a residual is added.
    pub residual: bool,
    /// Applied last.
    pub act: Act,
    /// How the buffers lie.
    pub layout: SeLayout,
    /// How far its ops share dispatches; [`Fusion::None`] is the baseline of benchmarks and takes only
    /// [`SeLayout::Nhwc`] with C a multiple of 4.
    pub fusion: Fusion,
    /// Use this variant whatever the sizes. For tests and measurements.
    #[doc(hidden)]
    pub variant: Option<SeVariant>,
    /// Bounds checks and workgroup zero-initialisation in the shaders. `None`: on in debug builds, off in release.
    pub shader_checks: Option<bool>,
}

impl SeBlockOptions {
    /// The SE block alone: no residual, no activation.
    pub fn new(se: SqueezeExcite, layout: SeLayout) -> Self {
        Self {
            se,
            residual: false,
            act: Act::Identity,
            layout,
            fusion: Fusion::Full,
            variant: None,
            shader_checks: None,
        }
    }
}

/// A plan whose input, residual and output have no buffer of its own.
#[derive(Clone, Debug)]
pub(crate) struct SePlan {
    pub plan: Plan,
    pub graph: Graph,
    pub input: ValueId,
    pub residual: Option<ValueId>,
    pub output: ValueId,
}

impl SePlan {
    pub(crate) fn new(options: &SeBlockOptions, shape: Shape, batch: usize, target: &Target) -> Result<Self> {
        if batch == 0 {
            return Err(Error::Request("batch must be at least 1, is 0".into()));
        }
        let source = graph(options, shape)?;
        let graph = source.prepare(options.fusion)?;
        let plan_options = PlanOptions { fusion: options.fusion, se: options.variant, ..Default::default() };
        let setting = Setting { batch, target, options: &plan_options };
        let view = View::new(&graph, setting);
        let scheduled = schedule(&view)?;
        let mut low = Lowering::new(&graph, setting, &scheduled.places)?;
        let vec4s = options.layout == SeLayout::Nhwc && shape.channels().is_multiple_of(4);
        if !vec4s && options.fusion != Fusion::Full {
            let message = "less than full fusion needs [N,H,W,C] buffers with C a multiple of 4";
            return Err(Error::Request(format!("se block: {message}")));
        }
        let is_input = |&id: &NodeId| matches!(graph.node(id).op, Op::Input(_));
        let mut inputs = Vec::new();
        for id in graph.ids().filter(is_input) {
            // Dense maps where the layout has no padding to vectors of four.
            inputs.push(if vec4s { low.define(id)? } else { low.define_dense(id)? });
        }
        let reasons = if vec4s {
            for region in scheduled.regions.iter().filter(|region| !matches!(region.work, Work::Input)) {
                kernels::emit(&mut low, region)?;
            }
            scheduled.blocks
        } else {
            let find = |wanted: fn(&Op) -> bool| graph.ids().find(|&id| wanted(&graph.node(id).op));
            let (Some(se), Some(scale)) =
                (find(|op| matches!(op, Op::SqueezeExcite(_))), find(|op| matches!(op, Op::Scale(_))))
            else {
                unreachable!("the graph is an SE block and its scale")
            };
            let (gates, reasons) = stand_alone(&view, se);
            kernels::squeeze_excite::strided::lower(&mut low, se, scale, options.layout, &gates)?;
            vec![reasons]
        };
        let output = low.value_of(graph.outputs()[0].1);
        let mut plan = low.finish();
        plan.se_blocks = reasons.iter().map(|block| block.text(&graph)).collect();
        let value = |slot| match slot {
            Binding::Value(id) => id,
            Binding::Weight(_) => unreachable!("maps are values"),
        };
        let [input, output] = [inputs[0], output].map(value);
        let residual = inputs.get(1).copied().map(value);
        let external: Vec<ValueId> = [Some(input), residual, Some(output)].into_iter().flatten().collect();
        memory::assign(&mut plan, &external);
        Ok(Self { plan, graph: source, input, residual, output })
    }
}

fn graph(options: &SeBlockOptions, shape: Shape) -> Result<Graph> {
    let mut g = GraphBuilder::new("se_block");
    let x = g.input(shape)?;
    let residual = options.residual.then(|| g.second_input("residual", shape)).transpose()?;
    // The tensors are named `fc1.weight`, …, without a module in front.
    let gate = g.add_bare("se", Op::SqueezeExcite(options.se.clone()), &[x])?;
    let mut y = g.scale("scale", x, gate)?;
    if let Some(residual) = residual {
        y = g.sum("sum", y, residual)?;
    }
    if options.act != Act::Identity {
        y = g.activation("act", y, options.act)?;
    }
    g.finish(&[("y", y)])
}
