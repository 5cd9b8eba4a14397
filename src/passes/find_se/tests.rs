use super::*;
use crate::ops::{BatchNorm, Constant, GlobalPool, Linear, Mul, Pool, Reshape};
use crate::passes::assert_same_meaning;
use std::fmt::Write;

type Made = Result<Value>;

/// What `find_se` says of the graph that `build` makes of a map of 8 channels, and the graph that it makes.
fn found(build: impl FnOnce(&mut GraphBuilder, Value) -> Made) -> String {
    let mut g = GraphBuilder::new("g");
    let x = g.input(Shape::map(8, 4, 3)).unwrap();
    let y = build(&mut g, x).unwrap();
    let graph = g.finish(&[("y", y)]).unwrap();
    text(&graph)
}

fn text(graph: &Graph) -> String {
    let (after, candidates) = graph.find_se().unwrap();
    assert_same_meaning(graph, &after);
    let mut text = String::new();
    candidates.iter().for_each(|candidate| writeln!(text, "{candidate}").unwrap());
    format!("{text}{after}")
}

/// The only verdict on the graph that `build` makes, which stays as it is.
fn rejected(build: impl FnOnce(&mut GraphBuilder, Value) -> Made) -> String {
    let text = found(build);
    assert!(!text.contains("squeeze_excite("), "{text}");
    let (verdict, _) = text.split_once("\ngraph g").expect("there is a verdict");
    verdict.into()
}

fn pool(g: &mut GraphBuilder, name: &str, x: Value, kind: PoolKind) -> Made {
    g.add(name, Op::GlobalPool(GlobalPool { kind }), &[x])
}

/// The usual way from a squeeze to a gate.
fn excite(g: &mut GraphBuilder, module: &str, z: Value, [hidden, gate]: [Act; 2]) -> Made {
    let z = g.linear(&format!("{module}.fc1"), z, Linear::new(3))?;
    let z = g.activation(&format!("{module}.relu"), z, hidden)?;
    let z = g.linear(&format!("{module}.fc2"), z, Linear::new(8))?;
    g.activation(&format!("{module}.sigmoid"), z, gate)
}

const USUAL: [Act; 2] = [Act::Relu, Act::Sigmoid];

#[test]
fn linear_layers() {
    let text = found(|g, x| {
        let z = g.global_avg_pool("layer1.0.se.avg_pool", x)?;
        let gate = excite(g, "layer1.0.se", z, [Act::Silu, Act::HardSigmoid])?;
        let x = g.scale("layer1.0.se.mul", x, gate)?;
        // Neither layer has a bias, and the map has more consumers.
        let z = pool(g, "layer1.1.se.max_pool", x, PoolKind::Max)?;
        let z = g.linear("layer1.1.se.fc1", z, Linear { bias: false, ..Linear::new(2) })?;
        let z = g.linear("layer1.1.se.fc2", z, Linear { bias: false, ..Linear::new(8) })?;
        let gate = g.activation("layer1.1.se.gate", z, Act::Tanh)?;
        let y = g.scale("layer1.1.se.mul", x, gate)?;
        g.sum("layer1.1.add", x, y)
    });
    insta::assert_snapshot!(text);
}

#[test]
fn convolutions_on_a_pooled_map() {
    let text = found(|g, x| {
        let x = g.activation("act", x, Act::Silu)?;
        let z = g.add("pool", Op::Pool(Pool { kernel: [4, 3], ..Pool::avg(1) }), &[x])?;
        let z = g.conv2d("se/reduce", z, Conv2d::new(3, 1))?;
        let z = g.activation("hidden", z, Act::LeakyRelu(0.1))?;
        let z = g.flatten("flatten", z)?;
        let z = g.linear("se/expand", z, Linear { act: Act::Sigmoid, ..Linear::new(8) })?;
        g.scale("scale", x, z)
    });
    insta::assert_snapshot!(text);
}

#[test]
fn the_gate_as_a_map() {
    let text = found(|g, x| {
        let z = g.add("pool", Op::Pool(Pool { kernel: [4, 3], ..Pool::avg(1) }), &[x])?;
        let z = g.conv2d("conv1", z, Conv2d::new(3, 1))?;
        let z = g.conv2d("conv2", z, Conv2d::new(8, 1))?;
        let gate = g.activation("sigmoid", z, Act::Sigmoid)?;
        let vector = g.flatten("flatten", gate)?;
        let a = g.scale("scale1", x, gate)?;
        let b = g.scale("scale2", x, vector)?;
        g.sum("sum", a, b)
    });
    insta::assert_snapshot!(text);
}

