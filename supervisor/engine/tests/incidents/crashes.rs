//! The supervisor dies, the host reboots, replies are lost: nothing is done twice, everything ends.
use std::collections::BTreeSet;

use wbd_engine::guard;
use wbd_engine::replay::replay;
use wbd_engine::state::Captured;
use wbd_model::action::{Action, Class};
use wbd_model::check::Verdict;
use wbd_model::entry::{Body, Outcome};
use wbd_model::incident::{Closing, IncidentId, Phase};

use crate::check::{agent_down, check, command, raise, reload, restart, unit};
use crate::world::{Answer, World};

const DEATHS: [Answer; 4] = [Answer::DiesBefore, Answer::DiesAfter, Answer::LostDone, Answer::LostUndone];

fn intents_of(world: &World, action: &Action) -> usize {
    let is = |body: &Body| matches!(body, Body::Intent(intent) if intent.action == *action);
    world.entries.iter().filter(|entry| is(&entry.body)).count()
}

#[test]
fn every_effect_has_its_own_intent_before_it_and_at_most_one() {
    for answer in DEATHS {
        let mut world = World::failing(agent_down());
        world.answers.push_back(answer);
        world.run(120_000);
        let ids: BTreeSet<_> = world.effects.iter().map(|effect| effect.action).collect();
        assert_eq!(ids.len(), world.actions(), "{answer:?}");
        for effect in &world.effects {
            let before = &world.entries[..effect.ledger];
            let intended = before.iter().any(|e| matches!(&e.body, Body::Intent(i) if i.action_id == effect.action));
            assert!(intended, "{answer:?}: {}", world.story());
        }
    }
}

#[test]
fn an_action_that_was_done_before_the_crash_is_proven_and_not_repeated() {
    for answer in [Answer::DiesAfter, Answer::LostDone] {
        let mut world = World::failing(agent_down());
        world.answers.push_back(answer);
        world.run(30_000);
        assert_eq!(world.story(), "opened agent.start unknown proven closed:healed", "{answer:?}");
    }
}

#[test]
fn an_action_whose_effect_can_be_looked_for_is_tried_again_once_it_is_seen_missing() {
    for answer in [Answer::DiesBefore, Answer::LostUndone] {
        let mut world = World::failing(agent_down());
        world.answers.push_back(answer);
        world.run(2_500);
        assert_eq!(*world.phase(1), Phase::Indeterminate { action: wbd_model::incident::ActionId(1) });
        world.run(60_000);
        assert_eq!(
            world.story(),
            "opened agent.start unknown unproven agent.start done proven closed:healed",
            "{answer:?}"
        );
    }
}

#[test]
fn an_action_whose_effect_cannot_be_told_is_never_repeated_in_its_incident() {
    for action in [unit("named.service"), command(Class::A3)] {
        for answer in DEATHS {
            let check = check("AEGIS-DNS", "host", "dns").rung(std::slice::from_ref(&action));
            let mut world = World::failing(check);
            world.answers.push_back(answer);
            world.run(600_000);
            assert_eq!(intents_of(&world, &action), 1, "{answer:?}: {}", world.story());
            assert_eq!(world.closed_as(1), Some(Closing::HandedOver), "{answer:?}: {}", world.story());
        }
    }
}

