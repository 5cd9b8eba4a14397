//! `excite models`: the networks there are.

pub mod one;

use crate::Failure;
use crate::common::heading;
use crate::{common, model, paper, terminal};
use excite::Result;
use excite::zoo::{self, Entry, Pretrained};
use serde_json::{Value, json};
use std::io::{self, Write};

/// List the networks
///
/// Shape of the images, classes, parameters, multiply-adds of one image, SE blocks, and the trained weights there are.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite models seresnet                         # those with this in their name
  excite models seresnet50                       # all about one, its tags and their accuracy
  excite models --paper")]
pub struct Args {
    /// Only networks with this in their name. A whole name, with or without a tag, shows all that is known of this one.
    name: Option<String>,
    /// Print a JSON document.
    #[arg(long, help_heading = heading::OUTPUT)]
    json: bool,
    /// The networks of the SENet paper instead: what we count beside what its tables say.
    #[arg(long, conflicts_with = "name")]
    paper: bool,
}

/// A network, counted.
struct Row {
    entry: Entry,
    parameters: u64,
    macs: u64,
    se_blocks: usize,
    /// What is known of its weights, timm's default first.
    weights: Vec<Pretrained>,
}

pub fn run(args: &Args, out: &mut dyn Write) -> std::result::Result<(), Failure> {
    if args.paper {
        return paper::run(args.json, out);
    }
    let tags = zoo::pretrained_names().into_iter().map(zoo::pretrained).collect::<Result<Vec<_>>>()?;
    let wish = args.name.as_deref().map(common::model_name).unwrap_or_default();
    if let Ok(entry) = zoo::entry(wish) {
        let row = row(entry, &tags)?;
        return Ok(if args.json { write_json(&[row], out) } else { one::write(&row, out) }?);
    }
    let entries: Vec<Entry> = zoo::entries().into_iter().filter(|entry| entry.name.contains(wish)).collect();
    if entries.is_empty() {
        model::entry(wish)?;
    }
    let rows = entries.into_iter().map(|entry| row(entry, &tags)).collect::<Result<Vec<_>>>()?;
    Ok(if args.json { write_json(&rows, out) } else { write_list(&rows, out) }?)
}

/// Builds the network to count it, and finds its weights among those that have tags.
fn row(entry: Entry, tags: &[Pretrained]) -> Result<Row> {
    let graph = zoo::build(entry.name, &zoo::Options::default())?;
    let mut weights: Vec<Pretrained> =
        tags.iter().filter(|tag| entry.name == tag.name || entry.name == tag.architecture).cloned().collect();
    if weights.is_empty() {
        weights.push(zoo::pretrained(entry.name)?);
    }
    Ok(Row {
        parameters: graph.parameter_count(),
        macs: graph.macs(),
        se_blocks: graph.se_blocks().count(),
        entry,
        weights,
    })
}

impl Row {
    fn bundled(&self) -> bool {
        self.weights.iter().any(|weights| zoo::bundled_weights(weights.architecture).is_some())
    }

    /// Where weights come from, in a word.
    fn source(&self) -> String {
        match self.weights.iter().filter(|weights| weights.hub.is_some()).count() {
            _ if self.bundled() => "bundled".into(),
            0 => "yours".into(),
            1 => "hub".into(),
            count => format!("hub, {count} tags"),
        }
    }
}

fn write_list(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let width = rows.iter().map(|row| row.entry.name.len()).max().unwrap_or(0);
    let head = "input      classes  parameters  multiply-adds  SE blocks  weights";
    writeln!(out, "{:width$}  {head}", "name")?;
    for row in rows {
        writeln!(
            out,
            "{:width$}  {:9}  {:>7}  {:>10}  {:>13}  {:>9}  {}",
            row.entry.name,
            row.entry.input.to_string(),
            row.entry.classes,
            common::short(row.parameters),
            common::short(row.macs),
            row.se_blocks,
            row.source(),
        )?;
    }
    Ok(())
}

fn write_json(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let models: Vec<Value> = rows.iter().map(document).collect();
    terminal::write_json(out, &json!({ "models": models }))
}

fn document(row: &Row) -> Value {
    let Row { entry, .. } = row;
    json!({
        "name": entry.name,
        "input": [entry.input.channels(), entry.input.height(), entry.input.width()],
        "smallest_side": entry.smallest,
        "classes": entry.classes,
        "parameters": row.parameters,
        "macs": row.macs,
        "se_blocks": row.se_blocks,
        "bundled_weights": row.bundled(),
        "weights": row.weights.iter().map(one::document).collect::<Vec<_>>(),
        "source": entry.source,
    })
}
