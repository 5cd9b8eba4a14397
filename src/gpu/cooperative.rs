//! Cooperative matrices: which an adapter has, and whether they compute what they should.

use super::{Gpu, GpuOptions, adapter, open_device};
use crate::error::Result;
use crate::graph::{Graph, GraphBuilder};
use crate::kernels::MatrixSize;
use crate::ops::{Act, Conv2d};
use crate::plan::{Family, PlanOptions, Precision};
use crate::tensor::Shape;
use crate::verify::{Options, verify};
use crate::weights::Weights;
use wgpu::CooperativeScalarType::{F16, F32};

/// What a device needs for them, besides the experimental features that wgpu wants to be allowed.
pub(super) const FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16).union(wgpu::Features::SUBGROUP);

/// The sizes that our kernels have a form for, of half precision with sums in `f32`; the larger first.
pub(super) fn sizes(adapter: &wgpu::Adapter) -> Vec<MatrixSize> {
    if !adapter.features().contains(FEATURES) {
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

/// The first size whose kernels are right on this adapter. Every size is tested on a device of its own, because a pipeline
/// that the driver refuses can cost the device.
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

/// Compares networks of all kinds of convolutions that use them with the reference, in both sizes of tiles.
fn test(adapter: &wgpu::Adapter, options: &GpuOptions, size: MatrixSize) -> Result<()> {
    // What has not passed yet is not kept on disk.
    let options = &GpuOptions { pipeline_cache: None, ..options.clone() };
    let (graph, weights) = (ragged()?, Weights::seeded(1, 1.0));
    let input = weights.get("input", &[3, 37, 9, 11])?;
    for fill in [1, u32::MAX] {
        let (mut context, queue) = open_device(adapter, options, Some(size))?;
        context.target.fill = fill;
        let gpu = Gpu::with_context(context, queue);
        let plan = PlanOptions { precision: Precision::F16, family: Some(Family::Tiled), ..Default::default() };
        let report = verify(&gpu, &graph, &weights, &input, &Options::for_plan(plan))?;
        if !report.passed() {
            return Err(gpu.context.fail(format!("the self-test found wrong numbers: {report}")));
        }
    }
    Ok(())
}

/// Convolutions of 1x1 and 3x3 whose sizes fill no tile, with a residual.
fn ragged() -> Result<Graph> {
    let mut g = GraphBuilder::new("self_test");
    let x = g.input(Shape::map(37, 9, 11))?;
    let y = g.conv2d("pointwise", x, Conv2d::new(70, 1))?;
    let y = g.activation("act", y, Act::Relu)?;
    let y = g.conv2d("general", y, Conv2d::new(37, 3).padding(1))?;
    let y = g.sum("sum", y, x)?;
    let y = g.conv2d("last", y, Conv2d::new(133, 1).bias(false))?;
    g.finish(&[("y", y)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, Target};

    #[test]
    fn the_self_test_runs_every_kernel_in_question() {
        for size in MatrixSize::ALL {
            let target = Target { cooperative: Some(size), ..Target::gpu() };
            let options = PlanOptions { precision: Precision::F16, ..Default::default() };
            let plan = Plan::new(&ragged().unwrap(), 3, &target, &options).unwrap();
            let multiplied = plan.steps.iter().filter(|step| step.form.matrices == Some(size));
            let names: Vec<&str> = multiplied.map(|step| step.shader.name).collect();
            assert_eq!(names, ["conv2d/pointwise_tiled", "conv2d/tiled", "conv2d/pointwise_tiled"]);
        }
    }
}