#[test]
fn a_map_for_other_consumers_of_the_gate() {
    let build = |g: &mut GraphBuilder, x: Value| {
        let z = g.add("pool", Op::Pool(Pool { kernel: [4, 3], ..Pool::avg(1) }), &[x])?;
        let z = g.conv2d("conv1", z, Conv2d::new(3, 1))?;
        let z = g.conv2d("conv2", z, Conv2d::new(8, 1))?;
        let gate = g.activation("sigmoid", z, Act::Sigmoid)?;
        let y = g.scale("scale", x, gate)?;
        let twice = g.scale("twice", gate, gate)?;
        let own = g.add("own", Op::Mul(Mul {}), &[gate, twice])?;
        Ok((gate, g.scale("again", y, own)?))
    };
    insta::assert_snapshot!(found(|g, x| build(g, x).map(|(_, y)| y)));
    let mut g = GraphBuilder::new("g");
    let x = g.input(Shape::map(8, 4, 3)).unwrap();
    let (gate, y) = build(&mut g, x).unwrap();
    let with_gate = g.finish(&[("y", y), ("gate", gate)]).unwrap();
    let (after, _) = with_gate.find_se().unwrap();
    assert_same_meaning(&with_gate, &after);
    assert_eq!(after.se_blocks().count(), 1, "{after}");
}

/// `left * mean + right * max`, then times `last`.
fn mean_and_max(g: &mut GraphBuilder, [a, b]: [Value; 2], [left, right, last]: [f32; 3]) -> Made {
    let mean = g.global_avg_pool("mean", a)?;
    let mean = g.activation("mean.factor", mean, Act::affine(left, 0.0))?;
    let max = pool(g, "max", b, PoolKind::Max)?;
    let max = g.activation("max.factor", max, Act::affine(right, 0.0))?;
    let sum = g.sum("sum", max, mean)?;
    g.activation("squeeze", sum, Act::affine(last, 0.0))
}

#[test]
fn half_of_the_mean_and_half_of_the_maximum() {
    for factors in [[0.5, 0.5, 1.0], [1.0, 1.0, 0.5], [0.25, 0.25, 2.0]] {
        let text = found(|g, x| {
            let z = mean_and_max(g, [x, x], factors)?;
            let gate = excite(g, "se", z, USUAL)?;
            g.scale("scale", x, gate)
        });
        insta::allow_duplicates! { insta::assert_snapshot!("half_of_each", text) };
    }
    for factors in [[0.5, 0.25, 1.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]] {
        let verdict = rejected_gate(|g, x| {
            let z = mean_and_max(g, [x, x], factors)?;
            excite(g, "se", z, USUAL)
        });
        assert!(verdict.ends_with(", which has 2 inputs") || verdict.ends_with("the squeeze is expected"), "{verdict}");
    }
    let two_maps = rejected_gate(|g, x| {
        let other = g.activation("other", x, Act::Tanh)?;
        let z = mean_and_max(g, [x, other], [0.5, 0.5, 1.0])?;
        excite(g, "se", z, USUAL)
    });
    assert_eq!(two_maps, "\"scale\" is no SE block: the gate is made of add \"sum\", which has 2 inputs");
    let half_a_mean = rejected_gate(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let z = g.activation("half", z, Act::affine(0.5, 0.0))?;
        excite(g, "se", z, USUAL)
    });
    assert_eq!(half_a_mean, "\"scale\" is no SE block: activation \"half\" stands where the squeeze is expected");
    let read_twice = rejected(|g, x| {
        let z = mean_and_max(g, [x, x], [0.5, 0.5, 1.0])?;
        let gate = excite(g, "se", z, USUAL)?;
        let x = g.scale("scale", x, gate)?;
        g.scale("again", x, z)
    });
    assert!(
        read_twice.starts_with("\"scale\" is no SE block: add \"sum\" is also read by scale \"again\""),
        "{read_twice}"
    );
}

