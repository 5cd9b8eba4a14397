//! No GPU: which module of the library may use which. Data flows one way, so every arrow goes down.
//!
//! A module may use those of its own layer and of the layers before it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The lowest first. A module is a file or folder of `src/`.
const LAYERS: [(&str, &[&str]); 8] = [
    ("base", &["error", "escape", "files", "tensor"]),
    ("ir", &["graph", "ops", "param", "passes"]),
    ("planner", &["kernels", "plan", "ranges", "schedule", "tuning"]),
    ("formats", &["import", "labels", "preprocess", "weights", "zoo"]),
    ("images and downloads", &["hub", "image"]),
    ("device", &["gpu"]),
    ("measure", &["measure", "verify"]),
    ("front door", &["model", "options"]),
];

#[test]
fn every_arrow_goes_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = BTreeSet::new();
    for path in rust_files(&root.join("src")) {
        let name = path.strip_prefix(root).expect("a file of the crate").to_str().expect("UTF-8").replace('\\', "/");
        // The command line is a crate of its own, and lib.rs only names what there is.
        if name.starts_with("src/bin/") || name == "src/lib.rs" || name.ends_with("/tests.rs") {
            continue;
        }
        let module = name["src/".len()..].split(['/', '.']).next().expect("a module");
        let layer =
            layer_of(module).unwrap_or_else(|| panic!("{name}: {module} is in no layer of tests/host/layers.rs"));
        for used in used(&fs::read_to_string(&path).expect("a readable file")) {
            // Names of the crate's root are re-exports for users; `self::` is no arrow.
            let Some(target) = layer_of(&used) else { continue };
            if target > layer {
                broken.insert(format!("{name} ({}) uses {used} ({})", LAYERS[layer].0, LAYERS[target].0));
            }
        }
    }
    assert!(broken.is_empty(), "arrows that go up:\n{}", broken.into_iter().collect::<Vec<_>>().join("\n"));
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, modules)| modules.contains(&module))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules that a file names by `crate::`, in imports and in code, but for comments and the unit tests at its end.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.split("\nmod tests").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(top_level(list)),
            None => _ = found.insert(identifier(rest)),
        }
    }
    found
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()
}

/// The first names of a list in braces, up to its end.
fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut begins) = (0, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                names.push(identifier(&list[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn names_are_found_in_lists_and_in_code() {
    let text = "use crate::error::Result;\nuse crate::{graph::{Graph, Node}, ops,\n tensor::Shape};\n// crate::gpu\n\
                fn f() -> crate::plan::Plan {}\n#[cfg(test)]\nmod tests { use crate::verify; }";
    let expected = ["error", "graph", "ops", "plan", "tensor"].map(String::from);
    assert_eq!(used(text), expected.into());
}
