//! Passes keep the meaning of random graphs, and what they make can be planned. No GPU.

use crate::common::compare::{Tolerance, compare_all, numbers};
use crate::common::decomposed_se::{Decomposed, Spelling, spell};
use crate::common::random::random;
use crate::common::random_graph::{Recipe, recipes};
use excite::graph::{InsertSe, Node, SeInit, SeVerdict};
use excite::ops::Op;
use excite::plan::{Family, Target};
use excite::plan::{Fusion, Plan, PlanOptions, SeVariant};
use excite::{Graph, Shape, Tensor, Weights};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Steps of the longest graphs.
const STEPS: usize = 12;

fn check(name: &str, cases: u32, test: impl Fn(&Recipe, &Graph) -> Result<(), String>) {
    let result = random(name, cases, recipes(STEPS), |recipe| {
        let graph = recipe.graph();
        test(&recipe, &graph).map_err(|message| format!("{message}\n{graph}"))
    });
    result.unwrap_or_else(|message| panic!("{message}"));
}

fn data(recipe: &Recipe, graph: &Graph) -> (Tensor, Weights) {
    (numbers(7, &graph.input_shape().with_batch(recipe.batch)), Weights::seeded(7, 1.0))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[test]
fn prepared_graphs_compute_the_same() {
    check("prepared_graphs_compute_the_same", 300, |recipe, graph| {
        let (input, weights) = data(recipe, graph);
        let expected = graph.reference(&input, &weights).map_err(text)?;
        for fusion in Fusion::ALL {
            let prepared = graph.prepare(fusion).map_err(text)?;
            let got = prepared.reference(&input, &weights).map_err(text)?;
            compare_all(&expected, &got, Tolerance::Op).map_err(|e| format!("fusion {fusion}: {e}\n{prepared}"))?;
        }
        Ok(())
    });
}

#[test]
fn prepared_graphs_need_the_same_tensors_and_multiply_adds() {
    check("prepared_graphs_need_the_same_tensors_and_multiply_adds", 300, |_, graph| {
        let tensors = |graph: &Graph| graph.tensors().into_iter().collect::<BTreeSet<_>>();
        for fusion in Fusion::ALL {
            let prepared = graph.prepare(fusion).map_err(text)?;
            if tensors(&prepared) != tensors(graph) {
                return Err(format!("fusion {fusion}: other tensors\n{prepared}"));
            }
            let [now, before] = [&prepared, graph].map(if fusion == Fusion::Full { macs } else { Graph::macs });
            if now != before {
                return Err(format!("fusion {fusion}: {now} multiply-adds, had {before}"));
            }
            let twice = prepared.prepare(fusion).map_err(text)?;
            if twice != prepared {
                return Err(format!("fusion {fusion}: preparing again changes\n{prepared}to\n{twice}"));
            }
        }
        Ok(())
    });
}

#[test]
fn prepared_graphs_can_be_planned() {
    check("prepared_graphs_can_be_planned", 100, |recipe, graph| {
        for target in [Target::gpu(), Target::software()] {
            for options in every_option() {
                let plan = Plan::new(graph, recipe.batch, &target, &options);
                let plan = plan.map_err(|e| format!("{options:?}: {e}"))?;
                let prepared = graph.prepare(options.fusion).map_err(text)?;
                if plan.macs() != recipe.batch as u64 * prepared.macs() {
                    return Err(format!("{options:?}: {} multiply-adds in the plan\n{plan}", plan.macs()));
                }
            }
        }
        Ok(())
    });
}

/// Multiply-adds without those of the first layers of SE blocks, which take in convolutions where they are hoisted in front of
/// them.
fn macs(graph: &Graph) -> u64 {
    let first_layer = |node: &Node| match &node.op {
        Op::SqueezeExcite(op) => (op.reduced * graph.node(node.inputs[0]).shape.channels()) as u64,
        _ => 0,
    };
    graph.macs() - graph.nodes().iter().map(first_layer).sum::<u64>()
}

fn every_option() -> Vec<PlanOptions> {
    let mut all = Vec::new();
    for fusion in Fusion::ALL {
        for family in [None, Some(Family::Direct), Some(Family::Tiled)] {
            for subgroups in [None, Some(false)] {
                let variants = [None, Some(SeVariant::Spread), Some(SeVariant::Excite), Some(SeVariant::Block)];
                all.extend(
                    variants.map(|se| PlanOptions::default().fusion(fusion).family(family).subgroups(subgroups).se(se)),
                );
            }
        }
    }
    all
}

#[test]
fn inserted_blocks_keep_the_meaning_and_go_away_again() {
    check("inserted_blocks_keep_the_meaning_and_go_away_again", 200, |recipe, graph| {
        let plain = graph.remove_se().map_err(text)?;
        if plain.se_blocks().count() > 0 {
            return Err(format!("SE blocks are left\n{plain}"));
        }
        let maps = |node: &Node| matches!(node.shape, Shape::Map { .. });
        let options = InsertSe::ratio(2).init(SeInit::Identity);
        let with = plain.insert_se(&options, maps).map_err(text)?;
        let expected_blocks = plain.nodes().iter().filter(|node| maps(node)).count();
        if with.se_blocks().count() != expected_blocks {
            return Err(format!("{} SE blocks for {expected_blocks} maps\n{with}", with.se_blocks().count()));
        }
        let (input, weights) = data(recipe, graph);
        let [expected, got] = [&plain, &with].map(|graph| graph.reference(&input, &weights).map_err(text));
        compare_all(&expected?, &got?, Tolerance::Exact).map_err(|e| format!("{e}\n{with}"))?;
        if with.remove_se().map_err(text)? != plain {
            return Err(format!("what is left is not what was there\n{with}"));
        }
        Ok(())
    });
}

/// Random graphs with their SE blocks decomposed, for a test of both.
fn check_decomposed(name: &str, cases: u32, test: impl Fn(&Recipe, &Graph, &Decomposed) -> Result<(), String>) {
    let strategy = (recipes(STEPS), prop::collection::vec(any::<Spelling>(), 1..=4));
    let result = random(name, cases, strategy, |(recipe, spellings)| {
        let graph = recipe.graph();
        let decomposed = spell(&graph, &spellings);
        test(&recipe, &graph, &decomposed).map_err(|message| format!("{message}\n{}", decomposed.graph))
    });
    result.unwrap_or_else(|message| panic!("{message}"));
}

#[test]
fn found_blocks_compute_what_was_decomposed() {
    check_decomposed(
        "found_blocks_compute_what_was_decomposed",
        300,
        |recipe, _, Decomposed { graph: decomposed, .. }| {
            let (found, _) = decomposed.find_se().map_err(text)?;
            let (input, weights) = data(recipe, decomposed);
            let expected = decomposed.reference(&input, &weights).map_err(text)?;
            let mut graphs = vec![found.clone()];
            for fusion in Fusion::ALL {
                graphs.push(found.prepare(fusion).map_err(text)?);
            }
            graphs.iter().try_for_each(|graph| {
                let got = graph.reference(&input, &weights).map_err(text)?;
                compare_all(&expected, &got, Tolerance::Op).map_err(|e| format!("{e}\n{graph}"))
            })
        },
    );
}

#[test]
fn blocks_are_found_and_nothing_else() {
    let planted = std::cell::Cell::new([0, 0]);
    check_decomposed(
        "blocks_are_found_and_nothing_else",
        900,
        |_, graph, Decomposed { graph: decomposed, se_blocks }| {
            let (found, candidates) = decomposed.find_se().map_err(text)?;
            if found.se_blocks().count() != *se_blocks {
                return Err(format!(
                    "{} of {se_blocks} SE blocks found: {candidates:?}\n{found}",
                    found.se_blocks().count()
                ));
            }
            let scales = |graph: &Graph| {
                let scales = graph.nodes().iter().filter(|node| matches!(node.op, Op::Scale(_)));
                scales.map(|node| node.name.clone()).collect::<Vec<_>>()
            };
            let judged: Vec<&str> = candidates.iter().map(|candidate| candidate.node.as_str()).collect();
            if let Some(scale) =
                scales(&found).iter().find(|scale| judged.iter().filter(|name| name == scale).count() != 1)
            {
                return Err(format!("not one verdict on {scale}: {candidates:?}"));
            }
            let verdicts: BTreeSet<&str> = candidates
                .iter()
                .filter_map(|candidate| match &candidate.verdict {
                    SeVerdict::Found { se_block } => Some(se_block.as_str()),
                    _ => None,
                })
                .collect();
            if verdicts != found.se_blocks().map(|node| node.name.as_str()).collect() {
                return Err(format!("SE blocks and verdicts differ: {candidates:?}\n{found}"));
            }
            for se_block in found.se_blocks() {
                let name = se_block.name.trim_end_matches(".gate");
                let original = graph.find(name).map(|id| &graph.node(id).op);
                if original != Some(&se_block.op) {
                    return Err(format!("{} is {}, was {original:?}", se_block.name, se_block.op));
                }
            }
            let [right, all] = planted.get();
            planted.set([right + se_blocks, all + graph.se_blocks().count()]);
            Ok(())
        },
    );
    let [right, all] = planted.get();
    assert!(right >= 100 && all - right >= 100, "{right} of {all} SE blocks are right: the cases test little");
}

#[test]
fn split_blocks_are_found_again() {
    check("split_blocks_are_found_again", 200, |_, graph| {
        let (simple, _) = graph.find_se().map_err(text)?;
        let (found, _) = graph.prepare(Fusion::None).map_err(text)?.find_se().map_err(text)?;
        if found == simple { Ok(()) } else { Err(format!("found\n{found}where there was\n{simple}")) }
    });
}