#[test]
fn reshapes_on_the_way() {
    let text = found(|g, x| {
        let reshape = |shape| Op::Reshape(Reshape { shape });
        let z = g.global_avg_pool("pool", x)?;
        let z = g.add("to_map", reshape(Shape::map(8, 1, 1)), &[z])?;
        let z = g.conv2d("se.fc1", z, Conv2d::new(3, 1))?;
        let z = g.add("to_tensor", reshape(Shape::tensor(&[3, 1, 1])), &[z])?;
        let sigmoid = g.activation("sigmoid", z, Act::Sigmoid)?;
        let z = g.add("swish", Op::Arithmetic(Arithmetic::Mul), &[z, sigmoid])?;
        let z = g.flatten("to_vector", z)?;
        let z = g.linear("se.fc2", z, Linear::new(8))?;
        let z = g.add("back_to_tensor", reshape(Shape::tensor(&[8, 1])), &[z])?;
        let z = g.activation("gate", z, Act::Sigmoid)?;
        let gate = g.add("back_to_map", reshape(Shape::map(8, 1, 1)), &[z])?;
        g.scale("scale", x, gate)
    });
    insta::assert_snapshot!(text);
}

#[test]
fn a_product_of_1x1_maps() {
    let text = found(|g, x| {
        let x = g.conv2d("conv", x, Conv2d { kernel: [4, 3], ..Conv2d::new(8, 1) })?;
        let z = g.global_avg_pool("pool", x)?;
        let gate = excite(g, "se", z, USUAL)?;
        let gate = g.add("to_map", Op::Reshape(Reshape { shape: Shape::map(8, 1, 1) }), &[gate])?;
        let y = g.add("product", Op::Mul(Mul {}), &[gate, x])?;
        // No SE block, and nothing unusual.
        let z = g.activation("tanh", y, Act::Tanh)?;
        g.add("other", Op::Mul(Mul {}), &[y, z])
    });
    insta::assert_snapshot!(text);
}

#[test]
fn a_bias_of_its_own() {
    let text = found(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let z = g.linear("se.fc1", z, Linear { bias: false, ..Linear::new(2) })?;
        let z = g.batch_norm("se.bn", z, BatchNorm::default())?;
        let z = g.activation("se.relu", z, Act::Relu6)?;
        let z = g.linear("se.fc2", z, Linear { bias: false, ..Linear::new(8) })?;
        let gate = g.activation("se", z, Act::Sigmoid)?;
        g.scale("se.scale", x, gate)
    });
    insta::assert_snapshot!(text);
}

#[test]
fn blocks_that_are_there_already() {
    let mut g = GraphBuilder::new("g");
    let x = g.input(Shape::map(8, 4, 3)).unwrap();
    let y = g.squeeze_excite("se", x, SqueezeExcite::new(2)).unwrap();
    let graph = g.finish(&[("y", y)]).unwrap();
    let (after, candidates) = graph.find_se().unwrap();
    assert_eq!(after, graph);
    assert_eq!(candidates[0].to_string(), "\"se.scale\" is SE block \"se\"");
}

#[test]
fn modules_that_hold_more_do_not_name_the_block() {
    let text = found(|g, x| {
        let x = g.conv2d("features.0", x, Conv2d::new(8, 1))?;
        let z = g.global_avg_pool("features.1", x)?;
        let z = g.linear("features.2", z, Linear::new(8))?;
        let z = g.linear("features.3", z, Linear::new(8))?;
        let gate = g.activation("features.4", z, Act::Sigmoid)?;
        g.scale("features.5", x, gate)
    });
    assert!(text.starts_with("\"features.5\" is SE block \"features.4\"\n"), "{text}");
}

#[test]
fn a_scale_or_reshape_with_the_modules_name_keeps_it() {
    let text = found(|g, x| {
        let z = g.global_avg_pool("se.pool", x)?;
        let gate = excite(g, "se", z, USUAL)?;
        let y = g.scale("se", x, gate)?;
        let z = g.global_avg_pool("other.pool", y)?;
        let gate = excite(g, "other", z, USUAL)?;
        let gate = g.add("other", Op::Reshape(Reshape { shape: Shape::map(8, 1, 1) }), &[gate])?;
        let z = g.scale("other.scale", y, gate)?;
        // Not the map that was squeezed.
        g.scale("more", z, gate)
    });
    insta::assert_snapshot!(text);
}

#[test]
fn one_layer() {
    let text = found(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let z = g.linear("fc", z, Linear::new(8))?;
        let gate = g.activation("hard_sigmoid", z, Act::HardSigmoid)?;
        g.scale("scale", x, gate)
    });
    insta::assert_snapshot!(text);
}

