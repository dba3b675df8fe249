//! What is offered to a person was asked of the guards: an offer is what then happens.
use wbd_engine::guard;
use wbd_engine::state::ActionRequest;
use wbd_model::action::Class;
use wbd_model::control::Offer;
use wbd_model::entry::Body;
use wbd_model::incident::{Closing, Guard, IncidentId, Refusal};
use wbd_model::settings::{Healing, HostBudget};

use crate::check::{agent_down, reload};
use crate::world::World;

const HOUR_MS: u64 = 3_600_000;

/// What the guards say to the first rung of the only check.
fn offer(world: &World) -> Offer {
    let snapshot = world.snapshots().remove(0);
    let plan = snapshot.ladder[0].clone();
    let want = ActionRequest {
        incident: IncidentId(0),
        key: snapshot.key,
        playbook: snapshot.playbook,
        step: 0,
        undoes: None,
        action: plan.steps[0].clone(),
        attempts: snapshot.attempts,
        waits: None,
        plan,
    };
    guard::offer(&world.state, &world.settings, &world.now(), &want)
}

fn guards(offer: &Offer) -> (Option<Guard>, Option<Guard>) {
    let guard = |refusal: &Option<Refusal>| refusal.as_ref().map(|refusal| refusal.guard);
    (guard(&offer.by_itself), guard(&offer.by_hand))
}

/// An agent whose restart helps nothing, until its attempts are spent and it was handed over.
fn given_up() -> World {
    let mut world = World::failing(agent_down().cured_by(&[reload()]));
    world.run(1_000_000);
    assert_eq!(world.closed_as(1), Some(Closing::HandedOver), "{}", world.story());
    world
}

#[test]
fn one_more_try_is_refused_beforehand_by_the_guard_that_would_refuse_it() {
    let world = given_up();
    let Offer { incident, by_hand, .. } = offer(&world);
    let refusal = by_hand.expect("its attempts are spent");
    assert_eq!((incident, refusal.guard), (None, Guard::Attempts), "{refusal:?}");
    assert!(refusal.until_ms.is_some_and(|until_ms| until_ms > world.now().boot_ms), "{refusal:?}");
    // Twin: when they count no more, it is offered.
    let mut world = world;
    world.true_ms += 2 * HOUR_MS;
    assert_eq!(offer(&world).by_hand, None);
}

#[test]
fn what_waits_for_an_approval_is_free_by_hand_unless_another_guard_stands_behind_it() {
    let mut world = World::failing(agent_down());
    world.settings.healing = Healing::Approve;
    world.run(20_000);
    assert_eq!(guards(&offer(&world)), (Some(Guard::Approval), None), "{}", world.story());
    world.pause(Class::A1, None);
    assert_eq!(guards(&offer(&world)), (Some(Guard::Hold), Some(Guard::Hold)));
    world.lift();
    world.deny(1);
    assert_eq!(guards(&offer(&world)), (Some(Guard::Denied), None), "an approval takes a denial back");
}

#[test]
fn a_failure_without_an_incident_is_asked_for_as_if_it_had_one_and_leaves_no_trace() {
    let world = World::failing(agent_down().held_for(60_000));
    let before = world.state.clone();
    let offer = offer(&world);
    assert_eq!((offer.incident, guards(&offer)), (None, (None, None)));
    assert_eq!(world.state, before);
}

#[test]
fn an_approval_is_offered_from_the_moment_on_from_which_it_is_of_use() {
    let asked = |per_hour: u32| {
        let mut world = World::failing(agent_down());
        world.settings.budget = HostBudget { per_hour, ..world.settings.budget };
        world.run(60_000);
        assert_eq!(world.closed_as(1), Some(Closing::Healed), "{}", world.story());
        world.settings.healing = Healing::Approve;
        world.breaks(0);
        world.run(20_000);
        let held = world.state.incidents[&IncidentId(2)].held().cloned().unwrap();
        assert_eq!((held.guard, held.until_ms), (Guard::Approval, None), "{}", world.story());
        held.reason
    };
    assert_eq!(asked(3), "waits for an operator: wbdctl approve I2");
    let spent = asked(1);
    assert!(spent.starts_with("waits for an operator: wbdctl approve I2, from 2023-11-1"), "{spent}");
    assert!(spent.contains(" on: before that 1 of 1 restarts in this hour are spent"), "{spent}");
}

#[test]
fn a_denial_offers_no_command_that_is_refused_when_it_is_followed() {
    let mut world = World::failing(agent_down());
    world.settings.healing = Healing::Approve;
    world.run(20_000);
    world.deny(1);
    world.run(5_000);
    assert_eq!(world.closed_as(1), Some(Closing::HandedOver), "{}", world.story());
    let denied = world.entries.iter().filter_map(|entry| {
        let Body::Refused(refusal) = &entry.body else { return None };
        (refusal.guard == Guard::Denied).then_some(refusal.reason.as_str())
    });
    assert_eq!(denied.collect::<Vec<_>>(), ["root denied it"]);
}
