//! All that is known of one network and its weights.

use super::Row;
use crate::common::short;
use excite::model::Preprocess;
use excite::zoo::{self, Accuracy, Pretrained, TestSize};
use serde_json::{Value, json};
use std::io::{self, Write};

pub(super) fn write(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let Row { entry, .. } = row;
    writeln!(out, "{}", entry.name)?;
    writeln!(out, "  images         {}, at least {} a side", entry.input, entry.smallest)?;
    writeln!(out, "  classes        {}", entry.classes)?;
    writeln!(out, "  parameters     {} ({})", short(row.parameters), row.parameters)?;
    writeln!(out, "  multiply-adds  {} ({})", short(row.macs), row.macs)?;
    writeln!(out, "  SE blocks      {}", row.se_blocks)?;
    writeln!(out, "  defined by     {}", entry.source)?;
    for weights in &row.weights {
        writeln!(out)?;
        writeln!(out, "weights {}", weights.name)?;
        writeln!(out, "  from           {}", origin(weights))?;
        if let Some(license) = weights.license {
            writeln!(out, "  licence        {license}")?;
        }
        let set = weights.labels.map(|set| format!(" ({set})")).unwrap_or_default();
        writeln!(out, "  classes        {}{set}", weights.classes)?;
        writeln!(out, "  images       {}", settings(&weights.preprocess, weights.test.as_ref()))?;
        let accuracy: Vec<String> = weights.accuracy.iter().map(accuracy).collect();
        if !accuracy.is_empty() {
            writeln!(out, "  top-1, top-5   {}", accuracy.join("; "))?;
        }
    }
    Ok(())
}

fn origin(weights: &Pretrained) -> String {
    match weights.hub {
        _ if zoo::bundled_weights(weights.architecture).is_some() => "bundled".into(),
        Some(hub) => format!("https://huggingface.co/{hub}"),
        None => "none published as safetensors".into(),
    }
}

/// How images are prepared, and otherwise at evaluation.
fn settings(preprocess: &Preprocess, test: Option<&TestSize>) -> String {
    let mut text = preprocess.to_string();
    if let Some(test) = test {
        text += &format!("; evaluated at {}x{}, crop {}", test.size[0], test.size[1], test.crop_pct);
    }
    text
}

fn accuracy(Accuracy { top1, top5, size, crop_pct }: &Accuracy) -> String {
    format!("{top1:.2} %, {top5:.2} % at {size}x{size}, crop {crop_pct}")
}

/// As written in decimal: 0.485, not what comes of it in 32 bits.
fn decimal(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| value.to_string().parse().expect("this is a number")).collect()
}

/// The same for programs, with timm's keys.
pub fn document(weights: &Pretrained) -> Value {
    let preprocess = &weights.preprocess;
    let accuracy = |x: &Accuracy| json!({ "top1": x.top1, "top5": x.top5, "size": x.size, "crop_pct": x.crop_pct });
    json!({
        "name": weights.name,
        "tag": weights.tag,
        "hub": weights.hub,
        "license": weights.license,
        "classes": weights.classes,
        "labels": weights.labels,
        "input_size": [preprocess.channels, preprocess.size[0], preprocess.size[1]],
        "crop_pct": preprocess.crop_pct,
        "crop_mode": preprocess.resize.to_string(),
        "interpolation": preprocess.interpolation.to_string(),
        "mean": decimal(&preprocess.mean[..preprocess.channels]),
        "std": decimal(&preprocess.std[..preprocess.channels]),
        "test_input_size": weights.test.as_ref().map(|test| [preprocess.channels, test.size[0], test.size[1]]),
        "test_crop_pct": weights.test.as_ref().map(|test| test.crop_pct),
        "accuracy": weights.accuracy.iter().map(accuracy).collect::<Vec<_>>(),
    })
}
