//! No GPU: ONNX files as graphs, on the CPU reference. What runs on devices, tests/gpu/onnx.rs proves.

use crate::common::compare::{Tolerance, compare, compare_all, numbers};
use crate::common::golden::{self, Missing, Outcome};
use crate::common::onnx::{Fixture, NodeTest, UNSUPPORTED, fixture_files, node_tests, own_node_tests};
use crate::common::random::random;
use crate::common::random_graph::recipes;
use crate::common::to_onnx::{Attribute, File, Numbers, through_a_file, to_onnx};
use excite::import::onnx::{Onnx, OnnxModel};
use excite::plan::PlanOptions;
use excite::plan::{Plan, Target};
use excite::{Tensor, Weights, zoo};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn folder() -> Option<PathBuf> {
    match golden::folder() {
        Ok(folder) => Some(folder),
        Err(Missing { why, allowed }) => {
            assert!(allowed, "{why}");
            println!("skipped: {why}");
            None
        }
    }
}

#[test]
fn exported_networks_are_what_pytorch_computes() {
    let Some(folder) = folder() else { return };
    let files = fixture_files(&folder).unwrap();
    let check = |file: &str| -> Outcome {
        let fixture = Fixture::read(&folder, file)?;
        let model = fixture.model()?;
        fixture.check_blocks(&model)?;
        let outputs = model.graph.reference(&fixture.input, &model.weights)?;
        let name = &model.graph.outputs()[0].0;
        Ok(compare(&fixture.output, &outputs[name], Tolerance::F32)?)
    };
    let failures: Vec<String> =
        files.iter().filter_map(|file| Some(format!("{file}: {}", check(file).err()?))).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), files.len(), failures.join("\n"));
}

fn reference(model: &OnnxModel, x: &Tensor) -> Outcome<BTreeMap<String, Tensor>> {
    Ok(model.graph.reference(x, &model.weights)?)
}

#[test]
fn node_tests_that_the_project_keeps() {
    let folder = own_node_tests();
    let names = node_tests(&folder).unwrap();
    assert!(names.len() > 20);
    for name in names {
        let result = NodeTest::read(&folder, &name).and_then(|test| test.check(reference));
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The ONNX project's own tests of single nodes. Of those with floats, at least 95 % must pass; all that don't are listed
/// with what the error says.
#[test]
fn node_tests_of_the_onnx_project() {
    let Some(folder) = folder() else { return };
    let folder = folder.join("onnx_node/node");
    let names = node_tests(&folder).unwrap();
    let check = |name: &String| -> Option<String> {
        let result = NodeTest::read(&folder, name).and_then(|test| test.check(reference));
        let expected = UNSUPPORTED.iter().find(|(listed, _)| listed == name).map(|(_, message)| *message);
        match (result, expected) {
            (Ok(()), None) => None,
            (Err(error), Some(message)) if error.to_string().contains(message) => None,
            (Ok(()), Some(_)) => Some(format!("{name} passes, and is listed as unsupported")),
            (Err(error), _) => Some(format!("{name}: {error}")),
        }
    };
    let failures: Vec<String> = names.iter().filter_map(check).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), names.len(), failures.join("\n"));
    let listed = UNSUPPORTED.iter().filter(|(name, _)| names.iter().any(|n| n == name)).count();
    assert_eq!(listed, UNSUPPORTED.len(), "a listed test is not there");
    // Ten of those listed are of integers; they count here, too.
    assert!((names.len() - listed) as f64 >= 0.93 * names.len() as f64);
    let floats =
        UNSUPPORTED.iter().filter(|(name, _)| !name.contains("_types_int") && !name.contains("_shape_")).count();
    assert!((floats as f64) <= 0.05 * (names.len() - 10) as f64, "{floats} of {} float tests", names.len() - 10);
}

