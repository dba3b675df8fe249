//! Random schedules of faults, blindness, crashes, reboots, lost replies and operators' words: whatever
//! comes, the invariants hold after every step, and in a quiet world everything ends.
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wbd_engine::replay::replay;
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::entry::{Body, Entry, Intent, Outcome};
use wbd_model::incident::{ActionId, IncidentId, Phase};
use wbd_model::settings::Healing;

use crate::check::{agent_down, check, command, raise, reload, restart, start, unit};
use crate::world::{Answer, World};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const CHECKS: usize = 4;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Shows(usize, Verdict, bool),
    Passes(u64),
    Answers(Answer),
    Dies,
    Reboots(u64),
    WallJumps(i64),
    Approves,
    Denies,
    Pauses(Class, Option<i64>),
    Resumes,
    Asks(usize),
    Mode(Healing),
    Edits(usize),
    Vanishes(usize, bool),
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    use Verdict::{Fail, Pass, Skip, Unknown, Warn};
    let sight = prop_oneof![6 => Just(Fail), 3 => Just(Pass), 2 => Just(Unknown), 1 => Just(Warn), 1 => Just(Skip)];
    let time = prop_oneof![
        6 => 100_u64..20_000,
        3 => 20_000_u64..600_000,
        1 => 600_000_u64..(2 * HOUR_MS),
    ];
    let answer = prop_oneof![
        1 => Just(Answer::Failed),
        1 => Just(Answer::Slow),
        1 => Just(Answer::LostDone),
        1 => Just(Answer::LostUndone),
        3 => Just(Answer::Delayed),
        1 => Just(Answer::Late),
        1 => Just(Answer::DiesBefore),
        1 => Just(Answer::DiesAfter),
        1 => Just(Answer::Done),
    ];
    let class = prop_oneof![Just(Class::A0), Just(Class::A2), Just(Class::A3)];
    let mode = prop_oneof![1 => Just(Healing::Observe), 1 => Just(Healing::Approve), 4 => Just(Healing::Auto)];
    prop_oneof![
        12 => (0..CHECKS, sight, any::<bool>()).prop_map(|(which, sight, other)| Event::Shows(which, sight, other)),
        16 => time.prop_map(Event::Passes),
        8 => answer.prop_map(Event::Answers),
        2 => Just(Event::Dies),
        1 => (0_u64..(2 * HOUR_MS)).prop_map(Event::Reboots),
        1 => (-1_000_000_000_i64..1_000_000_000).prop_map(Event::WallJumps),
        4 => Just(Event::Approves),
        1 => Just(Event::Denies),
        1 => (class, proptest::option::of(1_000_i64..100_000)).prop_map(|(class, ms)| Event::Pauses(class, ms)),
        2 => Just(Event::Resumes),
        1 => (0..CHECKS).prop_map(Event::Asks),
        2 => mode.prop_map(Event::Mode),
        1 => (0..CHECKS).prop_map(Event::Edits),
        1 => (0..CHECKS, any::<bool>()).prop_map(|(which, absent)| Event::Vanishes(which, absent)),
    ]
}

/// A cause, two consequences that share things with it, and a ladder with every kind of action.
pub(crate) fn host() -> World {
    let dns = check("AEGIS-DNS", "host", "dns")
        .rung(&[unit("named.service")])
        .asking_rung(&[command(Class::A4)])
        .cured_by(&[unit("named.service")]);
    let endpoint = check("AEGIS-NET", "aegis", "endpoint").rung(&[restart()]).cured_by(&[restart()]).explained_by(0);
    let inotify = check("WBD-5404", "wbd", "inotify-limit")
        .rung_for("broken", wbd_model::plan::Approval::Auto, &[raise(20_000), reload()])
        .rung_for("", wbd_model::plan::Approval::Auto, &[raise(30_000), start()])
        .rung_for("other", wbd_model::plan::Approval::Auto, &[unit("named.service"), raise(40_000)])
        .cured_by(&[raise(30_000), start()])
        .explained_by(1);
    let mut agent = agent_down().rung(&[restart()]);
    agent.snapshot.attempts.max = 20;
    let mut world = World::new(vec![dns, endpoint, inotify, agent]);
    world.audited = false;
    world
}

