//! Escalations are told by the site's program until it ends with 0, whatever it does, and nothing waits without one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use wbd_tests::deadline::wait_until;

use crate::trial::{self, DOWN, QUIET, SOON, Trial, put};

/// A run that hangs is ended after 30 s.
const HANGS: Duration = Duration::from_secs(60);

fn executable(root: &Path, name: &str, text: &str) {
    let program = put(root, name, text);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("our own file");
}

/// A root on which this script tells of escalations; `@` in it stands for the root.
fn root_told_by(script: &str) -> tempfile::TempDir {
    let root = trial::root("auto");
    trial::prove_soon(root.path());
    let folder = root.path().display().to_string();
    executable(root.path(), "tell", &format!("#!/bin/sh\n{}", script.replace('@', &folder)));
    let settings = root.path().join("etc/wbd/wbd.yaml");
    let text = fs::read_to_string(&settings).expect("written before");
    fs::write(&settings, format!("{text}on_escalation: [{folder}/tell]\n")).expect("scratch file");
    root
}

/// Breaks the agent for good, so that a person is needed; the incident's name.
fn escalated(trial: &Trial) -> String {
    executable(trial.root(), "opt/nbp/wbd/wbd_agent.new", "#!/bin/sh\nexit 7\n");
    let agent = trial.root().join("opt/nbp/wbd/wbd_agent");
    fs::rename(&agent, trial.root().join("wbd_agent.good")).expect("scratch file");
    fs::rename(trial.root().join("opt/nbp/wbd/wbd_agent.new"), &agent).expect("scratch file");
    for pid in trial.supervisor.agents() {
        nix::sys::signal::kill(pid, Signal::SIGKILL).expect("it runs");
    }
    wait_until("the escalation", SOON, || {
        let record = trial.of("escalated").pop().ok_or_else(|| trial.summary())?;
        record["incident"].as_str().map(str::to_owned).ok_or_else(|| trial.summary())
    })
}

/// Waits for a status whose untold escalations are as wanted.
#[track_caller]
fn untold(trial: &Trial, what: &str, within: Duration, wanted: impl Fn(&[Value]) -> bool) {
    wait_until(what, within, || {
        let status = trial.status();
        let rows = status["untold"].as_array().cloned().unwrap_or_default();
        if wanted(&rows) { Ok(()) } else { Err(format!("{status}\n{}", trial.summary())) }
    });
}

