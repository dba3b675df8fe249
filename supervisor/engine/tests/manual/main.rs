//! The manual says what the code says: probes, fields, actions, keys and settings stand in the pages, and nothing
//! else does; the examples load and their test passes. How the pages read is not checked here.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod tables;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use wbd_engine::play::testing;
use wbd_engine::playbook::{self, settings};
use wbd_model::problem::Source;
use wbd_model::settings::Settings;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines between `BEGIN NAME` and `END NAME`.
fn block(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!(".\\\" BEGIN {name}:")).unwrap_or_else(|| panic!("no BEGIN {name}"));
    let (block, _) = rest.split_once(&format!(".\\\" END {name}")).unwrap_or_else(|| panic!("no END {name}"));
    block.split_once('\n').map(|(_, lines)| lines.to_owned()).unwrap_or_default()
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
        .map(|word| word.trim_matches('.'))
        .collect()
}

/// The block of a page must be what the declarations make of it; with `RENEW_MANUAL` set it is written there.
fn is_made(name: &str, made: &str) {
    // The tests run side by side, and each writes its block into the same page.
    static PAGE: Mutex<()> = Mutex::new(());
    let _page = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = page("wbd-playbook.5");
    let written = block(&text, name);
    if written == made {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man/wbd-playbook.5");
    if std::env::var_os("RENEW_MANUAL").is_some() {
        fs::write(&path, text.replacen(&written, made, 1)).expect("the page");
    }
    panic!(
        "the block {name} of man/wbd-playbook.5 is not what the declarations say; write it anew: \
         RENEW_MANUAL=1 cargo test --workspace --test manual"
    );
}

#[test]
fn the_manual_has_each_probe_with_its_parameters_its_fields_and_what_makes_it_unknown() {
    is_made("PROBES", &tables::probes());
}

#[test]
fn the_manual_has_each_action_of_a_step_with_its_class_parameters_conflict_and_undo() {
    is_made("ACTIONS", &tables::actions());
}

/// All keys below a schema, wherever it leads; probes and steps have sections of their own.
fn collect(root: &Value, schema: &Value, keys: &mut BTreeSet<String>, seen: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"))
        && !["Look", "StepSpec"].contains(&name)
        && seen.insert(name.to_owned())
    {
        collect(root, &root["$defs"][name], keys, seen);
    }
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        keys.insert(key.clone());
        collect(root, below, keys, seen);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            collect(root, &schema[part], keys, seen);
        }
    }
    for part in ["anyOf", "oneOf", "allOf"] {
        for below in schema[part].as_array().into_iter().flatten() {
            collect(root, below, keys, seen);
        }
    }
}

/// Every key is in the block, and every key that has an item of its own there exists.
fn same_keys(block: &str, keys: &BTreeSet<String>) {
    let known = words(block);
    let missing: Vec<&String> = keys.iter().filter(|key| !known.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "not in the manual: {missing:?}");
    let items = block.lines().filter_map(|line| line.strip_prefix(".It Va "));
    let wrong: Vec<&str> = items.filter(|item| !keys.contains(*item)).collect();
    assert!(wrong.is_empty(), "only in the manual: {wrong:?}");
}

#[test]
fn each_key_of_playbooks_profiles_and_tests_stands_in_the_manual_and_no_other() {
    let page = page("wbd-playbook.5");
    let schema = playbook::schema();
    let specs = [("PLAYBOOKS", "PlaybookSpec"), ("PROFILES", "ProfileSpec"), ("TESTS", "TestSpec")];
    for (name, spec) in specs {
        let block = block(&page, name);
        let mut keys = BTreeSet::new();
        // A profile inside a test is described with profiles.
        let mut seen = if name == "TESTS" { BTreeSet::from(["ProfileSpec".to_owned()]) } else { BTreeSet::new() };
        collect(&schema, &schema["$defs"][spec], &mut keys, &mut seen);
        assert!(keys.len() > 5, "{name}: the schema was not understood");
        same_keys(&block, &keys);
    }
}

#[test]
fn each_setting_stands_in_the_manual_with_its_default() {
    let page = page("wbdctl.1");
    let block = block(&page, "SETTINGS");
    let schema = serde_json::to_value(schemars::schema_for!(Settings)).expect("a schema");
    let mut keys = BTreeSet::new();
    collect(&schema, &schema, &mut keys, &mut BTreeSet::new());
    same_keys(&block, &keys);
    let defaults = serde_json::to_value(Settings::default()).expect("settings");
    let mut open: Vec<&Value> = vec![&defaults];
    while let Some(value) = open.pop() {
        let text = match value {
            Value::Object(map) => {
                open.extend(map.values());
                continue;
            }
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) => continue,
        };
        assert!(block.contains(&format!(".Ql {text}")), "the default {text} is not in the manual");
    }
}

#[test]
fn the_shipped_settings_load_with_every_example_in_force() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/etc/wbd/wbd.yaml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Words begin after "# ", an example right after '#', its further lines after "#  ".
    let is_example = |line: &str| !line.starts_with("# ") || line.starts_with("#  ");
    let lines = text.lines().filter(|line| is_example(line)).map(|line| line.trim_start_matches('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    let shipped = settings::parse(&Source { path: "wbd.yaml".to_owned(), text });
    let settings = shipped.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let maintenance = settings.maintenance.expect("the example");
    assert_eq!((maintenance.zone.as_str(), maintenance.windows[0].days.len()), ("Europe/Berlin", 2));
    assert!(!settings.on_escalation.is_empty() && !settings.facts.is_empty());
}

#[test]
fn the_examples_load_and_their_test_passes() {
    let page = page("wbd-playbook.5");
    let examples: Vec<&str> = page
        .split(".Bd -literal")
        .skip(1)
        .map(|part| part.split_once('\n').expect("a body").1.split(".Ed").next().unwrap_or_default())
        .collect();
    let text = examples.join("---\n");
    let (library, problems) = playbook::load(&[Source { path: "manual.yaml".to_owned(), text }]);
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!((library.playbooks.len(), library.profiles.len(), library.tests.len()), (1, 1, 1));
    for test in library.tests.values() {
        assert_eq!(testing::run(&library, test), [], "{}", test.name);
    }
}
