//! A playbook rehearsed on what a real supervisor recorded, on its own root and on another one; and what it says where
//! nothing was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use wbd_tests::deadline::wait_until;
use wbd_tests::json::{self, Answer};
use wbd_tests::places;

use crate::trial::{self, DOWN, Trial, put};

/// `agent-down` as the trial uses it, with one text in the place of another.
fn edited(trial: &Trial, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(trial.root().join("etc/wbd/playbooks.d/agent-down.yaml")).expect("the trial's own");
    assert!(text.contains(from), "agent-down no longer says {from:?}");
    put(trial.root(), "edited.yaml", &text.replace(from, to))
}

fn simulate(root: &Path, file: &Path, more: &[&str]) -> Answer {
    let file = file.to_str().expect("scratch paths are text");
    json::wbdctl_at(root, ["playbook", "simulate", file].iter().chain(more))
}

/// Everything under a root with its bytes, but for what a living agent and readers of a database share in memory.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("scratch folder").flatten() {
            let path = entry.path();
            let shared = path == root.join("run") || path.to_string_lossy().ends_with("-shm");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !shared {
                folders.push(path);
            } else if entry.file_type().is_ok_and(|kind| kind.is_file()) && !shared {
                found.insert(path.clone(), fs::read(&path).unwrap_or_default());
            }
        }
    }
    found
}