#[test]
fn plans_from_files_are_those_of_the_zoo() {
    let check = |name: &str| -> Outcome {
        let graph = zoo::build(name, &Default::default())?;
        let folder = tempfile::tempdir()?;
        let model = through_a_file(&graph, folder.path())?;
        let se_blocks = [&graph, &model.graph].map(|graph| graph.se_blocks().count());
        if se_blocks[0] != se_blocks[1] || model.fixed_batch.is_some() {
            let verdicts: Vec<String> = model.se.iter().map(ToString::to_string).collect();
            return Err(format!("SE blocks {se_blocks:?}, {:?}\n{}", model.fixed_batch, verdicts.join("\n")).into());
        }
        for (target, batch) in
            [(Target::gpu(), 1), (Target::gpu(), 8), (Target::software(), 1), (Target::software(), 8)]
        {
            let plan = |graph| Plan::new(graph, batch, &target, &PlanOptions::default());
            let (own, imported) = (plan(&graph)?, plan(&model.graph)?);
            let se = |plan: &Plan| -> Vec<&str> {
                plan.steps
                    .iter()
                    .map(|step| step.shader.name)
                    .filter(|name| name.starts_with("squeeze_excite/"))
                    .collect()
            };
            let (steps, found) = (own.steps.len(), imported.steps.len());
            if se(&own) != se(&imported) || found.abs_diff(steps) * 20 > steps {
                let all = |plan: &Plan| {
                    plan.steps.iter().map(|s| format!("{} {}\n", s.shader.name, s.name)).collect::<String>()
                };
                return Err(format!(
                    "{:?}, batch {batch}: {steps} steps in the zoo, {found} from the file\nzoo:\n{}file:\n{}",
                    target.family,
                    all(&own),
                    all(&imported)
                )
                .into());
            }
        }
        Ok(())
    };
    let names = [
        "seresnet50",
        "seresnet152d",
        "seresnext50_32x4d",
        "legacy_seresnet18",
        "legacy_seresnext26_32x4d",
        "senet154",
        "resnetrs50",
        "resnet50",
        "efficientnet_b0",
        "tf_efficientnet_b0",
        "tf_efficientnetv2_s",
        "mobilenetv3_large_100",
        "tf_mobilenetv3_large_100",
        "mobilenetv3_small_100",
        "semnasnet_100",
        "mobilenetv1_100",
        "se_mobilenet",
        "regnety_002",
        "regnety_032",
        "se_shufflenet",
        "se_bninception",
        "inception_v3",
        "se_inception_resnet_v2",
        "se_vgg16",
        "xception",
        "densenet121",
        "se_wrn16_8_cifar10",
        "se_shakeshake26_2x96d_cifar10",
        "abl_seresnet50_gate_tanh",
        "abl_seresnet50_squeeze_max",
        "abl_seresnet50_r16_nobias",
        "digits_seresnet",
    ];
    let failures: Vec<String> =
        names.iter().filter_map(|name| Some(format!("{name}: {}", check(name).err()?))).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), names.len(), failures.join("\n"));
}

#[test]
fn random_graphs_through_files() {
    let told = std::cell::Cell::new(0);
    let result = random("random_graphs_through_files", 1000, recipes(8), |recipe| {
        let graph = recipe.graph();
        let weights = Weights::seeded(3, 1.0);
        let bytes = match to_onnx(&graph, Numbers::Of(&weights)) {
            // The writer doesn't know all of our ops.
            Err(message) if message.contains("is not spelt") || message.contains("no file has") => return Ok(()),
            bytes => bytes?,
        };
        told.set(told.get() + 1);
        let text = |e: excite::Error| format!("{e}\n{graph}");
        let model =
            Onnx::from_bytes(bytes, "random.onnx").and_then(|onnx| onnx.model(&Default::default())).map_err(text)?;
        if let Some(reason) = model.fixed_batch {
            return Err(format!("its batch is fixed: {reason}\n{graph}"));
        }
        let input = numbers(5, &graph.input_shape().with_batch(recipe.batch));
        let expected = graph.reference(&input, &weights).map_err(text)?;
        let got = model.graph.reference(&input, &model.weights).map_err(text)?;
        compare_all(&expected, &got, Tolerance::F32).map_err(|e| format!("{e}\n{graph}\n{}", model.graph))
    });
    result.unwrap();
    assert!(told.get() >= 500, "{} of 1000 graphs could be written", told.get());
}

/// What a file of one output makes of the input.
fn answer(file: &File, input: &Tensor, output: (&str, &[usize])) -> Outcome<Vec<f32>> {
    let bytes = file.model(("x", &input.shape()[1..]), &[(output.0, output.1.to_vec())])?;
    let model = Onnx::from_bytes(bytes, "written.onnx")?.model(&Default::default())?;
    assert_eq!(model.fixed_batch, None);
    Ok(model.graph.reference(input, &model.weights)?.remove(output.0).ok_or("has no output")?.into_data())
}