#[test]
fn after_an_action_that_cannot_be_repeated_the_next_rung_is_tried() {
    let check =
        check("AEGIS-DNS", "host", "dns").rung(&[unit("named.service")]).rung(&[restart()]).cured_by(&[restart()]);
    let mut world = World::failing(check);
    world.answers.push_back(Answer::DiesBefore);
    world.run(120_000);
    assert_eq!(intents_of(&world, &unit("named.service")), 1);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn an_action_that_comes_too_late_is_not_done_and_stays_debited() {
    let mut world = World::failing(agent_down());
    world.answers.push_back(Answer::Late);
    world.run(3_000);
    assert_eq!(world.actions(), 0);
    assert!(world.story().starts_with("opened agent.start aborted"), "{}", world.story());
    assert_eq!(world.state.debits.len(), 1);
    world.run(60_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
    assert_eq!(world.count("unknown"), 0, "it is known that it was not done: {}", world.story());
}

#[test]
fn an_action_that_comes_at_the_last_moment_is_done() {
    let mut world = World::failing(agent_down());
    world.answers.push_back(Answer::Delayed);
    world.run(30_000);
    assert_eq!(world.story(), "opened agent.start done proven closed:healed");
}

#[test]
fn an_unknown_outcome_is_resolved_by_looking_and_not_by_guessing() {
    let mut world = World::failing(agent_down());
    world.answers.push_back(Answer::DiesAfter);
    world.run(2_000);
    world.shows(0, Verdict::Unknown);
    world.run(5_000);
    assert!(matches!(world.phase(1), Phase::Indeterminate { .. }), "{}", world.story());
    world.shows(0, Verdict::Pass);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
}

#[test]
fn a_crash_at_any_record_of_a_ladder_leaves_no_double_action_and_an_end() {
    let steps = [raise(20_000), reload()];
    let playbook = check("WBD-5404", "wbd", "inotify-limit").rung(&steps).rung(&[restart()]).cured_by(&[restart()]);
    let mut whole = World::failing(playbook.clone());
    whole.run(120_000);
    assert_eq!(whole.closed_as(1), Some(Closing::Healed), "{}", whole.story());
    for turns in 0..80 {
        let mut world = World::failing(playbook.clone());
        world.run(turns * 500);
        world.dies();
        world.run(600_000);
        assert!(world.state.open.is_empty(), "after turn {turns}: {}", world.story());
        assert_eq!(world.count("opened"), 1, "after turn {turns}: {}", world.story());
        assert_eq!(intents_of(&world, &restart()), 1, "after turn {turns}: {}", world.story());
    }
}

#[test]
fn a_reboot_at_any_time_leaves_an_end() {
    let playbook = check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000), reload()]).rung(&[restart()]);
    for turns in 0..80 {
        let mut world = World::failing(playbook.clone());
        world.run(turns * 500);
        world.reboots(20_000);
        world.run(1_200_000);
        assert!(world.state.open.is_empty(), "after turn {turns}: {}", world.story());
        assert_eq!(world.count("escalated"), 1, "after turn {turns}: {}", world.story());
    }
}

#[test]
fn a_proof_that_a_reboot_interrupted_is_looked_for_again_before_anything_is_taken_back() {
    let mut world =
        World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]).cured_by(&[raise(20_000)]));
    world.run(2_500);
    assert_eq!(*world.phase(1), Phase::Verifying);
    world.reboots(20_000);
    world.true_ms += 60_000;
    world.shows(0, Verdict::Unknown);
    world.run(2_000);
    assert_eq!(*world.phase(1), Phase::Verifying, "a detector that just started knows nothing: {}", world.story());
    world.shows(0, Verdict::Pass);
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
}

#[test]
fn a_proof_that_a_reboot_interrupted_and_that_never_comes_fails() {
    let mut world = World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]));
    world.run(2_500);
    world.reboots(20_000);
    world.run(15_000);
    assert!(world.story().contains("unproven rollback done"), "{}", world.story());
}

#[test]
fn a_rollback_that_a_crash_interrupted_is_not_begun_again() {
    let mut world = World::failing(check("WBD-5404", "wbd", "inotify-limit").rung(&[raise(20_000)]));
    world.checks[0].snapshot.attempts.max = 1;
    world.answers.extend([Answer::Done, Answer::DiesAfter]);
    world.run(14_000);
    assert!(
        world.story().ends_with("unproven rollback unknown refused:attempts escalated closed:handed-over"),
        "{}",
        world.story()
    );
    assert_eq!(world.sysctl["fs.inotify.max_user_watches"], 8_192);
}

