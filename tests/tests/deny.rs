//! What `deny.toml` says of bans, licences and sources, held against the lock file. It needs no further tool;
//! `cargo deny check` reads the same file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::process::Command;

use serde_json::Value;
use wbd_tests::places;

/// The texts between double quotes in the list or lines that follow `start`, up to the first line that is `end`.
fn quoted(text: &str, start: &str, end: &str) -> Vec<String> {
    let rest = text.split_once(start).map(|(_, rest)| rest).unwrap_or_default();
    let lines = rest.lines().take_while(|line| line.trim() != end);
    lines.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(places::repo())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn deny() -> String {
    std::fs::read_to_string(places::repo().join("deny.toml")).unwrap()
}

fn word<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// Whether one side of each "OR" is allowed as a whole; "/" is the old way to write it.
fn fits(expression: &str, allowed: &[String]) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|one| allowed.iter().any(|name| name == one.trim())))
}

#[test]
fn a_licence_fits_if_each_part_has_an_allowed_side() {
    let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned()];
    assert!(
        fits("MIT OR GPL-3.0-only", &allowed) && fits("(MIT OR X) AND Apache-2.0", &allowed) && fits("X/MIT", &allowed)
    );
    assert!(!fits("GPL-3.0-only", &allowed) && !fits("MIT AND GPL-3.0-only", &allowed) && !fits("", &allowed));
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let allowed = quoted(&deny(), "[licenses]", "]");
    assert!(allowed.len() > 5, "{allowed:?}");
    let bad: Vec<String> = packages()
        .iter()
        .filter(|package| !fits(word(package, "license"), &allowed))
        .map(|package| {
            format!("{} {}: {:?}", word(package, "name"), word(package, "version"), word(package, "license"))
        })
        .collect();
    assert!(bad.is_empty(), "not allowed by deny.toml: {bad:#?}");
}

#[test]
fn no_banned_crate_is_in_the_graph_and_every_crate_comes_from_the_registry() {
    let banned = quoted(&deny(), "deny = [", "]");
    assert!(banned.iter().any(|name| name == "serde_yaml"), "{banned:?}");
    for package in packages() {
        let name = word(&package, "name");
        assert!(!banned.iter().any(|banned| banned == name), "{name} is banned by deny.toml");
        let source = word(&package, "source");
        let ours = source.is_empty() && name.starts_with("wbd");
        assert!(ours || source.starts_with("registry+"), "{name} comes from {source:?}");
    }
}
