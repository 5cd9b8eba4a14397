//! What reaches the terminal: lines of text, messages, signs of life. Names from files pass `excite::escaped` here.

use excite::escaped;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::fmt::{Arguments, Display};
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Version of what JSON documents look like: higher where a key is gone or means something else.
const SCHEMA: u32 = 1;

/// Whether only errors are said.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Says no more than errors from now on.
pub fn be_quiet() {
    QUIET.store(true, Relaxed);
}

/// Says something beside the results, on standard error.
macro_rules! note {
    ($($text:tt)*) => { $crate::terminal::say(format_args!($($text)*)) };
}
pub(crate) use note;

/// The function of [`note!`].
pub fn say(text: Arguments<'_>) {
    if !QUIET.load(Relaxed) {
        eprintln!("{}", escaped(&text.to_string()));
    }
}

/// Says what went wrong, in red where there are colours; what follows the first line is set in.
pub fn error(text: &str) {
    let style = clap::builder::Styles::styled().get_error().to_owned();
    let mut lines = text.lines().map(escaped);
    anstream::eprintln!("{style}error:{style:#} {}", lines.next().unwrap_or_default());
    for line in lines {
        let indent = if line.starts_with("  ") { "" } else { "  " };
        anstream::eprintln!("{indent}{line}");
    }
}

/// The error in one line, then what caused it, one line each.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!("\n  because: {}", escaped(&error.to_string()));
        cause = error.source();
    }
    text
}

/// Results: what `write!` and `writeln!` write is escaped but for the line end, bytes stay as they are.
pub struct Results<W>(pub W);

impl<W: Write> Write for Results<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn write_fmt(&mut self, text: Arguments<'_>) -> io::Result<()> {
        let text = text.to_string();
        let (line, end) = text.strip_suffix('\n').map_or((text.as_str(), ""), |line| (line, "\n"));
        self.0.write_all((escaped(line) + end).as_bytes())
    }
}

/// Writes text of several lines.
pub fn write_lines(out: &mut dyn Write, text: impl Display) -> io::Result<()> {
    text.to_string().lines().try_for_each(|line| writeln!(out, "{line}"))
}

/// Writes a JSON document and a line end.
pub fn write_json(out: &mut dyn Write, document: &Value) -> io::Result<()> {
    out.write_all(format!("{}\n", json_text(&format!("{:#}", with_schema(document)))).as_bytes())
}

/// Writes a JSON document in one line.
pub fn write_json_line(out: &mut dyn Write, document: &Value) -> io::Result<()> {
    out.write_all(format!("{}\n", json_text(&with_schema(document).to_string())).as_bytes())
}

fn with_schema(document: &Value) -> Value {
    let mut document = document.clone();
    document["schema"] = json!(SCHEMA);
    document
}

/// The same document without the characters that JSON allows and terminals act on.
fn json_text(document: &str) -> String {
    let mut text = String::with_capacity(document.len());
    for c in document.chars() {
        // Below are only line ends of the document's own. What isn't stands in strings and has four digits.
        if c >= '\u{7f}' && escaped(c.encode_utf8(&mut [0; 4])).is_ascii() {
            text += &format!("\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// A bar of indicatif's on a terminal, unless only errors are said.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    if QUIET.load(Relaxed) {
        return ProgressBar::hidden();
    }
    ProgressBar::new(length).with_style(ProgressStyle::with_template(template).expect("the templates are sound"))
}

/// A sign of life for what takes long: on a terminal only, gone when dropped.
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Starts to turn.
    pub fn new(message: impl AsRef<str>) -> Self {
        let bar = bar(0, "{spinner} {msg} ({elapsed})").with_message(escaped(message.as_ref()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Bars of downloads, one after the other: on a terminal only, gone when dropped.
#[derive(Default)]
pub struct Downloads(Mutex<Option<ProgressBar>>);

impl Downloads {
    /// Shows how far the download of a file has come.
    pub fn show(&self, at: &excite::hub::Progress<'_>) {
        let (mut shown, file) = (self.0.lock().expect("no holder of this lock panics"), escaped(at.file));
        if shown.as_ref().is_none_or(|bar| bar.message() != file) {
            let template = "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            *shown = Some(bar(at.total, template).with_message(file));
        }
        if let Some(bar) = shown.as_ref() {
            bar.set_position(at.done);
        }
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        if let Ok(Some(bar)) = self.0.get_mut() {
            bar.finish_and_clear();
        }
    }
}
