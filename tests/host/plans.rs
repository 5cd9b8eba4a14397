//! What SE costs, exact and without hardware: bytes and dispatches of a network's plan against those of the same network
//! without SE, on a GPU that binds large buffers. A step's bytes are those of its bindings, each once: what it reads
//! again is taken to come from cache.

use excite::graph::Value;
use excite::ops::{Act, Conv2d, Op};
use excite::plan::{Fusion, PlanOptions};
use excite::plan::{Limits, MatrixSize, Plan, Target};
use excite::{Graph, GraphBuilder, Precision, Shape, zoo};
use std::time::Instant;

struct Cost {
    dispatches: usize,
    bytes: f64,
}

/// The same adapter with large bindings.
fn large(target: Target) -> Target {
    let limits = Limits::default().max_buffer_size(1 << 31).max_storage_buffer_binding_size(1 << 31);
    target.limits(limits)
}

fn graph(name: &str) -> Graph {
    zoo::build(name, &zoo::Options::default().size([224; 2])).unwrap()
}

fn plan(graph: &Graph, batch: usize, precision: Precision) -> Plan {
    let options = PlanOptions::default().precision(precision);
    Plan::new(graph, batch, &large(Target::gpu()), &options).unwrap()
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
fn cooperative_matrices_are_for_half_precision() {
    let graph = graph("seresnet50");
    let planned = |cooperative, precision| {
        let target = large(Target::gpu()).cooperative(cooperative);
        Plan::new(&graph, 32, &target, &PlanOptions::default().precision(precision)).unwrap()
    };
    for size in MatrixSize::ALL {
        // In f32 the plan is the same to the last step.
        let [with, without] = [Some(size), None].map(|size| planned(size, Precision::F32).to_string());
        assert_eq!(with, without);

        let [with, without] = [Some(size), None].map(|size| planned(size, Precision::F16));
        assert_eq!(with.steps.len(), without.steps.len());
        let mut multiplied = 0;
        for (step, plain) in with.steps.iter().zip(&without.steps) {
            assert_eq!(plain.variant.matrices(), None);
            let tiled = ["conv2d/tiled", "conv2d/pointwise_tiled"].contains(&step.shader.name);
            let expected = tiled.then_some(size);
            assert_eq!(step.variant.matrices(), expected, "{} by {}", step.name, step.shader.name);
            multiplied += usize::from(expected.is_some());
        }
        // All convolutions: the first, three of each of the 16 blocks, and the shortcuts of four.
        assert_eq!(multiplied, 1 + 3 * 16 + 4, "{with}");
    }
}

#[test]
fn se_costs_little() {
    // Name, batch, the most that SE may add (share of the bytes, dispatches), and the most dispatches in all.
    for (name, batch, bytes, dispatches, all) in [
        ("seresnet50", 32, 0.005, 16, 72),
        ("seresnet50", 1, 0.04, 16, 72),
        ("seresnext50_32x4d", 32, 0.005, 19, 75),
        ("senet154", 32, 0.01, 53, 213),
        ("se_inception_resnet_v2", 32, 0.085, 90, 341),
        // Without SE its pool takes sums that the last convolution keeps, so that the plain network reads a map less.
        ("se_mobilenet", 32, 0.013, 13, 42),
        // Behind a 3x3, and squeezed by maximum: the convolution behind ends the block, or a pass does.
        ("seresnet18", 32, 0.221, 12, 35),
        ("abl_seresnet50_squeeze_max", 32, 0.449, 37, 93),
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

/// Parts of concatenations are written where they belong: a dispatch less for each, and a map that is neither read nor
/// written again.
#[test]
fn concatenations_cost_little() {
    // Name, parts that lie in place, parts that are copied, dispatches and bytes moved, for two images.
    for (name, placed, copied, dispatches, bytes) in [
        ("se_bninception", 38, 0, 112, 185_986_416),
        ("se_inception_resnet_v2", 101, 0, 341, 601_723_664),
        ("inception_v3", 50, 0, 109, 221_145_056),
        ("inception_v4", 80, 0, 169, 407_318_112),
        ("se_shufflenet", 6, 0, 74, 80_515_920),
        // Each concatenation of a dense block is read by the next layer and the next concatenation, so it is copied.
        ("densenet121", 58, 58, 246, 536_603_616),
    ] {
        let graph = graph(name);
        let plan = plan(&graph, 2, Precision::F32);
        let prepared = graph.prepare(Fusion::Full).unwrap();
        let joined = prepared.nodes().iter().filter(|node| matches!(node.op, Op::Concat(_)));
        let parts: usize = joined.map(|node| node.inputs.len()).sum();
        let copies = plan.steps.iter().filter(|step| step.shader.name == "shape/concat").count();
        let found = (parts - copies, copies, plan.steps.len(), plan.bytes_moved());
        println!("{name}: {found:?}");
        assert_eq!(found, (placed, copied, dispatches, bytes), "{name}");
    }
}

/// ShuffleNet's shuffles are all in front of depthwise convolutions, which do them: no step, and no map of their own.
#[test]
fn shuffles_cost_nothing() {
    for name in ["shufflenet_g3_w1", "se_shufflenet"] {
        let graph = graph(name);
        let shuffled = |fusion| {
            let options = PlanOptions::default().fusion(fusion);
            let plan = Plan::new(&graph, 2, &large(Target::gpu()), &options).unwrap();
            let alone = plan.steps.iter().filter(|step| step.shader.name == "shape/channel_shuffle").count();
            (alone, plan.steps.iter().filter(|step| step.variant.shuffles()).count())
        };
        assert_eq!(Fusion::ALL.map(shuffled), [(16, 0), (16, 0), (0, 16)], "{name}");
    }
}

/// Every SE block says where it is squeezed, excited and scaled, and the steps are those that it says.
#[test]
fn blocks_say_what_was_chosen() {
    for (name, se_blocks) in [("seresnet50", 16), ("efficientnet_b0", 16), ("regnety_008", 14)] {
        let graph = graph(name);
        for (target, batch) in
            [Target::gpu(), Target::integrated(), Target::software()].map(large).iter().zip([1, 8, 2])
        {
            let plan = Plan::new(&graph, batch, target, &PlanOptions::default()).unwrap();
            assert_eq!(plan.se_blocks.len(), se_blocks, "{name}");
            let text = plan.to_string();
            assert!(text.contains(&format!("\nSE blocks: {}\n", target.costs)), "{text}");
            let named = |name: String| plan.steps.iter().any(|step| step.name == name);
            for se_block in &plan.se_blocks {
                assert!(text.contains(&se_block.to_string()), "{name}: {se_block}");
                assert!(
                    [&se_block.squeeze, &se_block.excitation, &se_block.scale].iter().all(|words| !words.is_empty())
                );
                let does = |part| named(format!("{}/{part}", se_block.name));
                let squeezes = !se_block.squeeze.starts_with("in ");
                assert_eq!(does("squeeze"), squeezes, "{name}: {se_block}");
                assert_eq!(does("excite"), se_block.excitation.starts_with("one dispatch, "), "{name}: {se_block}");
                assert_eq!(does("expand"), se_block.excitation.starts_with("two dispatches: "), "{name}: {se_block}");
            }
        }
    }
}

/// The scale of RegNet and of MBConv is never a dispatch: the 1x1 convolution behind it does it while it loads. On a
/// software adapter that holds for EfficientNet-B0 at least, image by image.
#[test]
fn scales_on_load_are_no_dispatch() {
    let holds = |name: &str, batch: usize, target: Target| {
        let plan = Plan::new(&graph(name), batch, &large(target), &PlanOptions::default()).unwrap();
        for se_block in &plan.se_blocks {
            assert!(se_block.scale.starts_with("on load of "), "{name} at batch {batch}: {se_block}");
        }
        let scales = plan.steps.iter().filter(|step| step.shader.name.starts_with("squeeze_excite/scale"));
        assert_eq!(scales.count(), 0, "{name} at batch {batch}\n{plan}");
    };
    for (name, batch) in [("efficientnet_b0", 1), ("efficientnet_b0", 32), ("regnety_008", 1), ("regnety_008", 32)] {
        for target in [Target::gpu(), Target::integrated()] {
            holds(name, batch, target);
        }
    }
    holds("efficientnet_b0", 1, Target::software());
}

/// VGG-16's first layer at a size other than 224 is a convolution of 411 MB of weights: in blocks of filters where a
/// binding has 128 MiB, with the same work, and nothing else changes.
#[test]
fn weights_that_no_binding_holds_are_split_over_filters() {
    let graph = zoo::build("vgg16_bn", &zoo::Options::default().size([256; 2])).unwrap();
    for target in [Target::gpu(), Target::integrated(), Target::software()] {
        for precision in Precision::ALL {
            let options = PlanOptions::default().precision(precision);
            let [split, whole] =
                [target.clone(), large(target.clone())].map(|target| Plan::new(&graph, 1, &target, &options).unwrap());
            let blocks = |plan: &Plan| plan.steps.iter().filter(|step| step.name == "pre_logits.fc1").count();
            assert_eq!(blocks(&split), if precision == Precision::F32 { 4 } else { 2 }, "{split}");
            assert!(split.weights.iter().all(|weight| weight.bytes <= 128 << 20));
            assert_eq!((split.macs(), split.weight_bytes()), (whole.macs(), whole.weight_bytes()));
            assert_eq!(split.activation_bytes(), whole.activation_bytes());
        }
    }
}

/// Sums and concatenations of thousands of values, all alive at once: four times as many take four times as long.
/// Quadratic steps would make it sixteen.
#[test]
fn wide_graphs_are_planned_in_linear_time() {
    type Join = fn(&mut GraphBuilder, &[Value]) -> excite::Result<Value>;
    let sum: Join = |g, parts| {
        let mut numbered = parts.iter().enumerate().skip(1);
        numbered.try_fold(parts[0], |sum, (i, &part)| g.sum(&format!("sum{i}"), sum, part))
    };
    let concat: Join = |g, parts| g.concat("joined", parts);
    let activation: fn(usize) -> Op = |_| Op::Activation(Act::Tanh);
    let convolution: fn(usize) -> Op = |_| Op::Conv2d(Conv2d::new(4, 1));
    for (name, join, part) in
        [("sum", sum, activation), ("concat", concat, activation), ("concat in place", concat, convolution)]
    {
        let planned = |parts: usize| {
            let mut g = GraphBuilder::new("wide");
            let x = g.input(Shape::map(4, 2, 2)).unwrap();
            let values: Vec<Value> = (0..parts).map(|i| g.add(&format!("part{i}"), part(i), &[x]).unwrap()).collect();
            let y = join(&mut g, &values).unwrap();
            let graph = g.finish(&[("y", y)]).unwrap();
            let time = || {
                let start = Instant::now();
                let plan = Plan::new(&graph, 1, &Target::gpu(), &PlanOptions::default()).unwrap();
                assert!(plan.steps.len() > parts);
                start.elapsed().as_secs_f64()
            };
            (0..3).map(|_| time()).fold(f64::INFINITY, f64::min)
        };
        let [few, many] = [2000, 8000].map(planned);
        println!("{name}: {:.1} ms, {:.1} ms for four times as many", 1e3 * few, 1e3 * many);
        assert!(many < 9.0 * few, "{name}: {few} s, {many} s for four times as many");
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
