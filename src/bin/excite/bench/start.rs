//! Until a network's first answer, in new processes: cold and warm.

use super::network::{Opened, StartUp, milliseconds};
use super::{Args, check};
use crate::Failure;
use crate::common;
use crate::terminal::{self, Spinner};
use excite::{Error, Result};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

pub fn run(args: &Args, out: &mut dyn Write) -> std::result::Result<(), Failure> {
    let folder =
        tempfile::tempdir().map_err(|error| Error::Request(format!("there is no temporary folder: {error}")))?;
    if args.tuning.is_on() {
        common::copy_tunings(folder.path())?;
    }
    let [cold, warm] = ["cold", "warm"].map(|name| {
        let _spinner = Spinner::new(format!("starting, {name}"));
        child(folder.path())
    });
    let (cold, warm) = (cold?, warm?);
    if args.json {
        return Ok(terminal::write_json(out, &json!({ "cold": cold, "warm": warm }))?);
    }
    writeln!(
        out,
        "{}, batch {}, on {}",
        args.what(),
        args.batch,
        cold["adapter"]["text"].as_str().unwrap_or_default()
    )?;
    let error =
        [&cold, &warm].map(|start| start["error"].as_f64().unwrap_or(f64::INFINITY)).into_iter().fold(0.0, f64::max);
    writeln!(out, "{} pipelines; checked: error {error:.1e} relative to the reference", cold["pipelines"])?;
    writeln!(
        out,
        "{:34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}  on disk",
        "milliseconds", "answer", "device", "pipelines", "weights", "first run", "others"
    )?;
    for (name, start) in [("cold, nothing was compiled", cold), ("warm, all was compiled before", warm)] {
        let columns = ["open_ms", "pipelines_ms", "weights_ms", "run_ms", "others_ms"];
        let columns = columns.map(|key| start[key].as_f64().unwrap_or(f64::NAN));
        let answer: f64 = columns.iter().sum();
        let [open, pipelines, weights, run, others] = columns;
        let kept = start["cached_pipeline_bytes"].as_f64();
        let kept = kept.map_or("no pipelines are kept".into(), |bytes| format!("{:.1} kB of pipelines", bytes / 1e3));
        write!(out, "{name:34} {answer:9.1} {open:9.1} {pipelines:9.1} {weights:9.1} {run:9.1} {others:9.1}")?;
        writeln!(out, "  {kept}")?;
    }
    writeln!(out, "answer: from opening the device to the first answer, the sum of the columns behind it")?;
    Ok(writeln!(out, "first run: some drivers compile in it; others: planning, buffers, names of the weights")?)
}

/// A process of its own with these caches, and what it says.
fn child(caches: &Path) -> Result<Value> {
    let failed = |message: String| Error::Request(format!("--start: {message}"));
    let program = std::env::current_exe().map_err(|error| failed(format!("this program is not found: {error}")))?;
    let given = std::env::args_os().skip(1).map(|argument| match argument == "--start" {
        true => OsString::from("--start-once"),
        false => argument,
    });
    let mut command = Command::new(program);
    command.args(given).stdin(Stdio::null()).stderr(Stdio::piped());
    for variable in ["EXCITE_CACHE_DIR", "MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH"] {
        command.env(variable, caches);
    }
    let output = command.output().map_err(|error| failed(format!("no process starts: {error}")))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let last = told.lines().last().unwrap_or("no message");
    if !output.status.success() {
        return Err(failed(last.trim_start_matches("error: ").into()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("the process says nothing: {error}")))
}

/// Starts once and says what it took, if the answer is right.
pub fn once(args: &Args, batch: usize, out: &mut dyn Write) -> std::result::Result<(), Failure> {
    let Opened { graph, weights, gpu, opened, options, input, .. } = Opened::new(args, batch)?;
    let (network, started) = StartUp::measure(&gpu, &graph, &weights, &options, &input)?;
    let error = check(&network, &weights, &input, options.plan.precision)?;
    let mut document = started.document();
    document["adapter"] = common::adapter_json(&gpu);
    document["open_ms"] = json!(milliseconds(opened));
    document["error"] = json!(error);
    document["pipelines"] = json!(started.made.pipelines);
    document["cached_pipeline_bytes"] = json!(gpu.cached_pipeline_bytes());
    Ok(terminal::write_json(out, &document)?)
}
