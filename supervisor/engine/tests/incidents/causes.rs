//! A cause before its consequences: what is suppressed, picked up again, or goes with its cause.
use wbd_model::check::Verdict;
use wbd_model::incident::{Closing, IncidentId, Phase};
use wbd_model::settings::Healing;

use crate::check::{Check, check, restart, start, unit};
use crate::world::{Answer, World};

/// DNS is down; a restart of the resolver cures it.
fn dns() -> Check {
    check("AEGIS-DNS", "host", "dns").rung(&[unit("named.service")]).cured_by(&[unit("named.service")])
}

/// Names cannot be resolved; a restart of the agent is thought to cure it.
fn endpoint() -> Check {
    check("AEGIS-NET", "aegis", "endpoint").rung(&[restart()]).cured_by(&[restart()]).explained_by(0)
}

#[test]
fn the_cause_is_opened_first_and_its_consequence_does_not_act() {
    let mut world = World::new(vec![dns(), endpoint()]);
    world.settings.healing = Healing::Observe;
    world.breaks(0);
    world.breaks(1);
    world.run(60_000);
    assert_eq!(world.story_of(1), "opened refused:mode escalated");
    assert_eq!(world.story_of(2), "opened suppressed");
    assert_eq!(*world.phase(2), Phase::Suppressed { by: IncidentId(1) });
}

#[test]
fn a_consequence_is_not_opened_before_its_cause_has_held() {
    let mut world = World::new(vec![dns().held_for(30_000), endpoint()]);
    world.breaks(0);
    world.breaks(1);
    world.run(29_000);
    assert_eq!(world.story(), "");
}

#[test]
fn a_consequence_goes_with_its_cause() {
    let mut world = World::new(vec![dns(), endpoint()]);
    world.answers.push_back(Answer::Slow);
    world.breaks(0);
    world.breaks(1);
    world.run(2_500);
    world.shows(1, Verdict::Pass);
    world.run(10_000);
    assert_eq!([world.closed_as(1), world.closed_as(2)], [Some(Closing::Healed), Some(Closing::Subsumed)]);
    assert_eq!(world.actions(), 1);
}

#[test]
fn a_consequence_that_is_gone_for_a_moment_stays_and_one_that_is_gone_for_good_ends() {
    let mut world = World::new(vec![dns(), endpoint()]);
    world.settings.healing = Healing::Observe;
    world.breaks(0);
    world.breaks(1);
    world.run(5_000);
    world.shows(1, Verdict::Pass);
    world.run(1_500);
    world.breaks(1);
    world.run(5_000);
    assert_eq!(world.story_of(2), "opened suppressed");
    world.shows(1, Verdict::Pass);
    world.run(2_000);
    assert_eq!(world.story_of(2), "opened suppressed closed:subsumed");
}

#[test]
fn a_consequence_that_outlives_its_cause_is_picked_up() {
    let mut world = World::new(vec![dns(), endpoint()]);
    world.answers.push_back(Answer::Slow);
    world.breaks(0);
    world.breaks(1);
    world.run(30_000);
    assert_eq!(world.story_of(2), "opened suppressed unsuppressed agent.restart done proven closed:healed");
    let cause_ended =
        world.entries.iter().position(|e| e.subject.incident == Some(IncidentId(1)) && e.body.kind() == "closed");
    let acted =
        world.entries.iter().position(|e| e.subject.incident == Some(IncidentId(2)) && e.body.kind() == "intent");
    assert!(cause_ended < acted, "{}", world.story());
}

#[test]
fn a_consequence_that_cannot_be_seen_waits() {
    let mut world = World::new(vec![dns(), endpoint()]);
    world.answers.push_back(Answer::Slow);
    world.breaks(0);
    world.breaks(1);
    world.run(2_500);
    world.shows(1, Verdict::Unknown);
    world.run(60_000);
    assert_eq!(world.closed_as(1), Some(Closing::Healed));
    assert_eq!(world.story_of(2), "opened suppressed");
}

