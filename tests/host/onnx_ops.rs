//! No GPU: single ops of ONNX files, with small answers worked out by hand or by PyTorch, on the CPU reference.

use crate::common::compare::numbers;
use crate::common::golden::Outcome;
use crate::common::to_onnx::Attribute::{Float, Int, Ints, Text};
use crate::common::to_onnx::{File, ZEROS};
use excite::Tensor;
use excite::import::onnx::{Onnx, OnnxModel, OnnxOptions};
use excite::plan::PlanOptions;
use excite::plan::{Plan, Target};

/// A file of one output, imported.
fn model(opset: i64, input: &[usize], write: impl FnOnce(&mut File) -> Result<String, String>) -> Outcome<OnnxModel> {
    let mut file = File::new(opset);
    let y = write(&mut file)?;
    file.emit("Identity", &[&y], "y", &[])?;
    let bytes = file.model(("x", &input[1..]), &[("y", vec![])])?;
    Ok(Onnx::from_bytes(bytes, "written.onnx")?.model(&Default::default())?)
}

/// What the file makes of `x`, whose batch must be free; equal up to the last digits.
fn check(what: &str, x: &Tensor, write: impl FnOnce(&mut File) -> Result<String, String>, expected: &[f32]) {
    let model = model(19, x.shape(), write).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(model.fixed_batch, None, "{what}");
    let y = model.graph.reference(x, &model.weights).unwrap_or_else(|e| panic!("{what}: {e}")).remove("y").unwrap();
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 5e-6 * b.abs().max(1.0);
    assert!(
        y.data().len() == expected.len() && y.data().iter().zip(expected).all(near),
        "{what}: {:?}, expected {expected:?}",
        y.data()
    );
}

fn refusal(what: &str, x: &[usize], write: impl FnOnce(&mut File) -> Result<String, String>) -> String {
    model(19, x, write).map(|_| ()).expect_err(what).to_string()
}

fn tensor(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor::new(shape, data.to_vec()).unwrap()
}

#[test]
fn norms_of_zeros_are_zeros() {
    // Along the channels: (0, 0) and (3, 4).
    let x = tensor(&[1, 2, 1, 2], &[0.0, 3.0, 0.0, 4.0]);
    for (p, expected) in [(2, [0.0, 0.6, 0.0, 0.8]), (1, [0.0, 3.0 / 7.0, 0.0, 4.0 / 7.0])] {
        let write = |file: &mut File| file.add("LpNormalization", &["x"], &[Int("axis", 1), Int("p", p)]);
        check("LpNormalization", &x, write, &expected);
    }
}

fn resize<'a>(
    length: Result<i64, f32>,
    attributes: &'a [(&'a str, &'a str)],
    more: &'a [(&'a str, f32)],
) -> impl FnOnce(&mut File) -> Result<String, String> + 'a {
    move |file| {
        let text = attributes.iter().map(|&(name, value)| Text(name, value));
        let numbers = more.iter().map(|&(name, value)| match name {
            "cubic_coeff_a" => Float(name, value),
            _ => Int(name, value as usize),
        });
        let attributes: Vec<_> = text.chain(numbers).collect();
        match length {
            Ok(length) => {
                let sizes = file.integers(&[1, 1, 1, length])?;
                file.add("Resize", &["x", "", "", &sizes], &attributes)
            }
            Err(scale) => {
                let scales = file.store("scales", &tensor(&[4], &[1.0, 1.0, 1.0, scale]))?;
                file.add("Resize", &["x", "", &scales], &attributes)
            }
        }
    }
}

/// 5 elements by 0.7 are a length of 3.5, of which 3 are there: places 0, 1.6 and 3.2. By sizes they are 0, 2 and 4.
#[test]
fn aligned_corners_have_the_length_before_it_is_rounded() {
    let x = tensor(&[1, 1, 1, 5], &[0.0, 1.0, 4.0, 9.0, 16.0]);
    let aligned = [("mode", "linear"), ("coordinate_transformation_mode", "align_corners")];
    check("a scale", &x, resize(Err(0.7), &aligned, &[]), &[0.0, 2.8, 10.4]);
    check("sizes", &x, resize(Ok(3), &aligned, &[]), &[0.0, 4.0, 16.0]);
}

