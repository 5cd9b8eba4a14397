//! The two trained networks on all held-out images of `assets/digits`: classes, logits and margins as PyTorch has them.

use crate::common::compare::{Tolerance, compare};
use crate::machine::Machine;
use crate::{Case, Outcome};
use excite::gpu::{Executor, ExecutorOptions};
use excite::plan::{Fusion, PlanOptions};
use excite::{Tensor, zoo};
use safetensors::SafeTensors;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub fn cases() -> Vec<Case> {
    ["digits_seresnet", "digits_resnet"].map(|name| Case::new(format!("digits/{name}"), move |m| net(m, name))).into()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits")
}

fn images() -> Result<Tensor, String> {
    let bytes = fs::read(folder().join("digits_test.safetensors")).map_err(|e| e.to_string())?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| e.to_string())?;
    let images = file.tensor("images").map_err(|e| e.to_string())?;
    let data = images.data().iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    Tensor::new(images.shape(), data).map_err(|e| e.to_string())
}

/// Class, and distance of the best logit from the next.
fn class_and_margin(logits: &[f32]) -> (usize, f32) {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    (order[0], logits[order[0]] - logits[order[1]])
}

fn numbers(value: &Value) -> Vec<f32> {
    let numbers = value.as_array().expect("an array of numbers").iter();
    numbers.map(|x| x.as_f64().expect("a number") as f32).collect()
}

fn net(machine: &Machine, name: &str) -> Outcome {
    let answers = fs::read_to_string(folder().join("predictions.json"))?;
    let answers: Value = serde_json::from_str(&answers)?;
    let expected = &answers["nets"][name];
    let images = images()?;
    let graph = zoo::build(name, &zoo::Options::default())?;
    let weights = zoo::bundled_weights(name).ok_or("the weights are bundled")?;
    for fusion in Fusion::ALL {
        for checks in [true, false] {
            let options = ExecutorOptions::default().plan(PlanOptions::default().fusion(fusion));
            let logits = Executor::new(machine.gpu(checks), &graph, &weights, options)?.run(&images)?;
            same_answers(expected, &logits).map_err(|e| format!("fusion {fusion}, checks {checks}: {e}"))?;
        }
    }
    Ok(())
}

fn same_answers(expected: &Value, logits: &Tensor) -> Result<(), String> {
    let count = expected["test_images"].as_u64().unwrap_or(0) as usize;
    if logits.shape() != [count, 10] || count != 360 {
        return Err(format!("expected logits of {count} images, got {:?}", logits.shape()));
    }
    let (classes, margins): (Vec<usize>, Vec<f32>) = (0..count).map(|i| class_and_margin(logits.image(i))).unzip();
    let expected_classes = numbers(&expected["predictions"]);
    for (i, (&class, &other)) in classes.iter().zip(&expected_classes).enumerate() {
        if class as f32 != other {
            return Err(format!("image {i}: class {class}, PyTorch says {other}"));
        }
    }
    let first = expected["logits_first_8"].as_array().expect("eight rows").iter().flat_map(numbers).collect::<Vec<_>>();
    let of_first = Tensor::new([8, 10], first).map_err(|e| e.to_string())?;
    let got = Tensor::new([8, 10], logits.data()[..80].to_vec()).map_err(|e| e.to_string())?;
    compare(&of_first, &got, Tolerance::Logits).map_err(|e| format!("logits: {e}"))?;
    // Wrong gates can leave every class as it is; they can't leave 360 margins.
    let expected = Tensor::new([count], numbers(&expected["margins"])).map_err(|e| e.to_string())?;
    let got = Tensor::new([count], margins).map_err(|e| e.to_string())?;
    compare(&expected, &got, Tolerance::Logits).map_err(|e| format!("margins: {e}"))
}
