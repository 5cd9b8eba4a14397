//! Every network of the golden suite against PyTorch: logits, every SE gate, and samples of the values in between, fused
//! and unfused. What needs no device, tests/zoo.rs proves.

use crate::common::compare::with_outputs;
use crate::common::golden::{self, Golden, Missing};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop};
use excite::plan::Family;
use excite::{Executor, ExecutorOptions, Fusion, Plan, PlanOptions};

const OTHER_FAMILY: [&str; 2] = ["seresnet50", "regnety_002"];

pub fn cases() -> Vec<Case> {
    let files = match golden::folder() {
        Ok(folder) => golden::files(&folder).map_err(|e| Stop::Failed(e.to_string())),
        Err(Missing { why, allowed: true }) => Err(Stop::Skipped(why)),
        Err(Missing { why, allowed: false }) => Err(Stop::Failed(why)),
    };
    match files {
        Ok(files) => {
            let case = |file: String| Case::new(format!("golden/{file}"), move |machine| network(machine, &file));
            files.into_iter().map(case).collect()
        }
        Err(stop) => vec![Case::new("golden/found", move |_| Err(stop.clone()))],
    }
}

fn network(machine: &Machine, file: &str) -> Outcome {
    let folder = golden::folder().map_err(|missing| missing.why)?;
    let golden = Golden::read(&folder, file)?;
    let (graph, weights, input) = (golden.build()?, golden.weights()?, golden.input()?);
    let values = golden.values()?;
    // Samples are outputs, and outputs are not fused away: the fused network has gates only.
    let gates = golden.gates(&graph)?;
    let sampled = with_outputs(&graph, &[gates.clone(), golden.samples(&graph)?].concat());
    let gated = with_outputs(&graph, &gates);
    // Some run with the kernels of the other kind of adapter, too.
    let target = machine.gpu(false).target();
    let other = if target.family == Family::Direct { Family::Tiled } else { Family::Direct };
    let other = OTHER_FAMILY.contains(&file).then_some((Fusion::Full, Some(other), &gated));
    // A gate that is an output keeps the last stage from ending in the pool: once more without.
    let plan = Plan::new(&graph, input.batch(), target, &PlanOptions::default())?;
    let ends = plan.steps.iter().any(|step| step.shader.name == "squeeze_excite/scaled_pool");
    let alone = ends.then_some((Fusion::Full, None, &graph));
    let runs = [(Fusion::Full, None, &gated), (Fusion::None, None, &sampled)];
    for (fusion, family, graph) in runs.into_iter().chain(alone).chain(other) {
        let options = ExecutorOptions { plan: PlanOptions { fusion, family, ..Default::default() }, guard: false };
        let outputs = Executor::new(machine.gpu(false), graph, &weights, options)?.run_all(&input)?;
        values.check(&outputs).map_err(|e| format!("fusion {fusion}: {e}"))?;
    }
    Ok(())
}
