//! The `excite` command line: one file per subcommand, what they share in `common.rs`, files in `output.rs`, what is
//! said in `terminal.rs`.

mod bench;
mod classify;
mod common;
mod devices;
mod images;
mod inspect;
mod model;
mod models;
mod output;
mod pages;
mod panics;
mod paper;
mod plan;
mod ranges;
mod run;
mod terminal;
mod tune;
mod verify;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use excite::escaped;
use std::io::Write;
use std::process::ExitCode;

/// Squeeze-and-Excitation networks on any GPU.
///
/// Results go to standard output, everything else to standard error. The exit status is 0, 1 after an error, 2 for a
/// command line that can't be understood, and 130 after Ctrl-C. JSON documents have a version, `schema`; NO_COLOR is
/// heeded. EXCITE_CACHE_DIR is the folder of compiled pipelines and of what `tune` finds, which is in the user's cache
/// directory without it; empty, neither is kept.
#[derive(Parser)]
#[command(version = VERSION, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say what happens on the way; twice: in detail. RUST_LOG chooses by module, wgpu's own only by name.
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = common::heading::MESSAGES)]
    verbose: u8,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = common::heading::MESSAGES)]
    quiet: bool,
}

/// With what it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("EXCITE_BUILT_FROM"));

const EXAMPLES: &str = "Examples:
  excite devices                                  the adapters there are
  excite classify photo.jpg --model seresnet50    what is in an image
  excite inspect net.onnx                         what is in a file
  excite help classify                            all about one command";

#[derive(Subcommand)]
enum Command {
    Devices(devices::Args),
    Models(models::Args),
    Classify(classify::Args),
    Inspect(inspect::Args),
    Plan(plan::Args),
    Run(run::Args),
    Verify(verify::Args),
    Bench(bench::Args),
    Tune(tune::Args),
    Ranges(ranges::Args),
    Completions(pages::Completions),
    Man(pages::Man),
}

/// Why a command ends early.
enum Failure {
    /// What it was asked for can't be done.
    Error(excite::Error),
    /// Its results can't be written to standard output.
    Output(std::io::Error),
    /// The reason has been given already.
    Reported,
}

impl From<excite::Error> for Failure {
    fn from(error: excite::Error) -> Self {
        Self::Error(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

fn main() -> ExitCode {
    keep_wayland_quiet();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if cli.quiet {
        terminal::be_quiet();
    }
    log_as_asked(&cli);
    output::finish_files_on_interrupt();
    panics::quieten();
    let out = &mut terminal::Results(std::io::stdout().lock());
    let ended = panics::reported(|| match cli.command {
        Command::Devices(args) => devices::run(&args, out),
        Command::Models(args) => models::run(&args, out),
        Command::Classify(args) => classify::run(&args, out),
        Command::Inspect(args) => inspect::run(&args, out),
        Command::Plan(args) => plan::run(&args, out),
        Command::Run(args) => run::run(&args, out),
        Command::Verify(args) => verify::run(&args, out),
        Command::Bench(args) => bench::run(&args, out),
        Command::Tune(args) => tune::run(&args, out),
        Command::Ranges(args) => ranges::run(&args, out),
        Command::Completions(args) => pages::completions(&args, Cli::command(), out),
        Command::Man(args) => pages::man(&args, Cli::command()),
    });
    match ended.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => return ExitCode::SUCCESS,
        // The reader of the output has seen enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(Failure::Output(error)) => terminal::error(&format!("can't write to standard output: {error}")),
        Err(Failure::Error(error)) => terminal::error(&terminal::with_causes(&error)),
        Err(Failure::Reported) => {}
    }
    ExitCode::FAILURE
}

/// Shows help, the version, or what is wrong with the command line. An argument may be the name of any file.
fn usage(error: &clap::Error) -> ExitCode {
    if std::env::args_os().any(|argument| *escaped(&argument) != *argument) {
        error.to_string().lines().for_each(|line| eprintln!("{}", escaped(line)));
    } else {
        // What can't be printed can't be complained about either.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Mesa looks for a Wayland display wherever it runs, and complains where sessions have no folder for its socket.
fn keep_wayland_quiet() {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
    if cfg!(target_os = "linux") && !std::path::Path::new(&folder).is_absolute() {
        // SAFETY: this is the only thread yet, so that no other reads the environment meanwhile.
        #[allow(unsafe_code, reason = "there is no other way to tell a library that takes no options")]
        unsafe {
            std::env::set_var("XDG_RUNTIME_DIR", "/nonexistent");
        }
    }
}

/// Drivers that fail to load are no news where others do; -v and RUST_LOG ask for more.
fn log_as_asked(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    let mut builder = env_logger::Builder::new();
    match std::env::var("RUST_LOG") {
        Ok(wish) => {
            // wgpu and its parts say tens of thousands of lines, which have to be asked for by name.
            if ["info", "debug", "trace"].iter().any(|level| wish.to_lowercase().contains(level)) {
                builder.parse_filters("wgpu_core=warn,wgpu_hal=warn,naga=warn");
            }
            builder.parse_filters(&wish)
        }
        Err(_) => builder.parse_filters(&format!("excite={level}")),
    };
    builder.format(|out, record| {
        let (level, style) = (record.level(), out.default_level_style(record.level()));
        let text = escaped(&record.args().to_string());
        writeln!(out, "[{} {style}{level:5}{style:#} {}] {text}", out.timestamp_millis(), record.target())
    });
    builder.init();
}