#[test]
fn an_incident_that_was_open_before_its_cause_was_seen_is_suppressed_then() {
    let mut world = World::new(vec![dns(), endpoint()]);
    world.settings.healing = Healing::Observe;
    world.breaks(1);
    world.run(5_000);
    world.breaks(0);
    world.run(5_000);
    assert_eq!(world.story_of(1), "opened refused:mode escalated suppressed");
}

#[test]
fn an_open_consequence_does_not_act_while_its_cause_is_only_suspected() {
    let mut world = World::new(vec![dns().held_for(10_000), endpoint()]);
    world.pause(wbd_model::action::Class::A0, None);
    world.breaks(1);
    world.run(5_000);
    world.breaks(0);
    world.lift();
    world.run(9_000);
    assert_eq!(world.actions(), 0, "{}", world.story());
    world.run(2_000);
    assert_eq!(*world.phase(1), Phase::Suppressed { by: IncidentId(2) }, "{}", world.story());
}

#[test]
fn a_consequence_of_what_was_handed_over_is_neither_opened_nor_acted_on() {
    let mut cause = dns();
    cause.rungs.clear();
    let mut world = World::new(vec![cause, endpoint()]);
    world.breaks(0);
    world.run(5_000);
    world.breaks(1);
    world.run(60_000);
    assert_eq!(world.story(), "opened escalated closed:handed-over");
}

#[test]
fn an_open_consequence_of_what_was_handed_over_goes_with_it() {
    let mut cause = dns();
    cause.rungs.clear();
    let mut world = World::new(vec![cause, endpoint()]);
    world.breaks(0);
    world.breaks(1);
    world.run(60_000);
    assert_eq!(world.closed_as(1), Some(Closing::HandedOver));
    assert_eq!(world.actions(), 0, "{}", world.story());
    assert!(world.state.open.is_empty(), "{}", world.story());
}

#[test]
fn a_suppressed_consequence_goes_with_a_cause_that_is_handed_over() {
    let mut cause = dns().cured_by(&[]);
    cause.snapshot.attempts.max = 1;
    let mut world = World::new(vec![cause, endpoint()]);
    world.breaks(0);
    world.breaks(1);
    world.run(60_000);
    assert_eq!(world.closed_as(1), Some(Closing::HandedOver));
    assert_eq!(world.story_of(2), "opened suppressed closed:subsumed");
}

#[test]
fn a_consequence_is_opened_by_itself_once_the_handed_over_cause_is_gone() {
    let mut cause = dns();
    cause.rungs.clear();
    let mut world = World::new(vec![cause, endpoint()]);
    world.breaks(0);
    world.breaks(1);
    world.run(30_000);
    assert!(world.state.open.is_empty(), "{}", world.story());
    world.shows(0, Verdict::Pass);
    world.run(30_000);
    assert_eq!(world.story_of(3), "opened agent.restart done proven closed:healed", "{}", world.story());
}

#[test]
fn a_chain_of_causes_ends_without_an_action_for_its_consequences() {
    let third = check("AEGIS-TCP", "aegis", "endpoint-tcp").rung(&[start()]).cured_by(&[start()]).explained_by(1);
    let mut world = World::new(vec![dns(), endpoint(), third]);
    world.answers.push_back(Answer::Slow);
    for position in 0..3 {
        world.breaks(position);
    }
    world.run(3_000);
    world.shows(1, Verdict::Pass);
    world.shows(2, Verdict::Pass);
    world.run(30_000);
    assert!(world.state.open.is_empty(), "{}", world.story());
    assert_eq!(world.actions(), 1);
}

#[test]
fn suppression_survives_a_crash() {
    let mut world = World::new(vec![dns(), endpoint()]);
    world.settings.healing = Healing::Observe;
    world.breaks(0);
    world.breaks(1);
    world.run(10_000);
    world.dies();
    world.run(10_000);
    assert_eq!(world.story_of(2), "opened suppressed");
}
