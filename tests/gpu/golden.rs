//! Every network of the golden suite against PyTorch: logits, every SE gate, and samples of the values in between, fused
//! and unfused. What needs no device, tests/zoo.rs proves.

use crate::check::{chosen, other_family};
use crate::common::compare::with_outputs;
use crate::common::golden::{self, Golden, Missing};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop, ensure};
use excite::{Choice, Executor, ExecutorOptions, Fusion, Gpu, Graph, Plan, PlanOptions, TuneOptions, Tuning};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const OTHER_FAMILY: [&str; 2] = ["seresnet50", "regnety_002"];

/// Small networks that together have all kinds of convolutions, and SE: by every choice wherever it is one; and one as it was
/// measured.
const TUNED: [&str; 2] = ["se_shufflenet", "seresnet18"];
const MEASURED: &str = "mobilenetv3_small_100";

pub fn cases() -> Vec<Case> {
    let files = match golden::folder() {
        Ok(folder) => golden::files(&folder).map_err(|e| Stop::Failed(e.to_string())),
        Err(Missing { why, allowed: true }) => Err(Stop::Skipped(why)),
        Err(Missing { why, allowed: false }) => Err(Stop::Failed(why)),
    };
    match files {
        Ok(files) => {
            let case = |file: String| Case::new(format!("golden/{file}"), move |machine| network(machine, &file));
            let tuned = [
                Case::new("golden_tuned/by_every_choice", by_every_choice),
                Case::new("golden_tuned/as_measured", as_measured),
            ];
            files.into_iter().map(case).chain(tuned).collect()
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
    let other = OTHER_FAMILY.contains(&file).then_some((Fusion::Full, Some(other_family(target)), &gated));
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

/// What a run needs of a golden network, and its check.
struct Tuned {
    graph: Graph,
    batch: usize,
    run: Box<dyn Fn(&str, PlanOptions) -> Outcome>,
}

fn tuned(gpu: &Gpu, file: &'static str) -> Result<Tuned, Stop> {
    let folder = golden::folder().map_err(|missing| missing.why)?;
    let golden = Golden::read(&folder, file)?;
    let (graph, weights, input, values) = (golden.build()?, golden.weights()?, golden.input()?, golden.values()?);
    let graph = with_outputs(&graph, &golden.gates(&graph)?);
    let (gpu, network, batch) = (gpu.clone(), graph.clone(), input.batch());
    let run = move |how: &str, plan: PlanOptions| -> Outcome {
        let executor = Executor::new(&gpu, &network, &weights, ExecutorOptions { plan, guard: false })?;
        Ok(values.check(&executor.run_all(&input)?).map_err(|e| format!("{file}, {how}: {e}"))?)
    };
    Ok(Tuned { graph, batch, run: Box::new(run) })
}

fn by_every_choice(machine: &Machine) -> Outcome {
    let (gpu, options) = (machine.gpu(false), PlanOptions::default());
    let mut seen = BTreeSet::new();
    for file in TUNED {
        let Tuned { graph, batch, run } = tuned(gpu, file)?;
        let plain = Plan::new(&graph, batch, gpu.target(), &options)?;
        let candidates: BTreeSet<Choice> = plain.choices().flat_map(|(.., candidates)| candidates).collect();
        for &choice in &candidates {
            run(&choice.to_string(), chosen(gpu, &graph, batch, &options, choice)?)?;
        }
        seen.extend(candidates);
    }
    ensure(seen == BTreeSet::from(Choice::ALL), format!("only {seen:?} are tried"))
}

/// Some shapes by what suits them, the others as ever.
fn as_measured(machine: &Machine) -> Outcome {
    let gpu = machine.gpu(false);
    let Tuned { graph, batch, run } = tuned(gpu, MEASURED)?;
    let budget = TuneOptions { budget: Duration::from_secs(2), ..TuneOptions::default() };
    let tuning = Tuning::measure(gpu, &graph, batch, &budget, &mut |_| {})?;
    ensure(tuning.shapes().next().is_some(), "no shape was measured")?;
    run("as measured", PlanOptions { tuning: Some(Arc::new(tuning)), ..PlanOptions::default() })
}
