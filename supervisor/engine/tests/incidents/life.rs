//! From the first suspicion to the end of an incident, without a second thought on the way.
use std::collections::BTreeSet;

use wbd_engine::judge::Verification;
use wbd_engine::judge::snapshot::CheckSnapshot;
use wbd_engine::round::round;
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::entry::{Body, Exit, ExitHow, Subject};
use wbd_model::incident::{Closing, IncidentId, Phase};
use wbd_model::name::TargetName;
use wbd_model::observation::{Fact, Value};

use crate::check::{agent_down, check, key, restart};
use crate::world::World;

#[test]
fn a_failure_that_is_cured_leaves_exactly_five_records_in_order() {
    let mut world = World::failing(agent_down());
    world.run(10_000);
    assert_eq!(world.story(), "opened agent.start done proven closed:healed");
    assert_eq!(world.actions(), 1);
}

#[test]
fn the_intent_carries_what_was_seen_and_a_start_deadline() {
    let mut world = World::failing(agent_down());
    world.run(2_000);
    let Body::Intent(intent) = &world.entries[1].body else { panic!("{}", world.story()) };
    assert_eq!(intent.before, world.checks[0].snapshot.seen);
    assert_eq!((intent.class, intent.rung, intent.step, intent.steps), (Class::A2, 0, 0, 1));
    assert_eq!(intent.start_by_ms, world.entries[1].at.boot_ms + wbd_engine::state::START_DEADLINE_MS);
    assert_eq!(world.entries[1].subject, world.about(1));
}

#[test]
fn a_failure_is_opened_when_it_has_held_and_not_a_moment_before() {
    let mut world = World::failing(agent_down().held_for(2_000));
    world.run(1_999);
    assert_eq!(world.story(), "");
    assert!(world.timers.failing_since(&world.checks[0].snapshot.key).is_some());
    world.run(1);
    assert!(world.story().starts_with("opened"), "{}", world.story());
}

#[test]
fn a_failure_shorter_than_its_hold_time_is_nothing() {
    let mut world = World::failing(agent_down());
    world.run(1_500);
    world.shows(0, Verdict::Pass);
    world.run(500);
    world.breaks(0);
    world.run(1_500);
    assert_eq!(world.story(), "");
}

#[test]
fn a_moment_of_blindness_or_another_case_starts_the_hold_time_again() {
    for blink in [Verdict::Unknown, Verdict::Fail] {
        let mut world = World::failing(agent_down());
        world.run(1_500);
        world.shows(0, blink);
        if blink == Verdict::Fail {
            world.checks[0].case = "hung".to_owned();
        }
        world.run(500);
        world.breaks(0);
        world.run(1_000);
        assert_eq!(world.story(), "", "{blink:?}");
        world.run(1_000);
        assert!(world.story().starts_with("opened"), "{blink:?}: {}", world.story());
    }
}

#[test]
fn warnings_unknowns_and_skips_are_never_opened() {
    for sight in [Verdict::Warn, Verdict::Unknown, Verdict::Skip, Verdict::Pass] {
        let mut world = World::new(vec![agent_down()]);
        world.shows(0, sight);
        world.run(60_000);
        assert_eq!(world.story(), "", "{sight:?}");
    }
}

#[test]
fn an_unknown_state_is_no_reason_to_act() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(3_000);
    world.shows(0, Verdict::Unknown);
    world.lift();
    world.run(600_000);
    assert_eq!(world.story(), "hold opened refused:hold lifted");
    world.breaks(0);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
}

