//! Holds a lived schedule against the invariants, from the ledger and the true effects alone. It shares no
//! code with the guards that it judges.
use std::collections::{BTreeMap, BTreeSet};

use wbd_engine::replay::replay;
use wbd_model::action::Class;
use wbd_model::entry::{Body, Entry, Intent, Outcome};
use wbd_model::incident::{ActionId, Closing, Guard, IncidentId};
use wbd_model::time::Now;

use crate::world::check::{AGENT_DOWN, CHECKS, Sight, TWINS};
use crate::world::host::{Effect, Host};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const START_DEADLINE_MS: u64 = 5_000;

type Judgement = Result<(), String>;

/// Every invariant.
///
/// # Panics
/// At the first that does not hold, with the seed that repeats it.
pub(crate) fn holds(host: &Host, seed: u64) {
    if let Err(what) = judgement(host) {
        panic!("{what}; repeat it with WBD_SEED={seed}\n{}", host.story());
    }
}

/// The first that does not hold.
pub(crate) fn judgement(host: &Host) -> Judgement {
    let all = [
        one_intent_each(host),
        budget(host),
        shares(host),
        agent_has_its_share(host),
        attempts(host),
        no_overlap(&host.entries),
        ladders(&host.entries),
        nothing_blind(&host.effects),
        no_act_under_a_hold(&host.entries),
        told_once(&host.entries),
        ended(host),
    ];
    all.into_iter().collect()
}

fn intents(entries: &[Entry]) -> impl Iterator<Item = (&Entry, &Intent)> {
    entries.iter().filter_map(|entry| {
        let Body::Intent(intent) = &entry.body else { return None };
        Some((entry, intent.as_ref()))
    })
}

/// I1, I4: each effect has one intent before it, each intent at most one effect.
fn one_intent_each(host: &Host) -> Judgement {
    let mut ids = BTreeSet::new();
    for (_, intent) in intents(&host.entries) {
        ensure(ids.insert(intent.action_id), || format!("{} was intended twice", intent.action_id))?;
    }
    let mut done = BTreeSet::new();
    for effect in &host.effects {
        ensure(done.insert(effect.action), || format!("{} had two effects", effect.action))?;
        let before = intents(&host.entries[..effect.ledger]).filter(|(_, intent)| intent.action_id == effect.action);
        ensure(before.count() == 1, || format!("{} was not intended before it was done", effect.action))?;
    }
    Ok(())
}

/// I2: in every window of true time at most so many effects of class A2 and above.
fn budget(host: &Host) -> Judgement {
    let at_ms: Vec<u64> = host.effects.iter().filter(|e| e.class >= Class::A2).map(|e| e.true_ms).collect();
    within(&at_ms, HOUR_MS, host.settings.budget.per_hour, "actions of A2 and above on this host")?;
    within(&at_ms, DAY_MS, host.settings.budget.per_day, "actions of A2 and above on this host")
}

/// What others than the agent do in a window, all together and each product for itself.
fn shares(host: &Host) -> Judgement {
    let agents: BTreeSet<ActionId> = intents(&host.entries)
        .filter(|(_, intent)| intent.action.on_agent().concerns())
        .map(|(_, intent)| intent.action_id)
        .collect();
    let others = || host.effects.iter().filter(|it| it.class >= Class::A2 && !agents.contains(&it.action));
    let targets: BTreeSet<_> = host.checks.iter().map(|check| &check.snapshot.key.target).collect();
    for (window_ms, of) in [(HOUR_MS, host.settings.budget.hour()), (DAY_MS, host.settings.budget.day())] {
        let at_ms: Vec<u64> = others().map(|effect| effect.true_ms).collect();
        within(&at_ms, window_ms, of.others(), "actions of A2 and above beside the agent's")?;
        for target in &targets {
            let begins = |effect: &&Effect| {
                effect.step == 0 && !effect.rollback && host.checks[effect.check].snapshot.key.target == **target
            };
            let at_ms: Vec<u64> = others().filter(begins).map(|effect| effect.true_ms).collect();
            within(&at_ms, window_ms, of.product, &format!("rungs of A2 and above for {target}"))?;
        }
    }
    Ok(())
}

