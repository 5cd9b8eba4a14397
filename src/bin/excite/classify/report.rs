//! Answers as lines, CSV, JSON lines or one JSON document, and a bar that shows how far it is.

use super::stream::{Answer, Row};
use crate::common::heading;
use crate::terminal;
use excite::escaped;
use excite::model::Class;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[group(multiple = false)]
#[command(next_help_heading = heading::OUTPUT)]
pub struct Format {
    /// Print CSV with a header: a row for each label, and one with the error for each image that can't be read.
    #[arg(long)]
    csv: bool,
    /// Print one JSON document, with errors of single images in it.
    #[arg(long)]
    json: bool,
    /// Print a line of JSON for each image as soon as it is known.
    #[arg(long, visible_alias = "json-lines")]
    jsonl: bool,
}

pub struct Report<'a> {
    sink: Sink<'a>,
    progress: ProgressBar,
    failed: usize,
}

enum Sink<'a> {
    Text {
        out: &'a mut dyn Write,
        name_width: usize,
    },
    /// As it is in files, escaped on a terminal.
    Csv {
        writer: Box<csv::Writer<&'a mut dyn Write>>,
        terminal: bool,
    },
    Json {
        out: &'a mut dyn Write,
        images: Vec<Value>,
    },
    JsonLines(&'a mut dyn Write),
}

impl<'a> Report<'a> {
    pub fn new(format: &Format, images: &[PathBuf], out: &'a mut dyn Write) -> io::Result<Self> {
        let sink = match format {
            Format { csv: true, .. } => {
                let mut writer = csv::Writer::from_writer(out);
                let header = ["image", "rank", "class", "label", "probability", "milliseconds", "error"];
                writer.write_record(header).map_err(io_error)?;
                Sink::Csv { writer: Box::new(writer), terminal: io::stdout().is_terminal() }
            }
            Format { json: true, .. } => Sink::Json { out, images: Vec::new() },
            Format { jsonl: true, .. } => Sink::JsonLines(out),
            _ => Sink::Text { out, name_width: name_width(images) },
        };
        Ok(Self { sink, progress: bar(images.len()), failed: 0 })
    }

    pub fn row(&mut self, row: Row) -> io::Result<()> {
        self.progress.inc(1);
        // Lines may go to the terminal that shows the bar.
        self.progress.clone().suspend(|| self.write(row))
    }

    fn write(&mut self, row: Row) -> io::Result<()> {
        let answer = row.result.map_err(|error| terminal::with_causes(&error));
        self.failed += usize::from(answer.is_err());
        match &mut self.sink {
            Sink::Text { out, name_width } => match &answer {
                Ok(answer) => writeln!(out, "{:name_width$}  {}", escaped(row.image), line(answer))?,
                Err(error) => {
                    out.flush()?;
                    terminal::error(error);
                }
            },
            Sink::Csv { writer, terminal } => {
                let shown = |text: &OsStr| match terminal {
                    true => escaped(text).into_bytes(),
                    false => text.as_encoded_bytes().to_vec(),
                };
                write_records(writer, shown, row.image, &answer)?;
            }
            Sink::Json { images, .. } => images.push(object(row.image, &answer)),
            Sink::JsonLines(out) => {
                terminal::write_json_line(out, &object(row.image, &answer))?;
                out.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what is left, and gives the number of errors.
    pub fn finish(self, model: &str, adapter: Value, start: Value) -> io::Result<usize> {
        self.progress.finish_and_clear();
        match self.sink {
            Sink::Text { out, .. } | Sink::JsonLines(out) => out.flush()?,
            Sink::Csv { mut writer, .. } => writer.flush()?,
            Sink::Json { out, images } => {
                let document = json!({ "model": model, "adapter": adapter, "start": start, "images": images });
                terminal::write_json(out, &document)?;
                out.flush()?;
            }
        }
        Ok(self.failed)
    }
}

/// A bar on a terminal, for more than a few images.
fn bar(images: usize) -> ProgressBar {
    if images < 5 {
        return ProgressBar::hidden();
    }
    let bar = terminal::bar(images as u64, "{bar:30} {human_pos} of {human_len} images, {images_per_sec}, {eta} left");
    let images_per_second = |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
        // A terminal that can't show it is no error.
        let _ = write!(out, "{:.1} images/s", state.per_sec());
    };
    let style = bar.style().with_key("images_per_sec", images_per_second);
    bar.with_style(style)
}

/// Names up to this many characters stand in a column.
fn name_width(images: &[PathBuf]) -> usize {
    images.iter().map(|path| escaped(path).chars().count()).max().unwrap_or(0).min(60)
}

fn line(answer: &Answer) -> String {
    let label = |class: &Class| format!("{} {:.2} %", class.label, f64::from(class.probability) * 100.0);
    let labels: Vec<String> = answer.classes.iter().map(label).collect();
    format!("{}  {:.2} ms", labels.join(", "), answer.milliseconds)
}

fn write_records<W: Write>(
    writer: &mut csv::Writer<W>,
    shown: impl Fn(&OsStr) -> Vec<u8>,
    image: &Path,
    answer: &Result<Answer, String>,
) -> io::Result<()> {
    let image = shown(image.as_os_str());
    match answer {
        Ok(Answer { classes, milliseconds }) => {
            for (rank, Class { index, label, probability, .. }) in classes.iter().enumerate() {
                let label = shown(label.as_ref());
                let (rank, class, time) = ((rank + 1).to_string(), index.to_string(), format!("{milliseconds:.3}"));
                let probability = probability.to_string();
                let record =
                    [&image, rank.as_bytes(), class.as_bytes(), &label, probability.as_bytes(), time.as_bytes(), b""];
                writer.write_record(record).map_err(io_error)?;
            }
        }
        Err(error) => {
            writer.write_record([&*image, b"", b"", b"", b"", b"", in_one_line(error).as_bytes()]).map_err(io_error)?;
        }
    }
    writer.flush()
}

/// A name that is no UTF-8 has its bytes beside it.
fn object(image: &Path, answer: &Result<Answer, String>) -> Value {
    let mut object = match answer {
        Ok(Answer { classes, milliseconds }) => {
            let class =
                |class: &Class| json!({ "class": class.index, "label": class.label, "probability": class.probability });
            let classes: Vec<Value> = classes.iter().map(class).collect();
            json!({ "classes": classes, "milliseconds": milliseconds })
        }
        Err(error) => json!({ "error": in_one_line(error) }),
    };
    object["image"] = json!(image.to_string_lossy());
    if image.to_str().is_none() {
        object["image_bytes"] = json!(image.as_os_str().as_encoded_bytes());
    }
    object
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
