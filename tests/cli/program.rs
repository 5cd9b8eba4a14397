//! Starts the program and looks at what it did; makes files for it.

use excite::Tensor;
use excite::import::safetensors;
use libtest_mimic::Failed;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What a run of the program left.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The program, with nothing from the environment that would change what it says.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_excite"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    for variable in ["RUST_LOG", "RUST_BACKTRACE", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    // No test writes into the user's cache directory.
    command.env("EXCITE_CACHE_DIR", "");
    // No test reaches a hub that it hasn't brought.
    command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", "/nonexistent");
    for variable in ["HF_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN"] {
        command.env_remove(variable);
    }
    command
}

/// Runs to the end.
pub fn run(command: &mut Command) -> Result<Ran, Failed> {
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// Runs with these arguments to a good end, and gives its standard output.
pub fn succeed(args: &[&str]) -> Result<String, Failed> {
    let ran = run(program().args(args))?;
    match ran.code {
        Some(0) => Ok(ran.stdout),
        code => Err(format!("exit status {code:?}, standard error: {}", ran.stderr).into()),
    }
}

/// Runs with these arguments to exit status 1 and one line that holds all of `parts`.
pub fn refuse(args: &[&str], parts: &[&str]) -> Result<(), Failed> {
    refused(&run(program().args(args))?, parts)
}

/// Exit status 1 and one line that holds all of `parts`; causes may follow.
pub fn refused(ran: &Ran, parts: &[&str]) -> Result<(), Failed> {
    let told = |what: &str| Failed::from(format!("{what}; exit status {:?}, standard error: {}", ran.code, ran.stderr));
    let news = |line: &&str| line.starts_with("running on ") || line.starts_with("network: ");
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| !news(line)).collect();
    let [line, causes @ ..] = errors.as_slice() else { return Err(told("no message")) };
    if ran.code != Some(1) {
        return Err(told("expected exit status 1"));
    }
    if !line.starts_with("error: ") || !causes.iter().all(|line| line.starts_with("  because: ")) {
        return Err(told("expected one line, then causes"));
    }
    match parts.iter().find(|part| !line.contains(*part)) {
        None => Ok(()),
        Some(part) => Err(told(&format!("the message lacks \"{part}\""))),
    }
}

/// A folder for one test, gone with it.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Result<Self, Failed> {
        Ok(Self(tempfile::tempdir()?))
    }

    /// A path in the folder, as text.
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("temporary folders have plain names").into()
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<String, Failed> {
        let path = self.path(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Writes tensors and gives the file's path.
    pub fn tensors(&self, name: &str, tensors: &[(&str, Tensor)]) -> Result<String, Failed> {
        let path = self.path(name);
        safetensors::write(&path, tensors.iter().map(|(name, tensor)| (*name, tensor)))?;
        Ok(path)
    }

    /// The names in the folder.
    pub fn names(&self) -> Result<Vec<String>, Failed> {
        let entries = std::fs::read_dir(self.0.path())?;
        let mut names: Vec<String> = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<_>>()?;
        names.sort();
        Ok(names)
    }
}

/// A file of `assets/digits`.
pub fn asset(name: &str) -> String {
    format!("assets/digits/{name}")
}

/// The bundled images, `digit_<label>_<index>.png`, with their labels.
pub fn digits() -> Result<Vec<(String, String)>, Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
    paths.sort();
    let label = |path: &Path| path.file_name()?.to_str()?.split('_').nth(1).map(String::from);
    let with_label = |path: PathBuf| Some((path.to_str()?.to_string(), label(&path)?));
    Ok(paths.into_iter().filter_map(with_label).collect())
}
