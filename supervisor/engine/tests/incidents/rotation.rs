//! A new ledger file knows what the old one knew: whatever happened before, nothing that follows is different.
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wbd_engine::replay::{replay, snapshot};
use wbd_engine::state::{Debit, Payer, State};
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::incident::Guard;

use crate::check::{agent_down, check};
use crate::schedules::{happen, host, schedule};
use crate::world::World;

fn rotated(world: &World, state: Option<Box<serde_json::Value>>) -> Entry {
    let body = Body::Rotated {
        old_head: String::new(),
        old_seq: world.state.seq,
        file: "ledger-1.db".to_owned(),
        reason: "a test".to_owned(),
        who: "root".to_owned(),
        debits_ms: world.state.debits.iter().map(|debit| debit.at_ms).collect(),
        next_incident: world.state.next_incident,
        next_action: world.state.next_action,
        state,
    };
    let seq = world.state.seq + 1;
    Entry { seq, at: world.now(), subject: Subject::default(), body, prev: String::new(), hash: String::new() }
}

/// The same world on a new file; the record goes through its stored text, as on disk.
fn on_a_new_file(world: &World) -> World {
    let packed = snapshot::pack(&world.state, snapshot::MOST_BYTES).unwrap();
    let text = serde_json::to_string(&rotated(world, Some(packed))).unwrap();
    let first: Entry = serde_json::from_str(&text).unwrap();
    let mut world = world.clone();
    world.entries = vec![first];
    world.state = replay(&world.entries);
    world
}

/// A record that says nothing in the old file, so that both have seen the same moment.
fn goes_on(world: &mut World) -> &State {
    world.append(Subject::default(), Body::Started { version: String::new(), mode: String::new() });
    &world.state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_new_file_gives_the_state_before_and_what_follows_is_the_same(
        before in schedule(),
        after in schedule(),
    ) {
        let mut world = host();
        before.iter().for_each(|event| happen(&mut world, event));
        let mut other = on_a_new_file(&world);
        prop_assert_eq!(&other.state, goes_on(&mut world));
        let seq = world.entries.len();
        for event in &after {
            happen(&mut world, event);
            happen(&mut other, event);
        }
        let since: Vec<&Body> = world.entries[seq..].iter().map(|entry| &entry.body).collect();
        let others: Vec<&Body> = other.entries[1..].iter().map(|entry| &entry.body).collect();
        prop_assert_eq!(since, others);
        prop_assert_eq!(&other.state, &replay(&other.entries));
        prop_assert_eq!(State { seq: 0, ..other.state }, State { seq: 0, ..world.state });
    }
}

/// Guards against an empty proof.
#[test]
fn the_schedules_rotate_with_everything_in_the_state() {
    let mut runner = TestRunner::deterministic();
    let mut reached = [false; 10];
    for _ in 0..150 {
        let events = schedule().new_tree(&mut runner).unwrap().current();
        let mut world = host();
        events.iter().for_each(|event| happen(&mut world, event));
        let state = &world.state;
        let here = [
            !state.open.is_empty(),
            state.incidents.len() > state.open.len(),
            !state.latched.is_empty(),
            !state.denied.is_empty(),
            !state.debits.is_empty(),
            !state.attempts.is_empty(),
            state.hold.is_some(),
            !state.failures.is_empty(),
            !state.undoable.is_empty(),
            state.incidents.values().any(|incident| !incident.rollback.is_empty() || incident.step > 0),
        ];
        reached.iter_mut().zip(here).for_each(|(reached, here)| *reached |= here);
    }
    assert_eq!(reached, [true; 10]);
}

#[test]
fn a_suspension_and_its_one_try_go_along() {
    let mut world = World::failing(agent_down());
    let playbook = world.checks[0].snapshot.playbook.clone();
    let subject = || Subject { playbook: Some(playbook.clone()), ..Subject::default() };
    world.append(subject(), Body::Suspended { reason: "fails".to_owned() });
    world.run(10_000);
    assert_eq!(world.held_by(1), Some(Guard::Suspended));
    assert_eq!(on_a_new_file(&world).state, *goes_on(&mut world));
    world.true_ms += 3_600_000;
    world.answers.push_back(crate::world::Answer::Slow);
    world.turn();
    assert_eq!(world.actions(), 1);
    let other = on_a_new_file(&world);
    assert_eq!(other.state, *goes_on(&mut world));
    assert!(other.state.suspended[&playbook].trial.is_some());
}

#[test]
fn a_no_goes_along() {
    let mut world = World::failing(agent_down());
    world.pause(Class::A1, None);
    world.run(10_000);
    world.deny(1);
    world.lift();
    world.run(10_000);
    let mut other = on_a_new_file(&world);
    other.resume();
    other.run(20_000);
    assert_eq!((other.actions(), other.state.denied.len()), (0, 1), "{}", other.story());
}

#[test]
fn what_decides_least_is_left_behind_where_not_all_of_it_fits() {
    let mut world = World::new(vec![check("AEGIS-NET", "host", "endpoint"), agent_down()]);
    world.pause(Class::A2, None);
    world.breaks(1);
    for _ in 0..5 {
        world.breaks(0);
        world.run(3_000);
        world.shows(0, Verdict::Pass);
        world.run(3_000);
    }
    world.breaks(0);
    world.run(3_000);
    world.state.debits.push(Debit { at_ms: world.now().boot_ms, payer: Payer::Agent });
    let all = &world.state;
    let size = |most: usize| snapshot::pack(all, most).map(|packed| packed.to_string().len());
    let unpacked = |most: usize| replay(&[rotated(&world, snapshot::pack(all, most).ok())]);
    let whole = size(usize::MAX).unwrap();
    assert_eq!((unpacked(whole).incidents.len(), all.open.len()), (all.incidents.len(), 1));
    let without_closed = unpacked(whole - 1);
    assert_eq!((without_closed.incidents.len(), &without_closed.open), (1, &all.open));
    let least = (1..whole).find(|most| size(*most).is_ok()).unwrap();
    let kept = unpacked(least);
    assert!(kept.incidents.is_empty() && kept.open.is_empty());
    assert_eq!((&kept.hold, &kept.debits, &kept.latched), (&all.hold, &all.debits, &all.latched));
    assert_eq!(size(least - 1), Err(least));
}

#[test]
fn a_record_of_an_older_version_carries_debits_and_numbers() {
    let mut world = World::failing(agent_down());
    world.run(10_000);
    let state = replay(&[rotated(&world, None)]);
    assert_eq!((state.debits.len(), state.next_incident, state.next_action), (1, 2, 2));
    assert!(state.incidents.is_empty());
}

#[test]
fn a_carried_state_that_cannot_be_read_holds_everything_until_an_operator_lifts_it() {
    let mut world = World::failing(agent_down());
    world.run(10_000);
    let state = replay(&[rotated(&world, Some(Box::new(serde_json::json!({"debits": "many"}))))]);
    assert_eq!(state.debits.len(), 1, "the debits stand beside it");
    let hold = state.hold.unwrap();
    assert_eq!((hold.from_class, hold.who.as_str()), (Class::A0, "wbd"));
    assert!(hold.why.contains("cannot be read"), "{}", hold.why);
}