fn lines(trial: &Trial, name: &str) -> Vec<String> {
    fs::read_to_string(trial.root().join(name)).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn one_that_fails_twice_is_tried_until_it_works_and_told_once() {
    let script = "echo \"$WBD_TRY $HOME\" >>@/tries\n[ $(wc -l <@/tries) -ge 3 ] || exit 3\necho \"$WBD_CODE $WBD_INCIDENT $WBD_TARGET\" >>@/told\n";
    let trial = Trial::on(root_told_by(script));
    let incident = escalated(&trial);
    untold(&trial, "a failed try", SOON, |rows| rows.iter().any(|row| row["tries"].as_u64() >= Some(1)));
    let row = trial.status()["untold"][0].clone();
    assert_eq!(
        (&row["incident"], &row["by"]),
        (&incident[1..].parse::<u64>().unwrap_or(0).into(), &"program".into()),
        "{row}"
    );
    let shown = trial.ctl(&["status"]).ok().text();
    assert!(shown.contains(&format!("of {incident}, by program")), "{shown}");
    let doctor = trial.supervisor.wbdctl(&["doctor"]);
    assert!(doctor.cause("WBD-ESCALATION").is_some_and(|cause| cause["severity"] == "warn"), "{}", doctor.json);
    untold(&trial, "the notification", SOON, <[Value]>::is_empty);
    assert_eq!(lines(&trial, "tries"), ["1 ", "2 ", "3 "], "each try knows its number, and nothing of our environment");
    assert_eq!(lines(&trial, "told"), [format!("{DOWN} {incident} wbd")]);
    let told: Vec<Value> = trial.of("told").iter().map(|record| record["result"].clone()).collect();
    assert_eq!(told, ["failed", "failed", "done"], "{}", trial.summary());
    let doctor = trial.supervisor.wbdctl(&["doctor"]);
    assert!(doctor.cause("WBD-ESCALATION").is_none(), "{}", doctor.json);
    trial.verifies();
}

#[test]
fn a_supervisor_killed_while_it_tells_tells_again_and_the_tries_before_count() {
    let script = "echo $WBD_TRY >>@/tries\ncase $(wc -l <@/tries) in 1) exit 1;; 2) sleep 20;; esac\n";
    let mut trial = Trial::on(root_told_by(script));
    escalated(&trial);
    wait_until("the second run", SOON, || {
        (lines(&trial, "tries").len() == 2).then_some(()).ok_or_else(|| trial.summary())
    });
    trial.supervisor.kill9();
    trial.start_again();
    untold(&trial, "the notification", SOON, <[Value]>::is_empty);
    assert_eq!(lines(&trial, "tries"), ["1", "2", "2"], "the run that was cut off is made again");
    let results: Vec<Value> = trial.of("told").iter().map(|record| record["result"].clone()).collect();
    assert_eq!(results, ["failed", "done"], "{}", trial.summary());
    trial.verifies();
}

#[test]
fn one_that_hangs_floods_or_is_missing_holds_up_nothing() {
    let trial = Trial::on(root_told_by("case $WBD_TRY in 1) exec yes;; *) exec sleep 100;; esac\n"));
    let incident = escalated(&trial);
    untold(&trial, "a run that floods is ended", HANGS, |rows| rows.iter().any(|row| row["tries"].as_u64() >= Some(1)));
    // Meanwhile everything goes on.
    trial.ctl(&["pause", "--for", "1s", "look"]).ok();
    untold(&trial, "a run that hangs is ended", HANGS, |rows| {
        rows.iter().any(|row| row["detail"].as_str().is_some_and(|why| why.contains("did not end in 30000 ms")))
    });
    fs::remove_file(trial.root().join("tell")).expect("scratch file");
    untold(&trial, "a missing program is told", HANGS, |rows| {
        rows.iter().any(|row| row["detail"].as_str().is_some_and(|why| why.contains("No such file")))
    });
    executable(trial.root(), "tell2", &format!("#!/bin/sh\necho $WBD_INCIDENT >{}/told\n", trial.root().display()));
    let settings = trial.root().join("etc/wbd/wbd.yaml");
    let text = fs::read_to_string(&settings).expect("written before");
    fs::write(&settings, text.replace("/tell]", "/tell2]")).expect("scratch file");
    trial.ctl(&["reload", "--wait"]).ok();
    // Another program begins anew, at once.
    untold(&trial, "the notification", Duration::from_secs(20), <[Value]>::is_empty);
    assert_eq!(lines(&trial, "told"), [incident]);
}

#[test]
fn without_a_program_nothing_waits_and_nothing_is_recorded() {
    let root = trial::root("auto");
    trial::prove_soon(root.path());
    let trial = Trial::on(root);
    escalated(&trial);
    trial.stays_undone("the hand-over", QUIET);
    assert_eq!(trial.status()["untold"], serde_json::json!([]));
    assert!(trial.of("told").is_empty() && trial.of("teller").is_empty(), "{}", trial.summary());
}

#[test]
fn a_test_runs_the_program_as_for_a_real_escalation_and_how_that_ends_is_how_the_verb_ends() {
    for (script, code, words) in [
        ("env > @/told\necho sent\n", 0, "it said: sent"),
        ("env > @/told\necho no route\nexit 3\n", 1, "it said: no route"),
    ] {
        let trial = Trial::on(root_told_by(script));
        let ran = trial.ctl(&["escalation", "test"]).exits(code);
        assert!(ran.report().replace('\n', " ").contains(words), "{}", ran.report());
        let told = lines(&trial, "told");
        for wanted in ["WBD_TEST=1", "WBD_CODE=WBD-TEST", "WBD_INCIDENT=I0", "WBD_TRY=1"] {
            assert!(told.iter().any(|line| line == wanted), "{wanted}: {told:?}");
        }
        assert!(trial.of("told").is_empty() && trial.of("escalated").is_empty(), "no incident: {}", trial.summary());
        let by_hand = trial.of("manual");
        assert!(by_hand.iter().any(|record| record.to_string().contains("escalation.test")), "{by_hand:?}");
    }
}

#[test]
fn a_test_without_a_program_says_what_to_set() {
    let trial = Trial::begin("auto");
    let ran = trial.ctl(&["escalation", "test"]).exits(1);
    assert!(ran.report().contains("set on_escalation in wbd.yaml"), "{}", ran.report());
}
