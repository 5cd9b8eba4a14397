//! `excite models`: the networks there are.

use crate::Failure;
use crate::{common, paper};
use excite::zoo;
use serde_json::json;
use std::io::Write;

/// List the networks
///
/// Parameters, multiply-adds of one image, SE stages, shape of the images, classes, and where weights come from.
#[derive(clap::Args)]
pub struct Args {
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
    /// The networks of the SENet paper instead: what we count beside what its tables say.
    #[arg(long)]
    paper: bool,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    if args.paper {
        return paper::run(args.json, out);
    }
    let mut rows = Vec::new();
    for entry in zoo::entries() {
        let graph = zoo::build(entry.name, &zoo::Options::default())?;
        rows.push((graph.parameter_count(), graph.macs(), graph.se_stages().count(), entry));
    }
    if args.json {
        let models: Vec<_> = rows
            .iter()
            .map(|(parameters, macs, stages, entry)| {
                json!({
                    "name": entry.name,
                    "input": [entry.input.channels(), entry.input.height(), entry.input.width()],
                    "smallest_side": entry.smallest,
                    "classes": entry.classes,
                    "parameters": parameters,
                    "macs": macs,
                    "se_stages": stages,
                    "bundled_weights": zoo::bundled_weights(entry.name).is_some(),
                    "source": entry.source,
                })
            })
            .collect();
        return Ok(common::write_json(out, &json!({ "models": models }))?);
    }
    let width = rows.iter().map(|(.., entry)| entry.name.len()).max().unwrap_or(0);
    writeln!(out, "{:width$}  parameters  multiply-adds  SE stages  input      classes  weights", "name")?;
    for (parameters, macs, stages, entry) in rows {
        let weights = if zoo::bundled_weights(entry.name).is_some() { "bundled" } else { "from a file" };
        writeln!(
            out,
            "{:width$}  {:>10}  {:>13}  {stages:>9}  {:9}  {:>7}  {weights}",
            entry.name,
            short(parameters),
            short(macs),
            entry.input.to_string(),
            entry.classes,
        )?;
    }
    Ok(())
}

/// `28088024` as `28.09 M`.
fn short(count: u64) -> String {
    let count = count as f64;
    match count {
        _ if count >= 1e9 => format!("{:.2} G", count / 1e9),
        _ if count >= 1e6 => format!("{:.2} M", count / 1e6),
        _ => format!("{:.1} k", count / 1e3),
    }
}