/// The agent is refused for want of budget only when it has used its own share. What was done before this boot counts
/// as made when it began, so all of it is counted here.
fn agent_has_its_share(host: &Host) -> Judgement {
    let budget = host.settings.budget;
    for (position, entry) in host.entries.iter().enumerate() {
        let Body::Refused(refusal) = &entry.body else { continue };
        let is_agents = entry.subject.code.as_ref().is_some_and(|code| code.as_str() == AGENT_DOWN);
        if refusal.guard != Guard::HostBudget || !is_agents {
            continue;
        }
        let used = |window_ms: u64, kept: u32| {
            let recent = |at: &Now| {
                at.since(&entry.at.boot, at.boot_ms).is_none()
                    || entry.at.boot_ms - at.boot_ms <= window_ms + START_DEADLINE_MS
            };
            let own = intents(&host.entries[..position])
                .filter(|(_, intent)| intent.class >= Class::A2 && intent.action.on_agent().concerns())
                .filter(|(at, _)| recent(&at.at));
            own.count() >= usize::try_from(kept).unwrap()
        };
        ensure(used(HOUR_MS, budget.hour().kept) || used(DAY_MS, budget.day().kept), || {
            format!("the agent was refused its share of the budget (record {})", entry.seq)
        })?;
    }
    Ok(())
}

/// A playbook's own budget on one target, in true time too.
fn attempts(host: &Host) -> Judgement {
    for (index, check) in host.checks.iter().enumerate() {
        let begins = |effect: &&Effect| effect.check == index && effect.step == 0 && !effect.rollback;
        let at_ms: Vec<u64> = host.effects.iter().filter(begins).map(|effect| effect.true_ms).collect();
        let own = check.snapshot.attempts;
        within(&at_ms, own.per_ms, own.max, &format!("attempts on {:?}", check.snapshot.key))?;
    }
    Ok(())
}

fn within(at_ms: &[u64], window_ms: u64, most: u32, what: &str) -> Judgement {
    for (position, first) in at_ms.iter().enumerate() {
        let count = at_ms[position..].iter().take_while(|at_ms| **at_ms - first <= window_ms).count();
        ensure(count <= usize::try_from(most).unwrap(), || {
            format!("{count} {what} in {window_ms} ms from {first} on")
        })?;
    }
    Ok(())
}

/// From the first intent of a rung to its verdict nobody else acts on what it acts on, nor on what it may still
/// have to take back.
fn no_overlap(entries: &[Entry]) -> Judgement {
    let mut rungs: BTreeMap<IncidentId, BTreeSet<String>> = BTreeMap::new();
    let mut undoable: BTreeMap<IncidentId, BTreeMap<ActionId, String>> = BTreeMap::new();
    for entry in entries {
        let Some(id) = entry.subject.incident else { continue };
        match &entry.body {
            Body::Intent(intent) => {
                let key = intent.action.conflict().to_string();
                let rival = |keys: &BTreeSet<String>| keys.contains(&key);
                let rung = rungs.iter().find(|(other, keys)| **other != id && rival(keys));
                let undo = undoable.iter().find(|(other, undo)| **other != id && undo.values().any(|own| *own == key));
                if let Some(other) = rung.map(|(other, _)| other).or(undo.map(|(other, _)| other)) {
                    return Err(format!("{id} acts on {key} while {other} has it (record {})", entry.seq));
                }
                if let Some(undone) = intent.undoes {
                    undoable.entry(id).or_default().remove(&undone);
                } else if intent.undo.is_some() {
                    undoable.entry(id).or_default().insert(intent.action_id, key.clone());
                }
                if intent.step == 0 {
                    rungs.remove(&id);
                }
                rungs.entry(id).or_default().insert(key);
            }
            Body::Outcome { action, result, .. } if *result == Outcome::Aborted => {
                undoable.entry(id).or_default().remove(action);
                rungs.remove(&id);
            }
            Body::Outcome { result: Outcome::Failed, .. } => drop(rungs.remove(&id)),
            Body::Verdict { passed, .. } => {
                rungs.remove(&id);
                if *passed {
                    undoable.remove(&id);
                }
            }
            Body::Closed { .. } => {
                rungs.remove(&id);
                undoable.remove(&id);
            }
            _ => {}
        }
        // A rollback is over with its outcome, whatever that is.
        if let Body::Outcome { action, .. } = &entry.body
            && intents(entries).any(|(_, intent)| intent.action_id == *action && intent.undoes.is_some())
        {
            rungs.remove(&id);
        }
    }
    Ok(())
}

/// I7, I8: rungs only go up, tries are bounded, nothing is taken back twice and no rollback is rolled back.
fn ladders(entries: &[Entry]) -> Judgement {
    let mut at: BTreeMap<IncidentId, (usize, u32)> = BTreeMap::new();
    let (mut undone, mut rollbacks) = (BTreeSet::new(), BTreeSet::new());
    for (entry, intent) in intents(entries) {
        if let Some(taken_back) = intent.undoes {
            ensure(undone.insert(taken_back), || format!("{taken_back} was taken back twice"))?;
            ensure(!rollbacks.contains(&taken_back), || format!("the rollback {taken_back} was rolled back"))?;
            rollbacks.insert(intent.action_id);
            continue;
        }
        let id = entry.subject.incident.unwrap();
        let (rung, tries) = at.entry(id).or_default();
        ensure(intent.rung >= *rung, || format!("{id} went down from rung {rung} to {}", intent.rung))?;
        *rung = intent.rung;
        *tries += u32::from(intent.step == 0);
        ensure(*tries <= 20, || format!("{id} never stops trying"))?;
    }
    Ok(())
}

