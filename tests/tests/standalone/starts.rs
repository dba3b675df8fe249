//! Supervisors that begin anew: each finds the agent dead and may start it, but only inside the budget. Which action of
//! an incident they break off is told elsewhere.

use nix::sys::signal::{Signal, kill};
use wbd_tests::deadline::wait_until;

use crate::trial::{self, DOWN, QUIET, SOON, Trial};

/// Of the intents, those whose evidence says so.
fn intents(trial: &Trial, asked: &str) -> usize {
    let says = |intent: &serde_json::Value| intent["evidence"].to_string().contains(asked);
    trial.of("intent").iter().filter(|intent| says(intent)).count()
}

/// Both die at once, the supervisor first, so that it sees nothing; and another one begins.
fn both_die(trial: &mut Trial) {
    let begun = trial.of("started").len();
    let agent = trial.agent();
    trial.supervisor.kill9();
    kill(agent, Signal::SIGKILL).expect("it runs");
    trial.start_again();
    wait_until("the next supervisor", SOON, || {
        (trial.of("started").len() > begun).then_some(()).ok_or_else(|| trial.summary())
    });
}

#[test]
fn supervisors_that_die_beside_an_agent_that_dies_start_it_no_more_often_than_the_budget_allows() {
    let root = trial::root("auto");
    trial::put(root.path(), "etc/wbd/wbd.yaml", "healing: auto\nevery: 1s\nbudget: {per_hour: 2, per_day: 2}\n");
    let mut trial = Trial::on(root);
    assert_eq!((intents(&trial, "by hand: "), intents(&trial, "paid for, ")), (1, 0), "{}", trial.summary());
    for paid in [1, 2] {
        both_die(&mut trial);
        trial.agent();
        assert_eq!((intents(&trial, "by hand: "), intents(&trial, "paid for, ")), (1, paid), "{}", trial.summary());
    }
    both_die(&mut trial);
    trial.held_by(DOWN, "host-budget");
    trial.stays_undone("a spent budget", QUIET);
    // Nor does one more begin anew with something in hand.
    trial.supervisor.kill9();
    trial.start_again();
    wait_until("the supervisor's next look", SOON, || trial.looked_again());
    trial.stays_undone("a spent budget", QUIET);
    assert_eq!((trial.of("intent").len(), trial.supervisor.agents().len()), (3, 0), "{}", trial.summary());
    // Whoever asks in person gets it all the same.
    trial.ctl(&["agent", "start"]).ok();
    trial.agent();
    trial.verifies();
}

#[test]
fn a_supervisor_that_dies_beside_a_working_agent_costs_nothing() {
    let mut trial = Trial::begin("auto");
    let agent = trial.agent();
    let left = |trial: &Trial| {
        let status = trial.status();
        [&status["budget_left_hour"], &status["budget_left_day"]].map(|left| left.as_u64().expect("a number"))
    };
    let before = left(&trial);
    trial.supervisor.kill9();
    trial.start_again();
    wait_until("the supervisor's next look", SOON, || trial.looked_again());
    trial.stays_undone("a working agent", QUIET);
    assert_eq!((trial.agent(), left(&trial), trial.of("intent").len()), (agent, before, 1), "{}", trial.summary());
}
