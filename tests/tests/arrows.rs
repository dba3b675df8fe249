//! Imports between the product's crates run only as the house is drawn (ARCHITECTURE.md); read from the manifests, not from the code.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use wbd_tests::{exec, places};

/// Each crate of the product and all that it may import, tests and build scripts included.
const ARROWS: [(&str, &[&str]); 10] = [
    // Nouns only: below everything.
    ("wbd-model", &[]),
    ("wbd-agent-api", &[]),
    ("wbd-engine", &["wbd-model"]),
    // The engine's Permit is what the ledger turns into Recorded.
    ("wbd-ledger", &["wbd-engine", "wbd-model"]),
    ("wbd-actions", &["wbd-engine", "wbd-ledger", "wbd-model"]),
    ("wbd-probes", &["wbd-agent-api", "wbd-model"]),
    ("wbd-supervisord", &["wbd-actions", "wbd-agent-api", "wbd-engine", "wbd-ledger", "wbd-model", "wbd-probes"]),
    // Shows and asks; the hands are not for it.
    ("wbdctl", &["wbd-engine", "wbd-ledger", "wbd-model", "wbd-probes"]),
    // A broken agent must not break its healer: nothing but the interface is common.
    ("wbd-agent", &["wbd-agent-api"]),
    // The tests look at the product from outside.
    ("wbd-tests", &[]),
];

fn manifests() -> BTreeMap<String, Vec<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]).current_dir(places::repo());
    let ran = exec::run(&mut cargo, b"", Duration::from_secs(60)).ok();
    let metadata: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (word(&package["name"]), imports(package))).collect()
}

/// All kinds of dependencies: normal, dev and build.
fn imports(package: &Value) -> Vec<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    let names = all.map(|dependency| word(&dependency["name"]));
    names.filter(|name| name.starts_with("wbd")).collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Every import that is not drawn, as `from -> to`.
fn undrawn(manifests: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let drawn: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut found = Vec::new();
    for (from, imports) in manifests {
        match drawn.get(from.as_str()) {
            None => found.push(format!("{from} is not drawn at all")),
            Some(may) => found
                .extend(imports.iter().filter(|to| !may.contains(&to.as_str())).map(|to| format!("{from} -> {to}"))),
        }
    }
    found
}

#[test]
fn imports_run_only_as_drawn() {
    let manifests = manifests();
    assert_eq!(manifests.len(), ARROWS.len(), "{manifests:?}");
    assert_eq!(undrawn(&manifests), Vec::<String>::new());
}

#[test]
fn the_drawing_has_no_cycle() {
    let mut left: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    while !left.is_empty() {
        let free =
            left.iter().find(|(_, imports)| imports.iter().all(|to| !left.contains_key(to))).map(|(name, _)| *name);
        left.remove(free.expect("a crate that imports none of those left"));
    }
}

#[test]
fn an_undrawn_arrow_is_found() {
    let wrong = BTreeMap::from([
        ("wbdctl".to_owned(), vec!["wbd-actions".to_owned()]),
        ("wbd-agent".to_owned(), vec!["wbd-agent-api".to_owned()]),
    ]);
    assert_eq!(undrawn(&wrong), ["wbdctl -> wbd-actions"]);
}
