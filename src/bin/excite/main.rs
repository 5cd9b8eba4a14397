//! The `excite` command line: one file per subcommand, what they share in `common.rs`, files in `output.rs`.

mod bench;
mod classify;
mod common;
mod devices;
mod inspect;
mod model;
mod models;
mod output;
mod paper;
mod plan;
mod ranges;
mod run;
mod tune;
mod verify;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Squeeze-and-Excitation networks on any GPU.
///
/// Results go to standard output, everything else to standard error. The exit status is 0, 1 after an error, 2 for a
/// command line that can't be understood, and 130 after Ctrl-C. RUST_LOG=info shows what happens on the way.
/// EXCITE_CACHE_DIR is the folder of compiled pipelines and of what `tune` finds, which is in the user's cache directory
/// without it; empty, neither is kept.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

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
    let cli = Cli::parse();
    // Drivers that fail to load are no news where others do; RUST_LOG asks for all there is.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("excite=warn")).init();
    output::finish_files_on_interrupt();
    let out = &mut std::io::stdout().lock();
    let ended = match cli.command {
        Command::Devices(args) => devices::run(&args, out),
        Command::Models(args) => models::run(&args, out),
        Command::Classify(args) => classify::run(&args, out),
        Command::Inspect(args) => inspect::run(&args, out),
        Command::Plan(args) => plan::run(&args, out),
        Command::Run(args) => run::run(&args),
        Command::Verify(args) => verify::run(&args, out),
        Command::Bench(args) => bench::run(&args, out),
        Command::Tune(args) => tune::run(&args, out),
        Command::Ranges(args) => ranges::run(&args, out),
    };
    match ended.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            eprintln!("error: can't write to standard output: {error}");
            ExitCode::FAILURE
        }
        Err(Failure::Error(error)) => {
            eprintln!("error: {}", common::with_causes(&error));
            ExitCode::FAILURE
        }
        Err(Failure::Reported) => ExitCode::FAILURE,
    }
}
