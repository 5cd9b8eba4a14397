//! The tables of the SENet paper: what differs has its reason, and what is printed is known.

use excite::zoo::paper::{Row, TOLERANCE, rows};
use std::process::Command;

fn differences(row: &Row) -> Vec<f64> {
    [row.macs, row.parameters].iter().filter_map(|count| count.difference()).collect()
}

#[test]
fn differences_are_small_or_have_a_reason() {
    let rows = rows().unwrap();
    for row in &rows {
        let far = differences(row).iter().any(|difference| difference.abs() > TOLERANCE);
        assert_eq!(row.reason.is_some(), far, "{row:?}");
    }
    // All that the paper has: 2 x 10 networks, 4 more ratios of one, 5 variants.
    assert_eq!(rows.iter().filter(|row| !differences(row).is_empty()).count(), 29);
    assert_eq!(rows.iter().filter(|row| row.reason.is_some()).count(), 4);
}

#[test]
fn the_printed_table() {
    let output = Command::new(env!("CARGO_BIN_EXE_excite")).args(["models", "--paper"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!("printed_table", String::from_utf8(output.stdout).unwrap());
}

#[test]
fn the_document_has_the_same_numbers() {
    let output = Command::new(env!("CARGO_BIN_EXE_excite")).args(["models", "--paper", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let networks = document["networks"].as_array().unwrap();
    let rows = rows().unwrap();
    assert_eq!(networks.len(), rows.len());
    for (network, row) in networks.iter().zip(&rows) {
        assert_eq!(network["network"], row.network);
        assert_eq!(network["macs"]["counted"], row.macs.counted);
        assert_eq!(network["parameters"]["published"].as_f64(), row.parameters.published);
    }
}
