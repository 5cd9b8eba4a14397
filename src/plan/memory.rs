//! Which buffer every value lives in. Values that don't live at the same time share one; no step reads and writes one
//! buffer, because wgpu tracks hazards by the buffer.

use super::{Binding, Plan, ValueId};
use std::collections::{BTreeSet, HashSet};

/// Gives every value a buffer: in order of first use, the free buffer that fits best, or a new one. Values that are
/// `external` are in buffers of the caller's and get none.
pub(super) fn assign(plan: &mut Plan, external: &[ValueId]) {
    let lives = lifetimes(plan);
    let external: HashSet<&ValueId> = external.iter().collect();
    let mut order: Vec<usize> =
        (0..plan.values.len()).filter(|&v| lives[v].is_some() && !external.contains(&ValueId(v))).collect();
    order.sort_by_key(|&v| lives[v].map(|(first, _)| first));
    // Buffers that are needed, by the last step that does; and the others by their size.
    let mut busy: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut free: BTreeSet<(u64, usize)> = BTreeSet::new();
    for value in order {
        let (first, last) = lives[value].expect("only values with a life are ordered");
        let need = plan.values[value].bytes;
        while let Some(&(until, buffer)) = busy.first().filter(|(until, _)| *until < first) {
            busy.remove(&(until, buffer));
            free.insert((plan.buffers[buffer], buffer));
        }
        // The smallest that is large enough; else the largest, which grows. The first of equal ones.
        let largest = free.last().map_or(0, |&(size, _)| size);
        let best = free.range((need.min(largest), 0)..).next().copied();
        let buffer = match best {
            Some(best) => {
                free.remove(&best);
                best.1
            }
            None => {
                plan.buffers.push(0);
                plan.buffers.len() - 1
            }
        };
        plan.buffers[buffer] = plan.buffers[buffer].max(need);
        busy.insert((last, buffer));
        plan.values[value].buffer = buffer;
    }
}

/// Gives every value a buffer of its own, for runs that look for writes outside of values.
pub(crate) fn unshare(plan: &mut Plan) {
    plan.buffers.clear();
    for value in plan.values.iter_mut().filter(|value| value.buffer != usize::MAX) {
        value.buffer = plan.buffers.len();
        plan.buffers.push(value.bytes);
    }
}

/// First and last moment that every value is needed: step `i` is moment `i + 1`, the upload of the input is 0, the
/// reading of outputs comes after all steps.
fn lifetimes(plan: &Plan) -> Vec<Option<(usize, usize)>> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; plan.values.len()];
    let mut touch = |ValueId(value): ValueId, moment: usize| {
        let (first, last) = lives[value].unwrap_or((moment, moment));
        lives[value] = Some((first.min(moment), last.max(moment)));
    };
    touch(plan.input, 0);
    for (i, step) in plan.steps.iter().enumerate() {
        for binding in &step.bindings {
            if let Binding::Value(value) = *binding {
                touch(value, i + 1);
            }
        }
    }
    for output in &plan.outputs {
        touch(output.value, plan.steps.len() + 1);
    }
    lives
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Conv2d;
    use crate::plan::{PlanOptions, Target};
    use crate::{GraphBuilder, Shape};

    #[test]
    fn a_concatenation_lives_from_its_first_part_on() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(8, 8, 8)).unwrap();
        let first = g.conv2d("first", x, Conv2d::new(8, 1)).unwrap();
        let middle = g.conv2d("middle", x, Conv2d::new(20, 1)).unwrap();
        let second = g.conv2d("second", middle, Conv2d::new(12, 1)).unwrap();
        let both = g.concat("both", &[first, second]).unwrap();
        let y = g.conv2d("y", both, Conv2d::new(8, 1)).unwrap();
        let graph = g.finish(&[("y", y)]).unwrap();
        let plan = Plan::new(&graph, 1, &Target::gpu(), &PlanOptions::default()).unwrap();
        let both = plan.values.iter().position(|value| value.name == "both").unwrap();
        let names: Vec<_> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["input/pack", "first", "middle", "second", "y", "y/unpack"]);
        assert_eq!(lifetimes(&plan)[both], Some((2, 5)));
        let [part, bytes] = [8, 20].map(|channels| 4 * 64 * channels);
        let first = &plan.steps[1];
        assert_eq!((first.part, plan.bytes_written(first)), (Some((ValueId(both), part)), part));
        assert_eq!((plan.steps[3].part, plan.steps[4].part), (Some((ValueId(both), 4 * 64 * 12)), None));
        assert_eq!(plan.values[both].bytes, bytes);
        for (index, step) in plan.steps.iter().enumerate() {
            let buffer = |binding: Binding| match binding {
                Binding::Value(id) => plan.values[id.0].buffer,
                Binding::Weight(_) => usize::MAX,
            };
            let read: Vec<_> = step.reads().into_iter().map(buffer).collect();
            assert!(step.writes().into_iter().all(|binding| !read.contains(&buffer(binding))), "step {index}\n{plan}");
        }
    }

    #[test]
    fn values_alive_together_never_share() {
        let mut g = GraphBuilder::new("g");
        let x = g.input(Shape::map(8, 8, 8)).unwrap();
        let mut value = g.conv2d("stem", x, Conv2d::new(8, 3).padding(1)).unwrap();
        for i in 0..6 {
            let branch = g.conv2d(&format!("conv{i}"), value, Conv2d::new(8, 3).padding(1)).unwrap();
            value = g.sum(&format!("sum{i}"), branch, value).unwrap();
        }
        let graph = g.finish(&[("y", value)]).unwrap();
        for fusion in crate::plan::Fusion::ALL {
            let options = PlanOptions { fusion, ..Default::default() };
            let plan = Plan::new(&graph, 2, &Target::gpu(), &options).unwrap();
            let lives = lifetimes(&plan);
            for a in 0..plan.values.len() {
                for b in 0..a {
                    let (Some(life_a), Some(life_b)) = (lives[a], lives[b]) else { continue };
                    let apart = life_a.1 < life_b.0 || life_b.1 < life_a.0;
                    assert!(apart || plan.values[a].buffer != plan.values[b].buffer, "{fusion}: {a} and {b}");
                }
                assert!(plan.values[a].bytes <= plan.buffers[plan.values[a].buffer]);
            }
            assert!(plan.buffers.len() <= 4, "{fusion}: {} buffers", plan.buffers.len());
        }
    }
}
