//! What half precision has no room for, and adapters that don't have it. Meaning `src/ranges.rs`

use super::half::{in_half, where_it_is};
use crate::check::{family, graph, one};
use crate::common::compare::{Tolerance, compare, numbers};
use crate::machine::Machine;
use crate::{Case, Outcome, Run, Stop, ensure};
use excite::gpu::{Executor, ExecutorOptions};
use excite::ops::{Act, Conv2d, Linear, Op, SqueezeExcite};
use excite::plan::Family;
use excite::plan::{Plan, PlanOptions, Ranges, SeVariant};
use excite::{Tensor, Weights};
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn cases() -> Vec<Case> {
    let on_half: [(&str, Run); 3] = [
        ("ranges", Box::new(ranges)),
        ("ranges_of_scaled_maps", Box::new(ranges_of_scaled_maps)),
        ("large_weight", Box::new(large_weight)),
    ];
    let on_half = on_half.into_iter().map(|(name, run)| where_it_is(format!("half/{name}"), run));
    on_half.chain([Case::new("half/refused", refused)]).collect()
}

/// A layer whose values half precision has no room for: refused by name after a calibration run, and at the answer
/// without one.
fn ranges(machine: &Machine) -> Outcome {
    let graph = graph([3, 6, 6], |g, x| {
        let x = g.conv2d("conv1", x, Conv2d::new(8, 3).bias(false))?;
        let x = g.activation("relu", x, Act::Relu)?;
        let x = g.conv2d("conv2", x, Conv2d::new(4, 1).bias(false))?;
        let x = g.global_avg_pool("pool", x)?;
        g.linear("fc", x, Linear::new(5))
    });
    let seeded = Weights::seeded(3, 1.0);
    let scaled = |by: f32| {
        let tensors = graph.tensors().into_iter().map(|(name, shape)| {
            let tensor = seeded.get(&name, &shape)?;
            let factor = match name.as_str() {
                "conv1.weight" => by,
                "conv2.weight" => 1.0 / by,
                _ => 1.0,
            };
            Ok((name, Tensor::new(tensor.shape(), tensor.data().iter().map(|x| x * factor).collect())?))
        });
        Ok::<_, excite::Error>(Weights::from_tensors(tensors.collect::<excite::Result<Vec<_>>>()?))
    };
    let gpu = machine.gpu(true);
    let input = numbers(5, &[2, 3, 6, 6]);
    let run = |weights: &Weights, ranges: Option<Ranges>| {
        let plan = in_half(PlanOptions::default().ranges(ranges.map(Arc::new)));
        Executor::new(gpu, &graph, weights, ExecutorOptions::default().plan(plan))?.run(&input)
    };
    let tame = scaled(1.0)?;
    let measured = Ranges::measure(gpu, &graph, &tame, &input)?;
    let expected = graph.reference(&input, &tame)?.remove("y").expect("the output");
    compare(&expected, &run(&tame, Some(measured.clone()))?, Tolerance::F16)?;
    // Every value is what the reference has, the input among them, and whatever the fusion.
    let mut largest = BTreeMap::new();
    graph.reference_each(&input, &tame, &mut |id, value| {
        largest.insert(graph.node(id).name.clone(), value.max_abs());
        Ok(())
    })?;
    for (name, expected) in &largest {
        // The value without its activation, and with it, have the convolution's name.
        let found = measured.largest(name).ok_or_else(|| format!("\"{name}\" is not measured"))?;
        ensure((found - expected).abs() <= 1e-5 * expected, format!("\"{name}\": {found}, expected {expected}"))?;
    }

    // Too large for the margin's sake, and in any case.
    for (by, beyond) in [(1.5e4, false), (1e5, true)] {
        let wild = scaled(by)?;
        let measured = Ranges::measure(gpu, &graph, &wild, &input)?;
        let largest = measured.largest("conv1").unwrap_or_default();
        ensure((largest > 65504.0) == beyond, format!("conv1 reaches {largest}"))?;
        let refusal = run(&wild, Some(measured)).err().map(|e| e.to_string()).unwrap_or_default();
        ensure(refusal.contains("too large for half precision") && refusal.contains("\"conv1\" reaches"), &refusal)?;
        ensure(!refusal.contains("\"conv2\""), &refusal)?;
    }
    let wild = scaled(1e5)?;
    let refusal = run(&wild, None).err().map(|e| e.to_string()).unwrap_or_default();
    ensure(refusal.contains("is not finite in half precision") && refusal.contains("Ranges::measure"), &refusal)
}

