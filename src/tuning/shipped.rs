//! Tunings of adapters that were measured, as part of the crate. `assets/tuning/README.md` says how one is added.

use super::Tuning;

/// Files of `assets/tuning` by their names, and what they hold.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../assets/tuning/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = files!["tuning-vulkan-10005-0000-f32-5731e1f7b9c4fc62.json"];

/// The tuning that ships for the same as `wanted`.
pub(crate) fn find_shipped(wanted: &Tuning) -> Option<Tuning> {
    find(FILES, wanted)
}

/// The tuning among files that is for the same as `wanted`.
fn find(files: &[(&str, &str)], wanted: &Tuning) -> Option<Tuning> {
    let name = wanted.own_file_name();
    let (_, text) = files.iter().find(|(found, _)| *found == name)?;
    let tuning = Tuning::parse(text).expect("a test has read every file");
    tuning.is_for_the_same(wanted).then_some(tuning)
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;
    use crate::kernels::MatrixSize;
    use crate::ops::{Conv2d, Gating, Padding};
    use crate::plan::{Choice, Plan, PlanOptions, Precision, Target};
    use crate::schedule::convolution::{Kind, Problem, kind};
    use crate::tensor::Shape;
    use crate::tuning::{Adapter, Tuned};
    use crate::zoo;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    /// The convolution that a key describes.
    fn problem(key: &str) -> Option<Problem> {
        let mut words = key.split(' ').peekable();
        let pair = |text: &str| {
            let (a, b) = text.split_once('x')?;
            Some([a.parse().ok()?, b.parse().ok()?])
        };
        let shape = |text: &str| {
            let sides = text.split('x').map(|side| side.parse().ok()).collect::<Option<Vec<usize>>>()?;
            let &[channels, height, width] = sides.as_slice() else { return None };
            Some(Shape::map(channels, height, width))
        };
        let mut op = Conv2d::new(0, 1);
        let named = words.next()?;
        if named != "conv2d/pointwise" {
            op.kernel = pair(words.next()?)?;
            words.next().filter(|word| *word == "stride")?;
            op.stride = pair(words.next()?)?;
        }
        if words.next_if_eq(&"dilation").is_some() {
            op.dilation = pair(words.next()?)?;
        }
        if words.next_if_eq(&"groups").is_some() {
            op.groups = words.next()?.parse().ok()?;
        }
        let input = shape(words.next()?)?;
        words.next().filter(|word| *word == "to")?;
        let output = shape(words.next()?)?;
        words.next().filter(|word| *word == "batch")?;
        let batch = words.next()?.parse().ok()?;
        let fused: Vec<&str> = words.collect();
        let is = |word| fused.contains(&word);
        op.out_channels = output.channels();
        op.gate = match (is("+gate"), is("+output_gate")) {
            (true, _) => Gating::Input,
            (_, true) => Gating::Output,
            _ => Gating::None,
        };
        op.residual = is("+residual");
        if named == "conv2d/depthwise" {
            op.groups = input.channels();
        }
        // Keys have no padding: such as gives the output.
        let around = |size: usize, out: usize, i: usize| {
            ((out - 1) * op.stride[i] + (op.kernel[i] - 1) * op.dilation[i] + 1).saturating_sub(size)
        };
        let (rows, columns) = (around(input.height(), output.height(), 0), around(input.width(), output.width(), 1));
        op.padding = Padding { top: 0, bottom: rows, left: 0, right: columns };
        let kind: Kind = kind(&op, input)?;
        Some(Problem {
            kind,
            op,
            input,
            output,
            batch,
            sums: is("+sums"),
            block: is("+residual_end"),
            nchw: is("+nchw"),
        })
    }

    /// Refuses a file that would be of no use where it claims to be for.
    fn check(name: &str, text: &str) -> Result<Tuning, String> {
        let tuning = Tuning::parse(text)?;
        let expected = tuning.own_file_name();
        if name != expected {
            return Err(format!("is for what {expected} should be named for"));
        }
        for (key, tuned) in tuning.shapes() {
            let found = problem(key).filter(|problem| problem.key() == key);
            let candidates = found.ok_or_else(|| format!("\"{key}\" is no convolution"))?.candidates();
            let choices =
                [&tuned.choice, &tuned.untuned].into_iter().chain(tuned.milliseconds.keys()).chain(&tuned.once);
            if let Some(choice) = choices.into_iter().find(|choice| !candidates.contains(choice)) {
                return Err(format!("\"{key}\": {choice} is none of its candidates; tune again"));
            }
            if tuned.speed_up().is_none_or(|times| times < 1.0) {
                return Err(format!("\"{key}\": {} was not measured to be the faster", tuned.choice));
            }
        }
        Ok(tuning)
    }

    #[test]
    fn every_file_is_for_what_its_name_says_and_has_candidates_only() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/tuning");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let there: BTreeSet<String> = names.filter(|name| name.ends_with(".json")).collect();
        let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(there, listed, "files of assets/tuning, and FILES");
        for (name, text) in FILES {
            let tuning = check(name, text).unwrap_or_else(|message| panic!("assets/tuning/{name}: {message}"));
            assert_eq!(find(FILES, &tuning), Some(tuning));
        }
    }

    /// A file such as `excite tune` would write, of all convolutions of some networks.
    fn made() -> Tuning {
        let names = ["Vulkan", "0x10de", "0x2684", "A \"GPU\"", "NVIDIA", "580.1"].map(String::from);
        let mut tuning = Tuning { adapter: Adapter(names), ..Tuning::untied(Precision::F16) };
        let options = zoo::Options { size: Some([64, 64]), ..Default::default() };
        for name in
            ["seresnet50", "seresnext50_32x4d", "efficientnet_b0", "tf_efficientnet_b0", "abl_seresnet50_squeeze_max"]
        {
            let graph = zoo::build(name, &options).unwrap();
            for target in [Target::gpu(), Target::software()] {
                let plan = Plan::new(&graph, 2, &target, &PlanOptions::default()).unwrap();
                for (key, untuned, candidates) in plan.choices() {
                    let milliseconds: BTreeMap<Choice, f64> = candidates.iter().map(|&choice| (choice, 0.5)).collect();
                    let (choice, once) = (candidates[0], candidates.last().copied().into_iter().collect());
                    tuning.shapes.insert(key, Tuned { choice, untuned, milliseconds, once });
                }
            }
        }
        tuning
    }

    #[test]
    fn a_file_that_is_of_no_use_is_found_out() {
        let made = made();
        let (name, text) = (made.own_file_name(), made.document().to_string());
        assert!(name.starts_with("tuning-vulkan-10de-2684-f16-"), "{name}");
        assert_eq!(check(&name, &text).unwrap(), made);
        let key = "conv2d/pointwise 64x16x16 to 256x16x16 batch 2 +output_gate";
        let fused = [" +gate", " +output_gate", " +residual", " +sums", " +residual_end", " +nchw"];
        let parts = fused.into_iter().chain([" groups 32", "depthwise 5x5 stride 2x2"]);
        let lacks = parts.into_iter().find(|part| !made.shapes.keys().any(|key| key.contains(part)));
        assert!(made.shapes.contains_key(key) && lacks.is_none(), "{lacks:?} {:?}", made.shapes.keys());

        let refused = |name: &str, tuning: &Tuning| check(name, &tuning.document().to_string()).unwrap_err();
        let cooperative = Tuning { cooperative: Some(MatrixSize::Sixteen), ..made.clone() };
        assert!(cooperative.own_file_name().starts_with("tuning-vulkan-10de-2684-f16-cooperative-16x16-"));
        assert!(refused(&name, &cooperative).starts_with("is for what tuning-vulkan-10de-2684-f16-cooperative-"));
        let mut other = made.clone();
        other.shapes.get_mut(key).unwrap().choice = Choice::Winograd;
        assert_eq!(refused(&name, &other), format!("\"{key}\": winograd is none of its candidates; tune again"));
        let mut other = made.clone();
        other.set(key, Choice::Direct { vec4s: 2 });
        assert!(refused(&name, &other).ends_with("direct 2 was not measured to be the faster"));
        let mut other = made.clone();
        other.set("conv2d/pointwise 64x16x16 to 256x16 batch 2", Choice::Direct { vec4s: 2 });
        assert!(refused(&name, &other).ends_with("is no convolution"));
        assert!(check(&name, &text[1..]).unwrap_err().contains("no JSON"));
    }

    #[test]
    fn what_ships_is_found_for_the_same_adapter_only() {
        let made = made();
        let (name, text) = (made.own_file_name(), made.document().to_string());
        let files = [("another.json", ""), (name.as_str(), text.as_str())];
        assert_eq!(find(&files, &Tuning { shapes: BTreeMap::new(), ..made.clone() }), Some(made.clone()));
        let mut newer = made.clone();
        newer.adapter.0[5] = "580.2".into();
        for other in [
            newer,
            Tuning { precision: Precision::F32, ..made.clone() },
            Tuning { cooperative: Some(MatrixSize::Eight), ..made },
        ] {
            assert_eq!(find(&files, &other), None);
        }
    }
}
