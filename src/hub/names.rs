//! What may become part of a path or an address: letters, digits and a few marks, never a way out of the folder.

use super::HubFile;
use crate::error::{Error, Result};

/// Refuses odd repositories, revisions, file names and checksums.
pub(super) fn check(file: &HubFile<'_>) -> Result<()> {
    let refuse = |what: &str, found: &str, expected: &str| {
        Err(Error::Request(format!("no {what} of the hub is named {found:?}: expected {expected}")))
    };
    let id = file.repository;
    if !is_path(id) || id.matches('/').count() > 1 || id.len() > 96 || id.contains("--") {
        return refuse("repository", id, "OWNER/NAME of letters, digits, '-', '_' and '.'");
    }
    if let Some(revision) = file.revision.filter(|revision| !is_path(revision) || revision.len() > 200) {
        return refuse("revision", revision, "a branch, a tag or a commit");
    }
    if !is_path(file.name) || file.name.len() > 200 {
        return refuse("file", file.name, "a relative path of letters, digits, '-', '_' and '.'");
    }
    if let Some(sum) = file.sha256.filter(|sum| !is_sha256(sum)) {
        return Err(Error::Request(format!("a SHA-256 is 64 hexadecimal digits, found {sum:?}")));
    }
    Ok(())
}

/// Parts that are names, with slashes in between.
fn is_path(text: &str) -> bool {
    let mark = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.split('/').all(|part| {
        part.starts_with(|c| mark(c) && c != '-')
            && part.chars().all(mark)
            && !part.contains("..")
            && !part.ends_with('.')
    })
}

pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

/// What may name a blob: a checksum, or what else a mirror takes for one.
pub(super) fn is_etag(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_refused() {
        let good = HubFile::new("timm/seresnet50.a1_in1k", "model.safetensors");
        check(&good).unwrap();
        check(&HubFile { repository: "gpt2", revision: Some("refs/pr/1"), name: "onnx/a-b_c.json", ..good }).unwrap();
        let odd = [
            "", "/", "/etc", "a/", "a//b", "..", "a/..", "../a", "a/../b", "a\\b", "C:", "a b", "a?b", "a%2Fb", "a#b",
            "a@b", "a\0", "a\n", "é", "-a", "a/-b", ".", "a/.", "a.", "~", "a..b",
        ];
        for text in odd {
            for file in [
                HubFile { repository: text, ..good },
                HubFile { revision: Some(text), ..good },
                HubFile { name: text, ..good },
            ] {
                assert!(check(&file).unwrap_err().to_string().contains("is named"), "{text:?}");
            }
        }
        for repository in ["a/b/c", "a--b/c", &"a".repeat(97)] {
            assert!(check(&HubFile { repository, ..good }).is_err(), "{repository}");
        }
        for sum in ["", "abc", &"g".repeat(64)] {
            assert!(check(&HubFile { sha256: Some(sum), ..good }).unwrap_err().to_string().contains("SHA-256"));
        }
    }
}
