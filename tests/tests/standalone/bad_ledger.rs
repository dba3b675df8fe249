//! Ledgers that were edited, cut, swapped, copied back or begun elsewhere, under a real supervisor: it says what is
//! wrong, does nothing, and goes on once a person has set the ledger aside, with the budget spent where it
//! cannot be trusted.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use wbd_tests::deadline::wait_until;

use crate::stops::agent;
use crate::toy::{self, CODE};
use crate::trial::{self, SOON, Trial};

/// Less budget than may be set, so that more can be given afterwards.
const SMALL: &str = "healing: auto\nevery: 1s\nbudget: {per_hour: 20, per_day: 20}\n";
const MORE: &str = "healing: auto\nevery: 1s\nbudget: {per_hour: 100, per_day: 100}\n";

fn ledger(root: &Path) -> PathBuf {
    root.join("var/lib/wbd/ledger.db")
}

/// Everything in the one file; the supervisor is down.
fn folded(root: &Path) -> Connection {
    let file = Connection::open(ledger(root)).expect("the ledger");
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("nobody else has it");
    file
}

/// A host that healed once, its supervisor ended, the fault back: whatever is done now is done on this ledger.
fn healed_once() -> Trial {
    let root = toy::root("auto");
    trial::put(root.path(), "etc/wbd/wbd.yaml", SMALL);
    toy::breaks(root.path(), "toy");
    toy::write(root.path(), "toy", &toy::playbook("toy", CODE));
    trial::put(root.path(), "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let mut trial = Trial::on(root);
    trial.healed(CODE, 0, &["command.run"]);
    trial.supervisor.terminate();
    drop(folded(trial.root()));
    toy::breaks(trial.root(), "toy");
    trial
}

/// Started on it, the supervisor says `words` and does nothing; after a rotation it heals, but a ledger that does not
/// `verify` counts as one whose budget is spent.
fn is_found(mut trial: Trial, verify: i32, words: &str) {
    let verified = trial.ctl(&["ledger", "verify"]).exits(verify);
    let said = String::from_utf8_lossy(&[&verified.stdout[..], &verified.stderr[..]].concat()).into_owned();
    assert!(verify == 0 || said.contains(words), "{words}: {}", verified.report());
    trial.start_again();
    let degraded = wait_until("a word about it", SOON, || {
        let status = trial.status();
        status["degraded"].as_str().filter(|why| !why.is_empty()).map(str::to_owned).ok_or_else(|| status.to_string())
    });
    assert!(degraded.contains(words), "{words}: {degraded}");
    toy::stays_at(&trial, 1, "a ledger that cannot be relied on");
    let rotated = trial.ctl(&["ledger", "rotate", "--reason", "a test damaged it"]).ok();
    let spent = String::from_utf8_lossy(&rotated.stdout).contains("counts as spent for a day");
    assert_eq!(spent, verify != 0, "{}", rotated.report());
    if spent {
        trial.held_by(CODE, "host-budget");
        assert_eq!(trial.status()["budget_left_hour"], 0);
        toy::stays_at(&trial, 1, "a spent budget");
        trial::put(trial.root(), "etc/wbd/wbd.yaml", MORE);
        trial.ctl(&["reload", "--wait"]).ok();
    }
    toy::acted(&trial, 2);
    wait_until("the end of the incident", SOON, || {
        let status = trial.status();
        (status["degraded"] == "" && status["open"] == serde_json::json!([]))
            .then_some(())
            .ok_or_else(|| status.to_string())
    });
    trial.verifies();
}

#[test]
fn a_ledger_with_two_records_swapped_is_found() {
    let trial = healed_once();
    let swap = "UPDATE entry SET seq = -1 WHERE seq = 3; UPDATE entry SET seq = 3 WHERE seq = 4; UPDATE entry SET seq = 4 WHERE seq = -1";
    folded(trial.root()).execute_batch(swap).expect("written");
    is_found(trial, 1, "record 3");
}

#[test]
fn a_ledger_with_a_record_dropped_is_found() {
    let trial = healed_once();
    folded(trial.root()).execute_batch("DELETE FROM entry WHERE seq = 2").expect("written");
    is_found(trial, 1, "record 2");
}

#[test]
fn a_ledger_edited_by_hand_is_found() {
    let trial = healed_once();
    let edit = "UPDATE entry SET payload = replace(payload, 'TOY-1', 'TOY-9') WHERE code = 'TOY-1' AND kind = 'intent'";
    assert_eq!(folded(trial.root()).execute(edit, []).expect("written"), 1);
    is_found(trial, 1, "edited");
}

#[test]
fn a_ledger_cut_in_the_middle_is_found() {
    let trial = healed_once();
    drop(folded(trial.root()));
    let path = ledger(trial.root());
    let whole = fs::read(&path).expect("the ledger");
    fs::write(&path, &whole[..whole.len() / 2 + 100]).expect("our own file");
    for helper in ["ledger.db-wal", "ledger.db-shm"] {
        fs::remove_file(path.with_file_name(helper)).ok();
    }
    is_found(trial, 1, "malformed");
}

#[test]
fn a_ledger_of_another_host_is_found() {
    let trial = healed_once();
    trial::put(trial.root(), "etc/machine-id", "fedcba9876543210fedcba9876543210\n");
    is_found(trial, 0, "another host");
}

#[test]
fn an_older_copy_put_back_while_it_runs_is_found() {
    let mut trial = healed_once();
    let older = fs::read(ledger(trial.root())).expect("the ledger");
    trial.start_again();
    toy::acted(&trial, 2);
    trial.healed(CODE, 1, &["command.run"]);
    let copy = trial::put(trial.root(), "var/lib/wbd/older.db", "");
    fs::write(&copy, older).expect("our own file");
    // Without the younger write-ahead file, or the two together would be the whole ledger again.
    for helper in ["ledger.db-wal", "ledger.db-shm"] {
        fs::remove_file(copy.with_file_name(helper)).ok();
    }
    fs::rename(&copy, ledger(trial.root())).expect("our own file");
    toy::breaks(trial.root(), "toy");
    let degraded = wait_until("a word about it", SOON, || {
        let status = trial.status();
        let why = status["degraded"].as_str().filter(|why| why.contains("cut off"));
        why.map(str::to_owned).ok_or_else(|| status.to_string())
    });
    assert!(degraded.contains("does not verify at record"), "{degraded}");
    toy::stays_at(&trial, 2, "a ledger that was replaced");
}

/// Stand-alone there is no journal to hold an anchor: an older copy is a sound ledger, and `verify` says what that
/// is worth.
#[test]
fn without_a_journal_an_older_copy_verifies_and_is_said_to_have_no_anchor() {
    let mut trial = healed_once();
    let older = fs::read(ledger(trial.root())).expect("the ledger");
    trial.start_again();
    trial.healed(CODE, 1, &["command.run"]);
    trial.supervisor.terminate();
    drop(folded(trial.root()));
    for helper in ["ledger.db-wal", "ledger.db-shm"] {
        fs::remove_file(ledger(trial.root()).with_file_name(helper)).ok();
    }
    fs::write(ledger(trial.root()), older).expect("our own file");
    let verified = trial.ctl(&["ledger", "verify"]).ok();
    assert!(String::from_utf8_lossy(&verified.stdout).contains("No anchor"), "{}", verified.report());
}

/// The twin of all of them: nothing is wrong with it, and the host heals at once.
#[test]
fn a_ledger_that_nobody_touched_goes_on() {
    let mut trial = healed_once();
    trial.start_again();
    trial.healed(CODE, 1, &["command.run"]);
    assert_eq!((toy::acts(trial.root()), &trial.status()["degraded"]), (2, &"".into()));
}

#[test]
fn a_start_that_is_refused_leaves_an_administrators_stop_and_one_that_is_done_takes_it_back() {
    let mut trial = Trial::begin("auto");
    trial.agent();
    trial.supervisor.terminate();
    folded(trial.root()).execute_batch("DELETE FROM entry WHERE seq = 2").expect("written");
    trial.start_again();
    wait_until("a word about it", SOON, || {
        let status = trial.status();
        (status["degraded"] != "").then_some(()).ok_or_else(|| status.to_string())
    });
    let note = trial.root().join("run/wbd/agent.stop.json");
    let mut done = 0;
    // The reserve holds a few, and then no intent can be written.
    let refused = loop {
        agent(&trial, "stop").ok();
        assert!(note.exists());
        let started = trial.ctl(&["agent", "start"]);
        if started.code != Some(0) {
            break started;
        }
        assert!(!note.exists(), "{}", started.report());
        trial.agent();
        done += 1;
        assert!(done < 10, "the reserve has a bound");
    };
    assert!(refused.report().contains("nothing was done"), "{}", refused.report());
    assert!(done > 0 && note.exists() && trial.supervisor.agents().is_empty(), "{}", refused.report());
}
