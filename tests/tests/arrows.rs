//! Imports run only as the house is drawn (ARCHITECTURE.md): between the crates by their manifests, between the files
//! of a crate by its sources. No files import each other in a circle, and the engine's rooms know only those below
//! them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use wbd_tests::imports::{self, Import};
use wbd_tests::{exec, places};

/// Each name and all that it may import.
type Drawing = [(&'static str, &'static [&'static str])];

/// Each crate of the product and all that it may import, tests and build scripts included.
const ARROWS: &Drawing = &[
    // Nouns only: below everything.
    ("wbd-model", &[]),
    // The interface, and beside it what both halves do alike to the host and nobody may do otherwise: judging whose a
    // process is, writing a file whole, running a program. All but the pure may use it; it uses nobody.
    ("wbd-agent-api", &[]),
    ("wbd-engine", &["wbd-model"]),
    // The engine's Permit is what the ledger turns into Recorded.
    ("wbd-ledger", &["wbd-agent-api", "wbd-engine", "wbd-model"]),
    // An administrator's stop is noted in the form that the agent's own stop has.
    ("wbd-actions", &["wbd-agent-api", "wbd-engine", "wbd-ledger", "wbd-model"]),
    ("wbd-probes", &["wbd-agent-api", "wbd-model"]),
    ("wbd-supervisord", &["wbd-actions", "wbd-agent-api", "wbd-engine", "wbd-ledger", "wbd-model", "wbd-probes"]),
    // Shows and asks; the executor is not for it.
    ("wbdctl", &["wbd-agent-api", "wbd-engine", "wbd-ledger", "wbd-model", "wbd-probes"]),
    // A broken agent must not break its healer: nothing but the interface is common.
    ("wbd-agent", &["wbd-agent-api"]),
    // The tests look at the product from outside.
    ("wbd-tests", &[]),
];

/// The engine's rooms, each with those that it may import; the file of a room's name and all in its folder are in it.
const ENGINE_ROOMS: &Drawing = &[
    // What is known, and what of it lets an action be done.
    ("state", &[]),
    ("yaml", &[]),
    ("guard", &["state", "yaml"]),
    ("replay", &["guard", "state"]),
    // What is written in playbooks, and what it says of what was seen.
    ("expr", &["yaml"]),
    ("playbook", &["expr", "guard", "yaml"]),
    ("judge", &["expr", "guard", "playbook", "state"]),
    // What follows from both; and the same without a host.
    ("round", &["guard", "judge", "state"]),
    ("trend", &[]),
    ("play", &["guard", "judge", "playbook", "round", "state", "trend"]),
];

/// The daemon's rooms: what can happen and what can follow below, the loop on top, and between them owners that know of
/// each other's only what a view shows.
const DAEMON_ROOMS: &Drawing = &[
    ("event", &[]),
    ("follow", &["event"]),
    ("agent", &["event", "follow"]),
    ("record", &["event"]),
    ("tell", &["event", "follow"]),
    ("look", &["agent", "event", "follow"]),
    ("view", &["agent", "look", "record", "tell"]),
    ("talk", &["event", "follow", "look", "view"]),
    ("act", &["event", "follow", "talk", "view"]),
    ("supervisor", &["act", "agent", "event", "follow", "look", "record", "talk", "tell", "view"]),
    ("turn", &["event", "look", "supervisor", "tell"]),
    ("start", &["agent", "event", "look", "record", "supervisor", "talk", "tell"]),
    ("main", &["start", "tell"]),
];

/// The crates whose rooms are drawn.
const ROOMS: [(&str, &Drawing); 2] = [("wbd-engine", ENGINE_ROOMS), ("wbd-supervisord", DAEMON_ROOMS)];

/// Files that are still in a circle, by their crate. A file that is in none any more has to go from here, and none may
/// come.
const STILL_IN_A_CIRCLE: &Drawing = &[];

fn metadata() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]).current_dir(places::repo());
    let ran = exec::run(&mut cargo, b"", Duration::from_secs(60)).ok();
    let metadata: Value = serde_json::from_slice(&ran.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn manifests() -> BTreeMap<String, Vec<String>> {
    metadata().iter().map(|package| (word(&package["name"]), dependencies(package))).collect()
}

/// All kinds of dependencies: normal, dev and build.
fn dependencies(package: &Value) -> Vec<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    let names = all.map(|dependency| word(&dependency["name"]));
    names.filter(|name| name.starts_with("wbd")).collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Every import that is not drawn, as `from -> to`.
fn undrawn(manifests: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let drawn: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
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

/// The imports inside of each crate: of its library and of its programs, paths from `src` on.
fn insides() -> BTreeMap<String, Vec<Import>> {
    let mut all: BTreeMap<String, Vec<Import>> = BTreeMap::new();
    for package in metadata() {
        for target in package["targets"].as_array().unwrap() {
            let kinds: Vec<String> = target["kind"].as_array().unwrap().iter().map(word).collect();
            if kinds.iter().any(|kind| kind == "lib" || kind == "bin") {
                let found = inside(Path::new(&word(&target["src_path"])));
                all.entry(word(&package["name"])).or_default().extend(found);
            }
        }
    }
    all
}

fn inside(root: &Path) -> Vec<Import> {
    let folder = root.parent().unwrap();
    let file = root.file_name().unwrap().to_str().unwrap();
    let load = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
    let found = imports::imports(file, &load);
    found.unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// Circles that are not on the list, and entries of the list that are in no circle.
fn circles_beside(known: &Drawing, insides: &BTreeMap<String, Vec<Import>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, imports) in insides {
        let known: BTreeSet<&str> =
            known.iter().filter(|(of, _)| of == name).flat_map(|(_, files)| *files).copied().collect();
        let circles = imports::circles(imports);
        let is_known = |file: &String| known.contains(file.as_str());
        wrong.extend(circles.iter().filter(|it| !it.files.iter().all(is_known)).map(|it| format!("{name}: {it}")));
        let stands = |file: &&&str| circles.iter().any(|circle| circle.files.contains(**file));
        wrong.extend(
            known.iter().filter(|file| !stands(file)).map(|file| format!("{name}: {file} is in no circle any more")),
        );
    }
    wrong
}

fn room(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or(file)
}

/// Every import from one room to another that is not drawn.
fn undrawn_rooms(rooms: &Drawing, imports: &[Import]) -> Vec<String> {
    let drawn: BTreeMap<&str, &[&str]> = rooms.iter().copied().collect();
    let is_wrong = |import: &&Import| {
        let (from, to) = (room(&import.from), room(&import.to));
        from != to && drawn.get(from).is_none_or(|may| !may.contains(&to))
    };
    imports
        .iter()
        .filter(is_wrong)
        .map(|import| format!("{} -> {}: {import}", room(&import.from), room(&import.to)))
        .collect()
}

fn import(from: &str, to: &str) -> Import {
    Import { from: from.to_owned(), line: 1, path: "crate::x".to_owned(), to: to.to_owned() }
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn imports_run_only_as_drawn() {
    let manifests = manifests();
    assert_eq!(manifests.len(), ARROWS.len(), "{manifests:?}");
    assert_eq!(undrawn(&manifests), Vec::<String>::new());
}

#[test]
fn the_drawings_have_no_cycle() {
    for drawing in ROOMS.iter().map(|(_, rooms)| *rooms).chain([ARROWS]) {
        let mut left: BTreeMap<&str, &[&str]> = drawing.iter().copied().collect();
        while !left.is_empty() {
            let free =
                left.iter().find(|(_, imports)| imports.iter().all(|to| !left.contains_key(to))).map(|(name, _)| *name);
            left.remove(free.expect("one that imports none of those left"));
        }
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

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let insides = insides();
    assert_eq!(insides.len(), ARROWS.len(), "{:?}", insides.keys());
    assert_none(
        "files that import each other; what both need belongs in a file of its own",
        &circles_beside(STILL_IN_A_CIRCLE, &insides),
    );
}

#[test]
fn rooms_import_only_as_drawn() {
    let insides = insides();
    for (name, drawing) in ROOMS {
        let imports = &insides[name];
        let rooms: BTreeSet<&str> = imports.iter().flat_map(|it| [room(&it.from), room(&it.to)]).collect();
        let drawn: BTreeSet<&str> = drawing.iter().map(|(room, _)| *room).collect();
        assert_eq!(rooms, drawn, "{name}: each room is drawn, and each that is drawn is there");
        assert_none(&format!("{name}: not drawn"), &undrawn_rooms(drawing, imports));
    }
}

#[test]
fn a_way_up_between_rooms_is_found() {
    let up = import("state/mod.rs", "guard/permit.rs");
    let fine = [import("guard/permit.rs", "state/mod.rs"), import("guard/permit.rs", "guard/hold.rs")];
    let found = undrawn_rooms(ENGINE_ROOMS, &[fine.to_vec(), vec![up]].concat());
    assert_eq!(found, ["state -> guard: state/mod.rs:1 names crate::x, which stands in guard/permit.rs"]);
    assert_eq!(undrawn_rooms(ENGINE_ROOMS, &fine), Vec::<String>::new());
}

#[test]
fn the_list_of_known_circles_can_only_shrink() {
    let known: &Drawing = &[("wbdctl", &["a.rs", "b.rs"])];
    let of = |imports: &[Import]| circles_beside(known, &BTreeMap::from([("wbdctl".to_owned(), imports.to_vec())]));
    let circle = [import("a.rs", "b.rs"), import("b.rs", "a.rs")];
    assert_eq!(of(&circle), Vec::<String>::new());
    let grown = of(&[circle.to_vec(), vec![import("b.rs", "c.rs"), import("c.rs", "a.rs")]].concat());
    assert!(grown.len() == 1 && grown[0].contains("a circle of 3 files"), "{grown:?}");
    assert_eq!(of(&circle[..1]), ["wbdctl: a.rs is in no circle any more", "wbdctl: b.rs is in no circle any more"]);
}