/// The files that differ.
fn changed(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let names: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

fn actions(answer: &Answer) -> Vec<&Value> {
    answer.list("events").iter().filter(|event| event["kind"] == "intent").collect()
}

/// An agent that was killed and healed, and the end of that on record: the supervisor was told to stop.
fn healed() -> Trial {
    let mut trial = Trial::begin("auto");
    let old = trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
    trial.agent_after(old);
    trial.supervisor.terminate();
    trial
}

#[test]
fn an_edited_playbook_tells_what_it_would_have_done_differently() {
    let trial = healed();
    let before = tree(trial.root());
    let same = simulate(trial.root(), &trial.root().join("etc/wbd/playbooks.d/agent-down.yaml"), &[]);
    let sums = (same.code, &same.json["known"], &same.json["totals"]["proved"]);
    assert_eq!(sums, (0, &true.into(), &1.into()), "{}", same.json);
    let action = actions(&same);
    assert_eq!(action.len(), 1, "{}", same.json);
    assert_eq!((&action[0]["action"], &action[0]["class"]), (&serde_json::json!({"agent.start": {}}), &"A2".into()));
    assert!(action[0]["in_life"][0].as_str().is_some_and(|real| real.ends_with("agent.start")), "{}", same.json);
    // Budgets of the trial are wide; one restart is spent.
    assert_eq!(action[0]["budget"]["host_hour_left"], 999, "{}", same.json);
    assert_eq!(changed(&before, &tree(trial.root())), Vec::<PathBuf>::new(), "a rehearsal changes nothing");

    let patient = edited(
        &trial,
        "      - id: dead\n        level: fail\n",
        "      - id: dead\n        level: fail\n        for: 10m\n",
    );
    let waits = simulate(trial.root(), &patient, &["--since", "1h"]);
    assert_eq!((waits.code, actions(&waits).len(), &waits.json["totals"]["incidents"]), (0, 0, &0.into()));
    assert_eq!((&waits.json["checks"][0]["failures"], &waits.json["in_life"]["deeds"]), (&1.into(), &1.into()));

    let rough = edited(&trial, "        - agent.start: {}\n", "        - agent.restart: {}\n");
    let other = simulate(trial.root(), &rough, &["--target", "wbd"]);
    assert_eq!(actions(&other)[0]["action"], serde_json::json!({"agent.restart": {}}), "{}", other.json);
    assert_eq!(other.json["totals"]["not_decidable"], 1, "it cannot claim a proof: {}", other.json);
    let text = trial.ctl(&["playbook", "simulate", rough.to_str().expect("text")]).ok();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for part in ["would do", "restart the agent, class A2", "proof ?", "not decidable", "It cannot know"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_record_is_exported_once_and_rehearsed_on_another_root() {
    let trial = healed();
    let bundle = trial.root().join("host.bundle");
    let name = bundle.to_str().expect("text");
    let facts = "facts: {site.token: s3cret}\non_escalation: [/bin/mail, pass-w0rd]\n";
    let settings = fs::read_to_string(trial.root().join("etc/wbd/wbd.yaml")).expect("settings");
    put(trial.root(), "etc/wbd/wbd.yaml", &format!("{settings}{facts}"));
    let exported = json::wbdctl_at(trial.root(), ["ledger", "export", name]);
    assert_eq!((exported.code, &exported.json["profiles"]), (0, &serde_json::json!(["wbd"])), "{}", exported.json);
    assert_eq!(fs::metadata(&bundle).expect("written").permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&bundle).expect("text");
    assert!(!text.contains("s3cret") && !text.contains("pass-w0rd"), "no secrets");
    let again = trial.ctl(&["ledger", "export", name]).exits(1);
    assert!(String::from_utf8_lossy(&again.stderr).contains("not overwritten"), "{}", again.report());
    assert_eq!(fs::read_to_string(&bundle).expect("text"), text, "it stands as it was");

    let elsewhere = trial::root("observe");
    let rough = edited(&trial, "        - agent.start: {}\n", "        - agent.restart: {}\n");
    let there = simulate(elsewhere.path(), &rough, &["--from", name]);
    let here = simulate(trial.root(), &rough, &[]);
    // The settings are those of the record, which heals.
    assert_eq!((there.code, actions(&there)), (0, actions(&here)), "{}", there.json);
    assert_eq!(actions(&there).len(), 1);

    for (what, damaged) in [
        ("cut off", text[..text.len() / 2].to_owned()),
        ("edited", text.replacen("standalone", "Standalone", 1)),
        ("no bundle", "apiVersion: wbd/v1\n".to_owned()),
    ] {
        let file = put(trial.root(), "bad.bundle", &damaged);
        let refused =
            trial.ctl(&["playbook", "simulate", rough.to_str().expect("text"), "--from", file.to_str().expect("text")]);
        let said = String::from_utf8_lossy(&refused.exits(1).stderr).into_owned();
        assert!(said.contains("line ") && said.contains("bad.bundle"), "{what}: {said}");
    }
}

#[test]
fn a_dry_run_shows_each_change_and_makes_none() {
    let trial = Trial::begin("observe");
    trial.hurt(Signal::SIGKILL);
    trial.held_by(DOWN, "mode");
    let etc = tree(&trial.root().join("etc"));
    let answer = json::wbdctl_at(trial.root(), ["doctor", "--dry-run", "--only", DOWN]);
    let fix = &answer.cause(DOWN).expect("it is down")["fix"];
    assert_eq!((answer.code, &fix["plan"]), (2, &serde_json::json!(["start the agent"])), "{}", answer.json);
    let change = &fix["changes"][0];
    let names_it = change["what"].as_str().is_some_and(|what| what.ends_with("wbd_agent"));
    assert!(names_it && change["after"] == "started" && change["before"] == "not running", "{}", answer.json);
    let text = trial.ctl(&["doctor", "--fix", "--dry-run", "--only", DOWN]).exits(2);
    let text = String::from_utf8_lossy(&text.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("nothing was done") && text.contains("not running -> started"), "{text}");
    trial.stays_undone("a dry run", trial::QUIET);
    assert_eq!(changed(&etc, &tree(&trial.root().join("etc"))), Vec::<PathBuf>::new());
    let plain = json::wbdctl_at(trial.root(), ["doctor", "--only", DOWN]);
    assert!(plain.cause(DOWN).expect("it is down")["fix"]["changes"].is_null(), "only where it was asked for");
}

#[test]
fn what_was_not_recorded_is_unknown_and_what_is_broken_has_its_place() {
    let trial = Trial::begin("auto");
    let dns = places::repo().join("playbooks/dns.yaml");
    let about_nothing = trial.ctl(&["playbook", "simulate", dns.to_str().expect("text")]).exits(1);
    let said = String::from_utf8_lossy(&about_nothing.stderr).into_owned();
    assert!(said.contains("about no product"), "{said}");
    // A question that nobody asked so far: the service's own state is asked by agent-down, its versions are not.
    let text = fs::read_to_string(places::repo().join("playbooks/agent-config.yaml")).expect("shipped");
    let other = text.replace("agent.health: {}", "process.state: {process: main}");
    let asked = put(trial.root(), "other.yaml", &other);
    let broken = trial.ctl(&["playbook", "simulate", asked.to_str().expect("text")]).exits(78);
    let said = format!("{}{}", String::from_utf8_lossy(&broken.stdout), String::from_utf8_lossy(&broken.stderr));
    assert!(said.contains("other.yaml:"), "names the place: {said}");
    let agent_down = places::repo().join("playbooks/agent-down.yaml");
    let target =
        trial.ctl(&["playbook", "simulate", agent_down.to_str().expect("text"), "--target", "nobody"]).exits(64);
    assert!(String::from_utf8_lossy(&target.stderr).contains("it has wbd"), "{}", target.report());

    let fresh = trial::root("auto");
    trial::ctl(fresh.path(), &["playbook", "simulate", agent_down.to_str().expect("text")]).exits(1);
    let before_it_was_kept = fresh.path().join("var/lib/wbd/ledger.db");
    drop(trial);
    assert!(!before_it_was_kept.exists(), "a rehearsal begins no ledger");
    let young = Trial::on(fresh);
    wait_until("the first answers", Duration::from_secs(40), || {
        let answer = simulate(young.root(), &agent_down, &[]);
        // Until the first look is kept it says unknown and ends with 1; then it has seen nothing fail.
        match answer.code {
            1 if answer.json["known"] == false && actions(&answer).is_empty() => Err(answer.json.to_string()),
            0 => Ok(()),
            _ => panic!("{}", answer.json),
        }
    });
}
