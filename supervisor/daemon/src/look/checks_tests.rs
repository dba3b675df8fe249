//! The schedule on real checks: due, under way, stale answers, asked for meanwhile.
use std::collections::BTreeSet;

use wbd_engine::{judge, playbook};
use wbd_model::name::ProfileName;
use wbd_model::problem::Source;
use wbd_model::settings::Settings;

use super::*;

pub(crate) const DOWN: &str = include_str!("../../../../playbooks/agent-down.yaml");
const CONFIG: &str = include_str!("../../../../playbooks/agent-config.yaml");
const PROFILE: &str = include_str!("../../../../playbooks/wbd/profile.yaml");

pub(crate) fn bound(texts: &[&str]) -> Vec<Bound> {
    let source = |text: &&str| Source { path: "x.yaml".to_owned(), text: (*text).to_owned() };
    let sources: Vec<Source> = texts.iter().chain(&[PROFILE]).map(source).collect();
    let (library, problems) = playbook::load(&sources);
    assert!(problems.is_empty(), "{problems:#?}");
    library.bind(&BTreeSet::from([ProfileName::new("wbd").unwrap()]), &Settings::default())
}

/// Two checks that share one question, both due at 1000.
fn checks() -> Checks {
    let mut checks = Checks::default();
    checks.replace(bound(&[DOWN, CONFIG]), 1_000);
    assert_eq!(checks.all.len(), 2);
    checks
}

fn answer(checks: &mut Checks, probes: impl IntoIterator<Item = Probe>, began_ms: u64) {
    for probe in probes {
        let nothing = Observation::unseen(probe.name().fields(), "a test");
        checks.answer(probe, nothing, began_ms, 5);
    }
}

fn store_all(checks: &mut Checks, now_ms: u64) -> Vec<u64> {
    let complete = checks.complete();
    let began = complete.iter().map(|(_, _, began_ms, _)| *began_ms).collect();
    for (index, seen, began_ms, took_ms) in complete {
        let judgement = judge::judge(&checks.all[index].bound, &seen);
        checks.store(index, Looked { seen, judgement, began_ms, took_ms }, now_ms);
    }
    began
}

#[test]
fn a_due_check_is_asked_once_until_its_answers_are_in() {
    let mut checks = checks();
    assert!(checks.due(999).is_empty());
    assert_eq!(checks.next_due_ms(), Some(1_000));
    let probes = checks.due(1_000);
    assert_eq!(probes.len(), 4, "the shared question is asked once: {probes:?}");
    assert!(checks.due(5_000).is_empty(), "their looks are under way");
    assert_eq!(checks.next_due_ms(), None);
    answer(&mut checks, probes, 1_001);
    assert_eq!(store_all(&mut checks, 1_010), [1_001, 1_001]);
    // agent-down says every 5 s, the other one takes the settings' 10 s.
    let due: Vec<u64> = checks.all.iter().map(|check| check.due_ms).collect();
    assert_eq!(due, [11_010, 6_010]);
    assert_eq!(checks.next_due_ms(), Some(6_010));
}

#[test]
fn a_look_is_complete_only_with_every_answer_and_none_older_than_itself() {
    let mut checks = checks();
    let probes = checks.due(2_000);
    answer(&mut checks, probes.clone(), 1_999);
    assert!(checks.complete().is_empty(), "they began before the look was due");
    assert_eq!(checks.stale(), probes, "all are asked again");
    answer(&mut checks, [Probe::AgentHealth], 2_000);
    assert_eq!(checks.complete().len(), 1, "the check that asks nothing else");
    assert!(!checks.stale().contains(&Probe::AgentHealth));
    answer(&mut checks, probes, 2_003);
    answer(&mut checks, [Probe::AgentHealth], 2_001);
    assert_eq!(store_all(&mut checks, 2_010), [2_001, 2_001], "a look is as old as its oldest answer");
    assert!(checks.stale().is_empty(), "nothing is asked for no look");
}