/// A 1x1 convolution whose weights are standardised: of each filter the mean is taken away, and the rest divided by the
/// deviation. Exporters let a batch norm find both, or give them.
#[test]
fn weights_are_standardised() {
    let check = |opset: i64, given: bool| -> Outcome {
        let mut file = File::new(opset);
        let weight = file.store("weight", &Tensor::new([1, 2, 3], vec![1.0, 2.0, 3.0, 5.0, 1.0, 9.0])?)?;
        let gain = file.store("gain", &Tensor::new([2], vec![1.0, 0.5])?)?;
        let zero = file.store("zero", &Tensor::zeros([2]))?;
        let one = file.store("one", &Tensor::full([2], 1.0))?;
        let mean = file.store("mean", &Tensor::new([2], vec![2.0, 5.0])?)?;
        let variance = file.store("variance", &Tensor::new([2], vec![2.0 / 3.0, 32.0 / 3.0])?)?;
        let [mean, variance] = if given { [&mean, &variance] } else { [&zero, &one] };
        let args = [&weight, &gain, &zero, mean, variance].map(String::as_str);
        let eps = Attribute::Float("epsilon", 1e-6);
        // Training: an attribute since 14, more results before.
        let weight = match opset {
            _ if given => file.add("BatchNormalization", &args, &[eps])?,
            14.. => file.add("BatchNormalization", &args, &[eps, Attribute::Int("training_mode", 1)])?,
            _ => file.emit_all("BatchNormalization", &args, &["w", "dead1", "dead2", "dead3", "dead4"], &[eps])?,
        };
        let shape = file.integers(&[2, 3, 1, 1])?;
        let weight = file.add("Reshape", &[&weight, &shape], &[])?;
        file.emit("Conv", &["x", &weight], "y", &[])?;
        let y = answer(&file, &Tensor::new([1, 3, 1, 2], vec![1.0, 1.0, 2.0, 0.0, 4.0, 0.0])?, ("y", &[2, 1, 2]))?;
        // (-1, 0, 1) / sqrt(2/3) and half of (0, -4, 4) / sqrt(32/3).
        let (a, b) = ((1.5f32).sqrt(), (0.375f32).sqrt());
        let expected = [3.0 * a, -a, 2.0 * b, 0.0];
        assert!(
            y.iter().zip(expected).all(|(y, e)| (y - e).abs() < 1e-5),
            "opset {opset}, {given}: {y:?}, expected {expected:?}"
        );
        Ok(())
    };
    [(13, false), (17, false), (17, true)].into_iter().for_each(|(opset, given)| check(opset, given).unwrap());
}

