//! The self-test of cooperative matrices: whether an adapter's compute what they should.

use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions};
use crate::graph::{Graph, GraphBuilder};
use crate::kernels::MatrixSize;
use crate::ops::{Act, Conv2d, SqueezeExcite};
use crate::plan::{Choice, Family, Plan, PlanOptions, Precision, SeVariant, Target};
use crate::tensor::Shape;
use crate::tuning::Tuning;
use crate::verify::{self, verify};
use crate::weights::Weights;
use std::sync::Arc;

/// Finds the cooperative matrices whose kernels are right on an adapter, for [`GpuOptions::cooperative_matrices`].
///
/// `options` say which adapter. Each of its sizes, the larger first, runs a small network on a device of its own, because
/// a pipeline that the driver refuses can cost the device. `None`: there are none, or none that is right.
///
/// # Errors
/// There is no such adapter.
pub fn cooperative_matrices(options: &GpuOptions) -> Result<Option<MatrixSize>> {
    // What has not passed yet is not kept on disk.
    let options = GpuOptions { pipeline_cache: None, cooperative_matrices: None, ..options.clone() };
    let (name, sizes) = Gpu::cooperative_sizes(&options)?;
    if sizes.is_empty() {
        log::info!("no cooperative matrices of half precision with sums in f32: {name}");
    }
    let passes = |size: &MatrixSize| match test(&options, *size) {
        Ok(()) => true,
        Err(error) => {
            log::warn!("cooperative matrices of {size} are not used on {name}: {error}");
            false
        }
    };
    Ok(sizes.into_iter().find(passes))
}

/// Compares a network of all kinds of convolutions that use them with the reference, in all tiles.
fn test(options: &GpuOptions, size: MatrixSize) -> Result<()> {
    let gpu = Gpu::open_for_family(&options.clone().cooperative_matrices(size), Family::Tiled)?;
    let (graph, weights) = (ragged()?, Weights::seeded(1, 1.0));
    let input = weights.get("input", &[BATCH, 3, 9, 11])?;
    for plan in plans(&graph, gpu.target(), &Tuning::new(&gpu, Precision::F16))? {
        let report = verify(&gpu, &graph, &weights, &input, &verify::Options::for_plan(plan))?;
        if !report.passed() {
            let message = format!("the self-test found wrong values: {report}");
            return Err(Error::Device { adapter: gpu.describe(), message });
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