#[test]
fn an_unknown_state_closes_neither_a_waiting_incident_nor_a_verified_one() {
    let mut waiting = World::failing(agent_down());
    waiting.settings.healing = wbd_model::settings::Healing::Observe;
    waiting.run(3_000);
    waiting.shows(0, Verdict::Unknown);
    waiting.run(3_600_000);
    assert_eq!(waiting.story(), "opened refused:mode escalated");

    let mut verified = World::failing(agent_down());
    verified.run(4_000);
    assert_eq!(*verified.phase(1), Phase::Probation, "{}", verified.story());
    verified.shows(0, Verdict::Unknown);
    verified.run(3_600_000);
    assert_eq!(*verified.phase(1), Phase::Probation, "{}", verified.story());
    verified.shows(0, Verdict::Pass);
    verified.run(3_000);
    assert_eq!(verified.closed_as(1), Some(Closing::Healed));
}

#[test]
fn a_failure_that_stays_has_one_open_incident() {
    let mut world = World::failing(agent_down());
    world.settings.healing = wbd_model::settings::Healing::Observe;
    world.run(600_000);
    assert_eq!(world.count("opened"), 1);
    world.checks[0].case = "hung".to_owned();
    world.run(600_000);
    assert_eq!(world.count("opened"), 1, "another case of the same failure is the same incident");
}

#[test]
fn the_same_failure_of_another_target_has_its_own() {
    let other = check("WBD-6007", "other", "agent-down").rung(&[restart()]).cured_by(&[restart()]);
    let mut world = World::new(vec![agent_down(), other]);
    world.breaks(0);
    world.breaks(1);
    world.run(30_000);
    assert_eq!(world.count("opened"), 2);
    assert_eq!(world.state.incidents[&IncidentId(1)].key, key("WBD-6007", "wbd"));
    assert_eq!(world.state.incidents[&IncidentId(2)].key, key("WBD-6007", "other"));
    assert_eq!([world.closed_as(1), world.closed_as(2)], [Some(Closing::Healed); 2], "{}", world.story());
}

#[test]
fn what_goes_away_before_an_action_is_closed_as_self_healed() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(5_000);
    world.shows(0, Verdict::Pass);
    world.run(3_000);
    assert_eq!(world.story(), "hold opened refused:hold closed:self-healed");
    assert_eq!(world.actions(), 0);
}

#[test]
fn a_moment_of_health_does_not_close() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(5_000);
    world.shows(0, Verdict::Pass);
    world.run(1_500);
    world.breaks(0);
    world.run(5_000);
    assert_eq!(world.story(), "hold opened refused:hold");
}

#[test]
fn a_failure_that_heals_while_a_person_is_asked_is_self_healed() {
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&[restart()]));
    world.run(5_000);
    assert_eq!(world.story(), "opened refused:approval escalated");
    world.shows(0, Verdict::Pass);
    world.run(5_000);
    assert_eq!(world.story(), "opened refused:approval escalated closed:self-healed");
    assert!(world.state.latched.is_empty());
}

#[test]
fn where_only_a_person_can_help_it_is_handed_over_at_once_with_the_guide() {
    let mut world = World::failing(check("AEGIS-NET", "host", "endpoint"));
    world.run(2_000);
    assert_eq!(world.story(), "opened escalated closed:handed-over");
    assert_eq!(world.state.incidents[&IncidentId(1)].escalated, Some(vec!["call a person".to_owned()]));
    assert_eq!(world.actions(), 0);
    world.run(86_400_000 / 4);
    assert_eq!(world.count("escalated"), 1, "a person is notified once");
}

#[test]
fn where_the_plan_cannot_be_made_nothing_is_done_until_it_can() {
    let mut world = World::failing(agent_down());
    world.checks[0].snapshot.ladder_unknown = Some("ino.missing could not be seen".to_owned());
    world.run(600_000);
    assert_eq!(world.story(), "opened");
    world.checks[0].snapshot.ladder_unknown = None;
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
}

#[test]
fn where_the_plan_can_never_be_made_a_person_is_told_in_the_end() {
    let mut world = World::failing(agent_down());
    world.checks[0].snapshot.ladder_unknown = Some("ino.missing could not be seen".to_owned());
    world.run(2_000);
    world.true_ms += 86_400_000;
    world.run(1_000);
    assert_eq!(world.story(), "opened escalated closed:handed-over");
}

