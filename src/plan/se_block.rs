//! The plan of a stand-alone SE stage, whose maps are the caller's buffers.

use super::{Binding, Lowering, Plan, PlanOptions, SeForm, Target, ValueId, memory};
use crate::error::{Error, Result};
use crate::graph::{Graph, GraphBuilder};
use crate::kernels;
use crate::ops::{Act, Op, Scale, SqueezeExcite};
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
    /// Use this form whatever the sizes. For tests and measurements.
    pub form: Option<SeForm>,
    /// Bounds checks and workgroup zero-initialisation in the shaders. `None`: on in debug builds, off in release.
    pub shader_checks: Option<bool>,
}

impl SeBlockOptions {
    /// The stage alone: no residual, no activation.
    pub fn new(se: SqueezeExcite, layout: SeLayout) -> Self {
        Self { se, residual: false, act: Act::Identity, layout, form: None, shader_checks: None }
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
        let graph = graph(options, shape)?;
        let plan_options = PlanOptions { se: options.form, ..Default::default() };
        let mut low = Lowering::new(&graph, batch, target, &plan_options)?;
        let mut ids = graph.ids();
        let mut next = || ids.next().expect("the graph below has these nodes");
        let input_id = next();
        let residual_id = options.residual.then(&mut next);
        let (stage, scale) = (next(), next());
        let quads = options.layout == SeLayout::Nhwc && shape.channels() % 4 == 0;
        // Dense maps where the layout has no padding to quads.
        let place = |low: &mut Lowering, id| if quads { low.define(id) } else { low.define_dense(id) };
        let input = place(&mut low, input_id)?;
        let residual = residual_id.map(|id| place(&mut low, id)).transpose()?;
        if quads {
            kernels::lower(&mut low, stage)?;
            kernels::lower(&mut low, scale)?;
        } else {
            kernels::squeeze_excite::strided::lower(&mut low, stage, scale, options.layout)?;
        }
        let output = low.value_of(scale);
        let mut plan = low.finish();
        let value = |slot| match slot {
            Binding::Value(id) => id,
            Binding::Weight(_) => unreachable!("maps are values"),
        };
        let [input, output] = [input, output].map(value);
        let residual = residual.map(value);
        let external: Vec<ValueId> = [Some(input), residual, Some(output)].into_iter().flatten().collect();
        memory::assign(&mut plan, &external);
        Ok(Self { plan, graph, input, residual, output })
    }
}

fn graph(options: &SeBlockOptions, shape: Shape) -> Result<Graph> {
    let mut g = GraphBuilder::new("se_block");
    let x = g.input(shape)?;
    let residual = options.residual.then(|| g.second_input("residual", shape)).transpose()?;
    // The tensors are named `fc1.weight`, …, without a module in front.
    let gate = g.add_bare("se", Op::SqueezeExcite(options.se.clone()), &[x])?;
    let scale = Op::Scale(Scale { residual: options.residual, act: options.act });
    let inputs: Vec<_> = [Some(x), Some(gate), residual].into_iter().flatten().collect();
    let y = g.add("scale", scale, &inputs)?;
    g.finish(&[("y", y)])
}
