//! Cooperative matrices: which an adapter has, and whether they compute what they should.

use super::{Gpu, GpuOptions, adapter, open_device};
use crate::error::Result;
use crate::graph::{Graph, GraphBuilder};
use crate::kernels::MatrixSize;
use crate::ops::{Act, Conv2d, SqueezeExcite};
use crate::plan::{Choice, Family, Plan, PlanOptions, Precision, SeVariant, Target};
use crate::tensor::Shape;
use crate::tuning::Tuning;
use crate::verify::{Options, verify};
use crate::weights::Weights;
use std::sync::Arc;
use wgpu::CooperativeScalarType::{F16, F32};

/// What a device needs for them, besides the experimental features that wgpu wants to be allowed.
pub(super) const FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16).union(wgpu::Features::SUBGROUP);

/// Bytes of workgroup memory that the largest tile takes with its sums.
const MEMORY: u32 = 32 << 10;

/// The sizes that our kernels have a variant for, of half precision with sums in `f32`; the larger first.
pub(super) fn sizes(adapter: &wgpu::Adapter) -> Vec<MatrixSize> {
    if !adapter.features().contains(FEATURES) || adapter.limits().max_compute_workgroup_storage_size < MEMORY {
        return Vec::new();
    }
    let properties = adapter.cooperative_matrix_properties();
    let has = |size: &MatrixSize| {
        let side = match size {
            MatrixSize::Eight => 8,
            MatrixSize::Sixteen => 16,
        };
        properties.iter().any(|p| [p.m_size, p.n_size, p.k_size] == [side; 3] && (p.ab_type, p.cr_type) == (F16, F32))
    };
    [MatrixSize::Sixteen, MatrixSize::Eight].into_iter().filter(has).collect()
}

/// The first size whose kernels are right on this adapter. Every size is tested on a device of its own, because a
/// pipeline that the driver refuses can cost the device.
pub(super) fn tested(adapter: &wgpu::Adapter, options: &GpuOptions) -> Option<MatrixSize> {
    let name = adapter::describe(&adapter.get_info());
    let sizes = sizes(adapter);
    if sizes.is_empty() {
        log::info!("no cooperative matrices of half precision with sums in f32: {name}");
    }
    sizes.into_iter().find(|&size| match test(adapter, options, size) {
        Ok(()) => true,
        Err(error) => {
            log::warn!("cooperative matrices of {size} are not used on {name}: {error}");
            false
        }
    })
}

/// Compares a network of all kinds of convolutions that use them with the reference, in all tiles.
fn test(adapter: &wgpu::Adapter, options: &GpuOptions, size: MatrixSize) -> Result<()> {
    // What has not passed yet is not kept on disk.
    let options = &GpuOptions { pipeline_cache: None, ..options.clone() };
    let (mut context, queue) = pollster::block_on(open_device(adapter, options, Some(size)))?;
    context.target.family = Family::Tiled;
    let gpu = Gpu::with_context(context, queue);
    let (graph, weights) = (ragged()?, Weights::seeded(1, 1.0));
    let input = weights.get("input", &[BATCH, 3, 9, 11])?;
    for plan in plans(&graph, gpu.target(), &Tuning::new(&gpu, Precision::F16))? {
        let report = verify(&gpu, &graph, &weights, &input, &Options::for_plan(plan))?;
        if !report.passed() {
            return Err(gpu.context.fail(format!("the self-test found wrong numbers: {report}")));
        }
    }
    Ok(())
}

const BATCH: usize = 3;

/// How the self-test plans its network: each tile wherever it is a candidate. `tuning` is one without shapes.
fn plans(graph: &Graph, target: &Target, tuning: &Tuning) -> Result<Vec<PlanOptions>> {
    // The variant of the SE blocks that has convolutions squeeze.
    let plain = PlanOptions { precision: Precision::F16, se: Some(SeVariant::Spread), ..Default::default() };
    let planned = Plan::new(graph, BATCH, target, &plain)?;
    let tiles = Choice::ALL.into_iter().filter(|choice| choice.multiplies_matrices());
    let tuned = tiles.map(|tile| {
        let mut tuning = tuning.clone();
        let able = planned.choices().filter(|(.., candidates)| candidates.contains(&tile));
        able.for_each(|(shape, ..)| tuning.set(&shape, tile));
        PlanOptions { tuning: Some(Arc::new(tuning)), ..plain.clone() }
    });
    Ok(tuned.collect())
}

/// Convolutions of 1x1 and 3x3, shallow and deep, whose sizes fill no tile, with all that they are fused with.
fn ragged() -> Result<Graph> {
    let mut g = GraphBuilder::new("self_test");
    let x = g.input(Shape::map(3, 9, 11))?;
    let x = g.conv2d("stem", x, Conv2d::new(37, 3).padding(1))?;
    let x = g.activation("stem.act", x, Act::Relu)?;
    let y = g.conv2d("expand", x, Conv2d::new(70, 1))?;
    let y = g.activation("expand.act", y, Act::Relu)?;
    let y = g.squeeze_excite("inner", y, SqueezeExcite::new(5))?;
    let y = g.conv2d("project", y, Conv2d::new(37, 1))?;
    let y = g.squeeze_excite("se", y, SqueezeExcite::new(7))?;
    let y = g.sum("sum", y, x)?;
    let x = g.activation("end", y, Act::Relu)?;
    let y = g.conv2d("next", x, Conv2d::new(70, 1).bias(false))?;
    let y = g.conv2d("general", y, Conv2d::new(37, 3).padding(1))?;
    let y = g.squeeze_excite("general.se", y, SqueezeExcite::new(7))?;
    let x = g.sum("general.sum", y, x)?;
    let y = g.conv2d("second", x, Conv2d::new(72, 3).stride(2))?;
    let y = g.conv2d("deep", y, Conv2d::new(260, 1))?;
    let y = g.conv2d("last", y, Conv2d::new(133, 1))?;
    // Hoisted: the convolution multiplies its result.
    let y = g.conv2d("gated", y, Conv2d::new(41, 1))?;
    let y = g.squeeze_excite("gated.se", y, SqueezeExcite::new(7))?;
    g.finish(&[("y", y)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::SHADERS;
    use std::collections::BTreeSet;

    #[test]
    fn the_self_test_runs_every_kernel_in_question() {
        let graph = ragged().unwrap();
        for size in MatrixSize::ALL {
            let target = Target { cooperative: Some(size), ..Target::gpu() };
            let mut ran = BTreeSet::new();
            let mut tiles = BTreeSet::new();
            for options in plans(&graph, &target, &Tuning::untied_with(Precision::F16, Some(size))).unwrap() {
                let plan = Plan::new(&graph, BATCH, &target, &options).unwrap();
                let multiplied = plan.steps.iter().filter(|step| step.variant.matrices() == Some(size));
                ran.extend(multiplied.map(|step| (step.shader.name, step.variant)));
                tiles.extend(plan.choices().map(|(_, choice, _)| choice).filter(|choice| choice.multiplies_matrices()));
            }
            // The images as they come are read by one convolution, which doesn't squeeze here.
            let variants =
                SHADERS.iter().flat_map(|shader| shader.variants().into_iter().map(|variant| (shader.name, variant)));
            let variants =
                variants.filter(|(_, variant)| variant.matrices() == Some(size) && !(variant.nchw() && variant.sums()));
            assert_eq!(ran, variants.collect());
            assert_eq!(tiles, Choice::ALL.into_iter().filter(|choice| choice.multiplies_matrices()).collect());
        }
    }
}