#[test]
fn outputs_on_the_way() {
    let mut g = GraphBuilder::new("g");
    let x = g.input(Shape::map(8, 4, 3)).unwrap();
    let z = g.global_avg_pool("pool", x).unwrap();
    let gate = excite(&mut g, "se", z, USUAL).unwrap();
    let y = g.scale("scale", x, gate).unwrap();
    let of_gate = g.finish(&[("y", y), ("gate", gate)]).unwrap();
    insta::assert_snapshot!(text(&of_gate));
    let pooled = of_gate.clone().with_every_output();
    assert!(text(&pooled).starts_with("\"scale\" is no SE block: linear \"se.fc2\" is an output\n"));
}

/// Verdicts on a map of 8 channels scaled by what `gate` makes of it.
fn rejected_gate(gate: impl FnOnce(&mut GraphBuilder, Value) -> Made) -> String {
    rejected(|g, x| {
        let gate = gate(g, x)?;
        g.scale("scale", x, gate)
    })
}

/// The mean of a map, as a 1x1 map.
fn mean_map(g: &mut GraphBuilder, x: Value) -> Made {
    g.add("mean", Op::Pool(Pool { kernel: [4, 3], ..Pool::avg(1) }), &[x])
}

#[test]
fn gates_that_are_made_otherwise() {
    let no_gate_function = rejected_gate(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        excite(g, "se", z, [Act::Relu, Act::Identity])
    });
    let no_layer = rejected_gate(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        g.activation("sigmoid", z, Act::Sigmoid)
    });
    let three_layers = rejected_gate(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let z = g.linear("fc0", z, Linear::new(5))?;
        excite(g, "se", z, USUAL)
    });
    let no_squeeze = rejected(|g, x| {
        let x = g.global_avg_pool("pool", x)?;
        let gate = excite(g, "se", x, USUAL)?;
        g.scale("scale", x, gate)
    });
    // The channel attention of CBAM: both squeezes through one MLP, then a sum.
    let cbam = rejected_gate(|g, x| {
        let a = g.global_avg_pool("avg_pool", x)?;
        let a = excite(g, "mlp_avg", a, [Act::Relu, Act::Identity])?;
        let m = pool(g, "max_pool", x, PoolKind::Max)?;
        let m = excite(g, "mlp_max", m, [Act::Relu, Act::Identity])?;
        let sum = g.sum("sum", a, m)?;
        g.activation("sigmoid", sum, Act::Sigmoid)
    });
    let groups = rejected_gate(|g, x| {
        let z = mean_map(g, x)?;
        let z = g.conv2d("se.conv1", z, Conv2d::new(4, 1))?;
        let z = g.activation("relu", z, Act::Relu)?;
        let z = g.conv2d("se.conv2", z, Conv2d::new(8, 1).groups(4))?;
        g.activation("sigmoid", z, Act::Sigmoid)
    });
    // Efficient channel attention: a convolution along the channels.
    let eca = rejected_gate(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let z = g.add("row", Op::Reshape(Reshape { shape: Shape::map(1, 1, 8) }), &[z])?;
        let padding = Padding { left: 1, right: 1, ..Padding::default() };
        let z = g.conv2d("conv", z, Conv2d { kernel: [1, 3], padding, ..Conv2d::new(1, 1) })?;
        let z = g.activation("sigmoid", z, Act::Sigmoid)?;
        g.flatten("gate", z)
    });
    let layer_scale = rejected_gate(|g, _| g.add("gamma", Op::Constant(Constant { shape: Shape::vector(8) }), &[]));
    let two_functions = rejected_gate(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let z = g.linear("fc1", z, Linear::new(3))?;
        let z = g.linear("fc2", z, Linear { act: Act::Silu, ..Linear::new(8) })?;
        g.activation("sigmoid", z, Act::Sigmoid)
    });
    let norm_of_the_squeeze = rejected_gate(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let z = g.batch_norm("bn", z, BatchNorm::default())?;
        excite(g, "se", z, USUAL)
    });
    let verdicts = [
        no_gate_function,
        no_layer,
        three_layers,
        no_squeeze,
        cbam,
        groups,
        eca,
        layer_scale,
        two_functions,
        norm_of_the_squeeze,
    ];
    insta::assert_snapshot!(verdicts.join("\n"));
}