/// I6: what is not seen is no reason to act, and neither is what is seen to be well.
fn nothing_blind(effects: &[Effect]) -> Judgement {
    for effect in effects.iter().filter(|effect| !effect.rollback) {
        ensure(effect.sight != Sight::Nothing, || format!("{} was done blindly", effect.action))?;
        ensure(effect.step > 0 || effect.sight == Sight::Broken, || format!("{} was not needed", effect.action))?;
        ensure(effect.check < CHECKS - TWINS, || format!("{} was done to a twin", effect.action))?;
    }
    Ok(())
}

/// I9: under a hold nothing of its class is intended. In its own boot a pause is as long as was asked for, whatever
/// the wall clock does; later the wall clock tells.
fn no_act_under_a_hold(entries: &[Entry]) -> Judgement {
    let mut hold: Option<(Class, Option<i64>, &Now)> = None;
    for entry in entries {
        match &entry.body {
            Body::Hold { from_class, until_wall_ms, .. } => hold = Some((*from_class, *until_wall_ms, &entry.at)),
            Body::Lifted { .. } => hold = None,
            Body::Intent(intent) => {
                let held = hold.is_some_and(|(from_class, until, taken)| {
                    let gone_ms = entry.at.since(&taken.boot, taken.boot_ms).map(|ms| i64::try_from(ms).unwrap());
                    let stands = |until: i64| match gone_ms {
                        Some(gone_ms) => gone_ms < until - taken.wall_ms,
                        None => entry.at.wall_ms < until,
                    };
                    intent.class >= from_class && until.is_none_or(stands)
                });
                ensure(!held, || format!("{} was intended under a hold", intent.action_id))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What one incident has told so far.
#[derive(Default)]
struct Reported {
    /// Times that a person was notified since the last action or word.
    times: u32,
    exhausted: bool,
    suppressed: bool,
}

/// One open incident for each check; every exhaustion is told to a person exactly once before it ends, and whoever
/// is handed an incident over was told of it.
fn told_once(entries: &[Entry]) -> Judgement {
    let mut open = BTreeMap::new();
    let mut told: BTreeMap<IncidentId, Reported> = BTreeMap::new();
    for entry in entries {
        let Some(id) = entry.subject.incident else { continue };
        let key = (entry.subject.code.clone(), entry.subject.target.clone());
        let own = told.entry(id).or_default();
        match &entry.body {
            Body::Opened { .. } => {
                let other = open.insert(key, id);
                ensure(other.is_none(), || format!("{id} was opened beside {other:?}"))?;
            }
            Body::Refused(refusal) if matches!(refusal.guard, Guard::Attempts | Guard::Suspended) => {
                own.exhausted = true;
            }
            Body::Escalated { .. } => {
                own.times += 1;
                ensure(own.times == 1, || format!("{id} was told of twice"))?;
            }
            Body::Suppressed { .. } => own.suppressed = true,
            Body::Unsuppressed {} => own.suppressed = false,
            // While its cause is healed a word on it is for nothing: what was told stands.
            Body::Approved { .. } if own.suppressed => {}
            // An answer or another action: what comes next is another question.
            Body::Intent(_) | Body::Approved { .. } => *own = Reported::default(),
            Body::Closed { how } => {
                ensure(open.remove(&key) == Some(id), || format!("{id} was closed twice"))?;
                let handed = *how == Closing::HandedOver;
                ensure(!handed || own.times == 1, || format!("{id} was handed over and nobody told"))?;
                // What went away by itself in between needs nobody.
                let alone = matches!(how, Closing::SelfHealed | Closing::Subsumed | Closing::Noise);
                ensure(!own.exhausted || own.times == 1 || alone, || format!("{id} is exhausted and nobody told"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// L: in the calm everything has ended; and what is known is what the ledger says.
fn ended(host: &Host) -> Judgement {
    ensure(host.state.open.is_empty(), || format!("still open: {:?}", host.state.open))?;
    ensure(host.state.latched.is_empty(), || format!("still latched: {:?}", host.state.latched))?;
    ensure(host.state == replay(&host.entries), || "a replay of the ledger is another state".to_owned())
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Judgement {
    if holds { Ok(()) } else { Err(what()) }
}