pub(crate) fn happen(world: &mut World, event: &Event) {
    let open: Vec<u64> = world.state.open.values().map(|id| id.0).collect();
    match event {
        Event::Shows(which, sight, other) => {
            world.checks[*which].case = if *other { "other" } else { "broken" }.to_owned();
            world.shows(*which, *sight);
        }
        Event::Passes(ms) => pass(world, *ms),
        Event::Answers(answer) => world.answers.push_back(*answer),
        Event::Dies => world.dies(),
        Event::Reboots(down_ms) => world.reboots(*down_ms),
        Event::WallJumps(ms) => world.wall_skew_ms = *ms,
        Event::Approves => open.iter().for_each(|id| world.approve(*id)),
        Event::Denies => open.iter().for_each(|id| world.deny(*id)),
        Event::Pauses(class, for_ms) => world.pause(*class, *for_ms),
        Event::Resumes => {
            world.lift();
            world.resume();
        }
        Event::Asks(which) => world.timers.asked = Some(world.checks[*which].snapshot.key.clone()),
        Event::Mode(mode) => world.settings.healing = *mode,
        Event::Edits(which) => {
            let digest = format!("digest-{}", world.true_ms);
            world.checks[*which].edited(&digest);
        }
        Event::Vanishes(which, absent) => world.checks[*which].absent = *absent,
    }
    world.turn();
}

/// Long times in larger steps: what happens in between is the same.
fn pass(world: &mut World, ms: u64) {
    let step = (ms / 40).max(500);
    let until = world.true_ms + ms;
    while world.true_ms < until {
        world.true_ms += step.min(until - world.true_ms);
        world.turn();
    }
}

fn intents(world: &World) -> impl Iterator<Item = (&Entry, &Intent)> {
    world.entries.iter().filter_map(|entry| {
        let Body::Intent(intent) = &entry.body else { return None };
        Some((entry, intent.as_ref()))
    })
}

/// I1, I4: each effect has one intent before it, each intent at most one effect.
fn no_act_without_one_intent(world: &World) {
    let numbers: Vec<ActionId> = intents(world).map(|(_, intent)| intent.action_id).collect();
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "two intents with one number");
    let mut effects = BTreeSet::new();
    for effect in &world.effects {
        assert!(effects.insert(effect.action), "{} had two effects", effect.action);
        let before = world.entries[..effect.ledger].iter();
        let intended = before.filter(|e| matches!(&e.body, Body::Intent(i) if i.action_id == effect.action)).count();
        assert_eq!(intended, 1, "{} was not intended before it was done", effect.action);
    }
}

/// I2: in every window of true time at most so many effects of class A2 and above.
fn budget_holds(world: &World) {
    let at: Vec<u64> = world.effects.iter().filter(|e| e.class >= Class::A2).map(|e| e.true_ms).collect();
    for (window, most) in [(HOUR_MS, world.settings.budget.per_hour), (DAY_MS, world.settings.budget.per_day)] {
        for (position, first) in at.iter().enumerate() {
            let within = at[position..].iter().take_while(|at| **at - first <= window).count();
            assert!(within <= usize::try_from(most).unwrap(), "{within} restarts in {window} ms");
        }
    }
}

/// I6, I9: what is begun is begun on a failure that is seen now, and under no hold.
fn effects_were_due(world: &World) {
    for effect in &world.effects {
        assert!(!effect.held, "{} was done under a hold", effect.action);
        assert!(effect.rollback || effect.sight != Verdict::Unknown, "{} was done blindly", effect.action);
    }
}

/// I7, I8: rungs only go up, the number of tries is bounded, nothing is taken back twice.
fn ladders_go_up(world: &World) {
    let mut ladders: BTreeMap<IncidentId, Vec<&Intent>> = BTreeMap::new();
    let mut undone = BTreeSet::new();
    let mut rollbacks = BTreeSet::new();
    for (entry, intent) in intents(world) {
        match intent.undoes {
            Some(taken_back) => {
                assert!(undone.insert(taken_back), "{taken_back} was taken back twice");
                assert!(!rollbacks.contains(&taken_back), "a rollback was rolled back");
                rollbacks.insert(intent.action_id);
            }
            None => ladders.entry(entry.subject.incident.unwrap()).or_default().push(intent),
        }
    }
    for (incident, ladder) in ladders {
        assert!(ladder.is_sorted_by_key(|intent| intent.rung), "{incident} went down its ladder");
        assert!(ladder.iter().filter(|intent| intent.step == 0).count() <= 20, "{incident} never stops trying");
    }
}