/// What PyTorch's `interpolate` gives: `bicubic`, then both with `antialias`.
#[test]
fn cubic_and_antialiased_resizing() {
    let x = tensor(&[1, 1, 1, 7], &[1.0, -2.0, 3.0, 5.0, 0.0, 4.0, -1.0]);
    let cubic = [("mode", "cubic")];
    let up = [
        1.243_843_7,
        -1.179_030_9,
        -1.253_906_3,
        2.730_405_6,
        5.187_25,
        3.318_250_4,
        -0.003_063_9,
        3.445_312_5,
        2.189_313_4,
        -1.406_407_6,
    ];
    check("cubic", &x, resize(Ok(10), &cubic, &[]), &up);
    let aligned = [("mode", "cubic"), ("coordinate_transformation_mode", "align_corners")];
    check("cubic, corners aligned", &x, resize(Ok(4), &aligned, &[]), &[1.0, 3.0, 0.0, -1.0]);
    let inside = [("antialias", 1.0), ("exclude_outside", 1.0)];
    let linear = resize(Ok(3), &[("mode", "linear")], &inside);
    check("antialiased linear", &x, linear, &[0.142_857_16, 2.882_353, 1.357_143_2]);
    let inside = [("antialias", 1.0), ("exclude_outside", 1.0), ("cubic_coeff_a", -0.5)];
    check("antialiased cubic", &x, resize(Ok(3), &cubic, &inside), &[0.129_032_2, 3.012_209_7, 1.286_290_5]);
    // Enlarging has no need of it.
    check("antialias while enlarging", &x, resize(Ok(10), &cubic, &[("antialias", 1.0)]), &up);
    // ONNX Runtime: without `exclude_outside`, the edge is repeated.
    let edge = [("antialias", 1.0), ("cubic_coeff_a", -0.5)];
    check("with the edge", &x, resize(Ok(3), &cubic, &edge), &[0.191_011_13, 3.087_609_8, 1.123_595_7]);
    let message = refusal("too many taps", &[1, 1, 1, 1 << 20], |file| {
        resize(Ok(1 << 12), &[("mode", "linear")], &[("antialias", 1.0)])(file)
    });
    assert!(message.contains("constants and nodes of more than"), "{message}");
}

#[test]
fn thresholds() {
    let x = tensor(&[2, 1, 1, 3], &[-1.0, 0.5, 0.75, 1.0, 1.5, 0.6]);
    let write = |file: &mut File| file.add("ThresholdedRelu", &["x"], &[Float("alpha", 0.6)]);
    check("ThresholdedRelu", &x, write, &[0.0, 0.0, 0.75, 1.0, 1.5, 0.0]);
    let write = |file: &mut File| file.add("ThresholdedRelu", &["x"], &[]);
    check("its usual threshold", &x, write, &[0.0, 0.0, 0.0, 0.0, 1.5, 0.0]);
}

