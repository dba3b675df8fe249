//! What keeps an action back, and what lets it go on: healing modes, an operator's decision, a pause.

use std::fs;

use nix::sys::signal::Signal;
use wbd_tests::deadline::wait_until;
use wbd_tests::json;

use crate::trial::{DOWN, QUIET, SOON, Trial};

/// Nobody is there and nothing is done about it.
#[track_caller]
fn stays_down(trial: &Trial, what: &str) {
    trial.stays_undone(what, QUIET);
    assert!(trial.supervisor.agents().is_empty(), "{}", trial.summary());
}

/// From now on it heals in this mode.
#[track_caller]
fn heals(trial: &Trial, before: &str, mode: &str) {
    let path = trial.root().join("etc/wbd/wbd.yaml");
    let settings = fs::read_to_string(&path).expect("the settings");
    let now = settings.replace(&format!("healing: {before}"), &format!("healing: {mode}"));
    assert_ne!(now, settings);
    fs::write(&path, now).expect("scratch file");
    trial.ctl(&["reload", "--wait"]).ok();
}

#[test]
fn observing_does_nothing_and_tells_a_person() {
    let trial = Trial::begin("observe");
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "mode");
    stays_down(&trial, "observing");
    let told = trial.incidents(DOWN).remove(0);
    assert!(told.actions().is_empty() && told.of("escalated").len() == 1, "{told:#?}");
    let guide = told.last("escalated")["evidence"].as_array().map_or(0, Vec::len);
    assert!(guide > 1, "{told:#?}");
    // Nor does doctor promise it, or send for an approval that would do nothing.
    let doctor = json::wbdctl_at(trial.root(), ["doctor", "--fix", "--only", DOWN]);
    let (cause, fixed) = (doctor.cause(DOWN).expect("it is down"), &doctor.list("fixed")[0]);
    assert!(cause["fix"]["withheld"].as_str().is_some_and(|why| why.contains("healing is observe")), "{cause}");
    let came = fixed["result"].as_str().unwrap_or_default();
    assert!(came.contains("healing is observe") && !came.contains("approve I"), "{fixed}");
    let text = trial.ctl(&["doctor", "--only", DOWN]).exits(2);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("by hand  ") && !text.contains("waits for your approval"), "{text}");
    // Not even by hand: observe means observe.
    for words in [["playbook", "run", "agent-down"], ["approve", "--yes", &incident]] {
        let refused = trial.ctl(&words).exits(1);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("healing is observe"), "{}", refused.report());
    }
    stays_down(&trial, "observing, whoever asks for a playbook");
    // Nor is such an approval found when the mode is another one.
    heals(&trial, "observe", "approve");
    trial.held_by(DOWN, "approval");
    stays_down(&trial, "an approval that was refused");
    let told = trial.incidents(DOWN).remove(0);
    assert!(trial.of("approved").is_empty() && told.of("escalated").len() == 1, "{told:#?}");
    trial.ctl(&["approve", "--yes", &incident]).ok();
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn a_no_while_observing_counts_in_every_mode() {
    let trial = Trial::begin("observe");
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "mode");
    trial.ctl(&["deny", &incident]).ok();
    heals(&trial, "observe", "auto");
    assert_eq!(trial.closed(DOWN, 0).ending(), Some("handed-over"));
    stays_down(&trial, "a denial");
}

#[test]
fn approving_shows_the_plan_and_acts_on_an_approval() {
    let trial = Trial::begin("approve");
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "approval");
    stays_down(&trial, "the wait for an approval");
    let shown = json::wbdctl_at(trial.root(), ["incidents", "show", &incident]).json;
    assert_eq!(shown["waiting"]["plan"]["steps"], serde_json::json!([{"agent.start": {}}]), "{shown}");
    assert_eq!(shown["waiting"]["changes"].as_array().map(Vec::len), Some(1), "{shown}");
    // Nobody is at a terminal to be asked.
    trial.ctl(&["approve", &incident]).exits(64);
    trial.ctl(&["approve", "--yes", &incident]).ok();
    let told = trial.healed(DOWN, 0, &["agent.start"]);
    told.has_in_order(&["refused", "approved", "intent"]);
    trial.ctl(&["approve", &incident]).exits(1);
}

