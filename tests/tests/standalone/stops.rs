//! An administrator's stop is respected until it is taken back, by whatever way it was said (twin of WBD-6007).

use std::process::Command;

use nix::sys::signal::Signal;
use wbd_tests::deadline::wait_until;
use wbd_tests::exec::{self, Ran};

use crate::trial::{self, DOWN, QUIET, SOON, Trial};

/// `wbd_agent -s VERB`, as the vendor documents it.
pub(crate) fn agent(trial: &Trial, verb: &str) -> Ran {
    let mut program = Command::new(trial.root().join("opt/nbp/wbd/wbd_agent"));
    exec::run(program.args(["-s", verb, "--root"]).arg(trial.root()), b"", SOON)
}

#[track_caller]
fn stays_stopped(trial: &Trial) {
    wait_until("the agent's end", SOON, || {
        let agents = trial.supervisor.agents();
        if agents.is_empty() { Ok(()) } else { Err(format!("{agents:?}")) }
    });
    trial.stays_undone("an administrator's stop", QUIET);
    assert!(trial.incidents(DOWN).is_empty(), "{}", trial.summary());
    assert!(trial.supervisor.agents().is_empty());
    let exit = wait_until("the exit", SOON, || trial.of("exit").pop().ok_or_else(|| trial.summary()));
    let line = exit["evidence"][0].as_str().unwrap_or_default();
    assert!(line.ends_with(')') && !line.ends_with("(wbd)"), "who asked stands there: {exit:#?}");
}

#[test]
fn the_agents_own_stop_and_start() {
    let trial = Trial::begin("auto");
    agent(&trial, "stop").ok();
    stays_stopped(&trial);
    agent(&trial, "start").ok();
    trial.agent();
    trial.stays_undone("the administrator's agent", QUIET);
    // The start took the stop back.
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn a_hung_agent_that_is_stopped_stays_stopped_however_long_that_takes() {
    let root = trial::root("auto");
    trial::patch(root.path(), &[("heartbeat_age_ms > 10000", "heartbeat_age_ms > 6000")]);
    let trial = Trial::on(root);
    // It takes no SIGTERM, so its own stop waits for longer than its silence is borne.
    trial.hurt(Signal::SIGSTOP);
    agent(&trial, "stop").ok();
    stays_stopped(&trial);
    agent(&trial, "start").ok();
    // Twin: nobody stops it.
    trial.agent();
    trial.hurt(Signal::SIGSTOP);
    trial.healed(DOWN, 0, &["agent.restart"]);
}

#[test]
fn stop_and_start_through_the_supervisor_are_recorded_by_name() {
    let trial = Trial::begin("auto");
    let by_hand = |what: &str| {
        let all = trial.of("manual");
        all.into_iter()
            .filter(|record| record["evidence"][0].as_str().is_some_and(|line| line.starts_with(what)))
            .count()
    };
    trial.ctl(&["agent", "stop"]).ok();
    assert_eq!(by_hand("agent.stop "), 1, "{}", trial.summary());
    let exit = wait_until("the exit", SOON, || trial.of("exit").pop().ok_or_else(|| trial.summary()));
    assert!(exit["evidence"][0].as_str().is_some_and(|line| line.ends_with("(wbd)")), "{exit}");
    trial.stays_undone("an administrator's stop", QUIET);
    assert!(trial.supervisor.agents().is_empty() && trial.incidents(DOWN).is_empty(), "{}", trial.summary());
    trial.ctl(&["agent", "start"]).ok();
    assert_eq!(by_hand("agent.start "), 1, "{}", trial.summary());
    trial.agent();
    trial.ctl(&["agent", "start"]).exits(1);
    assert_eq!(trial.supervisor.agents().len(), 1, "never a second agent");
    trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
}

#[test]
fn a_hung_agent_is_named_by_its_status_and_by_a_start_and_a_restart_ends_when_it_works() {
    let trial = Trial::begin("auto");
    trial.ctl(&["agent", "status"]).ok();
    trial.ctl(&["pause", "a test of verbs"]).ok();
    let old = trial.hurt(Signal::SIGSTOP);
    let incident = trial.held_by(DOWN, "hold");
    let status = trial.ctl(&["agent", "status"]).exits(1).report();
    for part in ["the agent is hung", &format!("process {old}"), "last sign of life at", &incident, "held by hold"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert!(!status.contains("no answer of the supervisor"), "{status}");
    let started = trial.ctl(&["agent", "start"]).exits(1).report();
    assert!(started.contains("the agent is hung: process"), "{started}");
    let restarted = trial.ctl(&["agent", "restart"]).ok().report();
    let new = trial.agent_after(old);
    assert!(restarted.contains(&format!("process {new} works")), "{restarted}");
    trial.ctl(&["resume"]).ok();
    trial.ctl(&["agent", "status"]).ok();
}

#[test]
fn a_stop_is_remembered_by_the_next_supervisor() {
    let mut trial = Trial::begin("auto");
    trial.ctl(&["agent", "stop"]).ok();
    trial.supervisor.terminate();
    trial.start_again();
    wait_until("the second start", SOON, || {
        (trial.of("started").len() == 2).then_some(()).ok_or_else(|| trial.summary())
    });
    trial.stays_undone("an administrator's stop", QUIET);
    assert!(trial.supervisor.agents().is_empty(), "{}", trial.summary());
}
