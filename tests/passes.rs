//! Passes keep the meaning of random graphs, and what they make can be planned. No GPU.

mod common;

use common::compare::{Tolerance, compare_all, numbers};
use common::random::random;
use common::random_graph::{Recipe, recipes};
use excite::plan::{Family, Target};
use excite::{Fusion, Graph, InsertSe, Node, Plan, PlanOptions, SeForm, SeInit, Shape, Tensor, Weights};
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
            if prepared.macs() != graph.macs() {
                return Err(format!("fusion {fusion}: {} multiply-adds, had {}", prepared.macs(), graph.macs()));
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
                if plan.macs() != recipe.batch as u64 * graph.macs() {
                    return Err(format!("{options:?}: {} multiply-adds in the plan\n{plan}", plan.macs()));
                }
            }
        }
        Ok(())
    });
}

fn every_option() -> Vec<PlanOptions> {
    let mut all = Vec::new();
    for fusion in Fusion::ALL {
        for family in [None, Some(Family::Direct), Some(Family::Tiled)] {
            for subgroups in [None, Some(false)] {
                let forms = [None, Some(SeForm::Spread), Some(SeForm::Excite), Some(SeForm::Block)];
                all.extend(forms.map(|se| PlanOptions { fusion, family, subgroups, se, ..Default::default() }));
            }
        }
    }
    all
}

#[test]
fn inserted_stages_keep_the_meaning_and_go_away_again() {
    check("inserted_stages_keep_the_meaning_and_go_away_again", 200, |recipe, graph| {
        let plain = graph.remove_se().map_err(text)?;
        if plain.se_stages().count() > 0 {
            return Err(format!("stages are left\n{plain}"));
        }
        let maps = |node: &Node| matches!(node.shape, Shape::Map { .. });
        let options = InsertSe { init: SeInit::Identity, ..InsertSe::ratio(2) };
        let with = plain.insert_se(&options, maps).map_err(text)?;
        let expected_stages = plain.nodes().iter().filter(|node| maps(node)).count();
        if with.se_stages().count() != expected_stages {
            return Err(format!("{} stages for {expected_stages} maps\n{with}", with.se_stages().count()));
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