#[test]
fn waiting_for_a_guard_goes_on_after_a_reboot() {
    let mut world = World::failing(agent_down());
    world.settings.budget.per_hour = 0;
    world.run(10_000);
    world.reboots(10_000);
    world.true_ms += 60_000;
    world.run(60_000);
    assert_eq!(world.closed_as(1), None, "{}", world.story());
    world.settings.budget.per_hour = 3;
    world.run(10_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
}

#[test]
fn an_action_of_a_check_that_is_gone_is_lost_only_where_nobody_is_doing_it() {
    for (dies, lost) in [(false, 0), (true, 1)] {
        let mut world = World::failing(agent_down());
        world.answers.push_back(Answer::Slow);
        world.run(2_500);
        world.checks[0].absent = true;
        if dies {
            world.dies();
        }
        world.run(1_000);
        assert_eq!(world.count("unknown"), lost, "{}", world.story());
    }
}

#[test]
fn an_action_by_hand_without_an_outcome_is_called_lost_once_and_not_while_it_is_done() {
    let mut world = World::new(vec![]);
    let permit = guard::permit_by_hand(&world.state, &world.now(), "root", restart(), None, Captured::default());
    let (subject, intent) = permit.unwrap().into_parts();
    world.timers.in_flight = Some(intent.action_id);
    world.append(subject, Body::Intent(Box::new(intent)));
    world.run(5_000);
    assert_eq!(world.count("unknown"), 0, "{}", world.story());
    world.dies();
    world.run(5_000);
    assert_eq!((world.count("unknown"), world.state.unresolved.len()), (1, 0), "{}", world.story());
}

#[test]
fn every_prefix_of_a_ledger_replays_to_the_state_that_wrote_it() {
    // `World::append` compares after each record; this ledger has every turn of fortune in it.
    let steps = [raise(20_000), reload()];
    let cause = check("AEGIS-DNS", "host", "dns").asking_rung(&[unit("named.service")]);
    let ladder = check("WBD-5404", "wbd", "inotify-limit").rung(&steps).rung(&[restart()]);
    let mut world = World::new(vec![cause, ladder, agent_down().explained_by(0)]);
    world.answers.extend([Answer::Done, Answer::DiesBefore, Answer::Late, Answer::Done, Answer::LostUndone]);
    for position in 0..3 {
        world.breaks(position);
    }
    world.run(30_000);
    world.reboots(60_000);
    world.run(30_000);
    world.pause(Class::A2, Some(60_000));
    world.run(90_000);
    world.deny(1);
    world.run(600_000);
    world.resume();
    world.run(60_000);
    assert!(world.entries.len() > 30, "{}", world.story());
    assert_eq!(world.state, replay(&world.entries));
    assert_eq!(world.state.seq, u64::try_from(world.entries.len()).unwrap());
}

#[test]
fn closed_incidents_are_forgotten_in_the_end_and_open_ones_never() {
    let mut world = World::new(vec![check("AEGIS-NET", "host", "endpoint"), agent_down()]);
    world.audited = false;
    world.pause(Class::A2, None);
    world.breaks(1);
    world.run(5_000);
    for _ in 0..60 {
        world.breaks(0);
        world.run(3_000);
        world.shows(0, Verdict::Pass);
        world.run(3_000);
    }
    assert_eq!(world.count("closed:handed-over"), 60);
    assert_eq!(world.state.incidents.len(), 51);
    assert!(world.state.incidents.contains_key(&IncidentId(1)), "the open one is the oldest");
    assert_eq!(world.state, replay(&world.entries));
}

/// The disk had room again while a restart of the reserve was under way: the ledger called it lost, the probes saw it
/// cured.
#[test]
fn the_outcome_of_an_action_that_was_taken_for_lost_opens_no_closed_incident_again() {
    let mut world = World::failing(agent_down());
    world.run(60_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
    let action = world.state.incidents[&IncidentId(1)].intent.as_ref().unwrap().action_id;
    for result in [Outcome::Done, Outcome::Failed, Outcome::Unknown] {
        let late = Body::Outcome { action, result, detail: String::new(), took_ms: 9_000 };
        world.append(world.about(1), late);
        assert_eq!(world.closed_as(1), Some(Closing::Healed), "{result:?}: {}", world.story());
    }
    world.breaks(0);
    world.run(60_000);
    assert_eq!(world.closed_as(2), Some(Closing::Healed), "{}", world.story());
}