#[test]
fn squeezes_of_something_else() {
    let of_the_input = rejected(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let gate = excite(g, "se", z, USUAL)?;
        let y = g.conv2d("conv", x, Conv2d::new(8, 1))?;
        g.scale("scale", y, gate)
    });
    let one_layer_of_the_input = rejected(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let z = g.linear("fc", z, Linear::new(8))?;
        let gate = g.activation("sigmoid", z, Act::Sigmoid)?;
        let y = g.conv2d("conv", x, Conv2d::new(8, 1))?;
        g.scale("scale", y, gate)
    });
    // Each branch is scaled by what the other says.
    let crossed = rejected(|g, x| {
        let a = g.conv2d("conv_a", x, Conv2d::new(8, 1))?;
        let b = g.conv2d("conv_b", x, Conv2d::new(8, 1))?;
        let z = g.global_avg_pool("pool_a", a)?;
        let gate_a = excite(g, "se_a", z, USUAL)?;
        let z = g.global_avg_pool("pool_b", b)?;
        let gate_b = excite(g, "se_b", z, USUAL)?;
        let a = g.scale("scale_a", a, gate_b)?;
        let b = g.scale("scale_b", b, gate_a)?;
        g.sum("sum", a, b)
    });
    let of_a_part = rejected_gate(|g, x| {
        let z = g.add("part", Op::Pool(Pool { kernel: [3, 3], ..Pool::avg(1) }), &[x])?;
        let z = g.add("second", Op::Pool(Pool { kernel: [2, 1], ..Pool::max(1) }), &[z])?;
        let z = g.conv2d("fc1", z, Conv2d::new(8, 1))?;
        let z = g.conv2d("fc2", z, Conv2d::new(8, 1))?;
        g.activation("sigmoid", z, Act::Sigmoid)
    });
    let by_a_convolution = rejected_gate(|g, x| {
        let z = g.conv2d("whole", x, Conv2d { kernel: [4, 3], ..Conv2d::new(4, 1) })?;
        let z = g.conv2d("fc2", z, Conv2d::new(8, 1))?;
        g.activation("sigmoid", z, Act::Sigmoid)
    });
    let verdicts = [of_the_input, one_layer_of_the_input, crossed, of_a_part, by_a_convolution];
    insta::assert_snapshot!(verdicts.join("\n"));
}

#[test]
fn other_consumers() {
    let pool_read_twice = rejected(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let gate = excite(g, "se", z, USUAL)?;
        let x = g.scale("scale", x, gate)?;
        g.scale("by_the_mean", x, z)
    });
    let hidden_read_twice = rejected(|g, x| {
        let z = g.global_avg_pool("pool", x)?;
        let hidden = g.linear("fc1", z, Linear { act: Act::Relu, ..Linear::new(8) })?;
        let z = g.linear("fc2", hidden, Linear::new(8))?;
        let gate = g.activation("sigmoid", z, Act::Sigmoid)?;
        let x = g.scale("scale", x, gate)?;
        g.scale("by_hidden", x, hidden)
    });
    insta::assert_snapshot!([pool_read_twice, hidden_read_twice].join("\n"));
}

#[test]
fn what_is_no_scale() {
    // The paper's control without a squeeze, and the head of MobileNetV3.
    let verdicts = rejected(|g, x| {
        let y = g.conv2d("spatial", x, Conv2d::new(8, 1))?;
        let y = g.activation("sigmoid", y, Act::Sigmoid)?;
        let x = g.add("product", Op::Mul(Mul {}), &[x, y])?;
        let x = g.global_avg_pool("head.pool", x)?;
        let x = g.linear("head.fc1", x, Linear::new(5))?;
        let x = g.activation("head.act", x, Act::HardSwish)?;
        g.linear("head.fc2", x, Linear::new(3))
    });
    insta::assert_snapshot!(verdicts);
    // Spatial attention, repeated over the channels.
    let verdict = rejected(|g, x| {
        let y = g.conv2d("spatial", x, Conv2d::new(1, 1))?;
        let y = g.activation("sigmoid", y, Act::Sigmoid)?;
        let [x, y] = [(x, 8, "x"), (y, 1, "y")].map(|(value, channels, name)| {
            g.add(name, Op::Reshape(Reshape { shape: Shape::tensor(&[channels, 4, 3]) }), &[value])
        });
        g.add("product", Op::Arithmetic(Arithmetic::Mul), &[x?, y?])
    });
    assert_eq!(verdict, "\"product\" is no SE block: gate \"sigmoid\" is 1x4x3, not one number per channel");
    // SiLU is no gate, and a classifier of one layer is nothing unusual.
    let nothing = found(|g, x| {
        let y = g.activation("sigmoid", x, Act::Sigmoid)?;
        let x = g.add("silu", Op::Mul(Mul {}), &[x, y])?;
        let x = g.global_avg_pool("pool", x)?;
        g.linear("fc", x, Linear::new(3))
    });
    assert!(nothing.starts_with("graph g\n"), "{nothing}");
}