#[test]
fn a_failure_that_cannot_be_seen_any_more_is_not_acted_on_and_told_to_a_person_after_a_day() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(5_000);
    world.shows(0, Verdict::Unknown);
    world.lift();
    world.run(600_000);
    assert_eq!((world.actions(), world.closed_as(1)), (0, None), "{}", world.story());
    world.true_ms += 86_400_000;
    world.run(1_000);
    assert_eq!((world.actions(), world.closed_as(1)), (0, Some(Closing::HandedOver)), "{}", world.story());
}

#[test]
fn an_incident_whose_check_is_gone_ends_as_noise() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(5_000);
    world.checks[0].absent = true;
    world.run(600_000);
    assert_eq!(world.closed_as(1), Some(Closing::Noise));
}

#[test]
fn an_incident_whose_check_is_missing_for_a_moment_goes_on() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A0, None);
    world.run(600_000);
    world.checks[0].absent = true;
    world.run(5_000);
    world.checks[0].absent = false;
    world.lift();
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn a_playbook_run_by_hand_waits_for_no_hold_time() {
    let mut world = World::failing(agent_down().held_for(600_000));
    world.timers.asked = Some(world.checks[0].snapshot.key.clone());
    world.run(1_000);
    assert!(world.story().starts_with("opened agent.start done"), "{}", world.story());
}

#[test]
fn a_playbook_run_by_hand_on_a_latched_failure_is_one_more_try_and_no_loop() {
    let mut world = World::failing(check("AEGIS-NET", "host", "endpoint"));
    world.run(10_000);
    world.timers.asked = Some(world.checks[0].snapshot.key.clone());
    world.run(60_000);
    assert_eq!(world.count("opened"), 2);
    assert_eq!(world.count("closed:handed-over"), 2);
}

#[test]
fn what_was_asked_of_a_healthy_check_is_not_remembered_for_its_next_failure() {
    let mut world = World::new(vec![agent_down()]);
    world.timers.asked = Some(world.checks[0].snapshot.key.clone());
    world.run(5_000);
    world.breaks(0);
    world.run(1_000);
    assert_eq!(world.story(), "");
}

#[test]
fn what_was_asked_of_one_check_is_not_taken_for_asked_of_another() {
    let other = check("WBD-5404", "wbd", "inotify-limit").rung(&[restart()]).held_for(600_000);
    let mut world = World::new(vec![check("AEGIS-DNS", "host", "dns"), agent_down().held_for(600_000), other]);
    world.breaks(1);
    world.breaks(2);
    world.timers.asked = Some(world.checks[1].snapshot.key.clone());
    world.run(1_000);
    assert_eq!(world.story(), "opened agent.start done", "beside a healthy one and one that fails");
}

#[test]
fn a_proof_that_still_holds_ends_the_probation_of_a_check_that_cannot_pass_yet() {
    for (cured, steps) in [(Verification::Passed, 1), (Verification::Unknown("no samples yet".to_owned()), 0)] {
        let mut world = World::failing(agent_down());
        world.run(4_500);
        assert_eq!(*world.phase(1), Phase::Probation, "{}", world.story());
        world.true_ms += 60_000;
        let unseen = CheckSnapshot { verdict: Verdict::Unknown, cured, ..world.snapshots().remove(0) };
        let known = BTreeSet::from([unseen.key.clone()]);
        let now = world.now();
        let next = round(&world.state, &mut world.timers, &[unseen], &known, &world.settings, &now);
        assert_eq!(next.len(), steps, "{next:?}");
    }
}

fn exited(world: &mut World, pid: i64, asked: bool) {
    let subject = Subject { target: Some(TargetName::new("wbd").unwrap()), ..Subject::default() };
    let exit = Exit { pid, how: ExitHow::Signal, code: 9, asked, by: String::new() };
    world.append(subject, Body::Exit(exit));
}