#[test]
fn a_no_ends_the_waiting() {
    let trial = Trial::begin("approve");
    trial.hurt(Signal::SIGKILL);
    let incident = trial.held_by(DOWN, "approval");
    trial.ctl(&["deny", &incident]).ok();
    let told = trial.closed(DOWN, 0);
    assert_eq!((told.ending(), told.actions().len()), (Some("handed-over"), 0), "{told:#?}");
    stays_down(&trial, "a denial");
}

#[test]
fn a_pause_holds_until_it_is_lifted() {
    let trial = Trial::begin("auto");
    trial.ctl(&["pause", "a test of pauses"]).ok();
    assert!(trial.status()["hold"].as_str().is_some_and(|hold| hold.contains("a test of pauses")));
    let supervisor = trial.status()["pid"].clone();
    trial.hurt(Signal::SIGKILL);
    trial.held_by(DOWN, "hold");
    stays_down(&trial, "a pause");
    trial.ctl(&["resume"]).ok();
    trial.healed(DOWN, 0, &["agent.start"]);
    assert_eq!((&trial.status()["pid"], &trial.status()["hold"]), (&supervisor, &"".into()), "without a restart");
}

#[test]
fn a_pause_outlives_the_supervisor() {
    let mut trial = Trial::begin("auto");
    trial.ctl(&["pause", "a test of pauses"]).ok();
    trial.supervisor.kill9();
    trial.start_again();
    assert!(trial.status()["hold"].as_str().is_some_and(|hold| hold.contains("a test of pauses")));
    trial.hurt(Signal::SIGKILL);
    trial.held_by(DOWN, "hold");
    stays_down(&trial, "a pause");
}

#[test]
fn a_pause_with_an_end_ends_by_itself() {
    let trial = Trial::begin("auto");
    // Held by one without an end first: however long it takes to be seen, nothing is over by then.
    trial.ctl(&["pause", "a test of pauses"]).ok();
    trial.hurt(Signal::SIGKILL);
    trial.held_by(DOWN, "hold");
    trial.ctl(&["pause", "--for", "4s", "a test of pauses"]).ok();
    let told = trial.healed(DOWN, 0, &["agent.start"]);
    let at_ms = |record: &serde_json::Value| record["boot_ms"].as_u64().unwrap_or_default();
    let waited_ms = at_ms(told.of("intent")[0]) - trial.of("hold").last().map(at_ms).unwrap_or_default();
    assert!(waited_ms >= 3_990, "{waited_ms} ms, by another clock than the pause's: {told}");
    assert_eq!(trial.status()["hold"], "", "a pause that is over is not shown as one");
}

#[test]
fn a_playbook_run_by_hand_is_an_approval_and_keeps_the_other_guards() {
    let trial = Trial::begin("approve");
    let healthy = trial.ctl(&["playbook", "run", "agent-down"]).exits(1);
    assert!(String::from_utf8_lossy(&healthy.stderr).contains("nothing to heal"), "{}", healthy.report());
    trial.ctl(&["playbook", "run", "no-such-playbook"]).exits(1);
    let old = trial.hurt(Signal::SIGKILL);
    trial.held_by(DOWN, "approval");
    trial.ctl(&["pause", "a test of pauses"]).ok();
    let refused = trial.ctl(&["playbook", "run", "agent-down"]).exits(1);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refused by hold"), "{}", refused.report());
    trial.held_by(DOWN, "hold");
    stays_down(&trial, "a pause, whoever asks for a playbook");
    trial.ctl(&["resume"]).ok();
    let told = trial.healed(DOWN, 0, &["agent.start"]);
    told.has_in_order(&["refused", "approved", "refused", "intent"]);
    let new = trial.agent_after(old);
    // The approval was for that one time.
    trial.hurt(Signal::SIGKILL);
    wait_until("the next incident waits", SOON, || {
        let next = trial.incidents(DOWN).into_iter().nth(1);
        next.filter(|told| !told.of("refused").is_empty()).map(|_| ()).ok_or_else(|| trial.summary())
    });
    stays_down(&trial, "the wait for another approval");
    assert!(!trial.supervisor.agents().contains(&new));
}
