//! What SE costs, exact and without hardware: bytes and dispatches of a network's plan against those of the same network
//! without SE, on a GPU that binds large buffers. A step's bytes are those of its bindings, each once: what it reads again
//! is taken to come from cache.

use excite::plan::{Limits, Plan, Target};
use excite::{Graph, PlanOptions, Precision, zoo};

struct Cost {
    dispatches: usize,
    bytes: f64,
}

fn graph(name: &str) -> Graph {
    zoo::build(name, &zoo::Options { size: Some([224; 2]), classes: None }).unwrap()
}

fn plan(graph: &Graph, batch: usize, precision: Precision) -> Plan {
    let limits = Limits { max_buffer_size: 1 << 31, max_storage_buffer_binding_size: 1 << 31, ..Limits::default() };
    let target = Target { limits, ..Target::gpu() };
    Plan::new(graph, batch, &target, &PlanOptions { precision, ..Default::default() }).unwrap()
}

/// What the plan of a network has, and that of the network without SE.
fn costs(name: &str, batch: usize) -> [Cost; 2] {
    let graph = graph(name);
    let plain = graph.remove_se().unwrap();
    [graph, plain].map(|graph| {
        let plan = plan(&graph, batch, Precision::F32);
        Cost { dispatches: plan.steps.len(), bytes: plan.bytes_moved() as f64 }
    })
}

#[test]
fn half_precision_halves_the_bytes() {
    // Beside maps and weights of convolutions there are the dense images, gates, sums and the last layer's weights.
    for name in ["seresnet50", "efficientnet_b0"] {
        let graph = graph(name);
        let [full, half] = Precision::ALL.map(|precision| plan(&graph, 32, precision));
        assert_eq!(full.steps.len(), half.steps.len(), "{name}: dispatches");
        let shares = [
            ("bytes moved", full.bytes_moved(), half.bytes_moved()),
            ("activations", full.activation_bytes(), half.activation_bytes()),
        ];
        for (what, full, half) in shares {
            let share = half as f64 / full as f64;
            println!("{name}: {:.1} % of the {what}", 100.0 * share);
            assert!((0.5..0.53).contains(&share), "{name}: {share} of the {what}");
        }
        let (full, half) = (full.weight_bytes(), half.weight_bytes());
        assert!(2 * half > full && half < full, "{name}: weights {half} of {full}");
    }
}

#[test]
fn se_costs_little() {
    // Name, batch, and the most that SE may add: share of the bytes, dispatches.
    for (name, batch, bytes, dispatches) in [
        ("seresnet50", 32, 0.21, 20),
        ("seresnet50", 1, 0.16, 20),
        ("efficientnet_b0", 32, 0.01, 16),
        ("efficientnet_b0", 1, 0.05, 16),
    ] {
        let [se, plain] = costs(name, batch);
        let (more_bytes, more) = (se.bytes / plain.bytes - 1.0, se.dispatches - plain.dispatches);
        println!(
            "{name} at batch {batch}: {:.1} % more bytes, {more} more dispatches ({})",
            100.0 * more_bytes,
            se.dispatches
        );
        assert!(more_bytes <= bytes && more <= dispatches, "{name} at batch {batch}: {more_bytes}, {more}");
    }
}
