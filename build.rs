//! Tells the program what it is built from, where that is known: the version of wgpu and git's commit.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let known = [wgpu(), commit()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { known } else { format!(" ({known})") };
    println!("cargo::rustc-env=EXCITE_BUILT_FROM={known}");
}

fn wgpu() -> Option<String> {
    let lock = std::fs::read_to_string("Cargo.lock").ok()?;
    let package = lock.split("[[package]]").find(|package| package.contains("\nname = \"wgpu\"\n"))?;
    Some(format!("wgpu {}", between(package, "\nversion = \"")?))
}

/// Of this repository, or of the one that `cargo package` notes. A debug build keeps the commit that its first build
/// saw: to follow each would compile the library anew each time.
fn commit() -> Option<String> {
    let package = std::fs::read_to_string(".cargo_vcs_info.json").ok();
    let noted =
        package.as_deref().and_then(|text| between(text, "\"sha1\": \"")).map(|sha| sha[..9.min(sha.len())].into());
    let debug = std::env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    // A repository around the package is somebody else's.
    let found = Path::new(".git").exists().then(|| {
        git(&["rev-parse", "--git-path", "logs/HEAD"])
            .filter(|log| !debug && Path::new(log).exists())
            .iter()
            .for_each(|log| println!("cargo::rerun-if-changed={log}"));
        git(&["rev-parse", "--short=9", "HEAD"])
    });
    let commit: String = noted.or(found.flatten())?;
    Some(format!("git {commit}{}", if debug { ", debug build" } else { "" }))
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().into())
}

fn between<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once('"').map(|(found, _)| found)
}