/// One open incident for each check; it ends once, and a person is notified once for each question.
fn incidents_are_single(world: &World) {
    let mut open = BTreeMap::new();
    let mut told: BTreeSet<IncidentId> = BTreeSet::new();
    for entry in &world.entries {
        let Some(id) = entry.subject.incident else { continue };
        let key = (entry.subject.code.clone(), entry.subject.target.clone());
        match entry.body.kind() {
            "opened" => assert_eq!(open.insert(key, id), None, "{id} is a second one"),
            "closed" => assert_eq!(open.remove(&key), Some(id), "{id} was closed twice"),
            "escalated" => assert!(told.insert(id), "{id} was escalated twice for one question"),
            // A question that was settled, by a word or by another mode, may be followed by another one.
            "approved" | "intent" => drop(told.remove(&id)),
            _ => {}
        }
    }
    let open: BTreeSet<IncidentId> = open.into_values().collect();
    assert_eq!(open, world.state.open.values().copied().collect());
}

/// I11: an incident is suppressed by an earlier cause, never in a circle.
fn suppression_has_no_circle(world: &World) {
    for start in world.state.incidents.values() {
        let mut seen = BTreeSet::from([start.id]);
        let mut at = start;
        while let Phase::Suppressed { by } = at.phase {
            assert!(seen.insert(by), "{} suppresses itself", start.id);
            let Some(next) = world.state.incidents.get(&by) else { break };
            at = next;
        }
    }
}

/// An action whose effect cannot be looked for is not begun again after its reply was lost.
fn nothing_is_repeated_blindly(world: &World) {
    let mut lost: BTreeSet<(IncidentId, usize)> = BTreeSet::new();
    let mut begun: BTreeMap<ActionId, (&Intent, IncidentId)> = BTreeMap::new();
    for entry in &world.entries {
        let Some(id) = entry.subject.incident else { continue };
        if let Body::Intent(intent) = &entry.body {
            assert!(!lost.contains(&(id, intent.rung)) || intent.undoes.is_some(), "{id} repeats rung {}", intent.rung);
            begun.insert(intent.action_id, (intent, id));
        } else if let Body::Outcome { action, result: Outcome::Unknown, .. } = &entry.body {
            let blind = begun.get(action).filter(|(intent, _)| !intent.action.is_provable());
            lost.extend(blind.map(|(intent, id)| (*id, intent.rung)));
        }
    }
}

fn invariants_hold(world: &World) {
    no_act_without_one_intent(world);
    budget_holds(world);
    effects_were_due(world);
    ladders_go_up(world);
    incidents_are_single(world);
    suppression_has_no_circle(world);
    nothing_is_repeated_blindly(world);
}

/// Every fault is repaired and nobody stands in the way: what is open must end.
fn calm_down(world: &mut World) {
    world.answers.clear();
    world.lift();
    for position in 0..CHECKS {
        world.checks[position].absent = false;
        world.shows(position, Verdict::Pass);
    }
    pass(world, 120_000);
    pass(world, 2 * DAY_MS);
}

pub(crate) fn schedule() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 1..60)
}

/// Guards against an empty proof: the schedules do come to all that the invariants speak of.
#[test]
fn the_schedules_reach_every_kind_of_record() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..150 {
        let events = schedule().new_tree(&mut runner).unwrap().current();
        let mut world = host();
        events.iter().for_each(|event| happen(&mut world, event));
        reached.extend(world.words());
    }
    for word in [
        "closed:healed",
        "closed:self-healed",
        "closed:subsumed",
        "closed:handed-over",
        "closed:noise",
        "refused:hold",
        "refused:mode",
        "refused:approval",
        "refused:denied",
        "refused:host-budget",
        "refused:attempts",
        "refused:backoff",
        "refused:conflict",
        "done",
        "failed",
        "aborted",
        "unknown",
        "rollback",
        "proven",
        "unproven",
        "suppressed",
        "unsuppressed",
        "cleared",
        "escalated",
        "sysctl.set",
        "agent.restart",
        "unit.restart",
        "command.run",
    ] {
        assert!(reached.contains(word), "no schedule reached {word}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold_and_everything_ends(events in schedule()) {
        let mut world = host();
        for event in &events {
            happen(&mut world, event);
            invariants_hold(&world);
        }
        prop_assert_eq!(&world.state, &replay(&world.entries));
        calm_down(&mut world);
        invariants_hold(&world);
        prop_assert!(world.state.open.is_empty(), "still open: {:?} after {}", world.state.open, world.story());
        prop_assert!(world.state.latched.is_empty());
        prop_assert_eq!(&world.state, &replay(&world.entries));
    }
}
