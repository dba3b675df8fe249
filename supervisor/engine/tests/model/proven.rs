//! The engine as it is: every invariant holds to the end of the stated bounds, and everything that should be
//! reachable is.
use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, Model};
use wbd_model::settings::Settings;

use crate::goals::{self, Goal};
use crate::scenes::{self, Depth};
use crate::trial::Trial;

fn prove(trial: Trial) {
    let (name, bounds) = (trial.name, trial.bounds.clone());
    let Settings { budget, .. } = &trial.settings;
    let limits =
        format!("{} actions an hour, {} a day; true time {} s", budget.per_hour, budget.per_day, trial.seconds());
    let began = Instant::now();
    let checker = trial.checker().threads(2).spawn_dfs().join();
    let (states, found) = (checker.unique_state_count(), checker.discoveries());
    println!("{name}: {states} states in {:.1} s; {limits}, {bounds:?}", began.elapsed().as_secs_f32());
    if let Some((law, path)) = found.into_iter().next() {
        panic!("{name}: {law} is broken by {:?}", path.into_actions());
    }
    assert!(checker.is_done(), "{name}: not checked to the end");
    let model = checker.model();
    let missed: Vec<_> = model.reaches.iter().filter(|goal| !model.reached.has(**goal)).collect();
    assert!(missed.is_empty(), "{name}: never reached: {missed:?}");
}

#[test]
fn one_restart_an_hour_whatever_happens() {
    prove(scenes::hour(Depth::asked()));
}

#[test]
fn one_restart_in_a_calm_hour() {
    prove(scenes::calm_hour(Depth::asked()));
}

#[test]
fn one_restart_a_day_whatever_happens() {
    prove(scenes::day(Depth::asked()));
}

#[test]
fn a_ladder_with_every_kind_of_action() {
    prove(scenes::ladder(Depth::asked()));
}

#[test]
fn a_ladder_to_its_end() {
    prove(scenes::climb(Depth::asked()));
}

#[test]
fn an_operators_decisions_at_every_moment() {
    prove(scenes::operator(Depth::asked()));
}

#[test]
fn a_cause_and_its_consequence() {
    prove(scenes::causes(Depth::asked()));
}

#[test]
fn two_playbooks_that_act_on_one_thing() {
    prove(scenes::rivals(Depth::asked()));
}

#[test]
fn a_disk_that_fills_up() {
    prove(scenes::disk(Depth::asked()));
}

#[test]
fn a_suspended_playbook_has_one_try() {
    prove(scenes::breaker(Depth::asked()));
}

#[test]
fn a_window_by_the_clock_on_the_wall() {
    prove(scenes::window(Depth::asked()));
}

#[test]
fn a_new_ledger_file_at_any_moment() {
    prove(scenes::rotation(Depth::asked()));
}

#[test]
fn a_budget_that_the_agent_the_resolver_and_a_product_want() {
    prove(scenes::shares(Depth::asked()));
}

#[test]
fn everything_goes_wrong_around_one_action() {
    prove(scenes::storm(Depth::asked()));
}

#[test]
fn a_host_that_only_observes() {
    prove(scenes::observe());
}

#[test]
fn every_phase_refusal_closing_and_rung_is_some_trials_goal() {
    let reached: BTreeSet<Goal> = scenes::all().into_iter().flat_map(|trial| trial.reaches).collect();
    let missing: Vec<_> = goals::ALL.iter().filter(|goal| !reached.contains(goal)).collect();
    assert!(missing.is_empty(), "no trial must reach {missing:?}");
}
