//! What the judge must not let pass: true histories with one thing forged in each.
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::incident::{ActionId, Closing, Guard, IncidentId};
use wbd_model::settings::BudgetShare;

use crate::judge;
use crate::world::check::{CHECKS, Sight};
use crate::world::host::Host;
use crate::world::lived;
use crate::world::schedule::Schedule;

/// A host that did something, and what the judge says of it once it was forged.
fn verdict(forge: impl Fn(&mut Host)) -> String {
    let hosts = (0..200).map(|seed| lived(&Schedule::of(seed)));
    let rich = |host: &Host| {
        let handed = |entry: &Entry| matches!(entry.body, Body::Closed { how: Closing::HandedOver });
        let spent = |entry: &Entry| matches!(&entry.body, Body::Refused(refusal) if refusal.guard == Guard::Attempts);
        let intents = host.effects.iter().filter(|effect| !effect.rollback).count();
        intents > 8 && host.entries.iter().any(handed) && host.entries.iter().any(spent)
    };
    let mut host = hosts.into_iter().find(rich).unwrap();
    assert_eq!(judge::judgement(&host), Ok(()), "it is true as it is");
    forge(&mut host);
    judge::judgement(&host).unwrap_err()
}

#[track_caller]
fn is_found(words: &str, forge: impl Fn(&mut Host)) {
    let found = verdict(forge);
    assert!(found.contains(words), "{found}");
}

fn first(host: &Host, kind: &str) -> usize {
    host.entries.iter().position(|entry| entry.body.kind() == kind).unwrap()
}

#[test]
fn effects_without_an_intent_or_with_two_are_found() {
    is_found("had two effects", |host| host.effects.extend(host.effects.last().cloned()));
    is_found("was not intended before", |host| host.effects[0].ledger = 0);
    is_found("was not intended before", |host| host.effects[0].action = ActionId(9_999));
    is_found("was intended twice", |host| host.entries.push(host.entries[first(host, "intent")].clone()));
}

#[test]
fn too_much_in_a_window_is_found() {
    is_found("actions of A2 and above", |host| {
        let now_ms = host.effects[0].true_ms;
        host.effects.iter_mut().for_each(|effect| effect.true_ms = now_ms);
    });
    let share = |per_hour| BudgetShare { per_hour: Some(per_hour), per_day: None };
    is_found("beside the agent's", |host| host.settings.budget.agent_reserve = share(u32::MAX));
    is_found("rungs of A2 and above for", |host| host.settings.budget.product_limit = share(0));
    is_found("attempts on", |host| {
        host.settings.budget.per_hour = 1_000;
        host.settings.budget.per_day = 1_000;
        let now_ms = host.effects[0].true_ms;
        host.effects.iter_mut().for_each(|effect| (effect.true_ms, effect.check) = (now_ms, 0));
    });
}

#[test]
fn an_agent_that_is_refused_its_share_is_found() {
    is_found("refused its share", |host| {
        let mut refused = host.entries[first(host, "refused")].clone();
        if let Body::Refused(refusal) = &mut refused.body {
            refusal.guard = Guard::HostBudget;
        }
        refused.subject.code = wbd_model::name::Code::new("WBD-6007").ok();
        host.settings.budget = wbd_model::settings::HostBudget::default();
        host.entries.insert(0, refused);
        host.effects.clear();
    });
}

#[test]
fn blind_and_needless_acts_are_found() {
    is_found("was done blindly", |host| host.effects[0].sight = Sight::Nothing);
    is_found("was not needed", |host| host.effects[0].sight = Sight::Well);
    is_found("was done to a twin", |host| host.effects[0].check = CHECKS - 1);
}

#[test]
fn rivals_that_act_on_one_thing_are_found() {
    is_found("acts on", |host| {
        let intent = first(host, "intent");
        let mut rival = host.entries[intent].clone();
        rival.subject.incident = Some(IncidentId(9_999));
        if let Body::Intent(intent) = &mut rival.body {
            intent.action_id = ActionId(9_999);
        }
        host.entries.insert(intent + 1, rival);
        host.effects.clear();
    });
}

#[test]
fn a_ladder_that_goes_down_is_found() {
    is_found("went down", |host| {
        let intent = first(host, "intent");
        let mut higher = host.entries[intent].clone();
        if let Body::Intent(intent) = &mut higher.body {
            (intent.rung, intent.action_id) = (7, ActionId(9_999));
        }
        host.entries.insert(intent, higher);
        host.effects.clear();
    });
}

#[test]
fn an_act_under_a_hold_is_found() {
    is_found("under a hold", |host| {
        let hold = Body::Hold {
            who: "root".to_owned(),
            why: "forged".to_owned(),
            until_wall_ms: None,
            from_class: wbd_model::action::Class::A0,
            file: None,
            busy: None,
        };
        let at = host.entries[0].at.clone();
        let forged =
            Entry { seq: 0, at, subject: Subject::default(), body: hold, prev: String::new(), hash: String::new() };
        host.entries.insert(0, forged);
        host.effects.clear();
    });
}

#[test]
fn an_end_that_nobody_was_told_of_or_twice_is_found() {
    is_found("nobody told", |host| {
        host.entries.retain(|entry| !matches!(entry.body, Body::Escalated { .. }));
        host.effects.clear();
    });
    is_found("told of twice", |host| {
        let told = first(host, "escalated");
        host.entries.insert(told, host.entries[told].clone());
        host.effects.clear();
    });
}

#[test]
fn what_does_not_end_and_what_the_ledger_does_not_say_is_found() {
    is_found("still open", |host| {
        let key = host.checks[0].snapshot.key.clone();
        host.state.open.insert(key, IncidentId(1));
    });
    is_found("another state", |host| host.state.debits.clear());
}
