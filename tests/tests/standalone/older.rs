//! A host that is upgraded: today's programs go on where those of commit b5ac715 stopped, with its ledger, settings and
//! playbooks. What is in them is told by supervisor/ctl/tests/older.rs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use wbd_tests::deadline::{stays, wait_until};
use wbd_tests::json;
use wbd_tests::places;
use wbd_tests::supervisor::{Supervisor, copy, scratch_root};

use crate::toy;
use crate::trial::{self, DOWN, QUIET, SOON, Trial};

/// As the older version left it, in the middle of an operator's pause: the toy waits for an approval, the agent is
/// dead.
fn root() -> TempDir {
    let root = scratch_root();
    for product in ["aegis", "dsva", "iwss"] {
        fs::remove_dir_all(root.path().join("usr/lib/wbd/playbooks").join(product)).expect("a vendor's folder");
    }
    let fixture = places::repo().join("tests/fixtures/b5ac715");
    for (name, mode) in
        [("etc/wbd/wbd.yaml", 0o644), ("etc/wbd/playbooks.d/toy.yaml", 0o644), ("var/lib/wbd/ledger.db", 0o640)]
    {
        let to = root.path().join(name);
        copy(&fixture.join(name), &to);
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).expect("our own file");
    }
    // Where the machine booted less than an hour ago, the older version's debits still count.
    let settings = fs::read_to_string(root.path().join("etc/wbd/wbd.yaml")).expect("copied");
    let rich = settings.replace("{per_hour: 3, per_day: 6}", "{per_hour: 1000, per_day: 1000}");
    assert_ne!(rich, settings, "the fixture has a budget");
    trial::put(root.path(), "etc/wbd/wbd.yaml", &rich);
    trial::put(root.path(), "etc/toy/left", "0.9.0\n");
    trial::put(root.path(), "etc/toy/right", "1.0.0\n");
    toy::fixes_by(root.path(), "toy", "cp ROOT/etc/toy/right ROOT/etc/toy/left");
    root
}

#[test]
fn an_upgraded_host_keeps_pause_waiver_and_open_incidents_and_goes_on_after_the_approval() {
    let root = root();
    let trial = Trial::with(Supervisor::start(root.path()), root);
    let phase = |number: u64| {
        let answer = json::wbdctl_at(trial.root(), ["incidents", "list"]);
        let row = answer.list("incidents").iter().find(|row| row["id"] == number);
        row.map(|row| row["phase"].to_string()).ok_or_else(|| answer.json.to_string())
    };
    wait_until("the supervisor's status", SOON, || {
        let status = trial.status();
        let toy = status["profiles"].as_array().is_some_and(|all| all.contains(&"toy".into()));
        if toy { Ok(()) } else { Err(status.to_string()) }
    });
    let status = trial.status().to_string();
    assert!(status.contains("change 4711: the web servers move"), "the pause: {status}");
    assert!(status.contains("the limit is raised with the next kernel"), "the waiver: {status}");
    trial.ctl(&["ledger", "verify"]).ok();
    let before = trial.of("intent").len();
    stays("what the pause holds", QUIET, || {
        let (waits, intents) = (phase(3)?, trial.of("intent").len());
        if waits.contains("gated") && intents == before { Ok(()) } else { Err(format!("{waits}, {intents} intents")) }
    });

    let resumed = trial.ctl(&["resume"]).exits(1);
    assert!(String::from_utf8_lossy(&resumed.stderr).contains("refused by approval"), "{}", resumed.report());
    trial.held_by(toy::CODE, "approval");
    assert_eq!(toy::acts(trial.root()), 0, "not without an approval");
    wait_until("the approval", SOON, || {
        let ran = trial.ctl(&["approve", "I3", "--yes"]);
        if ran.code == Some(0) { Ok(()) } else { Err(ran.report()) }
    });
    wait_until("the end of the older version's incidents", SOON, || {
        let ends = [phase(3)?, phase(4)?];
        if ends.iter().all(|end| end.contains("closed")) {
            Ok(())
        } else {
            Err(format!("{ends:?}\n{}", trial.summary()))
        }
    });
    assert_eq!(toy::acts(trial.root()), 1);
    trial.agent();
    assert!(trial.incidents(DOWN).iter().all(|told| told.ending().is_some()), "{}", trial.summary());
    trial.ctl(&["ledger", "verify"]).ok();
}