/// Floats of the input with numbers of the file: truth values that choose.
#[test]
fn comparisons_at_run_time() {
    let x = tensor(&[2, 3], &[1.0, 2.0, 3.0, 3.0, -1.0, 2.0]);
    let bound = tensor(&[3], &[2.0, 2.0, 2.0]);
    // Where it holds x, elsewhere -9.
    for (op, expected) in [
        ("Equal", [-9.0, 2.0, -9.0, -9.0, -9.0, 2.0]),
        ("Less", [1.0, -9.0, -9.0, -9.0, -1.0, -9.0]),
        ("LessOrEqual", [1.0, 2.0, -9.0, -9.0, -1.0, 2.0]),
        ("Greater", [-9.0, -9.0, 3.0, 3.0, -9.0, -9.0]),
        ("GreaterOrEqual", [-9.0, 2.0, 3.0, 3.0, -9.0, 2.0]),
    ] {
        let write = |file: &mut File| {
            let [bound, other] = [file.store("bound", &bound)?, file.store("other", &Tensor::full([1], -9.0))?];
            let holds = file.add(op, &["x", &bound], &[])?;
            file.add("Where", &[&holds, "x", &other], &[])
        };
        check(op, &x, write, &expected);
    }
    for (op, expected) in [
        ("And", [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        ("Or", [1.0, 1.0, 1.0, 1.0, 0.0, 1.0]),
        ("Xor", [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
    ] {
        let write = |file: &mut File| {
            let [zero, two] = [file.store("zero", &Tensor::zeros([1]))?, file.store("two", &Tensor::full([1], 2.0))?];
            let [above, two] = [file.add("Greater", &["x", &zero], &[])?, file.add("Equal", &["x", &two], &[])?];
            let both = file.add(op, &[&above, &two], &[])?;
            file.add("Cast", &[&both], &[Int("to", 1)])
        };
        check(op, &x, write, &expected);
    }
    let write = |file: &mut File| {
        let truth = file.add("Cast", &["x"], &[Int("to", 9)])?;
        let not = file.add("Not", &[&truth], &[])?;
        file.add("Cast", &[&not], &[Int("to", 1)])
    };
    check("Cast to truth values, Not", &tensor(&[1, 3], &[0.0, 0.5, -2.0]), write, &[1.0, 0.0, 0.0]);
    // What is not chosen may be no number.
    let write = |file: &mut File| {
        let zero = file.store("zero", &Tensor::zeros([1]))?;
        let [holds, log] = [file.add("Greater", &["x", &zero], &[])?, file.add("Log", &["x"], &[])?];
        file.add("Where", &[&holds, &log, "x"], &[])
    };
    check("Where of a logarithm", &tensor(&[1, 3], &[1.0, 0.0, -3.0]), write, &[0.0, 0.0, -3.0]);
    let message = refusal("integers at run time", &[1, 3], |file| {
        let [zero, one] = [file.store("zero", &Tensor::zeros([1]))?, file.integers(&[1])?];
        let holds = file.add("Greater", &["x", &zero], &[])?;
        let chosen = file.add("Where", &[&holds, &one, &one], &[])?;
        file.add("Cast", &[&chosen], &[Int("to", 1)])
    });
    assert!(message.contains("chooses between integers"), "{message}");
}

#[test]
fn comparisons_of_constants_are_folded() {
    let x = tensor(&[1, 3], &[5.0, 6.0, 7.0]);
    let write = |file: &mut File| {
        let [a, b] = [file.store("a", &tensor(&[3], &[1.0, 2.0, 3.0]))?, file.store("b", &Tensor::full([1], 2.0))?];
        let holds = file.add("GreaterOrEqual", &[&a, &b], &[])?;
        file.add("Where", &[&holds, "x", &b], &[])
    };
    check("Where by constants", &x, write, &[2.0, 6.0, 7.0]);
}

#[test]
fn tables_are_indexed_while_importing() {
    let x = tensor(&[1, 2, 2], &[0.0, 0.0, 100.0, 200.0]);
    let table = tensor(&[2, 2, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let indexed = |shared: usize, shape: &'static [usize], indices: &'static [i64]| {
        let table = table.clone();
        move |file: &mut File| {
            let raw: Vec<u8> = indices.iter().flat_map(|i| i.to_le_bytes()).collect();
            let [table, indices] = [file.store("table", &table)?, file.store_raw("at", shape, 7, &raw)?];
            let chosen = file.add("GatherND", &[&table, &indices], &[Int("batch_dims", shared)])?;
            file.add("Add", &["x", &chosen], &[])
        }
    };
    // Rows (1, 0) and (0, -1).
    let rows = indexed(0, &[2, 2], &[1, 0, 0, -1]);
    check("rows", &x, rows, &[4.0, 5.0, 102.0, 203.0]);
    // Of each table its own row.
    check("shared dimensions", &x, indexed(1, &[2, 1], &[1, 0]), &[2.0, 3.0, 104.0, 205.0]);
    let message = refusal("beyond the table", &[1, 2, 2], indexed(0, &[1, 2], &[0, 2]));
    assert!(message.contains("axis 2 of 2"), "{message}");
    let message = refusal("too deep", &[1, 2, 2], indexed(1, &[2, 3], &[0; 6]));
    assert!(message.contains("GatherND") && message.contains("indices [2, 3] of [2, 2, 2]"), "{message}");
}

#[test]
fn one_hot_rows() {
    let hot = |axis: usize| {
        move |file: &mut File| {
            let indices = file.integers(&[2, -1, 7, 0])?;
            let depth = file.integers(&[3])?;
            let values = file.store("values", &tensor(&[2], &[-1.0, 5.0]))?;
            let hot = file.add("OneHot", &[&indices, &depth, &values], &[Int("axis", axis)])?;
            file.add("Add", &["x", &hot], &[])
        }
    };
    let rows = [[-1.0, -1.0, 5.0], [-1.0, -1.0, 5.0], [-1.0; 3], [5.0, -1.0, -1.0]];
    check("along the last axis", &Tensor::zeros([1, 4, 3]), hot(1), rows.as_flattened());
    let columns: Vec<f32> = (0..12).map(|i| rows[i % 4][i / 4]).collect();
    check("along the first", &Tensor::zeros([1, 3, 4]), hot(0), &columns);
}

/// A 1x1 convolution of weights that are standardised as PyTorch's exporters write it: a batch norm in training, whose
/// given statistics nothing reads, or its parts one by one.
fn standardized(
    file: &mut File,
    weight: &str,
    [out, inner]: [usize; 2],
    x: &str,
    in_parts: bool,
) -> Result<String, String> {
    let mean = file.add("ReduceMean", &[weight], &[Ints("axes", vec![0, 2])])?;
    let scale = file.store(&format!("{weight}.scale"), &Tensor::full([out], 0.5))?;
    let row = file.integers(&[out as i64])?;
    let standard = if in_parts {
        let mean = file.add("ReduceMean", &[weight], &[Ints("axes", vec![2])])?;
        let centred = file.add("Sub", &[weight, &mean], &[])?;
        let squares = file.add("Mul", &[&centred, &centred], &[])?;
        let variance = file.add("ReduceMean", &[&squares], &[Ints("axes", vec![2])])?;
        let eps = file.store(&format!("{weight}.eps"), &Tensor::full([1], 1e-6))?;
        let variance = file.add("Add", &[&variance, &eps], &[])?;
        let deviation = file.add("Sqrt", &[&variance], &[])?;
        let half = file.store(&format!("{weight}.half"), &Tensor::full([1], 0.5))?;
        let standard = file.add("Div", &[&centred, &deviation], &[])?;
        file.add("Mul", &[&standard, &half], &[])?
    } else {
        let zero = file.store(&format!("{weight}.zero"), &Tensor::zeros([out]))?;
        let centred = file.add("Sub", &[weight, &mean], &[])?;
        let variance = file.add("Mul", &[&centred, &centred], &[])?;
        let variance = file.add("ReduceMean", &[&variance], &[Ints("axes", vec![0, 2])])?;
        let [mean, variance] =
            [file.add("Reshape", &[&mean, &row], &[])?, file.add("Reshape", &[&variance, &row], &[])?];
        let inputs = [weight, &scale, &zero, &mean, &variance];
        file.add("BatchNormalization", &inputs, &[Float("epsilon", 1e-6), Int("training_mode", 1)])?
    };
    let shape = file.integers(&[out as i64, inner as i64, 1, 1])?;
    let weight = file.add("Reshape", &[&standard, &shape], &[])?;
    file.add("Conv", &[x, &weight], &[])
}

/// Of so many numbers that they are computed when they are read.
#[test]
fn large_weights_are_standardised() {
    const SIZES: [usize; 2] = [70, 90];
    let [out, inner] = SIZES;
    let weight = numbers(7, &[1, out, inner]);
    let x = numbers(8, &[2, inner, 1, 1]);
    let expected: Vec<f32> = (0..2 * out)
        .map(|i| {
            let row: Vec<f64> = weight.data()[i % out * inner..][..inner].iter().map(|&w| w.into()).collect();
            let mean = row.iter().sum::<f64>() / inner as f64;
            let variance = row.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / inner as f64;
            let image = &x.data()[i / out * inner..][..inner];
            let sum: f64 = row.iter().zip(image).map(|(w, &x)| (w - mean) * f64::from(x)).sum();
            (sum * 0.5 / (variance + 1e-6).sqrt()) as f32
        })
        .collect();
    for in_parts in [false, true] {
        let write = |file: &mut File| {
            let weight = file.store("weight", &weight)?;
            standardized(file, &weight, SIZES, "x", in_parts)
        };
        check("standardised weights", &x, write, &expected);
    }
}

/// Sizes of a large network: importing and planning make no constants and read no number of the file.
#[test]
fn standardised_weights_cost_nothing_until_they_are_read() {
    let check = |[out, inner]: [usize; 2], layers: usize, in_parts: bool| -> Outcome {
        let mut file = File::new(17);
        let mut x = "x".to_string();
        for i in 0..layers {
            let weight = file.store_zeros(&format!("weight{i}"), &[1, out, inner])?;
            x = standardized(&mut file, &weight, [out, inner], &x, in_parts)?;
        }
        file.emit("Identity", &[&x], "y", &[])?;
        let folder = tempfile::tempdir()?;
        let (path, zeros) = (folder.path().join("net.onnx"), folder.path().join(ZEROS));
        std::fs::write(&path, file.model(("x", &[inner, 2, 2]), &[("y", vec![])])?)?;
        let zeros = std::fs::File::create(zeros)?;
        zeros.set_len(4 * (out * inner) as u64)?;
        let options = OnnxOptions::default().external_data(true);
        let onnx = Onnx::open(&path, &options)?;
        zeros.set_len(0)?;
        let model = onnx.model(&options)?;
        let plan = Plan::new(&model.graph, 1, &Target::gpu(), &PlanOptions::default())?;
        assert_eq!(plan.weights.iter().map(|weight| weight.bytes).max(), Some(4 * (out * inner) as u64));
        let error = model.graph.reference(&Tensor::zeros([1, inner, 2, 2]), &model.weights).unwrap_err().to_string();
        assert!(error.contains("the file has changed"), "{error}");
        Ok(())
    };
    // Few filters have means that are few, of many numbers all the same.
    for (sizes, layers) in [([4096, 4096], 4), ([256, 65_536], 1)] {
        for in_parts in [false, true] {
            check(sizes, layers, in_parts).unwrap_or_else(|e| panic!("{sizes:?} {in_parts}: {e}"));
        }
    }
}

#[test]
fn what_is_computed_when_read_is_finite() {
    let x = numbers(8, &[1, 90, 1, 1]);
    let model = model(17, x.shape(), |file| {
        let weight = file.store("weight", &Tensor::zeros([70, 90, 1, 1]))?;
        let weight = file.add("Log", &[&weight], &[])?;
        file.add("Conv", &["x", &weight], &[])
    });
    let model = model.unwrap();
    let error = model.graph.reference(&x, &model.weights).unwrap_err().to_string();
    assert!(error.contains("/Log_1/Log.folded\" has NaN or infinity"), "{error}");
}

/// Attention's queries, keys and values: axes are permuted so that these come first and the images second.
#[test]
fn the_batch_is_free_where_its_axis_moves() {
    // Three positions of 6 numbers: two each of q, k and v.
    let x = numbers(3, &[2, 3, 6]);
    let at = |i: usize| (i / 6 * 18 + i / 2 % 3 * 6) + i % 2;
    let difference: Vec<f32> = (0..12).map(|i| x.data()[at(i)] - x.data()[at(i) + 4]).collect();
    let moved = |file: &mut File| {
        let shape = file.integers(&[-1, 3, 3, 1, 2])?;
        let split = file.add("Reshape", &["x", &shape], &[])?;
        file.add("Transpose", &[&split], &[Ints("perm", vec![2, 0, 3, 1, 4])])
    };
    let gathered = |file: &mut File| {
        let all = moved(file)?;
        let [first, last] = [0i64, 2].map(|i| i.to_le_bytes());
        let [first, last] = [file.store_raw("first", &[], 7, &first)?, file.store_raw("last", &[], 7, &last)?];
        let [q, v] = [file.add("Gather", &[&all, &first], &[])?, file.add("Gather", &[&all, &last], &[])?];
        file.add("Sub", &[&q, &v], &[])
    };
    check("Gather", &x, gathered, &difference);
    let sliced = |file: &mut File| {
        let all = moved(file)?;
        let [zero, one, two, three] = [0, 1, 2, 3].map(|i| file.integers(&[i]));
        let (zero, one, two, three) = (zero?, one?, two?, three?);
        let q = file.add("Slice", &[&all, &zero, &one, &zero], &[])?;
        let v = file.add("Slice", &[&all, &two, &three, &zero], &[])?;
        let [q, v] = [file.add("Squeeze", &[&q, &zero], &[])?, file.add("Squeeze", &[&v, &zero], &[])?];
        file.add("Sub", &[&q, &v], &[])
    };
    check("Slice and Squeeze", &x, sliced, &difference);
    let back = |file: &mut File| {
        let all = moved(file)?;
        let axis = file.integers(&[0])?;
        let all = file.add("Unsqueeze", &[&all, &axis], &[])?;
        file.add("Transpose", &[&all], &[Ints("perm", vec![2, 4, 0, 1, 3, 5])])
    };
    check("and back", &x, back, x.data());
    // The images themselves, or across them.
    let fixed = |what: &str, write: fn(&mut File) -> Result<String, String>| {
        let moved = |file: &mut File| {
            file.batch = Some(2);
            let y = file.add("Transpose", &["x"], &[Ints("perm", vec![1, 0, 2])])?;
            file.emit("Identity", &[&y], "moved", &[])?;
            write(file)
        };
        let model = model(19, &[2, 3, 6], moved).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(model.fixed_batch.is_some(), "{what}:\n{}", model.graph);
    };
    fixed("the result", |file| file.add("Identity", &["moved"], &[]));
    fixed("one of the images", |file| {
        let one = file.integers(&[1])?;
        file.add("Gather", &["moved", &one], &[Int("axis", 1)])
    });
    fixed("their mean", |file| file.add("ReduceMean", &["moved"], &[Ints("axes", vec![1])]));
    fixed("an op that knows of no other axis", |file| file.add("Sigmoid", &["moved"], &[]));
    fixed("halves of them", |file| {
        file.emit_all("Split", &["moved"], &["half", "other"], &[Int("axis", 1), Int("num_outputs", 2)])
    });
}

/// A code of positions, counted in a mask of zeros as large as the batch.
#[test]
fn the_batch_is_free_where_constants_have_its_size() {
    let x = numbers(3, &[2, 2, 3]);
    let sizes = |file: &mut File, rest: &[i64]| {
        let sizes = file.add("Shape", &["x"], &[])?;
        let zero = file.integers(&[0])?;
        let batch = file.add("Gather", &[&sizes, &zero], &[])?;
        let rest = file.integers(rest)?;
        file.add("Concat", &[&batch, &rest], &[Int("axis", 0)])
    };
    let counted = |file: &mut File| {
        let shape = sizes(file, &[2, 3])?;
        let zeros = file.add("ConstantOfShape", &[&shape], &[])?;
        let mask = file.add("Cast", &[&zeros], &[Int("to", 9)])?;
        let mask = file.add("Not", &[&mask], &[])?;
        let ones = file.add("Cast", &[&mask], &[Int("to", 1)])?;
        let axis = file.integers(&[2])?;
        let places = file.add("CumSum", &[&ones, &axis], &[])?;
        file.add("Add", &["x", &places], &[])
    };
    let expected: Vec<f32> = (0..12).map(|i| x.data()[i] + (i % 3 + 1) as f32).collect();
    check("a counted mask", &x, counted, &expected);
    let token = |file: &mut File| {
        let shape = sizes(file, &[1, 3])?;
        let token = file.store("token", &tensor(&[1, 1, 3], &[7.0, 8.0, 9.0]))?;
        let token = file.add("Expand", &[&token, &shape], &[])?;
        file.add("Concat", &[&token, "x"], &[Int("axis", 1)])
    };
    let expected = [&[7.0, 8.0, 9.0], &x.data()[..6], &[7.0, 8.0, 9.0], &x.data()[6..]].concat();
    check("a token before each", &x, token, &expected);
    // What is summed over the batch is the batch's.
    let summed = model(19, x.shape(), |file| {
        let shape = sizes(file, &[2, 3])?;
        let ones = file.add("ConstantOfShape", &[&shape], &[])?;
        let sum = file.integers(&[0])?;
        let sum = file.add("ReduceSum", &[&ones, &sum], &[])?;
        file.add("Add", &["x", &sum], &[])
    });
    assert!(summed.unwrap().fixed_batch.is_some());
}