#[test]
fn what_happens_during_a_look_is_followed_by_another_look() {
    let mut checks = checks();
    let probes = checks.due(1_000);
    answer(&mut checks, probes, 1_001);
    checks.hasten(1_005, |_| true);
    assert!(checks.due(1_006).is_empty(), "the look under way is not torn");
    store_all(&mut checks, 1_010);
    assert_eq!(checks.due(1_010).len(), 4, "what happened at 1005 is looked at after the look that began at 1000");
}

#[test]
fn hastening_never_puts_a_look_off() {
    let mut checks = checks();
    let key = checks.all[0].bound.key.clone();
    checks.hasten(5_000, |_| true);
    assert_eq!(checks.next_due_ms(), Some(1_000));
    checks.hasten(500, |bound| bound.key == key);
    let due: Vec<u64> = checks.all.iter().map(|check| check.due_ms).collect();
    assert_eq!(due, [500, 1_000], "only the one that is meant");
}

#[test]
fn a_new_set_keeps_what_was_seen_of_checks_that_ask_the_same() {
    let mut checks = checks();
    let probes = checks.due(1_000);
    answer(&mut checks, probes, 1_001);
    store_all(&mut checks, 1_010);
    let changed = CONFIG.replace("for: 5s", "for: 6s");
    checks.replace(bound(&[DOWN, &changed]), 1_500);
    let seen: Vec<(&str, bool, u64)> =
        checks.all.iter().map(|check| (check.bound.playbook.as_str(), check.last.is_some(), check.due_ms)).collect();
    assert_eq!(seen, [("agent-config", false, 1_500), ("agent-down", true, 6_010)]);
    checks.replace(bound(&[CONFIG]), 1_600);
    assert_eq!(checks.keys().len(), 1);
    let due = checks.due(2_000);
    assert_eq!(due, BTreeSet::from([Probe::AgentHealth]));
    assert!(checks.complete().is_empty(), "an answer of before is none");
}

#[test]
fn new_settings_reach_checks_that_stay() {
    let mut checks = checks();
    let settings = Settings { every: wbd_model::profile::Duration::from_ms(1_000), ..Settings::default() };
    let source = |text: &str| Source { path: "x.yaml".to_owned(), text: text.to_owned() };
    let (library, _) = playbook::load(&[source(CONFIG), source(PROFILE)]);
    checks.replace(library.bind(&BTreeSet::from([ProfileName::new("wbd").unwrap()]), &settings), 1_000);
    assert_eq!(checks.all[0].bound.every.as_ms(), 1_000);
}

#[test]
fn a_suspect_is_watched_while_it_is_held_and_then_left_to_its_own_interval() {
    // since, held for, now -> next look
    for (since, held_for, now, next) in [
        (1_000, 0, 1_000, Some(1_050)),
        (1_000, 400, 1_000, Some(1_400)),
        (1_000, 10_000, 1_000, Some(2_000)),
        (1_000, 10_000, 10_999, Some(11_049)),
        (1_000, 10_000, 11_001, Some(11_051)),
        // Its cause is being dealt with, or was handed over: not every 50 ms for days.
        (1_000, 10_000, 12_000, None),
        (1_000, 0, 90_000, None),
    ] {
        assert_eq!(suspect_due_ms(since, held_for, now), next, "{since} {held_for} {now}");
    }
}

#[test]
fn after_a_gap_what_was_seen_before_it_counts_no_more_and_the_next_look_waits() {
    let is_health = |probe: &Probe| *probe == Probe::AgentHealth;
    let mut checks = checks();
    let probes = checks.due(1_000);
    // One look is under way: its answer was read before the gap, or just after it.
    checks.begin_anew(16_000, is_health);
    answer(&mut checks, probes.clone(), 15_000);
    assert!(checks.complete().is_empty() && checks.stale() == probes);
    answer(&mut checks, probes, 16_000);
    assert_eq!(store_all(&mut checks, 16_010), [16_000, 16_000]);
    // Twin: none is under way, and the next one does not begin before that.
    checks.begin_anew(60_000, is_health);
    assert!(checks.due(59_999).is_empty() && !checks.due(60_000).is_empty());
}