fn exit_fact(world: &World, field: &str) -> Fact {
    world.state.exit_observation(&TargetName::new("wbd").unwrap(), &world.now(), None).fact(field)
}

#[test]
fn exits_of_this_boot_are_told_and_those_that_were_asked_for_do_not_count() {
    let mut world = World::new(vec![]);
    assert_eq!(exit_fact(&world, "seen"), Fact::Known(Value::Bool(false)));
    exited(&mut world, 1, false);
    world.true_ms += 601_000;
    exited(&mut world, 2, false);
    exited(&mut world, 3, true);
    assert_eq!(exit_fact(&world, "recent"), Fact::Known(Value::Int(1)));
    assert_eq!(exit_fact(&world, "asked"), Fact::Known(Value::Bool(true)));
    assert_eq!(exit_fact(&world, "how"), Fact::Known("signal".into()));
    exited(&mut world, 4, false);
    assert_eq!(exit_fact(&world, "asked"), Fact::Known(Value::Bool(false)));
    assert_eq!(exit_fact(&world, "recent"), Fact::Known(Value::Int(2)));
}

#[test]
fn an_older_end_says_nothing_of_a_process_whose_own_end_is_not_on_record() {
    let mut world = World::new(vec![]);
    exited(&mut world, 1, true);
    let seen = |world: &World, gone| {
        let observed = world.state.exit_observation(&TargetName::new("wbd").unwrap(), &world.now(), gone);
        (observed.fact("seen"), observed.fact("asked"))
    };
    let bools = |seen, asked| (Fact::Known(Value::Bool(seen)), Fact::Known(Value::Bool(asked)));
    assert_eq!(seen(&world, Some(2)), bools(false, false), "nobody asked the second one to end");
    // Twins: it runs, or its end is on record.
    assert_eq!(seen(&world, None), bools(true, true));
    exited(&mut world, 2, true);
    assert_eq!(seen(&world, Some(2)), bools(true, true));
}

#[test]
fn of_an_end_that_the_service_manager_did_not_tell_of_nobody_knows_who_asked() {
    let mut world = World::new(vec![]);
    let subject = || Subject { target: Some(TargetName::new("wbd").unwrap()), ..Subject::default() };
    let unknown = || Exit { pid: 1, how: ExitHow::Unknown, code: -1, asked: false, by: String::new() };
    // Alone, there is nobody else who could have asked.
    for (mode, is_known) in [("systemd", false), ("standalone", true)] {
        world.append(Subject::default(), Body::Started { version: String::new(), mode: mode.to_owned() });
        world.append(subject(), Body::Exit(unknown()));
        assert_eq!(matches!(exit_fact(&world, "asked"), Fact::Known(_)), is_known, "{mode}");
        assert_eq!(exit_fact(&world, "how"), Fact::Known("unknown".into()), "{mode}");
    }
}

#[test]
fn exits_of_another_target_or_an_earlier_boot_are_not_told() {
    let mut world = World::new(vec![]);
    exited(&mut world, 1, false);
    let other = world.state.exit_observation(&TargetName::new("other").unwrap(), &world.now(), None);
    assert_eq!(other.fact("seen"), Fact::Known(Value::Bool(false)));
    world.reboots(1_000);
    assert_eq!(exit_fact(&world, "seen"), Fact::Known(Value::Bool(false)), "before any record of the new boot");
    exited(&mut world, 2, true);
    assert_eq!(exit_fact(&world, "recent"), Fact::Known(Value::Int(0)));
}

#[test]
fn a_slow_action_is_waited_for_and_not_begun_again() {
    let mut world = World::failing(agent_down());
    world.answers.push_back(crate::world::Answer::Slow);
    world.run(4_000);
    assert_eq!(world.story(), "opened agent.start");
    world.run(10_000);
    assert_eq!(world.story(), "opened agent.start done proven closed:healed");
}
