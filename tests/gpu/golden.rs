//! Every network of the golden suite against PyTorch: logits, every SE gate, and samples of the values in between, fused
//! and unfused. What needs no device, tests/zoo.rs proves.

use crate::common::compare::with_outputs;
use crate::common::golden::{self, Golden, Missing};
use crate::machine::Machine;
use crate::{Case, Outcome, Stop};
use excite::{Executor, ExecutorOptions, Fusion, PlanOptions};

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
    for (fusion, graph) in [(Fusion::Full, &gated), (Fusion::None, &sampled)] {
        let options = ExecutorOptions { plan: PlanOptions { fusion, ..Default::default() }, guard: false };
        let outputs = Executor::new(machine.gpu(false), graph, &weights, options)?.run_all(&input)?;
        values.check(&outputs).map_err(|e| format!("fusion {fusion}: {e}"))?;
    }
    Ok(())
}
