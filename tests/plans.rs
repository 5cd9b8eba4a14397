//! What SE costs, exact and without hardware: bytes and dispatches of a network's plan against those of the same network
//! without SE, on a GPU that binds large buffers. A step's bytes are those of its bindings, each once: what it reads again
//! is taken to come from cache.

use excite::plan::{Limits, Plan, Target};
use excite::{PlanOptions, zoo};

struct Cost {
    dispatches: usize,
    bytes: f64,
}

/// The same adapter with large bindings.
fn large(target: Target) -> Target {
    let limits = Limits { max_buffer_size: 1 << 31, max_storage_buffer_binding_size: 1 << 31, ..Limits::default() };
    Target { limits, ..target }
}

/// What the plan of a network has, and that of the network without SE.
fn costs(name: &str, batch: usize) -> [Cost; 2] {
    let target = large(Target::gpu());
    let graph = zoo::build(name, &zoo::Options { size: Some([224; 2]), classes: None }).unwrap();
    let plain = graph.remove_se().unwrap();
    [graph, plain].map(|graph| {
        let plan = Plan::new(&graph, batch, &target, &PlanOptions::default()).unwrap();
        Cost { dispatches: plan.steps.len(), bytes: plan.bytes_moved() as f64 }
    })
}

#[test]
fn se_costs_little() {
    // Name, batch, the most that SE may add (share of the bytes, dispatches), and the most dispatches in all.
    for (name, batch, bytes, dispatches, all) in [
        ("seresnet50", 32, 0.20, 18, 74),
        ("seresnet50", 1, 0.16, 18, 74),
        ("efficientnet_b0", 32, 0.01, 16, 67),
        ("efficientnet_b0", 1, 0.05, 16, 67),
    ] {
        let [se, plain] = costs(name, batch);
        let (more_bytes, more) = (se.bytes / plain.bytes - 1.0, se.dispatches - plain.dispatches);
        println!(
            "{name} at batch {batch}: {:.1} % more bytes, {more} more dispatches ({})",
            100.0 * more_bytes,
            se.dispatches
        );
        let holds = more_bytes <= bytes && more <= dispatches && se.dispatches <= all;
        assert!(holds, "{name} at batch {batch}: {more_bytes}, {more}, {}", se.dispatches);
    }
}

#[test]
fn few_pipelines() {
    for target in [Target::gpu(), Target::software()].map(large) {
        for (name, most) in [("efficientnet_b7", 40), ("seresnet50", 40)] {
            let graph = zoo::build(name, &zoo::Options::default()).unwrap();
            for batch in [1, 8] {
                let plan = Plan::new(&graph, batch, &target, &PlanOptions::default()).unwrap();
                println!("{name} at batch {batch}, {:?}: {} pipelines", target.family, plan.pipelines());
                assert!(plan.pipelines() <= most, "{name} at batch {batch}: {}", plan.pipelines());
            }
        }
    }
}
