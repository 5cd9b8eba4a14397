//! Every network of the golden suite against PyTorch: logits, every SE gate, and samples of the values in between, fused
//! and unfused; some of them tuned. What needs no device, tests/host/zoo.rs proves.

use crate::check::other_family;
use crate::common::compare::with_outputs;
use crate::common::golden::{self, Golden};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop, ensure};
use excite::gpu::{Executor, ExecutorOptions};
use excite::measure::TuneOptions;
use excite::plan::{Choice, Fusion, Plan, PlanOptions};
use excite::tuning::Tuning;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const OTHER_FAMILY: [&str; 2] = ["seresnet50", "regnety_002"];

/// Small networks of all kinds: they have every kind of convolution and of SE block between them.
const TUNED: [&str; 4] = ["se_shufflenet", "legacy_seresnet18", "efficientnet_b0", "seresnext26d_32x4d"];
/// The one of them that is measured.
const MEASURED: &str = "legacy_seresnet18";

pub fn cases() -> Vec<Case> {
    match golden::networks() {
        Ok(files) => {
            let case = |file: String| Case::new(format!("golden/{file}"), move |machine| network(machine, &file));
            let tuned = Case::new("golden/tuned", tuned);
            files.into_iter().map(case).chain([tuned]).collect()
        }
        Err(missing) => vec![Case::new("golden/found", move |_| Err(Stop::Failed(missing.why.clone())))],
    }
}

fn network(machine: &Machine, file: &str) -> Outcome {
    let golden = Golden::read(file)?;
    let (graph, weights, input) = (golden.build()?, golden.weights()?, golden.input()?);
    let values = golden.values()?;
    // Samples are outputs, and outputs are not fused away: the fused network has gates only.
    let gates = golden.gates(&graph)?;
    let sampled = with_outputs(&graph, &[gates.clone(), golden.samples(&graph)?].concat());
    let gated = with_outputs(&graph, &gates);
    // Some run with the kernels of the other kind of adapter, too.
    let target = machine.gpu(false).target();
    let other = OTHER_FAMILY.contains(&file).then_some((Fusion::Full, Some(other_family(target)), &gated));
    // A gate that is an output keeps the last SE block from ending in the pool: once more without.
    let plan = Plan::new(&graph, input.batch(), target, &PlanOptions::default())?;
    let ends = plan.steps.iter().any(|step| step.shader.name == "squeeze_excite/scaled_pool");
    let alone = ends.then_some((Fusion::Full, None, &graph));
    let runs = [(Fusion::Full, None, &gated), (Fusion::None, None, &sampled)];
    for (fusion, family, graph) in runs.into_iter().chain(alone).chain(other) {
        let options = ExecutorOptions::default().plan(PlanOptions::default().fusion(fusion).family(family));
        let outputs = Executor::new(machine.gpu(false), graph, &weights, options)?.run_all(&input)?;
        values.check(&outputs).map_err(|e| format!("fusion {fusion}: {e}"))?;
    }
    Ok(())
}

/// Neighbouring shapes by different candidates, in two turns that together have all choices; once with some shapes as
/// they were measured, and the others as ever.
fn tuned(machine: &Machine) -> Outcome {
    let (gpu, options) = (machine.gpu(false), PlanOptions::default());
    let mut seen = BTreeSet::new();
    for file in TUNED {
        let golden = Golden::read(file)?;
        let (graph, weights, input, values) = (golden.build()?, golden.weights()?, golden.input()?, golden.values()?);
        let graph = with_outputs(&graph, &golden.gates(&graph)?);
        let plain = Plan::new(&graph, input.batch(), gpu.target(), &options)?;
        let shapes: BTreeMap<String, Vec<Choice>> = plain.choices().map(|(key, _, found)| (key, found)).collect();
        let in_turn = |turn: usize| {
            let mut tuning = Tuning::new(gpu, options.precision);
            for (index, (key, candidates)) in shapes.iter().enumerate() {
                tuning.set(key, candidates[(2 * index + turn) % candidates.len()]);
            }
            tuning
        };
        let turns = [in_turn(0), in_turn(1)];
        seen.extend(turns.iter().flat_map(Tuning::shapes).map(|(_, tuned)| tuned.choice));
        let mut tunings = turns.to_vec();
        if file == MEASURED {
            // A shape that isn't done in time is left, and slow machines need some seconds for the first.
            let budget = TuneOptions::default().budget(Duration::from_secs(20));
            let measured = Tuning::measure(gpu, &graph, input.batch(), &budget, &mut |_| {})?;
            ensure(measured.shapes().next().is_some(), "no shape was measured")?;
            tunings.push(measured);
        }
        for tuning in tunings {
            let plan = options.clone().tuning(Arc::new(tuning));
            let executor = Executor::new(gpu, &graph, &weights, ExecutorOptions::default().plan(plan.clone()))?;
            values.check(&executor.run_all(&input)?).map_err(|e| format!("{file}: {e}\n{:?}", plan.tuning))?;
        }
    }
    ensure(seen == BTreeSet::from(Choice::ALL), format!("only {seen:?} are tried"))
}
