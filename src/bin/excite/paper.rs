//! `excite models --paper`: multiply-adds and parameters as counted, beside those of the SENet paper.

use crate::Failure;
use crate::terminal;
use excite::zoo::paper::{self, Count, Row};
use serde_json::json;
use std::io::Write;

pub fn run(as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let rows = paper::rows()?;
    if as_json {
        let networks: Vec<_> = rows.iter().map(json).collect();
        return Ok(terminal::write_json(out, &json!({ "paper": "arXiv 1709.01507v4", "networks": networks }))?);
    }
    let mut reasons: Vec<&str> = Vec::new();
    writeln!(out, "Networks of arXiv 1709.01507 version 4: counted, published, difference")?;
    writeln!(out)?;
    let columns = format!("{:>8}  {:>7}  {:>7}  {:>8}", "GFLOPs", "", "", "params");
    writeln!(out, "{:24}   r  {columns}  {:>7}  {:>7}  source", "network", "", "")?;
    for row in &rows {
        let mut source = row.source.to_string();
        if let Some(reason) = row.reason {
            let index = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
                reasons.push(reason);
                reasons.len() - 1
            });
            source += &format!(" [{}]", index + 1);
        }
        let ratio = row.ratio.map_or_else(|| "-".into(), |ratio| ratio.to_string());
        let macs = cells(row.macs, format!("{:.3}", row.macs.counted as f64 / 1e9), gflops);
        let millions = |count: f64| format!("{:.1} M", count / 1e6);
        let ours = format!("{:.2} M", row.parameters.counted as f64 / 1e6);
        let parameters = cells(row.parameters, ours, millions);
        writeln!(out, "{:24}  {ratio:>2}  {macs}  {parameters}  {source}", row.network)?;
    }
    writeln!(out)?;
    writeln!(out, "GFLOPs are 10^9 multiply-adds of convolutions and linear layers, those of SE among them; norms,")?;
    writeln!(out, "activations, pooling, the squeeze's mean and the scale are not counted.")?;
    for (index, reason) in reasons.iter().enumerate() {
        writeln!(out, "[{}] {reason}", index + 1)?;
    }
    Ok(())
}

/// Ours, the paper's and the difference.
fn cells(count: Count, ours: String, published: impl Fn(f64) -> String) -> String {
    let [published, difference] = match (count.published, count.difference()) {
        (Some(value), Some(difference)) => {
            // Adding 0 takes the sign off a zero.
            let difference = (difference * 10.0).round() / 10.0 + 0.0;
            [published(value), format!("{difference:+.1} %")]
        }
        _ => ["-".into(), "-".into()],
    };
    format!("{ours:>8}  {published:>7}  {difference:>7}")
}

/// With the paper's digits: it prints small numbers as MFLOPs.
fn gflops(macs: f64) -> String {
    if macs < 1e9 { format!("{:.3}", macs / 1e9) } else { format!("{:.2}", macs / 1e9) }
}

fn json(row: &Row) -> serde_json::Value {
    let count = |count: Count| json!({ "counted": count.counted, "published": count.published });
    json!({
        "network": row.network,
        "ratio": row.ratio,
        "macs": count(row.macs),
        "parameters": count(row.parameters),
        "source": row.source,
        "reason": row.reason,
    })
}