/// A map that is scaled before the convolution that reads it, though no node is that map: gates above 1 may make it too
/// large while all that has a name fits.
fn ranges_of_scaled_maps(machine: &Machine) -> Outcome {
    // Strips of four pixels that don't fill workgroups: else gates multiply shared weights.
    let graph = graph([3, 46, 50], |g, x| {
        let x = g.conv2d("conv", x, Conv2d::new(32, 1))?;
        let x = g.squeeze_excite("se", x, SqueezeExcite::new(2).gate(Act::Relu))?;
        g.conv2d("project", x, Conv2d::new(1024, 1).bias(false))
    });
    let seeded = Weights::seeded(3, 1.0);
    let gated = |gate: f32| {
        let tensors = graph.tensors().into_iter().map(|(name, shape)| {
            let tensor = match name.as_str() {
                "se.fc2.bias" => Tensor::full(shape, gate),
                _ => seeded.get(&name, &shape)?,
            };
            let factor = match name.as_str() {
                "conv.weight" | "conv.bias" => 100.0,
                "se.fc2.weight" => 1e-3,
                "project.weight" => 0.1 / gate,
                _ => 1.0,
            };
            Ok((name, Tensor::new(tensor.shape(), tensor.data().iter().map(|x| x * factor).collect())?))
        });
        Ok::<_, excite::Error>(Weights::from_tensors(tensors.collect::<excite::Result<Vec<_>>>()?))
    };
    let (gpu, input) = (machine.gpu(true), numbers(5, &[2, 3, 46, 50]));
    let direct = in_half(family(Family::Direct).se(SeVariant::Spread));
    let (prepared, planned) = (graph.prepare(direct.fusion)?, Plan::new(&graph, 2, gpu.target(), &direct)?);
    if gpu.target().family == Family::Tiled {
        return Err(Stop::Skipped(
            "only on software adapters a scale of its own costs less than one for every column".into(),
        ));
    }
    ensure(planned.steps.iter().any(|step| step.name == "project/scale"), format!("nothing is scaled\n{planned}"))?;
    let run = |weights: &Weights, ranges: Option<Ranges>| {
        let plan = direct.clone().ranges(ranges.map(Arc::new));
        Executor::new(gpu, &graph, weights, ExecutorOptions::default().plan(plan))?.run(&input)
    };
    for (gate, fits) in [(4.0, true), (2000.0, false)] {
        let weights = gated(gate)?;
        let measured = Ranges::measure(gpu, &graph, &weights, &input)?;
        let named = prepared.nodes().iter().filter_map(|node| measured.largest(&node.name)).fold(0.0, f32::max);
        ensure(named * Ranges::MARGIN < 65504.0, format!("a value that has a name reaches {named}"))?;
        let expected = graph.reference(&input, &weights)?.remove("y").expect("the output");
        match (fits, run(&weights, None)) {
            (true, got) => compare(&expected, &got?, Tolerance::F16)?,
            (false, got) => {
                let refusal = got.err().map(|e| e.to_string()).unwrap_or_default();
                ensure(refusal.contains("is not finite in half precision"), &refusal)?;
            }
        }
        match (fits, run(&weights, Some(measured))) {
            (true, got) => compare(&expected, &got?, Tolerance::F16)?,
            (false, got) => {
                let refusal = got.err().map(|e| e.to_string()).unwrap_or_default();
                let says =
                    refusal.contains("too large for half precision") && refusal.contains("\"project/scale\" reaches");
                ensure(says, &refusal)?;
            }
        }
    }
    Ok(())
}

/// A weight is never infinite in silence.
fn large_weight(machine: &Machine) -> Outcome {
    let graph = one([3, 4, 4], Op::Conv2d(Conv2d::new(4, 3)));
    for (largest, fits) in [(65504.0, true), (-65504.0, true), (65505.0, false), (-1e6, false)] {
        let mut weight = Tensor::zeros([4, 3, 3, 3]);
        weight.data_mut()[50] = largest;
        let weights = [("op.weight", weight), ("op.bias", Tensor::full([4], 1e6))];
        let weights = Weights::from_tensors(weights.map(|(name, tensor)| (name.to_string(), tensor)));
        let options = ExecutorOptions::default().plan(in_half(PlanOptions::default()));
        let run = Executor::new(machine.gpu(true), &graph, &weights, options)?.warm_up(1);
        let message = run.err().map(|e| e.to_string());
        let expected =
            format!("weights: op.weight has {largest}, half precision ends at 65504; plan with precision f32");
        ensure(message == (!fits).then_some(expected), format!("{largest}: {message:?}"))?;
    }
    Ok(())
}

/// An adapter or a device without the feature: an error that says what to do, from every way to a plan.
fn refused(machine: &Machine) -> Outcome {
    let (device, queue) = machine.plain_device()?;
    let gpu = excite::Gpu::from_wgpu(device, queue);
    let graph = one([3, 4, 4], Op::Activation(Act::Relu));
    let options = ExecutorOptions::default().plan(in_half(family(Family::Direct)));
    let network = Executor::new(&gpu, &graph, &Weights::seeded(1, 1.0), options)?;
    let input = Tensor::zeros([1, 3, 4, 4]);
    for message in [network.plan(1).err(), network.run(&input).err()].map(|e| e.map(|e| e.to_string())) {
        let expected =
            "precision f16: the adapter has no numbers of 16 bits in shaders (SHADER_F16); plan with precision f32";
        ensure(message.as_deref() == Some(expected), format!("{message:?}"))?;
    }
    if !machine.gpu(true).target().half {
        let plan = Plan::new(&graph, 1, machine.gpu(true).target(), &in_half(PlanOptions::default()));
        ensure(plan.is_err_and(|e| e.to_string().contains("SHADER_F16")), "planned for an adapter without it")?;
    }
    Ok(())
}
