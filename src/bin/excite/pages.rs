//! `excite completions` and `excite man`: what packages and shells want, made from the same tables as the help.

use crate::{Failure, output};
use clap_complete::Shell;
use excite::Error;
use std::io::Write;
use std::path::PathBuf;

/// Print a shell's completions
#[derive(clap::Args)]
#[command(after_help = "Examples:
  excite completions bash > ~/.local/share/bash-completion/completions/excite
  excite completions zsh > _excite                # into a folder of $fpath
  excite completions fish > ~/.config/fish/completions/excite.fish")]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

pub fn completions(args: &Completions, mut command: clap::Command, out: &mut dyn Write) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "excite", &mut script);
    Ok(out.write_all(&script)?)
}

/// Write the manual pages into a folder
#[derive(clap::Args)]
#[command(after_help = "Example:
  excite man ~/.local/share/man/man1 && man excite-classify")]
pub struct Man {
    /// The folder, which must be there.
    folder: PathBuf,
}

pub fn man(args: &Man, command: clap::Command) -> Result<(), Failure> {
    let written = output::whole(|| {
        clap_mangen::generate_to(command, &args.folder).map_err(|error| Error::File {
            path: args.folder.clone(),
            message: "can't write the manual pages".into(),
            source: Some(Box::new(error)),
        })
    });
    Ok(written?)
}