#[test]
fn running_sums() {
    let check = |exclusive: usize, reverse: usize, expected: [f32; 6]| -> Outcome {
        let mut file = File::new(17);
        let axis = file.integers(&[-1])?;
        file.emit(
            "CumSum",
            &["x", &axis],
            "y",
            &[Attribute::Int("exclusive", exclusive), Attribute::Int("reverse", reverse)],
        )?;
        let x = Tensor::new([1, 2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
        assert_eq!(answer(&file, &x, ("y", &[2, 3]))?, expected, "exclusive {exclusive}, reverse {reverse}");
        Ok(())
    };
    check(0, 0, [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]).unwrap();
    check(1, 0, [0.0, 1.0, 3.0, 0.0, 4.0, 9.0]).unwrap();
    check(0, 1, [6.0, 5.0, 3.0, 15.0, 11.0, 6.0]).unwrap();
    check(1, 1, [5.0, 3.0, 0.0, 11.0, 6.0, 0.0]).unwrap();
}

/// A convolution of numbers that no image changes, added to the images.
#[test]
fn constants_are_convolved() {
    let check = || -> Outcome {
        let mut file = File::new(17);
        let code = file.store("code", &Tensor::new([1, 1, 1, 3], vec![1.0, 2.0, 4.0])?)?;
        let weight = file.store("weight", &Tensor::new([2, 1, 1, 2], vec![1.0, 1.0, 1.0, -1.0])?)?;
        let code = file.add("Conv", &[&code, &weight], &[])?;
        file.emit("Add", &["x", &code], "y", &[])?;
        let x = Tensor::new([2, 2, 1, 2], vec![0.0, 0.0, 0.0, 0.0, 10.0, 10.0, 20.0, 20.0])?;
        let y = answer(&file, &x, ("y", &[2, 1, 2]))?;
        assert_eq!(y, [3.0, 6.0, -1.0, -2.0, 13.0, 16.0, 19.0, 18.0]);
        Ok(())
    };
    check().unwrap();
}

/// What is made of the input `[N,2,1,2]` for any batch, or why only for the file's own.
fn imported(write: impl FnOnce(&mut File) -> Result<String, String>, batch: Option<usize>) -> Outcome<OnnxModel> {
    let mut file = File::new(17);
    file.batch = batch;
    let y = write(&mut file)?;
    file.emit("Identity", &[&y], "y", &[])?;
    let bytes = file.model(("x", &[2, 1, 2]), &[("y", vec![2, 1, 2])])?;
    Ok(Onnx::from_bytes(bytes, "written.onnx")?.model(&Default::default())?)
}

/// `x.reshape(shape)`, from numbers in the file.
fn reshaped(shape: &'static [i64]) -> impl FnOnce(&mut File) -> Result<String, String> {
    move |file| {
        let shape = file.integers(shape)?;
        file.add("Reshape", &["x", &shape], &[])
    }
}

#[test]
fn the_batch_is_free_where_images_stay_apart() {
    let x = numbers(5, &[3, 2, 1, 2]);
    let check = |what: &str, model: Outcome<OnnxModel>| {
        let model = model.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(model.fixed_batch, None, "{what}");
        // Element by element the input: only its dimensions have changed.
        let y = model.graph.reference(&x, &model.weights).unwrap().remove("y").unwrap();
        assert_eq!((y.batch(), y.data()), (3, x.data()), "{what}");
    };
    check("-1 takes the batch", imported(reshaped(&[-1, 4]), None));
    check("0 keeps the batch", imported(reshaped(&[0, -1]), None));
    check("the file's batch stands for any", imported(reshaped(&[2, 4]), Some(2)));
    let by_shape = |file: &mut File| {
        let sizes = file.add("Shape", &["x"], &[])?;
        let zero = file.integers(&[0])?;
        let batch = file.add("Gather", &[&sizes, &zero], &[Attribute::Int("axis", 0)])?;
        let rest = file.integers(&[4])?;
        let shape = file.add("Concat", &[&batch, &rest], &[Attribute::Int("axis", 0)])?;
        file.add("Reshape", &["x", &shape], &[])
    };
    check("the batch through shape arithmetic", imported(by_shape, None));
    let whole_slice = |file: &mut File| {
        let [first, last, axis] = [file.integers(&[0])?, file.integers(&[i64::MAX])?, file.integers(&[0])?];
        file.add("Slice", &["x", &first, &last, &axis], &[])
    };
    check("a slice of all images", imported(whole_slice, None));
    let folded = |file: &mut File| {
        let (split, joined) = (file.integers(&[-1, 2])?, file.integers(&[-1, 2, 1, 2])?);
        let rows = file.add("Reshape", &["x", &split], &[])?;
        file.add("Reshape", &[&rows, &joined], &[])
    };
    check("rows of images and back", imported(folded, None));
}

#[test]
fn what_looks_across_images_has_the_files_batch() {
    let check = |what: &str, batch: Option<usize>, write: fn(&mut File) -> Result<String, String>| {
        let model = imported(write, batch).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(model.fixed_batch.is_some(), "{what} has a free batch:\n{}", model.graph);
        // The whole batch is one input then.
        let whole = batch.unwrap_or(1) * 4;
        assert_eq!(model.graph.input_shape().len(), whole, "{what}");
        model
    };
    check("a mean over images", Some(2), |file| file.add("ReduceMean", &["x"], &[Attribute::Ints("axes", vec![0])]));
    check("a softmax over images", Some(2), |file| file.add("Softmax", &["x"], &[Attribute::Int("axis", 0)]));
    check("images as channels", Some(2), |file| {
        file.add("Transpose", &["x"], &[Attribute::Ints("perm", vec![1, 0, 2, 3])])
    });
    check("a constant for each image", Some(2), |file| {
        let c = file.store("c", &Tensor::from_fn([2, 2, 1, 2], |i| i as f32))?;
        file.add("Add", &["x", &c], &[])
    });
    check("one batch joined to the other", Some(2), |file| {
        file.add("Concat", &["x", "x"], &[Attribute::Int("axis", 0)])
    });
    check("half of the images in another dimension", Some(2), |file| reshaped(&[4, 2])(file));
    check("a single image of 1", None, |file| {
        reshaped(&[1, -1])(file).and_then(|y| {
            let axis = file.integers(&[0])?;
            file.add("Squeeze", &[&y, &axis], &[])
        })
    });
    let first = check("the first image", Some(2), |file| {
        let [first, last, axis] = [file.integers(&[0])?, file.integers(&[1])?, file.integers(&[0])?];
        file.add("Slice", &["x", &first, &last, &axis], &[])
    });
    let x = numbers(5, &[1, 2, 2, 1, 2]);
    let y = first.graph.reference(&x, &first.weights).unwrap().remove("y").unwrap();
    assert_eq!(y.data(), &x.data()[..4]);
}

#[test]
fn weights_of_half_precision() {
    let (one, minus_two) = ([0x3c00u16, 0xc000], [0x3f80u16, 0xc000]);
    for (kind, bits) in [(10, one), (16, minus_two)] {
        let raw: Vec<u8> = bits.iter().flat_map(|x| x.to_le_bytes()).collect();
        let write = |file: &mut File| {
            let weight = file.store_raw("weight", &[2, 1, 1, 1], kind, &raw)?;
            file.add("Conv", &["x", &weight], &[Attribute::Int("group", 2)])
        };
        let model = imported(write, None).unwrap();
        let x = numbers(5, &[1, 2, 1, 2]);
        let y = model.graph.reference(&x, &model.weights).unwrap().remove("y").unwrap();
        let expected: Vec<f32> = x.data().iter().zip([1.0, 1.0, -2.0, -2.0]).map(|(x, w)| x * w).collect();
        assert_eq!(y.data(), expected, "type {kind}");
    }
}

/// Additions of a number per channel are norms whose scale is 1: what tells them apart is only what they add.
#[test]
fn additions_have_weights_of_their_own() {
    let check = || -> Outcome {
        let mut file = File::new(17);
        let mut x = "x".to_string();
        for i in 0..3 {
            let shift = file.store(&format!("shift{i}"), &Tensor::full([1, 8, 1, 1], i as f32))?;
            x = file.add("Add", &[&x, &shift], &[])?;
            x = file.add("Sin", &[&x], &[])?;
        }
        file.emit("Identity", &[&x], "y", &[])?;
        let bytes = file.model(("x", &[8, 2, 2]), &[("y", vec![8, 2, 2])])?;
        let model = Onnx::from_bytes(bytes, "written.onnx")?.model(&Default::default())?;
        let plan = Plan::new(&model.graph, 1, &Target::gpu(), &PlanOptions::default())?;
        let shift = |i: usize| {
            plan.weights.iter().any(|weight| format!("{:?}", weight.params).contains(&format!("Add_{i}/Add.bias")))
        };
        assert!([1, 3, 5].into_iter().all(shift), "{:?}", plan.weights);
        Ok(())
    };
    check().unwrap();
}

/// Small files whose answers are worked out by hand: what definitions say in their corners.
#[test]
fn corners_of_definitions() {
    type Write = fn(&mut File) -> Result<String, String>;
    let check = |what: &str, batch: Option<usize>, x: [f32; 4], write: Write, shape: &[usize], expected: &[f32]| {
        let model = imported(write, batch).unwrap_or_else(|e| panic!("{what}: {e}"));
        let x = Tensor::new(model.graph.input_shape().with_batch(1), x.to_vec()).unwrap();
        let y = model.graph.reference(&x, &model.weights).unwrap().remove("y").unwrap();
        assert_eq!(&y.shape()[1..], shape, "{what}");
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1e-3);
        assert!(y.data().iter().zip(expected).all(near), "{what}: {:?}, expected {expected:?}", y.data());
    };
    let counting = [1.0, 2.0, 3.0, 4.0];
    check(
        "a squeezed batch of 1",
        Some(1),
        counting,
        |file| {
            let x = file.add("Squeeze", &["x"], &[])?;
            file.add("ReduceMean", &[&x], &[Attribute::Ints("axes", vec![1]), Attribute::Int("keepdims", 0)])
        },
        &[2],
        &[1.5, 3.5],
    );
    check(
        "fewer sizes than dimensions, the first by chance the batch's",
        Some(2),
        counting,
        |file| {
            let shape = file.integers(&[2, 2, 2])?;
            file.add("Expand", &["x", &shape], &[])
        },
        &[2, 2, 2],
        &[1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0],
    );
    check(
        "twice the batch",
        None,
        counting,
        |file| {
            let sizes = file.add("Shape", &["x"], &[])?;
            let [zero, two, rest] = [file.integers(&[0])?, file.integers(&[2])?, file.integers(&[2, 1, 2])?];
            let batch = file.add("Gather", &[&sizes, &zero], &[Attribute::Int("axis", 0)])?;
            let batch = file.add("Mul", &[&batch, &two], &[])?;
            let shape = file.add("Concat", &[&batch, &rest], &[Attribute::Int("axis", 0)])?;
            file.add("Expand", &["x", &shape], &[])
        },
        &[2, 2, 1, 2],
        &[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0],
    );
    check(
        "sizes of some axes, the first by chance the batch's",
        Some(2),
        counting,
        |file| {
            let sizes = file.integers(&[2])?;
            file.add("Resize", &["x", "", "", &sizes], &[Attribute::Ints("axes", vec![2])])
        },
        &[2, 2, 2],
        &[1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0],
    );
    check(
        "a transposed convolution larger than it would be",
        None,
        counting,
        |file| {
            let weight = file.store("weight", &Tensor::full([2, 1, 1, 2], 1.0))?;
            let shape = Attribute::Ints("output_shape", vec![2, 6]);
            file.add("ConvTranspose", &["x", &weight], &[Attribute::Ints("strides", vec![1, 3]), shape])
        },
        &[1, 2, 6],
        &[4.0, 4.0, 0.0, 6.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    );
    check(
        "each element reduced by itself",
        None,
        counting,
        |file| file.add("ReduceSumSquare", &["x"], &[Attribute::Int("noop_with_empty_axes", 1)]),
        &[2, 1, 2],
        &[1.0, 4.0, 9.0, 16.0],
    );
    check(
        "what is not chosen may be no number",
        None,
        [0.0, 1.0, 2.0, -1.0],
        |file| {
            let log = file.add("Log", &["x"], &[])?;
            let chosen = file.store_raw("chosen", &[2, 1, 2], 9, &[0, 1, 1, 0])?;
            let seven = file.store("seven", &Tensor::full([1], 7.0))?;
            file.add("Where", &[&chosen, &log, &seven], &[])
        },
        &[2, 1, 2],
        &[7.0, 0.0, 2.0f32.ln(), 7.0],
    );
    check(
        "a small deviation",
        None,
        [0.0, 2e-5, 0.0, 2e-5],
        |file| file.add("MeanVarianceNormalization", &["x"], &[Attribute::Ints("axes", vec![1, 2, 3])]),
        &[2, 1, 2],
        &[-0.9999, 0.9999, -0.9999, 0.9999],
    );
    check(
        "sizes by Mod, Clip and Div of integers",
        None,
        counting,
        |file| {
            let [minus_seven, three, nine] = [file.integers(&[-7])?, file.integers(&[3])?, file.integers(&[9])?];
            let [eight, two] = [file.integers(&[8])?, file.integers(&[2])?];
            let rest = file.add("Mod", &[&minus_seven, &three], &[Attribute::Int("fmod", 1)])?;
            let four = file.add("Clip", &[&nine, "", &eight], &[])?;
            let four = file.add("Div", &[&four, &two], &[])?;
            let shape = file.add("Concat", &[&rest, &four], &[Attribute::Int("axis", 0)])?;
            file.add("Reshape", &["x", &shape], &[])
        },
        &[4],
        &counting,
    );
    check(
        "padding below everything",
        None,
        counting,
        |file| {
            let sides = file.integers(&[0, 0, 0, 0, 0, 0, 0, 1])?;
            let least = file.store("least", &Tensor::full([1], f32::NEG_INFINITY))?;
            let x = file.add("Pad", &["x", &sides, &least], &[])?;
            file.add("MaxPool", &[&x], &[Attribute::Ints("kernel_shape", vec![1, 2])])
        },
        &[2, 1, 2],
        &[2.0, 2.0, 4.0, 4.0],
    );
}
