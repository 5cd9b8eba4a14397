//! Where a network's time goes, dispatch by dispatch.

use super::DispatchTimer;
use excite::Result;
use excite::gpu::Executor;
use excite::plan::Plan;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;

/// Runs whose steps are timed, after one that warms up.
const ROUNDS: usize = 9;
/// Steps that are listed one by one.
const LISTED: usize = 20;

/// Median milliseconds of each step in runs of the network, or of a part of the batch, where the device stamps times
/// between them; they add up to what the network takes and what the stamps cost, on a software adapter some 0.07 ms
/// each. Elsewhere each is submitted alone.
pub fn measure(timer: &DispatchTimer, network: &Executor, batch: usize) -> Result<Vec<f64>> {
    let (parts, plan) = network.plan_in_parts(batch)?;
    let mut times = vec![Vec::new(); plan.steps.len()];
    for round in 0..=ROUNDS {
        let run = timer.steps(network, parts.size, times.len())?;
        if round > 0 {
            times.iter_mut().zip(run).for_each(|(times, time)| times.push(time.as_secs_f64() * 1e3));
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Ok(times.into_iter().map(median).collect())
}

/// Sums by shader, then the slowest steps.
pub fn print(plan: &Plan, times: &[f64], out: &mut dyn Write) -> std::io::Result<()> {
    let sum: f64 = times.iter().sum();
    let row = |out: &mut dyn Write, name: &str, note: &str, time: f64, macs: u64, bytes: u64| {
        let (work, traffic) = (macs as f64 * 2e-6 / time, bytes as f64 * 1e-6 / time);
        let share = 100.0 * time / sum;
        writeln!(out, "{name:34} {note:>9} {time:9.3} {share:6.1} % {work:9.1} {traffic:7.1}")
    };
    let heading = |out: &mut dyn Write, name: &str, note: &str| {
        writeln!(out)?;
        writeln!(out, "{name:34} {note:>9} {:>9} {:>8} {:>9} {:>7}", "ms", "of all", "GFLOP/s", "GB/s")
    };
    let mut shaders: BTreeMap<&str, (usize, f64, u64, u64)> = BTreeMap::new();
    for (step, time) in plan.steps.iter().zip(times) {
        let (count, total, macs, bytes) = shaders.entry(step.shader.name).or_default();
        (*count, *total) = (*count + 1, *total + time);
        (*macs, *bytes) = (*macs + step.macs, *bytes + plan.step_bytes(step));
    }
    let mut shaders: Vec<_> = shaders.into_iter().collect();
    shaders.sort_by(|(_, a), (_, b)| b.1.total_cmp(&a.1));
    heading(out, "shader", "steps")?;
    for (name, (count, time, macs, bytes)) in shaders {
        row(out, name, &count.to_string(), time, macs, bytes)?;
    }
    let mut slowest: Vec<usize> = (0..times.len()).collect();
    slowest.sort_by(|&a, &b| times[b].total_cmp(&times[a]));
    heading(out, "slowest steps", "step")?;
    for index in slowest.into_iter().take(LISTED) {
        let step = &plan.steps[index];
        row(out, &step.name, &index.to_string(), times[index], step.macs, plan.step_bytes(step))?;
    }
    Ok(())
}

pub fn document(plan: &Plan, times: &[f64]) -> serde_json::Value {
    let step = |(step, time): (&excite::plan::Step, &f64)| {
        json!({
            "name": step.name,
            "shader": step.shader.name,
            "median_ms": time,
            "macs": step.macs,
            "bytes": plan.step_bytes(step),
        })
    };
    plan.steps.iter().zip(times).map(step).collect()
}
