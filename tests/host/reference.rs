//! The pages of `docs/reference/`: made from the program and the library, and what the repository has.
//!
//! `EXCITE_BLESS=1 cargo test --all-features --test host reference` writes them.

use std::path::Path;
use std::process::Command;

/// What the program prints on standard output.
fn said(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_excite")).args(args).env("NO_COLOR", "1").output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn block(text: &str) -> String {
    format!("```text\n{}\n```\n", text.trim_end())
}

/// A page is what it should be, or is written where that is asked for.
fn check(name: &str, title: &str, made_from: &str, body: &str) {
    let page =
        format!("# {title}\n\nMade from {made_from} by `tests/host/reference.rs`: change that, not this.\n\n{body}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("EXCITE_BLESS").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(page.lines()).find(|(found, expected)| found != expected);
    assert!(found == page, "docs/reference/{name} is not what is made now, EXCITE_BLESS=1 writes it: {differs:?}");
}

#[test]
fn commands() {
    let all = said(&["help"]);
    let listed = all.split("Commands:\n").nth(1).and_then(|text| text.split("\n\n").next()).unwrap();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"classify") && names.last() == Some(&"help"), "{names:?}");
    let mut body = block(&all);
    for name in &names[..names.len() - 1] {
        body += &format!("\n## excite {name}\n\n{}", block(&said(&["help", name])));
    }
    check("commands.md", "Commands", "the program's help", &body);
}

#[test]
fn models() {
    let words = "Weights: `bundled` lie in the program, `hub` are fetched when they are asked for, `yours` are a file of yours \
                 (`--weights`).\n\n";
    check("models.md", "Networks", "`excite models`", &format!("{words}{}", block(&said(&["models"]))));
}

#[test]
fn onnx_ops() {
    let ops = excite::import::onnx::supported_ops();
    let rows: String = ops.iter().map(|op| format!("- {op}\n")).collect();
    let words = format!(
        "{} ops, by the definitions of opset 7 and later. An attribute or shape of one of them that is not supported is an \
         error that names the node: `excite inspect FILE` lists all of a file's. [Files of ONNX](../guide/onnx.md) says \
         more.\n\n",
        ops.len()
    );
    check("onnx-ops.md", "Ops of ONNX", "the table of `src/import/onnx/ops.rs`", &(words + &rows));
}
