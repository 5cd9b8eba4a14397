//! Answers as lines, CSV, JSON lines or one JSON document, and a bar that shows how far it is.

use super::stream::{Answer, Row};
use crate::common;
use excite::Labels;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(clap::Args)]
#[group(multiple = false)]
pub struct Format {
    /// Print CSV with a header: a row for each label, and one with the error for each picture that can't be read.
    #[arg(long)]
    csv: bool,
    /// Print one JSON document, with errors of single pictures in it.
    #[arg(long)]
    json: bool,
    /// Print a line of JSON for each picture as soon as it is known.
    #[arg(long, visible_alias = "json-lines")]
    jsonl: bool,
}

pub struct Report<'a> {
    sink: Sink<'a>,
    labels: &'a Labels,
    progress: ProgressBar,
    failed: usize,
}

enum Sink<'a> {
    Text { out: &'a mut dyn Write, name_width: usize },
    Csv(Box<csv::Writer<&'a mut dyn Write>>),
    Json { out: &'a mut dyn Write, images: Vec<Value> },
    JsonLines(&'a mut dyn Write),
}

impl<'a> Report<'a> {
    pub fn new(format: &Format, labels: &'a Labels, pictures: &[PathBuf], out: &'a mut dyn Write) -> io::Result<Self> {
        let sink = match format {
            Format { csv: true, .. } => {
                let mut writer = csv::Writer::from_writer(out);
                let header = ["image", "rank", "class", "label", "probability", "milliseconds", "error"];
                writer.write_record(header).map_err(io_error)?;
                Sink::Csv(Box::new(writer))
            }
            Format { json: true, .. } => Sink::Json { out, images: Vec::new() },
            Format { jsonl: true, .. } => Sink::JsonLines(out),
            _ => Sink::Text { out, name_width: name_width(pictures) },
        };
        Ok(Self { sink, labels, progress: bar(pictures.len()), failed: 0 })
    }

    pub fn row(&mut self, row: Row) -> io::Result<()> {
        self.progress.inc(1);
        // Lines may go to the terminal that shows the bar.
        self.progress.clone().suspend(|| self.write(row))
    }

    fn write(&mut self, row: Row) -> io::Result<()> {
        let image = row.image.display().to_string();
        let answer = row.result.map_err(|error| common::with_causes(&error));
        self.failed += usize::from(answer.is_err());
        match &mut self.sink {
            Sink::Text { out, name_width } => match &answer {
                Ok(answer) => writeln!(out, "{image:name_width$}  {}", line(answer, self.labels))?,
                Err(error) => {
                    out.flush()?;
                    eprintln!("error: {error}");
                }
            },
            Sink::Csv(writer) => write_records(writer, &image, &answer, self.labels)?,
            Sink::Json { images, .. } => images.push(object(&image, &answer, self.labels)),
            Sink::JsonLines(out) => {
                writeln!(out, "{}", object(&image, &answer, self.labels))?;
                out.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what is left, and gives the number of errors.
    pub fn finish(self, model: &str, adapter: Value) -> io::Result<usize> {
        self.progress.finish_and_clear();
        match self.sink {
            Sink::Text { out, .. } | Sink::JsonLines(out) => out.flush()?,
            Sink::Csv(mut writer) => writer.flush()?,
            Sink::Json { out, images } => {
                common::write_json(out, &json!({ "model": model, "adapter": adapter, "images": images }))?;
                out.flush()?;
            }
        }
        Ok(self.failed)
    }
}

/// A bar on a terminal, for more than a few pictures.
fn bar(pictures: usize) -> ProgressBar {
    if pictures < 5 {
        return ProgressBar::hidden();
    }
    let template = "{bar:30} {human_pos} of {human_len} pictures, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is sound");
    let pictures_per_second = |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
        // A terminal that can't show it is no error.
        let _ = write!(out, "{:.1} images/s", state.per_sec());
    };
    ProgressBar::new(pictures as u64).with_style(style.with_key("per_sec", pictures_per_second))
}

/// Names up to this many characters stand in a column.
fn name_width(pictures: &[PathBuf]) -> usize {
    pictures.iter().map(|path| path.display().to_string().chars().count()).max().unwrap_or(0).min(60)
}

fn line(answer: &Answer, labels: &Labels) -> String {
    let label = |(class, probability): &(usize, f32)| {
        format!("{} {:.2} %", labels.name(*class), f64::from(*probability) * 100.0)
    };
    let labels: Vec<String> = answer.classes.iter().map(label).collect();
    format!("{}  {:.2} ms", labels.join(", "), answer.milliseconds)
}

fn write_records<W: Write>(
    writer: &mut csv::Writer<W>,
    image: &str,
    answer: &Result<Answer, String>,
    labels: &Labels,
) -> io::Result<()> {
    match answer {
        Ok(Answer { classes, milliseconds }) => {
            for (rank, (class, probability)) in classes.iter().enumerate() {
                let record = [
                    image,
                    &(rank + 1).to_string(),
                    &class.to_string(),
                    &labels.name(*class),
                    &probability.to_string(),
                    &format!("{milliseconds:.3}"),
                    "",
                ];
                writer.write_record(record).map_err(io_error)?;
            }
        }
        Err(error) => writer.write_record([image, "", "", "", "", "", &in_one_line(error)]).map_err(io_error)?,
    }
    writer.flush()
}

fn object(image: &str, answer: &Result<Answer, String>, labels: &Labels) -> Value {
    match answer {
        Ok(Answer { classes, milliseconds }) => {
            let class = |&(class, probability): &(usize, f32)| json!({ "class": class, "label": labels.name(class), "probability": probability });
            let classes: Vec<Value> = classes.iter().map(class).collect();
            json!({ "image": image, "classes": classes, "milliseconds": milliseconds })
        }
        Err(error) => json!({ "image": image, "error": in_one_line(error) }),
    }
}

fn in_one_line(error: &str) -> String {
    error.replace("\n  ", "; ")
}

/// The error underneath, whose kind tells a closed pipe.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
